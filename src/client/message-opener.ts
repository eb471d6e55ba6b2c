import {
  contentKeyId,
  demand,
  type CompartmentId,
  type DeviceId,
  type EntryFrame,
  type Leaf,
  type OperationView,
  type PersonId,
  type ProtocolError,
} from '../protocol/index.ts'
import { getsContent } from './account.ts'
import { asProtocolError } from './failures.ts'
import type { SessionContext } from './session-context.ts'
import type { LogPassage } from './log-passage.ts'
import { checkMessage, openMessage, readOnce, type Message, type SealedMessage } from './message.ts'
import type { SetAsideItems } from './set-aside.ts'
import type { Change } from './store.ts'

/** The outcome of checking and opening a message. */
export type MessageOutcome =
  | { leaf: Leaf; message: Message; hidden?: ProtocolError }
  | { leaf: Leaf; sealed: SealedMessage; hidden?: ProtocolError }
  | { leaf: Leaf; refused: ProtocolError }
  | { leaf: Leaf }

export interface MessageOpenerDeps {
  readonly context: SessionContext
  readonly aside: SetAsideItems
  readonly keep: 'all' | 'none'
  /** Whether this device knows the message as its own: it holds the receipt, or waits for it. */
  readonly knows: (message: string) => boolean
  readonly onMessage: (message: Message) => void
  /** The view that this device acts on, and that of a second passage. */
  readonly views: () => readonly OperationView[]
  /** Takes a change that is to be written with the next position. */
  readonly put: (change: Change) => void
  /** Called where a message shows that an entry is missing before it. */
  readonly onMissing: (error: ProtocolError, index: number) => void
}

/**
 * Checks messages where they stand in the log, and opens each as soon as its key is there. A
 * message that cannot be believed is set aside with the reason.
 */
export class MessageOpener {
  readonly messages = new Map<string, Message>()
  readonly #deps: MessageOpenerDeps
  readonly #handled = new Set<number>()
  readonly #sealed = new Map<string, SealedMessage[]>()

  constructor(deps: MessageOpenerDeps) {
    this.#deps = deps
  }

  /** Loads the messages that the store holds, opened and sealed. */
  async load(): Promise<void> {
    const { store, prefix } = this.#deps.context
    for (const [, value] of await store.list(`${prefix}message/`)) {
      const message = value as Message
      this.messages.set(message.id, message)
      this.#handled.add(message.index)
    }
    for (const [, value] of await store.list(`${prefix}sealed/`)) {
      const sealed = value as SealedMessage
      this.#handled.add(sealed.index)
      await this.#await(sealed)
    }
  }

  get #me(): PersonId {
    return this.#deps.context.self().account.person as PersonId
  }

  has(index: number): boolean {
    return this.#handled.has(index)
  }

  /**
   * Forgets which messages were refused, so that they are checked again: they may only have seemed
   * wrong.
   */
  lookAgain(): void {
    this.#handled.clear()
    for (const { index } of this.messages.values()) this.#handled.add(index)
    for (const { index } of [...this.#sealed.values()].flat()) this.#handled.add(index)
  }

  /** Checks a message where it stands in the log, and opens it where its key is there. */
  async open(
    { ledger, basis }: LogPassage,
    leaf: Leaf,
    frame: EntryFrame,
    hidden: ReadonlySet<DeviceId>,
  ): Promise<MessageOutcome> {
    const { context } = this.#deps
    if (!getsContent(context.self(), ledger.view)) return { leaf }
    try {
      if (ledger.view.partial && frame.chain) await ledger.learn(frame.chain)
      const past = leaf.index <= basis
      const { sealed, statement, hidden: withheld } = await checkMessage(ledger, leaf, frame, past)
      demand(
        !hidden.has(statement.signer),
        'DEVICE_HIDDEN',
        'The directory log does not have the device that sent this.',
      )
      const rest = withheld ? { leaf, hidden: withheld } : { leaf }
      const { compartment, epoch } = statement.payload
      const key = context.keyring.find(compartment, epoch)
      return key ? { ...rest, message: await openMessage(sealed, key.opening, this.#me) } : { ...rest, sealed }
    } catch (error) {
      return { leaf, refused: asProtocolError(error) }
    }
  }

  /** Shows a message, keeps it until its key comes, or sets it aside. */
  async settle(read: MessageOutcome): Promise<void> {
    const { context, put, onMissing } = this.#deps
    const { leaf } = read
    this.#handled.add(leaf.index)
    this.#requireKnown(leaf)
    if ('hidden' in read && read.hidden) onMissing(read.hidden, leaf.index)
    if ('refused' in read) {
      const { code } = read.refused
      if (code === 'MEMBERS_HIDDEN' || code === 'EPOCH_HIDDEN') onMissing(read.refused, leaf.index)
      this.#setAside(leaf.index, leaf.subject, read.refused)
    } else if ('sealed' in read) {
      put({ name: this.#name('sealed', leaf.index), value: read.sealed })
      const { payload } = await this.#await(read.sealed)
      const { id: message, compartment, epoch } = payload
      context.events.emit('sealed', { message, index: leaf.index, compartment, epoch })
      // The key may have come during the check.
      await this.#openWaiting(contentKeyId(compartment, epoch))
    } else if ('message' in read) {
      this.#show(read.message)
    }
    context.events.emit('entry', leaf)
  }

  async #await(sealed: SealedMessage) {
    const statement = await readOnce(sealed.statement)
    const id = contentKeyId(statement.payload.compartment, statement.payload.epoch)
    this.#sealed.set(id, [...(this.#sealed.get(id) ?? []), sealed])
    return statement
  }

  #show(message: Message): void {
    if (this.#deps.keep === 'all') {
      this.messages.set(message.id, message)
      this.#deps.put({ name: this.#name('message', message.index), value: message })
    }
    this.#deps.aside.drop(message.index)
    this.#deps.onMessage(message)
    this.#deps.context.events.emit('message', message)
  }

  /**
   * Raises an alarm where the log shows a message of this device that it did not send: another
   * person has its key, or a receipt was withheld.
   */
  #requireKnown({ actor, subject, index }: Leaf): void {
    if (!('device' in actor) || actor.device !== this.#deps.context.self().device.id) return
    if (this.#deps.knows(subject)) return
    const detail = 'The log shows a message of this device that it has not sent.'
    this.#deps.context.alarm({ code: 'OWN_MESSAGE_UNKNOWN', index, message: subject, detail })
  }

  /**
   * Takes grants for this device, and opens the messages that waited for their keys. Raises an
   * alarm for a bad grant and tells the service.
   */
  async accept(compartment: string, grants: readonly { epoch: number; grant: string }[]): Promise<void> {
    const { keyring, connection, operation, self } = this.#deps.context
    const id = compartment as CompartmentId
    for (const { epoch, grant } of grants) {
      const state = this.#deps
        .views()
        .map((view) => view.epoch(id, epoch))
        .find((known) => known !== undefined)
      if (!state || state.refused || keyring.find(compartment, epoch)) continue
      const change = await keyring.accept(self().device, id, state, grant)
      if (change === false) {
        this.#deps.context.alarm({ code: 'GRANT_BAD', detail: `The grant for epoch ${String(epoch)} does not open.` })
        connection.send({ type: 'grant-bad', operation, compartment, epoch })
        continue
      }
      this.#deps.put(change)
      await this.#openWaiting(contentKeyId(compartment, epoch))
    }
  }

  async #openWaiting(keyId: string): Promise<void> {
    const waiting = this.#sealed.get(keyId) ?? []
    const [compartment = '', epoch = ''] = keyId.split('#')
    const key = this.#deps.context.keyring.find(compartment, Number(epoch))
    if (!key) return
    this.#sealed.delete(keyId)
    for (const sealed of waiting) {
      const { index } = sealed
      try {
        const message = await openMessage(sealed, key.opening, this.#me)
        // Both changes without an await between them: a write in between would lose the message.
        this.#deps.put({ name: this.#name('sealed', index) })
        this.#show(message)
      } catch (error) {
        const { payload } = await readOnce(sealed.statement)
        this.#deps.put({ name: this.#name('sealed', index) })
        this.#setAside(index, payload.id, asProtocolError(error))
      }
    }
  }

  /** The epochs whose key this device may have and does not hold. */
  lacking(view: OperationView): { compartment: CompartmentId; epoch: number }[] {
    const { keyring, self } = this.#deps.context
    return [...view.compartments.values()].flatMap(({ id, epochs }) => {
      const from = view.readsFrom(this.#me, id)
      if (from === undefined || !view.isRecipient(self().device.id, id)) return []
      return epochs
        .filter(({ openedIndex, refused }) => !refused && openedIndex >= from)
        .filter(({ number }) => !keyring.find(id, number))
        .map(({ number }) => ({ compartment: id, epoch: number }))
    })
  }

  #setAside(index: number, message: string, { code: reason, message: detail }: ProtocolError): void {
    this.#deps.aside.put({ code: 'MESSAGE_REFUSED', reason, index, message, detail })
  }

  #name(what: 'message' | 'sealed', index: number): string {
    return `${this.#deps.context.prefix}${what}/${String(index).padStart(12, '0')}`
  }
}
