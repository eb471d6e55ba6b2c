import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { equalBytes, hex } from '../src/protocol/encoding.ts'
import {
  emptyEdge,
  grow,
  proveConsistency,
  proveInclusion,
  readRoot,
  rootOf,
  verifyConsistency,
  verifyInclusion,
  type HashReader,
  type Hasher,
} from '../src/protocol/tree.ts'

const digest = (...parts: Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}
const hasher: Hasher = {
  empty: digest(),
  leaf: (bytes) => digest(Uint8Array.of(0), bytes),
  node: (left, right) => digest(Uint8Array.of(1), left, right),
}

const leavesOf = (n: number) => Array.from({ length: n }, (_, i) => hasher.leaf(Buffer.from(`entry ${i}`)))

/** RFC 6962, section 2.1, as it is written there. */
function naive(leaves: Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return hasher.empty
  if (leaves.length === 1) return leaves[0] as Uint8Array
  let k = 1
  while (k * 2 < leaves.length) k *= 2
  return hasher.node(naive(leaves.slice(0, k)), naive(leaves.slice(k)))
}

/**
 * A store that has what the log's tables have: leaves, and nodes of the levels 8, 16 …; counts what
 * is read.
 */
function storedTree(leaves: Uint8Array[]) {
  const { nodes } = grow(hasher, emptyEdge, leaves)
  const reads = { hashes: 0 }
  const read: HashReader = (runs) =>
    Promise.resolve(
      runs.map(({ level, first, count }) => {
        reads.hashes += count
        if (level === 0) return leaves.slice(first, first + count)
        return nodes
          .filter((node) => node.level === level && node.index >= first && node.index < first + count)
          .map((node) => node.hash)
      }),
    )
  return { read, reads }
}

// The eight leaves and roots of the reference implementation of RFC 6962.
const referenceLeaves = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
]
const referenceRoots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]

t.test('the roots are those of the reference implementation', async (t) => {
  t.equal(hex(rootOf(hasher, [])), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  const leaves = referenceLeaves.map((leaf) => hasher.leaf(Buffer.from(leaf, 'hex')))
  for (const [i, root] of referenceRoots.entries()) {
    t.equal(hex(grow(hasher, emptyEdge, leaves.slice(0, i + 1)).root), root)
  }
})

t.test('a tree grown in batches has the root and the proofs that RFC 6962 defines', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 8 }),
      fc.nat(),
      async (batches, seed) => {
        const leaves = leavesOf(batches.reduce((a, b) => a + b))
        let edge = emptyEdge
        for (const batch of batches) {
          const growth = grow(hasher, edge, leaves.slice(edge.size, edge.size + batch))
          const index = edge.size + (seed % batch)
          edge = growth.edge
          const root = naive(leaves.slice(0, edge.size))
          t.ok(equalBytes(growth.root, root))
          t.ok(await verifyInclusion(leaves[index] as Uint8Array, index, edge.size, growth.inclusion(index), root))
        }
      },
    ),
    { numRuns: 25 },
  )
})

t.test('proofs read from the stored levels verify, at every past size', async (t) => {
  const leaves = leavesOf(1100)
  const { read } = storedTree(leaves)
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 1100 }), fc.nat(), fc.nat(), async (size, a, b) => {
      const index = a % size
      const old = b % (size + 1)
      const root = naive(leaves.slice(0, size))
      const oldRoot = naive(leaves.slice(0, old))
      t.ok(equalBytes(await readRoot(hasher, read, size), root))
      const inclusion = await proveInclusion(hasher, read, index, size)
      t.ok(await verifyInclusion(leaves[index] as Uint8Array, index, size, inclusion, root))
      const consistency = await proveConsistency(hasher, read, old, size)
      t.ok(await verifyConsistency(old, size, oldRoot, root, consistency))
    }),
    { numRuns: 60 },
  )
})

t.test('whatever is changed in a proof, it no longer verifies', async (t) => {
  const leaves = leavesOf(600)
  const { read } = storedTree(leaves)
  const change = (bytes: Uint8Array, at: number) => {
    const copy = new Uint8Array(bytes)
    copy[at % 32] = (copy[at % 32] ?? 0) ^ (1 + (at % 255))
    return copy
  }
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 2, max: 600 }), fc.nat(), fc.nat(), fc.nat(), async (size, a, b, at) => {
      const index = a % size
      const leaf = leaves[index] as Uint8Array
      const root = naive(leaves.slice(0, size))
      const proof = await proveInclusion(hasher, read, index, size)
      const bent = proof.map((hash, i) => (i === at % proof.length ? change(hash, at) : hash))
      t.notOk(await verifyInclusion(leaf, index, size, bent, root), 'a changed hash')
      t.notOk(await verifyInclusion(change(leaf, at), index, size, proof, root), 'a changed leaf')
      t.notOk(await verifyInclusion(leaf, index, size, proof, change(root, at)), 'a changed root')
      t.notOk(await verifyInclusion(leaf, (index + 1) % size, size, proof, root), 'another index')
      t.notOk(await verifyInclusion(leaf, index, size, proof.slice(1), root), 'one hash too few')
      t.notOk(await verifyInclusion(leaf, index, size, [...proof, root], root), 'one hash too many')

      const old = 1 + (b % (size - 1))
      const oldRoot = naive(leaves.slice(0, old))
      const path = await proveConsistency(hasher, read, old, size)
      const bentPath = path.map((hash, i) => (i === at % path.length ? change(hash, at) : hash))
      t.notOk(await verifyConsistency(old, size, oldRoot, root, bentPath), 'a changed hash of consistency')
      t.notOk(await verifyConsistency(old, size, change(oldRoot, at), root, path), 'a changed past')
      t.notOk(await verifyConsistency(old, size, oldRoot, change(root, at), path), 'a changed present')
      t.notOk(await verifyConsistency(old, size, oldRoot, root, [...path, root]), 'a hash too many')
      t.notOk(await verifyConsistency(old, size, oldRoot, root, path.slice(0, -1)), 'a hash too few')
      t.notOk(await verifyConsistency(size, old, root, oldRoot, path), 'a tree that shrinks')
    }),
    { numRuns: 40 },
  )
})

t.test('nothing proves an entry that is not there', async (t) => {
  const leaves = leavesOf(3)
  const { read } = storedTree(leaves)
  const root = naive(leaves)
  const leaf = leaves[0] as Uint8Array
  t.notOk(await verifyInclusion(leaf, 3, 3, [], root))
  t.notOk(await verifyInclusion(leaf, 0, 0, [], hasher.empty))
  t.notOk(await verifyInclusion(leaf, -1, 3, [], root))
  t.notOk(await verifyInclusion(leaf, 0.5, 3, [], root))
  t.notOk(await verifyInclusion(leaf.slice(1), 0, 1, [], leaf.slice(1)))
  t.notOk(await verifyConsistency(0, 3, root, root, []), 'the empty tree has one root')
  t.ok(await verifyConsistency(0, 3, hasher.empty, root, []))
  t.notOk(await verifyConsistency(3, 3, root, leaf, []))
  t.throws(() => proveInclusion(hasher, read, 3, 3), { code: 'PROOF' })
  t.throws(() => proveConsistency(hasher, read, 4, 3), { code: 'PROOF' })
  t.throws(() => grow(hasher, { size: 3, hashes: [leaf] }, []), { code: 'EDGE' })
  t.throws(() => grow(hasher, emptyEdge, leaves).inclusion(3), { code: 'PROOF' })
  await t.rejects(
    proveInclusion(hasher, (runs) => Promise.resolve(runs.map(() => [])), 0, 3),
    { code: 'PROOF' },
    'a store that lost a hash is found out',
  )
})

t.test('a proof in a tree of ten million reads few hashes', async (t) => {
  const asked: number[] = []
  const read: HashReader = (runs) => {
    for (const run of runs) {
      asked.push(run.count)
      t.equal(run.level % 8, 0)
    }
    return Promise.resolve(runs.map((run) => Array.from({ length: run.count }, () => hasher.empty)))
  }
  await proveInclusion(hasher, read, 1_234_567, 10_000_000)
  await proveConsistency(hasher, read, 1_234_567, 10_000_000)
  t.ok(asked.reduce((a, b) => a + b) < 2 * 2 * 4 * 256)
})
