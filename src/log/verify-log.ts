import type { Tx } from '../db/index.ts'
import {
  ProtocolError,
  base64url,
  changesOperation,
  emptyEdge,
  equalBytes,
  grow,
  openCheckpoint,
  openNote,
  parseLeaf,
  requireNoEarlier,
  type Edge,
  type Growth,
  type Leaf,
  type NoteKey,
} from '../protocol/index.ts'
import { hashLeaf, hashPrivate, hasher } from './hashing.ts'
import { Walk, type Details, type Owner } from './owners.ts'
import {
  cosignatureNumbers,
  microsecondText,
  rawCheckpoints,
  rawCosignatures,
  rawEntries,
  rawLog,
  rawNodes,
  rawPrivates,
  writtenByJsonb,
  type RawCheckpoint,
  type RawCosignature,
  type RawEntry,
  type RawLog,
  type RawPrivate,
  type RowCounts,
} from './rows.ts'
import type { RegisteredWitnesses } from './witness-register.ts'

const pageEntries = 500

export type Found = (index: number | undefined, what: string) => void

/**
 * Recomputes one log from its raw rows, from the first leaf to the root; the transaction has
 * entered it.
 */
export class LogVerification {
  readonly #tx: Tx
  readonly #log: string
  readonly #keys: { readonly log: readonly NoteKey[]; readonly witnesses: RegisteredWitnesses }
  readonly #found: Found
  readonly #walks: Walk[]
  readonly #seqs = new Map<string, number>()
  #edge: Edge = emptyEdge
  #root: Uint8Array = hasher.empty
  #expected = 0
  #changedIndex = -1
  #lastAt = ''
  #privates = 0
  #nodes = 0
  #checkpoints = 0
  #lastCheckpoint: number | null = null
  #cosignatures = 0
  readonly #lastNumbers = new Map<string, number>()
  #held = new Map<number, Uint8Array>()

  constructor(
    tx: Tx,
    log: { id: string; operation: string | null },
    keys: { readonly log: readonly NoteKey[]; readonly witnesses: RegisteredWitnesses },
    owners: readonly Owner[],
    found: Found,
  ) {
    this.#tx = tx
    this.#log = log.id
    this.#keys = keys
    this.#found = found
    this.#walks = owners.map((owner) => new Walk(owner.name, owner.open(tx, log)))
  }

  /** The root as recomputed so far, base64url. */
  get root(): string {
    return base64url(this.#root)
  }

  /**
   * Verifies everything and answers the number of entries. `held` has roots by size that were
   * published, from sources other than the database; `progress` hears the number of entries done.
   */
  async run(
    counts: RowCounts,
    held: ReadonlyMap<number, Uint8Array>,
    progress: (done: number) => void,
  ): Promise<number> {
    this.#held = new Map(held)
    try {
      for (let last = -1; ;) {
        const rows = await rawEntries(this.#tx, this.#log, last, pageEntries)
        if (rows.length === 0) break
        await this.#verifyPage(rows, last)
        last = rows.at(-1)?.index ?? last
        progress(this.#edge.size)
      }
      for (const walk of this.#walks) await walk.finish(this.#found)
      for (const size of this.#held.keys()) {
        this.#found(
          undefined,
          `a checkpoint of ${size} entries is held elsewhere, ${size - this.#edge.size} of them are missing`,
        )
      }
      await this.#verifyHead(counts)
      return this.#edge.size
    } finally {
      for (const walk of this.#walks) await walk.close()
    }
  }

  async #verifyPage(page: readonly RawEntry[], last: number): Promise<void> {
    const past = (page.at(-1)?.index ?? last) + 1
    const privates = new Map((await rawPrivates(this.#tx, this.#log, last + 1, past)).map((row) => [row.index, row]))
    this.#privates += privates.size
    for (const row of page) await this.#verifyEntry(row, privates.get(row.index))
    await this.#verifyTree(page.map((row) => hashLeaf(row.leaf)))
  }

  async #verifyEntry(row: RawEntry, hidden: RawPrivate | undefined): Promise<void> {
    const say = (what: string) => this.#found(row.index, what)
    if (row.index !== this.#expected) say(`entries ${this.#expected} to ${row.index - 1} are missing`)
    this.#expected = row.index + 1
    if (!equalBytes(hashLeaf(row.leaf), row.leaf_hash)) say('its leaf does not have the stored hash')
    let leaf: Leaf
    try {
      leaf = parseLeaf(row.leaf)
    } catch (error) {
      say(`its leaf cannot be read: ${(error as Error).message}`)
      return
    }
    this.#compareColumns(row, leaf, say)
    this.#compareOrder(leaf, say)
    const details = this.#comparePrivate(leaf, hidden, say)
    for (const walk of this.#walks) await walk.entry(leaf, details, this.#found)
  }

  #compareColumns(row: RawEntry, leaf: Leaf, say: (what: string) => void): void {
    const { person, organization, device } =
      'server' in leaf.actor ? { person: null, organization: null, device: null } : leaf.actor
    const pairs: [string, unknown, unknown][] = [
      ['log', this.#log, leaf.log],
      ['index', row.index, leaf.index],
      ['kind', row.kind, leaf.kind],
      ['at', row.at, microsecondText(leaf.at)],
      ['person', row.person_id, person],
      ['organization', row.organization_id, organization],
      ['device', row.device_id, device],
      ['compartment', row.compartment_id, leaf.compartment ?? null],
      ['seq', row.seq, leaf.seq ?? null],
      ['subject', row.subject, leaf.subject],
    ]
    for (const [name, stored, said] of pairs) if (stored !== said) say(`its ${name} is not what its leaf says`)
  }

  #compareOrder(leaf: Leaf, say: (what: string) => void): void {
    try {
      requireNoEarlier(this.#lastAt, leaf)
      this.#lastAt = leaf.at
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      say('it is dated before the entry that precedes it')
    }
    if (leaf.compartment !== undefined && leaf.seq !== undefined) {
      const next = (this.#seqs.get(leaf.compartment) ?? 0) + 1
      if (leaf.seq !== next) say(`its seq is ${leaf.seq} where ${next} comes next in its compartment`)
      this.#seqs.set(leaf.compartment, leaf.seq)
    }
    if (changesOperation(leaf.kind)) this.#changedIndex = leaf.index
  }

  #comparePrivate(leaf: Leaf, hidden: RawPrivate | undefined, say: (what: string) => void): Details {
    if (leaf.private === undefined) {
      if (hidden !== undefined) say('it has details that its leaf does not know')
    } else if (hidden === undefined) {
      say('its details are missing')
      // The salt's length is part of the commitment: a byte that moved between salt and details
      // would not show in the hash.
    } else if (hidden.salt.length !== 32 || hashPrivate(hidden.salt, hidden.details) !== leaf.private) {
      say('its details are not those its leaf commits to')
    } else {
      try {
        return JSON.parse(hidden.details) as Details
      } catch {
        say('its details are not JSON')
      }
    }
    return undefined
  }

  /** Grows the tree by these leaves, stopping at each size of which a checkpoint was published. */
  async #verifyTree(hashes: readonly Uint8Array[]): Promise<void> {
    const start = this.#edge.size
    const published = await rawCheckpoints(this.#tx, this.#log, start, start + hashes.length)
    const made: Growth['nodes'][number][] = []
    const growTo = (size: number) => {
      const growth = grow(hasher, this.#edge, hashes.slice(this.#edge.size - start, size - start))
      made.push(...growth.nodes)
      this.#edge = growth.edge
      this.#root = growth.root
    }
    const bySize = new Map(published.map((checkpoint) => [checkpoint.size, checkpoint]))
    const heldHere = [...this.#held.keys()].filter((size) => size > start && size <= start + hashes.length)
    for (const size of [...new Set([...bySize.keys(), ...heldHere])].sort((a, b) => a - b)) {
      growTo(size)
      const checkpoint = bySize.get(size)
      if (checkpoint !== undefined) await this.#verifyCheckpoint(checkpoint)
      const root = this.#held.get(size)
      this.#held.delete(size)
      if (root !== undefined && !equalBytes(root, this.#root)) {
        this.#found(undefined, `a checkpoint of ${size} entries that is held elsewhere has another root`)
      }
    }
    growTo(start + hashes.length)
    for (const row of await rawCosignatures(this.#tx, this.#log, start, start + hashes.length))
      await this.#verifyCosignature(row, bySize.get(row.size)?.note)
    await this.#verifyNodes(made)
  }

  async #verifyNodes(made: readonly Growth['nodes'][number][]): Promise<void> {
    this.#nodes += made.length
    for (const [level, nodes] of Map.groupBy(made, (node) => node.level / 8)) {
      const from = nodes[0]?.index ?? 0
      const stored = await rawNodes(this.#tx, this.#log, level, from, from + nodes.length)
      const byIndex = new Map(stored.map((row) => [row.index, row.hash]))
      for (const { index, hash } of nodes) {
        const kept = byIndex.get(index)
        if (kept === undefined) this.#found(undefined, `node ${index} of level ${level} is missing`)
        else if (!equalBytes(kept, hash))
          this.#found(undefined, `node ${index} of level ${level} is not the hash of its leaves`)
      }
    }
  }

  async #verifyCheckpoint({ size, note, previous_size: previous }: RawCheckpoint): Promise<void> {
    this.#checkpoints++
    const say = (what: string) => this.#found(undefined, `the checkpoint published at size ${size} ${what}`)
    if (previous !== this.#lastCheckpoint) say('does not follow the one before it')
    this.#lastCheckpoint = size
    try {
      const checkpoint = await openCheckpoint(note, ...this.#keys.log)
      if (checkpoint.size !== size) say(`is of size ${checkpoint.size}`)
      if (!equalBytes(checkpoint.root, this.#root)) say('has a root that the log did not have')
      // A checkpoint has three lines, an empty one, our own two signatures, and nothing that no
      // verifier could check.
      if (note.split('\n').length !== 7) say('has signatures that are not ours')
    } catch (error) {
      say(`cannot be opened: ${(error as Error).message}`)
    }
  }

  async #verifyCosignature({ witness, size, number, lines }: RawCosignature, note: string | undefined): Promise<void> {
    this.#cosignatures++
    const say = (what: string) => this.#found(undefined, `the cosignature of ${witness} at size ${size} ${what}`)
    if (number <= (this.#lastNumbers.get(witness) ?? 0)) say('has a number out of order')
    this.#lastNumbers.set(witness, number)
    if (note === undefined) return say('is of no checkpoint that was published')
    const text = note.slice(0, note.indexOf('\n\n') + 2)
    let wrong = 'is of no witness that the directory log names'
    for (const keys of this.#keys.witnesses.get(witness) ?? []) {
      const fault = await faultOfCosignature(`${text}${lines}`, keys)
      if (fault === undefined) return
      wrong = fault
    }
    say(wrong)
  }

  async #verifyHead(counts: RowCounts): Promise<void> {
    const row = await rawLog(this.#tx, this.#log)
    if (row === undefined) return this.#found(undefined, 'its row is missing')
    for (const what of this.#headFaults(row)) this.#found(undefined, what)
    const more = (name: string, stored: number, known: number) => {
      if (stored !== known)
        this.#found(undefined, `it has ${stored} rows of ${name} where ${known} belong to its entries`)
    }
    more('entries', counts.entries, this.#edge.size)
    more('details', counts.privates, this.#privates)
    more('nodes', counts.nodes, this.#nodes)
    more('checkpoints', counts.checkpoints, this.#checkpoints)
    more('cosignatures', counts.cosignatures, this.#cosignatures)
    const { count, last } = await cosignatureNumbers(this.#tx, this.#log)
    if (count !== last) this.#found(undefined, `of ${last} numbered cosignatures ${count} are there`)
  }

  #headFaults(row: RawLog): string[] {
    const faults: string[] = []
    const { size, hashes } = this.#edge
    if (size === 0) faults.push('it is empty, and no log ever is')
    if (row.operation_id !== null && row.operation_id !== row.id)
      faults.push('it belongs to an operation of another id')
    if (row.size !== size) faults.push(`its row says size ${row.size}, there are ${size} entries`)
    if (!equalBytes(row.root, this.#root)) faults.push('its root is not that of its entries')
    if (!equalBytes(row.edge, Buffer.concat(hashes))) faults.push('its edge is not that of its entries')
    if (row.seqs !== writtenByJsonb(this.#seqs)) faults.push('its seqs are not those of its entries')
    if (row.changed_index !== this.#changedIndex) faults.push('its changed_index is not that of its entries')
    if (this.#lastAt !== '' && row.last_at !== microsecondText(this.#lastAt))
      faults.push('its last_at is not that of its last entry')
    return faults
  }
}

/**
 * Answers what is wrong with a note that must hold exactly one signature of each of these keys;
 * undefined where nothing is.
 */
async function faultOfCosignature(note: string, keys: readonly NoteKey[]): Promise<string | undefined> {
  try {
    const { signatures, strangers } = await openNote(note, keys)
    const signed = keys.every((key) => signatures.some((one) => one.key === key && one.timestamp > 0))
    const whole = signed && strangers === 0 && signatures.length === keys.length
    return whole ? undefined : 'is not one line of each key of its witness'
  } catch (error) {
    return `cannot be opened: ${(error as Error).message}`
  }
}
