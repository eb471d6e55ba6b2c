import { mostClockDifferenceMs } from '../protocol/index.ts'
import type { Platform } from './platform.ts'
import { refuse, type ClientProblem } from './problem.ts'

/** Dates in HTTP are whole seconds: on average, half a second more has passed. */
const dateResolutionMs = 1_000

/**
 * The time of the service, as its answers say it (Date, RFC 9110, 6.6.1). It dates the signatures
 * and proofs of this device, so that a wrong clock keeps no person out. It is followed only within
 * the difference that clocks may have anyway: a service that lies about the time moves the dates of
 * this device no further than its own clock could be wrong unnoticed.
 */
export class ServiceTime {
  readonly #platform: Pick<Platform, 'clock' | 'elapsed'>
  #ahead = 0

  constructor(platform: Pick<Platform, 'clock' | 'elapsed'>) {
    this.#platform = platform
  }

  /**
   * Milliseconds by which the service is ahead of the clock of this device; negative where it is
   * behind.
   */
  get ahead(): number {
    return this.#ahead
  }

  /** Takes the difference that an earlier process learned, in milliseconds. */
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
   * Learns from an answer that took so many milliseconds. Answers true where the difference has
   * changed.
   */
  learn(date: string | null, took: number): boolean {
    const said = Date.parse(date ?? '')
    if (Number.isNaN(said)) return false
    const ahead = said + dateResolutionMs / 2 - (this.#platform.clock().getTime() - took / 2)
    // A slow answer says little about the time.
    if (Math.abs(ahead - this.#ahead) <= took / 2 + dateResolutionMs) return false
    this.#ahead = ahead
    return true
  }

  /**
   * The refusal for a proof that was refused while the clock is too wrong to follow the service;
   * undefined where it is not.
   */
  refusal(): ClientProblem | undefined {
    if (this.isFollowed) return undefined
    return refuse('CLOCK_WRONG', `The clock of this device is ${this.words()} that of the service.`)
  }

  /** The difference in words, such as "70 seconds behind". */
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
