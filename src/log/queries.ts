import { sql, type RawBuilder } from 'kysely'
import { transaction, type Database, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { base64url, definedMembers, kinds as allKinds, parseLeaf, type Kind, type Leaf } from '../protocol/index.ts'
import type { EntriesPage, LogQuery } from './filters.ts'
import { visibleSize } from './store.ts'
import { hasWords, patternsOf } from './words.ts'

/** What a caller may see of a log. */
export interface Scope {
  /** The kinds of entries; undefined for every kind. */
  readonly kinds: readonly Kind[] | undefined
  /** Only entries that this person, or this organization, caused. */
  readonly person?: string
  readonly organization?: string
  /** Kinds that are shown only of these compartments, or of none. */
  readonly within?: { readonly kinds: readonly Kind[]; readonly compartments: readonly string[] }
  shows(leaf: Leaf): boolean
  showsDetails(leaf: Leaf): boolean
}

interface Filters extends LogQuery {
  readonly within: Scope['within']
}

/** Whose readings, or of which message, a query looks for, and between which indexes. */
export interface ReadingsAsked {
  readonly person?: string
  readonly organization?: string
  readonly message?: string
  readonly first: number
  readonly before: number
  readonly limit: number
}

/**
 * Answers the indexes of the entries that hold such readings, highest first. The server enters
 * readings for all readers together, so that no column of an entry names a reader.
 */
export type FindReadings = (tx: Tx, log: string, asked: ReadingsAsked) => Promise<readonly number[]>

/**
 * How many entries one page looks at where no index holds all that is asked: the next page looks at
 * those below them.
 */
const mostEntriesLookedAt = 1_000

interface Row {
  /** The lowest place that was looked at, where there may be more below it; null otherwise. */
  readonly floor: number | null
  readonly index: number | null
  readonly leaf: string
  readonly salt: Uint8Array | null
  readonly details: string | null
}

/**
 * Answers one page of a log, newest first. It reads a bounded number of rows, whatever the query
 * is: it may hold fewer entries than there are, and even none, and then says where the next page
 * begins. `scopeIn` decides in the transaction that reads, and makes row-level security show it the
 * log.
 */
export async function queryLog(
  db: Database,
  log: string,
  query: LogQuery,
  scopeIn: (tx: Tx) => Promise<Scope>,
  findReadings: FindReadings = () => Promise.resolve([]),
): Promise<EntriesPage> {
  return transaction(db, async (tx) => {
    const scope = await scopeIn(tx)
    const size = await visibleSize(tx, log)
    if (size === undefined) throw new Problem('NOT_FOUND')
    const first = query.from === undefined ? 0 : await firstSince(tx, log, size, query.from)
    const past = query.to === undefined ? size : await firstSince(tx, log, size, query.to)
    const range = { first, past }
    const filters = narrow(query, scope)
    const before = Math.min(past, query.after ?? past)
    if (filters === undefined || before <= first) return { entries: [], next: null, range }
    const rows = await pageOf(tx, log, filters, { first, before, findReadings })
    const { entries, next } = readPage(rows, filters, scope)
    return { entries, next: next === null || next <= first ? null : next, range }
  })
}

/**
 * Answers how many entries a log had at the end of a millisecond, in a transaction that sees the
 * log.
 */
export async function sizeAt(tx: Tx, log: string, at: Date): Promise<number> {
  const size = (await visibleSize(tx, log)) ?? 0
  return firstSince(tx, log, size, new Date(at.getTime() + 1).toISOString())
}

/** Answers the query limited to what the caller may see; undefined where that is nothing. */
function narrow(query: LogQuery, scope: Scope): Filters | undefined {
  const { person, organization } = scope
  if (person !== undefined && query.person !== undefined && query.person !== person) return undefined
  if (organization !== undefined && query.organization !== undefined && query.organization !== organization)
    return undefined
  const kinds =
    query.kinds === undefined || scope.kinds === undefined
      ? (query.kinds ?? scope.kinds)
      : query.kinds.filter((kind) => scope.kinds?.includes(kind))
  if (kinds?.length === 0) return undefined
  return {
    ...query,
    ...(person === undefined ? {} : { person }),
    ...(organization === undefined ? {} : { organization }),
    kinds: kinds?.length === allKinds.length ? undefined : kinds,
    within: scope.within,
  }
}

/**
 * Answers the index of the first entry of that moment or later; the size where there is none.
 * Halves the log, whose times never decrease.
 */
async function firstSince(tx: Tx, log: string, size: number, at: string): Promise<number> {
  const { rows } = await sql<{ low: number }>`
    WITH RECURSIVE half (low, high) AS (
      SELECT 0::bigint, ${size}::bigint
      UNION ALL
      SELECT CASE WHEN e.at < ${at}::timestamptz THEN e.index + 1 ELSE low END,
             CASE WHEN e.at < ${at}::timestamptz THEN high ELSE e.index END
      FROM half CROSS JOIN LATERAL (
        SELECT index, at FROM log_entry WHERE log_id = ${log} AND index = (low + high) / 2 OFFSET 0
      ) AS e
      WHERE low < high
    )
    SELECT low FROM half WHERE low >= high`.execute(tx)
  return rows[0]?.low ?? size
}

interface Within {
  readonly first: number
  readonly before: number
  readonly findReadings: FindReadings
}

/**
 * Whose readings the query looks for. Undefined where it asks for no person, organization or
 * message, or for what no reading has: a device, a compartment, another subject.
 */
function readingsWanted(query: Filters): Pick<ReadingsAsked, 'person' | 'organization' | 'message'> | undefined {
  const { kinds, person, organization, device, compartment, subject, message } = query
  const none = device ?? compartment ?? (message === true ? undefined : subject)
  if (none !== undefined || (kinds !== undefined && !kinds.includes('messages.read'))) return undefined
  if ((person ?? organization ?? subject) === undefined) return undefined
  return definedMembers({ person, organization, message: subject })
}

const columns = {
  subject: 'subject',
  device: 'device_id',
  person: 'person_id',
  compartment: 'compartment_id',
  organization: 'organization_id',
} as const

/**
 * Reads one page in two steps. First the places, from the one index that fits best, whose entries
 * of each kind lie in the order of the log and are merged. Then the entries in these places, and of
 * them those that match what the index does not know. Readings have places of their own. OFFSET 0
 * has Postgres look each place up, where it might otherwise read the whole table to join it.
 */
async function pageOf(tx: Tx, log: string, filters: Filters, { first, before, findReadings }: Within): Promise<Row[]> {
  const [led, ...others] = Object.entries(columns).filter(
    ([name]) => filters[name as keyof typeof columns] !== undefined,
  )
  const equals = ([name, column]: [string, string]) =>
    sql`${sql.ref(`log_entry.${column}`)} = ${filters[name as keyof typeof columns]}`
  const beside = [...withinOf(filters), ...textOf(filters)]
  const mostEntries = others.length + beside.length === 0 ? filters.limit : mostEntriesLookedAt
  const wanted = readingsWanted(filters)
  const readings =
    wanted === undefined ? [] : await findReadings(tx, log, { ...wanted, first, before, limit: mostEntries })
  const ofReadings = sql`unnest(${[...readings]}::bigint[])`
  const inColumns = sql.join([sql`true`, ...others.map(equals)], sql` AND `)
  const rest = [sql`(log_entry.index IN (SELECT ${ofReadings}) OR (${inColumns}))`, ...beside]
  const places = (kind: RawBuilder<unknown> | undefined) => sql`
    SELECT index FROM log_entry
    WHERE log_id = ${log} AND index >= ${first} AND index < ${before}
      ${led === undefined ? sql`` : sql`AND ${equals(led)}`} ${kind === undefined ? sql`` : sql`AND kind = ${kind}`}
    ORDER BY index DESC LIMIT ${mostEntries}`
  const byKind = filters.kinds ?? (led === undefined ? undefined : allKinds)
  const merged =
    byKind === undefined
      ? places(undefined)
      : sql`
    SELECT place.index FROM unnest(${[...byKind]}::text[]) AS wanted (kind)
    CROSS JOIN LATERAL (${places(sql`wanted.kind`)}) AS place ORDER BY place.index DESC LIMIT ${mostEntries}`
  const { rows } = await sql<Row>`
    WITH place AS MATERIALIZED (
      SELECT index FROM ((${merged}) UNION SELECT ${ofReadings}) AS found (index) ORDER BY index DESC LIMIT ${mostEntries}
    )
    SELECT reached.floor, page.*
    FROM (SELECT CASE WHEN count(*) = ${mostEntries} THEN min(index) END AS floor FROM place) AS reached
    LEFT JOIN LATERAL (
      SELECT log_entry.index, log_entry.leaf, log_private.salt, log_private.details
      FROM (SELECT index FROM place ORDER BY index DESC) AS place
      CROSS JOIN LATERAL (SELECT * FROM log_entry WHERE log_id = ${log} AND index = place.index OFFSET 0) AS log_entry
      LEFT JOIN LATERAL (
        SELECT salt, details FROM log_private WHERE log_id = ${log} AND index = place.index OFFSET 0
      ) AS log_private ON true
      WHERE ${sql.join([sql`true`, ...rest], sql` AND `)}
      ORDER BY place.index DESC LIMIT ${filters.words.length === 0 ? filters.limit : mostEntriesLookedAt}
    ) AS page ON true
    ORDER BY page.index DESC`.execute(tx)
  return rows
}

function withinOf({ within }: Filters): RawBuilder<unknown>[] {
  if (within === undefined) return []
  return [
    sql`(log_entry.kind <> ALL (${[...within.kinds]}::text[]) OR log_entry.compartment_id IS NULL
      OR log_entry.compartment_id = ANY (${[...within.compartments]}::uuid[]))`,
  ]
}

function textOf({ words }: Filters): RawBuilder<unknown>[] {
  if (words.length === 0) return []
  const details = sql`log_private.details`
  return [
    sql`(octet_length(${details}) <> char_length(${details}) OR strpos(${details}, '\\') > 0
      OR lower(${details} COLLATE "C") LIKE ALL (${patternsOf(words)}::text[]))`,
  ]
}

/**
 * Answers the rows that may be shown, and where the next page begins: at the last row of a full
 * page, else where looking ended. The database does not know all that words ask for, so that only
 * the entries that have them fill a page.
 */
function readPage(
  rows: readonly Row[],
  { words, limit }: Filters,
  scope: Scope,
): Pick<EntriesPage, 'entries' | 'next'> {
  const entries: EntriesPage['entries'] = []
  const found = rows.filter((row) => row.index !== null)
  for (const { index, leaf: text, salt, details } of found) {
    const leaf = parseLeaf(text)
    if (!scope.shows(leaf)) continue
    const open = details !== null && salt !== null && scope.showsDetails(leaf)
    if (words.length > 0 && !(open && hasWords(details, words))) continue
    entries.push(open ? { leaf: text, details, salt: base64url(salt) } : { leaf: text })
    if (words.length > 0 && entries.length === limit) return { entries, next: index }
  }
  const full = words.length === 0 && found.length === limit ? found.at(-1)?.index : undefined
  return { entries, next: full ?? rows[0]?.floor ?? null }
}
