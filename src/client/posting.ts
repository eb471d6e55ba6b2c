import {
  encodeExtract,
  extractOf,
  findForm,
  newestForm,
  validateFields,
  validateSubject,
  type Fault,
  type FormId,
} from '../forms/index.ts'
import {
  base64url,
  describeBody,
  digestOfExtract,
  newId,
  sealBody,
  signMessageStatement,
  timestamp,
  type CompartmentId,
  type Handling,
  type MessageId,
  type MessagePayload,
  type MessageToPost,
  type Precedence,
  type Receipt,
  type RefersAs,
} from '../protocol/index.ts'
import { certificateIn } from './account.ts'
import { Epochs } from './epochs.ts'
import type { Footing } from './footing.ts'
import { backOff, sleep } from './platform.ts'
import { ClientProblem, isProblem, refuse } from './problem.ts'
import { verifyReceipt } from './receipt.ts'

/** What somebody wants to post. Whatever is not given has the usual value. */
export interface Draft {
  /** The compartment `all` if not given. */
  readonly compartment?: string
  /** A new thread if not given; a message that refers to another is in that one's thread. */
  readonly thread?: string
  readonly form: string
  readonly version?: number
  readonly fields: Readonly<Record<string, unknown>>
  readonly subject?: string
  readonly precedence?: Precedence
  /** TLP:AMBER if not given. */
  readonly handling?: Handling
  /** Ids of organizations. */
  readonly addressees?: readonly string[]
  readonly replyBy?: Date
  readonly refersTo?: { readonly message: string; readonly as: RefersAs }
  /** A UUID made before, so that a repetition is known as one. */
  readonly id?: string
}

export interface Posted {
  readonly message: string
  readonly thread: string
  readonly index: number
  /** Time of the log. */
  readonly at: string
  readonly receipt: Receipt
}

interface Pending {
  readonly id: string
  readonly thread: string
  readonly draft: Omit<Draft, 'replyBy' | 'id'> & { readonly replyBy?: string }
  /** As it goes out, always the same until it is surely refused. */
  readonly frame?: MessageToPost
}

const attempts = 10
/** Milliseconds after which an answer counts as lost. */
const answerWithin = 20_000
/** Definite refusals after which the same message is sealed again under what has become current. */
const sealAgain = ['EPOCH_STALE', 'EPOCH_UNKNOWN', 'MEMBERS_BEHIND', 'CERTIFICATE_OUTDATED']
const unknownOutcome = (error: unknown): error is ClientProblem =>
  error instanceof ClientProblem && (error.code === 'NETWORK' || error.status === 503 || error.status === 429)

/** Whether the service itself refused, for good: what only could not be sent or proven stays pending. */
const isDefinite = (error: unknown) => error instanceof ClientProblem && error.status > 0 && error.status !== 401

/** Seals, signs and sends, and believes only a receipt. What has none is kept and sent again. */
export class Posting {
  readonly epochs: Epochs
  readonly #footing: Footing
  readonly #pending = new Map<string, Promise<Posted>>()
  readonly #receipted = new Set<string>()
  /** Signed, and neither receipted nor refused yet: also what an earlier process left. */
  readonly #kept = new Set<string>()
  #resent = false

  constructor(footing: Footing) {
    this.#footing = footing
    this.epochs = new Epochs(footing)
  }

  async load(): Promise<void> {
    const { store, prefix } = this.#footing
    for (const [name] of await store.list(`${prefix}receipt/`)) this.#receipted.add(name.slice(prefix.length + 8))
    for (const [name] of await store.list(`${prefix}pending/`)) this.#kept.add(name.slice(prefix.length + 8))
  }

  /** Whether this device knows of a message of its own: it holds the receipt, or sent it and has none yet. */
  knows(message: string): boolean {
    return this.#receipted.has(message) || this.#pending.has(message) || this.#kept.has(message)
  }

  /**
   * Posts a message and resolves once its receipt is verified and stored. FIELDS_INVALID before anything is sealed;
   * MEMBERS_HIDDEN, LOG_ALTERED where nothing may be sealed; the service's codes where it refuses; TIMED_OUT where there was
   * no answer within `wait` milliseconds (120,000): then the message stays pending and is sent again.
   */
  async post(draft: Draft, wait = 120_000): Promise<Posted> {
    const { platform } = this.#footing
    const version = draft.version ?? versionOf(draft.form)
    requireValid({ ...draft, version })
    const id = draft.id ?? newId<MessageId>(platform.clock(), platform.random)
    const { replyBy, id: _id, ...rest } = draft
    const pending: Pending = {
      id,
      thread: draft.thread ?? newId(platform.clock(), platform.random),
      draft: { ...rest, version, ...(replyBy === undefined ? {} : { replyBy: timestamp(replyBy) }) },
    }
    const running = this.#pending.get(id)
    return running ?? this.#begin(pending, wait)
  }

  /** Sends again what an earlier process left pending; tells by events what became of it. */
  async resend(): Promise<void> {
    if (this.#resent) return
    this.#resent = true
    const { store, prefix, events } = this.#footing
    for (const [, value] of await store.list(`${prefix}pending/`)) {
      const pending = value as Pending
      if (this.#pending.has(pending.id)) continue
      this.#begin(pending, Number.MAX_SAFE_INTEGER).then(
        ({ message, index }) => events.emit('posted', { message, index }),
        (error: unknown) => {
          if (error instanceof ClientProblem) events.emit('refused', { message: pending.id, problem: error })
        },
      )
    }
  }

  #begin(pending: Pending, wait: number): Promise<Posted> {
    const until = this.#footing.platform.clock().getTime() + wait
    const posted = this.#deliver(pending, until).finally(() => this.#pending.delete(pending.id))
    this.#pending.set(pending.id, posted)
    return posted
  }

  async #deliver(first: Pending, until: number): Promise<Posted> {
    const { platform, store, prefix } = this.#footing
    let pending = first
    let refusals = 0
    for (let attempt = 0; ; attempt++) {
      const left = until - platform.clock().getTime()
      if (left <= 0) throw refuse('TIMED_OUT', 'The message has no receipt yet.', { message: pending.id })
      const position = this.#footing.position()
      try {
        if (!pending.frame) {
          await this.#footing.ready(left)
          pending = { ...pending, frame: await this.#seal(pending) }
          this.#kept.add(pending.id)
          await store.write([{ name: `${prefix}pending/${pending.id}`, value: pending }])
        }
        const receipt = await this.#send(pending.id, pending.frame as MessageToPost, Math.min(left, answerWithin))
        return await this.#receipt(pending, receipt)
      } catch (error) {
        if (unknownOutcome(error)) {
          await sleep(platform, Math.min(left, backOff(platform, attempt, 100, 5_000)))
          continue
        }
        const again = this.#isPassing(error, pending) && refusals++ < attempts
        if (!again) {
          if (isDefinite(error)) {
            this.#kept.delete(pending.id)
            await store.write([{ name: `${prefix}pending/${pending.id}` }])
          }
          throw error
        }
        const { frame: _, ...unsealed } = pending
        pending = unsealed
        await this.#footing.until(() => this.#footing.position() > position, 2_000)
      }
    }
  }

  #isPassing(error: unknown, { frame }: Pending): boolean {
    if (isProblem(error, ...sealAgain)) return true
    // The operation moved into or out of rehearsal between the sealing and the answer.
    const exercise = this.#footing.ledger().view.state === 'rehearsal'
    return isProblem(error, 'OPERATION_STATE') && frame !== undefined && isExercise(frame) !== exercise
  }

  async #send(id: string, frame: MessageToPost, milliseconds: number): Promise<Receipt> {
    const { connection, transport, operation } = this.#footing
    if (connection.open) return (await connection.post(id, { type: 'post', ...frame }, milliseconds)).receipt
    const path = `/v1/operations/${operation}/messages`
    return (await transport.request<{ receipt: Receipt }>('POST', path, frame, false)).receipt
  }

  async #seal(pending: Pending): Promise<MessageToPost> {
    const { platform, operation } = this.#footing
    const { draft, id, thread } = pending
    const compartment = (draft.compartment ?? operation) as CompartmentId
    const { epoch, key } = await this.epochs.require(compartment)
    // From here on nothing waits for the network: what is signed is what this device knows now.
    this.#footing.requireSound()
    const seen = this.#footing.seen()
    if (!seen) throw refuse('TIMED_OUT', 'This device has not seen a checkpoint of the log yet.')
    const { view } = this.#footing.ledger()
    const self = this.#footing.self()
    const { form, fields, subject, refersTo, addressees, replyBy } = draft
    const version = draft.version ?? versionOf(form)
    const members = view.heads(compartment)
    const exercise = view.state === 'rehearsal'
    const content = { form, fields, ...(subject === undefined ? {} : { subject }), attachments: [] }
    const body = await sealBody({ compartment, epoch: epoch.number, message: id, device: self.device.id }, content, key)
    const extracted = extractOf(form, version, fields)
    const extract = extracted === undefined ? undefined : encodeExtract(extracted)
    const salt = base64url(platform.random(32))
    const payload: MessagePayload = {
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
      sentAt: timestamp(platform.clock()),
      seen,
      ...(extract === undefined ? {} : { extract: { sha256: await digestOfExtract(salt, extract) } }),
      body: await describeBody(body),
      attachments: [],
      members,
      ...(exercise ? { exercise: true as const } : {}),
    }
    const statement = await signMessageStatement(self.device, certificateIn(self, view), payload)
    return { statement, body, ...(extract === undefined ? {} : { extract, salt }) }
  }

  async #receipt(pending: Pending, receipt: Receipt): Promise<Posted> {
    const { store, prefix, operation, self } = this.#footing
    const { id, thread, frame } = pending
    let at: string
    try {
      at = (
        await verifyReceipt(receipt, { operation, message: id, statement: frame?.statement ?? '' }, self().account.pins)
      ).at
    } catch (error) {
      this.#footing.alarm({ code: 'RECEIPT_INVALID', message: id, detail: error instanceof Error ? error.message : '' })
      throw error
    }
    this.#receipted.add(id)
    this.#kept.delete(id)
    await store.write([{ name: `${prefix}receipt/${id}`, value: receipt }, { name: `${prefix}pending/${id}` }])
    return { message: id, thread, index: receipt.index, at, receipt }
  }
}

function isExercise({ statement }: MessageToPost): boolean {
  return /"exercise":true/.test(atob((statement.split('.')[1] ?? '').replaceAll('-', '+').replaceAll('_', '/')))
}

function versionOf(form: string): number {
  try {
    return newestForm(form as FormId).version
  } catch {
    throw refuse('FIELDS_INVALID', `There is no form ${JSON.stringify(form.slice(0, 64))}.`, {
      faults: [{ pointer: '', reason: 'no-such-form', advice: 'Use one of the forms that exist.' }],
    })
  }
}

/** FIELDS_INVALID with all faults of fields and subject, each with place, reason and advice. */
export function requireValid(draft: { form: string; version: number; fields: unknown; subject?: string }): void {
  const { form, version, fields, subject } = draft
  const faults: Fault[] = [...validateFields(form, version, fields)]
  if (findForm(form, version)) {
    for (const fault of validateSubject(form, version, subject)) faults.push({ ...fault, pointer: '/subject' })
  }
  if (faults.length === 0) return
  const [first] = faults
  throw refuse('FIELDS_INVALID', `The message does not fit its form: ${first?.pointer ?? ''} ${first?.advice ?? ''}`, {
    faults,
  })
}
