import type { EntryFrame, ServerFrame } from '../protocol/index.ts'
import { asProtocolError } from './failures.ts'
import { isProblem } from './problem.ts'

const mostEntriesPerTurn = 64

export interface FrameQueueDeps {
  readonly entries: (frames: readonly EntryFrame[]) => Promise<void>
  readonly other: (frame: ServerFrame) => Promise<void>
  /** Called after each turn. */
  readonly turned: () => void
  /** Called where a frame makes no sense. The queue goes on with the next frame. */
  readonly senseless: (reason: string, detail: string) => void
  /** Called where a frame could not be taken in. The queue stops. */
  readonly failed: (error: unknown) => void
}

/**
 * The frames of one operation, taken in one after the other in the order in which they came;
 * entries are taken in many at once.
 */
export class FrameQueue {
  readonly #deps: FrameQueueDeps
  #waiting: ServerFrame[] = []
  #draining: Promise<void> | undefined

  constructor(deps: FrameQueueDeps) {
    this.#deps = deps
  }

  push(frame: ServerFrame): void {
    this.#waiting.push(frame)
    this.#draining ??= this.#drain()
  }

  /** Drops the frames that wait. */
  clear(): void {
    this.#waiting = []
  }

  /** Resolves once the frame that is being taken in is done. */
  async settled(): Promise<void> {
    await this.#draining
  }

  async #drain(): Promise<void> {
    // One turn later, `#draining` is set and can be cleared.
    await Promise.resolve()
    try {
      while (this.#waiting.length > 0) {
        const entries: EntryFrame[] = []
        while (entries.length < mostEntriesPerTurn && isEntry(this.#waiting[0]))
          entries.push(this.#waiting.shift() as EntryFrame)
        if (entries.length > 0) await this.#deps.entries(entries)
        else await this.#other(this.#waiting.shift() as ServerFrame)
        this.#deps.turned()
      }
    } catch (error) {
      this.#deps.failed(error)
    } finally {
      this.#draining = undefined
    }
  }

  async #other(frame: ServerFrame): Promise<void> {
    try {
      await this.#deps.other(frame)
    } catch (error) {
      if (isProblem(error)) throw error
      const { code, message } = asProtocolError(error)
      this.#deps.senseless(code, message)
    }
  }
}

function isEntry(frame: ServerFrame | undefined): frame is EntryFrame {
  return frame?.type === 'entry' && typeof frame.leaf === 'string' && typeof frame.index === 'number'
}
