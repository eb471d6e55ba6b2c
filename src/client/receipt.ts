import {
  ProtocolError,
  base64url,
  digestOf,
  fromBase64url,
  leafHash,
  openCheckpoint,
  parseLeaf,
  verifyConsistency,
  verifyInclusion,
  type Checkpoint,
  type Leaf,
  type NoteKey,
  type Receipt,
} from '../protocol/index.ts'
import { logKeysOf, type Pins } from './certificates.ts'
import { refuse } from './problem.ts'

/**
 * Verifies a receipt and answers its leaf: it must be of this statement, and proven to be in the
 * log under a checkpoint that the pinned key signed (RFC 9162, 2.1.3.2). Throws RECEIPT_INVALID
 * otherwise, with the reason.
 */
export async function verifyReceipt(
  receipt: Receipt,
  expected: { operation: string; message: string; statement: string },
  pins: Pins,
): Promise<Leaf> {
  try {
    const leaf = parseLeaf(receipt.leaf)
    const fits =
      leaf.log === expected.operation &&
      leaf.index === receipt.index &&
      leaf.subject === expected.message &&
      leaf.kind.startsWith('message.') &&
      leaf.digest === (await digestOf(expected.statement))
    if (!fits) throw new ProtocolError('RECEIPT_ENTRY', 'The receipt is for another message.')
    const [ed25519] = await logKeysOf(pins, expected.operation)
    const { size, root } = await openCheckpoint(receipt.checkpoint, ed25519)
    const proof = receipt.proof.map(fromBase64url)
    if (!(await verifyInclusion(await leafHash(receipt.leaf), receipt.index, size, proof, root)))
      throw new ProtocolError('RECEIPT_PROOF', 'The log of the checkpoint does not hold this entry.')
    return leaf
  } catch (cause) {
    if (!(cause instanceof ProtocolError)) throw cause
    throw refuse('RECEIPT_INVALID', cause.message, { reason: cause.code, message: expected.message }, cause)
  }
}

/** A checkpoint that was verified; `root` in base64url. */
export interface SeenCheckpoint {
  readonly size: number
  readonly root: string
}

/**
 * Opens a checkpoint that all these keys of its log must have signed. With `older`, the log must
 * have grown from that checkpoint. Throws `ProtocolError` CONSISTENCY where it has not, or where
 * the proof is missing.
 */
export async function verifyCheckpoint(
  note: string,
  keys: readonly NoteKey[],
  older: SeenCheckpoint | undefined,
  proof: readonly string[] | undefined,
): Promise<SeenCheckpoint> {
  const checkpoint = await openCheckpoint(note, ...keys)
  const { size, root } = checkpoint
  if (older && !(await hasGrown(older, checkpoint, proof)))
    throw new ProtocolError('CONSISTENCY', 'The log has not grown from the log that this device saw before.')
  return { size, root: base64url(root) }
}

async function hasGrown(
  older: SeenCheckpoint,
  newer: Checkpoint,
  proof: readonly string[] | undefined,
): Promise<boolean> {
  if (older.size > newer.size || (proof === undefined && older.size !== newer.size)) return false
  const hashes = (proof ?? []).map(fromBase64url)
  return verifyConsistency(older.size, newer.size, fromBase64url(older.root), newer.root, hashes)
}
