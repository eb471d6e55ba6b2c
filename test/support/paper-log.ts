import { createHash, randomBytes } from 'node:crypto'
import type { LogKey } from '../../src/log/index.ts'
import {
  base64,
  emptyEdge,
  grow,
  originOf,
  proveConsistency,
  signCheckpoint,
  type Edge,
  type Hasher,
  type NoteSigner,
} from '../../src/protocol/index.ts'

const digest = (...parts: Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

export const hasher: Hasher = {
  empty: digest(),
  leaf: (bytes) => digest(Uint8Array.of(0), bytes),
  node: (left, right) => digest(Uint8Array.of(1), left, right),
}

/** A log without a database: leaves, their tree, and the keys that sign it. It can go two ways. */
export class PaperLog {
  readonly origin: string
  readonly signers: readonly [NoteSigner, NoteSigner]
  readonly #leaves: Uint8Array[]
  readonly #nodes = new Map<string, Uint8Array>()
  readonly #roots: Uint8Array[] = [hasher.empty]
  #edge: Edge = emptyEdge

  constructor(host: string, log: string, key: LogKey, leaves: readonly Uint8Array[] = []) {
    this.origin = originOf(host, log)
    this.signers = key.signers(this.origin)
    this.#leaves = []
    for (const leaf of leaves) this.#add(leaf)
  }

  get size(): number {
    return this.#leaves.length
  }

  append(count: number): this {
    for (let i = 0; i < count; i++) this.#add(hasher.leaf(randomBytes(16)))
    return this
  }

  #add(leaf: Uint8Array): void {
    const growth = grow(hasher, this.#edge, [leaf])
    for (const { level, index, hash } of growth.nodes) this.#nodes.set(`${level} ${index}`, hash)
    this.#edge = growth.edge
    this.#leaves.push(leaf)
    this.#roots.push(growth.root)
  }

  /** The same log up to an entry, and another one from there on. */
  fork(host: string, log: string, key: LogKey, at: number): PaperLog {
    return new PaperLog(host, log, key, this.#leaves.slice(0, at))
  }

  root(size: number = this.size): Uint8Array {
    const root = this.#roots[size]
    if (root === undefined) throw new RangeError(`the log has no ${size} entries`)
    return root
  }

  note(size: number = this.size, signers: readonly NoteSigner[] = this.signers): Promise<string> {
    return signCheckpoint({ origin: this.origin, size, root: this.root(size) }, ...signers)
  }

  async proof(old: number, size: number = this.size): Promise<string[]> {
    const proof = await proveConsistency(
      hasher,
      (runs) =>
        Promise.resolve(
          runs.map(({ level, first, count }) =>
            Array.from({ length: count }, (_, i) => {
              const hash = level === 0 ? this.#leaves[first + i] : this.#nodes.get(`${level} ${first + i}`)
              if (hash === undefined) throw new RangeError('no such node')
              return hash
            }),
          ),
        ),
      old,
      size,
    )
    return proof.map(base64)
  }
}
