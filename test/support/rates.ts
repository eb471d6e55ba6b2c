import { RateLimits } from '../../src/http/index.ts'
import type { TestServer } from './server.ts'

const minute = 60_000

/** What an edge that stands alone counts with. */
export const alone = () => ({
  rates: new RateLimits({ store: { add: async () => [] }, clock: () => new Date(), onError: () => {} }),
  accountOf: () => undefined,
  clock: () => new Date(),
})

/**
 * A window of a minute that ends meanwhile would make the quotas whole again: the next one begins
 * now, where that is soon.
 */
export function startAMinute({ clock }: Pick<TestServer, 'clock'>): void {
  const left = minute - (clock.now().getTime() % minute)
  if (left < 30_000) clock.advance(left)
}
