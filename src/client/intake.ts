import {
  ProtocolError,
  breaksOrder,
  changesOperation,
  demand,
  parseLeaf,
  requireNoEarlier,
  type Certificate,
  type CompartmentId,
  type DeviceId,
  type EntryFrame,
  type Leaf,
  type OperationView,
  type PersonId,
} from '../protocol/index.ts'
import { getsContent } from './account.ts'
import { asProtocolError } from './failures.ts'
import { missing, raise, type Floor } from './floor.ts'
import type { SessionContext } from './session-context.ts'
import type { Ledger, EntryRefusal } from './ledger.ts'
import { LogPassage, type LogFault } from './log-passage.ts'
import type { Message } from './message.ts'
import { MessageOpener, type MessageOutcome } from './message-opener.ts'
import type { SeenCheckpoint } from './receipt.ts'
import { hiddenSenders } from './senders.ts'
import type { CompartmentCount } from './sequences.ts'
import { SetAsideItems } from './set-aside.ts'
import type { Change } from './store.ts'

/** The state of the passage through a log, as the store keeps it. */
interface StoredPlace {
  readonly position: number
  readonly basis: number
  readonly counted: readonly CompartmentCount[]
  readonly holes: boolean
  readonly seen?: SeenCheckpoint
  readonly newest?: Pick<Leaf, 'index' | 'at'>
  /** Whether the log has to be read again from its beginning. */
  readonly again?: true
}

interface StoredEntry {
  readonly leaf: string
  readonly statement?: string
  readonly chain?: readonly string[]
  /** Why this device does not believe the entry, which then changes nothing. */
  readonly refused?: EntryRefusal
}

export interface IntakeOptions {
  readonly keep: 'all' | 'none'
  readonly partial: boolean
  /** Whether the session is over, so that nothing more is delivered. */
  readonly over: () => boolean
  /** Whether this device knows the message as its own: it holds the receipt, or waits for it. */
  readonly knows: (message: string) => boolean
  readonly onMessage: (message: Message) => void
  /** Called when the log is no longer believed and has to be read again. */
  readonly onBroken: () => void
}

/** A second passage through the log, with what to store and to show once it is complete. */
interface SecondPassage {
  readonly passage: LogPassage
  readonly entries: Change[]
  readonly held: MessageOutcome[]
  /** Indexes of the entries of this passage that are not believed. */
  readonly aside: Set<number>
}

/**
 * Takes entries in the order of the log: verifies, applies, opens and keeps them. An entry that
 * cannot be believed is set aside with an alarm, and the entries after it are taken as usual. Where
 * the log has to be read again, a second passage runs beside the first one. It replaces the first
 * only if it shows everything that this device has verified before.
 */
export class Intake {
  readonly aside: SetAsideItems
  readonly opener: MessageOpener
  seen: SeenCheckpoint | undefined
  readonly #context: SessionContext
  #options: IntakeOptions
  /** The passage whose view this device acts on. */
  #current: LogPassage
  /** The second passage, until it is complete. */
  #second: SecondPassage | undefined
  #floor: Floor | undefined
  /** Whether the log has to be read again. */
  #widened = false
  #broken: LogFault | undefined
  /** The index after which this subscription begins; a checkpoint that answers it lies after it. */
  #after = -1
  #live = false
  #changes: Change[] = []
  #raised = false
  #flushing: Promise<void> = Promise.resolve()

  constructor(context: SessionContext, options: IntakeOptions) {
    this.#context = context
    this.#options = options
    const put = (change: Change) => void this.#changes.push(change)
    this.aside = new SetAsideItems(context, put)
    this.opener = new MessageOpener({
      ...options,
      context,
      aside: this.aside,
      put,
      views: () => this.#views,
      onMissing: (error, index) => this.#break(error, index),
    })
    this.#current = this.#newPassage()
  }

  #newPassage(kept?: StoredPlace): LogPassage {
    const { operation, self } = this.#context
    const { account, device } = self()
    const { partial } = this.#options
    const reader = { operation, root: account.pins.root, person: this.#me, partial }
    return new LogPassage({ ...reader, device: { id: device.id, seal: device.keys.seal.pub } }, kept)
  }

  get #me(): PersonId {
    return this.#context.self().account.person as PersonId
  }

  /** The passage that takes entries: the second one while the log is read again. */
  get #passage(): LogPassage {
    return this.#second?.passage ?? this.#current
  }

  /** The ledger that this device acts on. */
  get ledger(): Ledger {
    return this.#current.ledger
  }

  get #views(): OperationView[] {
    return [this.#current.ledger.view, ...(this.#second ? [this.#second.passage.ledger.view] : [])]
  }

  /** Index of the newest entry that was processed. */
  get position(): number {
    return this.#current.position
  }

  /** Whether more of the log is visible now than before, and the second passage has not begun. */
  get widened(): boolean {
    return this.#widened && !this.#second
  }

  /** Why the log is not believed; undefined while it is read again without a fault. */
  get broken(): LogFault | undefined {
    return this.#second ? this.#second.passage.broken : this.#broken
  }

  /** Why nothing may be sealed, also while the log is read again. */
  get distrusted(): LogFault | undefined {
    return this.#broken ?? this.#second?.passage.broken
  }

  /** Stops believing the log until it was read again from its beginning. */
  break(broken: LogFault): void {
    const first = this.broken === undefined
    if (this.#second) this.#second.passage.broken ??= broken
    else this.#broken ??= broken
    this.#context.alarm(broken)
    if (first) this.#options.onBroken()
  }

  /** Whether this member is shown only a part of the members, as a right holder is. */
  get partial(): boolean {
    return this.#options.partial
  }

  /** Takes another role into account: another view of the log has to be read. */
  setPartial(partial: boolean): void {
    if (partial === this.#options.partial) return
    this.#options = { ...this.#options, partial }
    this.#widened = true
  }

  /** Loads the passage, the floor and the messages that the store holds. */
  async load(): Promise<void> {
    const { store, prefix } = this.#context
    const kept = (await store.get(`${prefix}place`)) as StoredPlace | undefined
    this.#floor = (await store.get(`${prefix}floor`)) as Floor | undefined
    await this.aside.load()
    await this.opener.load()
    if (!kept) return
    this.seen = kept.seen
    const passage = this.#newPassage(kept)
    try {
      for (const [, value] of await store.list(`${prefix}entry/`)) {
        const { leaf, ...brought } = value as StoredEntry
        await passage.takeAgain(parseLeaf(leaf), brought)
      }
    } catch (error) {
      // The stored entries do not fold, although they were verified: the log is read again.
      if (!(error instanceof ProtocolError)) throw error
      this.#widened = true
      return
    }
    passage.position = kept.position
    passage.newest = kept.newest
    passage.basis = kept.basis
    this.#current = passage
    this.#widened ||=
      kept.again === true ||
      missing(this.#floor ?? raise(undefined, passage.ledger.view), passage.ledger.view).length > 0
  }

  /** Begins a new subscription. Answers the index after which it begins. */
  async begin(): Promise<number> {
    this.#live = false
    this.#second = undefined
    const passage = this.#current
    // The service never tells a partial view who left while the device was away.
    if (this.#broken || this.#widened || this.partial) await this.#readAnew()
    else if (passage.basis === Number.POSITIVE_INFINITY && passage.position >= 0) passage.basis = passage.position
    this.#after = this.#passage.position
    return this.#after
  }

  async #readAnew(): Promise<void> {
    const { store, prefix } = this.#context
    const old = await store.list(`${prefix}entry/`)
    this.#second = { passage: this.#newPassage(), entries: old.map(([name]) => ({ name })), held: [], aside: new Set() }
    this.opener.lookAgain()
  }

  /** Lets the second passage replace the first, if it lacks nothing. Answers false if it does. */
  async #adopt(index: number): Promise<boolean> {
    const second = this.#second
    if (!second) return true
    const { passage, entries, held, aside } = second
    const lacks = passage.broken
      ? []
      : missing(this.#floor ?? raise(undefined, passage.ledger.view), passage.ledger.view)
    const [first] = lacks
    if (first !== undefined) {
      const more = lacks.length === 1 ? '' : ` and ${String(lacks.length - 1)} more`
      const detail = `The service no longer shows what this device has verified before: ${first}${more}.`
      this.break({ code: 'LOG_ALTERED', reason: 'FLOOR', index, detail })
    }
    this.#second = undefined
    if (passage.broken) {
      this.#broken = passage.broken
      return false
    }
    this.#current = passage
    this.#widened = false
    this.#broken = undefined
    this.#changes.push(...entries)
    this.#raised = true
    this.aside.keepOnly(aside)
    for (const one of held) await this.opener.settle(one)
    return true
  }

  /**
   * Takes entries in the order in which they came. Stops at an entry before which another one is
   * missing, and at an entry that makes more of the log visible.
   */
  async take(frames: readonly EntryFrame[]): Promise<void> {
    let group: [Leaf, EntryFrame][] = []
    for (const frame of frames) {
      if (this.broken || this.widened) break
      const leaf = this.#parse(frame)
      if (!leaf) break
      if (leaf.index <= (group.at(-1)?.[0].index ?? this.#passage.position)) continue
      if (leaf.kind.startsWith('message.')) {
        group.push([leaf, frame])
        continue
      }
      await this.#read(group)
      group = []
      await this.#enter(leaf, frame)
    }
    await this.#read(group)
    await this.flush()
  }

  #parse(frame: EntryFrame): Leaf | undefined {
    try {
      const leaf = parseLeaf(frame.leaf)
      const meant = leaf.index === frame.index && leaf.log === this.#context.operation
      demand(meant, 'LEAF', 'This entry is of another log.')
      const passage = this.#passage
      if (leaf.index <= (passage.newest?.index ?? -1)) return leaf
      requireNoEarlier(passage.newest?.at, leaf)
      passage.newest = { index: leaf.index, at: leaf.at }
      return leaf
    } catch (error) {
      this.#break(asProtocolError(error), frame.index)
      return undefined
    }
  }

  async #enter(leaf: Leaf, frame: EntryFrame): Promise<void> {
    const passage = this.#passage
    const widens = !this.#second && this.#current.widens(leaf)
    let newDevice: Certificate | undefined
    if (changesOperation(leaf.kind)) {
      try {
        newDevice = await this.#fold(leaf, frame, widens)
      } catch (error) {
        const fault = asProtocolError(error)
        const mine = leaf.kind === 'compartment.member-added' && leaf.subject === this.#me
        // The service began before the entry that added this person: the whole log is needed.
        if (mine && !this.#second) this.widen()
        else this.#break(fault, leaf.index)
        return
      }
    }
    this.#pass(leaf)
    if (newDevice) this.#expectDevice(leaf, newDevice)
    if (leaf.kind === 'epoch.opened' && frame.grant !== undefined) {
      const [, number] = leaf.subject.split('#')
      await this.opener.accept(leaf.compartment ?? '', [{ epoch: Number(number), grant: frame.grant }])
    }
    // A member left whom this view does not show. Read again, the log shows the present members.
    const compartment = leaf.compartment as CompartmentId
    if (leaf.kind === 'epoch.opened' && this.partial && this.#live && !passage.ledger.isForAll(compartment)) {
      this.widen()
    }
    this.#context.events.emit('entry', leaf)
  }

  /**
   * Applies an entry and keeps it. Answers the certificate of a further device of this person, if
   * the entry brought one.
   */
  async #fold(leaf: Leaf, frame: EntryFrame, widens: boolean): Promise<Certificate | undefined> {
    const { leaf: text, statement, chain } = frame
    const brought = { ...(statement === undefined ? {} : { statement }), ...(chain === undefined ? {} : { chain }) }
    const { refused, own } = await this.#passage.take(leaf, brought)
    const kept: StoredEntry = { leaf: text, ...brought, ...(refused ? { refused } : {}) }
    const change = { name: this.#name(leaf.index), value: kept }
    ;(this.#second?.entries ?? this.#changes).push(change)
    this.#raised = true
    if (refused) this.#second?.aside.add(leaf.index)
    if (refused)
      this.aside.put({
        code: 'ENTRY_REFUSED',
        reason: refused.code,
        index: leaf.index,
        kind: leaf.kind,
        detail: refused.detail,
      })
    else if (widens) this.widen()
    return own
  }

  /** Demands that the log is read again from its beginning. */
  widen(): void {
    this.#widened = true
    // Kept as well: a device that is closed before the log was read again reads it later.
    this.#raised = true
  }

  #expectDevice(leaf: Leaf, certificate: Certificate): void {
    const { device } = this.#context.self()
    // Devices of the first reading are nothing new; a device that was added since is.
    if (this.#second || leaf.index <= this.#current.basis) return
    if (certificate.device === device.id || certificate.issuer === device.id) return
    const detail =
      'A device was certified for you, and not by this device. If that device is not yours, revoke it at once.'
    this.#context.alarm({ code: 'DEVICE_UNEXPECTED', index: leaf.index, detail })
  }

  #break({ code: reason, message: detail }: ProtocolError, index: number): void {
    const hidden = reason === 'MEMBERS_HIDDEN' || reason === 'MEMBERS_CHAIN'
    this.break({ code: hidden ? 'MEMBERS_HIDDEN' : 'LOG_ALTERED', reason, index, detail })
  }

  #pass(leaf: Leaf): void {
    const passage = this.#passage
    const hole = passage.pass(leaf, this.#live)
    if (hole) this.#judge(passage, hole)
  }

  #judge(passage: LogPassage, hole: Parameters<LogPassage['explains']>[0]): void {
    if (passage.explains(hole)) return
    const detail = `Between ${String(hole.after)} and ${String(hole.before)} an entry of a compartment was withheld.`
    this.#context.alarm({ code: 'ENTRY_WITHHELD', index: hole.before, detail })
  }

  async #read(group: readonly [Leaf, EntryFrame][]): Promise<void> {
    const passage = this.#passage
    const fresh = group.filter(([{ index }]) => !this.opener.has(index))
    const hidden = await this.#hiddenSenders(fresh)
    const read = await Promise.all(fresh.map(([leaf, frame]) => this.opener.open(passage, leaf, frame, hidden)))
    const opened = new Map(read.map((one) => [one.leaf.index, one]))
    for (const [leaf] of group) {
      // Before anything is awaited: a write that happens meanwhile then has both.
      this.#pass(leaf)
      const one = opened.get(leaf.index)
      // The second passage may still lack something: its messages are shown once it has replaced
      // the first.
      if (one && this.#second) this.#hold(this.#second, one)
      else if (one) await this.opener.settle(one)
    }
  }

  #hold({ held, aside }: SecondPassage, read: MessageOutcome): void {
    held.push(read)
    if ('refused' in read) aside.add(read.leaf.index)
    const fault = 'hidden' in read ? read.hidden : 'refused' in read ? read.refused : undefined
    if (fault && breaksOrder(fault)) this.#break(fault, read.leaf.index)
  }

  async #hiddenSenders(group: readonly [Leaf, EntryFrame][]): Promise<ReadonlySet<DeviceId>> {
    const { ledger } = this.#passage
    if (!getsContent(this.#context.self(), ledger.view)) return new Set()
    return hiddenSenders({ ...this.#context, ledger: () => ledger }, this.partial, this.#options.over, group)
  }

  /**
   * Takes a newer checkpoint that has grown from `than`. Answers false while a subscription is
   * answered, because its proof begins at the checkpoint that was sent with it, and where another
   * checkpoint came meanwhile.
   */
  adopt(seen: SeenCheckpoint, than: SeenCheckpoint): boolean {
    if (!this.#live || this.seen !== than) return false
    this.seen = seen
    return true
  }

  /**
   * Ends the catching up: the service has served everything up to this index, and an entry that is
   * still missing was withheld.
   */
  async caughtUp(index: number, seen: SeenCheckpoint): Promise<void> {
    this.seen = seen
    if (!(await this.#adopt(index))) return this.flush(true)
    const passage = this.#current
    if (this.#after >= seen.size) {
      const detail = 'This device was shown entries that are beyond the end of the log.'
      this.break({ code: 'LOG_ALTERED', reason: 'BEYOND_END', index: passage.position, detail })
      return this.flush(true)
    }
    if (passage.basis === Number.POSITIVE_INFINITY) passage.basis = index
    passage.position = Math.max(passage.position, index)
    this.#live = true
    for (const hole of passage.takeHoles()) this.#judge(passage, hole)
    await this.flush(true)
  }

  /**
   * Writes the changes that have gathered, together with the position to which they belong. Changes
   * that could not be written are kept for the next write.
   */
  flush(always = false): Promise<void> {
    const written = this.#flushing.then(() => this.#write(always))
    this.#flushing = written.catch(() => {})
    return written
  }

  async #write(always: boolean): Promise<void> {
    const changes = this.#changes
    const raised = this.#raised
    if (!always && !raised && changes.length === 0) return
    this.#changes = []
    this.#raised = false
    const { prefix, store } = this.#context
    const { position, basis, toleratesHoles, ledger, newest } = this.#current
    const kept: StoredPlace = {
      position,
      basis: basis === Number.POSITIVE_INFINITY ? position : basis,
      counted: this.#current.counted(),
      holes: toleratesHoles,
      ...(this.seen ? { seen: this.seen } : {}),
      ...(newest ? { newest } : {}),
      ...(this.#widened || this.#broken ? { again: true } : {}),
    }
    const place = [{ name: `${prefix}place`, value: kept }]
    if (raised) {
      this.#floor = raise(this.#floor, ledger.view)
      place.push({ name: `${prefix}floor`, value: this.#floor } as never)
    }
    try {
      await store.write([...changes, ...place])
    } catch (error) {
      this.#changes = [...changes, ...this.#changes]
      this.#raised ||= raised
      throw error
    }
  }

  #name(index: number): string {
    return `${this.#context.prefix}entry/${String(index).padStart(12, '0')}`
  }
}
