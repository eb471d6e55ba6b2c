import { isProblem, type Message, type OperationView, type ReaderReceipt } from '../client/index.ts'
import type { CompartmentId } from '../protocol/index.ts'
import { counted } from './words.ts'
import type { FollowedOperation } from './followed-operation.ts'
import { isolated } from './terminal.ts'

/** Ids of the organizations that a message is for, and of those in which nobody has read it. */
export interface Readership {
  readonly organizations: readonly string[]
  readonly unread: readonly string[]
}

const mostNamed = 12

/**
 * Who has read a message, by organization: those whose people can read it, without that of the
 * sender; where it is addressed, those of its addressees. A program's reading does not count.
 */
export function readershipOf(
  view: OperationView,
  { index, organization: sender, addressees, ...message }: Message,
  receipts: readonly ReaderReceipt[],
): Readership {
  const compartment = message.compartment as CompartmentId
  const readers = [...view.members.values()].filter(
    ({ person, organization }) =>
      organization !== sender &&
      (addressees === undefined || addressees.includes(organization)) &&
      view.reads(person, compartment) &&
      !view.services.has(person) &&
      index >= (view.readsFrom(person, compartment) ?? Number.MAX_SAFE_INTEGER),
  )
  const people = new Set<string>(readers.map(({ person }) => person))
  const read = receipts.filter(({ person, readAt }) => readAt !== undefined && people.has(person))
  const reached = new Set(read.map(({ organization }) => organization))
  const organizations = [...new Set<string>(readers.map(({ organization }) => organization))]
  return { organizations, unread: organizations.filter((id) => !reached.has(id)) }
}

/**
 * The readerships of messages of the own organization, by id. Asks the service, which tells the
 * organization of the sender. A message about which it tells nothing now is left out.
 */
export async function readershipsOf(
  { session }: FollowedOperation,
  messages: readonly Message[],
  own: string,
): Promise<Map<string, Readership>> {
  const found = new Map<string, Readership>()
  const asked = messages
    .filter(({ organization }) => organization === own)
    .map(async (message) => {
      try {
        const receipts = await session.receiptsOf(message.id)
        found.set(message.id, readershipOf(session.view, message, receipts))
      } catch (error) {
        // The state of the operation, or the role of this person, keeps it from them.
        if (!isProblem(error, 'NOT_FOUND', 'FORBIDDEN', 'OPERATION_STATE')) throw error
      }
    })
  await Promise.all(asked)
  return found
}

/** "Read by 5 of 7 organizations: not yet Kenya, Thailand." */
export function readershipLine({ organizations, unread }: Readership, names: Readonly<Record<string, string>>): string {
  const all = organizations.length
  if (all === 0) return 'It is for no other organization: no reading of it is told.'
  if (unread.length === 0)
    return `Read by ${all === 1 ? 'the one organization' : `all ${counted(all, 'organization')}`} that it is for.`
  const called = unread.map((id) => isolated(names[id] ?? id)).sort()
  const more = called.length - mostNamed
  const listed = called.slice(0, mostNamed).join(', ') + (more > 0 ? ` and ${String(more)} more` : '')
  return `Read by ${String(all - unread.length)} of ${counted(all, 'organization')}: not yet ${listed}.`
}
