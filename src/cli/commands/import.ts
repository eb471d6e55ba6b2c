import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { mapRows, readMapping, type ImportFault, type Mapping, type MappedRow } from '../../client/index.ts'
import { agreed, type ConfirmationOptions } from '../confirmation.ts'
import { asMember, type CommandDevice } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import { inOperation, leaveOperation, openOperation, type OperationOptions } from '../followed-operation.ts'
import { openTerminal } from '../terminal.ts'
import { readTextFile } from '../text-input.ts'
import { counted, number } from '../words.ts'
import { findCompartment } from './compartment.ts'

interface Options extends OperationOptions, ConfirmationOptions {
  readonly map: string
  readonly update?: true
  readonly dryRun?: true
  readonly compartment?: string
  readonly newKey?: true
}

interface ImportFile {
  readonly mapping: Mapping
  readonly rows: readonly MappedRow[]
  /** SHA-256 of the file, base64url. */
  readonly file: string
}

const mostShown = 25
const replacementWarning =
  'Your organization gets a new import key in this operation, for all of its devices. Rows that were imported before are not known under it: each row of this file is sent, also those that are there already, and figures count them twice.'

export function addImport(command: Command): void {
  inOperation(
    command
      .argument('<file>', 'the CSV file of a national system')
      .requiredOption('--map <mapping>', 'JSON file with the mapping of each column')
      .option('--compartment <compartment>', 'the compartment of the messages; the compartment all if not given')
      .option('--update', 'correct rows whose source changed since they were imported')
      .option('--dry-run', 'check every row and send nothing')
      .option(
        '--new-key',
        'replace the import key of your organization, where it is refused (contact points, coordinators)',
      )
      .option('--yes', 'do not ask'),
  )
    .addHelpText(
      'after',
      `
Every row is checked before any row is sent: with one bad row no row is sent. Repeat an import that was interrupted.

Examples:
  $ cordon import seizures.csv --map seizures.map.json --dry-run
  $ cordon import seizures.csv --map seizures.map.json --operation HORIZON`,
    )
    .action(async (file: string, options: Options) => {
      const input = await readRows(file, options.map)
      if (options.dryRun === true) {
        const rows = input.rows.length
        openTerminal({ json: options.json ?? false }).result({ rows, faults: [] }, () => [
          `${counted(rows, 'row')} of ${file}: all are right. Nothing was sent.`,
        ])
        return
      }
      await asMember(options, (device) => send(device, input, options))
    })
}

async function send(device: CommandDevice, { mapping, rows, file }: ImportFile, options: Options): Promise<void> {
  const { client, terminal } = device
  const followed = await openOperation(device, options.operation)
  const { operation } = followed.session
  const { compartment: word } = options
  const compartment = word === undefined ? undefined : (await findCompartment(device, operation, word)).id
  const newKey = options.newKey === true
  if (newKey && !(await agreed(terminal, options, replacementWarning, 'Go on?'))) {
    await leaveOperation(followed)
    terminal.result({ operation, imported: 0 }, () => ['Nothing was done.'])
    return
  }
  const bar = terminal.progress('Importing', rows.length)
  try {
    const outcome = await client.importRows({
      operation,
      mapping,
      rows,
      file,
      update: options.update ?? false,
      newKey,
      ...(compartment === undefined ? {} : { compartment }),
      onProgress: ({ done, of }) => bar.advance(done + rows.length - of),
    })
    bar.stop()
    await leaveOperation(followed)
    const { imported, already, changed, corrected, index } = outcome
    const lines = changed.map(({ line }) => line).join(', ')
    terminal.result({ operation, ...outcome }, () => [
      `Imported: ${number(imported)} of ${counted(rows.length, 'row')}; ${number(already)} were there already. Recorded as entry ${String(index)}.`,
      ...(changed.length === 0
        ? []
        : [
            options.update === true
              ? `Corrected: ${number(corrected)}, because their source changed (lines ${lines}).`
              : `Changed since they were imported, and not corrected: lines ${lines}. --update sends corrections.`,
          ]),
    ])
  } finally {
    bar.stop()
  }
}

/**
 * Reads and checks the file and the mapping. Throws CommandFailure with all faults; nothing is sent
 * then.
 */
async function readRows(file: string, map: string): Promise<ImportFile> {
  const [csv, json] = await Promise.all([readFile(file), readTextFile(map)])
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new CommandFailure(`${map} is not JSON (${(cause as Error).message}): correct it. Nothing was sent.`)
  }
  const read = readMapping(value)
  if ('faults' in read) {
    const lines = read.faults.map(
      ({ pointer, reason, advice }) => `  ${pointer === '' ? '/' : pointer}: ${reason}. ${advice}`,
    )
    throw refused(`${map} has ${counted(read.faults.length, 'fault')}; nothing was sent.`, lines, read.faults)
  }
  const { rows, faults } = await mapRows(csv, read.mapping)
  if (faults.length > 0) {
    const bad = new Set(faults.map(({ line }) => line)).size
    throw refused(
      `${file} has ${counted(faults.length, 'fault')} in ${counted(bad, 'line')}; nothing was sent.`,
      faults.map(faultLine),
      faults,
    )
  }
  return { mapping: read.mapping, rows, file: createHash('sha256').update(csv).digest('base64url') }
}

function faultLine({ line, column, reason, advice }: ImportFault): string {
  return `  line ${String(line)}${column === '' ? '' : `, column ${column}`}: ${reason}. ${advice}`
}

function refused(head: string, lines: readonly string[], faults: readonly object[]): CommandFailure {
  const more = lines.length - mostShown
  const shown = [
    head,
    ...lines.slice(0, mostShown),
    ...(more > 0 ? [`  … and ${number(more)} more; --json lists them all.`] : []),
  ]
  return new CommandFailure(shown.join('\n'), exitCodes.failed, { faults })
}
