import { base64, fromBase64 } from './encoding.ts'
import { demand } from './errors.ts'
import { hashBytes } from './tree.ts'

/**
 * A C2SP tlog-proof of one entry: its inclusion in the tree of a checkpoint, to be verified
 * offline.
 */
export interface TlogProof {
  readonly index: number
  /** The hashes from the sibling of the leaf upwards. */
  readonly proof: readonly Uint8Array[]
  /** The signed note, with all its cosignatures. */
  readonly checkpoint: string
  /**
   * Extra data, which the proof does not authenticate. The receipts of Cordon carry the leaf here,
   * byte for byte as hashed.
   */
  readonly extra?: Uint8Array
}

const title = 'c2sp.org/tlog-proof@v1'
/** The depth of the largest tree whose size is a safe integer. */
const mostProofHashes = 63

export function formatTlogProof({ index, proof, checkpoint, extra }: TlogProof): string {
  demand(Number.isSafeInteger(index) && index >= 0, 'TLOG_PROOF', 'An index is a whole number from 0.')
  return [
    title,
    ...(extra === undefined ? [] : [`extra ${base64(extra)}`]),
    `index ${index}`,
    ...proof.map(base64),
    '',
    checkpoint,
  ].join('\n')
}

/** Reads a proof strictly, without verifying it. Throws `ProtocolError` TLOG_PROOF. */
export function parseTlogProof(text: string): TlogProof {
  const end = text.indexOf('\n\n')
  demand(end >= 0, 'TLOG_PROOF', 'A proof is lines, an empty line, and a checkpoint.')
  const [first, ...lines] = text.slice(0, end).split('\n')
  demand(first === title, 'TLOG_PROOF', `A proof begins with ${title}.`)
  const extra =
    lines[0]?.startsWith('extra ') === true ? fromBase64((lines.shift() ?? '').slice(6), 'TLOG_PROOF') : undefined
  const index = /^index (0|[1-9]\d{0,15})$/.exec(lines.shift() ?? '')?.[1]
  demand(
    index !== undefined && Number.isSafeInteger(Number(index)),
    'TLOG_PROOF',
    'A proof names the index of its entry.',
  )
  const proof = lines.map((line) => fromBase64(line, 'TLOG_PROOF'))
  demand(
    proof.length <= mostProofHashes && proof.every((hash) => hash.length === hashBytes),
    'TLOG_PROOF',
    'A proof is at most 63 hashes.',
  )
  return { index: Number(index), proof, checkpoint: text.slice(end + 2), ...(extra === undefined ? {} : { extra }) }
}
