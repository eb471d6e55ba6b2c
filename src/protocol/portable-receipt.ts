import { fromUtf8 } from './encoding.ts'
import { leafHash, parseLeaf, type Leaf } from './entry.ts'
import { demand } from './errors.ts'
import { hostOf, noteKeysOf, originOf, type LogKeys } from './log-keys.ts'
import { openCheckpoint, openNote, type NoteKey } from './note.ts'
import { verifyInclusion } from './tree.ts'
import { parseTlogProof } from './tlog-proof.ts'

/** What is believed when a receipt is verified: nothing of it comes from the receipt. */
export interface ReceiptTrust {
  readonly keys: LogKeys
  /** The host of the logs that these keys sign. */
  readonly host: string
  readonly witnesses: readonly NoteKey[]
}

/** A receipt that was verified. */
export interface VerifiedReceipt {
  readonly leaf: Leaf
  readonly origin: string
  /** Size and root of the checkpoint under which the entry was proven. */
  readonly size: number
  readonly root: Uint8Array
  /** Those by these witnesses. `timestamp`: seconds since the epoch, as the witness says. */
  readonly cosignatures: readonly { readonly key: NoteKey; readonly timestamp: number }[]
  /** The number of signatures by others, which nobody verified. */
  readonly strangers: number
}

/**
 * Verifies a receipt as `cordon receipt` writes it: a C2SP tlog-proof with the leaf as extra data,
 * under a checkpoint that both keys of the log signed. Throws `ProtocolError`: TLOG_PROOF, NOTE,
 * LEAF, ENCODING (malformed), RECEIPT_LOG (of another log or service), NOTE_SIGNATURE,
 * NOTE_UNSIGNED (another key), RECEIPT_PROOF (the log of the checkpoint does not hold this entry).
 */
export async function verifyPortableReceipt(
  text: string,
  { keys, host, witnesses }: ReceiptTrust,
): Promise<VerifiedReceipt> {
  const { index, proof, checkpoint, extra } = parseTlogProof(text)
  demand(extra !== undefined, 'RECEIPT_ENTRY', 'The receipt does not bring its entry.')
  const [origin = ''] = checkpoint.split('\n')
  const of = hostOf(origin)
  demand(of !== undefined, 'RECEIPT_LOG', 'The checkpoint is of no log of Cordon.')
  demand(of === host, 'RECEIPT_LOG', `The receipt is of a log of ${of}, and the keys are those of ${host}.`)
  const logKeys = noteKeysOf(keys, origin)
  const { size, root } = await openCheckpoint(checkpoint, ...logKeys)
  const leafText = fromUtf8(extra)
  const leaf = parseLeaf(leafText)
  demand(
    originOf(host, leaf.log) === origin,
    'RECEIPT_LOG',
    `The entry is of the log ${leaf.log}, and the checkpoint of another one.`,
  )
  const holds = leaf.index === index && (await verifyInclusion(await leafHash(leafText), index, size, proof, root))
  demand(holds, 'RECEIPT_PROOF', 'The log of the checkpoint does not hold this entry.')
  const { signatures, strangers } = await openNote(checkpoint, [...logKeys, ...witnesses])
  return {
    leaf,
    origin,
    size,
    root,
    cosignatures: signatures.filter(({ key }) => witnesses.includes(key)),
    strangers,
  }
}
