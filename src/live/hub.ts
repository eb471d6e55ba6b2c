import { transaction } from '../db/index.ts'
import type { Problem } from '../errors.ts'
import type { SignedInCaller, RefusalPlace } from '../identity/index.ts'
import { closeCodes } from '../protocol/index.ts'
import type { Connection } from './connection.ts'
import { Follower, type FollowerDeps } from './follower.ts'
import type { Subscription } from './subscription.ts'

export interface HubDeps extends FollowerDeps {
  readonly directory: () => string
  /** Refusals over the socket are entered like those over HTTP. */
  readonly refused: (actor: SignedInCaller, problem: Problem, what: RefusalPlace) => void
  readonly mostConnections: number
}

/** Sockets of one person: one for each session. */
const mostSocketsPerPerson = 10
/** A lost hint costs at most this much latency, never an entry. */
const pollEveryMs = 1_000
/** Milliseconds between two pings; who answers none of two in a row is gone. */
const pingEveryMs = 20_000
/**
 * Milliseconds in which those of a person who has as many sockets as one may must answer before one
 * more is refused.
 */
const answerWithinMs = 3_000

/** All live connections of this server and the followers that feed them. */
export class Hub {
  readonly #deps: HubDeps
  readonly #followers = new Map<string, Follower>()
  readonly #connections = new Set<Connection>()
  readonly #poll: NodeJS.Timeout
  readonly #pinging: NodeJS.Timeout
  readonly #probes = new Map<string, Promise<void>>()
  #pings = 0
  #lastBeat = 0
  #beforeLast = 0
  #checking: 'no' | 'yes' | 'and again' = 'no'
  #closing = false

  constructor(deps: HubDeps) {
    this.#deps = deps
    this.#poll = setInterval(() => this.#lookEverywhere(), pollEveryMs)
    this.#poll.unref()
    this.#pinging = setInterval(() => this.#beat(), pingEveryMs)
    this.#pinging.unref()
  }

  get full(): boolean {
    return this.#closing || this.#connections.size >= this.#deps.mostConnections
  }

  /**
   * Whether this person may open one more socket. Where there are as many as one may have, those of
   * clients that vanished without a word are found out first and let go of. That of the same
   * session is replaced, and does not count.
   */
  async hasRoomFor({ person, session }: SignedInCaller): Promise<boolean> {
    const others = () =>
      [...this.#connections].filter(
        ({ actor, outbox }) => actor.person === person && actor.session !== session && !outbox.closed,
      )
    if (others().length < mostSocketsPerPerson) return true
    let probe = this.#probes.get(person)
    if (!probe) {
      probe = this.#probe(others()).finally(() => this.#probes.delete(person))
      this.#probes.set(person, probe)
    }
    await probe
    return others().length < mostSocketsPerPerson
  }

  async #probe(connections: readonly Connection[]): Promise<void> {
    const number = this.#ping(connections)
    await new Promise((resolve) => setTimeout(resolve, answerWithinMs))
    await this.#letGoOfSilent(connections, number)
  }

  #ping(connections: Iterable<Connection>): number {
    const number = ++this.#pings
    for (const connection of connections) connection.ping(number)
    return number
  }

  /**
   * Every so often: lets go of who has answered neither of the last two pings, and sends the next.
   */
  #beat(): void {
    const silentSince = this.#beforeLast
    this.#beforeLast = this.#lastBeat
    if (silentSince > 0) void this.#letGoOfSilent([...this.#connections], silentSince)
    this.#lastBeat = this.#ping(this.#connections)
  }

  /** A moment later: what came while this process stood still is read before anybody is judged. */
  async #letGoOfSilent(connections: readonly Connection[], number: number): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    for (const connection of connections) if (connection.isSilentSince(number)) connection.letGo()
  }

  get connections(): number {
    return this.#connections.size
  }

  /** One socket per session: an older one is closed. */
  add(connection: Connection): void {
    for (const other of this.#connections) {
      if (other.actor.session === connection.actor.session)
        other.outbox.close(closeCodes.takenOver, 'taken over elsewhere')
    }
    this.#connections.add(connection)
    if (this.#closing) connection.goAway()
  }

  remove(connection: Connection): void {
    this.#connections.delete(connection)
    connection.gone()
  }

  follower(operation: string): Follower {
    let follower = this.#followers.get(operation)
    if (!follower) {
      follower = new Follower(operation, this.#deps)
      this.#followers.set(operation, follower)
    }
    return follower
  }

  release(subscription: Subscription): void {
    const follower = this.#followers.get(subscription.operation)
    follower?.unsubscribe(subscription)
  }

  refused(actor: SignedInCaller, problem: Problem, what: RefusalPlace): void {
    this.#deps.refused(actor, problem, what)
  }

  /** A log has grown, on this server or on another one. */
  hint(log: string, size?: number): void {
    if (log === this.#deps.directory()) void this.#endSessions()
    else this.#followers.get(log)?.hint(size)
  }

  /** After the connection for hints was lost, and on the slow poll. */
  #lookEverywhere(): void {
    for (const [operation, follower] of this.#followers) {
      if (follower.idle) this.#followers.delete(operation)
      else follower.hint()
    }
    void this.#endSessions()
  }

  reread(): void {
    this.#lookEverywhere()
  }

  /** Closes the sockets whose session, device, person or organization has ended. */
  async #endSessions(): Promise<void> {
    if (this.#connections.size === 0) return
    // What ends while the sessions are read is not in what is read: they are read once more.
    if (this.#checking !== 'no') {
      this.#checking = 'and again'
      return
    }
    try {
      do {
        this.#checking = 'yes'
        const sessions = [...this.#connections].map(({ actor }) => actor.session)
        const ended = await transaction(this.#deps.db, (tx) => this.#deps.sessions.endedAmong(tx, sessions))
        for (const connection of this.#connections) {
          if (ended.has(connection.actor.session)) connection.outbox.close(closeCodes.sessionEnded, 'session ended')
        }
      } while (this.#isAskedAgain())
    } catch (error) {
      this.#deps.onError('looking for ended sessions', error)
    } finally {
      this.#checking = 'no'
    }
  }

  #isAskedAgain(): boolean {
    return this.#checking === 'and again'
  }

  async close(): Promise<void> {
    clearInterval(this.#poll)
    clearInterval(this.#pinging)
    this.#closing = true
    for (const connection of this.#connections) connection.goAway()
    const mostLooks = 40
    for (let i = 0; i < mostLooks && this.#connections.size > 0; i++)
      await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
