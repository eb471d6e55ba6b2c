import { sql } from 'kysely'
import type { Tx } from '../db/index.ts'

/**
 * The cosignature of a witness on one published checkpoint: a signature line for each of its keys.
 */
export interface Cosignature {
  readonly witness: string
  readonly size: number
  readonly lines: string
}

/**
 * Stores a cosignature unless it is stored already, or a later one of this witness is: a later
 * cosignature says more, and the numbers of a witness rise with its sizes. The transaction must
 * have entered the log.
 */
export async function insertCosignature(tx: Tx, log: string, cosignature: Cosignature): Promise<void> {
  // A witness may have answered two servers at once; the numbers of a log have no gap.
  await sql`SELECT pg_advisory_xact_lock(hashtextextended(${`cosignature ${log}`}, 0))`.execute(tx)
  const { last, newest } = await tx
    .selectFrom('log_cosignature')
    .select(({ fn }) => [
      fn.max('number').as('last'),
      fn.max('size').filterWhere('witness', '=', cosignature.witness).as('newest'),
    ])
    .where('log_id', '=', log)
    .executeTakeFirstOrThrow()
  if (Number(newest ?? 0) > cosignature.size) return
  await tx
    .insertInto('log_cosignature')
    .values({ log_id: log, ...cosignature, number: Number(last ?? 0) + 1 })
    .onConflict((conflict) => conflict.columns(['log_id', 'witness', 'size']).doNothing())
    .execute()
}

/** Answers the newest cosignature of each witness. The transaction must have entered the log. */
export async function newestCosignatures(tx: Tx, log: string): Promise<Cosignature[]> {
  return tx
    .selectFrom('log_cosignature')
    .distinctOn('witness')
    .select(['witness', 'size', 'lines'])
    .where('log_id', '=', log)
    .orderBy('witness')
    .orderBy('size', 'desc')
    .execute()
}

export async function cosignaturesAt(tx: Tx, log: string, size: number): Promise<Cosignature[]> {
  return tx
    .selectFrom('log_cosignature')
    .select(['witness', 'size', 'lines'])
    .where('log_id', '=', log)
    .where('size', '=', size)
    .orderBy('witness')
    .execute()
}

/**
 * Answers the sizes below a bound that have at least `least` cosignatures, newest first. The
 * transaction must have entered the log.
 */
export async function cosignedSizes(tx: Tx, log: string, below: number, least: number): Promise<number[]> {
  const rows = await tx
    .selectFrom('log_cosignature')
    .select('size')
    .where('log_id', '=', log)
    .where('size', '<', below)
    .groupBy('size')
    .having(({ fn }) => fn.countAll(), '>=', least)
    .orderBy('size', 'desc')
    .limit(sizesPerPage)
    .execute()
  return rows.map(({ size }) => size)
}

const sizesPerPage = 64

/** Answers the published checkpoint of a size. The transaction must have entered the log. */
export async function checkpointAt(tx: Tx, log: string, size: number): Promise<string | undefined> {
  const row = await tx
    .selectFrom('log_checkpoint')
    .select('note')
    .where('log_id', '=', log)
    .where('size', '=', size)
    .executeTakeFirst()
  return row?.note
}

/** An entry of the directory that says that a program is a witness from then on, or no longer. */
export interface WitnessEntry {
  readonly index: number
  readonly kind: string
  readonly leaf: string
  /** JSON, as the leaf commits to it. */
  readonly details: string | null
}

/**
 * Answers the entries about witnesses, in order. The transaction must have entered the directory.
 */
export async function witnessEntries(tx: Tx, directory: string): Promise<WitnessEntry[]> {
  // The condition on kinds is that of the index log_entry_witnesses, word for word.
  const { rows } = await sql<WitnessEntry>`
    SELECT entry.index, entry.kind, entry.leaf, hidden.details
    FROM log_entry AS entry LEFT JOIN log_private AS hidden ON hidden.log_id = entry.log_id AND hidden.index = entry.index
    WHERE entry.log_id = ${directory} AND kind IN ('witness.added', 'witness.removed') ORDER BY entry.index`.execute(tx)
  return rows
}
