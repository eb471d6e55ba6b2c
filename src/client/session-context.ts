import type { Events } from './events.ts'
import type { Self } from './account.ts'
import type { LiveConnection } from './connection.ts'
import type { Keyring } from './keyring.ts'
import type { Ledger } from './ledger.ts'
import type { Message } from './message.ts'
import type { Platform } from './platform.ts'
import type { ClientProblem } from './problem.ts'
import type { ClientStore } from './store.ts'
import type { Transparency } from './transparency.ts'
import type { Transport } from './transport.ts'
import type { Leaf, ReaderReceipt } from '../protocol/index.ts'

/** Something that a service which keeps to the protocol never does. */
export interface Alarm {
  /**
   * MEMBERS_HIDDEN, DEVICE_HIDDEN, LOG_ALTERED, ENTRY_WITHHELD, ENTRY_REFUSED, MESSAGE_REFUSED,
   * FRAME_REFUSED, UNEXPECTED, GRANT_BAD, RECEIPT_INVALID, OWN_MESSAGE_UNKNOWN, SEEN_REFUSED,
   * DEVICE_UNEXPECTED.
   */
  readonly code: string
  /** The `ProtocolError` code behind it, where there is one. */
  readonly reason?: string
  readonly index?: number
  readonly message?: string
  readonly detail: string
}

export interface SessionEvents {
  /**
   * A message was opened. Each once, in the order of the log, except those that had to wait for a
   * key.
   */
  message: Message
  /** A message waits for the key of its epoch. */
  sealed: { readonly message: string; readonly index: number; readonly compartment: string; readonly epoch: number }
  /** Every entry that this device sees, messages included, after it was believed. */
  entry: Leaf
  /** Who read one's organization's messages. */
  receipts: readonly ReaderReceipt[]
  /** A message that was pending from before is in the log now, or was refused for good. */
  posted: { readonly message: string; readonly index: number }
  refused: { readonly message: string; readonly problem: ClientProblem }
  alarm: Alarm
  'caught-up': { readonly index: number }
  stale: { readonly compartment: string }
  disconnected: { readonly final?: ClientProblem }
  ended: { readonly reason: string }
}

/** What a session is made of. */
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

/** What the parts of a session stand on. */
export interface SessionContext {
  readonly operation: string
  /** Names in the store begin with this. */
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
   * Resolves when this device has caught up on an open connection; rejects where that will not be.
   */
  ready(milliseconds?: number): Promise<void>
  /** Resolves when the condition holds after some frame, or after the time with false. */
  until(condition: () => boolean, milliseconds: number): Promise<boolean>
  /** Whether this device follows the operation no more because it was closed here. */
  isClosed(): boolean
  /**
   * Throws MEMBERS_HIDDEN or LOG_ALTERED where nothing may be sealed, OPERATION_ENDED where one is
   * out.
   */
  requireSound(): void
  /**
   * Resolves once everything that this device has verified is written: before anything is sent on
   * the strength of it.
   */
  kept(): Promise<void>
  /**
   * Reads the log again from its beginning: the service goes by something that it has not shown
   * this device.
   */
  readAgain(): void
  /** Takes what a receipt of the own device needs to know. */
  alarm(alarm: Alarm): void
}
