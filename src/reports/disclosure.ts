/**
 * What one country contributes to a value that is shown: `quantity` and `estimated` in steps of the
 * base unit (10 to the power of minus `figurePlaces`).
 */
export interface Share {
  readonly quantity: bigint
  readonly estimated: bigint
  readonly seizures: bigint
  readonly cases: bigint
}

/** Shares by country. A country that contributes nothing is not in it. */
export type Shares = ReadonlyMap<string, Share>

export const nothing: Share = { quantity: 0n, estimated: 0n, seizures: 0n, cases: 0n }
export const noShares: Shares = new Map()

const leastCountries = 3
const measures = ['quantity', 'estimated', 'seizures', 'cases'] as const

/**
 * Whether the step from one value to another may be shown: in each number that is shown, the share
 * of no country changed, or of at least three. With nothing before, it says whether the value
 * itself may be shown.
 */
export function mayStep(from: Shares, to: Shares): boolean {
  const countries = new Set([...from.keys(), ...to.keys()])
  return measures.every((measure) => {
    let changed = 0
    for (const country of countries) {
      if ((from.get(country) ?? nothing)[measure] !== (to.get(country) ?? nothing)[measure]) changed++
    }
    return changed === 0 || changed >= leastCountries
  })
}

export function add(a: Share, b: Share, sign: 1n | -1n = 1n): Share {
  return {
    quantity: a.quantity + sign * b.quantity,
    estimated: a.estimated + sign * b.estimated,
    seizures: a.seizures + sign * b.seizures,
    cases: a.cases + sign * b.cases,
  }
}

/** Adds shares to a map that is being built; removes shares that become nothing. */
export function addTo(sum: Map<string, Share>, shares: Iterable<readonly [string, Share]>, sign: 1n | -1n = 1n): void {
  for (const [country, share] of shares) {
    const result = add(sum.get(country) ?? nothing, share, sign)
    if (measures.every((measure) => result[measure] === 0n)) sum.delete(country)
    else sum.set(country, result)
  }
}

/** Adds up the shares of all countries. */
export function together(shares: Shares): Share {
  let sum = nothing
  for (const share of shares.values()) sum = add(sum, share)
  return sum
}
