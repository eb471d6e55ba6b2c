import { readFile, readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { sql, type Kysely } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import { Problem } from '../errors.ts'
import { comparingForm } from '../forms/index.ts'
import { isKept, keep, mayKeep, release } from './keeper.ts'
import { describeConnection, openDatabase, type Database } from './database.ts'
import { errorCode, toDatabaseProblem } from './failures.ts'
import { requireRecentPostgres } from './postgres-version.ts'
import type { DB } from './tables.ts'

export const migrationDirectory = fileURLToPath(new URL('../../migrations', import.meta.url))

/** How the schema of a database compares with that of this program. */
export interface SchemaVersion {
  /** The newest migration that the database has; undefined on an empty database. */
  readonly applied: string | undefined
  /** The newest migration that this program has. */
  readonly known: string
  readonly state: 'empty' | 'older' | 'current' | 'newer'
  /** The migrations that the database has and this program does not have. */
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
    // undefined_table: no migration ever ran here.
    if (errorCode(error) === '42P01') return []
    throw toDatabaseProblem(error)
  }
}

/** Compares the migrations of a database with those of this program. */
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
   * Whether the objects that never change belong to a role that cordon_owner and cordon_app cannot
   * become. See `keep`.
   */
  readonly kept: boolean
}

/** The advisory lock of migrations: any number will do, but all servers must use one. */
const migrationLock = 7_262_833

/**
 * Brings a database to the newest schema: plain SQL files in the order of their names, forward
 * only. All missing migrations run in one transaction, and of two servers that migrate at once one
 * waits for the other. Connects as cordon_owner or a role that may become it. A superuser, or a
 * role that may also become cordon_keeper, then hands over to cordon_keeper the objects that never
 * change. Problem DATABASE_NEWER if the database has migrations that this program does not have,
 * DATABASE_ROLE where cordon_keeper has the objects already and the role may not become it,
 * POSTGRES_TOO_OLD before Postgres 16.
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
    await requireRecentPostgres(db)
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
 * Refuses a migration where cordon_keeper owns the objects already. Postgres only warns, and raises
 * no error, when a role that does not own a table gives or takes a right on it.
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

// Every table must belong to cordon_owner, whichever role runs the migration: the rights of the
// other roles depend on it.
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

/** What a migration does beside its SQL, because the service alone knows the form of a name. */
const steps: Readonly<Record<string, (db: Kysely<DB>) => Promise<void>>> = {
  '0027_name_forms.sql': fillNameForms,
}

async function fillNameForms(db: Kysely<DB>): Promise<void> {
  const rows = await db
    .selectFrom('organization')
    .select(['id', 'name'])
    .orderBy('registered_at')
    .orderBy('id')
    .execute()
  const forms = new Set<string>()
  for (const { id, name } of rows) {
    const form = comparingForm(name)
    if (forms.has(form)) continue
    forms.add(form)
    await db.updateTable('organization').set({ name_form: form }).where('id', '=', id).execute()
  }
}

async function readMigrations(): Promise<Record<string, Migration>> {
  const migrations: Record<string, Migration> = {}
  for (const name of await knownMigrations()) {
    const text = await readFile(`${migrationDirectory}/${name}`, 'utf8')
    migrations[name] = {
      async up(db) {
        await sql.raw(text).execute(db)
        await steps[name]?.(db as Kysely<DB>)
      },
    }
  }
  return migrations
}
