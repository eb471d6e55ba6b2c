import type { Permission } from '../access.ts'
import { Problem } from '../errors.ts'
import { asActor, justifiedBy, type Justified } from '../identity/index.ts'
import type { Act } from '../log/index.ts'
import { authorizeIn, purposeOfOperation } from '../operations/index.ts'
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
  /** Why the actor looks, where they say so. */
  readonly justification?: string | undefined
}

/** Consultations, which say why: `asked` where looking once the operation is over is unusual. */
const consultations: Partial<Record<Kind, 'asked' | 'by purpose'>> = {
  'feed.opened': 'by purpose',
  'body.fetched': 'asked',
  'report.viewed': 'asked',
  'log.queried': 'by purpose',
}

/**
 * An entry for something that stores nothing else: opening a feed, fetching a body, looking at a report, ending an import. It
 * is decided like every act, so that what was allowed when it was asked is still allowed when it is entered.
 */
export const noteAct: Act<OperationView, NoteInput, string, never, { index: number }> = {
  name: 'note',
  load: (tx, view) => purposeOfOperation(tx, view.operation),
  decide({ snapshot: view, loaded: purpose, input, actor }) {
    authorizeIn(view, actor, input.permission)
    const { kind, subject, compartment, digest } = input
    if (compartment !== undefined && !view.isIn(actor.person as PersonId, compartment as CompartmentId))
      throw new Problem('NOT_FOUND')
    const details = { session: actor.session, ...input.details, ...why(view, input, purpose) }
    return {
      entries: [{ kind, actor: asActor(actor), subject, ...(digest === undefined ? {} : { digest }), details }],
      rows: [],
      answer: (committed) => ({ index: committed[0]?.index ?? -1 }),
    }
  },
  write: () => Promise.resolve(),
}

function why(view: OperationView, { kind, justification }: NoteInput, purpose: string): Partial<Justified> {
  const consultation = consultations[kind]
  if (consultation === undefined) return {}
  const over = view.state === 'closed' || view.state === 'archived'
  if (over && consultation === 'asked' && justification === undefined) throw new Problem('JUSTIFICATION_NEEDED')
  return justifiedBy(justification, purpose)
}
