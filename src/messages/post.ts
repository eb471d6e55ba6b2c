import { Problem } from '../errors.ts'
import { findForm, mayRefer, permissionsFor, type FormId } from '../forms/index.ts'
import { asActor } from '../identity/index.ts'
import type { Act, CommittedEntry, EntryDraft, Standing } from '../log/index.ts'
import {
  isImportId,
  messageKind,
  type CompartmentId,
  type Heads,
  type Member,
  type MessageStatement,
  type OperationView,
  type Receipt,
} from '../protocol/index.ts'
import { authorizeIn, mayReadFrom, requireSigner } from '../operations/index.ts'
import { findMessages, findThreads, insertMessages, type MessageHeader, type StoredMessage } from './store.ts'

export type Channel = 'http' | 'live'

export interface PostActInput {
  readonly operation: string
  readonly statement: MessageStatement
  readonly body: string
  readonly extract?: { readonly salt: string; readonly content: string }
  readonly channel: Channel
}

interface LoadedPosts {
  readonly messages: Map<string, MessageHeader>
  readonly threads: Map<string, string>
}

/** The receipt of a new message, or the index of the message that was stored before. */
export type PostAnswer = { readonly receipt: Receipt } | { readonly storedAt: number }

/**
 * A post: decided under the log's lock against the members, the state and the epoch that the log
 * has at that moment.
 */
export const postAct: Act<
  OperationView,
  PostActInput,
  LoadedPosts,
  (entries: readonly CommittedEntry[]) => StoredMessage,
  PostAnswer
> = {
  name: 'post message',
  key: ({ statement }) => statement.payload.id,
  async load(tx, view, inputs) {
    const payloads = inputs.map(({ statement }) => statement.payload)
    const ids = new Set(payloads.map(({ id }) => id))
    for (const { refersTo } of payloads) if (refersTo) ids.add(refersTo.message)
    const [messages, threads] = await Promise.all([
      findMessages(tx, view.operation, [...ids]),
      findThreads(tx, view.operation, [...new Set(payloads.map(({ thread }) => thread))]),
    ])
    return {
      messages,
      threads,
    }
  },
  decide({ snapshot: view, loaded, input, actor, nextIndex }) {
    const { statement, operation, body, extract } = input
    const { payload, hash } = statement
    const stored = requireMembership(view, actor) && loaded.messages.get(payload.id)
    if (stored) {
      if (stored.hash !== hash || stored.device_id !== actor.device) throw new Problem('MESSAGE_ID_REUSED')
      return { entries: [], rows: [], answer: () => ({ storedAt: stored.log_index }) }
    }
    const target = payload.refersTo && loaded.messages.get(payload.refersTo.message)
    const opensThread = !loaded.threads.has(payload.thread)
    judgePost(view, actor, input, { threads: loaded.threads, target })

    const as = payload.refersTo?.as
    const standsFor = as === 'correction' || as === 'withdrawal' ? (target?.stands_for ?? payload.id) : payload.id
    const row = (entries: readonly CommittedEntry[]): StoredMessage => ({
      message: {
        operation_id: operation,
        id: payload.id,
        log_index: entries[0]?.index ?? -1,
        hash,
        jws: statement.jws,
        thread_id: payload.thread,
        compartment_id: payload.compartment,
        device_id: actor.device,
        person_id: actor.person,
        organization_id: actor.organization,
        form: payload.form.id,
        form_version: payload.form.version,
        precedence: payload.precedence,
        exercise: payload.exercise === true,
        refers_as: as ?? null,
        refers_to: payload.refersTo?.message ?? null,
        stands_for: standsFor,
      },
      body,
      ...(extract === undefined ? {} : { extract }),
      opensThread,
    })
    // Later posts of this group find what this one brings.
    loaded.threads.set(payload.thread, payload.compartment)
    loaded.messages.set(payload.id, {
      id: payload.id,
      log_index: nextIndex,
      hash,
      thread_id: payload.thread,
      compartment_id: payload.compartment,
      device_id: actor.device,
      organization_id: actor.organization,
      form: payload.form.id,
      stands_for: standsFor,
    })
    return {
      entries: [draftOf(actor, input, target)],
      rows: [row],
      answer: (_committed, receipt) => ({ receipt: receipt(0) }),
    }
  },
  write: (tx, rows) =>
    insertMessages(
      tx,
      rows.map(({ row, entries }) => row(entries)),
    ),
}

function draftOf(
  actor: Standing,
  { statement, body, extract, channel }: PostActInput,
  target: MessageHeader | undefined,
): EntryDraft {
  const { payload, hash } = statement
  const as = payload.refersTo?.as
  const replaces = as === 'correction' || as === 'withdrawal'
  return {
    kind: messageKind(as),
    actor: asActor(actor),
    compartment: payload.compartment,
    subject: payload.id,
    digest: hash,
    message: {
      statement: statement.jws,
      body,
      ...(extract === undefined ? {} : { extract: extract.content, salt: extract.salt }),
    },
    details: {
      channel,
      session: actor.session,
      ...(replaces ? { hashes: { old: target?.hash ?? null, new: hash }, reason: as } : {}),
    },
  }
}

/**
 * Judges a post in an operation as it is at that moment: rights, place, signer, state and epoch.
 * Throws the Problem that refuses it. The verifier judges each message at its index by this
 * function too.
 */
export function judgePost(
  view: OperationView,
  actor: Standing,
  input: Pick<PostActInput, 'operation' | 'statement'>,
  known: { readonly threads: ReadonlyMap<string, string>; readonly target: MessageHeader | undefined },
): void {
  const { payload } = input.statement
  const member = requireRights(view, actor, input, !known.threads.has(payload.thread))
  requirePlace(view, member, input, known)
  requireSigner(view, actor, input.statement)
  requireState(view, payload.exercise === true)
  requireEpoch(view, payload.compartment, payload.epoch, payload.members)
}

/**
 * Refuses a caller who is no member, before the look-up of the id, which comes before every other
 * check.
 */
function requireMembership(view: OperationView, actor: Standing): true {
  authorizeIn(view, actor, 'operation.read')
  return true
}

function requireRights(
  view: OperationView,
  actor: Standing,
  { operation, statement }: Pick<PostActInput, 'operation' | 'statement'>,
  opensThread: boolean,
): Member {
  const { payload } = statement
  if (payload.operation !== operation) throw new Problem('NOT_FOUND')
  const form = findForm(payload.form.id, payload.form.version)
  if (!form)
    throw new Problem('STATEMENT_INVALID', {
      reason: 'FORM',
      detail: 'This operation does not know this form or this version of it.',
    })
  let member = authorizeIn(view, actor, 'message.post')
  for (const permission of permissionsFor(form.id, payload.refersTo?.as, opensThread, isImportId(payload.id))) {
    member = authorizeIn(view, actor, permission)
  }
  return member
}

function requirePlace(
  view: OperationView,
  member: Member,
  { statement: { payload } }: Pick<PostActInput, 'statement'>,
  { threads, target }: Parameters<typeof judgePost>[3],
): void {
  const compartment = payload.compartment
  if (!view.isIn(member.person, compartment)) throw new Problem('NOT_FOUND')
  const threadCompartment = threads.get(payload.thread)
  if (threadCompartment !== undefined && threadCompartment !== compartment) throw new Problem('NOT_FOUND')
  if (payload.refersTo) {
    const readable =
      target?.thread_id === payload.thread &&
      target.compartment_id === compartment &&
      mayReadFrom(view, member, compartment, target.log_index)
    if (!target || !readable) throw new Problem('NOT_FOUND')
    const { as } = payload.refersTo
    const ownOnly = as === 'correction' || as === 'withdrawal'
    if (ownOnly && target.organization_id !== member.organization) {
      throw new Problem('FORBIDDEN', { permission: as === 'correction' ? 'message.correct' : 'message.withdraw' })
    }
  }
  const form = findForm(payload.form.id, payload.form.version)
  if (!form || !mayRefer(form, payload.refersTo?.as, target?.form as FormId | undefined)) {
    throw new Problem('STATEMENT_INVALID', {
      reason: 'REFERS_TO',
      detail: 'A message of this form cannot refer to that message in this way.',
    })
  }
  for (const organization of payload.addressees ?? []) {
    const present = [...view.members.values()].some(
      (other) => other.organization === organization && view.isIn(other.person, compartment),
    )
    if (!present)
      throw new Problem('STATEMENT_INVALID', {
        reason: 'ADDRESSEES',
        detail: 'An addressee has no member in this compartment.',
      })
  }
  if (payload.handling.tlp === 'RED' && compartment === view.all) {
    throw new Problem('STATEMENT_INVALID', {
      reason: 'HANDLING',
      detail: 'TLP:RED names its readers: post it in a compartment smaller than all.',
    })
  }
}

function requireState(view: OperationView, exercise: boolean): void {
  if (exercise !== (view.state === 'rehearsal')) {
    throw new Problem('OPERATION_STATE', {
      state: view.state,
      detail: 'A message is marked as an exercise exactly while the operation is in rehearsal.',
    })
  }
}

function requireEpoch(view: OperationView, compartment: CompartmentId, epoch: number, members: Heads): void {
  const state = view.compartments.get(compartment)
  const knows =
    view.chain.has(members.operation) &&
    (members.compartment === undefined ? state?.head === undefined : (state?.chain.has(members.compartment) ?? false))
  if (!knows) throw new Problem('MEMBERS_BEHIND')
  const current = view.currentEpoch(compartment)
  if (!current) throw new Problem('EPOCH_UNKNOWN', { compartment, current: 0 })
  if (state?.stale === true) throw new Problem('EPOCH_STALE', { compartment, epoch: current.number })
  if (epoch !== current.number) throw new Problem('EPOCH_UNKNOWN', { compartment, current: current.number })
}
