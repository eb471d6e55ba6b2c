import { sql } from 'kysely'
import type { Tx } from '../db/index.ts'

/**
 * A row as the verifier reads it: times and JSON as exact text, so that no digit that a type would
 * round away is missed.
 */
export interface RawLog {
  readonly id: string
  readonly operation_id: string | null
  readonly size: number
  readonly root: Uint8Array
  readonly edge: Uint8Array
  readonly seqs: string
  readonly changed_index: number
  readonly last_at: string
}

export interface RawEntry {
  readonly index: number
  readonly leaf: string
  readonly leaf_hash: Uint8Array
  readonly kind: string
  readonly at: string
  readonly person_id: string | null
  readonly organization_id: string | null
  readonly device_id: string | null
  readonly compartment_id: string | null
  readonly seq: number | null
  readonly subject: string
}

export interface RawPrivate {
  readonly index: number
  readonly salt: Uint8Array
  readonly details: string
}

export interface RawNode {
  readonly level: number
  readonly index: number
  readonly hash: Uint8Array
}

export interface RawCheckpoint {
  readonly size: number
  readonly note: string
  readonly previous_size: number | null
}

export interface RawCosignature {
  readonly witness: string
  readonly size: number
  readonly number: number
  readonly lines: string
}

export interface RowCounts {
  readonly entries: number
  readonly privates: number
  readonly nodes: number
  readonly checkpoints: number
  readonly cosignatures: number
}

const exactTime = (column: string) =>
  sql<string>`to_char(${sql.ref(column)} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

export async function rawLog(tx: Tx, log: string): Promise<RawLog | undefined> {
  const { rows } = await sql<RawLog>`
    SELECT id, operation_id, size, root, edge, seqs::text AS seqs, changed_index, ${exactTime('last_at')} AS last_at
    FROM log WHERE id = ${log}`.execute(tx)
  return rows[0]
}

export async function rawEntries(tx: Tx, log: string, after: number, limit: number): Promise<RawEntry[]> {
  const { rows } = await sql<RawEntry>`
    SELECT index, leaf, leaf_hash, kind, ${exactTime('at')} AS at, person_id, organization_id, device_id, compartment_id, seq, subject
    FROM log_entry WHERE log_id = ${log} AND index > ${after} ORDER BY index LIMIT ${limit}`.execute(tx)
  return rows
}

export async function rawPrivates(tx: Tx, log: string, from: number, past: number): Promise<RawPrivate[]> {
  const { rows } = await sql<RawPrivate>`
    SELECT index, salt, details FROM log_private
    WHERE log_id = ${log} AND index >= ${from} AND index < ${past}`.execute(tx)
  return rows
}

export async function rawNodes(tx: Tx, log: string, level: number, from: number, past: number): Promise<RawNode[]> {
  const { rows } = await sql<RawNode>`
    SELECT level, index, hash FROM log_node
    WHERE log_id = ${log} AND level = ${level} AND index >= ${from} AND index < ${past} ORDER BY index`.execute(tx)
  return rows
}

/** Answers the checkpoints of sizes above `after` and up to `upTo`. */
export async function rawCheckpoints(tx: Tx, log: string, after: number, upTo: number): Promise<RawCheckpoint[]> {
  const { rows } = await sql<RawCheckpoint>`
    SELECT size, note, previous_size FROM log_checkpoint
    WHERE log_id = ${log} AND size > ${after} AND size <= ${upTo} ORDER BY size`.execute(tx)
  return rows
}

/** Answers the cosignatures of sizes above `after` and up to `upTo`. */
export async function rawCosignatures(tx: Tx, log: string, after: number, upTo: number): Promise<RawCosignature[]> {
  const { rows } = await sql<RawCosignature>`
    SELECT witness, size, number, lines FROM log_cosignature
    WHERE log_id = ${log} AND size > ${after} AND size <= ${upTo} ORDER BY size, witness`.execute(tx)
  return rows
}

/**
 * Answers the numbers of a log's cosignatures: how many there are, and the largest. No two numbers
 * are equal, and none is below 1.
 */
export async function cosignatureNumbers(tx: Tx, log: string): Promise<{ count: number; last: number }> {
  const { rows } = await sql<{ count: number; last: number }>`
    SELECT count(DISTINCT number) FILTER (WHERE number >= 1) AS count, coalesce(max(number), 0) AS last
    FROM log_cosignature WHERE log_id = ${log}`.execute(tx)
  return rows[0] ?? { count: 0, last: 0 }
}

export const noRows: RowCounts = { entries: 0, privates: 0, nodes: 0, checkpoints: 0, cosignatures: 0 }

/** Answers the number of rows per log, also of logs that do not exist. */
export async function rowCounts(tx: Tx): Promise<Map<string, RowCounts>> {
  const counts = new Map<string, RowCounts>()
  const add = (rows: readonly ({ log_id: string } & Partial<RowCounts>)[]) => {
    for (const { log_id, ...counted } of rows) counts.set(log_id, { ...(counts.get(log_id) ?? noRows), ...counted })
  }
  add((await sql<RowCounts & { log_id: string }>`SELECT * FROM all_log_rows()`.execute(tx)).rows)
  add((await sql<{ log_id: string; cosignatures: number }>`SELECT * FROM all_cosignature_rows()`.execute(tx)).rows)
  return counts
}

/**
 * Writes an object of counts whose names are all equally long as jsonb writes it: ordered, with one
 * space after colon and comma.
 */
export function writtenByJsonb(counts: ReadonlyMap<string, number>): string {
  const members = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, count]) => `"${name}": ${count}`)
  return `{${members.join(', ')}}`
}

export function microsecondText(at: string): string {
  return at.replace(/Z$/, '000Z')
}
