import { mostClockDifferenceMs } from '../protocol/index.ts'
import type { Platform } from './platform.ts'
import { refuse, type ClientProblem } from './problem.ts'

/** Dates in HTTP are whole seconds: on average half of one more has passed. */
const dateResolutionMs = 1_000

/**
 * The time of the service, as its answers say it (Date, RFC 9110, 6.6.1): what this device signs
 * and proves is dated by it, so that a clock that is off keeps nobody out. It is followed as far as
 * clocks may differ anyway: a service that lies about the time moves no date of this device further
 * than the device's own clock could be wrong without anybody's noticing.
 */
export class ServiceTime {
  readonly #platform: Pick<Platform, 'clock' | 'elapsed'>
  #ahead = 0

  constructor(platform: Pick<Platform, 'clock' | 'elapsed'>) {
    this.#platform = platform
  }

  /** Milliseconds that the service is ahead of this device's clock; negative where it is behind. */
  get ahead(): number {
    return this.#ahead
  }

  /** Takes up what was learned before. */
  resume(ahead: unknown): void {
    if (typeof ahead === 'number' && Number.isFinite(ahead)) this.#ahead = ahead
  }

  now(): Date {
    const { clock } = this.#platform
    return this.isFollowed ? new Date(clock().getTime() + this.#ahead) : clock()
  }

  get isFollowed(): boolean {
    return Math.abs(this.#ahead) <= mostClockDifferenceMs
  }

  /**
   * Learns from an answer that took so many milliseconds; true where the time is another one than
   * was thought.
   */
  learn(date: string | null, took: number): boolean {
    const said = Date.parse(date ?? '')
    if (Number.isNaN(said)) return false
    const ahead = said + dateResolutionMs / 2 - (this.#platform.clock().getTime() - took / 2)
    // An answer that was long on its way says little.
    if (Math.abs(ahead - this.#ahead) <= took / 2 + dateResolutionMs) return false
    this.#ahead = ahead
    return true
  }

  /** What to say where a proof was refused and the clock is further off than is followed. */
  refusal(): ClientProblem | undefined {
    if (this.isFollowed) return undefined
    return refuse('CLOCK_WRONG', `The clock of this device is ${this.words()} that of the service.`)
  }

  /** "70 seconds behind", as a person says it. */
  words(): string {
    const seconds = Math.round(Math.abs(this.#ahead) / 1000)
    const units = [
      ['day', 86_400],
      ['hour', 3_600],
      ['minute', 60],
      ['second', 1],
    ] as const
    const [name, length] = units.find(([, size]) => seconds >= 2 * size) ?? ['second', 1]
    const count = Math.round(seconds / length)
    return `${String(count)} ${name}${count === 1 ? '' : 's'} ${this.#ahead > 0 ? 'behind' : 'ahead of'}`
  }
}
