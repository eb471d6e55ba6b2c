import type { Tx } from '../db/index.ts'
import type { Leaf } from '../protocol/index.ts'

/**
 * An owner keeps rows that entries are about (statements, bodies, epochs, certificates), and lets
 * the verifier walk through them beside the log. Rows come in the order of their index, read a page
 * at a time, so that a log of any size is verified in bounded memory. The walk finds a missing row
 * at its entry, and a row too many at the owner.
 */
export interface Owner {
  /** The name in the report: "message", "member statement". */
  readonly name: string
  /**
   * Called for each log; the transaction has entered it. A view may keep state and so follow the
   * log as it grows.
   */
  open(tx: Tx, log: { readonly id: string; readonly operation: string | null }): OwnerView
  /** Answers the rows that belong to none of these logs, one sentence each. */
  strays?(tx: Tx, logs: ReadonlySet<string>): AsyncIterable<string>
}

export interface OwnerView {
  /**
   * Answers how many rows this entry must have. Called for every entry, in order, before its rows
   * are checked.
   */
  expects(leaf: Leaf): 'none' | 'one' | 'any'
  /** All rows of this owner in this log, by ascending index. */
  readonly rows: AsyncIterable<OwnedRow>
  /**
   * Called after an entry and its rows; answers what is wrong between this entry and those before,
   * one sentence each.
   */
  after?(leaf: Leaf, details: Details): Findings | Promise<Findings>
  /** Called after the last entry. */
  finish?(): Findings | Promise<Findings>
}

export interface OwnedRow {
  readonly index: number
  /**
   * Compares each column with the entry, and the content of the row with its digest; answers one
   * sentence for each thing wrong.
   */
  check(leaf: Leaf, details: Details): Findings | Promise<Findings>
}

/**
 * The private details of an entry as its leaf commits to them, read; undefined where it has none,
 * or they do not match it.
 */
export type Details = Readonly<Record<string, unknown>> | undefined

export type Findings = readonly string[]

/** Walks one owner's rows beside the entries of one log. */
export class Walk {
  readonly #name: string
  readonly #view: OwnerView
  readonly #rows: AsyncIterator<OwnedRow>
  #next: IteratorResult<OwnedRow> | undefined
  #last = -1

  constructor(name: string, view: OwnerView) {
    this.#name = name
    this.#view = view
    this.#rows = view.rows[Symbol.asyncIterator]()
  }

  async entry(leaf: Leaf, details: Details, found: (index: number, what: string) => void): Promise<void> {
    const expected = this.#view.expects(leaf)
    await this.#skipTo(leaf.index, found)
    let count = 0
    for (let row = this.#row(); row?.index === leaf.index; row = this.#row()) {
      count++
      for (const what of await row.check(leaf, details)) found(leaf.index, what)
      await this.#advance(found)
    }
    if (expected === 'one' && count === 0) found(leaf.index, `its ${this.#name} is missing`)
    if (expected === 'one' && count > 1) found(leaf.index, `it has ${count} rows of ${this.#name}`)
    if (expected === 'none' && count > 0) found(leaf.index, `it has a ${this.#name} that no ${leaf.kind} has`)
    for (const what of (await this.#view.after?.(leaf, details)) ?? []) found(leaf.index, what)
  }

  async finish(found: (index: number | undefined, what: string) => void): Promise<void> {
    await this.#skipTo(Number.POSITIVE_INFINITY, found)
    for (const what of (await this.#view.finish?.()) ?? []) found(undefined, what)
  }

  /** Closes what the owner has open when the walk ends early. */
  async close(): Promise<void> {
    await this.#rows.return?.()
  }

  async #skipTo(index: number, found: (index: number, what: string) => void): Promise<void> {
    if (this.#next === undefined) await this.#advance(found)
    for (let row = this.#row(); row !== undefined && row.index < index; row = this.#row()) {
      found(row.index, `a ${this.#name} belongs to an entry that is not there`)
      await this.#advance(found)
    }
  }

  #row(): OwnedRow | undefined {
    return this.#next?.done === false ? this.#next.value : undefined
  }

  async #advance(found: (index: number, what: string) => void): Promise<void> {
    this.#next = await this.#rows.next()
    const row = this.#row()
    if (row === undefined) return
    if (row.index < this.#last) found(row.index, `a ${this.#name} comes out of order`)
    this.#last = row.index
  }
}
