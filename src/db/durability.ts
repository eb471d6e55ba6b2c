import { Problem } from '../errors.ts'
import { describeConnection, type Database } from './database.ts'
import { errorCode, toDatabaseProblem } from './failures.ts'
import { refuseNewer, schemaVersion } from './migrate.ts'
import { requireRecentPostgres } from './postgres-version.ts'

/**
 * Refuses a database that may lose what it acknowledged: `fsync`, `full_page_writes` or
 * `synchronous_commit` is off (Problem DATABASE_UNSAFE names them). `synchronous_commit = local`
 * loses nothing on the server itself and passes.
 */
export async function checkDurability(db: Database): Promise<void> {
  const { rows } = await ask(db, {
    text: `SELECT name, setting FROM pg_settings
           WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off' ORDER BY name`,
  })
  if (rows.length === 0) return
  const names = rows.map((row) => String(row['name']))
  throw new Problem('DATABASE_UNSAFE', {
    detail: `${describeConnection(db.connectionString)} has ${names.join(', ')} switched off`,
    settings: names,
  })
}

/**
 * Refuses a database that the service may not use. It must be reached, be Postgres 16 or later, be
 * durable, and have exactly the schema of this program; the role of the service must be neither
 * superuser nor free of row-level security nor the owner of a table.
 */
export async function requireServable(db: Database): Promise<void> {
  await asking(db, () => requireRecentPostgres(db))
  const { rows } = await ask(db, {
    text: `SELECT rolsuper OR rolbypassrls AS mighty,
                  EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relkind IN ('r', 'p')) AS owner
           FROM pg_roles r WHERE rolname = current_user`,
  })
  const found = rows[0] as { mighty: boolean; owner: boolean }
  const where = describeConnection(db.connectionString)
  if (found.mighty || found.owner) {
    const why = found.mighty ? 'bypasses the rules of the database' : 'owns tables'
    throw new Problem('DATABASE_ROLE', { detail: `the role used for ${where} ${why}` })
  }
  await checkDurability(db)
  const version = await schemaVersion(db)
  refuseNewer(version, db.connectionString)
  if (version.state === 'current') return
  throw new Problem('DATABASE_OLDER', {
    detail: `${where} ${version.applied === undefined ? 'is empty' : `stands at ${version.applied}`}, this program needs ${version.known}`,
  })
}

/** Answers whether the database answers now; /readyz asks it. */
export async function answers(db: Database): Promise<boolean> {
  return db.pool.query('SELECT 1').then(
    () => true,
    () => false,
  )
}

function ask(db: Database, query: { text: string }): Promise<{ rows: Record<string, unknown>[] }> {
  return asking(db, () => db.pool.query<Record<string, unknown>>(query))
}

/** Says of a database that cannot be asked which one it is, and why. */
async function asking<T>(db: Database, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof Problem) throw error
    const problem = toDatabaseProblem(error)
    const sentence = error instanceof Error ? error.message || (errorCode(error) ?? '') : String(error)
    if (problem instanceof Problem || /^(28|3D)/.test(errorCode(error) ?? '')) {
      throw new Problem('DATABASE_UNAVAILABLE', {
        detail: `${describeConnection(db.connectionString)} cannot be used: ${sentence}`,
        cause: error,
      })
    }
    throw error
  }
}
