/**
 * Work of which only so much is done at once, in the order in which it came, and only so much
 * waits.
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
      // Whoever ends hands its place on: nobody can slip in between.
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
