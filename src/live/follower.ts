import { isListed, may } from '../access.ts'
import { readSnapshot, type Database } from '../db/index.ts'
import type { SessionService } from '../identity/index.ts'
import { changesBetween, entriesAfter, sizeOf, type CommittedEntry, type Logs } from '../log/index.ts'
import type { Consultation } from '../messages/index.ts'
import {
  enterOperation,
  mayHoldKey,
  mayReadFrom,
  seesContent,
  seesEntry,
  readViewEntry,
  type GrantRow,
} from '../operations/index.ts'
import {
  OperationView,
  changesOperation,
  closeCodes,
  type CompartmentId,
  type Certificate,
  type DeviceId,
  type Leaf,
  type GrantRequest,
  type Member,
  type OperationId,
  type PersonId,
} from '../protocol/index.ts'
import { entriesInMemory, frameFor, readEntries, type EntryForReaders, type FeedPage } from './entry-reader.ts'
import type { Subscription } from './subscription.ts'

export interface FollowerDeps {
  readonly db: Database
  readonly logs: Logs<OperationView>
  readonly sessions: SessionService
  readonly consultation: Consultation
  readonly random: (length: number) => Uint8Array
  readonly clock: () => Date
  readonly onError: (what: string, error: unknown) => void
}

const pageEntries = 500
/**
 * Pages of a catch-up: they grow from the first size to the whole one, and shrink where messages
 * are so large that a page has more bytes than this.
 */
const firstPageEntries = 125
const smallestPageEntries = 16
const heavyPageBytes = 8 * 1024 * 1024

/**
 * Whether a member's view is partial. A right holder does not see all members, so its client lacks
 * certificates that others have from the log.
 */
const isPartial = (member: Member | undefined) => member?.role === 'right-holder'
/** How many entries of this server wait to be sent from memory; beyond, the database is read. */
const mostFedEntries = 1_000
/** How many of the members who could give a key are asked at once. */
const mostMembersAsked = 3

/** Until when nobody asks the database whether the sessions of the readers have ended. */
interface LivingSessions {
  /**
   * What may end a session appends to the directory log: its size when they were last looked at.
   */
  readonly directorySize: number
  readonly nextExpiry: Date | undefined
}

/**
 * Follows one operation's log for all its readers on this server. It folds the members as it goes,
 * so each entry goes to those who may see it at that point of the log: nothing after the entry that
 * removes a member can reach that member.
 */
export class Follower {
  readonly operation: string
  readonly #deps: FollowerDeps
  readonly #view: OperationView
  readonly #subscriptions = new Set<Subscription>()
  #position = -1
  #known = -1
  /** True where the log may have grown, and no hint has named its size. */
  #suspected = false
  /**
   * Entries that this server committed, each after the one before it, and that were not sent yet.
   */
  #fed: CommittedEntry[] = []
  /** Undefined where a reader has joined since they were looked at. */
  #living: LivingSessions | undefined
  #running: Promise<void> | undefined
  #ready = false
  /**
   * Readers that are about to subscribe: a follower that was dropped under them would never send to
   * them.
   */
  #reaching = 0

  constructor(operation: string, deps: FollowerDeps) {
    this.operation = operation
    this.#deps = deps
    this.#view = new OperationView(operation as OperationId)
  }

  get idle(): boolean {
    return this.#subscriptions.size === 0 && this.#reaching === 0
  }

  get subscriptions(): Iterable<Subscription> {
    return this.#subscriptions
  }

  /**
   * Hears that the log has grown to this size, with the entries of this server; undefined: that it
   * may have grown.
   */
  hint(size?: number, entries?: readonly CommittedEntry[]): void {
    if (!this.#ready) return
    if (entries !== undefined) this.#feed(entries)
    if (size === undefined) this.#suspected = true
    else if (size - 1 <= this.#position) return
    else this.#known = Math.max(this.#known, size - 1)
    this.#running ??= this.#run()
  }

  async #run(): Promise<void> {
    try {
      while (this.#suspected || this.#known > this.#position || this.#slowest() < this.#position) {
        if (this.#suspected) await this.#ask()
        if (this.#known <= this.#position && this.#slowest() >= this.#position) continue
        const [position, known] = [this.#position, this.#known]
        if (!(await this.#advanceFromMemory())) await this.#advance()
        // There was nothing to read, and no hint has come since.
        if (this.#position === position && this.#known === known) this.#known = position
      }
    } catch (error) {
      // The slow poll tries again; nothing is lost, the position stays.
      this.#suspected = false
      this.#known = this.#position
      this.#deps.onError(`following ${this.operation}`, error)
    } finally {
      this.#running = undefined
    }
  }

  #feed(entries: readonly CommittedEntry[]): void {
    const next = (this.#fed.at(-1)?.index ?? this.#position) + 1
    if (entries[0]?.index !== next || this.#fed.length + entries.length > mostFedEntries) this.#fed = []
    // Where they do not follow, they begin anew, and serve once the database was read up to them.
    this.#fed.push(...entries)
  }

  /**
   * Sends the entries that this server has just committed without reading them again. Answers false
   * where the database must be read: a reader lags, an entry carries more than itself, or a session
   * may have ended since the sessions of the readers were looked at.
   */
  async #advanceFromMemory(): Promise<boolean> {
    const fed = this.#fed.filter(({ index }) => index > this.#position)
    this.#fed = []
    const subscribers = this.#current()
    const living = this.#living
    if (fed[0]?.index !== this.#position + 1 || this.#slowest() < this.#position || living === undefined) return false
    if (subscribers.some(({ person }) => isPartial(this.#view.member(person)))) return false
    const entries = entriesInMemory(this.operation, fed)
    if (entries === undefined) return false
    // Asked after the commit of the entries: an end that came before them is seen.
    const { directory } = this.#deps.logs
    const directorySize = await readSnapshot(this.#deps.db, (tx) => sizeOf(tx, directory))
    if (directorySize !== living.directorySize || this.#living !== living) return false
    if (living.nextExpiry !== undefined && living.nextExpiry <= this.#deps.clock()) return false
    for (const entry of entries) this.#sendToAll(entry, subscribers)
    return true
  }

  /** The readers that take part in each turn: those that have caught up. */
  #current(): Subscription[] {
    return [...this.#subscriptions].filter(({ catchingUp }) => !catchingUp)
  }

  #sendToAll(entry: EntryForReaders, subscribers: readonly Subscription[]): void {
    const { index } = entry.leaf
    this.#position = Math.max(this.#position, index)
    for (const subscription of subscribers) {
      if (!subscription.over && index > subscription.position) this.#send(subscription, entry)
    }
  }

  /** Asks the database how long the log is, which costs less than to read nothing. */
  async #ask(): Promise<void> {
    this.#suspected = false
    const size = await readSnapshot(this.#deps.db, async (tx) => {
      const [, size] = await Promise.all([enterOperation(tx, this.operation), sizeOf(tx, this.operation)])
      return size
    })
    this.#known = Math.max(this.#known, (size ?? 0) - 1)
  }

  /**
   * Answers the position of the slowest reader. A reader that joins while a page is being read is
   * not in that page and gets it with the next one.
   */
  #slowest(): number {
    let slowest = this.#position
    for (const { catchingUp, position } of this.#subscriptions)
      if (!catchingUp && position < slowest) slowest = position
    return slowest
  }

  /** Resolves once the view has passed an index that is known to be in the log. */
  async reach(index: number): Promise<void> {
    this.#reaching++
    try {
      await this.start()
      while (this.#position < index) {
        this.hint(index + 1)
        await this.#running
        if (this.#position < index) await new Promise((resolve) => setTimeout(resolve, 50))
      }
    } finally {
      this.#reaching--
    }
  }

  /** Brings the view to the head of the log without sending anything: it has no reader yet. */
  async start(): Promise<void> {
    if (this.#ready) return
    await readSnapshot(this.#deps.db, async (tx) => {
      await enterOperation(tx, this.operation)
      const size = (await sizeOf(tx, this.operation)) ?? 0
      const changes = await changesBetween(tx, this.operation, this.#view.position, size - 1)
      const reading = await readEntries(tx, this.#deps, this.operation, changes, { sessions: [], devices: [] })
      const entries = await Promise.all(reading.entries.map((entry) => readViewEntry(entry.leaf, entry.statement)))
      if (this.#ready) return
      for (const entry of entries) if (entry.index > this.#view.position) this.#view.apply(entry)
      this.#position = size - 1
      this.#ready = true
    })
  }

  async #advance(): Promise<void> {
    const subscribers = this.#current()
    this.#living = undefined
    const reading = await this.#read(this.#slowest(), pageEntries, subscribers)
    for (const subscription of subscribers) {
      if (reading.ends.ended.has(subscription.actor.session)) this.#close(subscription)
    }
    if (this.#current().every((one) => subscribers.includes(one))) this.#living = reading.living
    const wanted: GrantRequest[] = []
    for (const entry of reading.entries) {
      const { index, kind } = entry.leaf
      if (index > this.#position && changesOperation(kind)) await this.#apply(entry, wanted)
      this.#sendToAll(entry, subscribers)
    }
    this.#pushReads(reading)
    if (wanted.length > 0) this.#askForGrants(wanted)
  }

  #read(
    after: number,
    limit: number,
    subscribers: readonly Subscription[],
  ): Promise<FeedPage & { readonly living: LivingSessions }> {
    return readSnapshot(this.#deps.db, async (tx) => {
      const [directorySize, , stored] = await Promise.all([
        sizeOf(tx, this.#deps.logs.directory),
        enterOperation(tx, this.operation),
        entriesAfter(tx, this.operation, after, limit),
      ])
      const page = await readEntries(tx, this.#deps, this.operation, stored, {
        sessions: [...new Set(subscribers.map(({ actor }) => actor.session))],
        devices: [...new Set(subscribers.map(({ actor }) => actor.device))],
        partial: subscribers.some(({ person }) => isPartial(this.#view.member(person))),
      })
      return { ...page, living: { directorySize: directorySize ?? 0, nextExpiry: page.ends.nextExpiry } }
    })
  }

  async #apply(entry: EntryForReaders, wanted: GrantRequest[]): Promise<void> {
    const viewEntry = await readViewEntry(entry.leaf, entry.statement)
    const staleBefore = new Set([...this.#view.compartments.values()].filter(({ stale }) => stale).map(({ id }) => id))
    this.#view.apply(viewEntry)
    for (const { id, stale } of this.#view.compartments.values()) {
      if (stale && !staleBefore.has(id)) this.#pushStale(id)
    }
    wanted.push(...this.#grantsWantedBy(entry))
  }

  #send(subscription: Subscription, entry: EntryForReaders): void {
    const member = this.#view.member(subscription.person)
    if (!member || member.organization !== subscription.actor.organization) {
      this.#end(subscription, 'removed')
      return
    }
    subscription.position = entry.leaf.index
    this.#sendTo(subscription, member, entry)
  }

  #sendTo(subscription: Subscription, member: Member, entry: EntryForReaders): void {
    const { actor, outbox } = subscription
    const withContent = seesContent(member) && isListed(actor.listed, 'message.read')
    if (entry.leaf.kind === 'history.granted' && withContent) {
      const own = entry.grants.filter((grant) => grant.device === actor.device && this.#mayHave(grant))
      const [first] = own
      if (first) {
        const grants = own.map(({ epoch, sealed }) => ({ epoch, grant: sealed }))
        outbox.send({ type: 'granted', operation: this.operation, compartment: first.compartment, grants })
      }
    }
    if (!seesEntry(this.#view, member, entry.leaf)) return
    if (entry.hasContent && withContent) this.#deps.consultation.delivered(this.operation, actor, entry.leaf.index)
    const grant = withContent ? entry.grants.find((given) => given.device === actor.device) : undefined
    const sealed = grant && this.#mayHave(grant) ? grant.sealed : undefined
    outbox.sendText(frameFor(entry, { withContent, partial: isPartial(member), grant: sealed }))
  }

  /**
   * Whether a device may have a key that it was given, as things are now: a member who left and
   * came back may not have all of them.
   */
  #mayHave({ device, compartment, epoch }: GrantRow): boolean {
    const opened = this.#view.epoch(compartment as CompartmentId, epoch)
    return (
      opened !== undefined &&
      mayHoldKey(this.#view, device as DeviceId, compartment as CompartmentId, opened.openedIndex)
    )
  }

  /**
   * Adds a reader: sends what it lacks, page by page, and from the head on every new entry. Answers
   * false if it may not read.
   */
  async subscribe(subscription: Subscription): Promise<boolean> {
    await this.start()
    subscription.catchingUp = true
    this.#subscriptions.add(subscription)
    let entries = firstPageEntries
    try {
      while (!subscription.over && !subscription.outbox.closed) {
        if (subscription.position >= this.#position) {
          // No other work runs between this comparison and the moment at which the reader becomes
          // one of the follower's own.
          subscription.catchingUp = false
          this.#living = undefined
          return this.#view.member(subscription.person) !== undefined
        }
        await subscription.outbox.comfortable()
        const reading = await this.#read(subscription.position, entries, [subscription])
        if (reading.ends.ended.has(subscription.actor.session)) this.#close(subscription)
        const bytes = reading.entries.reduce((sum, { whole }) => sum + whole.text.length, 0)
        entries =
          bytes > heavyPageBytes ? Math.max(smallestPageEntries, entries >> 2) : Math.min(pageEntries, entries * 2)
        for (const entry of reading.entries) {
          // A reader that has enough for now is checked again, with its session, when it has taken
          // that.
          if (subscription.over || entry.leaf.index > this.#position || subscription.outbox.crowded) break
          this.#send(subscription, entry)
        }
      }
      return false
    } finally {
      if (subscription.catchingUp) this.#subscriptions.delete(subscription)
    }
  }

  /** The index up to which readers of this follower are served. */
  get position(): number {
    return this.#position
  }

  unsubscribe(subscription: Subscription): void {
    subscription.over = true
    this.#subscriptions.delete(subscription)
  }

  #end(subscription: Subscription, reason: 'removed'): void {
    this.unsubscribe(subscription)
    subscription.outbox.send({ type: 'ended', operation: this.operation, reason })
    subscription.ended()
  }

  #close(subscription: Subscription): void {
    this.unsubscribe(subscription)
    subscription.outbox.close(closeCodes.sessionEnded, 'session ended')
  }

  #pushStale(compartment: CompartmentId): void {
    for (const { person, actor, outbox, catchingUp } of this.#subscriptions) {
      const member = this.#view.member(person)
      if (catchingUp || !member || !this.#view.isIn(person, compartment)) continue
      if (!may(member.role, 'epoch.open', this.#view.state).allowed || !isListed(actor.listed, 'epoch.open')) continue
      outbox.send({ type: 'epoch-stale', operation: this.operation, compartment })
    }
  }

  /**
   * Answers the devices that may have keys since this entry: of a newcomer, of a member who slept,
   * of a member whom a new role or new rules brought in.
   */
  #newlyEntitled({ kind, subject, compartment }: Leaf): DeviceId[] {
    const devicesOf = (is: (certificate: Certificate) => boolean) =>
      [...this.#view.devices.values()].filter(is).map(({ device }) => device)
    if (kind === 'device.certified') return [subject as DeviceId]
    if (kind === 'member.woken' || kind === 'member.role-changed') return devicesOf(({ person }) => person === subject)
    if (kind === 'compartment.member-added' || kind === 'compartment.created')
      return devicesOf(({ person }) => this.#view.isIn(person, compartment as CompartmentId))
    if (kind === 'operation.rules-set') return devicesOf(({ person }) => this.#view.isIn(person, this.#view.all))
    return []
  }

  /** Answers the keys that these devices may have and were not given when the epoch opened. */
  #grantsWantedBy({ leaf }: EntryForReaders): GrantRequest[] {
    const compartment = leaf.kind === 'operation.rules-set' ? this.#view.all : leaf.compartment
    const devices = this.#newlyEntitled(leaf)
    const requests: GrantRequest[] = []
    for (const device of devices) {
      for (const { id, epochs } of this.#view.compartments.values()) {
        if (compartment !== undefined && id !== compartment) continue
        const lacking = epochs
          .filter(
            ({ openedIndex, recipients }) =>
              !recipients.includes(device) && mayHoldKey(this.#view, device, id, openedIndex),
          )
          .map(({ number }) => number)
        if (lacking.length > 0) requests.push({ compartment: id, device, epochs: lacking })
      }
    }
    return requests
  }

  #askForGrants(requests: readonly GrantRequest[]): void {
    for (const [compartment, of] of Map.groupBy(requests, (request) => request.compartment as CompartmentId)) {
      const able = [...this.#subscriptions].filter(({ person, actor, catchingUp }) => {
        const member = this.#view.member(person)
        if (catchingUp || !member || !this.#view.isRecipient(actor.device as DeviceId, compartment)) return false
        return may(member.role, 'grant.give', this.#view.state).role === 'own' && isListed(actor.listed, 'grant.give')
      })
      const start = (this.#deps.random(1)[0] ?? 0) % Math.max(able.length, 1)
      for (let i = 0; i < Math.min(mostMembersAsked, able.length); i++) {
        able[(start + i) % able.length]?.outbox.send({ type: 'grant-wanted', operation: this.operation, requests: of })
      }
    }
  }

  /** Tells the sender's organization and the coordinators who read a message. */
  #pushReads({ reads }: FeedPage): void {
    if (reads.length === 0) return
    for (const { person, actor, outbox, catchingUp } of this.#subscriptions) {
      const member = this.#view.member(person)
      if (catchingUp || !member || !isListed(actor.listed, 'message.read')) continue
      const visible = reads.filter(
        ({ sender, compartment, index, person: reader }) =>
          (sender === actor.organization || member.role === 'coordinator') &&
          mayReadFrom(this.#view, member, compartment as CompartmentId, index) &&
          this.#view.isIn(reader as PersonId, compartment as CompartmentId),
      )
      if (visible.length === 0) continue
      const receipts = visible.map(({ message, person: by, organization, readAt }) => ({
        message,
        person: by,
        organization,
        readAt: readAt.toISOString(),
      }))
      outbox.send({ type: 'receipts', operation: this.operation, receipts })
    }
  }
}
