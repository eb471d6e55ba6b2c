import { CompactEncrypt } from 'jose'
import { Type, type Static } from 'typebox'
import { base64url, concat, digestOf, fromBase64url, fromUtf8, sha256, utf8, type Bytes } from './encoding.ts'
import { excessIn } from './bounded-json.ts'
import { ProtocolError, demand } from './errors.ts'
import { contentKeyId, type EpochKey } from './epoch.ts'
import { parseTimestamp, type DeviceId, type Plain } from './ids.ts'
import { readStatement, signStatement, type ReadJws } from './jws.ts'
import type { Device } from './keys.ts'
import { Heads } from './members.ts'
import { padmeLength } from './padme.ts'
import { openDirect, type OpeningKey } from './primitives.ts'
import { compartmentId, digest, distinct, exactly, operationId, shape, time, uuid } from './shape.ts'

/** The most bytes of each object; a larger one is refused. */
export const limits = {
  statement: 16 * 1024,
  /** Member and epoch statements name as many people or devices as an operation has. */
  memberStatement: 160 * 1024,
  body: 256 * 1024,
  extractItems: 200,
  attachments: 64,
  frame: 1024 * 1024,
} as const

export const Precedence = Type.Union([Type.Literal('routine'), Type.Literal('priority'), Type.Literal('urgent')])
export type Precedence = Static<typeof Precedence>
export const RefersAs = Type.Union([
  Type.Literal('reply'),
  Type.Literal('feedback'),
  Type.Literal('correction'),
  Type.Literal('withdrawal'),
])
export type RefersAs = Static<typeof RefersAs>

/** The kind of the entry of a message, by its relation to another message. */
export function messageKind(as: RefersAs | undefined): 'message.posted' | 'message.corrected' | 'message.withdrawn' {
  if (as === 'correction') return 'message.corrected'
  return as === 'withdrawal' ? 'message.withdrawn' : 'message.posted'
}

export const Handling = Type.Object(
  {
    tlp: Type.Union([
      Type.Literal('RED'),
      Type.Literal('AMBER+STRICT'),
      Type.Literal('AMBER'),
      Type.Literal('GREEN'),
      Type.Literal('CLEAR'),
    ]),
  },
  exactly,
)
export type Handling = Static<typeof Handling>

export const MessagePayload = Type.Object(
  {
    v: Type.Literal(1),
    id: uuid,
    operation: operationId,
    compartment: compartmentId,
    thread: uuid,
    epoch: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
    form: Type.Object(
      {
        id: Type.String({ pattern: '^[a-z][a-z0-9-]{0,39}$' }),
        version: Type.Integer({ minimum: 1, maximum: 10_000 }),
      },
      exactly,
    ),
    precedence: Precedence,
    handling: Handling,
    refersTo: Type.Optional(Type.Object({ message: uuid, as: RefersAs }, exactly)),
    addressees: Type.Optional(distinct(uuid, { minItems: 1, maxItems: 200 })),
    replyBy: Type.Optional(time),
    sentAt: time,
    /** The newest checkpoint of this log that the sender has verified; `root` in base64url. */
    seen: Type.Object({ size: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }), root: digest }, exactly),
    extract: Type.Optional(Type.Object({ sha256: digest }, exactly)),
    body: Type.Object({ sha256: digest, size: Type.Integer({ minimum: 1, maximum: limits.body }) }, exactly),
    attachments: Type.Array(
      Type.Object(
        { id: uuid, sha256: digest, size: Type.Integer({ minimum: 1, maximum: 100 * 1024 * 1024 }) },
        exactly,
      ),
      { maxItems: limits.attachments },
    ),
    members: Heads,
    exercise: Type.Optional(Type.Literal(true)),
  },
  exactly,
)
export type MessagePayload = Static<typeof MessagePayload>

const parsePayload = shape('message statement', MessagePayload)

export interface MessageStatement {
  readonly jws: ReadJws
  readonly hash: string
  readonly signer: DeviceId
  /** SHA-256 of the certificate of the signing device. */
  readonly crt: string
  readonly payload: MessagePayload
}

export function signMessageStatement(signer: Device, crt: string, payload: Plain<MessagePayload>): Promise<string> {
  return signStatement('cordon-message+jws', payload, { kid: signer.id, key: signer.signKey, crt })
}

/** Reads a message statement without checking its signature. Throws `ProtocolError`. */
export async function readMessageStatement(text: string): Promise<MessageStatement> {
  demand(
    text.length <= limits.statement,
    'STATEMENT_SIZE',
    `A statement has at most ${String(limits.statement)} bytes.`,
  )
  const { jws, kid, crt, payload } = readStatement('cordon-message+jws', text)
  demand(crt !== undefined, 'STATEMENT_FORM', 'A message statement names the certificate of its device.')
  const parsed = parsePayload(payload)
  parseTimestamp(parsed.sentAt, 'sentAt')
  if (parsed.replyBy !== undefined) parseTimestamp(parsed.replyBy, 'replyBy')
  return { jws, hash: await digestOf(jws), signer: kid as DeviceId, crt, payload: parsed }
}

/** The content of a body. */
export interface BodyContent {
  readonly form: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly subject?: string
  readonly attachments: readonly { id: string; name: string; type: string; size: number; key: string; sha256: string }[]
}

const fewestPlaintextBytes = 1024

/**
 * Pads a content to at least 1 KiB with Padmé (Nikitin et al., PETS 2019), so that its length
 * reveals little.
 */
function padded(content: BodyContent): Bytes {
  const { bare, target } = lengthsOf(content)
  return utf8(JSON.stringify({ ...content, pad: '0'.repeat(target - bare) }))
}

function lengthsOf(content: BodyContent): { bare: number; target: number } {
  const bare = utf8(JSON.stringify({ ...content, pad: '' })).length
  return { bare, target: padmeLength(Math.max(bare, fewestPlaintextBytes)) }
}

/**
 * The most bytes that a content has once it is sealed (a compact JWE), whatever its epoch: known
 * before anything is sealed. A body may have `limits.body`.
 */
export function sealedSize(content: BodyContent): number {
  const encoded = (bytes: number) => Math.ceil((bytes * 4) / 3)
  const nobody = '0'.repeat(36)
  const header = bodyHeader({
    compartment: nobody,
    epoch: 1_000_000,
    message: nobody,
    device: '0'.repeat(43) as DeviceId,
  })
  // Five parts: the header, no key, the nonce (12 bytes), the ciphertext and the tag (16 bytes).
  const parts = [utf8(JSON.stringify(header)).length, 0, 12, lengthsOf(content).target, 16]
  return parts.map(encoded).reduce((sum, part) => sum + part, parts.length - 1)
}

export interface BodyHeader {
  readonly compartment: string
  readonly epoch: number
  readonly message: string
  readonly device: DeviceId
}

const bodyHeader = ({ compartment, epoch, message, device }: BodyHeader) => ({
  alg: 'dir',
  enc: 'A256GCM',
  typ: 'cordon-body+jwe',
  kid: contentKeyId(compartment, epoch),
  mid: message,
  dev: device,
})

/** Seals a body with an epoch key: compact JWE, `dir`, `A256GCM`. */
export async function sealBody(header: BodyHeader, content: BodyContent, key: EpochKey): Promise<string> {
  return new CompactEncrypt(padded(content)).setProtectedHeader(bodyHeader(header)).encrypt(key)
}

/** The digest and the size (bytes) by which a statement names its body. */
export async function describeBody(body: string): Promise<{ sha256: string; size: number }> {
  return { sha256: await digestOf(body), size: body.length }
}

/**
 * Demands that a body is the one that its statement names, and that its header agrees with the
 * statement. Throws `ProtocolError`.
 */
export async function checkBody(statement: MessageStatement, body: string): Promise<void> {
  const { payload, signer } = statement
  demand(body.length <= limits.body, 'BODY_SIZE', `A body has at most ${String(limits.body)} bytes.`)
  if (named.get(statement) === body) return
  const { sha256: hash, size } = await describeBody(body)
  demand(hash === payload.body.sha256 && size === payload.body.size, 'BODY_HASH', 'The statement names another body.')
  const parts = body.split('.')
  demand(parts.length === 5 && parts[1] === '', 'BODY_FORM', 'A body is a compact JWE with a direct key.')
  const expected = bodyHeader({
    compartment: payload.compartment,
    epoch: payload.epoch,
    message: payload.id,
    device: signer,
  })
  let header: Record<string, unknown>
  try {
    header = JSON.parse(fromUtf8(fromBase64url(parts[0] ?? ''))) as Record<string, unknown>
  } catch (cause) {
    throw new ProtocolError('BODY_FORM', 'A body begins with a JSON header.', { cause })
  }
  const names = Object.keys(expected) as (keyof typeof expected)[]
  demand(
    header !== null && typeof header === 'object' && Object.keys(header).length === names.length,
    'BODY_HEADER',
    'The header of a body has six members.',
  )
  for (const name of names) {
    demand(
      header[name] === expected[name],
      'BODY_HEADER',
      `The header of this body has another ${name} than its statement.`,
    )
  }
  if (body.length <= mostRemembered) named.set(statement, body)
}

// Which body a statement names is a fact about two texts. Clients of one process share what was
// read, and each asks this of it.
const named = new WeakMap<MessageStatement, string>()
/** In characters; a larger body is checked each time. */
const mostRemembered = 16 * 1024

/**
 * Opens a body with the key of its epoch, given as bytes or imported. The caller must
 * have called `checkBody`, which binds the body to its statement. Throws `ProtocolError`.
 */
export async function openBody(body: string, key: EpochKey | OpeningKey): Promise<BodyContent> {
  let plaintext: Uint8Array
  try {
    plaintext = await openDirect(body, key)
  } catch (cause) {
    throw new ProtocolError('BODY_OPEN', 'This body cannot be opened with the key of its epoch.', { cause })
  }
  return readContent(fromUtf8(plaintext))
}

/**
 * The bounds of the content of a body. Only readers see it, so that each reader checks it as
 * strictly as the service checks a statement.
 */
const contentBounds = { deepest: 16, parts: 20_000 } as const

function readContent(text: string): BodyContent {
  const fits = excessIn(text, contentBounds) === undefined
  demand(fits, 'BODY_CONTENT', 'The content of this body is nested deeper, or has more parts, than any form.')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ProtocolError('BODY_CONTENT', 'The content of this body is no JSON.', { cause })
  }
  return parseContent(value)
}

const parseContent = (value: unknown): BodyContent => {
  const { pad: _, ...content } = parseContentShape(value)
  return content
}

const parseContentShape = shape(
  'message body',
  Type.Object(
    {
      form: Type.String(),
      fields: Type.Record(Type.String(), Type.Unknown()),
      subject: Type.Optional(Type.String({ maxLength: 500 })),
      attachments: Type.Array(
        Type.Object(
          {
            id: uuid,
            name: Type.String(),
            type: Type.String(),
            size: Type.Integer(),
            key: Type.String(),
            sha256: digest,
          },
          exactly,
        ),
      ),
      pad: Type.String(),
    },
    exactly,
  ),
)

/** The digest of an extract: SHA-256(salt ‖ extract); the salt has 32 bytes. */
export async function digestOfExtract(salt: string, extract: string): Promise<string> {
  const bytes = fromBase64url(salt)
  demand(bytes.length === 32, 'EXTRACT_SALT', 'The salt of an extract has 32 bytes.')
  return base64url(await sha256(concat(bytes, utf8(extract))))
}
