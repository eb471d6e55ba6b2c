import { addDecimals, mostQuantityDecimals, multiplyDecimals } from './decimal.ts'
import { commodities, isWithin } from './commodities.ts'
import { type BaseUnit, findUnit, mostFactorDigits } from './units.ts'

/**
 * The amount of a commodity, in the base unit of its kind. `quantity` was counted or weighed;
 * `estimated` is separate, and neither contains the other.
 */
export interface Amount {
  readonly unit: BaseUnit
  readonly quantity: string
  readonly estimated: string
}

export interface CategoryAmount extends Amount {
  readonly category: string
  /** The number of seizures that contribute more than zero. */
  readonly seizures: number
}

/**
 * The figures of an operation. A reader computes them from the messages that it opened, the server
 * from extracts, each without the other. Both must give one and the same value, so that everything
 * in it has one order and one form.
 */
export interface Figures {
  /**
   * The number of messages of the form seizure that count: no exercise, not withdrawn, a corrected
   * one once, and none that lists goods of which each is zero.
   */
  readonly seizures: number
  /** The number of threads with at least one such message. */
  readonly cases: number
  /** One row for each reported commodity and kind of unit, in the order of (category, unit). */
  readonly quantities: readonly CategoryAmount[]
  /** One row for each kind of unit over all commodities without sums, in the order of the unit. */
  readonly totals: readonly Amount[]
}

/**
 * The digits after the point with which a base unit holds every reported quantity in every unit
 * exactly.
 */
export const figurePlaces = mostQuantityDecimals + mostFactorDigits

/**
 * Converts a quantity exactly to the base unit of its kind. Throws RangeError for a unit that is
 * not in the list.
 */
export function inBaseUnit(quantity: string, code: string): { unit: BaseUnit; quantity: string } {
  const unit = findUnit(code)
  if (unit === undefined) throw new RangeError('no such unit')
  return { unit: unit.base, quantity: multiplyDecimals(quantity, unit.factor) }
}

/**
 * The amounts at and below a commodity, one for each kind of unit. Sums are left out, because they
 * repeat their parts, unless the commodity itself is a sum.
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

/** Compares texts by code units, as COLLATE "C" of SQL does. */
export function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Whether two figures agree to the last digit. */
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
