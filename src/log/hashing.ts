import { createHash, hash } from 'node:crypto'
import type { Hasher } from '../protocol/index.ts'

const leafPrefix = Uint8Array.of(0)
const nodePrefix = Uint8Array.of(1)

/**
 * The hashes of the tree, computed without a wait between them: the appender makes hundreds in a
 * row.
 */
export const hasher: Hasher = {
  empty: digest(),
  leaf: (bytes) => digest(leafPrefix, bytes),
  node: (left, right) => hash('sha256', Buffer.concat([nodePrefix, left, right]), 'buffer'),
}

export function hashLeaf(leaf: string): Uint8Array {
  return hasher.leaf(Buffer.from(leaf, 'utf8'))
}

/** Answers SHA-256(salt ‖ details), base64url. */
export function hashPrivate(salt: Uint8Array, details: string): string {
  return createHash('sha256').update(salt).update(details, 'utf8').digest('base64url')
}

function digest(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest()
}
