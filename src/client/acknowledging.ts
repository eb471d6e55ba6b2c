import type { Footing } from './footing.ts'

const every = 1_000

/** Tells the service up to where this device has what it was sent, at most once a second. */
export class Acknowledging {
  readonly #footing: Footing
  readonly #isLive: () => boolean
  #acknowledged = -1
  #upTo = -1
  #cancel: (() => void) | undefined

  constructor(footing: Footing, isLive: () => boolean) {
    this.#footing = footing
    this.#isLive = isLive
  }

  soon(): void {
    this.#upTo = this.#footing.position()
    if (!this.#isLive()) return
    this.#cancel ??= this.#footing.platform.after(every, () => this.now())
  }

  /** What was opened and written to the store counts as delivered. */
  now(): void {
    this.stop()
    if (this.#upTo <= this.#acknowledged) return
    const { connection, operation } = this.#footing
    const upTo = this.#upTo
    if (connection.send({ type: 'acknowledge', operation, upTo })) this.#acknowledged = upTo
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
