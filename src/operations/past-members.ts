import type { Tx } from '../db/index.ts'
import { namesAmong } from '../identity/index.ts'
import { changesBetween, sizeAt } from '../log/index.ts'
import { OperationView, type OperationId } from '../protocol/index.ts'
import type { Membership } from './authorize.ts'
import { reachOf } from './log-names.ts'
import { applyEntries } from './snapshot.ts'
import { compartmentsOf } from './store.ts'

/** Who was a member of an operation at a time, as far as a caller may see it. */
export interface MembersThen {
  /** The number of entries that the log had at that time; 0 before the operation existed. */
  readonly size: number
  /** The state of the operation at that time; null before it existed. */
  readonly state: OperationView['state'] | null
  readonly members: readonly MemberThen[]
  readonly organizations: readonly { readonly organization: string; readonly name: string }[]
  readonly compartments: readonly { readonly compartment: string; readonly name: string }[]
}

interface MemberThen {
  readonly person: string
  readonly name: string
  readonly organization: string
  readonly role: string
  readonly joinedIndex: number
  readonly asleep: boolean
  readonly compartments: readonly string[]
}

/**
 * Folds the log up to a time with the fold that clients use, and answers who was a member then. Who
 * may query the entries of all sees every member and every compartment; a contact point the members
 * of its own organization, others themselves, both with the compartments in which they are now.
 */
export async function pastMembers(tx: Tx, membership: Membership, now: OperationView, at: Date): Promise<MembersThen> {
  const { operation, person: self, organization: own } = membership
  const size = await sizeAt(tx, operation, at)
  const view = new OperationView(operation as OperationId)
  await applyEntries(tx, view, await changesBetween(tx, operation, -1, size - 1))
  const reach = reachOf(membership)
  const shown = [...view.members.values()].filter(
    ({ person, organization }) =>
      reach === 'everybody' || person === self || (reach === 'organization' && organization === own),
  )
  const names = await namesAmong(
    tx,
    shown.map(({ person }) => person),
  )
  const nameOf = new Map(names.people.map(({ person, name }) => [person, name]))
  const visible = [...view.compartments.keys()].filter((id) => reach === 'everybody' || now.isIn(self, id))
  const labels = new Map((await compartmentsOf(tx, operation)).map(({ id, name }) => [id, name]))
  return {
    size,
    state: size === 0 ? null : view.state,
    members: shown.map(({ person, organization, role, joinedIndex, asleep }) => ({
      person,
      name: nameOf.get(person) ?? '',
      organization,
      role,
      joinedIndex,
      asleep,
      compartments: visible.filter((id) => view.isIn(person, id)),
    })),
    organizations: names.organizations,
    compartments: visible.map((compartment) => ({ compartment, name: labels.get(compartment) ?? 'all' })),
  }
}
