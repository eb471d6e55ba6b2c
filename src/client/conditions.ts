import { longestTimerMs, type Platform } from './platform.ts'

/** Those who wait for something to be true: asked again whenever it may have become so. */
export class Conditions {
  readonly #platform: Platform
  readonly #checks = new Set<(over: boolean) => void>()

  constructor(platform: Platform) {
    this.#platform = platform
  }

  /** Asks all conditions; where it is `over`, those that do not hold never will. */
  check(over: boolean): void {
    for (const check of this.#checks) check(over)
  }

  /** Resolves with true once the condition holds, with false after the time or when it is over. */
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
