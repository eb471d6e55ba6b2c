import type { Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { changesBetween, seesLog } from '../log/index.ts'
import { OperationView, parseLeaf, type OperationId, type PersonId } from '../protocol/index.ts'
import { statementsOf, readViewEntry } from './snapshot.ts'

const mostKeptViews = 200

/**
 * Keeps what readers of this process know of operations, and brings it up to date from the log when
 * they ask.
 */
export class Views {
  readonly #views = new Map<string, OperationView>()

  /**
   * Whether a person was a member when this process last looked: that is enough to ask the log,
   * which decides.
   */
  remembers(operation: string, person: string): boolean {
    return this.#views.get(operation)?.member(person as PersonId) !== undefined
  }

  /**
   * Answers the operation as all entries that this transaction sees made it; NOT_FOUND if it sees
   * none. The caller must not change it.
   */
  async current(tx: Tx, operation: string): Promise<OperationView> {
    // The view is kept for all readers: the database too must show the log to this one.
    if (!(await seesLog(tx, operation))) throw new Problem('NOT_FOUND')
    const view = this.#views.get(operation) ?? new OperationView(operation as OperationId)
    const entries = await changesBetween(tx, operation, view.position, Number.MAX_SAFE_INTEGER)
    const leaves = entries.map((entry) => parseLeaf(entry.text))
    const statements = await statementsOf(tx, operation, leaves)
    const ready = await Promise.all(
      leaves.map((leaf) => readViewEntry(leaf, leaf.digest === undefined ? undefined : statements.get(leaf.digest))),
    )
    // Two readers may have fetched one entry; from here on nothing waits, so each entry is applied
    // once.
    for (const entry of ready) if (entry.index > view.position) view.take(entry)
    if (this.#views.size >= mostKeptViews && !this.#views.has(operation)) this.#views.clear()
    this.#views.set(operation, view)
    return view
  }
}
