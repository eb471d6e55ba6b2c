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

/** What a device keeps of where it is in a log. */
interface StoredPlace {
  readonly position: number
  readonly basis: number
  readonly counted: readonly CompartmentCount[]
  readonly holes: boolean
  readonly seen?: SeenCheckpoint
  readonly newest?: Pick<Leaf, 'index' | 'at'>
  /** The log is to be read again from its beginning. */
  readonly again?: true
}

interface StoredEntry {
  readonly leaf: string
  readonly statement?: string
  readonly chain?: readonly string[]
  /** It was not believed, and gave nothing. */
  readonly refused?: EntryRefusal
}

export interface IntakeOptions {
  readonly keep: 'all' | 'none'
  readonly partial: boolean
  /** Nobody waits for what comes any more. */
  readonly over: () => boolean
  /**
   * Whether somebody of this device's own knows the message: it has the receipt, or waits for it.
   */
  readonly knows: (message: string) => boolean
  readonly onMessage: (message: Message) => void
  /** The log is not believed any more, and has to be read again. */
  readonly onBroken: () => void
}

/** The log read again: what is to be kept of it, and shown, once it is whole. */
interface SecondPassage {
  readonly passage: LogPassage
  readonly entries: Change[]
  readonly held: MessageOutcome[]
  /** Indexes of what is not believed in it. */
  readonly aside: Set<number>
}

/**
 * Takes entries in the order of the log: verifies, applies, opens, keeps. What cannot be believed
 * is set aside with an alarm, and what follows it goes on. Where the log has to be read again, that
 * happens beside what is known, and is taken only if it shows everything that this device has
 * verified before.
 */
export class Intake {
  readonly aside: SetAsideItems
  readonly opener: MessageOpener
  seen: SeenCheckpoint | undefined
  readonly #context: SessionContext
  #options: IntakeOptions
  /** What this device goes by. */
  #current: LogPassage
  /** The log read again, until it is whole. */
  #second: SecondPassage | undefined
  #floor: Floor | undefined
  /** Why the log has to be read again; `broken` is why nothing may be sealed until then. */
  #widened = false
  #broken: LogFault | undefined
  /** What this subscription goes on after: no checkpoint that answers it ends before. */
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

  /** Where entries go: beside what is known while the log is read again. */
  get #passage(): LogPassage {
    return this.#second?.passage ?? this.#current
  }

  /** Who is in the operation, as this device goes by it. */
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

  /** More of the log is visible now than before, and nobody has asked for it yet. */
  get widened(): boolean {
    return this.#widened && !this.#second
  }

  /** Why the log is not believed, unless it is being read again. */
  get broken(): LogFault | undefined {
    return this.#second ? this.#second.passage.broken : this.#broken
  }

  /** Why nothing may be sealed, also while the log is being read again. */
  get distrusted(): LogFault | undefined {
    return this.#broken ?? this.#second?.passage.broken
  }

  /** Nothing more is believed until the log was read again from its beginning. */
  break(broken: LogFault): void {
    const first = this.broken === undefined
    if (this.#second) this.#second.passage.broken ??= broken
    else this.#broken ??= broken
    this.#context.alarm(broken)
    if (first) this.#options.onBroken()
  }

  /** Whether this member is shown only a part of the members: a right holder. */
  get partial(): boolean {
    return this.#options.partial
  }

  /** Another role than before: what was kept is read again. */
  setPartial(partial: boolean): void {
    if (partial === this.#options.partial) return
    this.#options = { ...this.#options, partial }
    this.#widened = true
  }

  /** Takes up what the store holds. */
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
      // What was verified and written whole does not fold: the log is read again.
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

  /**
   * A new subscription begins: where it goes on after. Reads from the beginning where that is
   * needed.
   */
  async begin(): Promise<number> {
    this.#live = false
    this.#second = undefined
    const passage = this.#current
    // A partial view is never told who went while it was away.
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

  /**
   * What was read second takes the place of what was known, if nothing is missing in it that was
   * known.
   */
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
   * Takes entries as they came; stops at one before which something is missing, or that makes more
   * visible than before.
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
        // Served from before one was added: asked for again from the beginning, it is whole.
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
    // Somebody left whom this view does not show: read again, it shows who is there now.
    const compartment = leaf.compartment as CompartmentId
    if (leaf.kind === 'epoch.opened' && this.partial && this.#live && !passage.ledger.isForAll(compartment)) {
      this.widen()
    }
    this.#context.events.emit('entry', leaf)
  }

  /** Answers the certificate of a device of this very person that came with the entry. */
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

  /** The log is to be read again from its beginning. */
  widen(): void {
    this.#widened = true
    // Also whoever ends before the log was read again reads it again.
    this.#raised = true
  }

  #expectDevice(leaf: Leaf, certificate: Certificate): void {
    const { device } = this.#context.self()
    // What was there before this device first read the log is nothing new; what came while it was
    // away is.
    if (this.#second || leaf.index <= this.#current.basis) return
    if (certificate.device === device.id || certificate.issuer === device.id) return
    const detail =
      'A device was certified for you that this one did not certify. If it is not yours, revoke it at once.'
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
      // With what is to be kept of it, before anything is waited for: whoever writes meanwhile
      // writes both.
      this.#pass(leaf)
      const one = opened.get(leaf.index)
      // What is read second may yet turn out to lack something: its messages are shown once it
      // counts.
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
   * A newer checkpoint, grown from `than`: not while a subscription is answered, whose proof begins
   * at the checkpoint that was sent with it, nor where another one came meanwhile.
   */
  adopt(seen: SeenCheckpoint, than: SeenCheckpoint): boolean {
    if (!this.#live || this.seen !== than) return false
    this.seen = seen
    return true
  }

  /** Everything up to this index has been served: what is missing by now was withheld. */
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
   * Writes what has gathered, with the place it belongs to, at once; what cannot be written is kept
   * to be written later.
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
