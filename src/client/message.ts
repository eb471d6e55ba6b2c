import { may } from '../access.ts'
import { compareExtract, decodeExtract, findForm, permissionsFor, validateFields, type FormId } from '../forms/index.ts'
import {
  isImportId,
  messageKind,
  ProtocolError,
  checkBody,
  demand,
  digestOfExtract,
  openBody,
  readMessageStatement,
  verifySignature,
  strangeTime,
  type EntryFrame,
  type Handling,
  type Leaf,
  type Member,
  type MessageStatement,
  type Precedence,
} from '../protocol/index.ts'
import { verifyKeys } from './certificates.ts'
import type { CryptoKey } from 'jose'
import type { OpenedMessage } from './figures.ts'
import type { Ledger } from './ledger.ts'

/** What a reader should know of a message beside what it says. */
export type Mark =
  | { readonly kind: 'extract-differs'; readonly at: readonly string[] }
  /**
   * Appended more than an hour after it says it was sent, or before it says so by more than clocks
   * may differ.
   */
  | { readonly kind: 'late' | 'early' }
  /** Written with a form, or a version of it, that this client does not know. */
  | { readonly kind: 'form-unknown' }
  | { readonly kind: 'fields-invalid' }

/**
 * A message as its reader has it. Times are RFC 3339 UTC; `at` is the log's, `sentAt` the sender's.
 */
export interface Message extends OpenedMessage {
  readonly operation: string
  readonly compartment: string
  readonly epoch: number
  readonly at: string
  readonly sentAt: string
  readonly person: string
  readonly device: string
  /** Whether this person's device sent it. */
  readonly own: boolean
  readonly version: number
  readonly precedence: Precedence
  readonly handling: Handling
  readonly addressees?: readonly string[]
  readonly replyBy?: string
  readonly subject?: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly seen: { readonly size: number; readonly root: string }
  readonly marks: readonly Mark[]
}

/**
 * A message whose statement holds and whose body waits for the key of its epoch. Plain JSON, for
 * the store.
 */
export interface SealedMessage {
  readonly index: number
  readonly at: string
  readonly statement: string
  readonly body: string
  readonly extract?: string
  readonly sender: { readonly person: string; readonly organization: string; readonly device: string }
}

export interface CheckedMessage {
  readonly sealed: SealedMessage
  readonly statement: MessageStatement
  readonly hidden?: ProtocolError
}

// Clients of one process read the same statements at the same time; what a text says depends on
// nothing else.
const recentStatements = new Map<string, Promise<MessageStatement>>()
const mostRecentStatements = 512

/** Reads a message statement without checking its signature, the same one once in a while only. */
export function readOnce(jws: string): Promise<MessageStatement> {
  const known = recentStatements.get(jws)
  if (known) return known
  if (recentStatements.size >= mostRecentStatements)
    for (const old of [...recentStatements.keys()].slice(0, mostRecentStatements / 2)) recentStatements.delete(old)
  const statement = readMessageStatement(jws)
  recentStatements.set(jws, statement)
  statement.catch(() => recentStatements.delete(jws))
  return statement
}

/**
 * Checks everything around a body at this point of the log: that a live device of a member who may
 * post this signed the statement, under a certificate that holds, for the current epoch, over this
 * very body and extract. `ProtocolError` otherwise; `past` is for what was posted before a partial
 * view began. `hidden` where it shows that a member statement was withheld from this device.
 */
export async function checkMessage(
  ledger: Ledger,
  leaf: Leaf,
  frame: EntryFrame,
  past: boolean,
): Promise<CheckedMessage> {
  demand(frame.statement !== undefined && frame.body !== undefined, 'MESSAGE', 'A message came without its content.')
  const statement = await readOnce(frame.statement)
  const { signer } = statement
  const { view } = ledger
  // Those who left are not shown in a partial view; what they said before, or under a certificate
  // that was renewed since, holds under one that leads to the root.
  const live = view.devices.get(signer)
  const left = past && view.partial && !live
  const certificate = past && view.partial ? (ledger.signer(statement.crt) ?? live) : live
  const member = certificate && view.member(certificate.person)
  demand(
    certificate?.device === signer &&
      statement.crt === certificate.hash &&
      (left || member?.organization === certificate.organization),
    'SIGNER',
    'The device that signed this message was no live device of a member.',
  )
  requirePlace(leaf, statement, certificate.person)
  if (member) requireRight(ledger, statement, member)
  requireExercise(ledger, statement)
  const hidden = hiddenFrom(ledger, statement)
  requireEpoch(ledger, statement, hidden)
  await verifySignature(statement, await verifyKeys.of(certificate))
  await checkBody(statement, frame.body)
  await requireExtract(statement, frame)
  const { person, organization } = certificate
  const sealed: SealedMessage = {
    index: leaf.index,
    at: leaf.at,
    statement: frame.statement,
    body: frame.body,
    ...(frame.extract === undefined ? {} : { extract: frame.extract }),
    sender: { person, organization, device: signer },
  }
  return hidden ? { sealed, statement, hidden } : { sealed, statement }
}

/** Whether the sender knew a member statement that this device was not shown. */
function hiddenFrom(ledger: Ledger, { payload }: MessageStatement): ProtocolError | undefined {
  try {
    ledger.requireHeads(payload.compartment, payload.members)
    return undefined
  } catch (error) {
    if (error instanceof ProtocolError) return error
    throw error
  }
}

function requirePlace(leaf: Leaf, { payload, hash, signer }: MessageStatement, person: string): void {
  const { actor } = leaf
  demand(
    leaf.digest === hash &&
      leaf.subject === payload.id &&
      leaf.log === payload.operation &&
      leaf.compartment === payload.compartment &&
      leaf.kind === messageKind(payload.refersTo?.as) &&
      'device' in actor &&
      actor.device === signer &&
      actor.person === person,
    'MESSAGE_ENTRY',
    'The entry in the log is not about this message.',
  )
}

/** What the sender's role has to hold for such a message, as far as a reader can tell. */
function requireRight({ view }: Ledger, { payload }: MessageStatement, member: Member): void {
  const { form, refersTo, compartment, id } = payload
  const known = findForm(form.id, form.version)
  const needed = known
    ? permissionsFor(form.id as FormId, refersTo?.as, false, isImportId(id))
    : ['message.post' as const]
  const entitled = needed.every((permission) => {
    const verdict = may(member.role, permission, view.state)
    return verdict.role !== 'no' && (verdict.state || view.partial)
  })
  demand(
    entitled && view.isIn(member.person, compartment),
    'UNENTITLED',
    'The sender had no right to post this message.',
  )
}

/**
 * Whether something is an exercise is said by the state of the operation, which a coordinator
 * signed, and by nobody else.
 */
function requireExercise({ view }: Ledger, { payload: { exercise } }: MessageStatement): void {
  if (view.partial) return
  const says = (exercise === true) === (view.state === 'rehearsal')
  demand(
    says,
    'EXERCISE',
    'The message says of itself that it is an exercise, or that it is none, and the operation is not.',
  )
}

/** A body under another key than the current one could be read by somebody who has left. */
function requireEpoch(
  { view }: Ledger,
  { payload: { compartment, epoch } }: MessageStatement,
  hidden: ProtocolError | undefined,
): void {
  const state = view.compartments.get(compartment)
  const current = view.currentEpoch(compartment)
  // A key that this device never saw opened: what was hidden is worth more words than the message.
  if (epoch > (current?.number ?? 0))
    throw hidden ?? new ProtocolError('EPOCH_HIDDEN', 'The opening of a key was withheld from this device.')
  demand(
    state && current?.number === epoch && (!state.stale || view.partial),
    'MESSAGE_EPOCH',
    'This message is not sealed under the current key of its compartment.',
  )
}

async function requireExtract({ payload }: MessageStatement, { extract, salt }: EntryFrame): Promise<void> {
  if (extract === undefined) return
  demand(
    payload.extract !== undefined &&
      salt !== undefined &&
      (await digestOfExtract(salt, extract)) === payload.extract.sha256,
    'EXTRACT',
    'This extract is not the one that the statement names.',
  )
}

/**
 * Opens a message that was checked. `ProtocolError` where the key is not the right one or the body
 * is not a body.
 */
export async function openMessage(sealed: SealedMessage, key: CryptoKey, me: string): Promise<Message> {
  const { payload } = await readOnce(sealed.statement)
  const content = await openBody(sealed.body, key)
  const { form, refersTo, addressees, replyBy } = payload
  demand(content.form === form.id, 'BODY_FORM', 'The body was written with another form than its statement names.')
  return {
    id: payload.id,
    index: sealed.index,
    operation: payload.operation,
    compartment: payload.compartment,
    thread: payload.thread,
    epoch: payload.epoch,
    at: sealed.at,
    sentAt: payload.sentAt,
    ...sealed.sender,
    own: sealed.sender.person === me,
    form: form.id,
    version: form.version,
    precedence: payload.precedence,
    handling: payload.handling,
    exercise: payload.exercise === true,
    ...(refersTo === undefined ? {} : { refersTo }),
    ...(addressees === undefined ? {} : { addressees }),
    ...(replyBy === undefined ? {} : { replyBy }),
    ...(content.subject === undefined ? {} : { subject: content.subject }),
    fields: content.fields,
    seen: payload.seen,
    marks: marksOf(sealed, payload, content.fields),
  }
}

function marksOf(sealed: SealedMessage, payload: MessageStatement['payload'], fields: unknown): Mark[] {
  const { form, sentAt, extract } = payload
  const marks: Mark[] = []
  const strange = strangeTime(sealed.at, sentAt)
  if (strange) marks.push({ kind: strange })
  if (!findForm(form.id, form.version)) return [...marks, { kind: 'form-unknown' }]
  if (validateFields(form.id, form.version, fields).length > 0) return [...marks, { kind: 'fields-invalid' }]
  // Without an extract in the statement the operation has switched extraction off: there is nothing
  // to compare.
  if (extract === undefined || sealed.extract === undefined) return marks
  const at = compareExtract(form.id, form.version, fields, decodeExtract(sealed.extract))
  return at.length === 0 ? marks : [...marks, { kind: 'extract-differs', at }]
}
