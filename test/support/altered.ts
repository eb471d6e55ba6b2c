import type { Platform, Socket } from '../../src/client/index.ts'

export type Frame = Record<string, unknown> & { type: string }

/**
 * A service that was altered, as one client sees it: what it answers over HTTP and what it pushes
 * passes through here. Nothing is altered until a test says so.
 */
export class Altered {
  /** Another frame, several, or none instead of one that the service pushes. */
  frame: (frame: Frame) => Frame | Frame[] | undefined = (frame) => frame
  /** Another answer instead of the service's; `body` is what the client sent. */
  answer: (request: { method: string; path: string; body: unknown }, answer: Answer) => Answer = (_, answer) => answer
  /** An answer to a request that then never reaches the service. */
  instead: (request: { method: string; path: string; body: unknown }) => Answer | undefined = () => undefined
  /** Called with each frame that the client sends; false loses it. */
  sent: (frame: Frame) => boolean = () => true
  readonly requests: { method: string; path: string; body: unknown }[] = []
  readonly #sockets = new Set<AlteredSocket>()

  get platform(): Partial<Platform> {
    const make = (url: string, protocols: string[]) => {
      const socket = new AlteredSocket(url, protocols, this)
      this.#sockets.add(socket)
      return socket
    }
    return {
      fetch: (url, init) => this.#fetch(url, init),
      // A constructor may answer another object than the one that it was called on.
      WebSocket: function (url: string, protocols: string[]) {
        return make(url, protocols)
      } as unknown as Platform['WebSocket'],
    }
  }

  /** From here on nothing is altered. */
  reset(): void {
    this.frame = (frame) => frame
    this.answer = (_, answer) => answer
    this.instead = () => undefined
    this.sent = () => true
    this.requests.length = 0
  }

  /** Pushes something to the client that the service never sent. */
  inject(data: string): void {
    for (const socket of this.#sockets) socket.inject(data)
  }

  /** Cuts every live connection without a word. */
  cut(): void {
    for (const socket of this.#sockets) socket.cut()
    this.#sockets.clear()
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const { pathname } = new URL(url)
    const body = typeof init.body === 'string' ? (JSON.parse(init.body) as unknown) : undefined
    const request = { method: init.method ?? 'GET', path: pathname, body }
    this.requests.push(request)
    const instead = this.instead(request)
    if (instead) return new Response(instead.text ?? JSON.stringify(instead.json), { status: instead.status })
    const response = await fetch(url, init)
    const text = await response.text()
    if (!text.startsWith('{')) return new Response(response.status === 204 ? null : text, { status: response.status })
    const { status, json } = this.answer(request, { status: response.status, json: JSON.parse(text) as never })
    return new Response(JSON.stringify(json), { status })
  }
}

export interface Answer {
  status: number
  json: Record<string, never> | Record<string, unknown>
  /** Instead of JSON. */
  text?: string
}

class AlteredSocket implements Socket {
  readonly #inner: WebSocket
  readonly #altered: Altered
  readonly #closed = new Set<(event: { code: number; reason: string }) => void>()
  readonly #listening = new Set<(event: { data: string }) => void>()
  #cut = false

  constructor(url: string, protocols: string[], altered: Altered) {
    this.#inner = new WebSocket(url, protocols)
    this.#altered = altered
  }

  get readyState(): number {
    return this.#cut ? 3 : this.#inner.readyState
  }

  inject(data: string): void {
    if (this.readyState === 1) for (const listener of this.#listening) listener({ data })
  }

  send(text: string): void {
    if (!this.#cut && this.#altered.sent(JSON.parse(text) as Frame)) this.#inner.send(text)
  }

  close(code?: number, reason?: string): void {
    this.#inner.close(code, reason)
  }

  cut(): void {
    if (this.#cut) return
    this.#cut = true
    this.#inner.close()
    for (const listener of this.#closed) listener({ code: 1006, reason: '' })
  }

  addEventListener(type: string, listener: (event: never) => void): void {
    if (type === 'close') {
      this.#closed.add(listener as (event: { code: number; reason: string }) => void)
      this.#inner.addEventListener('close', (event) => {
        if (!this.#cut) (listener as (event: CloseEvent) => void)(event)
      })
      return
    }
    if (type !== 'message') {
      this.#inner.addEventListener(type, listener as () => void)
      return
    }
    this.#listening.add(listener as (event: { data: string }) => void)
    this.#inner.addEventListener('message', ({ data }: MessageEvent) => {
      if (this.#cut) return
      const altered = this.#altered.frame(JSON.parse(String(data)) as Frame)
      for (const frame of altered === undefined ? [] : Array.isArray(altered) ? altered : [altered]) {
        // Altering may have cut this very socket: then the frame is lost with it.
        if (!this.#cut) (listener as (event: { data: string }) => void)({ data: JSON.stringify(frame) })
      }
    })
  }
}

/** The kind of the entry that a frame shows. */
export function kindOf(frame: Frame): string | undefined {
  return frame.type === 'entry' ? (JSON.parse(frame['leaf'] as string) as { kind: string }).kind : undefined
}

/** The frame with another leaf: what a service could write that signs its own log as it likes. */
export function withLeaf(frame: Frame, change: Record<string, unknown>): Frame {
  return { ...frame, leaf: JSON.stringify({ ...(JSON.parse(frame['leaf'] as string) as object), ...change }) }
}
