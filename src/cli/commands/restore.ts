import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { readConfig, type Config } from '../../config.ts'
import {
  checkpointsIn,
  copyIn,
  copyOut,
  migrate,
  openDatabase,
  readManifest,
  requireWhole,
  startEmbedded,
  type BackupManifest,
} from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import { compareLogs, type ComparedLog, type Report } from '../../log/index.ts'
import { version } from '../../main.ts'
import {
  copyCheckpoints,
  isEmbedded,
  ownCheckpoints,
  ownerUrlOf,
  verifyCopy,
  withCopyBar,
  type BeyondCopy,
} from '../copies.ts'
import { CommandFailure } from '../failures.ts'
import { openTerminal, type Terminal } from '../terminal.ts'
import { heldCheckpoints } from '../verified-database.ts'
import { counted } from '../words.ts'

interface Options {
  readonly json?: boolean
}

/** A copy on the disk of this machine, as it is read. */
interface Source {
  readonly directory: string
  readonly manifest: BackupManifest
}

interface Restored {
  readonly taken: readonly ComparedLog[]
  readonly logs: Report['logs']
  /** The logs that are still behind what was published. */
  readonly behind: readonly BeyondCopy[]
}

export function addRestore(command: Command): void {
  command
    .argument('<source>', 'a directory that `cordon backup` made, or the postgres:// URL of a newer copy')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Into an empty database: all of the backup. Into an older copy of the same service: the entries that it lacks, with all that belongs to them, where the
source begins with every entry that is there. The database is the embedded one in DATA_DIRECTORY (./data), or that of DATABASE_OWNER_URL, which must
name a superuser; every server is stopped before. log.key must be in its place.

Before anything is taken, the source is read into a database of its own and every log is verified as by \`cordon verify\`, with the newest checkpoints of
DATA_DIRECTORY/checkpoints, which stay: they say what was published. What the source lacks of that is named at the end.

Examples:
  $ cordon restore /backups/2026-11-30
  $ DATABASE_OWNER_URL_FILE=/run/secrets/superuser cordon restore postgres://postgres@standby.example/cordon`,
    )
    .action(async (name: string, options: Options) => {
      const terminal = openTerminal({ json: options.json ?? false })
      const restored = await restore(name, readConfig(), terminal)
      const { taken, logs, behind } = restored
      const entries = taken.reduce((sum, { size, newer }) => sum + newer - size, 0)
      terminal.result({ entries, ...restored }, () => [
        ...taken
          .filter(({ size, newer }) => newer > size)
          .map(({ log, size, newer }) => `log ${log}: ${rangeWords(size, newer - 1)} taken`),
        `Restored and verified: ${counted(entries, 'entry', 'entries')} taken, in ${counted(logs.length, 'log')}.`,
        ...behind.map(
          ({ log, size, published }) =>
            `STILL BEHIND: log ${log} has ${counted(size, 'entry', 'entries')} where ${String(published)} were published. The service starts as an older copy, which is read; restore again from a newer copy.`,
        ),
      ])
    })
}

function rangeWords(first: number, last: number): string {
  return first === last ? `entry ${String(first)}` : `entries ${String(first)} to ${String(last)}`
}

async function restore(name: string, config: Config, terminal: Terminal): Promise<Restored> {
  const database = await openTarget(config, terminal)
  try {
    return await withSource(name, config, terminal, async ({ directory, manifest }) => {
      const ofSource = await heldCheckpoints(checkpointsIn(directory))
      const held = [...(await heldCheckpoints(ownCheckpoints(config))), ...ofSource]
      return verifyCopy(
        { superUrl: database.url, directory, manifest },
        { config, held, terminal },
        async ({ report: { logs }, url, beyond }) => {
          const taken = await requireContinued(database.url, url, logs)
          if (taken.some(({ size, newer }) => newer > size))
            await withCopyBar(terminal, 'Restoring', (progress) => copyIn(database.url, directory, manifest, progress))
          const names = ofSource.map(({ log }) => log)
          await copyCheckpoints(names, checkpointsIn(directory), ownCheckpoints(config))
          return { taken, logs, behind: beyond }
        },
      )
    })
  } finally {
    await database.stop()
  }
}

/** The database to restore into, with the schema of this program, and without a server. */
async function openTarget(config: Config, terminal: Terminal): Promise<{ url: string; stop(): Promise<void> }> {
  if (!isEmbedded(config)) {
    const url = ownerUrlOf(config)
    await migrate(url)
    return { url, stop: async () => {} }
  }
  const directory = join(config.dataDirectory, 'postgres')
  const embedded = await startEmbedded({ directory, log: (line) => terminal.note(line) })
  try {
    await migrate(embedded.superUrl)
  } catch (error) {
    await embedded.stop()
    throw error
  }
  return { url: embedded.superUrl, stop: () => embedded.stop() }
}

/** Opens the source: a directory, or a database that is first copied into one. */
async function withSource<T>(
  name: string,
  config: Config,
  terminal: Terminal,
  work: (source: Source) => Promise<T>,
): Promise<T> {
  if (!/^postgres(ql)?:\/\//.test(name)) {
    const directory = resolve(name)
    if (!existsSync(directory)) throw new CommandFailure(`There is no directory ${directory}.`)
    const manifest = await readManifest(directory)
    await requireWhole(directory, manifest)
    return work({ directory, manifest })
  }
  const directory = await mkdtemp(join(config.dataDirectory, 'newer-copy-'))
  try {
    const about = { program: version, now: new Date() }
    const manifest = await withCopyBar(terminal, 'Copying', (progress) => copyOut(name, directory, about, progress))
    return await work({ directory, manifest })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/**
 * Requires that a copy begins with every entry of every log that is here: nothing that is here is
 * lost. Answers what it has beyond that.
 */
async function requireContinued(hereUrl: string, copyUrl: string, logs: Report['logs']): Promise<ComparedLog[]> {
  const open = (connectionString: string) => openDatabase({ connectionString, connections: 1, onError: () => {} })
  const [here, copy] = [open(hereUrl), open(copyUrl)]
  try {
    const compared = await compareLogs(here, copy)
    const forked = compared.find(({ continues }) => !continues)
    if (forked !== undefined) {
      const { log, size, newer } = forked
      const why =
        newer < size
          ? `has ${String(newer)} entries of log ${log}, and this database has ${String(size)}`
          : `does not begin with the ${String(size)} entries of log ${log} that are here`
      throw new Problem('BACKUP_REFUSED', { detail: `the source ${why}` })
    }
    const known = new Set(compared.map(({ log }) => log))
    const added = logs.filter(({ log }) => !known.has(log))
    return [...compared, ...added.map(({ log, size }) => ({ log, size: 0, newer: size, continues: true }))]
  } finally {
    await here.close()
    await copy.close()
  }
}
