import type { Socket } from 'node:net'
import { closeCodes, type ServerFrame } from '../protocol/index.ts'

/** The part of a `ws` socket that is written to. */
export interface Wire {
  readonly readyState: number
  send(text: string, done: (error?: Error) => void): void
  ping(): void
  close(code: number, reason: string): void
  terminate(): void
}

const openState = 1
/** How much may wait for a reader before it is cut off. */
const mostWaitingCharacters = 16 * 1024 * 1024
/** A catch-up waits before it sends more while more than this waits. */
const comfortableCharacters = 1024 * 1024
/**
 * How much is handed to the socket at once. The rest waits here, where it can be thrown away: a
 * close does not queue behind it.
 */
const windowCharacters = 256 * 1024
/**
 * How long a reader may take to answer the close before its socket is destroyed; a reader that does
 * not read may begin to again.
 */
const lingerMs = { usual: 5_000, tooSlow: 60_000 } as const
export const longestLinger = lingerMs.tooSlow

/** Frames on their way to one reader: written together once per turn, bounded, in order. */
export class FrameOutbox {
  readonly #wire: Wire
  readonly #raw: Socket | undefined
  readonly #waiting: string[] = []
  readonly #drained: (() => void)[] = []
  #waitingSize = 0
  /** Characters that were handed to the socket, and that the operating system has not taken yet. */
  #handed = 0
  #taken = 0
  #scheduled = false
  #closed = false

  constructor(wire: Wire, raw: Socket | undefined) {
    this.#wire = wire
    this.#raw = raw
  }

  get closed(): boolean {
    return this.#closed || this.#wire.readyState !== openState
  }

  get #size(): number {
    return this.#waitingSize + this.#handed
  }

  /** Whether half of what may wait does wait: a sender that can wait should. */
  get crowded(): boolean {
    return this.#size > mostWaitingCharacters / 2
  }

  /** Whether more waits than the socket takes: the reader does not keep up. */
  get backed(): boolean {
    return this.#waiting.length > 0 && this.#handed > 0
  }

  /**
   * Characters that the reader's side had room for: it grows while a reader that is behind reads.
   */
  get taken(): number {
    return this.#taken
  }

  send(frame: ServerFrame): void {
    this.sendText(JSON.stringify(frame))
  }

  /** Sends a frame that was made text once for all its readers. */
  sendText(text: string): void {
    if (this.closed) return
    this.#waiting.push(text)
    this.#waitingSize += text.length
    if (this.#size > mostWaitingCharacters) this.close(closeCodes.tooSlow, 'too slow')
    else this.#flushSoon()
  }

  ping(): void {
    if (!this.closed) this.#wire.ping()
  }

  #flushSoon(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (this.closed) this.#release()
      else this.#flush(windowCharacters)
    })
  }

  #flush(most: number): void {
    let next = 0
    this.#raw?.cork()
    for (; next < this.#waiting.length && this.#handed < most; next++) this.#handOver(this.#waiting[next] ?? '')
    this.#raw?.uncork()
    this.#waiting.splice(0, next)
  }

  #handOver(text: string): void {
    this.#waitingSize -= text.length
    this.#handed += text.length
    this.#wire.send(text, (error) => {
      this.#handed -= text.length
      if (!error) this.#taken += text.length
      if (error || this.#size < comfortableCharacters) this.#release()
      if (this.#waiting.length > 0 && this.#handed < windowCharacters) this.#flushSoon()
    })
  }

  #release(): void {
    for (const resume of this.#drained.splice(0)) resume()
  }

  /** Resolves once the reader has taken enough of what it was sent; at once where nothing waits. */
  async comfortable(): Promise<void> {
    while (!this.closed && this.#size > comfortableCharacters) {
      await new Promise<void>((resolve) => this.#drained.push(resolve))
    }
  }

  /**
   * Says why, and ends. Frames that wait for a reader that is too slow are thrown away; other
   * readers get the frames that were sent before.
   */
  close(code: number, reason: string): void {
    if (this.#closed) return
    const tooSlow = code === closeCodes.tooSlow
    if (!tooSlow && this.#wire.readyState === openState) this.#flush(Number.POSITIVE_INFINITY)
    this.#closed = true
    this.#forget()
    this.#wire.close(code, reason)
    setTimeout(() => this.#wire.terminate(), tooSlow ? lingerMs.tooSlow : lingerMs.usual).unref()
  }

  /** Ends without a word: no client is there to read it. */
  cut(): void {
    this.gone()
    this.#wire.terminate()
  }

  /** Ends the waits of senders once the socket is gone; they find it closed. */
  gone(): void {
    this.#closed = true
    this.#forget()
  }

  #forget(): void {
    this.#waiting.length = 0
    this.#waitingSize = 0
    this.#release()
  }
}
