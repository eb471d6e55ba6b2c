import { backOff, type Platform } from './platform.ts'

/** Does one thing a little later, and less and less often while it has to be done again. */
export class RetryTimer {
  readonly #platform: Platform
  #times = 0
  #cancel: (() => void) | undefined

  constructor(platform: Platform) {
    this.#platform = platform
  }

  /**
   * After about `first` milliseconds, the next time after twice that, never after more than `most`;
   * what waited is not done.
   */
  run(first: number, most: number, what: () => void): void {
    this.#cancel?.()
    this.#cancel = this.#platform.after(backOff(this.#platform, this.#times++, first, most), what)
  }

  /** It went well: the next time begins at the beginning. */
  reset(): void {
    this.#times = 0
  }

  stop(): void {
    this.#cancel?.()
  }
}
