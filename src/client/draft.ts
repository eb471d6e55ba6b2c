import { Type } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import {
  findForm,
  newestForm,
  validateFields,
  validateSubject,
  type Fault,
  type FaultReason,
  type FormId,
} from '../forms/index.ts'
import {
  MessagePayload,
  isAhead,
  isInKnownYears,
  limits,
  sealedSize,
  type Handling,
  type Precedence,
  type RefersAs,
} from '../protocol/index.ts'
import { refuse } from './problem.ts'

/** A message before it is sealed. A member that is not given has its usual value. */
export interface Draft {
  /** The compartment `all` if not given. */
  readonly compartment?: string
  /**
   * A new thread if not given. A message that refers to another one is in the thread of that
   * message.
   */
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
  /** A UUID that the caller made before, so that a repeated post is recognised. */
  readonly id?: string
}

/** A draft as the store keeps it until the message has a receipt. */
export type StoredDraft = Omit<Draft, 'replyBy' | 'id' | 'version'> & {
  readonly version: number
  readonly replyBy?: string
}

export function versionOf(form: string): number {
  try {
    return newestForm(form as FormId).version
  } catch {
    throw refuse('FIELDS_INVALID', `There is no form ${JSON.stringify(form.slice(0, 64))}.`, {
      faults: [{ pointer: '', reason: 'no-such-form', advice: 'Use one of the forms that exist.' }],
    })
  }
}

/**
 * Throws FIELDS_INVALID with all faults of the fields and the subject, each with pointer, reason
 * and advice; where there are none, with the size of a message that cannot be sealed.
 */
export function requireValid(draft: { form: string; version: number; fields: unknown; subject?: string }): void {
  const { form, version, fields, subject } = draft
  const faults: Fault[] = [...validateFields(form, version, fields)]
  if (findForm(form, version)) {
    for (const fault of validateSubject(form, version, subject)) faults.push({ ...fault, pointer: '/subject' })
  }
  refuseFor(faults.length > 0 ? faults : sizeFaults(draft as ValidDraft))
}

type ValidDraft = { form: string; fields: Readonly<Record<string, unknown>>; subject?: string }

/**
 * The fault of a message that fits its form and yet is larger, sealed, than a message may be: each
 * field may have its most characters, and all of them together may not.
 */
export function sizeFaults({ form, fields, subject }: ValidDraft): Fault[] {
  const size = sealedSize({ form, fields, ...(subject === undefined ? {} : { subject }), attachments: [] })
  if (size <= limits.body) return []
  const advice = `Sealed, this message has ${size} bytes and may have at most ${limits.body}: shorten it, or say it in several messages.`
  return [{ pointer: '/fields', reason: 'too-long', advice }]
}

const { id, compartment, thread, precedence, handling, refersTo, addressees } = MessagePayload.properties
const Beside = Type.Partial(Type.Object({ id, compartment, thread, precedence, handling, refersTo, addressees }), {
  additionalProperties: false,
})
let compiled: Validator | undefined

const uuid = 'Give an id as the service writes it: a UUID in small letters.'
const advices: Readonly<Record<string, string>> = {
  id: uuid,
  compartment: uuid,
  thread: uuid,
  precedence: 'Choose routine, priority or urgent.',
  handling: 'Choose RED, AMBER+STRICT, AMBER, GREEN or CLEAR.',
  refersTo: 'Name the message by its id, and the relation of this message to it.',
  addressees: 'Name 1 to 200 organizations, each once and by its id; leave it out where it is for all.',
}

/**
 * Throws FIELDS_INVALID where a member beside the fields does not fit the schema of the statement,
 * or where the time for replies has passed. The schema is the rule, so that the service never
 * refuses a sealed message for its shape.
 */
export function requireStatable(draft: Draft, now: Date): void {
  const { form: _, version: __, fields: ___, subject: ____, replyBy, ...beside } = draft
  compiled ??= Compile(Beside)
  const faults: Fault[] = []
  if (!compiled.Check(beside))
    for (const { instancePath, keyword, params } of compiled.Errors(beside)) {
      const [, member = Object.values(params)[0]?.toString() ?? ''] = instancePath.split('/')
      const advice = advices[member] ?? 'There is nothing of this name beside the fields: leave it out.'
      faults.push({ pointer: instancePath === '' ? '' : instancePath, reason: reasons[keyword] ?? 'malformed', advice })
    }
  if (replyBy !== undefined && !(replyBy instanceof Date && isInKnownYears(replyBy)))
    faults.push({ pointer: '/replyBy', reason: 'not-a-date', advice: 'Give a time of the years 1900 to 2199.' })
  else faults.push(...deadlineFaults(replyBy, now))
  refuseFor(faults)
}

/**
 * Throws FIELDS_INVALID where the time for replies has passed at the time of sending, which the
 * service refuses too.
 */
export function requireDeadlineAhead(replyBy: Date | undefined, sentAt: Date): void {
  refuseFor(deadlineFaults(replyBy, sentAt))
}

function deadlineFaults(replyBy: Date | undefined, sentAt: Date): Fault[] {
  if (replyBy === undefined || isAhead(replyBy, sentAt)) return []
  return [{ pointer: '/replyBy', reason: 'out-of-range', advice: 'This time has passed: give one that lies ahead.' }]
}

const reasons: Readonly<Record<string, FaultReason>> = {
  minItems: 'too-few',
  maxItems: 'too-many',
  uniqueItems: 'repeated',
  anyOf: 'not-in-list',
  const: 'not-in-list',
  additionalProperties: 'unknown-field',
  required: 'missing',
  type: 'wrong-type',
}

function refuseFor(faults: readonly Fault[]): void {
  const [first] = faults
  if (!first) return
  throw refuse('FIELDS_INVALID', `The message does not fit its form: ${first.pointer} ${first.advice}`, { faults })
}

/** Throws FIELDS_INVALID where the statement is larger than its limit (bytes). */
export function requireSize(statement: string): void {
  if (statement.length <= limits.statement) return
  const advice = `The statement has ${statement.length} bytes and may have at most ${limits.statement}: address it to fewer organizations.`
  refuseFor([{ pointer: '', reason: 'too-long', advice }])
}
