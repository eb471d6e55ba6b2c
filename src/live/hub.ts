import { transaction } from '../db/index.ts'
import type { Problem } from '../errors.ts'
import type { SignedInCaller, RefusalPlace } from '../identity/index.ts'
import type { CommittedEntry } from '../log/index.ts'
import { closeCodes } from '../protocol/index.ts'
import type { Connection } from './connection.ts'
import { Follower, type FollowerDeps } from './follower.ts'
import type { Subscription } from './subscription.ts'

export interface HubDeps extends FollowerDeps {
  /** Has the directory log record a refusal over the socket, like those over HTTP. */
  readonly refused: (actor: SignedInCaller, problem: Problem, what: RefusalPlace) => void
  readonly mostConnections: number
}

/** The most sockets of one person: one for each session. */
const mostSocketsPerPerson = 10
/** A lost hint costs at most this much latency, never an entry. */
const pollEveryMs = 1_000
/** The time between two pings; a client that answers none of two in a row is gone. */
const pingEveryMs = 20_000
/**
 * When a person has as many sockets as one may have, their clients must answer in this time before
 * one more is refused.
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
   * Whether this person may open one more socket. Where the person has as many as one may have, the
   * clients that vanished without a word are first found and dropped. A socket of the caller's own
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
   * Runs at each ping: drops the clients that answered neither of the last two pings, and sends the
   * next.
   */
  #beat(): void {
    const silentSince = this.#beforeLast
    this.#beforeLast = this.#lastBeat
    if (silentSince > 0) void this.#letGoOfSilent([...this.#connections], silentSince)
    this.#lastBeat = this.#ping(this.#connections)
  }

  /**
   * Drops silent clients a moment later: the frames that came while this process stood still are
   * read before a client is judged.
   */
  async #letGoOfSilent(connections: readonly Connection[], number: number): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    for (const connection of connections) if (connection.isSilentSince(number)) connection.letGo()
  }

  get connections(): number {
    return this.#connections.size
  }

  /** Adds a connection. A session has one socket: an older one is closed. */
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

  /** Hears that a log has grown: by these entries on this server, or on another one. */
  hint(log: string, size?: number, entries?: readonly CommittedEntry[]): void {
    if (log === this.#deps.logs.directory) void this.#endSessions()
    else this.#followers.get(log)?.hint(size, entries)
  }

  /**
   * Has every follower look at its log: after the connection for hints was lost, and on the slow
   * poll.
   */
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
    // A session that ends during this read is not in its answer: the sessions are read once more.
    if (this.#checking !== 'no') {
      this.#checking = 'and again'
      return
    }
    try {
      do {
        this.#checking = 'yes'
        const sessions = [...this.#connections].map(({ actor }) => actor.session)
        const { ended } = await transaction(this.#deps.db, (tx) => this.#deps.sessions.endsAmong(tx, sessions))
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
