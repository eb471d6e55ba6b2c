import { Problem } from '../errors.ts'
import { describeConnection, type Database } from './database.ts'

const oldestVersion = 16

/**
 * Refuses a Postgres before version 16, whose GRANT does not know INHERIT FALSE: Problem
 * POSTGRES_TOO_OLD. Errors of the database pass.
 */
export async function requireRecentPostgres({ pool, connectionString }: Database): Promise<void> {
  const { rows } = await pool.query<{ version: number }>(
    "SELECT current_setting('server_version_num')::int / 10000 AS version",
  )
  const version = rows[0]?.version ?? 0
  if (version >= oldestVersion) return
  throw new Problem('POSTGRES_TOO_OLD', {
    detail: `${describeConnection(connectionString)} is Postgres ${String(version)}; ${String(oldestVersion)} or later is needed`,
  })
}
