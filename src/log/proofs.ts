import { transaction, type Database, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import {
  base64url,
  formatTlogProof,
  proveConsistency,
  proveInclusion,
  proveInclusions,
  readRoot,
  type Receipt,
} from '../protocol/index.ts'
import type { Checkpoints } from './checkpoints.ts'
import { hasher } from './hashing.ts'
import { entriesAt, enterLog, hashReader, headOf, sizeOf } from './store.ts'

const mostRootsPerLog = 4_096

/** Keeps roots of past sizes. The root of a size never changes once its entries are committed. */
export class Roots {
  readonly #kept = new Map<string, Map<number, Uint8Array>>()

  remember(log: string, size: number, root: Uint8Array): void {
    let roots = this.#kept.get(log)
    if (roots === undefined) this.#kept.set(log, (roots = new Map<number, Uint8Array>()))
    roots.set(size, root)
    if (roots.size > mostRootsPerLog) for (const [oldest] of roots) return void roots.delete(oldest)
  }

  /** Answers a root that was computed or read here before; undefined otherwise. */
  known(log: string, size: number): Uint8Array | undefined {
    return this.#kept.get(log)?.get(size)
  }

  /** Answers the roots at these sizes; leaves out sizes beyond the log's head. */
  async at(tx: Tx, log: string, sizes: readonly number[]): Promise<Map<number, Uint8Array>> {
    const kept = this.#kept.get(log)
    const roots = new Map<number, Uint8Array>()
    const unknown = new Set<number>()
    for (const size of sizes) {
      const root = kept?.get(size)
      if (root === undefined) unknown.add(size)
      else roots.set(size, root)
    }
    if (unknown.size === 0) return roots
    const head = await sizeOf(tx, log)
    for (const size of unknown) {
      if (head === undefined || !Number.isSafeInteger(size) || size < 0 || size > head) continue
      const root = await readRoot(hasher, hashReader(tx, log), size)
      this.remember(log, size, root)
      roots.set(size, root)
    }
    return roots
  }
}

export function inclusion(db: Database, log: string, index: number, size: number): Promise<string[]> {
  return transaction(db, async (tx) => {
    await requireSize(tx, log, size)
    if (!Number.isSafeInteger(index) || index < 0 || index >= size) throw new Problem('NOT_FOUND')
    return (await proveInclusion(hasher, hashReader(tx, log), index, size)).map(base64url)
  })
}

export function inclusions(db: Database, log: string, indexes: readonly number[], size: number): Promise<string[][]> {
  return transaction(db, async (tx) => {
    await requireSize(tx, log, size)
    if (!indexes.every((index) => Number.isSafeInteger(index) && index >= 0 && index < size))
      throw new Problem('NOT_FOUND')
    const proofs = await proveInclusions(hasher, hashReader(tx, log), indexes, size)
    return proofs.map((proof) => proof.map(base64url))
  })
}

export function consistency(db: Database, log: string, from: number, to: number): Promise<string[]> {
  return transaction(db, async (tx) => {
    await requireSize(tx, log, to)
    if (!Number.isSafeInteger(from) || from < 0 || from > to) throw new Problem('NOT_FOUND')
    return (await proveConsistency(hasher, hashReader(tx, log), from, to)).map(base64url)
  })
}

/** Answers the receipt of an entry that was committed earlier, in the tree as it is now. */
export async function receiptOf(db: Database, checkpoints: Checkpoints, log: string, index: number): Promise<Receipt> {
  const found = await transaction(db, async (tx) => {
    const head = await headOf(tx, log)
    if (head === undefined || index >= head.size) throw new Problem('NOT_FOUND')
    const [entry] = await entriesAt(tx, log, [index])
    if (entry === undefined) throw new Problem('NOT_FOUND')
    const proof = await proveInclusion(hasher, hashReader(tx, log), index, head.size)
    return { head, leaf: entry.text, proof: proof.map(base64url) }
  })
  const { head, leaf, proof } = found
  return { leaf, index, proof, checkpoint: await checkpoints.signForReceipts({ log, ...head }) }
}

/**
 * Answers the proof of an entry under a published checkpoint that holds it, as a text that is
 * checked offline.
 */
export async function tlogProof(
  db: Database,
  log: string,
  index: number,
  { size, note }: { readonly size: number; readonly note: string },
): Promise<string> {
  const proof = await transaction(db, async (tx) => {
    await enterLog(tx, log)
    return proveInclusion(hasher, hashReader(tx, log), index, size)
  })
  return formatTlogProof({ index, proof, checkpoint: note })
}

async function requireSize(tx: Tx, log: string, size: number): Promise<void> {
  const head = await sizeOf(tx, log)
  if (head === undefined || !Number.isSafeInteger(size) || size > head) throw new Problem('NOT_FOUND')
}
