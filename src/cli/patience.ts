import type { Terminal } from './terminal.ts'

/** Milliseconds after which the person is told that the command waits, and after which again. */
const tellAfterMs = 3_000
const tellAgainAfterMs = 30_000

/**
 * Tells the person that a command still waits for the service, so that it does not seem to hang.
 */
export class Patience {
  readonly #terminal: Pick<Terminal, 'note'>
  #timer: NodeJS.Timeout | undefined
  #waiting = 0

  constructor(terminal: Pick<Terminal, 'note'>) {
    this.#terminal = terminal
  }

  /** Sends a request. Where it fails and is sent again, the time counts from the first one. */
  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    this.#tellIn(tellAfterMs)
    const response = await fetch(url, init)
    this.#answered()
    return response
  }

  /** Waits for an answer over the live connection. */
  async for<T>(work: Promise<T>): Promise<T> {
    this.#waiting++
    this.#tellIn(tellAfterMs)
    try {
      return await work
    } finally {
      this.#waiting--
      this.#answered()
    }
  }

  #tellIn(milliseconds: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#terminal.note('Still waiting for the service…')
      this.#tellIn(tellAgainAfterMs)
    }, milliseconds).unref()
  }

  #answered(): void {
    if (this.#waiting > 0) return
    this.stop()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
