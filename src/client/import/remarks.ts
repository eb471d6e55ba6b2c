/**
 * What an import did with a file beyond taking it as it is. `warning` remarks change nothing: they
 * say what a person should look at.
 */
export type RemarkKind =
  | 'blank-row'
  | 'row-before-header'
  | 'nameless-column'
  | 'nameless-ignored'
  | 'column-written-otherwise'
  | 'empty-cell-after-last-column'
  | 'delimiter-named'
  | 'left-out'
  | 'missing'
  | 'defaulted'
  | 'says-nothing'
  | 'empty-means'
  | 'quantity-left-out'
  | 'zero'
  | 'zero-left-out'
  | 'nothing-found'
  | 'rounded'
  | 'converted'
  | 'shortened-code'
  | 'time-left-out'
  | 'span'
  | 'first-taken'
  | 'joined'
  | 'added-up'
  | 'rows-together'
  | 'warning-namibia'
  | 'warning-missing-word'
  | 'warning-missing-key'
  | 'warning-two-days'
  | 'warning-sum'
  | 'warning-one-cell'
  | 'warning-odd-code'
  | 'warning-other-sheets'
  | 'warning-hidden-row'
  | 'warning-merged'

export interface Remark {
  readonly kind: RemarkKind
  /** The column that it is about; empty for whole rows. */
  readonly column: string
  /** What exactly: a word of the file, a unit, a number of places. */
  readonly detail: string
  /** How often. */
  readonly count: number
  /** The first lines of it, up to five. */
  readonly lines: readonly number[]
}

const mostLines = 5
// A column may hold another word in each row: their remarks are counted together.
const mostDetails = 50

/** Collects remarks, one for each kind, column and detail. */
export class Remarks {
  readonly #found = new Map<string, { remark: Remark; lines: number[] }>()
  readonly #details = new Map<string, number>()

  add(kind: RemarkKind, line: number, column = '', detail = '', count = 1): void {
    const group = JSON.stringify([kind, column])
    let key = JSON.stringify([kind, column, detail])
    let told = detail
    if (!this.#found.has(key)) {
      const details = this.#details.get(group) ?? 0
      if (details >= mostDetails) {
        told = '…'
        key = JSON.stringify([kind, column, told])
      } else this.#details.set(group, details + 1)
    }
    const before = this.#found.get(key)
    const lines = before?.lines ?? []
    if (lines.length < mostLines) lines.push(line)
    const total = (before?.remark.count ?? 0) + count
    this.#found.set(key, { remark: { kind, column, detail: told, count: total, lines }, lines })
  }

  list(): Remark[] {
    return [...this.#found.values()].map(({ remark }) => remark)
  }
}
