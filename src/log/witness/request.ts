import {
  ProtocolError,
  demand,
  fromBase64,
  fromUtf8,
  parseExtendedCheckpoint,
  type Checkpoint,
} from '../../protocol/index.ts'

/**
 * What a log submits with add-checkpoint (C2SP tlog-witness): a checkpoint, and a proof that it
 * follows from an older size.
 */
export interface Submission {
  readonly old: number
  readonly proof: readonly Uint8Array[]
  readonly note: string
  /** The text of the note, which signatures are over. */
  readonly text: string
  /**
   * The checkpoint as the text says it; the witness believes nothing of it before it has verified a
   * signature.
   */
  readonly checkpoint: Checkpoint
}

const mostProofLines = 63

/** Reads the body of add-checkpoint. `ProtocolError` where it does not have the required shape. */
export function parseSubmission(body: Uint8Array): Submission {
  const whole = fromUtf8(body)
  const end = whole.indexOf('\n\n')
  demand(end >= 0, 'SUBMISSION', 'A submission is a size, a proof, an empty line and a checkpoint.')
  const [first = '', ...lines] = whole.slice(0, end).split('\n')
  const [, old] = /^old (0|[1-9][0-9]{0,15})$/.exec(first) ?? []
  demand(old !== undefined && Number.isSafeInteger(Number(old)), 'SUBMISSION', 'The first line is: old SIZE.')
  demand(lines.length <= mostProofLines, 'SUBMISSION', `A proof has at most ${mostProofLines} lines.`)
  const proof = lines.map((line) => {
    const hash = fromBase64(line, 'SUBMISSION')
    demand(hash.length === 32, 'SUBMISSION', 'A line of a proof is a hash of 32 bytes.')
    return hash
  })
  const note = whole.slice(end + 2)
  const split = note.lastIndexOf('\n\n')
  if (split < 0) throw new ProtocolError('SUBMISSION', 'A checkpoint has signatures.')
  const text = note.slice(0, split + 1)
  return { old: Number(old), proof, note, text, checkpoint: parseExtendedCheckpoint(text) }
}
