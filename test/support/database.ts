import { rm } from 'node:fs/promises'
import pg from 'pg'
import { startEmbedded, type EmbeddedPostgres } from '../../src/db/index.ts'
import { copyTemplate, newDirectory, settings, sharedPostgres, type SharedPostgres } from './postgres.ts'

/** Anything that lets go of what a test made: a tap test. */
interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

export interface TestDatabase {
  readonly name: string
  /** As the service connects: cordon_app. */
  readonly url: string
  /** As migrations run: cordon_owner. */
  readonly ownerUrl: string
  /** For tampering: a superuser, whom no trigger and no right stops. */
  readonly superUrl: string
}

const quiet = () => {}
let count = 0

/**
 * A private, migrated database, dropped when `owner` ends. The Postgres behind it is that of the
 * run: other files have databases beside it, so nothing may be done to the whole. See
 * `privatePostgres`.
 */
export async function testDatabase(owner: Owner): Promise<TestDatabase> {
  return cloneOf(owner, 'cordon')
}

/** A private copy of a database that nobody uses, dropped when `owner` ends. */
export async function cloneOf(owner: Owner, template: string): Promise<TestDatabase> {
  const server = await sharedPostgres()
  const name = newName()
  await outside(server, (client) => clone(client, name, template))
  return dropped(owner, server, name)
}

/**
 * What a database holds now, in another one: a backup that was restored elsewhere. Whoever uses the
 * first is cut off for a moment.
 */
export async function copyOfDatabase(owner: Owner, original: TestDatabase): Promise<TestDatabase> {
  const server = await sharedPostgres()
  const name = newName()
  await outside(server, async (client) => {
    for (let attempt = 0; ; attempt++) {
      await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [original.name])
      try {
        await clone(client, name, original.name)
        return
      } catch (error) {
        // Somebody was back at once.
        if ((error as { code?: string }).code !== '55006' || attempt > 50) throw error
      }
    }
  })
  return dropped(owner, server, name)
}

// The id of the process, since the files of a run share the Postgres.
const newName = () => `test_${process.pid}_${++count}`

function dropped(owner: Owner, server: SharedPostgres, name: string): TestDatabase {
  owner.teardown(() => outside(server, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`)))
  return within(server, name)
}

function within(server: SharedPostgres, name: string): TestDatabase {
  const inside = (url: string) => withDatabase(url, name)
  return { name, url: inside(server.appUrl), ownerUrl: inside(server.ownerUrl), superUrl: inside(server.superUrl) }
}

/** An empty database, without any migration. */
export async function emptyDatabase(owner: Owner): Promise<TestDatabase> {
  const made = await testDatabase(owner)
  await admin(made.superUrl, async (client) => {
    // DROP OWNED would take rights from the roles in every database.
    await client.query('DROP SCHEMA public CASCADE')
    await client.query('CREATE SCHEMA public AUTHORIZATION pg_database_owner')
    await client.query(`ALTER DATABASE ${made.name} OWNER TO cordon_owner`)
  })
  return made
}

/** A whole migrated Postgres of one's own, to be killed or filled: its database is `cordon`. */
export async function privatePostgres(
  owner: Owner,
  log: (sentence: string) => void = quiet,
  launch: typeof startEmbedded = startEmbedded,
): Promise<EmbeddedPostgres & { directory: string }> {
  const directory = await newDirectory()
  await copyTemplate(directory)
  const server = await launch({ directory, log, settings })
  owner.teardown(async () => {
    await server.stop()
    await rm(directory, { recursive: true, force: true })
  })
  return { ...server, directory }
}

/**
 * Runs `work` on a connection to no database that is cloned: whoever is connected to one keeps
 * others from cloning it.
 */
function outside<T>(server: Pick<SharedPostgres, 'superUrl'>, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return admin(withDatabase(server.superUrl, 'postgres'), work)
}

/** Runs `work` on one connection of its own. */
export async function admin<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', quiet)
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

export function withDatabase(url: string, name: string): string {
  const changed = new URL(url)
  changed.pathname = `/${name}`
  return changed.href
}

async function clone(client: pg.Client, name: string, template = 'cordon'): Promise<void> {
  await client.query(`CREATE DATABASE ${name} TEMPLATE ${template} OWNER cordon_keeper`)
  // The rights on a database are not cloned with it.
  await client.query(`REVOKE ALL ON DATABASE ${name} FROM PUBLIC`)
  await client.query(`GRANT CONNECT ON DATABASE ${name} TO cordon_owner, cordon_app, cordon_auditor, cordon_eraser`)
}
