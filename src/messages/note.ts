import type { Permission } from '../access.ts'
import { Problem } from '../errors.ts'
import { asActor } from '../identity/index.ts'
import type { Act } from '../log/index.ts'
import { authorizeIn } from '../operations/index.ts'
import type { CompartmentId, Kind, OperationView, PersonId } from '../protocol/index.ts'

export interface NoteInput {
  readonly kind: Kind
  readonly subject: string
  readonly permission: Permission
  /** The actor must be in this compartment at that moment. */
  readonly compartment?: string
  /** SHA-256, base64url, of what the entry is about. */
  readonly digest?: string
  readonly details: Readonly<Record<string, unknown>>
}

/**
 * An entry for something that stores nothing else: opening a feed, fetching a body, looking at a report, ending an import. It
 * is decided like every act, so that what was allowed when it was asked is still allowed when it is entered.
 */
export const noteAct: Act<OperationView, NoteInput, null, never, { index: number }> = {
  name: 'note',
  load: () => Promise.resolve(null),
  decide({ snapshot: view, input, actor }) {
    authorizeIn(view, actor, input.permission)
    const { kind, subject, details, compartment, digest } = input
    if (compartment !== undefined && !view.isIn(actor.person as PersonId, compartment as CompartmentId))
      throw new Problem('NOT_FOUND')
    return {
      entries: [
        {
          kind,
          actor: asActor(actor),
          subject,
          ...(digest === undefined ? {} : { digest }),
          details: { session: actor.session, ...details },
        },
      ],
      rows: [],
      answer: (committed) => ({ index: committed[0]?.index ?? -1 }),
    }
  },
  write: () => Promise.resolve(),
}
