/** How many requests an address may make: `burst` at once, and `perSecond` from then on. */
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

  /** Seconds to wait; 0 where the request may be answered. */
  wait(address: string): number {
    const now = this.#now()
    const known = this.#levels.get(address)
    const drained = known === undefined ? 0 : Math.max(0, known.level - ((now - known.at) / 1_000) * this.#perSecond)
    if (drained + 1 > this.#burst) return Math.ceil((drained + 1 - this.#burst) / this.#perSecond)
    // Whoever is forgotten begins with a full burst; nobody can make this grow without end.
    if (known === undefined && this.#levels.size >= mostAddresses) this.#levels.clear()
    this.#levels.set(address, { level: drained + 1, at: now })
    return 0
  }
}

const mostAddresses = 10_000
