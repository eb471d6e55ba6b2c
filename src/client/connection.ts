import {
  closeCodes,
  subProtocol,
  ticketProtocolPrefix,
  type ClientFrame,
  type Plain,
  type ServerFrame,
} from '../protocol/index.ts'
import { backOff, type Platform, type Socket } from './platform.ts'
import { fromProblemJson, isProblem, refuse, type ClientProblem } from './problem.ts'
import type { Transport } from './transport.ts'

/** The session of one operation, as the connection sees it. */
export interface Subscriber {
  /** The socket is open: the session subscribes. */
  connected(): void
  frame(frame: ServerFrame): void
  /**
   * The socket is closed. `final` is given where the connection will not be opened again by itself.
   */
  disconnected(final?: ClientProblem): void
}

interface Post {
  readonly resolve: (frame: Extract<ServerFrame, { type: 'accepted' }>) => void
  readonly reject: (problem: ClientProblem) => void
}

export interface ConnectionDeps {
  readonly platform: Platform
  readonly transport: Transport
}

/**
 * Milliseconds after which a socket that does not open is given up: a proxy may have swallowed the
 * handshake.
 */
const openWithinMs = 10_000
const pingEveryMs = 20_000
/** Milliseconds within which a frame must come after a ping. */
const answerWithinMs = 10_000
/** RFC 6455: an application closes with 1000 or a code of its own. */
const normalCloseCode = 1000

/**
 * One WebSocket for all operations of a device. It opens with a ticket, is kept alive with pings,
 * and is opened again with jitter after it closed.
 */
export class LiveConnection {
  readonly #deps: ConnectionDeps
  readonly #subscribers = new Map<string, Subscriber>()
  readonly #posts = new Map<string, Post>()
  #socket: Socket | undefined
  #open = false
  #wanted = false
  #connecting = false
  #attempt = 0
  #cancelRetry: (() => void) | undefined
  /**
   * Cancels the timer that runs: for the opening of the socket, for the next ping, or for its
   * answer.
   */
  #cancelTimer: (() => void) | undefined
  #heardAt = 0

  constructor(deps: ConnectionDeps) {
    this.#deps = deps
  }

  get open(): boolean {
    return this.#open
  }

  /** Delivers the frames of an operation to a subscriber, and connects if need be. */
  attach(operation: string, subscriber: Subscriber): void {
    this.#subscribers.set(operation, subscriber)
    if (this.#open) subscriber.connected()
    else this.#connectSoon(0)
  }

  /** Connects again after the connection had been given up: the person has signed in again. */
  resume(): void {
    if (this.#subscribers.size > 0) this.#connectSoon(0)
  }

  detach(operation: string): void {
    this.#subscribers.delete(operation)
    this.send({ type: 'unsubscribe', operation })
    if (this.#subscribers.size === 0) this.close()
  }

  /** Sends a frame. Answers false where no socket is open. */
  send(frame: Plain<ClientFrame>): boolean {
    if (!this.#open || !this.#socket) return false
    this.#socket.send(JSON.stringify(frame))
    return true
  }

  /**
   * Posts a message over the socket. Rejects with the service's problem where the service refuses
   * it. Rejects with NETWORK where the socket closes or the time passes before the answer: then the
   * client cannot know what became of the message and has to send this very statement again.
   */
  post(
    id: string,
    frame: Plain<Extract<ClientFrame, { type: 'post' }>>,
    milliseconds: number,
  ): Promise<Extract<ServerFrame, { type: 'accepted' }>> {
    return new Promise((resolve, reject) => {
      const settled =
        <T>(settle: (value: T) => void) =>
        (value: T) => {
          cancel()
          this.#posts.delete(id)
          settle(value)
        }
      const post = { resolve: settled(resolve), reject: settled(reject) }
      const cancel = this.#deps.platform.after(milliseconds, () =>
        post.reject(refuse('NETWORK', 'The service did not answer in time.')),
      )
      // Set before the frame is sent: the socket may close during the sending.
      this.#posts.set(id, post)
      if (!this.send(frame)) post.reject(refuse('NETWORK', 'There is no live connection.'))
    })
  }

  /** Closes the connection and does not open it again. */
  close(): void {
    this.#wanted = false
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    this.#drop()
  }

  #connectSoon(milliseconds: number): void {
    this.#wanted = true
    if (this.#socket || this.#connecting || this.#cancelRetry) return
    if (milliseconds === 0) return this.#begin()
    this.#cancelRetry = this.#deps.platform.after(milliseconds, () => {
      this.#cancelRetry = undefined
      this.#begin()
    })
  }

  /** Connects. A failure is followed by another try. */
  #begin(): void {
    this.#connect().catch(() => {
      this.#connecting = false
      this.#drop()
      this.#retry()
    })
  }

  async #connect(): Promise<void> {
    if (this.#connecting || this.#socket || !this.#wanted) return
    this.#connecting = true
    const { platform, transport } = this.#deps
    let failure: unknown
    try {
      const { ticket } = await transport.request<{ ticket: string }>('POST', '/v1/live-tickets', {}, false)
      if (!this.#wanted) {
        this.#connecting = false
        return
      }
      const url = `${transport.server.replace(/^http/, 'ws')}/v1/live`
      this.#listen(new platform.WebSocket(url, [subProtocol, ticketProtocolPrefix + ticket]))
    } catch (error) {
      failure = error
    }
    this.#connecting = false
    if (isProblem(failure, 'SESSION_ENDED', 'UNAUTHENTICATED', 'NOT_SIGNED_IN')) this.#giveUp(failure)
    else if (failure !== undefined) this.#retry()
  }

  #listen(socket: Socket): void {
    this.#socket = socket
    const mine = () => this.#socket === socket
    this.#timer(openWithinMs, () => this.#again())
    socket.addEventListener('open', () => {
      if (!mine()) return
      this.#open = true
      this.#pingLater()
      for (const subscriber of this.#subscribers.values()) subscriber.connected()
    })
    socket.addEventListener('message', ({ data }) => {
      if (mine()) this.#receive(data)
    })
    socket.addEventListener('error', () => {})
    socket.addEventListener('close', ({ code, reason }) => {
      if (mine()) this.#closed(code, reason)
    })
  }

  #receive(data: unknown): void {
    const frame = frameIn(data)
    if (!frame) return this.#again()
    this.#heardAt = this.#deps.platform.elapsed()
    switch (frame.type) {
      case 'accepted':
      case 'refused': {
        const post = this.#posts.get(frame.id ?? '')
        this.#posts.delete(frame.id ?? '')
        if (frame.type === 'accepted') post?.resolve(frame)
        else post?.reject(fromProblemJson(frame.problem, statusIn(frame.problem)))
        return
      }
      case 'pong':
      case 'closing':
        return
      default:
        this.#attempt = 0
        this.#subscribers.get(frame.operation)?.frame(frame)
    }
  }

  #timer(milliseconds: number, run: () => void): void {
    this.#cancelTimer?.()
    this.#cancelTimer = this.#deps.platform.after(milliseconds, run)
  }

  /** Sends a ping at an interval, and gives the socket up where no frame comes in time after it. */
  #pingLater(): void {
    const { platform } = this.#deps
    this.#timer(pingEveryMs, () => {
      const askedAt = platform.elapsed()
      this.send({ type: 'ping' })
      this.#timer(answerWithinMs, () => {
        if (this.#heardAt < askedAt) this.#again()
        else this.#pingLater()
      })
    })
  }

  /** Gives this socket up and opens another one. */
  #again(): void {
    this.#drop()
    this.#retry()
  }

  #closed(code: number, reason: string): void {
    this.#drop()
    if (!this.#wanted) return
    if (code === closeCodes.takenOver)
      return this.#giveUp(refuse('CLOSED', `The live connection was taken over elsewhere. ${reason}`.trim()))
    // 4401: perhaps only the access token has ended. The request for a ticket shows it.
    this.#retry()
  }

  #drop(): void {
    const socket = this.#socket
    this.#socket = undefined
    this.#open = false
    this.#cancelTimer?.()
    if (!socket) return
    if (socket.readyState < 2) socket.close(normalCloseCode)
    const posts = [...this.#posts.values()]
    this.#posts.clear()
    for (const { reject } of posts) reject(refuse('NETWORK', 'The live connection ended before the answer.'))
    for (const subscriber of this.#subscribers.values()) subscriber.disconnected()
  }

  #retry(): void {
    if (!this.#wanted || this.#subscribers.size === 0) return
    this.#connectSoon(Math.max(1, backOff(this.#deps.platform, this.#attempt++, 250, 30_000)))
  }

  #giveUp(problem: ClientProblem): void {
    this.#wanted = false
    for (const subscriber of this.#subscribers.values()) subscriber.disconnected(problem)
  }
}

/**
 * Reads a frame from the data of the socket; undefined where the data is no frame. The subscriber
 * judges the members of the frame.
 */
function frameIn(data: unknown): ServerFrame | undefined {
  try {
    const frame = JSON.parse(String(data)) as ServerFrame | null
    return typeof frame?.type === 'string' ? frame : undefined
  } catch {
    return undefined
  }
}

function statusIn(problem: unknown): number {
  const { status } = (problem ?? {}) as { status?: unknown }
  return typeof status === 'number' ? status : 0
}
