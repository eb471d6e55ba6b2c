import type { State } from '../access.ts'
import type { OperationView, PersonId } from '../protocol/index.ts'

/**
 * States in which an operation needs its people: a start has no date before somebody moves the
 * operation there.
 */
const startsIn: readonly State[] = ['rehearsal', 'active']

/**
 * Who hears, when an operation starts, of how many who sleep in it and whom they may wake:
 * coordinators of all, contact points of those of their own organization. Whoever moved it there is
 * told by the answer.
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
