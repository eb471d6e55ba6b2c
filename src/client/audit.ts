import {
  ProtocolError,
  base64url,
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
import { verifyKeys, type Pins } from './certificates.ts'
import { refuse } from './problem.ts'
import type { Transport } from './transport.ts'

/**
 * What to look for. Times are instants as the protocol writes them; `to` is the first moment that
 * is too late.
 */
export interface EntryFilters {
  /** Kinds such as `body.fetched`, or `member.*`. */
  readonly kinds?: readonly string[]
  /**
   * Who caused the entry. Another person than oneself takes a justification, and so does another
   * device.
   */
  readonly person?: string
  readonly organization?: string
  readonly device?: string
  readonly compartment?: string
  /** The message that the entry is about. */
  readonly message?: string
  /** The id or code of whatever the entry is about. */
  readonly subject?: string
  readonly from?: string
  readonly to?: string
  readonly outcome?: 'done' | 'refused'
  /** Whole words in the details, all of them; within a time range or for one person. */
  readonly text?: string
  readonly justification?: string
}

/** To whom evidence goes, why, and on what ground: entered in the log. */
export interface Disclosure {
  readonly justification: string
  readonly recipient: { readonly name: string; readonly organization: string; readonly country?: string }
  readonly legalBasis: string
}

export interface LogEntry {
  readonly leaf: Leaf
  /** The leaf as it is hashed. */
  readonly text: string
  /**
   * What the leaf's `private` commits to, checked; undefined where there is nothing or it is not
   * shown to this person.
   */
  readonly details?: Readonly<Record<string, unknown>>
  /** The details as they are hashed, after the salt (base64url). */
  readonly detailsText?: string
  readonly salt?: string
}

export interface EntryPage {
  /** Newest first. */
  readonly entries: readonly LogEntry[]
  /** Where the next page goes on; null at the end. A page may be empty and not the last. */
  readonly next: number | null
  /** The indexes among which entries are looked for. */
  readonly range: { readonly first: number; readonly past: number }
}

interface WirePage {
  readonly entries: readonly { readonly leaf: string; readonly details?: string; readonly salt?: string }[]
  readonly next: number | null
  readonly range: { readonly first: number; readonly past: number }
}

const pageEntries = 500

/**
 * Queries of logs: by members of an operation as their role allows, of the directory by auditors of
 * the platform.
 */
export class Audit {
  readonly #deps: { readonly transport: Transport; readonly pins: () => Pins }

  constructor(deps: { readonly transport: Transport; readonly pins: () => Pins }) {
    this.#deps = deps
  }

  /** The id of the directory log, as this device pinned it. */
  async directory(): Promise<string> {
    const [first = ''] = this.#deps.pins().logKeys
    const { name } = await parseNoteKey(first)
    return name.slice(name.lastIndexOf('/') + 1)
  }

  /**
   * One page. Each is entered in the log before it is answered. FORBIDDEN, JUSTIFICATION_REQUIRED,
   * QUERY_TOO_WIDE, VALIDATION.
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
      throw refuse('ANSWER_INVALID', 'The service answered with a next page that is not after this one.')
    return { entries, next: page.next, range: page.range }
  }

  /**
   * A bundle of evidence as the service makes it, checked here with the keys that this device
   * pinned before it is given; the log says that it was exported, for whom and why. EVIDENCE_EMPTY,
   * EVIDENCE_TOO_LARGE; EVIDENCE_INVALID where it does not verify.
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

  /** All pages, newest first. What is appended meanwhile is not among them. */
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
    throw refuse('ANSWER_INVALID', 'The service answered with something that is no entry.', undefined, cause)
  }
}
