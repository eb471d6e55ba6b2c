import argon2 from 'argon2'
import { Problem } from '../errors.ts'
import { Turns } from './turns.ts'

/** Parameters of OWASP's Password Storage Cheat Sheet for argon2id: 19 MiB, 2 passes, 1 lane. */
const parameters = { type: argon2.argon2id, memoryCost: 19 * 1024, timeCost: 2, parallelism: 1 } as const

/** Hashes to, and checks, an encoded hash (PHC string format), here or in another process. */
export interface Argon2 {
  hash(text: string, options: typeof parameters): Promise<string>
  verify(hash: string, text: string): Promise<boolean>
  close?(): Promise<void>
}

/**
 * For each that is worked on so many may wait: about a third of a second. Whoever comes later is
 * told to come again.
 */
const mostWaitingPerTurn = 8
/** Seconds. */
const longestPauseSeconds = 30

/**
 * Hashes and checks passphrases, only so many at once: work beyond that is refused with OVERLOADED,
 * quickly.
 */
export class Passphrases {
  readonly #most: number
  readonly #argon2: Argon2
  readonly #turns: Turns
  #inside = 0
  /** Milliseconds that one took, lately. */
  #usual = 50
  /** Told to come again, and not yet made room for. */
  #away = 0
  /**
   * Checked in place of a hash that does not exist, so that an unknown account costs the same time.
   */
  #decoy: Promise<string> | undefined

  constructor(atOnce: number, work: Argon2) {
    this.#most = atOnce
    this.#turns = new Turns(atOnce, atOnce * mostWaitingPerTurn, () => this.#comeAgain())
    this.#argon2 = work
  }

  /** argon2id of a new passphrase, whose strength the caller has judged. */
  async hash(passphrase: string): Promise<string> {
    return this.#work(() => this.#argon2.hash(passphrase.normalize('NFC'), parameters))
  }

  /**
   * Whether the passphrase is the one of the hash that `find` answers; an absent hash takes as long
   * and is never right. `find` is asked when it is this passphrase's turn: whoever counts attempts
   * there counts those that are checked, and refuses the others by throwing.
   */
  async verify(find: () => Promise<string | undefined>, passphrase: string): Promise<boolean> {
    const decoy = await this.#makeDecoy()
    return this.#work(async () => {
      const hash = await find()
      const right = await this.#argon2.verify(hash ?? decoy, passphrase.normalize('NFC'))
      return right && hash !== undefined
    })
  }

  /**
   * For whoever will need a turn, before anything else is done for it: OVERLOADED at once where it
   * would wait long.
   */
  requireRoom(): void {
    if (this.#inside >= this.#most * (1 + mostWaitingPerTurn)) throw this.#comeAgain()
  }

  /**
   * All of an act that needs a turn, with what comes before and after it; it too is refused where
   * there is no room.
   */
  async admit<T>(act: () => Promise<T>): Promise<T> {
    this.requireRoom()
    this.#inside++
    try {
      return await act()
    } finally {
      this.#inside--
    }
  }

  /** Each of those who are away gets a time of its own, or all would be back at once. */
  #comeAgain(): Problem {
    const seconds = (++this.#away * this.#usual) / this.#most / 1000
    return new Problem('OVERLOADED', { retryAfter: Math.min(1 + Math.floor(seconds), longestPauseSeconds) })
  }

  #makeDecoy(): Promise<string> {
    this.#decoy ??= this.#argon2.hash('no passphrase has this hash', parameters).catch((error: unknown) => {
      this.#decoy = undefined
      throw error
    })
    return this.#decoy
  }

  async close(): Promise<void> {
    await this.#argon2.close?.()
  }

  #work<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.take(async () => {
      const began = performance.now()
      try {
        return await work()
      } finally {
        this.#usual += (performance.now() - began - this.#usual) / 8
        this.#away = this.#turns.waiting === 0 ? 0 : Math.max(0, this.#away - 1)
      }
    })
  }
}
