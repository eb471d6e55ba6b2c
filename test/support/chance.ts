/** What chance begins with: `CORDON_TEST_SEED` brings a run back. */
export const seed = Number(process.env['CORDON_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))

/** mulberry32: whole numbers below a limit, in the same order for the same seed. */
export function chance(state: number): (limit: number) => number {
  let at = state
  return (limit) => {
    at = (at + 0x6d2b79f5) | 0
    let mixed = Math.imul(at ^ (at >>> 15), 1 | at)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit
  }
}
