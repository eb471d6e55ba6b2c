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

/** Messages of an operation by the index of their entry, with all that belongs to them. */
export function messagesByIndex(tx: Tx, operation: string): AsyncIterable<RawMessage> {
  return inOrder(
    tx,
    sql<RawMessage>`
      SELECT m.*, b.jwe, e.content, e.salt, t.compartment_id AS thread_compartment,
        (SELECT min(f.log_index) FROM message f WHERE f.operation_id = m.operation_id AND f.thread_id = m.thread_id) AS thread_opened
      FROM message m
      LEFT JOIN body b ON b.operation_id = m.operation_id AND b.message_id = m.id
      LEFT JOIN extract e ON e.operation_id = m.operation_id AND e.message_id = m.id
      LEFT JOIN thread t ON t.operation_id = m.operation_id AND t.id = m.thread_id
      WHERE m.operation_id = ${operation} ORDER BY m.log_index`,
  )
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
