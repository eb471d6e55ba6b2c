import { Problem } from '../errors.ts'
import {
  type ProtocolError,
  changesOperation,
  countsInCompartment,
  grow,
  serializeLeaf,
  timestamp,
} from '../protocol/index.ts'
import type { Edge, Growth, Leaf } from '../protocol/index.ts'
import type { CommittedEntry, EntryDraft } from './act.ts'
import { hashLeaf, hashPrivate, hasher } from './hashing.ts'

/** A log as its locked row says it. */
export interface Head {
  readonly log: string
  readonly edge: Edge
  readonly seqs: Readonly<Record<string, number>>
  readonly changedIndex: number
  readonly lastAt: Date
}

export interface Private {
  readonly index: number
  readonly salt: Uint8Array
  readonly details: string
}

/** Entries that have their place in one log, not yet written. */
export interface Batch {
  readonly before: Head
  readonly after: Head
  readonly entries: readonly CommittedEntry[]
  readonly hashes: readonly Uint8Array[]
  readonly privates: readonly Private[]
  readonly growth: Growth
}

/** Gives drafts their place, one decision after the other, under the log's lock. */
export class BatchBuilder {
  readonly #before: Head
  readonly #random: (length: number) => Uint8Array
  readonly #entries: CommittedEntry[] = []
  readonly #privates: Private[] = []
  #seqs: Readonly<Record<string, number>>
  #changedIndex: number
  /**
   * The time of all entries of this batch: `at` never decreases within a log, whatever the clocks
   * of its servers say.
   */
  readonly at: Date

  constructor(before: Head, now: Date, random: (length: number) => Uint8Array) {
    this.#before = before
    this.#random = random
    this.#seqs = before.seqs
    this.#changedIndex = before.changedIndex
    this.at = now > before.lastAt ? now : before.lastAt
  }

  get nextIndex(): number {
    return this.#before.edge.size + this.#entries.length
  }

  /**
   * Places all these drafts; places none, and throws a ProtocolError, if one of them cannot be an
   * entry.
   */
  place(drafts: readonly EntryDraft[]): CommittedEntry[] {
    const seqs = { ...this.#seqs }
    const privates: Private[] = []
    const placed = drafts.map((draft, i) => this.#placeOne(draft, this.nextIndex + i, seqs, privates))
    this.#seqs = seqs
    this.#entries.push(...placed)
    this.#privates.push(...privates)
    for (const entry of placed) if (changesOperation(entry.kind)) this.#changedIndex = entry.index
    return placed
  }

  #placeOne(draft: EntryDraft, index: number, seqs: Record<string, number>, privates: Private[]): CommittedEntry {
    const { kind, actor, compartment, subject, digest, details } = draft
    const counted = compartment !== undefined && countsInCompartment(kind)
    const seq = counted ? (seqs[compartment] ?? 0) + 1 : undefined
    if (counted && seq !== undefined) seqs[compartment] = seq
    const hidden = details === undefined ? undefined : this.#hide(index, details)
    if (hidden !== undefined) privates.push(hidden)
    const leaf: Leaf = {
      v: 1,
      log: this.#before.log,
      index,
      at: timestamp(this.at),
      kind,
      actor,
      ...(compartment === undefined ? {} : { compartment }),
      ...(seq === undefined ? {} : { seq }),
      subject,
      ...(digest === undefined ? {} : { digest }),
      ...(hidden === undefined ? {} : { private: hashPrivate(hidden.salt, hidden.details) }),
    }
    return {
      log: this.#before.log,
      index,
      at: this.at,
      kind,
      ...(compartment === undefined ? {} : { compartment }),
      ...(seq === undefined ? {} : { seq }),
      leaf,
      text: serializeLeaf(leaf),
      draft,
    }
  }

  #hide(index: number, details: object): Private {
    return { index, salt: this.#random(32), details: JSON.stringify(details) }
  }

  /** Hashes the placed entries into the tree; answers the batch. */
  finish(): Batch {
    const hashes = this.#entries.map((entry) => hashLeaf(entry.text))
    const growth = grow(hasher, this.#before.edge, hashes)
    const after: Head = {
      log: this.#before.log,
      edge: growth.edge,
      seqs: this.#seqs,
      changedIndex: this.#changedIndex,
      lastAt: this.#entries.length === 0 ? this.#before.lastAt : this.at,
    }
    return { before: this.#before, after, entries: this.#entries, hashes, privates: this.#privates, growth }
  }
}

/**
 * Answers the Problem of an entry that has no place in the operation as the entries before it made
 * it.
 */
export function unfit({ code, message }: ProtocolError): Problem {
  return new Problem('STATEMENT_INVALID', { reason: code, detail: message })
}
