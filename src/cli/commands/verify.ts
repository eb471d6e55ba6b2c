import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { readConfig, type Config } from '../../config.ts'
import { findEmbedded, openDatabase, refuseNewer, schemaVersion, startEmbedded } from '../../db/index.ts'
import type { Report } from '../../log/index.ts'
import { asMember } from '../device.ts'
import { CommandFailure, exitCodes, failAtEnd } from '../failures.ts'
import { chooseOperation, inOperation, type OperationOptions } from '../followed-operation.ts'
import type { FileOptions } from '../file-trust.ts'
import { verifyFile } from '../verify-file.ts'
import { firstLines, heldCheckpoints, logKeysFor, verifyWithBars } from '../verified-database.ts'
import { openTerminal, type Progress, type Terminal, isolated } from '../terminal.ts'
import { counted } from '../words.ts'

interface Options extends OperationOptions, FileOptions {
  readonly server?: true
}

export function addVerify(command: Command): void {
  inOperation(
    command
      .argument('[file]', 'a receipt, or a bundle that cordon audit --evidence wrote: verified without any service')
      .option(
        '--server',
        'as a member, over the service: its checkpoint against the last one of this device, and your receipts',
      )
      .option(
        '--log-keys <file>',
        'verifier keys of a log, two lines HOST/logs/ID+HASH+KEY as `cordon log-keys` prints them, where log.key is not at hand',
      )
      .option('--keys <file>', 'with a file: as --log-keys')
      .option(
        '--root <thumbprint>',
        'thumbprint of the root of trust, where the database is not to be believed even on that',
      )
      .option('--witness-keys <file>', 'with a file: verifier keys of witnesses, one a line')
      .option('--quorum <n>', 'with a file: so many of them must have cosigned; all if not given')
      .option('--witness-policy <file>', 'with a file: a policy of C2SP tlog-policy, whose quorum must have cosigned')
      .option('--statement <file>', 'with a receipt: the signed statement that the entry must commit to')
      .option('--body <file>', 'with a receipt and its statement: the sealed body that the statement must name'),
  )
    .addHelpText(
      'after',
      `
Without --server: the embedded database in DATA_DIRECTORY (./data), whether its service runs or not, or the database of DATABASE_URL. Every
row is read and recomputed: leaves, tree, checkpoints, certificates, members, epochs, messages. Nothing is written.
The exit code is 1 where there is a discrepancy; the first discrepancies are shown with their log and entry.

With a file: a receipt (\`cordon receipt\`) or a bundle of evidence, without any service and without a session. The keys come from --keys, or else from
the store of this device, with its pinned witness policy. Who, what, when and which witnesses is printed; a file that does not verify is refused with
one sentence and exit code 1.

Examples:
  $ cordon verify
  $ cordon verify 41.tlog-proof --keys cordon.keys --witness-policy witnesses.policy
  $ cordon verify 41.tlog-proof --keys cordon.keys --statement 41.statement --body 41.body
  $ DATABASE_URL_FILE=/run/secrets/auditor cordon verify --json
  $ cordon verify evidence.json --log-keys cordon.keys --root 8CDYE9hGaHTm44mfdt73-nTEUmiKs-0zeKUNUP9GsZg
  $ cordon verify --server --operation HORIZON`,
    )
    .action((file: string | undefined, options: Options) => {
      if (file !== undefined) return verifyFile(file, options)
      return options.server === true ? verifyOverService(options) : verifyDatabase(options)
    })
}

function verifyOverService(options: Options): Promise<void> {
  return asMember(options, async (device) => {
    const { client, terminal } = device
    const { operation, name, reference } = await chooseOperation(device, options.operation)
    let bar: Progress | undefined
    const check = await client.checkOwnPlace(operation, (done, of) => {
      bar ??= terminal.progress('Verifying receipts', of)
      bar.advance(done)
    })
    bar?.stop()
    const { size, root, receipts, cosigned, discrepancies } = check
    const verified = discrepancies.length === 0
    terminal.result({ operation, verified, ...check }, () => [
      ...firstLines(discrepancies.map((one) => ({ log: operation, ...one }))),
      verified
        ? `Verified: the log of ${isolated(name)} (${isolated(reference)}) has ${counted(size, 'entry', 'entries')}, signed by the pinned key and grown from what this device saw; ${counted(receipts, 'receipt')} of this device ${receipts === 1 ? 'is' : 'are'} in it.`
        : `NOT verified: ${counted(discrepancies.length, 'discrepancy', 'discrepancies')}. Tell a coordinator and the auditors.`,
      ...(cosigned === undefined
        ? []
        : [
            cosigned < size
              ? `Witnesses: they have cosigned ${counted(cosigned, 'entry', 'entries')}, NOT yet the ${counted(size - cosigned, 'entry', 'entries')} after them.`
              : 'Witnesses: they have cosigned all of it.',
          ]),
      ...(root === '' ? [] : [`Root: ${root}`]),
    ])
    if (!verified) failAtEnd()
  })
}

async function verifyDatabase(options: Options): Promise<void> {
  const terminal = openTerminal({ json: options.json ?? false })
  if (options.operation !== undefined || options.store !== undefined)
    throw new CommandFailure(
      'Without --server the whole database is verified: leave out --operation and --store.',
      exitCodes.usage,
    )
  const config = readConfig()
  const { databaseUrl, stop } = await reachDatabase(config, terminal)
  try {
    await requireReadable(databaseUrl)
    const held = await heldCheckpoints(join(config.dataDirectory, 'checkpoints'))
    const keys = await logKeysFor(config, held, options.logKeys)
    const root = options.root === undefined ? {} : { root: options.root }
    const report = await verifyWithBars(terminal, { databaseUrl, ...keys, held, ...root })
    tell(terminal, report, held.length)
  } finally {
    await stop()
  }
}

function tell(terminal: Terminal, report: Report, held: number): void {
  const { logs, entries, discrepancies } = report
  const verified = discrepancies.length === 0
  terminal.result({ verified, ...report }, () => [
    ...firstLines(discrepancies),
    ...logs.map(
      ({ log, operation, size, root }) =>
        `${operation === null ? 'directory' : 'operation'} ${log}: ${counted(size, 'entry', 'entries')}, root ${root}`,
    ),
    verified
      ? `Verified: ${counted(entries, 'entry', 'entries')} in ${counted(logs.length, 'log')}, every row recomputed${held === 0 ? '' : `, ${counted(held, 'checkpoint')} held outside the database found in ${held === 1 ? 'its log' : 'their logs'}`}.`
      : `NOT verified: ${counted(discrepancies.length, 'discrepancy', 'discrepancies')}. Keep the database as it is, and docs/runbook.md says what to do.`,
  ])
  if (!verified) failAtEnd()
}

/**
 * The database of the configuration. An embedded database that does not run is started and stopped
 * again.
 */
async function reachDatabase(
  config: Config,
  terminal: Terminal,
): Promise<{ databaseUrl: string; stop: () => Promise<void> }> {
  if (config.databaseUrl !== undefined) return { databaseUrl: config.databaseUrl, stop: async () => {} }
  const directory = join(config.dataDirectory, 'postgres')
  if (!existsSync(join(directory, 'cluster')))
    throw new CommandFailure(
      `There is no database in ${config.dataDirectory}: set DATA_DIRECTORY to that of the service, or DATABASE_URL.`,
    )
  const running = await findEmbedded(directory)
  if (running !== undefined) return { databaseUrl: running, stop: async () => {} }
  const embedded = await startEmbedded({ directory, log: (line) => terminal.note(line) })
  return { databaseUrl: embedded.appUrl, stop: () => embedded.stop() }
}

async function requireReadable(databaseUrl: string): Promise<void> {
  const db = openDatabase({ connectionString: databaseUrl, connections: 1, onError: () => {} })
  try {
    const version = await schemaVersion(db)
    refuseNewer(version, databaseUrl)
    if (version.state !== 'current')
      throw new CommandFailure(
        version.state === 'empty'
          ? 'This database holds no Cordon yet: there is nothing to verify.'
          : `The database is older than this program (${version.applied ?? ''}): verify it with the program that wrote it, or migrate it first.`,
      )
  } finally {
    await db.close()
  }
}
