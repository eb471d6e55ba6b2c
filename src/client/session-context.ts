import type { Events } from './events.ts'
import type { Self } from './account.ts'
import type { LiveConnection } from './connection.ts'
import { Keyring } from './keyring.ts'
import type { Ledger } from './ledger.ts'
import type { Message } from './message.ts'
import type { Platform } from './platform.ts'
import type { ClientProblem } from './problem.ts'
import type { ClientStore } from './store.ts'
import type { Transparency } from './transparency.ts'
import type { Transport } from './transport.ts'
import type { Leaf, LogGap, ReaderReceipt } from '../protocol/index.ts'

/** A finding that no service which follows the protocol gives cause for. */
export interface Alarm {
  /**
   * MEMBERS_HIDDEN, DEVICE_HIDDEN, LOG_ALTERED, ENTRY_WITHHELD, ENTRY_REFUSED, MESSAGE_REFUSED,
   * FRAME_REFUSED, UNEXPECTED, GRANT_BAD, RECEIPT_INVALID, OWN_MESSAGE_UNKNOWN, SEEN_REFUSED,
   * DEVICE_UNEXPECTED.
   */
  readonly code: string
  /** The code of the `ProtocolError` behind the alarm, where there is one. */
  readonly reason?: string
  readonly index?: number
  readonly message?: string
  readonly detail: string
}

export interface SessionEvents {
  /**
   * A message was opened. Each message comes once and in the order of the log, except messages that
   * had to wait for a key.
   */
  message: Message
  /** A message waits for the key of its epoch. */
  sealed: { readonly message: string; readonly index: number; readonly compartment: string; readonly epoch: number }
  /** An entry was processed; each entry that this device sees, messages included. */
  entry: Leaf
  /** Persons and devices have messages of the organization of this member. */
  receipts: readonly ReaderReceipt[]
  /**
   * A message that was pending before is in the log now (`posted`), or was refused for good
   * (`refused`).
   */
  posted: { readonly message: string; readonly index: number }
  refused: { readonly message: string; readonly problem: ClientProblem }
  alarm: Alarm
  /** `gap`: what the service lacks, where it is an older copy. */
  'caught-up': { readonly index: number; readonly gap?: LogGap }
  stale: { readonly compartment: string }
  disconnected: { readonly final?: ClientProblem }
  ended: { readonly reason: string }
}

/** The parts that a session is made of. */
export interface SessionDeps {
  readonly operation: string
  readonly platform: Platform
  readonly store: ClientStore
  readonly transport: Transport
  readonly connection: LiveConnection
  readonly transparency: Transparency
  readonly self: () => Self
  readonly keep: 'all' | 'none'
}

/** The state and the services of a session, as its parts use them. */
export interface SessionContext {
  readonly operation: string
  /** The prefix of all names of this operation in the store. */
  readonly prefix: string
  readonly platform: Platform
  readonly store: ClientStore
  readonly transport: Transport
  readonly connection: LiveConnection
  readonly keyring: Keyring
  readonly transparency: Transparency
  readonly events: Events<SessionEvents>
  readonly self: () => Self
  readonly ledger: () => Ledger
  /** The newest checkpoint of this log that this device has verified; `root` in base64url. */
  seen(): { size: number; root: string } | undefined
  /** Index of the newest entry that was processed. */
  position(): number
  /**
   * Resolves when this device has caught up on an open connection. Rejects where that will not
   * happen.
   */
  ready(milliseconds?: number): Promise<void>
  /** Resolves with true when the condition holds after a frame, with false after the time. */
  until(condition: () => boolean, milliseconds: number): Promise<boolean>
  /** Whether this session was closed here. */
  isClosed(): boolean
  /**
   * Throws MEMBERS_HIDDEN or LOG_ALTERED where nothing may be sealed, OPERATION_ENDED where this
   * person is no longer a member.
   */
  requireSound(): void
  /**
   * Resolves once the store has everything that this device has verified. Called before a request
   * that relies on it.
   */
  kept(): Promise<void>
  /**
   * Reads the log again from its beginning, because the service acts on entries that it has not
   * shown.
   */
  readAgain(): void
  /** Raises an alarm: keeps it and emits it as an event. */
  alarm(alarm: Alarm): void
}

/** The parts of a context that stay the same while a session lives. */
export function partsOf({ operation, platform, store, transport, connection, transparency, self }: SessionDeps) {
  const prefix = `operation/${operation}/`
  return { operation, prefix, platform, store, transport, connection, transparency, self, keyring: new Keyring(prefix) }
}
