import { seesKind } from '../access.ts'
import { reading, transaction, type Database, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import type { Access } from '../http/index.ts'
import {
  actInDirectory,
  asActor,
  isPlatformAuditor,
  justifiedBy,
  namesAmong,
  type Accesses,
  type SignedInCaller,
  type CertifiedCaller,
} from '../identity/index.ts'
import {
  queryFault,
  readInstant,
  seesLog,
  type Act,
  type EntriesPage,
  type LogQuery,
  type Logs,
  type PageNames,
  type Scope,
} from '../log/index.ts'
import { isUuid, kinds, mostClockDifferenceMs, type Leaf, type Member, type OperationView } from '../protocol/index.ts'
import { authorize, authorizeIn, type Membership } from './authorize.ts'
import { idsIn, namesOfOperation, reachOf } from './log-names.ts'
import { pastMembers, type MembersThen } from './past-members.ts'
import { enterOperation, purposeOfOperation } from './store.ts'
import type { Views } from './views.ts'
import { seesEntry } from './visibility.ts'

interface LogReadersDeps {
  readonly db: Database
  readonly clock: () => Date
  readonly logs: Logs<OperationView>
  readonly views: Views
}

interface MembersQuery {
  readonly at: string
  readonly justification?: string
}

type Details = Readonly<Record<string, unknown>>

/** The purpose of views of the directory, where the caller gave no justification. */
const audit = 'the audit of the platform'

/**
 * Who may query a log, and what of it they see: members the log of their operation, auditors of the
 * platform the directory.
 */
export class LogReaders {
  readonly #deps: LogReadersDeps

  constructor(deps: LogReadersDeps) {
    this.#deps = deps
  }

  /**
   * Records that a caller queries a log, if it may. Answers the function with which the transaction
   * that reads decides what the caller is shown.
   */
  async enterQuery(actor: SignedInCaller, log: string, query: LogQuery): Promise<(tx: Tx) => Promise<Scope>> {
    return log === this.#deps.logs.directory
      ? this.#enterDirectory(actor, query)
      : this.#enterOperation(actor, log, query)
  }

  /**
   * Answers the names that belong to ids on a page of a log, for the caller to whom it was shown.
   * Of the directory, auditors of the platform see the entries that state the names. Of an
   * operation, `namesOfOperation` says which.
   */
  async namesIn(actor: SignedInCaller, log: string, page: EntriesPage): Promise<PageNames> {
    const { db, logs, views } = this.#deps
    if (page.entries.length === 0) return { people: [], organizations: [] }
    if (log === logs.directory) return transaction(db, (tx) => namesAmong(tx, idsIn(page)))
    return reading(db, async (tx) => {
      const membership = await authorize(tx, actor, log, 'log.query')
      return namesOfOperation(tx, await views.current(tx, log), membership, page)
    })
  }

  /**
   * Answers who was a member of an operation at a time. The question is recorded as a query of the
   * log before it is answered. VALIDATION where the time lies ahead.
   */
  async membersAt(actor: SignedInCaller, operation: string, { at, justification }: MembersQuery): Promise<MembersThen> {
    const { db, logs, views, clock } = this.#deps
    const time = readInstant('at', at)
    // The clock of whoever asks for the present may be ahead.
    if (time.getTime() > clock().getTime() + mostClockDifferenceMs)
      throw queryFault('at', 'lies ahead: nobody knows who will be a member')
    const details = { session: actor.session, query: { view: 'members', at: time.toISOString() } }
    await logs.append(operation, queryAct, { details, justification }, actor)
    return reading(db, async (tx) => {
      const membership = await authorize(tx, actor, operation, 'log.query')
      return pastMembers(tx, membership, await views.current(tx, operation), time)
    })
  }

  /**
   * The access to checkpoints and proofs: members read those of their operation's log, every caller
   * with a certified device those of the directory.
   */
  access(accesses: Accesses): Access<CertifiedCaller> {
    const { db, logs } = this.#deps
    return accesses.certified('log-reader', async (actor, { params }) => {
      const { id, log = id } = params as { id?: unknown; log?: unknown }
      if (!isUuid(log)) return undefined
      if (log === logs.directory) return actor
      await reading(db, async (tx) => {
        await authorize(tx, actor, log, 'log.verify')
        if (!(await seesLog(tx, log))) throw new Problem('NOT_FOUND')
      })
      return actor
    })
  }

  async #enterDirectory(actor: SignedInCaller, query: LogQuery): Promise<(tx: Tx) => Promise<Scope>> {
    const { logs } = this.#deps
    if (!isPlatformAuditor(actor)) throw new Problem('AUDITOR_ONLY')
    requireJustification(actor, logs.directory, query)
    const details = { ...detailsOf(actor, query), ...justifiedBy(query.justification, audit) }
    await actInDirectory(this.#deps, actor, [], ({ by, enter }) =>
      enter({ kind: 'log.queried', actor: asActor(by), subject: logs.directory, details }),
    )
    return async (tx) => {
      await enterOperation(tx, logs.directory)
      return everything
    }
  }

  async #enterOperation(
    actor: SignedInCaller,
    operation: string,
    query: LogQuery,
  ): Promise<(tx: Tx) => Promise<Scope>> {
    const { db, logs } = this.#deps
    await reading(db, async (tx) => requireOwn(await authorize(tx, actor, operation, 'log.query'), query))
    requireJustification(actor, operation, query)
    await logs.append(
      operation,
      queryAct,
      { details: detailsOf(actor, query), justification: query.justification },
      actor,
    )
    return async (tx) => {
      const membership = await authorize(tx, actor, operation, 'log.query')
      requireOwn(membership, query)
      return this.#scopeOf(tx, membership)
    }
  }

  async #scopeOf(tx: Tx, membership: Membership): Promise<Scope> {
    const { person, organization, role, operation } = membership
    if (role === 'auditor') return everything
    const view = await this.#deps.views.current(tx, operation)
    const member = view.member(person)
    if (!member) throw new Problem('NOT_FOUND')
    return {
      kinds: kinds.filter((kind) => seesKind(role, kind) !== 'no'),
      ...(reachOf(membership) === 'organization' ? { organization } : {}),
      ...(reachOf(membership) === 'person' ? { person } : {}),
      within: {
        kinds: kinds.filter((kind) => seesKind(role, kind) === 'compartment'),
        compartments: view.compartmentsOf(person),
      },
      ...sightOf(view, member),
    }
  }
}

function sightOf(view: OperationView, member: Member): Pick<Scope, 'shows' | 'showsDetails'> {
  const isOwn = ({ actor }: Leaf) => 'person' in actor && actor.person === member.person
  return { shows: (leaf) => seesEntry(view, member, leaf), showsDetails: isOwn }
}

const everything: Scope = { kinds: undefined, shows: () => true, showsDetails: () => true }

function requireOwn(membership: Membership, { person, organization, words }: LogQuery): void {
  const forbidden = (detail: string) => new Problem('FORBIDDEN', { permission: 'log.query', detail })
  const reach = reachOf(membership)
  const ofOthers = person !== undefined && person !== membership.person
  const elsewhere = organization !== undefined && organization !== membership.organization
  if (reach === 'person' && (ofOthers || elsewhere)) throw forbidden('Your role may query the entries that you caused.')
  if (reach === 'organization' && elsewhere) throw forbidden('Your role may query the entries of your organization.')
  if (words.length > 0 && membership.role !== 'auditor' && person !== membership.person)
    throw forbidden('Auditors see all details; you see the details of your own entries. Name yourself as person.')
}

/** The form of ids, those of people and devices included: UUIDs and thumbprints. */
const idPattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$|^[A-Za-z0-9_-]{43}$/

/**
 * Refuses a query without a justification that looks at another person, by whichever filter, or
 * searches the details of others.
 */
function requireJustification(actor: SignedInCaller, log: string, query: LogQuery): void {
  const { person, device, subject, message, words, justification } = query
  if (justification !== undefined) return
  const own: readonly (string | undefined)[] = [actor.person, actor.device, actor.session, log]
  const ofOthers =
    (person !== undefined && person !== actor.person) ||
    (device !== undefined && device !== actor.device) ||
    (subject !== undefined && !message && idPattern.test(subject) && !own.includes(subject)) ||
    (words.length > 0 && person !== actor.person)
  if (ofOthers) throw new Problem('JUSTIFICATION_REQUIRED')
}

function detailsOf({ session }: SignedInCaller, { asked, after }: LogQuery): Details {
  return { session, query: asked, ...(after === undefined ? {} : { after }) }
}

interface QueryInput {
  readonly details: Details
  readonly justification: string | undefined
}

const queryAct: Act<OperationView, QueryInput, string, never, null> = {
  name: 'query the log',
  reads: () => true,
  load: (tx, view) => purposeOfOperation(tx, view.operation),
  decide({ snapshot: view, loaded: purpose, input, actor }) {
    authorizeIn(view, actor, 'log.query')
    const details = { ...input.details, ...justifiedBy(input.justification, purpose) }
    const entry = { kind: 'log.queried', actor: asActor(actor), subject: view.operation, details } as const
    return { entries: [entry], rows: [], answer: () => null }
  },
  write: () => Promise.resolve(),
}
