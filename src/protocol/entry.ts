import { base64url, concat, fromBase64url, sha256, utf8 } from './encoding.ts'
import { ProtocolError, demand } from './errors.ts'
import { isUuid, parseDeviceId, parseTimestamp } from './ids.ts'

/**
 * The kinds of entries, in the past tense. A kind that is not in this list does not parse, so that
 * a feature with a new kind adds it here first.
 */
export const kinds = [
  'log.started',
  'server.started',
  'witness.added',
  'witness.removed',
  'witness.refused',
  'configuration.changed',
  'operation.created',
  'operation.updated',
  'operation.rules-set',
  'operation.advanced',
  'operation.organization-admitted',
  'operation.organization-removed',
  'member.admitted',
  'member.role-changed',
  'member.removed',
  'member.ended',
  'member.slept',
  'member.woken',
  'device.enrolled',
  'device.certified',
  'device.revoked',
  'device.expired',
  'compartment.created',
  'compartment.member-added',
  'compartment.member-removed',
  'epoch.opened',
  'epoch.disputed',
  'message.posted',
  'message.corrected',
  'message.withdrawn',
  'attachment.stored',
  'feed.opened',
  'messages.delivered',
  'messages.read',
  'body.fetched',
  'report.viewed',
  'log.queried',
  'readings.kept',
  'directory.viewed',
  'history.granted',
  'records.imported',
  'export.made',
  'records.key-stored',
  'organization.registered',
  'organization.updated',
  'person.invited',
  'person.registered',
  'person.slept',
  'person.woken',
  'person.ended',
  'service.ended',
  'invitation.revoked',
  'approval.given',
  'duty.handed-over',
  'duty.taken-back',
  'session.started',
  'session.ended',
  'session.stepped-up',
  'credential.set',
  'credential.refused',
  'access.refused',
  'account.alarm',
  'notice.given',
  'notice.address-set',
] as const

export type Kind = (typeof kinds)[number]

const kindSet: ReadonlySet<string> = new Set(kinds)

/**
 * The kinds that a word names: one by its name, or with `member.*` all that begin so; empty where
 * there is none.
 */
export function kindsOf(word: string): readonly Kind[] {
  return kinds.filter((kind) => (word.endsWith('.*') ? kind.startsWith(word.slice(0, -1)) : kind === word))
}

export function isKind(value: unknown): value is Kind {
  return typeof value === 'string' && kindSet.has(value)
}

/**
 * Whether an entry of this kind records a refusal; every other kind records an act that was done.
 */
export function isRefusal(kind: Kind): boolean {
  return kind.endsWith('.refused')
}

/**
 * Whether the entries of a kind are numbered within their compartment (protocol.md, "Live frames").
 * A gap shows that the server withholds an entry.
 */
export function countsInCompartment(kind: Kind): boolean {
  return /^(compartment|epoch|message)\.|^attachment\.stored$/.test(kind)
}

/**
 * Whether an entry of this kind may change the members, compartments, devices, epochs or the state
 * of an operation.
 */
export function changesOperation(kind: Kind): boolean {
  return /^(operation|member|device|compartment|epoch)\./.test(kind)
}

/** The cause of an entry: a person with the device of the session, or a server by its name. */
export type Actor =
  { readonly person: string; readonly organization: string; readonly device: string } | { readonly server: string }

/**
 * An entry as it is hashed (log.md, "Entries"). `subject` is an id or a code, never the name of a
 * person and never content; `digest` and `private` are SHA-256, base64url.
 */
export interface Leaf {
  readonly v: 1
  readonly log: string
  readonly index: number
  readonly at: string
  readonly kind: Kind
  readonly actor: Actor
  readonly compartment?: string
  readonly seq?: number
  readonly subject: string
  readonly digest?: string
  readonly private?: string
}

export const maximalLeafBytes = 65_535
const serverPattern = /^[\x21-\x7e]{1,255}$/
const controlPattern = /[\u0000-\u001f\u007f]/

/**
 * Formats a leaf as one line of JSON with its keys in a fixed order. Throws `ProtocolError` LEAF
 * where a value does not fit its shape.
 */
export function serializeLeaf(leaf: Leaf): string {
  checkLeaf(leaf as unknown as Record<string, unknown>)
  const text = writeLeaf(leaf)
  // A character takes at most three bytes in UTF-8, so that only long texts are measured exactly.
  demand(
    text.length * 3 <= maximalLeafBytes || utf8(text).length <= maximalLeafBytes,
    'LEAF',
    'An entry has at most 65,535 bytes.',
  )
  return text
}

/**
 * Reads a leaf strictly. Throws `ProtocolError` LEAF where the text is not exactly what
 * `serializeLeaf` writes.
 */
export function parseLeaf(text: string): Leaf {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ProtocolError('LEAF', 'An entry is one line of JSON.', { cause })
  }
  demand(isRecord(value), 'LEAF', 'An entry is a JSON object.')
  const leaf = value as unknown as Leaf
  demand(serializeLeaf(leaf) === text, 'LEAF', 'An entry has exactly its fields, in their order, without spaces.')
  return leaf
}

/** The hash of a leaf (RFC 6962, section 2.1): SHA-256(0x00 ‖ leaf). */
export function leafHash(leaf: string): Promise<Uint8Array> {
  return sha256(concat(Uint8Array.of(0), utf8(leaf)))
}

/**
 * SHA-256(salt ‖ details), base64url: the digest in the leaf of details that may have to be erased.
 */
export async function privateDigest(salt: Uint8Array, details: string): Promise<string> {
  return base64url(await sha256(concat(salt, utf8(details))))
}

function writeLeaf(leaf: Leaf): string {
  const { v, log, index, at, kind, actor, compartment, seq, subject, digest } = leaf
  const who =
    'server' in actor
      ? { server: actor.server }
      : { person: actor.person, organization: actor.organization, device: actor.device }
  // JSON.stringify leaves out undefined members and keeps the order of the keys.
  return JSON.stringify({
    v,
    log,
    index,
    at,
    kind,
    actor: who,
    compartment,
    seq,
    subject,
    digest,
    private: leaf.private,
  })
}

function checkLeaf(leaf: Record<string, unknown>): void {
  demand(leaf['v'] === 1, 'LEAF', 'The version of an entry is 1.')
  demand(isUuid(leaf['log']), 'LEAF', 'An entry names its log.')
  demand(isIndex(leaf['index'], 0), 'LEAF', 'An index is a whole number from 0.')
  parseTimestamp(leaf['at'], 'at')
  demand(isKind(leaf['kind']), 'LEAF', `There is no kind of entry ${JSON.stringify(leaf['kind'])}.`)
  checkActor(leaf['actor'])
  const { compartment, seq, subject, digest } = leaf
  demand(compartment === undefined || isUuid(compartment), 'LEAF', 'A compartment is named by its id.')
  demand(seq === undefined || isIndex(seq, 1), 'LEAF', 'A seq is a whole number from 1.')
  const counted = compartment !== undefined && countsInCompartment(leaf['kind'])
  demand(counted === (seq !== undefined), 'LEAF', 'Exactly the entries that count in a compartment carry a seq.')
  demand(isSubject(subject), 'LEAF', 'The subject of an entry is a short text.')
  for (const hash of [digest, leaf['private']]) {
    demand(hash === undefined || isDigest(hash), 'LEAF', 'A digest is 32 bytes in base64url.')
  }
}

function checkActor(actor: unknown): void {
  demand(isRecord(actor), 'LEAF', 'An entry names who caused it.')
  if ('server' in actor) {
    demand(
      typeof actor['server'] === 'string' && serverPattern.test(actor['server']),
      'LEAF',
      'A server has a plain name.',
    )
    return
  }
  demand(isUuid(actor['person']) && isUuid(actor['organization']), 'LEAF', 'An actor is a person of an organization.')
  parseDeviceId(actor['device'])
}

function isSubject(subject: unknown): boolean {
  return (
    typeof subject === 'string' &&
    subject !== '' &&
    subject.length <= 512 &&
    subject.isWellFormed() &&
    !controlPattern.test(subject)
  )
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isIndex(value: unknown, least: number): value is number {
  return Number.isSafeInteger(value) && !Object.is(value, -0) && (value as number) >= least
}

function isDigest(value: unknown): boolean {
  return typeof value === 'string' && value.length === 43 && fromBase64url(value).length === 32
}
