import { Type, type Static } from 'typebox'
import type { LogGap } from './gap.ts'
import { limits } from './message.ts'
import { compartmentId, deviceId, digest, exactly, operationId, uuid } from './shape.ts'

const index = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const jwe = Type.String({ minLength: 1, maxLength: 4096 })
const type = <T extends string>(name: T) => ({ type: Type.Literal(name) })

export const subProtocol = 'cordon.v1'
export const ticketProtocolPrefix = 'ticket.'

/** Close codes of the live channel (RFC 6455, section 7.4). */
export const closeCodes = {
  sessionEnded: 4401,
  notMember: 4403,
  tooSlow: 4408,
  takenOver: 4409,
  goingAway: 1001,
  tooLarge: 1009,
  badFrame: 4400,
} as const

/** A message as a client posts it, over the socket and over HTTP. */
export const MessageToPost = Type.Object(
  {
    statement: Type.String({ minLength: 1, maxLength: limits.statement }),
    body: Type.String({ minLength: 1, maxLength: limits.body }),
    extract: Type.Optional(Type.String({ minLength: 2, maxLength: 128 * 1024 })),
    salt: Type.Optional(digest),
  },
  exactly,
)
export type MessageToPost = Static<typeof MessageToPost>

export const GrantToGive = Type.Object(
  { device: deviceId, epoch: Type.Integer({ minimum: 1, maximum: 1_000_000 }), grant: jwe },
  exactly,
)
export type GrantToGive = Static<typeof GrantToGive>

export const ClientFrame = Type.Union([
  Type.Object(
    {
      ...type('subscribe'),
      operation: operationId,
      /** Index of the last entry that the client holds; -1 for everything. */
      after: Type.Integer({ minimum: -1, maximum: Number.MAX_SAFE_INTEGER }),
      /**
       * The newest checkpoint that the client has verified. The answer proves that the log has
       * grown from it.
       */
      seen: Type.Optional(Type.Object({ size: Type.Integer({ minimum: 1 }), root: digest }, exactly)),
    },
    exactly,
  ),
  Type.Object({ ...type('unsubscribe'), operation: operationId }, exactly),
  Type.Object({ ...type('post'), ...MessageToPost.properties }, exactly),
  Type.Object({ ...type('acknowledge'), operation: operationId, upTo: index }, exactly),
  Type.Object(
    { ...type('acknowledge'), operation: operationId, messages: Type.Array(uuid, { minItems: 1, maxItems: 1000 }) },
    exactly,
  ),
  Type.Object(
    {
      ...type('grant'),
      operation: operationId,
      compartment: compartmentId,
      grants: Type.Array(GrantToGive, { minItems: 1, maxItems: 200 }),
    },
    exactly,
  ),
  Type.Object(
    { ...type('grant-bad'), operation: operationId, compartment: compartmentId, epoch: Type.Integer({ minimum: 1 }) },
    exactly,
  ),
  Type.Object({ ...type('ping') }, exactly),
])
export type ClientFrame = Static<typeof ClientFrame>

/** The proof that a message has its place in the log. */
export const Receipt = Type.Object(
  {
    leaf: Type.String({ maxLength: 65_535 }),
    index,
    /** Audit path, RFC 9162 section 2.1.3, hashes in base64url. */
    proof: Type.Array(digest),
    /** Signed note (C2SP tlog-checkpoint) of the tree that holds the leaf. */
    checkpoint: Type.String({ maxLength: 1_000_000 }),
  },
  exactly,
)
export type Receipt = Static<typeof Receipt>

/** A problem document (RFC 9457) with a stable code. */
export interface ProblemJson {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail?: string
  readonly [extension: string]: unknown
}

/** An entry of the log as a member gets it, with the statement to which it commits. */
export interface EntryFrame {
  readonly type: 'entry'
  readonly operation: string
  readonly index: number
  readonly leaf: string
  /**
   * The statement that the digest of the leaf names: of a member act, an epoch or a message, a
   * certificate or a revocation.
   */
  readonly statement?: string
  readonly body?: string
  readonly extract?: string
  readonly salt?: string
  /** The certificates above the signer, up to the root; with a certificate or a creation. */
  readonly chain?: readonly string[]
  /** The grant for the reading device; with an epoch. */
  readonly grant?: string
}

export interface GrantRequest {
  readonly compartment: string
  readonly device: string
  readonly epochs: readonly number[]
}

/**
 * A device or a person that has a message: `delivered` to the device, `read` by the person; times
 * of the server.
 */
export interface ReaderReceipt {
  readonly message: string
  readonly person: string
  readonly organization: string
  readonly deliveredAt?: string
  readonly readAt?: string
}

export type ServerFrame =
  | EntryFrame
  | {
      readonly type: 'caught-up'
      readonly operation: string
      readonly index: number
      readonly checkpoint: string
      readonly consistency?: readonly string[]
      /** What the service lacks: it is an older copy, in which nothing is entered. */
      readonly gap?: LogGap
    }
  | { readonly type: 'accepted'; readonly id: string; readonly receipt: Receipt }
  | { readonly type: 'refused'; readonly id?: string; readonly problem: ProblemJson }
  | { readonly type: 'receipts'; readonly operation: string; readonly receipts: readonly ReaderReceipt[] }
  | {
      readonly type: 'granted'
      readonly operation: string
      readonly compartment: string
      readonly grants: readonly { epoch: number; grant: string }[]
    }
  | { readonly type: 'grant-wanted'; readonly operation: string; readonly requests: readonly GrantRequest[] }
  | { readonly type: 'epoch-stale'; readonly operation: string; readonly compartment: string }
  | {
      readonly type: 'ended'
      readonly operation: string
      readonly reason: 'removed' | 'unsubscribed' | 'not-found' | 'read-only'
    }
  | { readonly type: 'pong' }
  | { readonly type: 'closing'; readonly reason: string }
