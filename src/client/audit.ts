import {
  ProtocolError,
  base64url,
  definedMembers,
  fromBase64url,
  parseEvidence,
  parseLeaf,
  parseLogKeys,
  parseNoteKey,
  privateDigest,
  verifyEvidence,
  type Leaf,
  type VerifiedEvidence,
} from '../protocol/index.ts'
import type { State } from '../access.ts'
import type { MemberListed } from './operations.ts'
import { verifyKeys, type Pins } from './certificates.ts'
import { refuse } from './problem.ts'
import type { Transport } from './transport.ts'

/**
 * The filters of a query. Times are instants as the protocol writes them; `to` is the first instant
 * that is no longer in the range.
 */
export interface EntryFilters {
  /** Kinds of entries such as `body.fetched`, or `member.*`. */
  readonly kinds?: readonly string[]
  /**
   * The person who caused the entry, or whose reading it holds. To query another person or another
   * device, the caller needs a justification.
   */
  readonly person?: string
  readonly organization?: string
  readonly device?: string
  readonly compartment?: string
  /** The message that the entry is about: posting it, fetching it, or reading it. */
  readonly message?: string
  /** The id or the code of the subject of the entry. */
  readonly subject?: string
  readonly from?: string
  readonly to?: string
  readonly outcome?: 'done' | 'refused'
  /** Whole words, all of which must occur in the details. Needs a time range or a person. */
  readonly text?: string
  readonly justification?: string
}

/** To whom a bundle of evidence goes, why, and on what legal ground. The log records all three. */
export interface Disclosure {
  readonly justification: string
  readonly recipient: { readonly name: string; readonly organization: string; readonly country?: string }
  readonly legalBasis: string
}

export interface LogEntry {
  readonly leaf: Leaf
  /** The leaf, as the text that is hashed. */
  readonly text: string
  /**
   * The details, checked against the digest `private` of the leaf; undefined where the entry has
   * none or where the service does not show them to this person.
   */
  readonly details?: Readonly<Record<string, unknown>>
  /** The details, as the text that is hashed after the salt (base64url). */
  readonly detailsText?: string
  readonly salt?: string
}

export interface EntryPage {
  /** The entries, newest first. */
  readonly entries: readonly LogEntry[]
  /**
   * The index with which the next page begins; null at the end. A page may be empty without being
   * the last.
   */
  readonly next: number | null
  /** The indexes between which the service searches. */
  readonly range: { readonly first: number; readonly past: number }
  /** The names of ids in these entries, as far as the service shows them to this person. */
  readonly names: NamesShown
}

/** A reading of a message, as the log has it. */
export interface MessageReading {
  readonly person: string
  /** Undefined where the service shows no name of this person. */
  readonly organization: string | undefined
  /**
   * `read`: the device told the service that the person read the message; the entry is made at most
   * ten seconds later. `fetched`: the device fetched the message by its id.
   */
  readonly how: 'read' | 'fetched'
  /** The message that was read. */
  readonly of: string
  readonly at: string
  readonly index: number
}

/** Who read a message, oldest first. */
export interface MessageReadings {
  readonly message: string
  /** The entry that posted it; undefined where the log has no such message. */
  readonly posted: LogEntry | undefined
  readonly readings: readonly MessageReading[]
  readonly names: NamesShown
}

/** What a person did in a log: how many entries of each kind, and messages that they read. */
export interface PersonActivity {
  readonly person: string
  readonly entries: number
  readonly kinds: Readonly<Record<string, number>>
  readonly first: string
  readonly last: string
}

/** Who was a member of an operation at a moment, as far as this person may query the log. */
export interface PastMembers {
  /** The number of entries that the log had; 0 before the operation existed. */
  readonly size: number
  readonly state: State | null
  readonly members: readonly PastMember[]
  readonly organizations: readonly { readonly organization: string; readonly name: string }[]
  readonly compartments: readonly { readonly compartment: string; readonly name: string }[]
}

export interface PastMember extends MemberListed {
  /** The compartments that this person sees. */
  readonly compartments: readonly string[]
}

/**
 * Names as the service has them, also of people and organizations that have left. The log does not
 * prove them.
 */
export interface NamesShown {
  readonly people: readonly { readonly person: string; readonly name: string; readonly organization: string }[]
  readonly organizations: readonly { readonly organization: string; readonly name: string }[]
}

interface WirePage {
  readonly entries: readonly { readonly leaf: string; readonly details?: string; readonly salt?: string }[]
  readonly next: number | null
  readonly range: { readonly first: number; readonly past: number }
  readonly names: NamesShown
}

const pageEntries = 500

/**
 * Queries logs: a member queries the log of an operation as far as the role allows, an auditor of
 * the platform queries the directory log.
 */
export class Audit {
  readonly #deps: { readonly transport: Transport; readonly pins: () => Pins }

  constructor(deps: { readonly transport: Transport; readonly pins: () => Pins }) {
    this.#deps = deps
  }

  /** The id of the directory log, taken from the pinned keys. */
  async directory(): Promise<string> {
    const [first = ''] = this.#deps.pins().logKeys
    const { name } = await parseNoteKey(first)
    return name.slice(name.lastIndexOf('/') + 1)
  }

  /**
   * Fetches one page of entries. The log records each query before the service answers it. Throws
   * FORBIDDEN, JUSTIFICATION_REQUIRED, QUERY_TOO_WIDE, VALIDATION of the service; ANSWER_INVALID
   * where the entries are of another log or in the wrong order.
   */
  async page(log: string, filters: EntryFilters, options: { after?: number; limit?: number } = {}): Promise<EntryPage> {
    const { kinds, ...rest } = filters
    const query = new URLSearchParams({ limit: String(options.limit ?? pageEntries) })
    if (kinds !== undefined && kinds.length > 0) query.set('kind', kinds.join(','))
    for (const [name, value] of Object.entries(rest)) if (value !== undefined) query.set(name, value)
    if (options.after !== undefined) query.set('after', String(options.after))
    const page = await this.#deps.transport.request<WirePage>('GET', `/v1/logs/${log}/entries?${query.toString()}`)
    const entries: LogEntry[] = []
    const start = options.after ?? page.range.past
    let below = start
    for (const { leaf, details, salt } of page.entries) {
      const entry = await readEntry(leaf, details, salt)
      if (entry.leaf.log !== log || entry.leaf.index >= below)
        throw refuse('ANSWER_INVALID', 'The service answered with entries of another log, or out of their order.')
      below = entry.leaf.index
      entries.push(entry)
    }
    if (page.next !== null && (page.next > below || page.next >= start))
      throw refuse('ANSWER_INVALID', 'The service answered with a next page that does not follow this page.')
    return { entries, next: page.next, range: page.range, names: page.names }
  }

  /**
   * Fetches a bundle of evidence and verifies it with the pinned keys before it answers the bundle.
   * The log records that the bundle was exported, for whom and why. Throws EVIDENCE_EMPTY,
   * EVIDENCE_TOO_LARGE of the service; EVIDENCE_INVALID where the bundle does not verify.
   */
  async evidence(
    log: string,
    filters: EntryFilters,
    disclosure: Disclosure,
  ): Promise<{ text: string; verified: VerifiedEvidence }> {
    const { kinds, justification: _, ...rest } = filters
    const kind = kinds === undefined || kinds.length === 0 ? {} : { kind: kinds.join(',') }
    const body = { query: { ...rest, ...kind }, ...disclosure }
    const text = await this.#deps.transport.text(`/v1/logs/${log}/evidence`, 'POST', body)
    const { logKeys, root, logHost } = this.#deps.pins()
    try {
      const evidence = parseEvidence(text)
      const { keys } = await parseLogKeys(logKeys)
      const trust = { keys, root, witnesses: [], quorum: 0 }
      const verified = await verifyEvidence(evidence, trust, verifyKeys)
      const [wrong] = verified.discrepancies
      if (wrong !== undefined) throw new ProtocolError('EVIDENCE', wrong.what)
      if (evidence.log !== log || evidence.host !== logHost)
        throw new ProtocolError('EVIDENCE', 'It is of another log.')
      return { text, verified }
    } catch (cause) {
      if (!(cause instanceof ProtocolError)) throw cause
      throw refuse('EVIDENCE_INVALID', cause.message, { reason: cause.code }, cause)
    }
  }

  /**
   * Answers who read a message, from the entries that record it: for auditors of the operation.
   * Throws as `page` does.
   */
  async readingsOf(log: string, message: string, justification?: string): Promise<MessageReadings> {
    const found = new NamesFound()
    const readings: MessageReading[] = []
    let posted: LogEntry | undefined
    const kinds = ['message.*', 'messages.read', 'body.fetched']
    for await (const { entries, names } of this.pages(log, { kinds, message, ...definedMembers({ justification }) })) {
      found.add(names)
      for (const entry of entries) {
        if (entry.leaf.kind.startsWith('message.')) posted = entry
        else readings.push(...readingsIn(entry, found).filter(({ of }) => of === message))
      }
    }
    return { message, posted, readings: readings.reverse(), names: found }
  }

  /** Answers the id of the message that an entry posted; undefined where it posted none. */
  async messageAt(log: string, index: number): Promise<string | undefined> {
    const { entries } = await this.page(log, { kinds: ['message.*'] }, { after: index + 1, limit: 1 })
    return entries[0]?.leaf.index === index ? entries[0].leaf.subject : undefined
  }

  /**
   * Answers what each person of an organization did in a period, and which messages they read, the
   * person with the most entries first. Throws as `page` does.
   */
  async activityOf(
    log: string,
    filters: Pick<EntryFilters, 'from' | 'to' | 'justification'> & { readonly organization: string },
  ): Promise<{ people: readonly PersonActivity[]; names: NamesShown }> {
    const found = new NamesFound()
    const tally = new Tally()
    for await (const { entries, names } of this.pages(log, filters)) {
      found.add(names)
      for (const entry of entries) {
        const { actor, kind, at } = entry.leaf
        if ('person' in actor) tally.add(actor.person, kind, at)
        else if (kind === 'messages.read')
          for (const { person, organization } of readingsIn(entry, found))
            if (organization === filters.organization) tally.add(person, kind, at)
      }
    }
    return { people: tally.people(), names: found }
  }

  /**
   * Answers who was a member of an operation at a moment. The service folds its log up to there.
   * Throws FORBIDDEN, VALIDATION of the service.
   */
  async membersAt(operation: string, at: string, justification?: string): Promise<PastMembers> {
    const query = new URLSearchParams({ at, ...definedMembers({ justification }) })
    return this.#deps.transport.request('GET', `/v1/operations/${operation}/past-members?${query.toString()}`)
  }

  /** Fetches all pages, newest first. Entries that are appended meanwhile are not among them. */
  async *pages(log: string, filters: EntryFilters, limit = pageEntries): AsyncGenerator<EntryPage> {
    for (let after: number | undefined; ;) {
      const page = await this.page(log, filters, { limit, ...(after === undefined ? {} : { after }) })
      yield page
      if (page.next === null) return
      after = page.next
    }
  }
}

async function readEntry(text: string, details: string | undefined, salt: string | undefined): Promise<LogEntry> {
  try {
    const leaf = parseLeaf(text)
    if (details === undefined || salt === undefined) return { leaf, text }
    const bytes = fromBase64url(salt)
    if (bytes.length !== 32 || base64url(bytes) !== salt || (await privateDigest(bytes, details)) !== leaf.private)
      throw refuse('LOG_ALTERED', `The details of entry ${String(leaf.index)} are not those that it commits to.`)
    return { leaf, text, detailsText: details, salt, details: JSON.parse(details) as Record<string, unknown> }
  } catch (cause) {
    if (!(cause instanceof ProtocolError) && !(cause instanceof SyntaxError)) throw cause
    throw refuse('ANSWER_INVALID', 'The service answered with a text that is no entry.', undefined, cause)
  }
}

/** The names of several pages. */
class NamesFound implements NamesShown {
  readonly #people = new Map<string, NamesShown['people'][number]>()
  readonly #organizations = new Map<string, NamesShown['organizations'][number]>()

  add({ people, organizations }: NamesShown): void {
    for (const one of people) this.#people.set(one.person, one)
    for (const one of organizations) this.#organizations.set(one.organization, one)
  }

  organizationOf(person: string): string | undefined {
    return this.#people.get(person)?.organization
  }

  get people() {
    return [...this.#people.values()]
  }

  get organizations() {
    return [...this.#organizations.values()]
  }
}

/** The readings that an entry holds. */
function readingsIn({ leaf, details }: LogEntry, names: NamesFound): MessageReading[] {
  const { at, index, actor, kind, subject } = leaf
  if (kind === 'body.fetched' && 'person' in actor)
    return [{ of: subject, person: actor.person, organization: actor.organization, how: 'fetched', at, index }]
  const readers = kind === 'messages.read' ? details?.['readers'] : undefined
  if (!Array.isArray(readers)) return []
  return (readers as { person: string; messages?: unknown }[]).flatMap(({ person, messages }) =>
    (Array.isArray(messages) ? (messages as string[]) : []).map((of) => ({
      of,
      person,
      organization: names.organizationOf(person),
      how: 'read' as const,
      at,
      index,
    })),
  )
}

/** Counts what people did. Entries come newest first. */
class Tally {
  readonly #people = new Map<string, { entries: number; kinds: Record<string, number>; first: string; last: string }>()

  add(person: string, kind: string, at: string): void {
    const before = this.#people.get(person) ?? { entries: 0, kinds: {}, first: at, last: at }
    before.entries++
    before.kinds[kind] = (before.kinds[kind] ?? 0) + 1
    before.first = at
    this.#people.set(person, before)
  }

  people(): PersonActivity[] {
    const all = [...this.#people].map(([person, of]) => ({ person, ...of }))
    return all.sort((a, b) => b.entries - a.entries || (a.person < b.person ? -1 : 1))
  }
}
