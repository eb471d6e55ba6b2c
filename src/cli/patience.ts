import type { Terminal } from './terminal.ts'

/** Milliseconds after which somebody is told what a command waits for, and after which again. */
const tellAfterMs = 3_000
const tellAgainAfterMs = 30_000

/** Says that a command still waits for the service, so that nobody thinks that it hangs. */
export class Patience {
  readonly #terminal: Pick<Terminal, 'note'>
  #timer: NodeJS.Timeout | undefined
  #waiting = 0

  constructor(terminal: Pick<Terminal, 'note'>) {
    this.#terminal = terminal
  }

  /** A request; one that fails is made again, and waited for from the first time. */
  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    this.#tellIn(tellAfterMs)
    const response = await fetch(url, init)
    this.#answered()
    return response
  }

  /** Something that is asked for over the live connection. */
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
