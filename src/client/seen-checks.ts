import { ProtocolError, fromBase64url, verifyConsistency } from '../protocol/index.ts'
import { asProtocolError } from './failures.ts'
import type { SessionContext } from './session-context.ts'
import type { Message } from './message.ts'
import { randomBelow } from './platform.ts'
import { isProblem } from './problem.ts'
import { logKeysOf } from './certificates.ts'
import { verifyCheckpoint, type SeenCheckpoint } from './receipt.ts'

const mostChecksAtOnce = 32
const checkEveryMs = 60_000
const mostTries = 5

/**
 * Compares the checkpoints that senders say they have seen with those that this device has seen. It
 * works in batches after the messages were shown, and finds a sender who was shown another log.
 */
export class SeenChecks {
  readonly #context: SessionContext
  readonly #adopt: (seen: SeenCheckpoint, than: SeenCheckpoint) => boolean
  readonly #over: () => boolean
  readonly #waiting = new Map<string, { seen: SeenCheckpoint; message: string; index: number; tries: number }>()
  readonly #checked = new Set<string>()
  #running: Promise<number> | undefined
  #cancel: (() => void) | undefined

  /**
   * `adopt` takes a checkpoint that has grown from `than` as the newest one, and answers false
   * where the session cannot take it now. `over` says whether this device has been removed: a
   * refusal then says nothing about the log.
   */
  constructor(
    context: SessionContext,
    adopt: (seen: SeenCheckpoint, than: SeenCheckpoint) => boolean,
    over: () => boolean,
  ) {
    this.#context = context
    this.#over = over
    this.#adopt = adopt
  }

  take({ seen, id, index }: Message): void {
    const key = `${String(seen.size)} ${seen.root}`
    if (!this.#checked.has(key)) this.#waiting.set(key, { seen, message: id, index, tries: 0 })
  }

  /** Checks all checkpoints that wait, as far as it can now. */
  async checkAll(): Promise<void> {
    for (let left = this.#waiting.size; left > 0;) {
      const rest = await this.check()
      if (rest >= left) return
      left = rest
    }
  }

  /** Checks a batch about once a minute, until `stop`. */
  checkLater(): void {
    this.stop()
    const { platform, connection } = this.#context
    this.#cancel = platform.after(checkEveryMs / 2 + randomBelow(platform, checkEveryMs), () => {
      // Where the service cannot be reached, the next turn asks again.
      if (connection.open && this.#waiting.size > 0) this.check().catch((error: unknown) => this.#failed(error))
      if (!this.#over()) this.checkLater()
    })
  }

  /**
   * Raises an alarm where the log has not grown to a checkpoint. A service that cannot be reached
   * raises none.
   */
  #failed(error: unknown): void {
    if (isProblem(error)) return
    const { code: reason, message: detail } = asProtocolError(error)
    this.#context.alarm({ code: 'LOG_ALTERED', reason, detail })
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  /**
   * Checks up to 32 checkpoints that wait. Answers how many still wait. Raises the alarm
   * SEEN_REFUSED for each wrong one.
   */
  check(): Promise<number> {
    this.#running ??= this.#check().finally(() => (this.#running = undefined))
    return this.#running
  }

  async #check(): Promise<number> {
    const batch = [...this.#waiting].slice(0, mostChecksAtOnce)
    for (const [key, waiting] of batch) {
      const { seen, message, index } = waiting
      const right = await this.#holds(seen)
      if (this.#over()) return 0
      if (right === 'later') continue
      // A checkpoint for a subscriber is signed up to a second before it is published.
      if (right === undefined && ++waiting.tries < mostTries) continue
      this.#waiting.delete(key)
      this.#checked.add(key)
      if (right === true) continue
      const detail = 'The sender of this message was shown another log than this device.'
      this.#context.alarm({ code: 'SEEN_REFUSED', message, index, detail })
    }
    return this.#waiting.size
  }

  /**
   * Whether a checkpoint is of the log of this device. Undefined where this device cannot tell yet,
   * 'later' where it is catching up.
   */
  async #holds(seen: SeenCheckpoint): Promise<boolean | 'later' | undefined> {
    const known = this.#context.seen()
    if (!known) return undefined
    const own = seen.size > known.size ? await this.#catchUp(known) : known
    if (!own) return 'later'
    if (seen.size > own.size) return undefined
    if (seen.size === own.size) return seen.root === own.root
    const proof = await this.#consistency(seen.size, own.size)
    if (!proof) return false
    try {
      return await verifyConsistency(
        seen.size,
        own.size,
        fromBase64url(seen.root),
        fromBase64url(own.root),
        proof.map(fromBase64url),
      )
    } catch (error) {
      if (error instanceof ProtocolError) return false
      throw error
    }
  }

  async #catchUp(own: SeenCheckpoint): Promise<SeenCheckpoint | undefined> {
    const { operation, transport, self } = this.#context
    const note = await transport.text(`/v1/logs/${operation}/checkpoint`)
    const size = Number(note.split('\n')[1])
    if (!(size > own.size)) return own
    const proof = await this.#consistency(own.size, size)
    const newer = await verifyCheckpoint(note, await logKeysOf(self().account.pins, operation), own, proof)
    return this.#adopt(newer, own) ? newer : undefined
  }

  async #consistency(from: number, to: number): Promise<string[] | undefined> {
    const { operation, transport } = this.#context
    const path = `/v1/logs/${operation}/consistency?from=${String(from)}&to=${String(to)}`
    try {
      return (await transport.request<{ proof: string[] }>('GET', path)).proof
    } catch (error) {
      if (isProblem(error, 'VALIDATION', 'NOT_FOUND')) return undefined
      throw error
    }
  }
}
