import { sql } from 'kysely'
import type { Database } from './database.ts'

/** Requests of one window, counted by a key that tells a reader of the table nothing. */
export interface RateCount {
  readonly key: Uint8Array
  readonly endsAt: Date
  readonly requests: number
}

/** The counts that all servers of the service share. */
export interface RateStore {
  /** Adds to each count and answers the new counts in their order. All keys must be different. */
  add(counts: readonly RateCount[]): Promise<number[]>
  /** Removes the windows that ended before this time. */
  forget(before: Date): Promise<void>
}

/**
 * Makes a store that adds any number of counts in one statement and one round trip. The table is
 * UNLOGGED, so no request waits for a disk.
 */
export function createRateStore(db: Database): RateStore {
  return {
    async add(counts) {
      // Two servers that add to the same keys take them in one order, or they would wait for each
      // other.
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
