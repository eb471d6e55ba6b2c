import argon2 from 'argon2'
import { Problem } from '../errors.ts'
import { Turns } from './turns.ts'

/** Parameters of OWASP's Password Storage Cheat Sheet for argon2id: 19 MiB, 2 passes, 1 lane. */
const parameters = { type: argon2.argon2id, memoryCost: 19 * 1024, timeCost: 2, parallelism: 1 } as const

/** Makes and checks encoded hashes (PHC string format), here or in another process. */
export interface Argon2 {
  hash(text: string, options: typeof parameters): Promise<string>
  verify(hash: string, text: string): Promise<boolean>
  close?(): Promise<void>
}

/**
 * How many may wait for each passphrase that is worked on: about a third of a second. A later
 * caller is told to come again.
 */
const mostWaitingPerTurn = 8
const longestPauseSeconds = 30

/**
 * Hashes and checks passphrases, a bounded number at once: work beyond the bound is refused
 * quickly, with OVERLOADED.
 */
export class Passphrases {
  readonly #atOnce: number
  readonly #argon2: Argon2
  readonly #turns: Turns
  #inside = 0
  /** Milliseconds that one passphrase took, lately. */
  #usual = 50
  /** Callers who were told to come again, and for whom no room was made yet. */
  #away = 0
  /**
   * The hash that is checked in place of one that does not exist, so that an unknown account costs
   * as much time.
   */
  #decoy: Promise<string> | undefined

  constructor(atOnce: number, work: Argon2) {
    this.#atOnce = atOnce
    this.#turns = new Turns(atOnce, atOnce * mostWaitingPerTurn, () => this.#comeAgain())
    this.#argon2 = work
  }

  /** Answers the argon2id hash of a new passphrase, whose strength the caller has judged. */
  async hash(passphrase: string): Promise<string> {
    return this.#work(() => this.#argon2.hash(passphrase.normalize('NFC'), parameters))
  }

  /**
   * Whether the passphrase is that of the hash that `find` answers; an absent hash takes as long
   * and never matches. `find` runs when it is this passphrase's turn: a `find` that counts attempts
   * counts those that are checked, and refuses the others by throwing.
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
   * Refuses with OVERLOADED at once where a passphrase would wait long; for a caller that will need
   * a turn, before anything else is done for it.
   */
  requireRoom(): void {
    if (this.#inside >= this.#atOnce * (1 + mostWaitingPerTurn)) throw this.#comeAgain()
  }

  /**
   * Runs all of an act that needs a turn, with the work before and after it; OVERLOADED where there
   * is no room.
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

  /**
   * Makes the refusal. Each caller who is away gets a time of its own, or all would be back at
   * once.
   */
  #comeAgain(): Problem {
    const seconds = (++this.#away * this.#usual) / this.#atOnce / 1000
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
