import { randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cordon } from '../../client/index.ts'
import type { FileStore } from '../../client/node/index.ts'
import { CommandFailure, explain } from '../failures.ts'
import { runAs } from '../invocation.ts'
import { readFrames, sendFrame, type AgentStatus, type CallerFrame, type RunRequest } from './frames.ts'
import { agentPlace, isOwnPlace, type AgentPlace } from './place.ts'
import { programStamp } from './program-stamp.ts'
import { RemoteInvocation } from './remote-invocation.ts'

export interface AgentOptions {
  readonly path: string
  readonly store: FileStore
  /** Makes the client of the store, and loads it. */
  readonly makeClient: () => Promise<Cordon>
  /** Runs a command line; answers its exit code. */
  readonly run: (words: readonly string[]) => Promise<number>
  /** Milliseconds after the last command at which the store is locked. */
  readonly lockAfterMs: number
  readonly clock: () => Date
  readonly elapsed: () => number
}

const watchEveryMs = 1_000
/** A clock of the day that runs ahead of the clock of the processor by more says that it slept. */
const sleptMs = 5_000
const endWithinMs = 2_000
const followEveryMs = 5 * 60_000
const introduceWithinMs = 5_000

/**
 * Holds a store unlocked, follows all operations of its person, and runs the commands of the
 * person's other processes. It ends, and the keys with it, after a time without commands, after the
 * machine slept, and when it is told to.
 */
export class Agent {
  readonly #options: AgentOptions
  readonly #place: AgentPlace
  readonly #secret = randomBytes(32).toString('base64url')
  readonly #server: Server
  readonly #since: Date
  readonly #running = new Set<RemoteInvocation>()
  readonly #ended = Promise.withResolvers<void>()
  #client: Cordon
  #usedMs: number
  #followedMs = Number.NEGATIVE_INFINITY
  #following: Promise<void> | undefined
  #followed = 0
  /** Why the operations could not be followed at the last attempt. */
  #fault: string | undefined
  #ending = false

  private constructor(options: AgentOptions, client: Cordon) {
    this.#options = options
    this.#client = client
    this.#place = agentPlace(options.path)
    this.#since = options.clock()
    this.#usedMs = options.elapsed()
    this.#server = createServer((socket) => this.#accept(socket))
  }

  /** Starts to listen. The store must be open, and so locked for other processes. */
  static async start(options: AgentOptions): Promise<Agent> {
    const agent = new Agent(options, await options.makeClient())
    await agent.#listen()
    void agent.#watch()
    return agent
  }

  /** Resolves once the store is locked. */
  get ended(): Promise<void> {
    return this.#ended.promise
  }

  async #listen(): Promise<void> {
    const { directory, secret, socket } = this.#place
    if (isOwnPlace(this.#place) === false)
      throw new CommandFailure(`${directory} belongs to another user, or others may use it: remove it, and try again.`)
    // Of an agent that was killed: the store is open here, so that no other agent lives.
    rmSync(directory, { recursive: true, force: true })
    mkdirSync(directory, { mode: 0o700 })
    writeFileSync(secret, this.#secret, { mode: 0o600, flag: 'wx' })
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(socket, resolve)
    })
  }

  #accept(socket: Socket): void {
    let invocation: RemoteInvocation | undefined
    let introduced = false
    const late = setTimeout(() => socket.destroy(), introduceWithinMs)
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(late)
      invocation?.stop()
    })
    readFrames<CallerFrame>(socket, (frame) => {
      if (introduced) return invocation?.take(frame)
      introduced = true
      clearTimeout(late)
      if (!('secret' in frame) || !this.#knows(frame.secret)) {
        sendFrame(socket, { type: 'refused', reason: 'SECRET' })
        return void socket.end()
      }
      if (frame.type === 'status') return sendFrame(socket, { type: 'status', ...this.#status() })
      if (frame.type === 'lock') return void this.lock()
      if (frame.program !== programStamp()) {
        sendFrame(socket, { type: 'refused', reason: 'PROGRAM' })
        return void socket.end()
      }
      void this.#run(frame, socket, (one) => (invocation = one))
    })
  }

  #knows(secret: unknown): boolean {
    const [told, own] = [Buffer.from(String(secret)), Buffer.from(this.#secret)]
    return told.length === own.length && timingSafeEqual(told, own)
  }

  async #run(request: RunRequest, socket: Socket, begun: (one: RemoteInvocation) => void): Promise<void> {
    await this.#renewClient()
    const { path, store } = this.#options
    const one = new RemoteInvocation(request, socket, { path, store, client: this.#client })
    begun(one)
    // Its process may have ended while the client was made.
    if (socket.destroyed) return
    this.#running.add(one)
    try {
      const exitCode = await runAs(one, () => this.#options.run(request.words))
      sendFrame(socket, { type: 'ended', exitCode })
    } finally {
      this.#running.delete(one)
      this.#usedMs = this.#options.elapsed()
      socket.end()
    }
    this.#followSoon()
  }

  /** Makes another client where the session of the present one has ended, and nothing uses it. */
  async #renewClient(): Promise<void> {
    if (this.#client.signedIn || this.#running.size > 0) return
    await this.#client.close()
    this.#client = await this.#options.makeClient()
  }

  #status(): AgentStatus {
    const { lockAfterMs, clock, elapsed } = this.#options
    const leftMs = this.#running.size > 0 ? lockAfterMs : lockAfterMs - (elapsed() - this.#usedMs)
    return {
      pid: process.pid,
      since: this.#since.toISOString(),
      locksAt: new Date(clock().getTime() + leftMs).toISOString(),
      operations: this.#followed,
      fault: this.#fault ?? null,
      running: this.#running.size,
    }
  }

  /** Locks the store when it is time, and follows operations that are new. */
  async #watch(): Promise<void> {
    const { clock, elapsed, lockAfterMs } = this.#options
    const aheadMs = () => clock().getTime() - elapsed()
    let before = aheadMs()
    while (!this.#ending) {
      if (elapsed() - this.#followedMs >= followEveryMs) this.#followSoon()
      await sleep(watchEveryMs, undefined, { ref: false })
      const now = aheadMs()
      const slept = now - before > sleptMs
      before = now
      if (slept || (this.#running.size === 0 && elapsed() - this.#usedMs >= lockAfterMs)) await this.lock()
    }
  }

  /** Follows every operation of this person, so that reading needs no catching up. */
  #followSoon(): void {
    if (this.#ending || !this.#client.signedIn) return
    this.#followedMs = this.#options.elapsed()
    this.#following ??= this.#follow().finally(() => (this.#following = undefined))
  }

  async #follow(): Promise<void> {
    try {
      const operations = await this.#client.operations.list()
      for (const { operation } of operations) await this.#client.follow(operation)
      this.#followed = operations.length
      this.#fault = undefined
    } catch (error) {
      // The next turn tries again; until then `cordon agent` says it.
      this.#fault = explain(error).lines.join(' ')
    }
  }

  /** Ends the commands that run, closes the store, and forgets its keys. */
  async lock(): Promise<void> {
    if (this.#ending) return this.ended
    this.#ending = true
    this.#server.close()
    for (const one of this.#running) {
      one.notes.write('The store was locked: this command ends.\n')
      one.stop()
    }
    for (let waitedMs = 0; this.#running.size > 0 && waitedMs < endWithinMs; waitedMs += 20) await sleep(20)
    // Without the service, following would wait for it.
    await Promise.race([this.#following, sleep(endWithinMs)])
    await this.#client.close()
    await this.#options.store.close()
    rmSync(this.#place.directory, { recursive: true, force: true })
    this.#ended.resolve()
  }
}
