import { sql } from 'kysely'
import type { Database } from './database.ts'

/** Requests of one window, by a key that says nothing to whoever reads it. */
export interface RateCount {
  readonly key: Uint8Array
  readonly endsAt: Date
  readonly requests: number
}

/** Counts that all servers of the service share. */
export interface RateStore {
  /**
   * Adds to each count and answers what it is now, in the same order. Keys are different from each
   * other.
   */
  add(counts: readonly RateCount[]): Promise<number[]>
  /** Lets go of windows that ended before then. */
  forget(before: Date): Promise<void>
}

/**
 * One statement and one round trip for however many keys; UNLOGGED, so nothing waits for a disk.
 */
export function createRateStore(db: Database): RateStore {
  return {
    async add(counts) {
      // Two servers that add to the same keys take them in the same order, or they would wait for
      // each other.
      const { rows } = await sql<{ key: Buffer; requests: number }>`
        INSERT INTO rate_limit AS known (key, ends_at, requests)
        SELECT * FROM unnest(${counts.map(({ key }) => key)}::bytea[], ${counts.map(({ endsAt }) => endsAt)}::timestamptz[],
          ${counts.map(({ requests }) => requests)}::bigint[]) ORDER BY 1, 2
        ON CONFLICT (key, ends_at) DO UPDATE SET requests = known.requests + excluded.requests
        RETURNING key, requests`.execute(db.kysely)
      const now = new Map(rows.map(({ key, requests }) => [key.toString('hex'), requests]))
      return counts.map(({ key, requests }) => now.get(Buffer.from(key).toString('hex')) ?? requests)
    },
    async forget(before) {
      await db.kysely.deleteFrom('rate_limit').where('ends_at', '<', before).execute()
    },
  }
}
