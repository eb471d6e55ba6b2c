import { base64, fromBase64 } from './encoding.ts'
import { demand } from './errors.ts'

/** A checkpoint of the tree that `origin` names (C2SP tlog-checkpoint). */
export interface Checkpoint {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

/**
 * Formats a checkpoint: origin, size in plain decimal, root in padded standard base64, one line
 * each.
 */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  demand(/^[^\n\r]+$/.test(origin), 'CHECKPOINT', 'An origin is one line.')
  demand(
    Number.isSafeInteger(size) && size >= 0 && root.length === 32,
    'CHECKPOINT',
    'A checkpoint has a size and a root.',
  )
  return `${origin}\n${size}\n${base64(root)}\n`
}

/**
 * Reads a checkpoint strictly: it refuses extension lines, which the logs of Cordon do not have.
 * Throws `ProtocolError`.
 */
export function parseCheckpoint(text: string): Checkpoint {
  const { extensions, ...checkpoint } = parseExtendedCheckpoint(text)
  demand(extensions.length === 0, 'CHECKPOINT', 'A checkpoint is three lines.')
  return checkpoint
}

/**
 * Reads a checkpoint of any log: any number of non-empty lines may follow the first three. Throws
 * `ProtocolError`.
 */
export function parseExtendedCheckpoint(text: string): Checkpoint & { readonly extensions: readonly string[] } {
  const lines = text.split('\n')
  const [origin = '', size = '', root = '', ...rest] = lines
  demand(lines.length >= 4 && rest.pop() === '' && origin !== '', 'CHECKPOINT', 'A checkpoint is three lines.')
  demand(!rest.includes(''), 'CHECKPOINT', 'An extension line is not empty.')
  demand(/^(0|[1-9][0-9]{0,15})$/.test(size), 'CHECKPOINT', 'The size of a checkpoint is a plain decimal.')
  const checkpoint = { origin, size: Number(size), root: fromBase64(root, 'CHECKPOINT') }
  demand(
    formatCheckpoint(checkpoint) === `${origin}\n${size}\n${root}\n`,
    'CHECKPOINT',
    'A checkpoint has one way of being written.',
  )
  return { ...checkpoint, extensions: rest }
}
