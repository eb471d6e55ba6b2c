import type { Message } from './message.ts'
import type { Draft } from './draft.ts'
import type { Platform } from './platform.ts'
import { dropPending, keepPending, type OutgoingMessage } from './message-poster.ts'
import type { ClientStore } from './store.ts'

/** A message of this device that has no receipt yet. */
export interface PendingMessage {
  readonly message: string
  readonly form: string
  readonly subject?: string
  readonly fields: Readonly<Record<string, unknown>>
  /** The time at which it was written, where that is known. */
  readonly at?: string
  /** Whether it was signed, so that it may have reached the service. */
  readonly signed: boolean
}

/** Ids of the operations of which a store holds something. */
export async function keptOperations(store: ClientStore): Promise<string[]> {
  const names = (await store.list('operation/')).map(([name]) => name.split('/')[1] ?? '')
  return [...new Set(names)]
}

/**
 * The messages of an operation that this device has opened and kept, in the order of the log. Asks
 * no service.
 */
export async function keptMessages(store: ClientStore, operation: string): Promise<Message[]> {
  const kept = (await store.list(`operation/${operation}/message/`)).map(([, value]) => value as Message)
  return kept.sort((a, b) => a.index - b.index)
}

/**
 * Ids of the messages of this device that have no receipt yet. They are sent when the operation is
 * followed next.
 */
export async function pendingMessages(store: ClientStore, operation: string): Promise<string[]> {
  const prefix = `operation/${operation}/pending/`
  return (await store.list(prefix)).map(([name]) => name.slice(prefix.length))
}

/** The messages of this device that have no receipt yet, with their fields. */
export async function listPending(store: ClientStore, operation: string): Promise<PendingMessage[]> {
  const pending = (await store.list(`operation/${operation}/pending/`)).map(([, value]) => value as OutgoingMessage)
  return pending.map(({ id, draft, at, frame }) => {
    const { form, subject, fields } = draft
    const beside = { ...(subject === undefined ? {} : { subject }), ...(at === undefined ? {} : { at }) }
    return { message: id, form, fields, ...beside, signed: frame !== undefined }
  })
}

/**
 * Keeps a message that cannot be sent now, while this process does not follow its operation. It is
 * sent when the operation is followed next. Answers its id. Throws FIELDS_INVALID.
 */
export function keepMessage(
  store: ClientStore,
  operation: string,
  draft: Draft,
  { platform }: { readonly platform: Pick<Platform, 'clock' | 'random'> },
): Promise<string> {
  return keepPending(store, `operation/${operation}/`, draft, platform)
}

/**
 * Gives up a message that has no receipt yet, while this process does not follow its operation.
 * Throws NOT_PENDING where there is no such message.
 */
export function dropMessage(store: ClientStore, operation: string, message: string): Promise<void> {
  return dropPending(store, `operation/${operation}/`, message)
}

/** The number of messages of an operation that wait for the key of their epoch. */
export async function sealedMessages(store: ClientStore, operation: string): Promise<number> {
  return (await store.list(`operation/${operation}/sealed/`)).length
}
