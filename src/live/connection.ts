import { randomInt } from 'node:crypto'
import type { Permission } from '../access.ts'
import { Problem, toProblemJson } from '../errors.ts'
import { toDatabaseProblem } from '../db/index.ts'
import type { SignedInCaller } from '../identity/index.ts'
import { stoppedWords, type Logs } from '../log/index.ts'
import { noteAct, type Consultation, type MessageService } from '../messages/index.ts'
import type { EntitledCaller, OperationService } from '../operations/index.ts'
import {
  ClientFrame,
  closeCodes,
  excessIn,
  parseCheckpoint,
  readMessageStatement,
  shape,
  type OperationView,
  type PersonId,
} from '../protocol/index.ts'
import type { Hub } from './hub.ts'
import { messageIn } from './message-id.ts'
import type { FrameOutbox } from './outbox.ts'
import type { Subscription } from './subscription.ts'

export interface LiveConnectionDeps {
  readonly hub: Hub
  readonly logs: Logs<OperationView>
  readonly messages: MessageService
  readonly operations: OperationService
  readonly consultation: Consultation
  readonly onError: (what: string, error: unknown) => void
  /**
   * Counts a frame of a person against the quota that holds for requests too; throws
   * TOO_MANY_REQUESTS.
   */
  readonly demandRoom: (person: string, frame: ClientFrame['type']) => void
}

type Frame<T extends ClientFrame['type']> = Extract<ClientFrame, { type: T }>

/** The bounds of a frame: a frame that acknowledges 1,000 messages is made of as many parts. */
const bounds = { deepest: 8, parts: 2_000 } as const
const parseFrame = shape('frame', ClientFrame)
/**
 * The most posts and grants of one connection that may wait for their commit; beyond it the socket
 * is not read.
 */
const mostAtWork = 128

/** One socket of one session: reads the frames of its client, and keeps what it follows. */
export class Connection {
  readonly actor: SignedInCaller
  readonly outbox: FrameOutbox
  readonly #deps: LiveConnectionDeps
  readonly #pause: (paused: boolean) => void
  readonly #subscriptions = new Map<string, Subscription>()
  #atWork = 0
  /** The number of the newest ping, and of the newest ping after which the client was heard. */
  #asked = 0
  #heard = 0
  #taken = 0

  constructor(deps: LiveConnectionDeps, actor: SignedInCaller, outbox: FrameOutbox, pause: (paused: boolean) => void) {
    this.#deps = deps
    this.actor = actor
    this.outbox = outbox
    this.#pause = pause
  }

  receive(data: string | undefined): void {
    this.heard()
    let value: unknown
    let frame: ClientFrame
    try {
      if (data === undefined || excessIn(data, bounds) !== undefined) throw new Error('more than any frame')
      value = JSON.parse(data)
      frame = parseFrame(value)
    } catch {
      const id = messageIn(value)
      if (id === undefined) this.outbox.close(closeCodes.badFrame, 'not a frame')
      else this.#refuse({ type: 'post' }, new Problem('VALIDATION', { detail: 'This is no post frame.' }), id)
      return
    }
    this.#atWork++
    if (this.#atWork === mostAtWork) this.#pause(true)
    this.#handle(frame)
      .catch((error: unknown) => this.#refuse(frame, error))
      .finally(() => {
        if (this.#atWork-- === mostAtWork) this.#pause(false)
      })
  }

  /** Sends a ping with this number. */
  ping(number: number): void {
    // Before its first ping a client had nothing to answer.
    if (this.#asked === 0) this.#heard = number - 1
    this.#asked = number
    this.#taken = this.outbox.taken
    this.outbox.ping()
  }

  heard(): void {
    this.#heard = this.#asked
  }

  /**
   * Whether the client was not heard since that ping. A reader that is behind is heard late, and a
   * client whose socket is not read is not heard.
   */
  isSilentSince(number: number): boolean {
    const reads = this.outbox.backed && this.outbox.taken > this.#taken
    return this.#heard < number && this.#asked >= number && !reads && this.#atWork < mostAtWork
  }

  /** Drops a client that is gone; tells a client that does not read why it is dropped. */
  letGo(): void {
    if (this.outbox.closed) return
    if (this.outbox.backed) this.outbox.close(closeCodes.tooSlow, 'too slow')
    else this.outbox.cut()
  }

  async #handle(frame: ClientFrame): Promise<void> {
    // A device without a certificate reads nothing and causes no query: its client connects again
    // once it is certified.
    if (this.actor.tier === null && frame.type !== 'ping') throw new Problem('DEVICE_NOT_CERTIFIED')
    switch (frame.type) {
      case 'ping':
        return this.outbox.send({ type: 'pong' })
      case 'subscribe':
        return this.#subscribe(frame)
      case 'unsubscribe':
        return this.#unsubscribe(frame.operation)
      case 'post':
        return this.#post(frame)
      case 'acknowledge':
        return this.#acknowledge(frame)
      case 'grant':
        this.#deps.demandRoom(this.actor.person, frame.type)
        await this.#deps.operations.giveGrants(
          await this.#entitled(frame.operation, 'grant.give'),
          frame.compartment,
          frame.grants,
        )
        return
      case 'grant-bad':
        this.#deps.demandRoom(this.actor.person, frame.type)
        await this.#deps.operations.dispute(
          await this.#entitled(frame.operation, 'message.read'),
          frame.compartment,
          frame.epoch,
        )
        return
    }
  }

  #entitled(operation: string, permission: Permission): Promise<EntitledCaller> {
    const { tier, ...actor } = this.actor
    if (tier === null) throw new Problem('DEVICE_NOT_CERTIFIED')
    return this.#deps.operations.entitle({ ...actor, tier }, operation, permission)
  }

  async #subscribe({ operation, after, seen }: Frame<'subscribe'>): Promise<void> {
    this.#deps.demandRoom(this.actor.person, 'subscribe')
    this.#drop(operation)
    const subscription: Subscription = {
      operation,
      actor: this.actor,
      person: this.actor.person as PersonId,
      outbox: this.outbox,
      position: after,
      catchingUp: true,
      over: false,
      ended: () => this.#subscriptions.delete(operation),
    }
    this.#subscriptions.set(operation, subscription)
    try {
      await this.#deps.operations.requireMember(this.actor, operation)
      this.#requireNotAhead(operation, after, seen)
      const known = this.#deps.hub.follower(operation)
      await known.start()
      // A place beyond the log is no place: what a client acknowledges up to it would count as
      // delivered before it was posted.
      const details = { from: Math.min(after, known.position) + 1, channel: 'live' }
      const note = { kind: 'feed.opened', subject: this.actor.person, permission: 'operation.read', details } as const
      const { index } = await this.#deps.logs.append(operation, noteAct, note, this.actor)
      subscription.position = Math.min(after, index)
      // The follower is fetched again: the hub drops a follower without readers in the meantime.
      const follower = this.#deps.hub.follower(operation)
      await follower.reach(index)
      if (subscription.over || !(await follower.subscribe(subscription))) return
      await this.#caughtUp(subscription, follower.position, seen)
    } catch (error) {
      this.#drop(operation)
      // A member who sleeps here subscribes again once another member has woken them.
      if (error instanceof Problem && (error.code === 'NOT_FOUND' || error.extra['reason'] === 'ASLEEP')) {
        this.outbox.send({ type: 'ended', operation, reason: 'not-found' })
        this.#note(error, 'subscribe', operation)
        return
      }
      if (error instanceof Problem && error.code === 'LOG_READ_ONLY') {
        this.outbox.send({ type: 'ended', operation, reason: 'read-only' })
        return
      }
      throw error
    }
  }

  /** A reader that has more than an older copy finds nothing there, and is not told less. */
  #requireNotAhead(operation: string, after: number, seen: Frame<'subscribe'>['seen']): void {
    const gap = this.#deps.logs.gapOf(operation)
    if (gap?.log !== operation) return
    if (after >= gap.size || (seen !== undefined && seen.size > gap.size))
      throw new Problem('LOG_READ_ONLY', { detail: stoppedWords(gap), ...gap })
  }

  async #caughtUp(subscription: Subscription, index: number, seen: Frame<'subscribe'>['seen']): Promise<void> {
    const { operation } = subscription
    const { checkpoint } = await this.#deps.logs.receipt(operation, index)
    const { size } = parseCheckpoint(checkpoint.slice(0, checkpoint.indexOf('\n\n') + 1))
    const grown = seen !== undefined && seen.size <= size
    const consistency = grown ? await this.#deps.logs.consistency(operation, seen.size, size) : undefined
    const gap = this.#deps.logs.gapOf(operation)
    // A client that unsubscribed meanwhile was told so, and would take this for an answer to its
    // next subscription.
    if (subscription.over) return
    this.outbox.send({
      type: 'caught-up',
      operation,
      index,
      checkpoint,
      ...(consistency === undefined ? {} : { consistency }),
      ...(gap === undefined ? {} : { gap }),
    })
  }

  /**
   * Ends a subscription, and answers always: the client waits for the answer before it subscribes
   * again.
   */
  #unsubscribe(operation: string): void {
    this.#drop(operation)
    this.outbox.send({ type: 'ended', operation, reason: 'unsubscribed' })
  }

  #drop(operation: string): void {
    const subscription = this.#subscriptions.get(operation)
    if (!subscription) return
    this.#subscriptions.delete(operation)
    subscription.over = true
    this.#deps.hub.release(subscription)
  }

  async #post(frame: Frame<'post'>): Promise<void> {
    const { statement, body, extract, salt } = frame
    let operation: string | undefined
    try {
      const read = await readMessageStatement(statement)
      operation = read.payload.operation
      this.#deps.demandRoom(this.actor.person, frame.type)
      const input = {
        statement: read,
        body,
        ...(extract === undefined ? {} : { extract }),
        ...(salt === undefined ? {} : { salt }),
      }
      const accepted = await this.#deps.messages.post(this.actor, operation, input, 'live')
      this.outbox.send({ type: 'accepted', id: accepted.id, receipt: accepted.receipt })
    } catch (error) {
      this.#refuse({ ...frame, operation }, error, messageIn(frame))
    }
  }

  async #acknowledge(frame: Frame<'acknowledge'>): Promise<void> {
    const subscription = this.#subscriptions.get(frame.operation)
    if (!subscription || subscription.over) throw new Problem('NOT_FOUND')
    this.#deps.demandRoom(this.actor.person, frame.type)
    const { person, organization, device } = this.actor
    const reader = { person, organization, device }
    if ('upTo' in frame)
      this.#deps.consultation.acknowledged(frame.operation, reader, Math.min(frame.upTo, subscription.position))
    else
      this.#deps.consultation.read(
        frame.operation,
        reader,
        await this.#deps.messages.readable(this.actor, frame.operation, frame.messages),
      )
  }

  /**
   * Tells the client what was refused. A bug is told as such and logged once; the connection goes
   * on.
   */
  #refuse(frame: { type: string; operation?: string | undefined }, error: unknown, id?: string): void {
    const known = error instanceof Problem ? error : toDatabaseProblem(error)
    const problem = known instanceof Problem ? known : this.#bug(error)
    this.#note(problem, frame.type, frame.operation)
    if (problem.code === 'SESSION_ENDED') {
      this.outbox.close(closeCodes.sessionEnded, 'session ended')
      return
    }
    this.outbox.send({ type: 'refused', ...(id === undefined ? {} : { id }), problem: toProblemJson(problem) })
  }

  /** Has the directory log record a refusal. */
  #note(problem: Problem, frame: string, operation: string | undefined): void {
    this.#deps.hub.refused(this.actor, problem, { where: `live ${frame}`, operation })
  }

  #bug(error: unknown): Problem {
    if (error instanceof Error && error.name === 'ProtocolError')
      return new Problem('STATEMENT_INVALID', { detail: error.message })
    this.#deps.onError('a frame', error)
    return new Problem('INTERNAL')
  }

  /** Ends what the connection follows, once the socket is gone. */
  gone(): void {
    this.outbox.gone()
    for (const operation of this.#subscriptions.keys()) this.#drop(operation)
  }

  /** Says that the server stops, a little spread so that not all clients come back at once. */
  goAway(): void {
    this.outbox.send({ type: 'closing', reason: 'going away' })
    setTimeout(() => this.outbox.close(closeCodes.goingAway, 'going away'), randomInt(1, 50)).unref()
  }
}
