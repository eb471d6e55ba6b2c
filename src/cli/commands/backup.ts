import { resolve } from 'node:path'
import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { checkpointsIn, copyOut, writeManifest, type BackupManifest } from '../../db/index.ts'
import { version } from '../../main.ts'
import { copyCheckpoints, ownCheckpoints, reachAsSuperuser, verifyCopy, withCopyBar } from '../copies.ts'
import { openTerminal, type Terminal } from '../terminal.ts'
import { heldCheckpoints } from '../verified-database.ts'
import { counted, number } from '../words.ts'

interface Options {
  readonly json?: boolean
  readonly unverified?: true
}

export function addBackup(command: Command): void {
  command
    .argument('<directory>', 'a new directory for the backup')
    .option('--unverified', 'do not read the copy back into a database of its own, nor verify its logs')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Copies all tables in one snapshot, while the service runs: the embedded database in DATA_DIRECTORY (./data), or that of DATABASE_OWNER_URL, which
must name a superuser. The copy is then read into a database of its own beside it, every log is verified as by \`cordon verify\`, and that database is
dropped. The newest checkpoints (DATA_DIRECTORY/checkpoints) come with it.

The backup holds NO secret key: log.key, token.key and factor.key are kept apart, since who has log.key and the database can write another history.
It holds what the service knows: sealed messages, names, hashes of passphrases. Keep it as you keep the database.

Examples:
  $ cordon backup /backups/2026-11-30
  $ DATABASE_OWNER_URL_FILE=/run/secrets/superuser cordon backup /backups/today --json`,
    )
    .action(async (name: string, options: Options) => {
      const terminal = openTerminal({ json: options.json ?? false })
      const directory = resolve(name)
      const manifest = await backUp(directory, options, terminal)
      const { tables, logs } = manifest
      const bytes = tables.reduce((sum, table) => sum + table.bytes, 0)
      const rows = tables.reduce((sum, table) => sum + table.rows, 0)
      const megabytes = (bytes / 1e6).toFixed(1)
      terminal.result({ directory, verified: logs !== null, bytes, rows, ...manifest }, () => [
        `Backed up: ${counted(rows, 'row')} of ${counted(tables.length, 'table')}, ${megabytes} MB, as of ${manifest.at}, in ${directory}.`,
        logs === null
          ? 'NOT verified: run `cordon verify` on a restored copy before you trust it.'
          : `Verified on the copy: ${number(logs.reduce((sum, { size }) => sum + size, 0))} entries in ${counted(logs.length, 'log')}.`,
        'Keys are not in it: keep log.key, token.key and factor.key apart.',
      ])
    })
}

async function backUp(directory: string, { unverified }: Options, terminal: Terminal): Promise<BackupManifest> {
  const config = readConfig()
  // Read before the snapshot: the copy then holds what these checkpoints cover.
  const held = await heldCheckpoints(ownCheckpoints(config))
  const database = await reachAsSuperuser(config, terminal)
  try {
    const about = { program: version, now: new Date() }
    const copied = await withCopyBar(terminal, 'Copying', (progress) =>
      copyOut(database.url, directory, about, progress),
    )
    await copyCheckpoints(
      held.map(({ log }) => log),
      ownCheckpoints(config),
      checkpointsIn(directory),
    )
    const manifest = unverified
      ? copied
      : await verifyCopy(
          { superUrl: database.url, directory, manifest: copied },
          { config, held, terminal },
          async ({ report }): Promise<BackupManifest> => ({ ...copied, logs: [...report.logs] }),
        )
    await writeManifest(directory, manifest)
    return manifest
  } finally {
    await database.stop()
  }
}
