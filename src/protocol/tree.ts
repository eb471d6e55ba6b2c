import { concat, equalBytes, sha256 } from './encoding.ts'
import { demand } from './errors.ts'

/**
 * Merkle trees as in RFC 6962 and RFC 9162, section 2.1. A perfect subtree is named by its level (0
 * for a leaf) and its index within that level; a tree of any size is the row of perfect subtrees
 * that the binary digits of its size name, largest first: its edge.
 */

/**
 * The hash functions of a tree. The server gives synchronous ones; verification needs few hashes
 * and uses Web Crypto.
 */
export interface Hasher {
  /** The root of the empty tree: SHA-256 of nothing. */
  readonly empty: Uint8Array
  /** SHA-256(0x00 ‖ leaf) */
  leaf(bytes: Uint8Array): Uint8Array
  /** SHA-256(0x01 ‖ left ‖ right) */
  node(left: Uint8Array, right: Uint8Array): Uint8Array
}

export interface Node {
  readonly level: number
  readonly index: number
}

/** A run of hashes of one level, which is a multiple of 8: those of a tile, or of a part of one. */
export interface Run {
  readonly level: number
  readonly first: number
  readonly count: number
}

/**
 * Reads stored hashes: for each run, its hashes in order. Only the levels 0, 8, 16 … are stored.
 */
export type HashReader = (runs: readonly Run[]) => Promise<Uint8Array[][]>

/** The leaves from `from` (inclusive) to `to` (exclusive). */
export interface Range {
  readonly from: number
  readonly to: number
}

export const hashBytes = 32
export const tileHeight = 8

/**
 * The perfect subtrees of the leaves from `from` to `to`, in order. A subtree of that size must be
 * able to begin at `from`.
 */
export function subtreesOf({ from, to }: Range): Node[] {
  const nodes: Node[] = []
  let at = from
  while (at < to) {
    let level = 0
    let width = 1
    while (width * 2 <= to - at && at % (width * 2) === 0) {
      level++
      width *= 2
    }
    nodes.push({ level, index: at / width })
    at += width
  }
  return nodes
}

/** The root over a row of perfect subtrees, the largest first. */
export function rootOf(hasher: Hasher, edge: readonly Uint8Array[]): Uint8Array {
  let root: Uint8Array | undefined
  for (let i = edge.length - 1; i >= 0; i--) {
    const left = edge[i] as Uint8Array
    root = root === undefined ? left : hasher.node(left, root)
  }
  return root ?? hasher.empty
}

/** The ranges whose roots prove a leaf (RFC 9162, 2.1.3.1), from the leaf upwards. */
export function inclusionRanges(index: number, size: number): Range[] {
  demand(isCount(index) && isCount(size) && index < size, 'PROOF', 'A proof is of an entry that the tree has.')
  const ranges: Range[] = []
  let from = 0
  let to = size
  while (to - from > 1) {
    const middle = from + largestPowerBelow(to - from)
    if (index < middle) {
      ranges.push({ from: middle, to })
      to = middle
    } else {
      ranges.push({ from, to: middle })
      from = middle
    }
  }
  return ranges.reverse()
}

/**
 * The ranges whose roots prove that a tree of `old` leaves became one of `size` leaves (RFC 9162,
 * 2.1.4.1).
 */
export function consistencyRanges(old: number, size: number): Range[] {
  demand(isCount(old) && isCount(size) && old <= size, 'PROOF', 'A tree only grows.')
  if (old === 0 || old === size) return []
  const ranges: Range[] = []
  let from = 0
  let to = size
  let whole = true
  while (old !== to) {
    const middle = from + largestPowerBelow(to - from)
    if (old <= middle) {
      ranges.push({ from: middle, to })
      to = middle
    } else {
      ranges.push({ from, to: middle })
      from = middle
      whole = false
    }
  }
  if (!whole) ranges.push({ from, to })
  return ranges.reverse()
}

/**
 * The roots over ranges of a stored tree, read at once: at most 255 hashes for each tile, O(log n)
 * tiles.
 */
export async function readRanges(hasher: Hasher, read: HashReader, ranges: readonly Range[]): Promise<Uint8Array[]> {
  const rows = ranges.map(subtreesOf)
  const runs = rows.flat().map(runOf)
  const stored = runs.length === 0 ? [] : await read(runs)
  demand(
    stored.length === runs.length && stored.every((hashes, i) => hashes.length === runs[i]?.count),
    'PROOF',
    'The tree lacks a hash that it should have.',
  )
  let next = 0
  return rows.map((row) =>
    rootOf(
      hasher,
      row.map(() => foldPerfect(hasher, stored[next++] as Uint8Array[])),
    ),
  )
}

/** The root that a stored tree had at this size. */
export async function readRoot(hasher: Hasher, read: HashReader, size: number): Promise<Uint8Array> {
  const [root] = await readRanges(hasher, read, [{ from: 0, to: size }])
  return root as Uint8Array
}

export function proveInclusion(hasher: Hasher, read: HashReader, index: number, size: number): Promise<Uint8Array[]> {
  return readRanges(hasher, read, inclusionRanges(index, size))
}

/**
 * Inclusion proofs of several leaves in the tree of one size. A subtree that they share is read
 * once.
 */
export async function proveInclusions(
  hasher: Hasher,
  read: HashReader,
  indexes: readonly number[],
  size: number,
): Promise<Uint8Array[][]> {
  const wanted = indexes.map((index) => inclusionRanges(index, size))
  const name = ({ from, to }: Range) => `${from} ${to}`
  const distinct = new Map(wanted.flat().map((range) => [name(range), range]))
  const roots = await readRanges(hasher, read, [...distinct.values()])
  const byName = new Map([...distinct.keys()].map((key, i) => [key, roots[i] as Uint8Array]))
  return wanted.map((ranges) => ranges.map((range) => byName.get(name(range)) as Uint8Array))
}

export function proveConsistency(hasher: Hasher, read: HashReader, old: number, size: number): Promise<Uint8Array[]> {
  return readRanges(hasher, read, consistencyRanges(old, size))
}

function runOf({ level, index }: Node): Run {
  const above = level % tileHeight
  return { level: level - above, first: index * 2 ** above, count: 2 ** above }
}

function foldPerfect(hasher: Hasher, hashes: readonly Uint8Array[]): Uint8Array {
  let row = hashes
  while (row.length > 1) {
    const next: Uint8Array[] = []
    for (let i = 0; i < row.length; i += 2) next.push(hasher.node(row[i] as Uint8Array, row[i + 1] as Uint8Array))
    row = next
  }
  return row[0] as Uint8Array
}

function largestPowerBelow(n: number): number {
  let power = 1
  while (power * 2 < n) power *= 2
  return power
}

function isCount(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 0
}

async function nodeHash(left: Uint8Array, right: Uint8Array): Promise<Uint8Array> {
  return sha256(concat(Uint8Array.of(1), left, right))
}

/**
 * Whether the leaf with this hash has the index `index` in the tree of this size and root (RFC
 * 9162, 2.1.3.2).
 */
export async function verifyInclusion(
  hash: Uint8Array,
  index: number,
  size: number,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): Promise<boolean> {
  if (!isCount(index) || !isCount(size) || index >= size || !allHashes([hash, root, ...proof])) return false
  let fn = index
  let sn = size - 1
  let r = hash
  for (const p of proof) {
    if (sn === 0) return false
    if (fn % 2 === 1 || fn === sn) {
      r = await nodeHash(p, r)
      while (fn % 2 === 0 && fn !== 0) {
        fn = half(fn)
        sn = half(sn)
      }
    } else {
      r = await nodeHash(r, p)
    }
    fn = half(fn)
    sn = half(sn)
  }
  return sn === 0 && equalBytes(r, root)
}

/**
 * Whether the tree with `oldRoot` at `old` leaves is the beginning of the tree with `root` at
 * `size` leaves (RFC 9162, 2.1.4.2).
 */
export async function verifyConsistency(
  old: number,
  size: number,
  oldRoot: Uint8Array,
  root: Uint8Array,
  proof: readonly Uint8Array[],
): Promise<boolean> {
  if (!isCount(old) || !isCount(size) || old > size || !allHashes([oldRoot, root, ...proof])) return false
  if (old === size) return proof.length === 0 && equalBytes(oldRoot, root)
  if (old === 0) return proof.length === 0 && equalBytes(oldRoot, await sha256(new Uint8Array(0)))
  let fn = old - 1
  let sn = size - 1
  while (fn % 2 === 1) {
    fn = half(fn)
    sn = half(sn)
  }
  // Where `old` is a power of two, its root is a node of the new tree, and the proof does not
  // contain it.
  const [first, ...rest] = fn === 0 ? [oldRoot, ...proof] : proof
  if (first === undefined) return false
  let fr = first
  let sr = first
  for (const c of rest) {
    if (sn === 0) return false
    if (fn % 2 === 1 || fn === sn) {
      fr = await nodeHash(c, fr)
      sr = await nodeHash(c, sr)
      while (fn % 2 === 0 && fn !== 0) {
        fn = half(fn)
        sn = half(sn)
      }
    } else {
      sr = await nodeHash(sr, c)
    }
    fn = half(fn)
    sn = half(sn)
  }
  return sn === 0 && equalBytes(fr, oldRoot) && equalBytes(sr, root)
}

function half(n: number): number {
  return Math.floor(n / 2)
}

function allHashes(hashes: readonly Uint8Array[]): boolean {
  return hashes.every((hash) => hash.length === hashBytes)
}

/** The right edge of a tree. It suffices to append leaves and to prove them. */
export interface Edge {
  readonly size: number
  /** The largest subtree first. */
  readonly hashes: readonly Uint8Array[]
}

export const emptyEdge: Edge = { size: 0, hashes: [] }

/**
 * A tree after leaves were appended: its new edge, the nodes that a store must keep, and proofs of
 * the new leaves.
 */
export interface Growth {
  readonly edge: Edge
  readonly root: Uint8Array
  /** The completed nodes of the levels 8, 16 …, in the order of their completion. */
  readonly nodes: readonly (Node & { readonly hash: Uint8Array })[]
  /**
   * The inclusion proof of a leaf that was just appended, in the tree with all new leaves. Reads
   * nothing.
   */
  inclusion(index: number): Uint8Array[]
}

/** Appends leaves, given by their hashes, at the right edge. */
export function grow(hasher: Hasher, before: Edge, leaves: readonly Uint8Array[]): Growth {
  const levels: Map<number, Uint8Array>[] = []
  const remember = (level: number, index: number, hash: Uint8Array) => {
    const row = (levels[level] ??= new Map<number, Uint8Array>())
    row.set(index, hash)
  }
  const rows = subtreesOf({ from: 0, to: before.size })
  demand(rows.length === before.hashes.length, 'EDGE', 'The edge of a tree has one hash per digit 1 of its size.')
  for (const [i, { level, index }] of rows.entries()) remember(level, index, before.hashes[i] as Uint8Array)

  const hashes = [...before.hashes]
  const nodes: (Node & { hash: Uint8Array })[] = []
  let size = before.size
  for (const leaf of leaves) {
    remember(0, size, leaf)
    hashes.push(leaf)
    let level = 0
    let index = size
    while (index % 2 === 1) {
      const right = hashes.pop() as Uint8Array
      const hash = hasher.node(hashes.pop() as Uint8Array, right)
      hashes.push(hash)
      level++
      index = half(index)
      remember(level, index, hash)
      if (level % tileHeight === 0) nodes.push({ level, index, hash })
    }
    size++
  }
  const find = ({ level, index }: Node) => levels[level]?.get(index) as Uint8Array
  return {
    edge: { size, hashes },
    root: rootOf(hasher, hashes),
    nodes,
    inclusion: (index) => {
      demand(
        index >= before.size && index < size,
        'PROOF',
        'Only leaves that were just appended are proven from the edge.',
      )
      return inclusionRanges(index, size).map((range) => rootOf(hasher, subtreesOf(range).map(find)))
    },
  }
}
