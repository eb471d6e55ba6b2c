import { localTime } from '../forms/index.ts'
import {
  ProtocolError,
  VerifyKeys,
  digestOf,
  parseEvidence,
  parseLeaf,
  verifyEvidence,
  type Evidence,
  type NoteKey,
} from '../protocol/index.ts'
import { CommandFailure, exitCodes, failAtEnd } from './failures.ts'
import { table } from './table.ts'
import { harmlessLine, type Progress, type Terminal } from './terminal.ts'
import type { FileTrust } from './file-trust.ts'
import { counted } from './words.ts'

const mostShown = 10

/**
 * Verifies a bundle of evidence without the service. Its keys must not come from the bundle. Throws
 * CommandFailure.
 */
export async function verifyBundle(
  { file, text }: { readonly file: string; readonly text: string },
  { keys, root, witnesses, quorum, isEnough, known }: FileTrust,
  terminal: Terminal,
): Promise<void> {
  if (root === undefined) throw new CommandFailure('A bundle needs --root beside the keys.', exitCodes.usage)
  const { evidence, sha256 } = await readEvidence(file, text)
  let bar: Progress | undefined
  const { discrepancies: found, ...proven } = await verifyEvidence(
    evidence,
    { keys, root, witnesses, quorum },
    new VerifyKeys(),
    (done) => {
      bar ??= terminal.progress('Verifying', evidence.entries.length)
      bar.advance(done)
    },
  )
  bar?.stop()
  const { size, cosigned, entries, statements, details, notes } = proven
  const enough = isEnough(witnesses.filter(({ name }) => cosigned.includes(name)))
  const lacking = enough || found.length > 0 ? [] : [{ what: 'the checkpoint lacks the quorum of the witness policy' }]
  const discrepancies: readonly { readonly index?: number; readonly what: string }[] = [...found, ...lacking]
  const verified = discrepancies.length === 0
  const { log, host, made } = evidence
  const shown = verified ? entryLines(evidence, await known(log)) : []
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
    ...shown,
    `SHA-256 of the file: ${sha256}. The entry export.made of the log has it as its digest if nothing in the file was changed, its manual included.`,
    harmlessLine(
      `It says of itself: made ${made.at} for "${made.justification}", asked for ${JSON.stringify(made.query)}.`,
    ),
  ])
  if (!verified) failAtEnd()
}

/** Who did what and when, of the first entries. */
function entryLines({ entries }: Evidence, known: Awaited<ReturnType<FileTrust['known']>>): string[] {
  const timeZone = known?.timeZone ?? 'UTC'
  const rows = entries.slice(0, mostShown).map(({ leaf: text }) => {
    const { index, at, kind, actor } = parseLeaf(text)
    const who = 'person' in actor ? (known?.names.people[actor.person] ?? actor.person) : actor.server
    return [String(index), localTime(new Date(at), timeZone), kind, who]
  })
  const more = entries.length - rows.length
  return [
    '',
    ...table(['entry', `time (${timeZone})`, 'kind', 'who'], rows),
    ...(more > 0 ? [`… and ${counted(more, 'more entry', 'more entries')}.`] : []),
    '',
  ]
}

function witnessWords(cosigned: readonly string[], asked: readonly NoteKey[]): string {
  if (asked.length === 0) return 'No witness was named.'
  return cosigned.length === 0 ? 'No witness cosigned it.' : `Cosigned by ${cosigned.join(', ')}.`
}

async function readEvidence(file: string, text: string): Promise<{ evidence: Evidence; sha256: string }> {
  try {
    return { evidence: parseEvidence(text), sha256: await digestOf(text) }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw new CommandFailure(`${file} is no bundle of evidence: ${error.message}`)
  }
}
