/** Limits the requests of each address: `burst` at once, and `perSecond` from then on. */
export class Throttle {
  readonly #perSecond: number
  readonly #burst: number
  readonly #now: () => number
  readonly #levels = new Map<string, { level: number; at: number }>()

  /** `now`: milliseconds on a clock that only goes forward. */
  constructor({ perSecond, burst, now }: { perSecond: number; burst: number; now: () => number }) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#now = now
  }

  /** Answers the seconds to wait; 0 where the request may be answered. */
  wait(address: string): number {
    const now = this.#now()
    const known = this.#levels.get(address)
    const drained = known === undefined ? 0 : Math.max(0, known.level - ((now - known.at) / 1_000) * this.#perSecond)
    if (drained + 1 > this.#burst) return Math.ceil((drained + 1 - this.#burst) / this.#perSecond)
    // An address that is forgotten begins with a full burst; no client can make this map grow
    // without end.
    if (known === undefined && this.#levels.size >= mostAddresses) this.#levels.clear()
    this.#levels.set(address, { level: drained + 1, at: now })
    return 0
  }
}

const mostAddresses = 10_000
