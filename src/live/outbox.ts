import type { Socket } from 'node:net'
import { closeCodes, type ServerFrame } from '../protocol/index.ts'

/** The part of a `ws` socket that is written to. */
export interface Wire {
  readonly bufferedAmount: number
  readonly readyState: number
  send(text: string, done: (error?: Error) => void): void
  close(code: number, reason: string): void
  terminate(): void
}

const open = 1
/** Bytes that may wait for a reader before it is cut off. */
const mostWaiting = 16 * 1024 * 1024
/** Bytes above which a catch-up waits before it sends more. */
const comfortable = 1024 * 1024

/** Frames on their way to one reader: written together once per turn, bounded, in order. */
export class Outbox {
  readonly #wire: Wire
  readonly #raw: Socket | undefined
  readonly #waiting: string[] = []
  readonly #drained: (() => void)[] = []
  #bytes = 0
  #scheduled = false
  #closed = false

  constructor(wire: Wire, raw: Socket | undefined) {
    this.#wire = wire
    this.#raw = raw
  }

  get closed(): boolean {
    return this.#closed || this.#wire.readyState !== open
  }

  /** Half of what may wait does: whoever can wait with more should. */
  get crowded(): boolean {
    return this.#bytes + this.#wire.bufferedAmount > mostWaiting / 2
  }

  send(frame: ServerFrame): void {
    this.sendText(JSON.stringify(frame))
  }

  /** A frame that was made text once for all its readers. */
  sendText(text: string): void {
    if (this.closed) return
    this.#waiting.push(text)
    this.#bytes += text.length
    if (this.#bytes + this.#wire.bufferedAmount > mostWaiting) {
      this.close(closeCodes.tooSlow, 'too slow')
      return
    }
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#scheduled = false
    if (this.closed) return this.#release()
    this.#raw?.cork()
    for (const text of this.#waiting.splice(0)) {
      this.#wire.send(text, (error) => {
        this.#bytes -= text.length
        if (error) this.#release()
        else if (this.#bytes < comfortable) this.#release()
      })
    }
    this.#raw?.uncork()
  }

  #release(): void {
    for (const resume of this.#drained.splice(0)) resume()
  }

  /** Resolves once the reader has taken enough of what it was sent; at once where nothing waits. */
  async comfortable(): Promise<void> {
    while (!this.closed && this.#bytes + this.#wire.bufferedAmount > comfortable) {
      await new Promise<void>((resolve) => this.#drained.push(resolve))
    }
  }

  close(code: number, reason: string): void {
    if (this.#closed) return
    this.#flush()
    this.#closed = true
    this.#release()
    this.#wire.close(code, reason)
    // A reader that does not even answer the close is let go of.
    setTimeout(() => this.#wire.terminate(), 5_000).unref()
  }

  /** The socket is gone: whoever waits for it goes on, and finds it closed. */
  gone(): void {
    this.#closed = true
    this.#release()
  }
}
