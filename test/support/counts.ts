/** Bounded in `npm test`, whole in `npm run test:long -- NAME`. */
export const whole = process.env['CORDON_TEST_COUNTS'] === 'whole'

export function howMany(bounded: number, full: number): number {
  return whole ? full : bounded
}

/** How long a test that counts may take, in milliseconds. */
export const patience = { timeout: whole ? 2_400_000 : 110_000 }
