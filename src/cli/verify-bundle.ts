import {
  ProtocolError,
  VerifyKeys,
  digestOf,
  parseEvidence,
  parseNoteKey,
  verifyEvidence,
  type Evidence,
  type NoteKey,
} from '../protocol/index.ts'
import { CommandFailure, exitCodes } from './failures.ts'
import { readLogKeys } from './log-keys.ts'
import { harmlessLine, type Progress, type Terminal } from './terminal.ts'
import { readTextFile } from './text-input.ts'
import { counted } from './words.ts'

export interface BundleOptions {
  readonly logKeys?: string
  readonly root?: string
  readonly witnessKeys?: string
  readonly quorum?: string
}

const mostShown = 10

/**
 * Verifies a bundle of evidence without the service. Its keys must not come from the bundle. Throws
 * CommandFailure.
 */
export async function verifyBundle(file: string, options: BundleOptions, terminal: Terminal): Promise<void> {
  const { logKeys, root } = options
  if (logKeys === undefined || root === undefined)
    throw new CommandFailure(
      'A bundle is verified with keys that you got elsewhere, not with those that it brings: give --log-keys and --root. Any enrolled device prints both with `cordon log-keys`.',
      exitCodes.usage,
    )
  const { evidence, sha256 } = await readEvidence(file)
  const { keys } = await readLogKeys(logKeys)
  const witnesses = options.witnessKeys === undefined ? [] : await readWitnessKeys(options.witnessKeys)
  const quorum = readQuorum(options.quorum, witnesses)
  let bar: Progress | undefined
  const { size, cosigned, entries, statements, details, notes, discrepancies } = await verifyEvidence(
    evidence,
    { keys, root, witnesses, quorum },
    new VerifyKeys(),
    (done) => {
      bar ??= terminal.progress('Verifying', evidence.entries.length)
      bar.advance(done)
    },
  )
  bar?.stop()
  const verified = discrepancies.length === 0
  const { log, host, made } = evidence
  const result = { verified, sha256, log, host, size, cosigned, entries, statements, details, notes, discrepancies }
  terminal.result(result, () => [
    ...notes.slice(0, mostShown).map(({ index, what }) => harmlessLine(`Note on entry ${String(index)}: ${what}.`)),
    ...discrepancies
      .slice(0, mostShown)
      .map(({ index, what }) => harmlessLine(index === undefined ? what : `entry ${String(index)}: ${what}`)),
    ...(discrepancies.length > mostShown
      ? [`… and ${String(discrepancies.length - mostShown)} more; --json lists them.`]
      : []),
    harmlessLine(
      verified
        ? `Verified: ${counted(entries, 'entry', 'entries')} of the log ${log} of ${host} as it was with ${counted(size, 'entry', 'entries')}; ${counted(statements, 'signed statement')}, ${counted(details, 'entry', 'entries')} with details. ${witnessWords(cosigned, witnesses)}`
        : `NOT verified: ${counted(discrepancies.length, 'discrepancy', 'discrepancies')}. The log does not hold this.`,
    ),
    `SHA-256 of the file: ${sha256}. The entry export.made of the log has it as its digest if nothing in the file was changed, its manual included.`,
    harmlessLine(
      `It says of itself: made ${made.at} for "${made.justification}", asked for ${JSON.stringify(made.query)}.`,
    ),
  ])
  process.exitCode = verified ? exitCodes.done : exitCodes.failed
}

function witnessWords(cosigned: readonly string[], asked: readonly NoteKey[]): string {
  if (asked.length === 0) return 'No witness was named.'
  return cosigned.length === 0 ? 'No witness cosigned it.' : `Cosigned by ${cosigned.join(', ')}.`
}

async function readEvidence(file: string): Promise<{ evidence: Evidence; sha256: string }> {
  let text: string
  try {
    text = await readTextFile(file)
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    throw new CommandFailure(`The bundle ${file} cannot be read (${(error as Error).message}).`)
  }
  try {
    return { evidence: parseEvidence(text), sha256: await digestOf(text) }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw new CommandFailure(`${file} is no bundle of evidence: ${error.message}`)
  }
}

async function readWitnessKeys(file: string): Promise<NoteKey[]> {
  let text: string
  try {
    text = await readTextFile(file)
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    throw new CommandFailure(`The file of witness keys ${file} cannot be read (${(error as Error).message}).`)
  }
  try {
    return await Promise.all(
      text
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map(parseNoteKey),
    )
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw new CommandFailure(`${file} does not hold keys of witnesses, one a line: ${error.message}`, exitCodes.usage)
  }
}

function readQuorum(quorum: string | undefined, witnesses: readonly NoteKey[]): number {
  const names = new Set(witnesses.map(({ name }) => name)).size
  if (names === 0 && quorum !== undefined)
    throw new CommandFailure(
      '--quorum needs --witness-keys: a file with the verifier keys of the witnesses.',
      exitCodes.usage,
    )
  const wanted = quorum === undefined ? names : Number(quorum)
  if (Number.isInteger(wanted) && wanted >= 0 && wanted <= names) return wanted
  throw new CommandFailure(
    `--quorum is a whole number up to the ${counted(names, 'witness', 'witnesses')} named.`,
    exitCodes.usage,
  )
}
