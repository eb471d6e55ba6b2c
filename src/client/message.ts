import { may } from '../access.ts'
import { compareExtract, decodeExtract, findForm, fitsForm, permissionsFor, type FormId } from '../forms/index.ts'
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
  type OpeningKey,
  type Precedence,
} from '../protocol/index.ts'
import { verifyKeys } from './certificates.ts'
import type { OpenedMessage } from './figures.ts'
import type { Ledger } from './ledger.ts'

/** A remark for the reader beside the content of a message. */
export type Mark =
  | { readonly kind: 'extract-differs'; readonly at: readonly string[] }
  /**
   * `late`: appended more than an hour after its sending time. `early`: appended before its sending
   * time by more than two clocks may differ.
   */
  | { readonly kind: 'late' | 'early' }
  /** Written with a form, or with a version of a form, that this client does not know. */
  | { readonly kind: 'form-unknown' }
  | { readonly kind: 'fields-invalid' }

/**
 * A message as its reader has it. Times are RFC 3339 in UTC: `at` is the time of the log, `sentAt`
 * that of the sender.
 */
export interface Message extends OpenedMessage {
  readonly operation: string
  readonly compartment: string
  readonly epoch: number
  readonly at: string
  readonly sentAt: string
  readonly person: string
  readonly device: string
  /** Whether a device of this person sent it. */
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
 * A message whose statement was verified and whose body waits for the key of its epoch. Plain JSON,
 * for the store.
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

// Clients of one process read the same statements at about the same time. The result depends on the
// text alone.
const recentStatements = new Map<string, Promise<MessageStatement>>()
const mostRecentStatements = 512

/**
 * Reads a message statement without checking its signature; a recent text is taken from the cache.
 */
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
 * Checks the statement of a message at this point of the log: a live device of a member who may
 * post this message signed it, under a valid certificate, for the current epoch, over this body and
 * this extract. Throws `ProtocolError` otherwise. `past`: whether the message was posted before a
 * partial view began. `hidden` of the answer: the fault, where the statement shows that a member
 * statement was withheld from this device.
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
  // A partial view does not show members who have left. Their earlier messages, and messages under
  // a certificate that was renewed since, are valid under a certificate that leads up to the root.
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

/** The fault where the sender knew a member statement that this device was not shown. */
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

/**
 * Throws UNENTITLED where the role of the sender has no right to such a message, as far as a reader
 * can judge it.
 */
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
 * Throws EXERCISE where the message and the state of the operation, which a coordinator signed, do
 * not agree on whether this is an exercise.
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

/**
 * Throws MESSAGE_EPOCH where the body is not sealed with the current key: a member who has left
 * could read it.
 */
function requireEpoch(
  { view }: Ledger,
  { payload: { compartment, epoch } }: MessageStatement,
  hidden: ProtocolError | undefined,
): void {
  const state = view.compartments.get(compartment)
  const current = view.currentEpoch(compartment)
  // This device never saw the opening of that epoch. The fault `hidden` says more than one of the
  // message.
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
    'The statement names another extract.',
  )
}

/**
 * Opens a message that was checked. Throws `ProtocolError` where the key is wrong or the body is
 * malformed.
 */
export async function openMessage(sealed: SealedMessage, key: OpeningKey, me: string): Promise<Message> {
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
  if (!fitsForm(form.id, form.version, fields)) return [...marks, { kind: 'fields-invalid' }]
  // A statement without an extract: the operation has switched extraction off, and there is nothing
  // to compare.
  if (extract === undefined || sealed.extract === undefined) return marks
  const at = compareExtract(form.id, form.version, fields, decodeExtract(sealed.extract))
  return at.length === 0 ? marks : [...marks, { kind: 'extract-differs', at }]
}
