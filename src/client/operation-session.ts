import type { Permission } from '../access.ts'
import type { Figures } from '../forms/index.ts'
import type { CompartmentId, EntryFrame, LogGap, OperationView, ReaderReceipt, ServerFrame } from '../protocol/index.ts'
import { ProtocolError } from '../protocol/index.ts'
import { mayUse } from './account.ts'
import { Acknowledgements, sendRead } from './acknowledgements.ts'
import { inBackground } from './failures.ts'
import { Conditions } from './conditions.ts'
import { Events } from './events.ts'
import { FrameQueue } from './frame-queue.ts'
import { figuresOf } from './figures.ts'
import { FetchedFacts, type OperationFacts } from './facts.ts'
import { partsOf, type Alarm, type SessionContext, type SessionDeps, type SessionEvents } from './session-context.ts'
import { GrantGiver } from './grant-giver.ts'
import { Intake } from './intake.ts'
import type { Message } from './message.ts'
import { RetryTimer } from './retry-timer.ts'
import type { Draft } from './draft.ts'
import { MessagePoster, type PostedMessage } from './message-poster.ts'
import { isProblem, refuse, refuseEnded, type ClientProblem } from './problem.ts'
import { logKeysOf } from './certificates.ts'
import { verifyCheckpoint } from './receipt.ts'
import { proveMembers } from './senders.ts'
import { SeenChecks } from './seen-checks.ts'
import type { SetAsideItem } from './set-aside.ts'
import { WitnessWatch } from './witness-watch.ts'

type CaughtUp = Extract<ServerFrame, { type: 'caught-up' }>
type Status = 'starting' | 'catching-up' | 'live' | 'offline' | 'ended' | 'closed'

/**
 * One operation, followed live. Every entry is verified before it is believed, messages are opened
 * in the order in which they come, and a posted message counts once its receipt was verified.
 * `Cordon.follow` makes it.
 */
export class OperationSession {
  readonly events = new Events<SessionEvents>()
  readonly operation: string
  readonly #deps: SessionDeps
  readonly #context: SessionContext
  readonly #intake: Intake
  readonly #poster: MessagePoster
  readonly #grantGiver: GrantGiver
  readonly #seenChecks: SeenChecks
  readonly #witnessWatch: WitnessWatch
  readonly #acknowledgements: Acknowledgements
  readonly #alarms: Alarm[] = []
  readonly #conditions: Conditions
  #status: Status = 'starting'
  #endedBy: string | undefined
  #failure: ClientProblem | undefined
  #gap: LogGap | undefined
  readonly #facts: FetchedFacts
  readonly #frames: FrameQueue
  #resubscribing = false
  readonly #timers: { readonly retry: RetryTimer; readonly mend: RetryTimer }
  /** The number of subscriptions that began. An earlier one that still runs then gives up. */
  #subscribing = 0

  constructor(deps: SessionDeps) {
    this.#deps = deps
    this.operation = deps.operation
    const { platform, self, keep } = deps
    this.#conditions = new Conditions(platform)
    this.#facts = new FetchedFacts(deps.transport, deps.operation)
    this.#timers = { retry: new RetryTimer(platform), mend: new RetryTimer(platform) }
    this.#context = {
      ...partsOf(deps),
      events: this.events,
      ledger: () => this.#intake.ledger,
      seen: () => this.#intake.seen,
      position: () => this.#intake.position,
      ready: (milliseconds) => this.ready(milliseconds),
      until: (condition, milliseconds) => this.#conditions.until(condition, milliseconds),
      isClosed: () => this.#status === 'closed',
      requireSound: () => this.#requireSound(),
      readAgain: () => this.readAgain(),
      kept: () => this.kept(),
      alarm: (alarm) => this.#alarm(alarm),
    }
    this.#frames = new FrameQueue({
      entries: (frames) => this.#entries(frames),
      other: (frame) => this.#other(frame),
      turned: () => this.#wake(),
      senseless: (reason, detail) =>
        this.#alarm({ code: 'FRAME_REFUSED', reason, detail: `A frame of the service makes no sense: ${detail}` }),
      failed: (error) => this.#pause(error),
    })
    this.#poster = new MessagePoster(this.#context)
    this.#grantGiver = new GrantGiver(this.#context)
    this.events.on('entry', ({ kind }) => {
      if (kind === 'history.granted') this.#grantGiver.heard()
      if (kind.startsWith('operation.')) inBackground(this.#facts.renew(), this.#context)
    })
    this.#seenChecks = new SeenChecks(
      this.#context,
      (seen, than) => this.#intake.adopt(seen, than),
      () => this.#over(),
    )
    this.#acknowledgements = new Acknowledgements(this.#context, () => this.#status === 'live')
    const watched = { ...this.#context, log: this.operation, pins: () => self().account.pins }
    this.#witnessWatch = new WitnessWatch(watched, (detail) =>
      this.#intake.break({ code: 'LOG_ALTERED', reason: 'WITNESSES', index: this.#intake.position, detail }),
    )
    this.#intake = new Intake(this.#context, {
      keep,
      partial: false,
      over: () => this.#over(),
      knows: (message) => this.#poster.knows(message),
      onMessage: (message) => this.#seenChecks.take(message),
      onBroken: () => this.#mendLater(),
    })
  }

  /** Loads the store and connects. Throws NOT_FOUND where this person is no member. */
  async start(): Promise<void> {
    await this.#context.keyring.load(this.#deps.store)
    await this.#poster.load()
    await this.#refresh()
    await this.#intake.load()
    await this.#witnessWatch.load()
    this.#deps.connection.attach(this.operation, {
      connected: () => this.#subscribeSoon(),
      frame: (frame) => this.#take(frame),
      disconnected: (final) => this.#disconnected(final),
    })
  }

  /** Fetches the facts of the operation. A partial view takes its state and rules from them. */
  async #refresh(): Promise<void> {
    const facts = await this.#facts.fetch()
    this.#intake.setPartial(facts.role === 'right-holder')
    if (this.#intake.partial) this.#assume(facts)
  }

  #assume({ state, history, allHolds }: OperationFacts): void {
    const { view } = this.#intake.ledger
    view.state = state
    view.history = history
    view.allHolds = allHolds
  }

  /** The operation and the role of this person, as the service said them last. Throws CLOSED. */
  get facts(): OperationFacts {
    return this.#facts.value
  }

  /** The members of the operation, as this device has verified them. Not to be changed. */
  get view(): OperationView {
    return this.#intake.ledger.view
  }

  get status(): Status {
    return this.#status
  }

  /**
   * What the service lacks, where it is an older copy: it is read, and every act is refused with
   * LOG_READ_ONLY. Undefined otherwise.
   */
  get gap(): LogGap | undefined {
    return this.#gap
  }

  /** Index of the newest entry that was processed. */
  get position(): number {
    return this.#intake.position
  }

  /** The newest checkpoint of the log that this device has verified. */
  get seen(): { readonly size: number; readonly root: string } | undefined {
    return this.#intake.seen
  }

  /** The newest checkpoint that the pinned witnesses cosigned; undefined where none are pinned. */
  get final(): { readonly size: number; readonly root: string } | undefined {
    return this.#witnessWatch.final
  }

  /** The messages that were opened and kept, in the order of the log. */
  get messages(): Message[] {
    return [...this.#intake.opener.messages.values()].sort((a, b) => a.index - b.index)
  }

  message(id: string): Message | undefined {
    return this.#intake.opener.messages.get(id)
  }

  /** The alarms since this session began. */
  get alarms(): readonly Alarm[] {
    return this.#alarms
  }

  /** Every entry that this device does not believe or cannot open, in the order of the log. */
  get aside(): readonly SetAsideItem[] {
    return this.#intake.aside.list()
  }

  #alarm(alarm: Alarm): void {
    this.#alarms.push(alarm)
    this.events.emit('alarm', alarm)
  }

  #subscribeSoon(): void {
    this.#subscribe().catch((error: unknown) => this.#pause(error))
  }

  async #subscribe(): Promise<void> {
    const turn = ++this.#subscribing
    // The frames of the old subscription are taken in first, so that the position is right.
    this.#resubscribing = true
    await this.#frames.settled()
    if (this.#over()) return
    this.#failure = undefined
    try {
      if (this.#status !== 'starting') await this.#refresh()
    } catch (error) {
      if (isProblem(error, 'NOT_FOUND')) this.#end('not-found')
      // The next opening of the connection fetches the facts again. Until then the old ones count.
      if (this.#over()) return
    }
    const after = await this.#intake.begin()
    // Another socket opened meanwhile; a later call subscribes on it.
    if (turn !== this.#subscribing || this.#over()) return
    this.#frames.clear()
    this.#resubscribing = false
    if (this.#intake.partial) this.#assume(this.facts)
    this.#status = 'catching-up'
    const { seen } = this.#intake
    this.#deps.connection.send({ type: 'subscribe', operation: this.operation, after, ...(seen ? { seen } : {}) })
  }

  #over(): boolean {
    return this.#status === 'ended' || this.#status === 'closed'
  }

  #disconnected(final?: ClientProblem): void {
    if (this.#over()) return
    this.#status = 'offline'
    if (final) this.#failure = final
    this.events.emit('disconnected', final ? { final } : {})
    this.#wake()
  }

  #take(frame: ServerFrame): void {
    if (this.#over()) return
    if (this.#resubscribing) {
      if (frame.type === 'ended' && frame.reason === 'unsubscribed') this.#subscribeSoon()
      else if (frame.type === 'ended') this.#end(frame.reason)
      return
    }
    this.#frames.push(frame)
  }

  /** Stops taking frames in after a failure, and subscribes again after a delay. */
  #pause(error: unknown): void {
    if (this.#over()) return
    const { connection } = this.#deps
    this.#failure = isProblem(error)
      ? error
      : refuse('UNEXPECTED', 'A frame of the service could not be taken in.', undefined, error)
    this.#frames.clear()
    this.#status = 'offline'
    this.#resubscribing = true
    this.events.emit('disconnected', { final: this.#failure })
    this.#wake()
    // Where the socket is closed by then, the next one subscribes.
    this.#timers.retry.run(500, 30_000, () => {
      if (this.#over() || !this.#resubscribing) return
      connection.send({ type: 'unsubscribe', operation: this.operation })
    })
  }

  async #entries(frames: readonly EntryFrame[]): Promise<void> {
    const before = this.#intake.position
    await this.#intake.take(frames)
    await this.#witnessWatch.accepted(frames.at(-1))
    if (this.#intake.widened) return this.readAgain()
    if (frames.some(({ body, index }) => body !== undefined && index > before)) this.#acknowledgements.soon()
  }

  /** Resolves once the store has everything that this device has verified of the operation. */
  kept(): Promise<void> {
    return this.#intake.flush()
  }

  /** Reads the log again from its beginning: the service acts on entries that it has not shown. */
  readAgain(): void {
    this.#intake.widen()
    if (this.#status !== 'live' && this.#status !== 'catching-up') return
    this.#frames.clear()
    this.#status = 'catching-up'
    this.#resubscribing = true
    this.#deps.connection.send({ type: 'unsubscribe', operation: this.operation })
  }

  async #other(frame: ServerFrame): Promise<void> {
    switch (frame.type) {
      case 'caught-up':
        return this.#caughtUp(frame)
      case 'granted':
        await this.#intake.opener.accept(frame.compartment, frame.grants)
        return this.#intake.flush()
      case 'grant-wanted':
        return this.#grantGiver.answer(frame.requests)
      case 'epoch-stale':
        this.events.emit('stale', { compartment: frame.compartment })
        return this.#poster.epochs.renewForOthers(frame.compartment as CompartmentId)
      case 'receipts':
        return this.events.emit('receipts', frame.receipts)
      case 'ended':
        if (frame.reason !== 'unsubscribed') this.#end(frame.reason)
        return
      default:
        throw new ProtocolError('FRAME', `There is no frame ${JSON.stringify(frame.type)} of an operation.`)
    }
  }

  async #caughtUp({ index, checkpoint, consistency, gap }: CaughtUp): Promise<void> {
    const { pins } = this.#deps.self().account
    const older = this.#intake.seen
    try {
      // The live channel signs this checkpoint for this moment, with the first key alone.
      const [ed25519] = await logKeysOf(pins, this.operation)
      const seen = await verifyCheckpoint(checkpoint, [ed25519], older, consistency)
      if (seen.size <= index)
        throw new ProtocolError('CHECKPOINT', 'The checkpoint does not hold all entries that were shown.')
      await this.#intake.caughtUp(index, seen)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#intake.break({ code: 'LOG_ALTERED', reason: error.code, index, detail: error.message })
    }
    await this.#witnessWatch.accepted()
    // The socket of this frame may be closed by now: the next subscription then catches up.
    if (this.#status !== 'catching-up' && this.#status !== 'live') return
    this.#status = 'live'
    this.#gap = gap
    if (!this.#intake.broken) for (const timer of Object.values(this.#timers)) timer.reset()
    this.#acknowledgements.now()
    this.events.emit('caught-up', { index, ...(gap === undefined ? {} : { gap }) })
    inBackground(this.#afterCatchUp(), this.#context)
  }

  /** Reads a log that is not believed again, with growing delays: a proxy may have altered it. */
  #mendLater(): void {
    this.#timers.mend.run(2_000, 600_000, () => {
      if (this.#intake.broken && !this.#resubscribing) this.readAgain()
    })
  }

  /** Does the work that is due after catching up: exchanges keys, and sends pending messages. */
  async #afterCatchUp(): Promise<void> {
    this.#seenChecks.checkLater()
    this.#witnessWatch.lookLater()
    await this.#witnessWatch.refresh()
    this.#requireSound()
    await this.#fetchGrants()
    if (this.#gap !== undefined) return
    await this.#poster.resend()
    for (const { id, stale } of this.view.compartments.values()) if (stale) this.#poster.epochs.renewForOthers(id)
    await this.#grantGiver.giveWaiting()
    if (!this.#intake.partial) await proveMembers(this.#context)
  }

  async #fetchGrants(): Promise<void> {
    if (this.#intake.opener.lacking(this.view).length === 0) return
    for (const { compartment, ...grant } of await this.#grantGiver.fetchOwn())
      await this.#intake.opener.accept(compartment, [grant])
    await this.#intake.flush()
    this.#wake()
  }

  // An older copy may be replaced by the newest state at any time: then this device tries again.
  #end(reason: string): void {
    if (reason === 'read-only') return this.#pause(refuseEnded(reason))
    this.#status = 'ended'
    this.#endedBy = reason
    this.#stopTimers()
    this.events.emit('ended', { reason })
    this.#wake()
  }

  #wake(): void {
    this.#conditions.check(this.#over())
  }

  /**
   * Resolves when this device has caught up. Throws OPERATION_ENDED, CLOSED, or the refusal that
   * ended the connection; MEMBERS_HIDDEN and LOG_ALTERED where the log is not believed;
   * WITNESSES_MISSING where the pinned witnesses have not cosigned it; TIMED_OUT after
   * `milliseconds` (60,000 if not given).
   */
  async ready(milliseconds = 60_000): Promise<void> {
    const settled = () =>
      this.#status === 'live' || this.#over() || this.#failure !== undefined || this.#intake.broken !== undefined
    await this.#conditions.until(settled, milliseconds)
    if (this.#failure) throw this.#failure
    this.#requireFollowing()
    if (this.#status !== 'live') throw refuse('TIMED_OUT', 'This device could not catch up with the operation in time.')
    await this.#witnessWatch.refresh()
    this.#requireSound()
  }

  #requireSound(): void {
    this.#requireFollowing()
    this.#witnessWatch.require()
  }

  #requireFollowing(): void {
    if (this.#status === 'closed') throw refuse('CLOSED', 'This operation was closed here.')
    if (this.#status === 'ended') throw refuseEnded(this.#endedBy)
    const broken = this.#intake.distrusted
    if (broken) throw refuse(broken.code, broken.detail, { reason: broken.reason, index: broken.index })
  }

  /** Resolves with true once this entry was processed here, with false after `milliseconds`. */
  reached(index: number, milliseconds = 20_000): Promise<boolean> {
    return this.#conditions.until(
      () => this.#intake.position >= index || this.#intake.broken !== undefined,
      milliseconds,
    )
  }

  /** Posts a message: see `MessagePoster.post`. `wait`: milliseconds, 120,000 if not given. */
  post(draft: Draft, wait?: number): Promise<PostedMessage> {
    return this.#poster.post(draft, wait)
  }

  /** Gives up a message that has no receipt yet. Throws NOT_PENDING. */
  drop(message: string): Promise<void> {
    return this.#poster.drop(message)
  }

  /** Posts an answer to a message, in its thread and compartment. */
  reply(to: Message, draft: Omit<Draft, 'compartment' | 'thread' | 'refersTo'>, as: 'reply' | 'feedback' = 'reply') {
    const { compartment, thread, id } = to
    return this.post({ ...draft, compartment, thread, refersTo: { message: id, as } })
  }

  /** Opens the next epoch of a compartment now. Posting does so by itself where it is needed. */
  async openEpoch(compartment: string = this.operation): Promise<void> {
    await this.#poster.epochs.require(compartment as CompartmentId)
  }

  /** Whether role, state and the list of a service account allow this. The service decides. */
  may(permission: Permission): boolean {
    return mayUse(this.#deps.self(), this.view, permission)
  }

  /** Tells the service that this person has read messages. Waits for a live connection first. */
  async markRead(messages: readonly string[]): Promise<void> {
    await this.ready()
    sendRead(this.#context, messages)
  }

  /** Who has a message: for the organization of its sender and for coordinators. */
  async receiptsOf(message: string): Promise<ReaderReceipt[]> {
    const path = `/v1/operations/${this.operation}/messages/${message}/receipts`
    return (await this.#deps.transport.request<{ receipts: ReaderReceipt[] }>('GET', path)).receipts
  }

  /** The figures as this reader computes them from the messages that it opened. */
  figures(): Figures {
    return figuresOf(this.messages.filter(({ marks }) => !marks.some(({ kind }) => kind === 'fields-invalid')))
  }

  /** Gives keys of earlier epochs to members who lack them. Answers how many grants it gave. */
  async giveGrants(): Promise<number> {
    await this.ready()
    this.#requireSound()
    return this.#gap === undefined ? this.#grantGiver.giveWaiting() : 0
  }

  /** Checks the checkpoints that senders have seen. The session also does so every minute. */
  checkSeen(): Promise<void> {
    return this.#seenChecks.checkAll()
  }

  #stopTimers(): void {
    this.#witnessWatch.stop()
    this.#acknowledgements.stop()
    this.#seenChecks.stop()
    for (const timer of Object.values(this.#timers)) timer.stop()
  }

  /** Ends the session. Pending messages stay in the store, for the next session. */
  async close(): Promise<void> {
    if (this.#status === 'closed') return
    if (this.#status === 'live') this.#acknowledgements.now()
    const ended = this.#status === 'ended'
    this.#status = 'closed'
    this.#stopTimers()
    this.#frames.clear()
    await this.#frames.settled()
    await this.#intake.flush()
    if (!ended) this.#deps.connection.detach(this.operation)
    this.#wake()
  }
}
