import { encodeExtract, extractOf } from '../forms/index.ts'
import {
  base64url,
  describeBody,
  digestOfExtract,
  newId,
  sealBody,
  signMessageStatement,
  timestamp,
  type CompartmentId,
  type MessageId,
  type MessagePayload,
  type Plain,
  type MessageToPost,
  type Receipt,
} from '../protocol/index.ts'
import { certificateIn } from './account.ts'
import {
  requireDeadlineAhead,
  requireSize,
  requireStatable,
  requireValid,
  versionOf,
  type Draft,
  type StoredDraft,
} from './draft.ts'
import { Epochs } from './epochs.ts'
import type { SessionContext } from './session-context.ts'
import { backOff, longestTimerMs, sleep, type Platform } from './platform.ts'
import { ClientProblem, isProblem, refuse } from './problem.ts'
import { verifyReceipt } from './receipt.ts'
import type { ClientStore } from './store.ts'

/** The proof that a message has its place in the log. */
export interface PostedMessage {
  readonly message: string
  readonly thread: string
  readonly index: number
  /** Time of the log. */
  readonly at: string
  readonly receipt: Receipt
  /** The signed statement that the receipt is for: `verifyReceipt` takes both. */
  readonly statement: string
}

/** A message that this device is to send and that has no receipt yet. Plain JSON, for the store. */
export interface OutgoingMessage {
  readonly id: string
  readonly thread: string
  readonly draft: StoredDraft
  /** The time at which it was written; undefined in stores of earlier versions. */
  readonly at?: string
  /** The signed frame. It stays the same until a definite refusal of the service. */
  readonly frame?: MessageToPost
}

const mostRefusals = 10
/** Tries that follow each other quickly; later ones are further apart. */
const quickAttempts = 20
/** Milliseconds after which an answer counts as lost. */
const answerWithinMs = 20_000
/** Refusals after which the message is sealed and signed again under the current state. */
const sealAgain = ['EPOCH_STALE', 'EPOCH_UNKNOWN', 'MEMBERS_BEHIND', 'CERTIFICATE_OUTDATED']
/**
 * Whether an error leaves open what became of a message, or may pass by itself. The message is then
 * sent again.
 */
const isPassing = (error: unknown): error is ClientProblem =>
  error instanceof ClientProblem &&
  error.code !== 'LOG_READ_ONLY' &&
  (['NETWORK', 'TIMED_OUT'].includes(error.code) || error.status === 503 || error.status === 429)

/**
 * Whether the service refused the message for good. A message that could not be sent or proven, or
 * at which the service failed, stays pending.
 */
const isDefinite = (error: unknown) =>
  error instanceof ClientProblem && error.status >= 400 && error.status < 500 && error.status !== 401

const pendingName = (prefix: string, id: string) => `${prefix}pending/${id}`

/**
 * Seals, signs and sends messages, and counts a message as sent only by its receipt. A message
 * without a receipt is kept and sent again.
 */
export class MessagePoster {
  readonly epochs: Epochs
  readonly #context: SessionContext
  readonly #pending = new Map<string, Promise<PostedMessage>>()
  readonly #receipted = new Set<string>()
  /**
   * Ids of messages that the store keeps as pending or dropped, also of those that an earlier
   * process left.
   */
  readonly #kept = new Set<string>()
  /** Ids of messages of which the caller was told that they will be sent later. */
  readonly #promised = new Set<string>()
  /** Ids of messages that were given up. */
  readonly #dropped = new Set<string>()

  constructor(context: SessionContext) {
    this.#context = context
    this.epochs = new Epochs(context)
  }

  async load(): Promise<void> {
    const { store, prefix } = this.#context
    for (const [name] of await store.list(`${prefix}receipt/`)) this.#receipted.add(name.slice(prefix.length + 8))
    for (const what of ['pending/', 'dropped/'])
      for (const [name] of await store.list(prefix + what)) this.#kept.add(name.slice(prefix.length + 8))
  }

  /**
   * Whether this device knows a message as its own: it holds the receipt, or has sent it and waits
   * for the receipt.
   */
  knows(message: string): boolean {
    return this.#receipted.has(message) || this.#pending.has(message) || this.#kept.has(message)
  }

  /**
   * Posts a message and resolves once its receipt was verified and stored. Throws FIELDS_INVALID
   * before anything is sealed; MEMBERS_HIDDEN, LOG_ALTERED where nothing may be sealed; the codes
   * of the service where it refuses; TIMED_OUT where no receipt came within `wait` milliseconds
   * (120,000 if not given): the message then stays pending and is sent later, and an event tells
   * the outcome.
   */
  async post(draft: Draft, wait = 120_000): Promise<PostedMessage> {
    const pending = pendingOf(draft, this.#context.platform)
    return this.#within(this.#pending.get(pending.id) ?? this.#begin(pending), pending, wait)
  }

  /** Sends the messages that are pending in the store. Events tell the outcomes. */
  async resend(): Promise<void> {
    const { store, prefix } = this.#context
    for (const [, value] of await store.list(`${prefix}pending/`)) {
      const pending = value as OutgoingMessage
      if (this.#pending.has(pending.id)) continue
      this.#promised.add(pending.id)
      this.#tell(this.#begin(pending), pending.id)
    }
  }

  /**
   * Gives up a pending message. It may have reached the service already. Throws NOT_PENDING where
   * there is no such message.
   */
  async drop(id: string): Promise<void> {
    await dropPending(this.#context.store, this.#context.prefix, id)
    this.#dropped.add(id)
  }

  #begin(pending: OutgoingMessage): Promise<PostedMessage> {
    const posted = this.#deliver(pending).finally(() => this.#pending.delete(pending.id))
    this.#pending.set(pending.id, posted)
    return posted
  }

  /** Waits `wait` milliseconds for a delivery. Later, an event tells its outcome. */
  #within(delivery: Promise<PostedMessage>, pending: OutgoingMessage, wait: number): Promise<PostedMessage> {
    const { id } = pending
    return new Promise((resolve, reject) => {
      let isLate = false
      const cancel = this.#context.platform.after(Math.min(wait, longestTimerMs), () => {
        isLate = true
        this.#promised.add(id)
        this.#tell(delivery, id)
        const late = refuse('TIMED_OUT', 'The message has no receipt yet.', { message: id })
        this.#keepOnce(pending).then(() => reject(late), reject)
      })
      const settled = () => {
        cancel()
        return !isLate
      }
      delivery.then(
        (posted) => settled() && resolve(posted),
        (error: unknown) => settled() && reject(error as Error),
      )
    })
  }

  #tell(delivery: Promise<PostedMessage>, id: string): void {
    const { events } = this.#context
    delivery.then(
      ({ message, index }) => events.emit('posted', { message, index }),
      (error: unknown) => {
        const problem = isProblem(error) ? error : refuse('STORE_FAILED', 'The message could not be sent.', {}, error)
        // A message of a closed session is sent when the operation is followed again.
        if (problem.code !== 'CLOSED') events.emit('refused', { message: id, problem })
      },
    )
  }

  /**
   * Sends a message until it has a receipt or a definite refusal, or until the session is closed.
   */
  async #deliver(first: OutgoingMessage): Promise<PostedMessage> {
    const { platform } = this.#context
    let pending = first
    let refusals = 0
    for (let attempt = 0; ; attempt++) {
      this.#requireWanted(first.id)
      const position = this.#context.position()
      try {
        pending = await this.#sealed(pending)
        const receipt = await this.#send(pending.id, pending.frame as MessageToPost)
        return await this.#receipt(pending, receipt)
      } catch (error) {
        if (isPassing(error)) {
          await this.#keepOnce(pending)
          await sleep(platform, backOff(platform, attempt, 100, attempt < quickAttempts ? 5_000 : 30_000))
          continue
        }
        if (!this.#isOutdated(error, pending) || refusals++ >= mostRefusals) {
          if (isDefinite(error) || !(pending.frame || this.#promised.has(pending.id))) await this.#forget(pending.id)
          throw error
        }
        const { frame: _, ...unsealed } = pending
        pending = unsealed
        await this.#context.until(() => this.#context.position() > position, 2_000)
      }
    }
  }

  #requireWanted(id: string): void {
    if (this.#context.isClosed()) throw refuse('CLOSED', 'This operation was closed here.', { message: id })
    if (this.#dropped.has(id)) throw refuse('NOT_PENDING', 'This message was given up.', { message: id })
  }

  /**
   * The message with its signed frame, which is kept before it is sent. A message that cannot be
   * sealed yet is kept as a draft.
   */
  async #sealed(pending: OutgoingMessage): Promise<OutgoingMessage> {
    if (pending.frame) return pending
    if (!this.#context.connection.open) await this.#keepOnce(pending)
    await this.#context.ready()
    const sealed = { ...pending, frame: await this.#seal(pending) }
    this.#requireWanted(pending.id)
    await this.#keep(sealed)
    return sealed
  }

  /** Keeps the message where the store does not have it yet. */
  async #keepOnce(pending: OutgoingMessage): Promise<void> {
    if (!this.#kept.has(pending.id) && !this.#receipted.has(pending.id)) await this.#keep(pending)
  }

  async #keep(pending: OutgoingMessage): Promise<void> {
    const { store, prefix } = this.#context
    await this.#context.kept()
    this.#requireWanted(pending.id)
    this.#kept.add(pending.id)
    await store.write([{ name: pendingName(prefix, pending.id), value: pending }])
  }

  async #forget(id: string): Promise<void> {
    if (!this.#kept.delete(id)) return
    const { store, prefix } = this.#context
    await store.write([{ name: pendingName(prefix, id) }])
  }

  /** Whether the service may take the message once it is sealed again under the current state. */
  #isOutdated(error: unknown, { frame }: OutgoingMessage): boolean {
    if (isProblem(error, ...sealAgain)) return true
    // The operation entered or left its rehearsal between the sealing and the answer.
    const exercise = this.#context.ledger().view.state === 'rehearsal'
    return isProblem(error, 'OPERATION_STATE') && frame !== undefined && isExercise(frame) !== exercise
  }

  async #send(id: string, frame: MessageToPost): Promise<Receipt> {
    const { connection, transport, operation } = this.#context
    if (connection.open) return (await connection.post(id, { type: 'post', ...frame }, answerWithinMs)).receipt
    const path = `/v1/operations/${operation}/messages`
    return (await transport.request<{ receipt: Receipt }>('POST', path, frame, false)).receipt
  }

  async #seal(pending: OutgoingMessage): Promise<MessageToPost> {
    const { platform, operation } = this.#context
    const { draft, id, thread } = pending
    const compartment = (draft.compartment ?? operation) as CompartmentId
    const { epoch, key } = await this.epochs.require(compartment)
    // Nothing is requested from here on: the statement says what this device knows now.
    this.#context.requireSound()
    const seen = this.#context.seen()
    if (!seen) throw refuse('TIMED_OUT', 'This device has not seen a checkpoint of the log yet.')
    const { view } = this.#context.ledger()
    const self = this.#context.self()
    const { form, fields, subject, refersTo, addressees, replyBy } = draft
    const { version } = draft
    const sentAt = platform.clock()
    requireDeadlineAhead(replyBy === undefined ? undefined : new Date(replyBy), sentAt)
    const members = view.heads(compartment)
    const exercise = view.state === 'rehearsal'
    const content = { form, fields, ...(subject === undefined ? {} : { subject }), attachments: [] }
    const body = await sealBody({ compartment, epoch: epoch.number, message: id, device: self.device.id }, content, key)
    const extracted = extractOf(form, version, fields)
    const extract = extracted === undefined ? undefined : encodeExtract(extracted)
    const salt = base64url(platform.random(32))
    const payload: Plain<MessagePayload> = {
      v: 1,
      id,
      operation,
      compartment,
      thread,
      epoch: epoch.number,
      form: { id: form, version },
      precedence: draft.precedence ?? 'routine',
      handling: draft.handling ?? { tlp: 'AMBER' },
      ...(refersTo === undefined ? {} : { refersTo }),
      ...(addressees === undefined ? {} : { addressees: [...addressees] }),
      ...(replyBy === undefined ? {} : { replyBy }),
      sentAt: timestamp(sentAt),
      seen,
      ...(extract === undefined ? {} : { extract: { sha256: await digestOfExtract(salt, extract) } }),
      body: await describeBody(body),
      attachments: [],
      members,
      ...(exercise ? { exercise: true as const } : {}),
    }
    const statement = await signMessageStatement(self.device, certificateIn(self, view), payload)
    requireSize(statement)
    return { statement, body, ...(extract === undefined ? {} : { extract, salt }) }
  }

  async #receipt(pending: OutgoingMessage, receipt: Receipt): Promise<PostedMessage> {
    const { store, prefix, operation, self } = this.#context
    const { id, thread, frame } = pending
    const statement = frame?.statement ?? ''
    let at: string
    try {
      at = (await verifyReceipt(receipt, { operation, message: id, statement }, self().account.pins)).at
    } catch (error) {
      this.#context.alarm({ code: 'RECEIPT_INVALID', message: id, detail: error instanceof Error ? error.message : '' })
      throw error
    }
    this.#receipted.add(id)
    this.#kept.delete(id)
    await store.write([{ name: `${prefix}receipt/${id}`, value: receipt }, { name: pendingName(prefix, id) }])
    return { message: id, thread, index: receipt.index, at, receipt, statement }
  }
}

function isExercise({ statement }: MessageToPost): boolean {
  return /"exercise":true/.test(atob((statement.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')))
}

/** The outgoing message of a draft. Throws FIELDS_INVALID where the draft could not be sent. */
function pendingOf(draft: Draft, { clock, random }: Pick<Platform, 'clock' | 'random'>): OutgoingMessage {
  const version = draft.version ?? versionOf(draft.form)
  requireValid({ ...draft, version })
  requireStatable(draft, clock())
  const { replyBy, id: given, ...rest } = draft
  return {
    id: given ?? newId<MessageId>(clock(), random),
    thread: draft.thread ?? newId(clock(), random),
    draft: { ...rest, version, ...(replyBy === undefined ? {} : { replyBy: timestamp(replyBy) }) },
    at: timestamp(clock()),
  }
}

/**
 * Keeps a message in the store; it is sent when the operation is followed next. Answers its id.
 * Throws FIELDS_INVALID.
 */
export async function keepPending(
  store: ClientStore,
  prefix: string,
  draft: Draft,
  platform: Pick<Platform, 'clock' | 'random'>,
): Promise<string> {
  const pending = pendingOf(draft, platform)
  await store.write([{ name: pendingName(prefix, pending.id), value: pending }])
  return pending.id
}

/**
 * Takes a message out of the pending ones. The store keeps its id, because the message may still
 * appear in the log. Throws NOT_PENDING.
 */
export async function dropPending(store: ClientStore, prefix: string, id: string): Promise<void> {
  const name = pendingName(prefix, id)
  if ((await store.get(name)) === undefined) throw refuse('NOT_PENDING', 'No message of this id waits to be sent.')
  await store.write([{ name }, { name: `${prefix}dropped/${id}`, value: true }])
}
