import argon2 from 'argon2'
import { Problem } from '../errors.ts'

/** Parameters of OWASP's Password Storage Cheat Sheet for argon2id: 19 MiB, 2 passes, 1 lane. */
const parameters = { type: argon2.argon2id, memoryCost: 19 * 1024, timeCost: 2, parallelism: 1 } as const

/** Hashes and checks passphrases, only so many at once: work beyond that is refused with OVERLOADED, quickly. */
export class Passphrases {
  readonly #most: number
  readonly #waiting: (() => void)[] = []
  #running = 0
  /** Checked in place of a hash that does not exist, so that an unknown account costs the same time. */
  #decoy: Promise<string> | undefined

  constructor(atOnce = 2) {
    this.#most = atOnce
  }

  /** argon2id of a new passphrase, whose strength the caller has judged. */
  async hash(passphrase: string): Promise<string> {
    return this.#work(() => argon2.hash(passphrase.normalize('NFC'), parameters))
  }

  /** Whether the passphrase is the one of this hash; an absent hash takes as long and is never right. */
  async verify(hash: string | undefined, passphrase: string): Promise<boolean> {
    this.#decoy ??= argon2.hash('no passphrase has this hash', parameters)
    const against = hash ?? (await this.#decoy)
    const right = await this.#work(() => argon2.verify(against, passphrase.normalize('NFC')))
    return right && hash !== undefined
  }

  async #work<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#most) this.#running++
    else {
      if (this.#waiting.length >= this.#most * 32) throw new Problem('OVERLOADED')
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
