import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { mapRows, readMapping, type ImportOutcome, type MappedRows, type Mapping } from '../../client/index.ts'
import { agreed, type ConfirmationOptions } from '../confirmation.ts'
import { asMember, type CommandDevice } from '../device.ts'
import { CommandFailure, exitCodes } from '../failures.ts'
import { checkLines, faultLine, faultLines, proposalLines } from '../import-report.ts'
import { inOperation, leaveOperation, openOperation, type OperationOptions } from '../followed-operation.ts'
import { pathFromHere } from '../invocation.ts'
import { openTerminal, type Terminal } from '../terminal.ts'
import { readJson } from '../json-text.ts'
import { readTextFile } from '../text-input.ts'
import { counted, number } from '../words.ts'
import { findCompartment } from './compartment.ts'

interface Options extends OperationOptions, ConfirmationOptions {
  readonly map: string
  readonly update?: true
  readonly changes?: true
  readonly check?: true
  readonly dryRun?: true
  readonly compartment?: string
  readonly newKey?: true
}

interface ImportFile {
  readonly mapping: Mapping
  readonly mapped: MappedRows
  /** SHA-256 of the file, base64url. */
  readonly file: string
}

const messagesShown = 3
const unlikelyShare = 0.5
const replacementWarning =
  'Your organization gets a new import key in this operation, for all of its devices. Rows that were imported before are not known under it: each row of this file is sent, also those that are there already, and figures count them twice.'

export function addImport(command: Command): void {
  inOperation(
    command
      .argument('<file>', 'the CSV file or workbook (.xlsx) of a national system')
      .requiredOption('--map <mapping>', 'JSON file with the mapping of each column')
      .option('--compartment <compartment>', 'the compartment of the messages; the compartment all if not given')
      .option('--update', 'correct rows whose source changed since they were imported')
      .option(
        '--changes',
        'show which rows changed at the source, are gone from it or came back, and send corrections and withdrawals once you agree',
      )
      .option('--check', 'show the first rows as messages, and what was left out, rounded or converted; send nothing')
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
docs/forms.md has the language of mappings; cordon map proposes one for a file.
--changes takes the file for the whole source: a row that it does not have is gone.

Examples:
  $ cordon import seizures.csv --map seizures.map.json --check
  $ cordon import seizures.csv --map seizures.map.json --changes
  $ cordon import seizures.csv --map seizures.map.json --operation HORIZON`,
    )
    .action(async (file: string, options: Options) => {
      const terminal = openTerminal({ json: options.json ?? false })
      const input = await readRows(file, options.map, terminal)
      const { rows, remarks, records } = input.mapped
      if (options.check === true) {
        const messages = rows.slice(0, messagesShown)
        const value = { records, rows: rows.length, faults: [], remarks, messages }
        return terminal.result(value, () => checkLines(file, input.mapped, messagesShown))
      }
      if (options.dryRun === true)
        return terminal.result({ rows: rows.length, faults: [] }, () => [
          `${counted(rows.length, 'row')} of ${file}: all are right. Nothing was sent.`,
        ])
      await asMember(options, (device) => send(device, input, options))
    })
}

async function send(device: CommandDevice, { mapping, mapped, file }: ImportFile, options: Options): Promise<void> {
  const { rows } = mapped
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
  if (options.changes === true && !(await agreedToChanges(device, operation, { mapping, mapped }, options)))
    return leaveOperation(followed)
  const bar = terminal.progress('Importing', rows.length)
  try {
    const outcome = await client.importRows({
      operation,
      mapping,
      rows,
      file,
      update: options.update ?? false,
      inStep: options.changes ?? false,
      newKey,
      ...(compartment === undefined ? {} : { compartment }),
      onProgress: ({ done, of }) => bar.advance(done + rows.length - of),
    })
    bar.stop()
    await leaveOperation(followed)
    const { imported, already, index } = outcome
    terminal.result({ operation, ...outcome }, () => [
      `Imported: ${number(imported)} of ${counted(rows.length, 'row')}; ${number(already)} were there already. Recorded as entry ${String(index)}.`,
      ...outcomeLines(outcome, options),
    ])
  } finally {
    bar.stop()
  }
}

function outcomeLines(outcome: ImportOutcome, options: Options): string[] {
  const { changed, corrected, gone, withdrawn, returned, restored } = outcome
  const lines = (of: readonly { readonly line: number }[]) => of.map(({ line }) => line).join(', ')
  const sends = options.changes === true
  const told: string[] = []
  if (changed.length > 0)
    told.push(
      sends || options.update === true
        ? `Corrected: ${number(corrected)}, because their source changed (lines ${lines(changed)}).`
        : `Changed since they were imported, and not corrected: lines ${lines(changed)}. --update sends corrections.`,
    )
  if (gone.length > 0)
    told.push(
      sends
        ? `Withdrawn: ${number(withdrawn)}, because the source does not have them any more.`
        : `Imported before, and not in this file: ${counted(gone.length, 'row')}. --changes shows them and proposes to withdraw them.`,
    )
  if (returned.length > 0)
    told.push(
      sends
        ? `Sent again: ${number(restored)}, because the source has them again (lines ${lines(returned)}).`
        : `Withdrawn before, and in the file again: lines ${lines(returned)}. --changes proposes to send them again.`,
    )
  return told
}

/** Shows what the file says otherwise than the operation. Answers whether it is to be sent. */
async function agreedToChanges(
  { client, terminal }: CommandDevice,
  operation: string,
  { mapping, mapped: { rows } }: Pick<ImportFile, 'mapping' | 'mapped'>,
  options: Options,
): Promise<boolean> {
  const proposal = await client.proposeImport({ operation, mapping, rows })
  const { fresh, already, changed, gone, returned } = proposal
  const nothing = fresh + changed.length + gone.length + returned.length === 0
  if (nothing || (options.yes !== true && !terminal.interactive)) {
    terminal.result({ operation, ...proposal, sent: false }, () => [
      ...proposalLines(proposal),
      '',
      nothing ? 'The operation is in step with the file.' : 'Nothing was sent; --yes sends all of it.',
    ])
    return false
  }
  for (const line of proposalLines(proposal)) terminal.note(line)
  const present = already - returned.length
  if (gone.length > unlikelyShare * (present + gone.length))
    terminal.note('Most of what was imported is not in this file. Is it the whole source?')
  const question = `Send ${counted(changed.length, 'correction')}, ${counted(gone.length, 'withdrawal')} and ${counted(fresh + returned.length, 'new message')}?`
  if (await agreed(terminal, options, question, 'Go on?')) return true
  terminal.result({ operation, ...proposal, sent: false }, () => ['Nothing was sent.'])
  return false
}

/**
 * Reads and checks the file and the mapping. Throws CommandFailure with all faults; nothing is sent
 * then.
 */
async function readRows(file: string, map: string, terminal: Terminal): Promise<ImportFile> {
  const [bytes, json] = await Promise.all([readFile(pathFromHere(file)), readTextFile(map)])
  const mapping = readMappingFile(map, json)
  const whole = 100
  const bar = terminal.progress('Reading', whole)
  const mapped = await mapRows(bytes, mapping, {
    onProgress: ({ done, of }) => bar.advance(of === 0 ? whole : Math.floor((done * whole) / of)),
  })
  bar.stop()
  const { faults } = mapped
  if (faults.length > 0) {
    const bad = new Set(faults.map(({ line }) => line)).size
    throw refused(
      `${file} has ${counted(faults.length, 'fault')} in ${counted(bad, 'line')}; nothing was sent.`,
      faults.map(faultLine),
      faults,
    )
  }
  return { mapping, mapped, file: createHash('sha256').update(bytes).digest('base64url') }
}

function readMappingFile(map: string, json: string): Mapping {
  const read = readMapping(readJson(json, map, 'nothing was sent'))
  if ('mapping' in read) return read.mapping
  const lines = read.faults.map(
    ({ pointer, reason, advice }) => `  ${pointer === '' ? '/' : pointer}: ${reason}. ${advice}`,
  )
  throw refused(`${map} has ${counted(read.faults.length, 'fault')}; nothing was sent.`, lines, read.faults)
}

function refused(head: string, lines: readonly string[], faults: readonly object[]): CommandFailure {
  return new CommandFailure([head, ...faultLines(lines)].join('\n'), exitCodes.failed, { faults })
}
