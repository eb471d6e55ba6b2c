import type { SessionContext } from './session-context.ts'

const acknowledgeEveryMs = 1_000

/** Tells the service up to where this device has what it was sent, at most once a second. */
export class Acknowledgements {
  readonly #context: SessionContext
  readonly #isLive: () => boolean
  #acknowledged = -1
  #upTo = -1
  #cancel: (() => void) | undefined

  constructor(context: SessionContext, isLive: () => boolean) {
    this.#context = context
    this.#isLive = isLive
  }

  soon(): void {
    this.#upTo = this.#context.position()
    if (!this.#isLive()) return
    this.#cancel ??= this.#context.platform.after(acknowledgeEveryMs, () => this.now())
  }

  /** What was opened and written to the store counts as delivered. */
  now(): void {
    this.stop()
    if (this.#upTo <= this.#acknowledged) return
    const { connection, operation } = this.#context
    const upTo = this.#upTo
    if (connection.send({ type: 'acknowledge', operation, upTo })) this.#acknowledged = upTo
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }
}
