import type { State } from '../access.ts'
import type { OperationView, PersonId } from '../protocol/index.ts'

/**
 * The states in which an operation needs its people. A start has no date: it is the moment at which
 * a coordinator moves the operation to such a state.
 */
const startsIn: readonly State[] = ['rehearsal', 'active']

/**
 * Answers the notices to queue when an operation starts: to each coordinator the number of members
 * who sleep in it, to each contact point the number in its own organization. The person who moved
 * the operation gets none, because the answer to the act has the number.
 */
export function tellOfSleepers(
  view: OperationView,
  to: State,
  actor: string,
): { person: PersonId; kind: 'needed'; accounts: number }[] {
  if (!startsIn.includes(to)) return []
  const members = [...view.members.values()]
  const sleepers = members.filter(({ asleep }) => asleep)
  return members
    .filter(({ person, asleep }) => !asleep && person !== actor)
    .flatMap(({ person, organization, role }) => {
      const own = sleepers.filter((one) => role === 'coordinator' || one.organization === organization)
      const mayWake = role === 'coordinator' || role === 'ncp'
      return mayWake && own.length > 0 ? [{ person, kind: 'needed' as const, accounts: own.length }] : []
    })
}
