/**
 * A small seeded source of random numbers: a seed always gives one operation. It never makes keys.
 */
export interface Chance {
  /** A whole number from 0 to n − 1. */
  below(n: number): number
  /** A number from 0 to just under 1. */
  fraction(): number
  /** True in `n` of a hundred cases. */
  percent(n: number): boolean
  pick<T>(list: readonly T[]): T
  /** So many different items, in the order of the list. */
  some<T>(list: readonly T[], count: number): T[]
}

/** Xorshift with 32 bits (Marsaglia, 2003). */
export function seededChance(seed: number): Chance {
  let state = (Math.imul(seed | 0, 0x9e3779b1) ^ 0x2545f491) | 0
  if (state === 0) state = 1
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
  for (let n = 0; n < 16; n += 1) next()
  const fraction = (): number => next() / 2 ** 32
  const below = (n: number): number => Math.floor(fraction() * n)
  const pick = <T>(list: readonly T[]): T => {
    const one = list[below(list.length)]
    if (one === undefined) throw new RangeError('nothing to choose from')
    return one
  }
  const some = <T>(list: readonly T[], count: number): T[] => {
    const chosen = new Set<number>()
    while (chosen.size < Math.min(count, list.length)) chosen.add(below(list.length))
    return list.filter((_, n) => chosen.has(n))
  }
  return { below, fraction, percent: (n) => fraction() * 100 < n, pick, some }
}

/**
 * Divides a whole number into `parts` parts of at least 1 with exactly that sum; few are large and
 * many small, as seizures are.
 */
export function divide(total: number, parts: number, chance: Chance): number[] {
  if (parts < 1 || total < parts) throw new RangeError('cannot be divided into so many parts')
  const weights = Array.from({ length: parts }, () => Math.exp(chance.fraction() * 7))
  const sum = weights.reduce((a, b) => a + b, 0)
  const shares = weights.map((weight) => 1 + Math.floor((weight / sum) * (total - parts)))
  const rest = total - shares.reduce((a, b) => a + b, 0)
  const largest = shares.indexOf(Math.max(...shares))
  return shares.map((share, n) => (n === largest ? share + rest : share))
}
