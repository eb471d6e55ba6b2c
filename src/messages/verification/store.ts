import { sql } from 'kysely'
import type { Tx } from '../../db/index.ts'
import type { MessageRow } from '../store.ts'

export type RawMessage = MessageRow & {
  readonly jwe: string | null
  readonly content: string | null
  readonly salt: string | null
  readonly thread_compartment: string | null
  /** Index of the first message of its thread. */
  readonly thread_opened: number
}

const page = 200

/**
 * Messages of an operation by the index of their entry, with all that belongs to them. Read a page at a time by their indexes, and what
 * belongs to a page by its ids: over a join of everything the planner may choose a way that takes hours, where it has no statistics.
 */
export async function* messagesByIndex(tx: Tx, operation: string): AsyncGenerator<RawMessage, undefined> {
  for (let after = -1; ;) {
    const { rows: messages } = await sql<MessageRow>`
      SELECT * FROM message WHERE operation_id = ${operation} AND log_index > ${after} ORDER BY log_index LIMIT ${page}`.execute(
      tx,
    )
    const belongings = await belongingsOf(tx, operation, messages)
    for (const message of messages) yield { ...message, ...belongings(message) }
    if (messages.length < page) return
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

/** How many bodies, extracts and threads an operation has: none without its message. */
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
