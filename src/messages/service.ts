import { reading, type Database, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { decodeExtract, findForm, validateExtract } from '../forms/index.ts'
import { chainOfDevice, checked, type SignedInCaller, type VerifyKeyCache } from '../identity/index.ts'
import { entriesAt, type Logs } from '../log/index.ts'
import {
  authorize,
  mayReadFrom,
  seesContent,
  type Membership,
  type OperationService,
  type Views,
} from '../operations/index.ts'
import {
  ProtocolError,
  base64url,
  checkBody,
  digestOf,
  digestOfExtract,
  isAhead,
  readMessageStatement,
  readSealed,
  verifySignature,
  type CompartmentId,
  type MessageStatement,
  type MessageToPost,
  type OperationView,
  type PersonId,
  type Receipt,
} from '../protocol/index.ts'
import { storeKeysAct } from './import-key.ts'
import { noteAct } from './note.ts'
import { postAct, type Channel } from './post.ts'
import * as store from './store.ts'

export interface MessagesDeps {
  readonly db: Database
  readonly logs: Logs<OperationView>
  readonly views: Views
  readonly operations: Pick<OperationService, 'requireMember'>
  readonly keys: VerifyKeyCache
}

/**
 * A post of a member. The live channel reads the statement before it calls the service, since the
 * statement names the operation.
 */
export type PostInput = Omit<MessageToPost, 'statement'> & { readonly statement: string | MessageStatement }

export interface AcceptedMessage {
  readonly id: string
  readonly receipt: Receipt
}

/** Threads and messages: posts, fetches, and who has read which message. */
export class MessageService {
  readonly #deps: MessagesDeps

  constructor(deps: MessagesDeps) {
    this.#deps = deps
  }

  /**
   * Accepts a message. The checks come in this order: membership; the id (a statement that is
   * stored already gets its first answer); signature, body, extract and what the sender has seen;
   * and last, under the log's lock, rights, place, state and epoch.
   */
  async post(actor: SignedInCaller, operation: string, input: PostInput, channel: Channel): Promise<AcceptedMessage> {
    const { db, logs } = this.#deps
    await this.#deps.operations.requireMember(actor, operation)
    const statement = await this.#read(actor, operation, input.statement)
    try {
      await this.#check(actor, operation, statement, input)
    } catch (fault) {
      const stored = await reading(db, (tx) => this.#storedBefore(tx, actor, operation, statement))
      if (stored === undefined) throw fault
      return { id: stored.id, receipt: await logs.receipt(operation, stored.log_index) }
    }
    const { id } = statement.payload
    const { body, extract, salt } = input
    const posted = await logs.append(
      operation,
      postAct,
      {
        operation,
        statement,
        body,
        channel,
        ...(extract === undefined || salt === undefined ? {} : { extract: { salt, content: extract } }),
      },
      actor,
    )
    return { id, receipt: 'receipt' in posted ? posted.receipt : await logs.receipt(operation, posted.storedAt) }
  }

  /**
   * Answers the header of a message that is stored already; undefined where there is none. A post
   * that fails a check may come from a caller who is no member, or repeat a stored message:
   * membership and the look-up of the id come before every other answer. A post that passes the
   * checks is compared with both under the log's lock.
   */
  async #storedBefore(
    tx: Tx,
    actor: SignedInCaller,
    operation: string,
    statement: MessageStatement,
  ): Promise<store.MessageHeader | undefined> {
    await authorize(tx, actor, operation, 'operation.read')
    const { id } = statement.payload
    const stored = (await store.findMessages(tx, operation, [id])).get(id)
    if (!stored) return undefined
    if (stored.hash !== statement.hash || stored.device_id !== actor.device) throw new Problem('MESSAGE_ID_REUSED')
    return stored
  }

  /**
   * Answers the statement that was read: the live channel has done so, HTTP brings a text. A text
   * that is no statement is STATEMENT_INVALID for members, and NOT_FOUND for every other caller.
   */
  async #read(
    actor: SignedInCaller,
    operation: string,
    statement: string | MessageStatement,
  ): Promise<MessageStatement> {
    if (typeof statement !== 'string') return statement
    try {
      return await checked('STATEMENT_INVALID', () => readMessageStatement(statement))
    } catch (fault) {
      await reading(this.#deps.db, (tx) => authorize(tx, actor, operation, 'operation.read'))
      throw fault
    }
  }

  /** Checks everything that can be checked without the log's lock. */
  async #check(actor: SignedInCaller, operation: string, statement: MessageStatement, input: PostInput): Promise<void> {
    if (statement.payload.operation !== operation) throw new Problem('NOT_FOUND')
    if (actor.tier === null) throw new Problem('DEVICE_NOT_CERTIFIED')
    if (statement.signer !== actor.device) throw new Problem('DEVICE_MISMATCH')
    await this.#checkContent(statement, input)
    await this.#requireSeen(operation, statement)
  }

  async #checkContent(statement: MessageStatement, input: PostInput): Promise<void> {
    const { payload } = statement
    const key = await this.#deps.keys.of(statement.signer)
    await checked('STATEMENT_INVALID', () => verifySignature(statement, key))
    if (payload.replyBy !== undefined && !isAhead(new Date(payload.replyBy), new Date(payload.sentAt)))
      throw new Problem('STATEMENT_INVALID', { reason: 'REPLY_BY', detail: 'Its time for replies has passed.' })
    if (payload.attachments.length > 0) {
      throw new Problem('STATEMENT_INVALID', {
        reason: 'ATTACHMENTS',
        detail: 'This version of the service has no attachments.',
      })
    }
    try {
      await checkBody(statement, input.body)
    } catch (error) {
      if (error instanceof ProtocolError)
        throw new Problem('BODY_INVALID', { reason: error.code, detail: error.message })
      throw error
    }
    await checkExtract(statement, input)
  }

  /**
   * Refuses a post whose `seen` is not what this log was: a sender that was shown another log is
   * refused, and so warned.
   */
  async #requireSeen(operation: string, { payload: { seen } }: MessageStatement): Promise<void> {
    const { db, logs } = this.#deps
    const root =
      logs.knownRoot(operation, seen.size) ?? (await reading(db, (tx) => logs.rootAt(tx, operation, seen.size)))
    if (!root || base64url(root) !== seen.root) throw new Problem('SEEN_MISMATCH', { size: seen.size })
  }

  /** Answers one message by its id. The fetch is recorded before anything is answered. */
  async fetch(actor: SignedInCaller, operation: string, message: string, justification?: string) {
    const { db, logs } = this.#deps
    const header = await reading(db, async (tx) => {
      const membership = await authorize(tx, actor, operation, 'message.read')
      return this.#requireReadable(tx, membership, message)
    })
    await logs.append(
      operation,
      noteAct,
      {
        kind: 'body.fetched',
        subject: message,
        permission: 'message.read',
        compartment: header.compartment_id,
        details: { channel: 'http', from: header.log_index, to: header.log_index, count: 1 },
        justification,
      },
      actor,
    )
    return reading(db, async (tx) => {
      await authorize(tx, actor, operation, 'message.read')
      const [entry] = await entriesAt(tx, operation, [header.log_index])
      const content = (await store.contentsAt(tx, operation, [header.log_index])).get(header.log_index)
      if (!entry || !content || content.body === null) throw new Problem('NOT_FOUND')
      return {
        index: header.log_index,
        leaf: entry.text,
        statement: content.statement,
        body: content.body,
        ...(content.extract === null || content.salt === null ? {} : { extract: content.extract, salt: content.salt }),
      }
    })
  }

  async #requireReadable(tx: Tx, membership: Membership, message: string): Promise<store.MessageHeader> {
    const view = await this.#deps.views.current(tx, membership.operation)
    const member = view.member(membership.person)
    const header = (await store.findMessages(tx, membership.operation, [message])).get(message)
    const readable =
      member !== undefined &&
      header !== undefined &&
      seesContent(member) &&
      mayReadFrom(view, member, header.compartment_id as CompartmentId, header.log_index)
    if (!readable) throw new Problem('NOT_FOUND')
    return header
  }

  /** Answers those of these messages that the caller may read. */
  async readable(actor: SignedInCaller, operation: string, messages: readonly string[]): Promise<string[]> {
    return reading(this.#deps.db, async (tx) => {
      const { person } = await authorize(tx, actor, operation, 'message.read')
      const view = await this.#deps.views.current(tx, operation)
      const member = view.member(person)
      const headers = await store.findMessages(tx, operation, messages)
      return messages.filter((id) => {
        const header = headers.get(id)
        return (
          header &&
          member &&
          seesContent(member) &&
          mayReadFrom(view, member, header.compartment_id as CompartmentId, header.log_index)
        )
      })
    })
  }

  /**
   * Answers the threads that the caller may read, the one with the newest message first; `after` is
   * the last index of the previous page.
   */
  async threads(actor: SignedInCaller, operation: string, after: number | undefined, limit: number) {
    const { db, logs, views } = this.#deps
    await reading(db, (tx) => authorize(tx, actor, operation, 'message.read'))
    const details = { channel: 'http', view: 'threads', before: after ?? null, count: limit }
    const note = { kind: 'feed.opened', subject: actor.person, permission: 'message.read', details } as const
    await logs.append(operation, noteAct, note, actor)
    return reading(db, async (tx) => {
      const { person } = await authorize(tx, actor, operation, 'message.read')
      const view = await views.current(tx, operation)
      const readable = view.compartmentsOf(person).map((compartment) => ({
        compartment,
        from: view.readsFrom(person, compartment) ?? Number.MAX_SAFE_INTEGER,
      }))
      const threads = await store.listThreads(tx, operation, readable, after ?? Number.MAX_SAFE_INTEGER, limit)
      const last = threads.at(-1)
      return { threads, ...(threads.length === limit && last ? { next: String(last.lastIndex) } : {}) }
    })
  }

  /**
   * Answers who received and read a message, to its sender's organization and to coordinators
   * alone.
   */
  async receipts(actor: SignedInCaller, operation: string, message: string) {
    return reading(this.#deps.db, async (tx) => {
      const membership = await authorize(tx, actor, operation, 'message.read')
      const header = await this.#requireReadable(tx, membership, message)
      if (membership.role !== 'coordinator' && header.organization_id !== membership.organization)
        throw new Problem('NOT_FOUND')
      const view = await this.#deps.views.current(tx, operation)
      const compartment = header.compartment_id as CompartmentId
      // A member who came later under `from-joining` was never sent it, whatever index their device
      // says that it has everything up to.
      const mayHave = (person: string) => {
        const member = view.member(person as PersonId)
        return member !== undefined && mayReadFrom(view, member, compartment, header.log_index)
      }
      return (await store.receiptsOf(tx, operation, message, header.log_index))
        .filter(({ person }) => mayHave(person))
        .map(({ deliveredAt, readAt, ...row }) => ({
          ...row,
          ...(deliveredAt === null ? {} : { deliveredAt: deliveredAt.toISOString() }),
          ...(readAt === null ? {} : { readAt: readAt.toISOString() }),
        }))
    })
  }

  /**
   * Answers which of these ids the operation has, those of other organizations included: their ids
   * cannot be guessed.
   */
  async knownIds(actor: SignedInCaller, operation: string, ids: readonly string[]) {
    return reading(this.#deps.db, async (tx) => {
      const { organization } = await authorize(tx, actor, operation, 'records.import')
      return (await store.knownIds(tx, operation, organization, ids)).filter(({ own }) => own).map(({ id }) => ({ id }))
    })
  }

  async recordImport(
    actor: SignedInCaller,
    operation: string,
    details: Readonly<Record<string, unknown>>,
  ): Promise<{ index: number }> {
    await reading(this.#deps.db, (tx) => authorize(tx, actor, operation, 'records.import'))
    return this.#deps.logs.append(
      operation,
      noteAct,
      {
        kind: 'records.imported',
        subject: actor.organization,
        permission: 'records.import',
        details: { channel: 'http', ...details },
      },
      actor,
    )
  }

  async importKeys(actor: SignedInCaller, operation: string) {
    return reading(this.#deps.db, async (tx) => {
      const { organization } = await authorize(tx, actor, operation, 'records.import')
      const keys = await store.importKeys(tx, operation, organization)
      const own = keys.filter(({ device }) => device === actor.device)
      return {
        exists: keys.length > 0,
        keys: await Promise.all(
          own.map(async ({ device, sealed, sealedBy }) => ({
            device,
            sealed,
            chain: sealedBy === null ? [] : await chainOfDevice(tx, sealedBy),
          })),
        ),
      }
    })
  }

  /**
   * Stores the import key for devices of the organization: the first key stays, further devices can
   * be added, and an NCP can replace it.
   */
  async storeImportKeys(
    actor: SignedInCaller,
    operation: string,
    { keys, replace = false }: { keys: readonly { device: string; sealed: string }[]; replace?: boolean },
  ): Promise<void> {
    await reading(this.#deps.db, (tx) => authorize(tx, actor, operation, 'records.import'))
    const digests = new Map<string, string>()
    await checked('STATEMENT_INVALID', async () => {
      for (const { device, sealed } of keys) {
        if (readSealed('cordon-import+jwe', sealed)['kid'] !== device)
          throw new Problem('STATEMENT_INVALID', { reason: 'SEALED_HEADER' })
        digests.set(device, await digestOf(sealed))
      }
    })
    await this.#deps.logs.append(operation, storeKeysAct, { operation, keys, digests, replace }, actor)
  }
}

async function checkExtract({ payload }: MessageStatement, { extract, salt }: PostInput): Promise<void> {
  const named = payload.extract !== undefined
  if (named !== (extract !== undefined) || named !== (salt !== undefined)) {
    throw new Problem('EXTRACT_INVALID', {
      faults: [
        {
          pointer: '',
          reason: 'The statement must name an extract if the post has an extract with its salt, and only then.',
        },
      ],
    })
  }
  const form = findForm(payload.form.id, payload.form.version)
  if (!form)
    throw new Problem('STATEMENT_INVALID', {
      reason: 'FORM',
      detail: 'This operation does not know this form or this version of it.',
    })
  if (extract === undefined || salt === undefined || payload.extract === undefined) return
  const digest = await checked('STATEMENT_INVALID', () => digestOfExtract(salt, extract))
  if (digest !== payload.extract.sha256)
    throw new Problem('EXTRACT_INVALID', {
      faults: [{ pointer: '', reason: 'The statement names another extract.' }],
    })
  const decoded = decodeExtract(extract)
  if (decoded === undefined)
    throw new Problem('EXTRACT_INVALID', {
      faults: [{ pointer: '', reason: 'An extract is JSON in its canonical form.' }],
    })
  const faults = validateExtract(payload.form.id, payload.form.version, decoded)
  if (faults.length > 0) throw new Problem('EXTRACT_INVALID', { faults })
}
