import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import t from 'tap'
import { migrate, migrationDirectory, startEmbedded, type Embedded } from '../../src/db/index.ts'

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

// Real settings for durability; less memory, because several of these run side by side.
const settings = {
  shared_buffers: '48MB',
  max_connections: '200',
  io_method: 'sync',
  autovacuum: 'off',
  max_wal_size: '512MB',
}
const quiet = () => {}
const run = promisify(execFile)

let shared: Promise<Embedded> | undefined
let count = 0

/**
 * A private, migrated database, dropped when `owner` ends. The Postgres behind it belongs to this test file: it starts with the first call
 * from a migrated copy, and ends with the file or, if that is killed, with its process.
 */
export async function testDatabase(owner: Owner): Promise<TestDatabase> {
  shared ??= startShared()
  const server = await shared
  const name = `test_${++count}`
  await outside(server, (client) => clone(client, name))
  owner.teardown(() => outside(server, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`)))
  const inside = (url: string) => withDatabase(url, name)
  return { name, url: inside(server.appUrl), ownerUrl: inside(server.ownerUrl), superUrl: inside(server.superUrl) }
}

/** What a database holds now, in another one: a backup that was restored elsewhere. Whoever uses the first is cut off for a moment. */
export async function copyOfDatabase(owner: Owner, original: TestDatabase): Promise<TestDatabase> {
  const server = await (shared ??= startShared())
  const name = `test_${++count}`
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
  owner.teardown(() => outside(server, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`)))
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
): Promise<Embedded & { directory: string }> {
  const directory = await copyOfTemplate()
  const server = await launch({ directory, log, settings })
  owner.teardown(async () => {
    await server.stop()
    await rm(directory, { recursive: true, force: true })
  })
  return { ...server, directory }
}

/** Runs `work` on a connection to no database that is cloned: whoever is connected to one keeps others from cloning it. */
function outside<T>(server: Embedded, work: (client: pg.Client) => Promise<T>): Promise<T> {
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

async function startShared(): Promise<Embedded> {
  const directory = await copyOfTemplate()
  const server = await startEmbedded({ directory, log: quiet, settings })
  t.teardown(async () => {
    await server.stop()
    await rm(directory, { recursive: true, force: true })
  })
  return server
}

async function copyOfTemplate(): Promise<string> {
  const base = await baseDirectory()
  await removeAbandoned(base)
  const template = await requireTemplate(base)
  const directory = await mkdtemp(join(base, `${process.pid}-`))
  // cp keeps owners and modes, which Postgres looks at, and links
  await run('cp', ['-a', `${template}/.`, directory])
  return directory
}

// Memory where there is plenty: what these tests prove needs a real Postgres, not a real disk.
async function baseDirectory(): Promise<string> {
  const memory = await statfs('/dev/shm').catch(() => undefined)
  const roomy = memory !== undefined && memory.bavail * memory.bsize > 4 * 2 ** 30
  const base = join(roomy ? '/dev/shm' : tmpdir(), `cordon-test-${process.getuid?.() ?? 0}`)
  await mkdir(base, { recursive: true, mode: 0o711 })
  return base
}

/** A migrated and stopped Postgres, made once per state of the migrations and of the launcher. */
async function requireTemplate(base: string): Promise<string> {
  const template = join(base, `template-${await fingerprint()}`)
  const exists = () =>
    stat(template).then(
      () => true,
      () => false,
    )
  if (await exists()) return template
  const partial = await mkdtemp(join(base, `${process.pid}-`))
  const server = await startEmbedded({ directory: partial, log: quiet, settings })
  try {
    await migrate(server.superUrl)
  } finally {
    await server.stop()
  }
  await rename(partial, template).catch(async (error: unknown) => {
    // Another test file was faster.
    await rm(partial, { recursive: true, force: true })
    if (!(await exists())) throw error
  })
  return template
}

async function fingerprint(): Promise<string> {
  const hash = createHash('sha256')
  const launcher = join(import.meta.dirname, '../../src/db')
  const files = [
    join(launcher, 'cluster.ts'),
    join(launcher, 'keeping.ts'),
    join(launcher, 'migrate.ts'),
    join(import.meta.dirname, '../../package-lock.json'),
    ...(await readdir(migrationDirectory)).sort().map((name) => join(migrationDirectory, name)),
  ]
  for (const file of files) hash.update(`${basename(file)}\n`).update(await readFile(file))
  return hash.digest('hex').slice(0, 16)
}

// A killed test leaves its directory; its Postgres has ended with it. Templates of yesterday belong to older migrations.
async function removeAbandoned(base: string): Promise<void> {
  const yesterday = Date.now() - 24 * 60 * 60 * 1000
  for (const name of await readdir(base)) {
    const pid = Number(name.split('-')[0])
    const made = await stat(join(base, name)).catch(() => undefined)
    if (name.startsWith('template-') && made !== undefined && made.mtimeMs < yesterday) {
      await rm(join(base, name), { recursive: true, force: true }).catch(quiet)
    } else if (Number.isInteger(pid) && !(await stat(`/proc/${pid}`).catch(() => undefined))) {
      await rm(join(base, name), { recursive: true, force: true }).catch(quiet)
    }
  }
}
