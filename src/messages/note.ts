import type { Permission } from '../access.ts'
import { Problem } from '../errors.ts'
import { asActor, findOrganizations, justifiedBy, type Justification } from '../identity/index.ts'
import { isReading, type Act, type Standing } from '../log/index.ts'
import { authorizeIn, purposeOfOperation } from '../operations/index.ts'
import type { CompartmentId, Kind, OperationView, PersonId } from '../protocol/index.ts'

export interface NoteInput {
  readonly kind: Kind
  readonly subject: string
  readonly permission: Permission
  /** The compartment that the actor must be in at that moment. */
  readonly compartment?: string
  /** SHA-256, base64url, of the thing that the entry is about. */
  readonly digest?: string
  readonly details: Readonly<Record<string, unknown>>
  /** The reason of the view, where the actor states one. */
  readonly justification?: string | undefined
}

interface LoadedNotes {
  readonly purpose: string
  /**
   * The country of each organization to which the act discloses something; null where it belongs to
   * no country.
   */
  readonly countries: ReadonlyMap<string, string | null>
}

/**
 * Consultations, whose entries state a reason. `asked`: a view after the end of the operation is
 * unusual, so the actor has to state it.
 */
const consultations: Partial<Record<Kind, 'asked' | 'by purpose'>> = {
  'feed.opened': 'by purpose',
  'body.fetched': 'asked',
  'report.viewed': 'asked',
}

/**
 * An entry for an act that stores nothing else: opening a feed, fetching a body, viewing a report,
 * ending an import. It is decided like every act, so that what was allowed when the caller asked is
 * still allowed when it is recorded.
 */
export const noteAct: Act<OperationView, NoteInput, LoadedNotes, never, { index: number }> = {
  name: 'note',
  reads: isReading,
  async load(tx, view, inputs) {
    const purpose = await purposeOfOperation(tx, view.operation)
    const discloses = inputs.some(({ kind }) => kind === 'export.made')
    const organizations = discloses ? await findOrganizations(tx, [...organizationsIn(view)]) : []
    return { purpose, countries: new Map(organizations.map(({ id, country }) => [id, country])) }
  },
  decide({ snapshot: view, loaded, input, actor }) {
    authorizeIn(view, actor, input.permission)
    const { kind, subject, compartment, digest } = input
    if (compartment !== undefined && !view.isIn(actor.person as PersonId, compartment as CompartmentId))
      throw new Problem('NOT_FOUND')
    const details = {
      session: actor.session,
      ...disclosed(input, actor, loaded),
      ...input.details,
      ...why(view, input, loaded.purpose),
    }
    return {
      entries: [{ kind, actor: asActor(actor), subject, ...(digest === undefined ? {} : { digest }), details }],
      rows: [],
      answer: (committed) => ({ index: committed[0]?.index ?? -1 }),
    }
  },
  write: () => Promise.resolve(),
}

const organizationsIn = (view: OperationView): Set<string> =>
  new Set([...view.members.values()].map(({ organization }) => organization))

/**
 * Answers to whom something was disclosed, and by which right, unless the caller of an export
 * stated it.
 */
function disclosed({ kind }: NoteInput, actor: Standing, { purpose, countries }: LoadedNotes) {
  if (kind !== 'export.made') return {}
  const { person, organization } = actor
  return {
    recipient: { person, organization, country: countries.get(organization) ?? null },
    legalBasis: { purpose },
    approvers: [],
  }
}

function why(view: OperationView, { kind, justification }: NoteInput, purpose: string): Partial<Justification> {
  const consultation = consultations[kind]
  if (consultation === undefined) return {}
  const over = view.state === 'closed' || view.state === 'archived'
  if (over && consultation === 'asked' && justification === undefined) throw new Problem('JUSTIFICATION_REQUIRED')
  return justifiedBy(justification, purpose)
}
