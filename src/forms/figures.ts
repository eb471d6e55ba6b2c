import { addDecimals, multiplyDecimals } from './decimal.ts'
import { commodities, isWithin } from './commodities.ts'
import { type BaseUnit, findUnit } from './units.ts'

/**
 * How much of one commodity, in the base unit of one kind. Counted or weighed, and estimated apart
 * from it: neither holds the other.
 */
export interface Amount {
  readonly unit: BaseUnit
  readonly quantity: string
  readonly estimated: string
}

export interface CategoryAmount extends Amount {
  readonly category: string
  /** How many seizures contribute. */
  readonly seizures: number
}

/**
 * The figures of an operation. A reader computes them from the messages it opened, the server from
 * extracts, and neither asks the other: both must give this same value, so everything in it has one
 * order and one way to be written.
 */
export interface Figures {
  /** Messages of the form seizure that count: no exercise, not withdrawn, a corrected one once. */
  readonly seizures: number
  /** Threads with at least one of them. */
  readonly cases: number
  /** One row per commodity as reported and kind of unit, in the order of (category, unit). */
  readonly quantities: readonly CategoryAmount[]
  /** One row per kind of unit over all commodities but sums, in the order of the unit. */
  readonly totals: readonly Amount[]
}

/**
 * A quantity in the base unit of its kind, exactly. RangeError on a unit that is not in the list.
 */
export function inBaseUnit(quantity: string, code: string): { unit: BaseUnit; quantity: string } {
  const unit = findUnit(code)
  if (unit === undefined) throw new RangeError('no such unit')
  return { unit: unit.base, quantity: multiplyDecimals(quantity, unit.factor) }
}

/**
 * The amounts at and below a commodity, one per kind of unit. What is marked as a sum is left out,
 * unless it is what is asked for: it repeats its parts.
 */
export function rollUp(quantities: readonly CategoryAmount[], category?: string): Amount[] {
  const sums = new Map<BaseUnit, Amount>()
  for (const row of quantities) {
    if (category !== undefined && !isWithin(row.category, category)) continue
    if (commodities.get(row.category)?.sum === true && row.category !== category) continue
    const before = sums.get(row.unit) ?? { unit: row.unit, quantity: '0', estimated: '0' }
    sums.set(row.unit, {
      unit: row.unit,
      quantity: addDecimals(before.quantity, row.quantity),
      estimated: addDecimals(before.estimated, row.estimated),
    })
  }
  return [...sums.values()].toSorted((a, b) => byCodeUnits(a.unit, b.unit))
}

/** The order of figures: by code units, which is what SQL calls COLLATE "C". */
export function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Whether two computations agree to the last digit. */
export function sameFigures(a: Figures, b: Figures): boolean {
  return JSON.stringify(ordered(a)) === JSON.stringify(ordered(b))
}

function ordered({ seizures, cases, quantities, totals }: Figures): unknown {
  return [
    seizures,
    cases,
    quantities.map((row) => [row.category, row.unit, row.quantity, row.estimated, row.seizures]),
    totals.map((row) => [row.unit, row.quantity, row.estimated]),
  ]
}
