import { backOff, type Platform } from './platform.ts'

/** Runs a task after a delay that grows each time until it is reset. */
export class RetryTimer {
  readonly #platform: Platform
  #times = 0
  #cancel: (() => void) | undefined

  constructor(platform: Platform) {
    this.#platform = platform
  }

  /**
   * Runs a task after about `first` milliseconds, the next time after about twice as many, and
   * never after more than `most`. A task that still waits is dropped.
   */
  run(first: number, most: number, what: () => void): void {
    this.#cancel?.()
    this.#cancel = this.#platform.after(backOff(this.#platform, this.#times++, first, most), what)
  }

  /** Lets the next delay be the shortest again, because the task succeeded. */
  reset(): void {
    this.#times = 0
  }

  stop(): void {
    this.#cancel?.()
  }
}
