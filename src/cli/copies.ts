import { existsSync } from 'node:fs'
import { copyFile, mkdir, readFile, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from '../config.ts'
import {
  copyIn,
  findEmbedded,
  migrate,
  openDatabase,
  startEmbedded,
  withScratch,
  type BackupManifest,
} from '../db/index.ts'
import { allLogs, type Report } from '../log/index.ts'
import { CommandFailure } from './failures.ts'
import { harmlessLine, type Progress, type Terminal } from './terminal.ts'
import { firstLines, logKeysFor, verifyWithBars, type HeldCheckpoints } from './verified-database.ts'

/** A database that a command reaches as a superuser. */
interface ReachedDatabase {
  readonly url: string
  stop(): Promise<void>
}

export const isEmbedded = ({ databaseUrl, databaseOwnerUrl }: Config) =>
  databaseUrl === undefined && databaseOwnerUrl === undefined

export const ownCheckpoints = ({ dataDirectory }: Config) => join(dataDirectory, 'checkpoints')

/**
 * Reaches the database of the configuration as a superuser, also while its service runs: the
 * embedded one, or that of DATABASE_OWNER_URL. An embedded database that does not run is started.
 */
export async function reachAsSuperuser(config: Config, terminal: Terminal): Promise<ReachedDatabase> {
  if (!isEmbedded(config)) return { url: ownerUrlOf(config), stop: async () => {} }
  const directory = join(config.dataDirectory, 'postgres')
  if (!existsSync(join(directory, 'cluster')))
    throw new CommandFailure(
      `There is no database in ${config.dataDirectory}: set DATA_DIRECTORY to that of the service, or DATABASE_OWNER_URL.`,
    )
  const running = await findEmbedded(directory, 'postgres')
  if (running !== undefined) return { url: running, stop: async () => {} }
  const embedded = await startEmbedded({ directory, log: (line) => terminal.note(line) })
  return { url: embedded.superUrl, stop: () => embedded.stop() }
}

export function ownerUrlOf({ databaseOwnerUrl }: Config): string {
  if (databaseOwnerUrl !== undefined) return databaseOwnerUrl
  throw new CommandFailure(
    'Set DATABASE_OWNER_URL (or DATABASE_OWNER_URL_FILE) to the database as a superuser: no other role sees all rows.',
  )
}

/** Shows how far a copy is, once it takes more than a second. */
export async function withCopyBar<T>(
  terminal: Terminal,
  what: string,
  work: (progress: (bytes: number, of: number) => void) => Promise<T>,
): Promise<T> {
  let bar: Progress | undefined
  try {
    return await work((bytes, of) => {
      bar ??= terminal.progress(what, Math.max(1, Math.round(of / 1024)))
      bar.advance(Math.round(bytes / 1024))
    })
  } finally {
    bar?.stop()
  }
}

/** A checkpoint that was published and that is beyond the end of a copy. */
export interface BeyondCopy {
  readonly log: string
  readonly size: number
  readonly published: number
}

interface VerifiedCopy {
  readonly report: Report
  readonly url: string
  readonly beyond: readonly BeyondCopy[]
}

/**
 * Puts a copy into an empty database beside the one of `superUrl`, verifies every log there with
 * the verifier of `cordon verify` and with the checkpoints that are held, and calls `work` before
 * that database is dropped again.
 */
export async function verifyCopy<T>(
  { superUrl, directory, manifest }: { superUrl: string; directory: string; manifest: BackupManifest },
  { config, held, terminal }: { config: Config; held: HeldCheckpoints; terminal: Terminal },
  work: (verified: VerifiedCopy) => Promise<T>,
): Promise<T> {
  return withScratch(superUrl, async (url) => {
    await migrate(url)
    await withCopyBar(terminal, 'Reading the copy', (progress) => copyIn(url, directory, manifest, progress))
    const { within, beyond } = splitByReach(held, await sizesIn(url))
    const keys = await logKeysFor(config, held, undefined)
    const report = await verifyWithBars(terminal, { databaseUrl: url, ...keys, held: within })
    if (report.discrepancies.length > 0) {
      for (const line of firstLines(report.discrepancies)) terminal.note(harmlessLine(line))
      throw new CommandFailure(
        `NOT verified: the copy in ${directory} has discrepancies, and was not taken. docs/runbook.md says what to do.`,
      )
    }
    return work({ report, url, beyond })
  })
}

async function sizesIn(url: string): Promise<ReadonlyMap<string, number>> {
  const db = openDatabase({ connectionString: url, connections: 1, onError: () => {} })
  try {
    return new Map((await allLogs(db)).map(({ id, size }) => [id, size]))
  } finally {
    await db.close()
  }
}

/** The size that a checkpoint, a signed note, is of. */
const sizeOf = (note: string) => Number(note.split('\n')[1])

/** Splits checkpoints by a copy: those that its logs must hold, and those beyond its end. */
function splitByReach(held: HeldCheckpoints, sizes: ReadonlyMap<string, number>) {
  const within: { readonly log: string; readonly note: string }[] = []
  const beyond = new Map<string, BeyondCopy>()
  for (const one of held) {
    const [size, published] = [sizes.get(one.log) ?? 0, sizeOf(one.note)]
    if (published <= size) within.push(one)
    else if (published > (beyond.get(one.log)?.published ?? 0)) beyond.set(one.log, { log: one.log, size, published })
  }
  return { within, beyond: [...beyond.values()] }
}

/**
 * Copies checkpoint files with their times. A file that is there stays, where it is of a larger
 * size.
 */
export async function copyCheckpoints(logs: readonly string[], from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true, mode: 0o700 })
  for (const log of logs) {
    const [source, target] = [join(from, log), join(to, log)]
    const present = existsSync(target) ? sizeOf(await readFile(target, 'utf8')) : -1
    if (present >= sizeOf(await readFile(source, 'utf8'))) continue
    const { atime, mtime } = await stat(source)
    await copyFile(source, target)
    await utimes(target, atime, mtime)
  }
}
