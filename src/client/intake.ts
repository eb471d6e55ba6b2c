import {
  ProtocolError,
  changesOperation,
  contentKeyId,
  demand,
  parseLeaf,
  type Certificate,
  type CompartmentId,
  type DeviceId,
  type EntryFrame,
  type Leaf,
  type PersonId,
} from '../protocol/index.ts'
import { getsContent } from './account.ts'
import type { Footing } from './footing.ts'
import { Ledger, type Brought } from './ledger.ts'
import { checkMessage, openMessage, readOnce, type Message, type SealedMessage } from './message.ts'
import { OwnDevices } from './own-devices.ts'
import type { Seen } from './receipt.ts'
import { hiddenSenders } from './senders.ts'
import { Sequences, type Counted, type Hole } from './sequences.ts'
import type { Change } from './store.ts'

/** What a device keeps of where it is in a log. */
interface Kept {
  readonly position: number
  readonly basis: number
  readonly counted: readonly Counted[]
  readonly holes: boolean
  readonly seen?: Seen
}

interface KeptEntry {
  readonly leaf: string
  readonly statement?: string
  readonly chain?: readonly string[]
}

/** Why nothing more is believed until the log was read again from its beginning. */
export interface Broken {
  readonly code: 'MEMBERS_HIDDEN' | 'LOG_ALTERED'
  readonly reason: string
  readonly index: number
  readonly detail: string
}

export interface IntakeOptions {
  readonly keep: 'all' | 'none'
  readonly partial: boolean
  /** Nobody waits for what comes any more. */
  readonly over: () => boolean
  /** Whether somebody of this device's own knows the message: it has the receipt, or waits for it. */
  readonly knows: (message: string) => boolean
  readonly onMessage: (message: Message) => void
}

type Read =
  | { leaf: Leaf; message: Message; hidden?: ProtocolError }
  | { leaf: Leaf; sealed: SealedMessage; hidden?: ProtocolError }
  | { leaf: Leaf; refused: ProtocolError }
  | { leaf: Leaf }

const mostRebuilds = 3

/** Takes entries in the order of the log: verifies, applies, opens, keeps. */
export class Intake {
  readonly messages = new Map<string, Message>()
  ledger: Ledger
  position = -1
  seen: Seen | undefined
  broken: Broken | undefined
  /** The log has to be read again from its beginning, because more of it is visible now than before. */
  widened = false
  readonly #footing: Footing
  #options: IntakeOptions
  #ownDevices: OwnDevices
  #sequences = new Sequences()
  #handled = new Set<number>()
  readonly #sealed = new Map<string, SealedMessage[]>()
  /** Up to this index everything was shown under the view that one has now. */
  #basis = Number.POSITIVE_INFINITY
  #holes: Hole[] = []
  #toleratedHoles = false
  #rebuilds = 0
  #live = false
  #changes: Change[] = []

  constructor(footing: Footing, options: IntakeOptions) {
    this.#footing = footing
    this.#options = options
    this.ledger = this.#newLedger()
    this.#ownDevices = new OwnDevices(this.#me)
  }

  #newLedger(): Ledger {
    const { operation, self } = this.#footing
    return new Ledger(operation, self().account.pins.root, this.#options.partial)
  }

  get #me(): PersonId {
    return this.#footing.self().account.person as PersonId
  }

  /** Whether this member is shown only a part of the members: a right holder. */
  get partial(): boolean {
    return this.#options.partial
  }

  /** Another role than before: what was kept is read again. */
  setPartial(partial: boolean): void {
    if (partial === this.#options.partial) return
    this.#options = { ...this.#options, partial }
    this.widened = true
  }

  /** Takes up what the store holds. */
  async load(): Promise<void> {
    const { store, prefix } = this.#footing
    const kept = (await store.get(`${prefix}place`)) as Kept | undefined
    for (const [, value] of await store.list(`${prefix}message/`)) {
      const message = value as Message
      this.messages.set(message.id, message)
      this.#handled.add(message.index)
    }
    if (!kept) return
    try {
      for (const [, value] of await store.list(`${prefix}entry/`)) {
        const { leaf, ...brought } = value as KeptEntry
        await this.#fold(parseLeaf(leaf), brought, true)
      }
    } catch (error) {
      // What was verified and written whole does not fold: read the log again.
      if (!(error instanceof ProtocolError)) throw error
      this.widened = true
      return
    }
    for (const [, value] of await store.list(`${prefix}sealed/`)) {
      const sealed = value as SealedMessage
      this.#handled.add(sealed.index)
      await this.#await(sealed)
    }
    this.position = kept.position
    this.#basis = kept.basis
    this.#sequences = new Sequences(kept.counted)
    this.#toleratedHoles = kept.holes
    this.seen = kept.seen
  }

  /** A new subscription begins: where it goes on after. Reads from the beginning where that is needed. */
  async begin(): Promise<number> {
    this.#live = false
    // A partial view is never told who went while it was away.
    if (this.broken || this.widened || this.partial) await this.#restart()
    else if (this.#basis === Number.POSITIVE_INFINITY && this.position >= 0) this.#basis = this.position
    return this.position
  }

  async #restart(): Promise<void> {
    const { store, prefix } = this.#footing
    const entries = await store.list(`${prefix}entry/`)
    // From here on nothing is waited for: whatever is written from now on has the place, and what it belongs to, of one reading.
    if (!this.partial && this.#rebuilds++ === mostRebuilds)
      this.#footing.alarm({ code: 'LOG_ALTERED', detail: 'The log never becomes whole.' })
    this.ledger = this.#newLedger()
    this.#ownDevices = new OwnDevices(this.#me)
    this.position = -1
    this.broken = undefined
    this.widened = false
    this.#basis = Number.POSITIVE_INFINITY
    this.#sequences = new Sequences()
    this.#holes = []
    this.#toleratedHoles = false
    this.#changes.push(...entries.map(([name]) => ({ name })))
    // A message that was refused may only have seemed wrong: it is looked at again.
    this.#handled = new Set([
      ...[...this.messages.values()].map(({ index }) => index),
      ...[...this.#sealed.values()].flat().map(({ index }) => index),
    ])
  }

  /** Takes entries as they came; stops at one that is not believed, or that makes more visible than before. */
  async take(frames: readonly EntryFrame[]): Promise<void> {
    let group: [Leaf, EntryFrame][] = []
    for (const frame of frames) {
      const leaf = this.#parse(frame)
      if (!leaf || this.broken || this.widened) break
      if (leaf.index <= (group.at(-1)?.[0].index ?? this.position)) continue
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
      demand(
        leaf.index === frame.index && leaf.log === this.#footing.operation,
        'LEAF',
        'This entry is of another log.',
      )
      return leaf
    } catch (error) {
      this.#break(error, frame.index)
      return undefined
    }
  }

  async #enter(leaf: Leaf, frame: EntryFrame): Promise<void> {
    if (this.#widens(leaf)) {
      this.widened = true
      return
    }
    let newDevice: Certificate | undefined
    if (changesOperation(leaf.kind)) {
      const { leaf: text, statement, chain } = frame
      const brought = { ...(statement === undefined ? {} : { statement }), ...(chain === undefined ? {} : { chain }) }
      try {
        newDevice = await this.#fold(leaf, brought)
      } catch (error) {
        const mine = leaf.kind === 'compartment.member-added' && leaf.subject === this.#me
        // Served from before one was added: asked for again from the beginning, it is whole.
        if (mine && error instanceof ProtocolError && this.#rebuilds < mostRebuilds) this.widened = true
        else this.#break(error, leaf.index)
        return
      }
      this.#changes.push({
        name: this.#name('entry', leaf.index),
        value: { leaf: text, ...brought } satisfies KeptEntry,
      })
    }
    this.#count(leaf)
    this.position = leaf.index
    if (newDevice) this.#expectDevice(leaf, newDevice)
    if (leaf.kind === 'epoch.opened' && frame.grant !== undefined) {
      const [, number] = leaf.subject.split('#')
      await this.accept(leaf.compartment ?? '', [{ epoch: Number(number), grant: frame.grant }])
    }
    // Somebody left whom this view does not show: read again, it shows who is there now.
    const compartment = leaf.compartment as CompartmentId
    if (leaf.kind === 'epoch.opened' && this.partial && this.#live && !this.ledger.isForAll(compartment))
      this.widened = this.#rebuilds < mostRebuilds
    this.#footing.events.emit('entry', leaf)
  }

  /** Answers the certificate of a device of this very person that came with the entry. */
  async #fold(leaf: Leaf, brought: Brought, known = false): Promise<Certificate | undefined> {
    await this.ledger.take(leaf, brought, known)
    return this.#ownDevices.take(leaf, this.ledger.view.devices)
  }

  /** Entries that make earlier ones visible, which were not shown. */
  #widens(leaf: Leaf): boolean {
    if (leaf.index <= this.#basis) return false
    const { view } = this.ledger
    const mine = leaf.subject === this.#me
    switch (leaf.kind) {
      case 'compartment.member-added':
        return mine || view.partial
      case 'compartment.created':
        return view.partial
      case 'member.role-changed':
        return mine
      case 'operation.rules-set': {
        const role = view.member(this.#me)?.role
        return role === 'partner' || role === 'observer' || view.services.has(this.#me)
      }
      case 'operation.advanced':
        return this.#toleratedHoles
      default:
        return false
    }
  }

  #expectDevice(leaf: Leaf, certificate: Certificate): void {
    const { device } = this.#footing.self()
    // What was there before this device first read the log is nothing new; what came while it was away is.
    if (leaf.index <= this.#basis) return
    if (certificate.device === device.id || certificate.issuer === device.id) return
    const detail =
      'A device was certified for you that this one did not certify. If it is not yours, revoke it at once.'
    this.#footing.alarm({ code: 'DEVICE_UNEXPECTED', index: leaf.index, detail })
  }

  #break(error: unknown, index: number): void {
    if (!(error instanceof ProtocolError)) throw error
    const hidden = error.code === 'MEMBERS_HIDDEN' || error.code === 'MEMBERS_CHAIN'
    const code = hidden ? 'MEMBERS_HIDDEN' : 'LOG_ALTERED'
    this.broken ??= { code, reason: error.code, index, detail: error.message }
    this.#footing.alarm({ code, reason: error.code, index, detail: error.message })
  }

  #count({ compartment, seq, index }: Leaf): void {
    if (compartment === undefined || seq === undefined) return
    const hole = this.#sequences.take(compartment, seq, index)
    if (!hole) return
    if (this.#live) this.#judge(hole)
    else this.#holes.push(hole)
  }

  /** Whether a hole is one that the rules explain: what came before one was in, or while messages are not shown. */
  #judge({ compartment, after, before }: Hole): void {
    const { view } = this.ledger
    const id = compartment as CompartmentId
    const joined = view.joinedCompartmentAt(this.#me, id)
    if (joined === undefined) return
    const hidden = view.state === 'draft' || view.state === 'archived'
    if (hidden) this.#toleratedHoles = true
    if (hidden || (view.history === 'from-joining' && after < joined)) return
    const detail = `Between ${String(after)} and ${String(before)} an entry of a compartment was withheld.`
    this.#footing.alarm({ code: 'ENTRY_WITHHELD', index: before, detail })
  }

  async #read(group: readonly [Leaf, EntryFrame][]): Promise<void> {
    const fresh = group.filter(([{ index }]) => !this.#handled.has(index))
    const hidden = await this.#hiddenSenders(fresh)
    const read = await Promise.all(fresh.map(([leaf, frame]) => this.#open(leaf, frame, hidden)))
    const opened = new Map(read.map((one) => [one.leaf.index, one]))
    for (const [leaf] of group) {
      // With what is to be kept of it, before anything is waited for: whoever writes meanwhile writes both.
      this.#count(leaf)
      this.position = leaf.index
      const one = opened.get(leaf.index)
      if (one) await this.#settle(one)
    }
  }

  async #hiddenSenders(group: readonly [Leaf, EntryFrame][]): Promise<ReadonlySet<DeviceId>> {
    if (!getsContent(this.#footing.self(), this.ledger.view)) return new Set()
    return hiddenSenders(this.#footing, this.partial, this.#options.over, group)
  }

  async #open(leaf: Leaf, frame: EntryFrame, hidden: ReadonlySet<DeviceId>): Promise<Read> {
    if (!getsContent(this.#footing.self(), this.ledger.view)) return { leaf }
    try {
      if (this.partial && frame.chain) await this.ledger.learn(frame.chain)
      const past = leaf.index <= this.#basis
      const { sealed, statement, hidden: withheld } = await checkMessage(this.ledger, leaf, frame, past)
      demand(
        !hidden.has(statement.signer),
        'DEVICE_HIDDEN',
        'The directory log does not have the device that sent this.',
      )
      const rest = withheld ? { leaf, hidden: withheld } : { leaf }
      const { compartment, epoch } = statement.payload
      const key = this.#footing.keyring.find(compartment, epoch)
      return key ? { ...rest, message: await openMessage(sealed, key.opening, this.#me) } : { ...rest, sealed }
    } catch (error) {
      if (error instanceof ProtocolError) return { leaf, refused: error }
      throw error
    }
  }

  async #settle(read: Read): Promise<void> {
    const { leaf } = read
    this.#handled.add(leaf.index)
    this.#requireKnown(leaf)
    if ('hidden' in read && read.hidden) this.#break(read.hidden, leaf.index)
    if ('refused' in read) {
      const { code, message } = read.refused
      if (code === 'MEMBERS_HIDDEN' || code === 'EPOCH_HIDDEN') this.#break(read.refused, leaf.index)
      const refused = { reason: code, index: leaf.index, message: leaf.subject, detail: message }
      this.#footing.alarm({ code: 'MESSAGE_REFUSED', ...refused })
    } else if ('sealed' in read) {
      this.#changes.push({ name: this.#name('sealed', leaf.index), value: read.sealed })
      const { payload } = await this.#await(read.sealed)
      const { id: message, compartment, epoch } = payload
      this.#footing.events.emit('sealed', { message, index: leaf.index, compartment, epoch })
    } else if ('message' in read) {
      this.#show(read.message)
    }
    this.#footing.events.emit('entry', leaf)
  }

  async #await(sealed: SealedMessage) {
    const statement = await readOnce(sealed.statement)
    const id = contentKeyId(statement.payload.compartment, statement.payload.epoch)
    this.#sealed.set(id, [...(this.#sealed.get(id) ?? []), sealed])
    return statement
  }

  #show(message: Message): void {
    if (this.#options.keep === 'all') {
      this.messages.set(message.id, message)
      this.#changes.push({ name: this.#name('message', message.index), value: message })
    }
    this.#options.onMessage(message)
    this.#footing.events.emit('message', message)
  }

  /** An entry of this very device that it did not make means that somebody else has its key, or that a receipt was held back. */
  #requireKnown({ actor, subject, index }: Leaf): void {
    if (!('device' in actor) || actor.device !== this.#footing.self().device.id) return
    if (this.#options.knows(subject)) return
    const detail = 'The log shows a message of this device that it has not sent.'
    this.#footing.alarm({ code: 'OWN_MESSAGE_UNKNOWN', index, message: subject, detail })
  }

  /** Takes grants for this device; messages that waited for their keys open. Complains about those that are bad. */
  async accept(compartment: string, grants: readonly { epoch: number; grant: string }[]): Promise<void> {
    const { keyring, connection, operation, self } = this.#footing
    const id = compartment as CompartmentId
    for (const { epoch, grant } of grants) {
      const state = this.ledger.view.epoch(id, epoch)
      if (!state || keyring.find(compartment, epoch)) continue
      const change = await keyring.accept(self().device, id, state, grant)
      if (change === false) {
        this.#footing.alarm({ code: 'GRANT_BAD', detail: `The grant for epoch ${String(epoch)} does not open.` })
        connection.send({ type: 'grant-bad', operation, compartment, epoch })
        continue
      }
      this.#changes.push(change)
      await this.#openWaiting(contentKeyId(compartment, epoch))
    }
  }

  async #openWaiting(keyId: string): Promise<void> {
    const waiting = this.#sealed.get(keyId) ?? []
    this.#sealed.delete(keyId)
    const [compartment = '', epoch = ''] = keyId.split('#')
    const key = this.#footing.keyring.find(compartment, Number(epoch))
    if (!key) return
    for (const sealed of waiting) {
      this.#changes.push({ name: this.#name('sealed', sealed.index) })
      try {
        this.#show(await openMessage(sealed, key.opening, this.#me))
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error
        const refused = { reason: error.code, index: sealed.index, detail: error.message }
        this.#footing.alarm({ code: 'MESSAGE_REFUSED', ...refused })
      }
    }
  }

  /** Epochs whose key this device may have and does not hold. */
  lacking(): { compartment: CompartmentId; epoch: number }[] {
    const { view } = this.ledger
    const { keyring, self } = this.#footing
    return [...view.compartments.values()].flatMap(({ id, epochs }) => {
      const joined = view.joinedCompartmentAt(this.#me, id)
      if (joined === undefined || !view.isRecipient(self().device.id, id)) return []
      return epochs
        .filter(({ openedIndex }) => view.history === 'full' || openedIndex >= joined)
        .filter(({ number }) => !keyring.find(id, number))
        .map(({ number }) => ({ compartment: id, epoch: number }))
    })
  }

  /** Everything up to this index has been served: what is missing by now was withheld. */
  async caughtUp(index: number, seen: Seen): Promise<void> {
    if (this.#basis === Number.POSITIVE_INFINITY) this.#basis = index
    this.position = Math.max(this.position, index)
    this.seen = seen
    this.#live = true
    this.#rebuilds = 0
    const holes = this.#holes
    this.#holes = []
    for (const hole of holes) this.#judge(hole)
    await this.flush(true)
  }

  /** Writes what has gathered, with the place it belongs to, at once. */
  async flush(always = false): Promise<void> {
    if (!always && this.#changes.length === 0) return
    const changes = this.#changes
    this.#changes = []
    const { prefix, store } = this.#footing
    const kept: Kept = {
      position: this.position,
      basis: this.#basis === Number.POSITIVE_INFINITY ? this.position : this.#basis,
      counted: this.#sequences.counted(),
      holes: this.#toleratedHoles,
      ...(this.seen ? { seen: this.seen } : {}),
    }
    await store.write([...changes, { name: `${prefix}place`, value: kept }])
  }

  #name(what: 'entry' | 'message' | 'sealed', index: number): string {
    return `${this.#footing.prefix}${what}/${String(index).padStart(12, '0')}`
  }
}
