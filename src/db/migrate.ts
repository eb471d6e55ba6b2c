import { readFile, readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { sql, type Kysely } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import { Problem } from '../errors.ts'
import { isKept, keep, mayKeep, release } from './keeper.ts'
import { describeConnection, openDatabase, type Database } from './database.ts'
import { errorCode, toDatabaseProblem } from './failures.ts'
import type { DB } from './tables.ts'

export const migrationDirectory = fileURLToPath(new URL('../../migrations', import.meta.url))

/** How a database stands to this program. */
export interface SchemaVersion {
  /** Newest migration the database has; undefined on an empty one. */
  readonly applied: string | undefined
  /** Newest migration this program has. */
  readonly known: string
  readonly state: 'empty' | 'older' | 'current' | 'newer'
  /** Migrations that the database has and this program does not. */
  readonly unknown: readonly string[]
}

async function knownMigrations(directory = migrationDirectory): Promise<string[]> {
  const files = await readdir(directory)
  return files.filter((file) => /^\d{4}_[a-z0-9_]+\.sql$/.test(file)).sort()
}

async function appliedMigrations(db: Kysely<DB>): Promise<string[]> {
  try {
    const rows = await db.selectFrom('schema_migration').select('name').orderBy('name').execute()
    return rows.map((row) => row.name)
  } catch (error) {
    // undefined_table: nothing was ever migrated here
    if (errorCode(error) === '42P01') return []
    throw toDatabaseProblem(error)
  }
}

/** Compares the migrations a database has with those of this program. */
export async function schemaVersion(db: Database): Promise<SchemaVersion> {
  const known = await knownMigrations()
  const applied = await appliedMigrations(db.kysely)
  const unknown = applied.filter((name) => !known.includes(name))
  const missing = known.some((name) => !applied.includes(name))
  const state = applied.length === 0 ? 'empty' : unknown.length > 0 ? 'newer' : missing ? 'older' : 'current'
  return { applied: applied.at(-1), known: known.at(-1) ?? '', state, unknown }
}

export interface MigrationResult {
  readonly applied: string[]
  /**
   * Whether what is never changed belongs to a role that cordon_owner and cordon_app cannot become.
   * See `keep`.
   */
  readonly kept: boolean
}

/** Any number, the same for all who migrate. */
const migrationLock = 7_262_833

/**
 * Brings a database to the newest schema: plain SQL files in the order of their names, forward
 * only, all that are missing in one transaction, one after the other where two migrate at once.
 * Connects as cordon_owner or a role that may become it; a superuser, or who may become
 * cordon_keeper too, then hands over to cordon_keeper what is never changed. Problem DATABASE_NEWER
 * if the database knows migrations that this program does not, DATABASE_ROLE where cordon_keeper
 * has it already, and the role may not become it.
 */
export async function migrate(ownerUrl: string): Promise<MigrationResult> {
  const url = new URL(ownerUrl)
  const db = openDatabase({
    connectionString: ownerUrl,
    connections: 1,
    statementTimeoutMs: 0,
    applicationName: 'cordon migrate',
    onError: () => {},
  })
  try {
    await sql`SELECT pg_advisory_lock(${migrationLock})`.execute(db.kysely)
    const version = await schemaVersion(db)
    refuseNewer(version, ownerUrl)
    const keeps = await mayKeep(db.kysely)
    if (version.state === 'older') await (keeps ? release(db.kysely) : refuseKept(db.kysely))
    const owner = decodeURIComponent(url.username)
    if (owner !== 'cordon_owner') await becomeOwner(db, owner)
    const migrator = new Migrator({
      db: db.kysely,
      provider: { getMigrations: readMigrations },
      migrationTableName: 'schema_migration',
      migrationLockTableName: 'schema_migration_lock',
    })
    const { error, results } = await migrator.migrateToLatest()
    if (owner !== 'cordon_owner') await sql`RESET ROLE`.execute(db.kysely)
    // A database that stayed empty stays as its superuser made it.
    if (keeps && (error === undefined || version.state !== 'empty')) await keep(db.kysely)
    if (error !== undefined) throw toDatabaseProblem(error)
    const applied = (results ?? []).filter((r) => r.status === 'Success').map((r) => r.migrationName)
    return { applied, kept: await isKept(db.kysely) }
  } catch (error) {
    throw toDatabaseProblem(error)
  } finally {
    await db.close()
  }
}

/**
 * A right that is given or taken by somebody who does not own the table is a warning to Postgres,
 * and no error.
 */
async function refuseKept(db: Kysely<DB>): Promise<void> {
  if (!(await isKept(db))) return
  const detail =
    'what is never changed belongs to cordon_keeper; let DATABASE_OWNER_URL name a superuser, or a role that may become cordon_owner and cordon_keeper'
  throw new Problem('DATABASE_ROLE', { detail })
}

/** Refuses a database that a later version has migrated. */
export function refuseNewer(version: SchemaVersion, connectionString: string): void {
  if (version.state !== 'newer') return
  throw new Problem('DATABASE_NEWER', {
    detail: `${describeConnection(connectionString)} has ${version.unknown.join(', ')}, which this program does not know (its newest is ${version.known})`,
  })
}

// Every table must belong to cordon_owner, whoever runs the migration: the rights of the other
// roles hang on it.
async function becomeOwner(db: Database, role: string): Promise<void> {
  try {
    await sql`SET ROLE cordon_owner`.execute(db.kysely)
  } catch (error) {
    throw new Problem('DATABASE_ROLE', {
      detail: `the role ${role} may not become cordon_owner; let DATABASE_OWNER_URL name cordon_owner`,
      cause: error,
    })
  }
}

async function readMigrations(): Promise<Record<string, Migration>> {
  const migrations: Record<string, Migration> = {}
  for (const name of await knownMigrations()) {
    const text = await readFile(`${migrationDirectory}/${name}`, 'utf8')
    migrations[name] = {
      async up(db) {
        await sql.raw(text).execute(db)
      },
    }
  }
  return migrations
}
