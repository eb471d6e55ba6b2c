import type { SessionContext } from './session-context.ts'

const acknowledgeEveryMs = 1_000

/**
 * Tells the service, at most once a second, up to which index this device has the entries that the
 * service sent to it.
 */
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

  /**
   * Sends the acknowledgement now. A message counts as delivered once it was opened and written to
   * the store.
   */
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

/** Tells the service that this person has read messages, 1,000 in a frame. */
export function sendRead(
  { connection, operation }: Pick<SessionContext, 'connection' | 'operation'>,
  messages: readonly string[],
): void {
  for (let at = 0; at < messages.length; at += 1000)
    connection.send({ type: 'acknowledge', operation, messages: messages.slice(at, at + 1000) })
}
