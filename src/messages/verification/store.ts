import { sql } from 'kysely'
import { inOrder, type Tx } from '../../db/index.ts'
import type { MessageRow } from '../store.ts'

export type RawMessage = MessageRow & {
  readonly jwe: string | null
  readonly content: string | null
  readonly salt: string | null
  readonly thread_compartment: string | null
  /** Index of the first message of its thread. */
  readonly thread_opened: number
}

const pageMessages = 200

/**
 * Answers the messages of an operation by the index of their entry, with all rows that belong to
 * them. They are read a page at a time by their indexes, and the rows of a page by its ids: over a
 * join of everything the planner may choose a way that takes hours, where it has no statistics.
 */
export async function* messagesByIndex(tx: Tx, operation: string): AsyncGenerator<RawMessage, undefined> {
  for (let after = -1; ;) {
    const { rows: messages } = await sql<MessageRow>`
      SELECT * FROM message WHERE operation_id = ${operation} AND log_index > ${after} ORDER BY log_index LIMIT ${pageMessages}`.execute(
      tx,
    )
    const belongings = await belongingsOf(tx, operation, messages)
    for (const message of messages) yield { ...message, ...belongings(message) }
    if (messages.length < pageMessages) return
    after = messages.at(-1)?.log_index ?? after
  }
}

type Belongings = Omit<RawMessage, keyof MessageRow>

async function belongingsOf(
  tx: Tx,
  operation: string,
  messages: readonly MessageRow[],
): Promise<(message: MessageRow) => Belongings> {
  const ids = messages.map(({ id }) => id)
  const threadIds = [...new Set(messages.map(({ thread_id: id }) => id))]
  const { rows: bodies } = await sql<{ id: string; jwe: string }>`
    SELECT message_id AS id, jwe FROM body WHERE operation_id = ${operation} AND message_id = ANY(${ids}::uuid[])`.execute(
    tx,
  )
  const { rows: extracts } = await sql<{ id: string; content: string; salt: string }>`
    SELECT message_id AS id, content, salt FROM extract
    WHERE operation_id = ${operation} AND message_id = ANY(${ids}::uuid[])`.execute(tx)
  const { rows: threads } = await sql<{ id: string; compartment: string | null; opened: number }>`
    SELECT wanted.id, (SELECT compartment_id FROM thread t WHERE t.operation_id = ${operation} AND t.id = wanted.id) AS compartment,
      (SELECT m.log_index FROM message m WHERE m.operation_id = ${operation} AND m.thread_id = wanted.id
       ORDER BY m.log_index LIMIT 1) AS opened
    FROM unnest(${threadIds}::uuid[]) AS wanted (id)`.execute(tx)
  const byId = <T extends { readonly id: string }>(rows: readonly T[]) => new Map(rows.map((row) => [row.id, row]))
  const [bodyOf, extractOf, threadOf] = [byId(bodies), byId(extracts), byId(threads)]
  return ({ id, thread_id: thread }) => ({
    jwe: bodyOf.get(id)?.jwe ?? null,
    content: extractOf.get(id)?.content ?? null,
    salt: extractOf.get(id)?.salt ?? null,
    thread_compartment: threadOf.get(thread)?.compartment ?? null,
    thread_opened: threadOf.get(thread)?.opened ?? -1,
  })
}

/**
 * Answers how many bodies, extracts and threads an operation has; none exists without its message.
 */
export async function countContents(
  tx: Tx,
  operation: string,
): Promise<{ bodies: number; extracts: number; threads: number }> {
  const { rows } = await sql<{ bodies: number; extracts: number; threads: number }>`
    SELECT (SELECT count(*) FROM body WHERE operation_id = ${operation})::int AS bodies,
      (SELECT count(*) FROM extract WHERE operation_id = ${operation})::int AS extracts,
      (SELECT count(*) FROM thread WHERE operation_id = ${operation})::int AS threads`.execute(tx)
  return rows[0] ?? { bodies: 0, extracts: 0, threads: 0 }
}

/** Answers how many readings name a message that the operation does not have. */
export async function countReadsOfNothing(tx: Tx, operation: string): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*)::int AS count FROM message_read r
    WHERE r.operation_id = ${operation} AND NOT EXISTS
      (SELECT FROM message m WHERE m.operation_id = r.operation_id AND m.id = r.message_id)`.execute(tx)
  return rows[0]?.count ?? 0
}

const exactTime = (column: string) =>
  sql<string>`to_char(${sql.ref(column)} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

export interface RawDelivery {
  readonly at: string
  readonly organization: string
}

/** Answers the stored rows of these acknowledgements, by `<person> <up to>`. */
export async function deliveriesOf(
  tx: Tx,
  operation: string,
  acknowledged: readonly { readonly person: string; readonly upTo: number }[],
): Promise<Map<string, RawDelivery>> {
  if (acknowledged.length === 0) return new Map()
  const { rows } = await sql<RawDelivery & { person: string; up_to: number }>`
    SELECT d.person_id AS person, d.up_to, ${exactTime('d.at')} AS at, d.organization_id AS organization
    FROM unnest(${acknowledged.map(({ person }) => person)}::uuid[], ${acknowledged.map(({ upTo }) => upTo)}::bigint[])
      AS wanted (person_id, up_to)
    JOIN delivery d ON d.operation_id = ${operation} AND d.person_id = wanted.person_id AND d.up_to = wanted.up_to`.execute(
    tx,
  )
  return new Map(rows.map(({ person, up_to: upTo, ...row }) => [`${person} ${String(upTo)}`, row]))
}

export async function countDeliveries(tx: Tx, operation: string): Promise<number> {
  const { rows } = await sql<{ n: number }>`
    SELECT count(*)::int AS n FROM delivery WHERE operation_id = ${operation}`.execute(tx)
  return rows[0]?.n ?? 0
}

export interface RawRead {
  readonly message_id: string
  readonly person_id: string
  readonly organization_id: string
  readonly log_index: number
  readonly at: string
}

export function readsByIndex(tx: Tx, operation: string): AsyncIterable<RawRead> {
  return inOrder(
    tx,
    sql<RawRead>`
      SELECT r.message_id, r.person_id, r.organization_id, r.log_index, ${exactTime('r.at')} AS at
      FROM message_read r
      WHERE r.operation_id = ${operation} ORDER BY r.log_index, r.message_id, r.person_id`,
  )
}

/**
 * Answers those of these messages for which no row says that the person has read them, at this
 * index or before.
 */
export async function missingReads(
  tx: Tx,
  operation: string,
  { person, messages, index }: { person: string; messages: readonly string[]; index: number },
): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    SELECT wanted.id FROM unnest(${[...messages]}::uuid[]) AS wanted (id)
    WHERE NOT EXISTS (SELECT FROM message_read r WHERE r.operation_id = ${operation} AND r.message_id = wanted.id
      AND r.person_id = ${person} AND r.log_index <= ${index})`.execute(tx)
  return rows.map(({ id }) => id)
}

export interface RawImportKey {
  readonly organization: string
  readonly device: string
  /** base64url, as entries hold it. */
  readonly sha256: string
  readonly sealedBy: string | null
}

export async function importKeyRows(tx: Tx, operation: string): Promise<RawImportKey[]> {
  const { rows } = await sql<RawImportKey>`
    SELECT organization_id AS organization, device_id AS device, sealed_by AS "sealedBy",
      rtrim(translate(encode(sha256(convert_to(sealed, 'UTF8')), 'base64'), '+/', '-_'), '=') AS sha256
    FROM import_key WHERE operation_id = ${operation}`.execute(tx)
  return rows
}
