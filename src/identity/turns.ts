/**
 * Runs a bounded number of works at once, in the order in which they came, and lets a bounded
 * number wait.
 */
export class Turns {
  readonly #atOnce: number
  readonly #mostWaiting: number
  readonly #refuse: () => Error
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(atOnce: number, mostWaiting: number, refuse: () => Error) {
    this.#atOnce = atOnce
    this.#mostWaiting = mostWaiting
    this.#refuse = refuse
  }

  get waiting(): number {
    return this.#waiting.length
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#atOnce) this.#running++
    else {
      if (this.#waiting.length >= this.#mostWaiting) throw this.#refuse()
      // A work that ends hands its place to the next one: no other can slip in between.
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
