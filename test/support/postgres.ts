import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { migrate, migrationDirectory, startEmbedded, type EmbeddedPostgres } from '../../src/db/index.ts'

/** A migrated Postgres that several tests share. */
export interface SharedPostgres extends Pick<EmbeddedPostgres, 'superUrl' | 'ownerUrl' | 'appUrl'> {
  /** Exists as long as the Postgres runs: for what belongs to its databases. */
  readonly directory: string
}

// Real settings for durability; less memory, because several of these run side by side.
export const settings = {
  shared_buffers: '48MB',
  max_connections: '200',
  io_method: 'sync',
  autovacuum: 'off',
  max_wal_size: '512MB',
}
// One that all files of a run share holds the connections and the pages of several files.
const sharedSettings = { ...settings, shared_buffers: '192MB', max_connections: '600', max_wal_size: '1GB' }
const keeper = fileURLToPath(new URL('postgres-keeper.ts', import.meta.url))
const longestStartMs = 120_000
const quiet = () => {}
const run = promisify(execFile)

let shared: Promise<SharedPostgres> | undefined

/**
 * The Postgres of this run: `tap` starts each test file as a process, and the first that asks for a
 * Postgres starts one for all of them, which ends with the run. A file that was started without
 * `tap` has one of its own.
 */
export function sharedPostgres(): Promise<SharedPostgres> {
  shared ??= process.env['TAP_CHILD_ID'] === undefined ? startOwn() : ofRun(process.ppid)
  return shared
}

/**
 * For a file that does things to the whole Postgres, such as to roles: it has one of its own.
 * Called before the first database.
 */
export function keepOwnPostgres(): void {
  shared ??= startOwn()
  // Whoever asks for a database is told.
  shared.catch(quiet)
}

async function startOwn(): Promise<SharedPostgres> {
  const directory = await newDirectory()
  const server = await startShared(directory)
  // Imported here alone: the keeper is no test.
  const { default: t } = await import('tap')
  t.teardown(async () => {
    await server.stop()
    await rm(directory, { recursive: true, force: true })
  })
  return { ...server, directory }
}

/** Starts what a run shares below this directory. */
export async function startShared(directory: string): Promise<EmbeddedPostgres> {
  const cluster = join(directory, 'pg')
  await mkdir(cluster, { mode: 0o700 })
  await copyTemplate(cluster)
  return startEmbedded({ directory: cluster, log: quiet, settings: sharedSettings })
}

/**
 * When a process was started, in ticks since the machine was; undefined once it has ended. Ids are
 * given anew, so that an id alone says little.
 */
export async function startOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  // The name of the program, in parentheses, may hold spaces: the 22nd field is the 20th after it.
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19]
}

/** What the keeper of the Postgres of a run writes for the files of the run. */
export const addressIn = (directory: string) => join(directory, 'address.json')
export const complaintIn = (directory: string) => join(directory, 'complaint')

async function ofRun(runner: number): Promise<SharedPostgres> {
  const started = await startOf(runner)
  if (started === undefined) throw new Error('the run has ended')
  const directory = join(await baseDirectory(), `${runner}-run-${started}`)
  const isFirst = await mkdir(directory, { mode: 0o711 }).then(
    () => true,
    (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
      throw error
    },
  )
  if (isFirst) {
    // A process of its own, since this file ends before the run does.
    const environment = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] }
    const options = { detached: true, stdio: 'ignore', env: environment } as const
    const flags = ['--disable-warning=ExperimentalWarning', keeper]
    spawn(process.execPath, [...flags, directory, String(runner), started], options).unref()
  }
  for (const end = Date.now() + longestStartMs; !existsSync(addressIn(directory)); await pause(20)) {
    const complaint = await readFile(complaintIn(directory), 'utf8').catch(() => undefined)
    if (complaint !== undefined) throw new Error(`the Postgres of this run did not start: ${complaint}`)
    if (Date.now() > end) throw new Error('the Postgres of this run did not start in time')
  }
  return JSON.parse(await readFile(addressIn(directory), 'utf8')) as SharedPostgres
}

/** A directory of this process, where databases and what belongs to them are quick. */
export async function newDirectory(): Promise<string> {
  return mkdtemp(join(await baseDirectory(), `${process.pid}-`))
}

/** Fills a directory with a migrated and stopped Postgres. */
export async function copyTemplate(directory: string): Promise<void> {
  const base = await baseDirectory()
  await removeAbandoned(base)
  const template = await requireTemplate(base)
  // cp keeps owners and modes, which Postgres looks at, and links
  await run('cp', ['-a', `${template}/.`, directory])
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
    join(launcher, 'keeper.ts'),
    join(launcher, 'migrate.ts'),
    join(import.meta.dirname, '../../package-lock.json'),
    ...(await readdir(migrationDirectory)).sort().map((name) => join(migrationDirectory, name)),
  ]
  for (const file of files) hash.update(`${basename(file)}\n`).update(await readFile(file))
  return hash.digest('hex').slice(0, 16)
}

// A killed process leaves its directory; its Postgres has ended with it. Templates of yesterday
// belong to older migrations.
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
