import { longestTimerMs, type Platform } from './platform.ts'

/** Holds conditions for which callers wait, and checks them after each change of the session. */
export class Conditions {
  readonly #platform: Platform
  readonly #checks = new Set<(over: boolean) => void>()

  constructor(platform: Platform) {
    this.#platform = platform
  }

  /**
   * Checks all conditions. Where `over` is true, a condition that does not hold now resolves with
   * false.
   */
  check(over: boolean): void {
    for (const check of this.#checks) check(over)
  }

  /**
   * Resolves with true once the condition holds, with false after the time or when the session is
   * over.
   */
  until(condition: () => boolean, milliseconds: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true)
    return new Promise((resolve) => {
      const finish = (result: boolean) => {
        this.#checks.delete(check)
        cancel()
        resolve(result)
      }
      const check = (over: boolean) => {
        if (condition()) finish(true)
        else if (over) finish(false)
      }
      const cancel = this.#platform.after(Math.min(milliseconds, longestTimerMs), () => finish(false))
      this.#checks.add(check)
    })
  }
}
