import { Type, type Static } from 'typebox'
import { base64url, equalBytes, fromBase64url, fromUtf8, sha256, utf8, type Bytes } from './encoding.ts'
import { ProtocolError, demand } from './errors.ts'
import { Tier } from './certificate.ts'
import type { DeviceId, InvitationId, OrganizationId, PersonId, Random, Plain } from './ids.ts'
import { readStatement, signStatement, verifySignature, type ReadJws } from './jws.ts'
import { SealJwk, SignJwk, deviceIdOf, importVerifyKey, requireSealKey, type Device } from './keys.ts'
import { deviceId, digest, exactly, organizationId, personId, shape, time, uuid } from './shape.ts'

/**
 * The content of an invitation string: the address of the service, its root, whom the inviter means
 * (so that the newcomer knows it from the inviter and not from the server), and a secret of 128
 * bits that is shown once.
 */
export interface InvitationString {
  readonly server: string
  readonly root: DeviceId
  readonly invitation: InvitationId
  readonly person: PersonId
  readonly organization: OrganizationId
  readonly tier: Tier
  readonly secret: Bytes
}

const prefix = 'cordon-invitation:'
const parseInvitationShape = shape(
  'invitation',
  Type.Object(
    {
      s: Type.String({ maxLength: 500 }),
      r: digest,
      i: uuid,
      p: personId,
      o: organizationId,
      t: Tier,
      k: Type.String({ pattern: '^[A-Za-z0-9_-]{22}$' }),
    },
    exactly,
  ),
)

export function formatInvitation(invitation: InvitationString): string {
  const { server: s, root: r, invitation: i, person: p, organization: o, tier: t, secret } = invitation
  return prefix + base64url(utf8(JSON.stringify({ s, r, i, p, o, t, k: base64url(secret) })))
}

/**
 * What somebody copied, as it was printed: without blanks and line ends that a mail put in, without
 * quotation marks around it, and with plain hyphens.
 */
function asPrinted(text: string, prefix: string): string {
  const bare = text.replace(/[\s\p{Default_Ignorable_Code_Point}\p{Bidi_Control}\p{Cc}]/gu, '')
  const plain = bare.replace(/[\p{Pd}\u2212]/gu, '-').replace(/^[\p{Pi}\p{Pf}"'`<„]+|[\p{Pi}\p{Pf}"'`>.,]+$/gu, '')
  const begins = plain.slice(0, prefix.length).toLowerCase()
  return begins === prefix ? prefix + plain.slice(prefix.length) : plain
}

/** Reads an invitation string, however it was copied. Throws `ProtocolError` INVITATION. */
export function parseInvitation(text: string): InvitationString {
  const trimmed = asPrinted(text, prefix)
  demand(trimmed.startsWith(prefix), 'INVITATION', `An invitation begins with "${prefix}": copy the whole line.`)
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(fromBase64url(trimmed.slice(prefix.length))))
  } catch (cause) {
    throw new ProtocolError('INVITATION', 'This invitation is damaged: copy the whole line again.', { cause })
  }
  const { s, r, i, p, o, t, k } = parseInvitationShape(value)
  return {
    server: s,
    root: r as DeviceId,
    invitation: i as InvitationId,
    person: p,
    organization: o,
    tier: t,
    secret: fromBase64url(k),
  }
}

const setUpPrefix = 'cordon-set-up:'
const parseSetUpShape = shape('set-up string', Type.Object({ s: Type.String({ maxLength: 500 }), k: digest }, exactly))

/**
 * Formats the string that a service without a root prints once: its address, and the secret with
 * which `cordon init` makes the root.
 */
export function formatSetUp({ server, secret }: { server: string; secret: string }): string {
  return setUpPrefix + base64url(utf8(JSON.stringify({ s: server, k: secret })))
}

/** Reads a set-up string, however it was copied. Throws `ProtocolError` SET_UP. */
export function parseSetUp(text: string): { server: string; secret: string } {
  const trimmed = asPrinted(text, setUpPrefix)
  demand(
    trimmed.startsWith(setUpPrefix),
    'SET_UP',
    `A set-up string begins with "${setUpPrefix}": copy the whole line.`,
  )
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(fromBase64url(trimmed.slice(setUpPrefix.length))))
  } catch (cause) {
    throw new ProtocolError('SET_UP', 'This set-up string is damaged: copy the whole line again.', { cause })
  }
  const { s, k } = parseSetUpShape(value)
  return { server: s, secret: k }
}

export function makeInvitationSecret(random: Random): Bytes {
  return new Uint8Array(random(16))
}

/**
 * Derives two keys from the secret of an invitation (HKDF-SHA-256, RFC 5869): one by which the
 * server recognises the newcomer, and one that the server never sees.
 */
export async function deriveInvitationKeys(secret: Uint8Array): Promise<{ authenticate: Bytes; certify: Bytes }> {
  const material = await crypto.subtle.importKey('raw', new Uint8Array(secret), 'HKDF', false, ['deriveBits'])
  const derive = async (info: string): Promise<Bytes> =>
    new Uint8Array(
      await crypto.subtle.deriveBits(
        { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(0), info: utf8(info) },
        material,
        256,
      ),
    )
  return {
    authenticate: await derive('cordon invitation: authenticate'),
    certify: await derive('cordon invitation: certify'),
  }
}

/** The value that the server keeps of the authenticating key. */
export async function recognitionOf(authenticate: Uint8Array): Promise<string> {
  return base64url(await sha256(authenticate))
}

const IntentionPayload = Type.Object(
  {
    v: Type.Literal(1),
    certify: digest,
    invitation: uuid,
    person: personId,
    organization: organizationId,
    tier: Tier,
    /** The end of a service account, which is also that of its certificate. */
    expiresAt: Type.Optional(time),
  },
  exactly,
)
export type Intention = Static<typeof IntentionPayload>
const parseIntention = shape('intention', IntentionPayload)

/**
 * Signs whom an inviter means, together with the certifying key. Sealing alone proves no sender:
 * every person who knows a public key can seal to it.
 */
export function signIntention(inviter: Device, intended: Plain<Omit<Intention, 'v'>>): Promise<string> {
  return signStatement('cordon-invitation+jws', { v: 1, ...intended }, { kid: inviter.id, key: inviter.signKey })
}

/**
 * Reads an intention without checking its signature: the caller has to verify that `inviter` is a
 * device of its own person. Throws `ProtocolError`.
 */
export function readIntention(text: string): Intention & { inviter: DeviceId; jws: ReadJws } {
  const { jws, kid, payload } = readStatement('cordon-invitation+jws', text)
  return { ...parseIntention(payload), inviter: kid as DeviceId, jws }
}

const EnrolmentPayload = Type.Object(
  {
    v: Type.Literal(1),
    invitation: uuid,
    person: personId,
    organization: organizationId,
    tier: Tier,
    sign: SignJwk,
    seal: SealJwk,
  },
  exactly,
)
export type EnrolmentPayload = Static<typeof EnrolmentPayload>
const parsePayload = shape('enrolment', EnrolmentPayload)

async function hmac(key: Uint8Array, text: string): Promise<Bytes> {
  const imported = await crypto.subtle.importKey('raw', new Uint8Array(key), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
  ])
  return new Uint8Array(await crypto.subtle.sign('HMAC', imported, utf8(text)))
}

/**
 * The request of a newcomer: a JWS by the key of the new device, and an HMAC over that JWS under
 * the certifying key.
 */
export async function signEnrolment(
  device: Device,
  certify: Uint8Array,
  request: Plain<Omit<EnrolmentPayload, 'v' | 'sign' | 'seal'>>,
): Promise<{ statement: string; mac: string }> {
  const payload = { v: 1, ...request, ...device.keys }
  const statement = await signStatement('cordon-enrolment+jws', payload, { kid: device.id, key: device.signKey })
  return { statement, mac: base64url(await hmac(certify, statement)) }
}

/**
 * Reads an enrolment and verifies it with the key inside it. That proves possession of the key and
 * nothing more. Throws `ProtocolError`.
 */
export async function readEnrolment(statement: string): Promise<EnrolmentPayload & { device: DeviceId }> {
  const read = readStatement('cordon-enrolment+jws', statement)
  const { kid, payload } = read
  const parsed = parsePayload(payload)
  const device = await deviceIdOf(parsed.sign)
  demand(kid === device, 'ENROLMENT', 'An enrolment is signed by the device that it enrols.')
  await verifySignature(read, await importVerifyKey(parsed.sign))
  return { ...parsed, device }
}

/**
 * Checks an enrolment for the inviter: a holder of the invitation must have made it, for the
 * person, organization and tier that were meant. Throws `ProtocolError`.
 */
export async function checkEnrolment(
  certify: Uint8Array,
  { statement, mac }: { statement: string; mac: string },
  intended: { invitation: string; person: string; organization: string; tier: string },
): Promise<EnrolmentPayload & { device: DeviceId }> {
  demand(
    equalBytes(await hmac(certify, statement), fromBase64url(mac)),
    'ENROLMENT_MAC',
    'The newcomer did not hold the invitation.',
  )
  const enrolment = await readEnrolment(statement)
  requireSealKey(enrolment.seal)
  for (const name of ['invitation', 'person', 'organization', 'tier'] as const) {
    demand(enrolment[name] === intended[name], 'ENROLMENT', `The enrolment names another ${name} than the invitation.`)
  }
  return enrolment
}

const SignInPayload = Type.Object(
  {
    v: Type.Literal(1),
    person: personId,
    device: deviceId,
    jkt: digest,
    at: Type.String(),
  },
  exactly,
)
const parseSignIn = shape('sign-in', SignInPayload)

/** Signs a sign-in of the device, bound to the key of the session by its thumbprint. */
export function signSignIn(device: Device, person: string, jkt: string, at: string): Promise<string> {
  return signStatement(
    'cordon-sign-in+jws',
    { v: 1, person, device: device.id, jkt, at },
    { kid: device.id, key: device.signKey },
  )
}

export function readSignIn(text: string): Static<typeof SignInPayload> & { jws: ReadJws } {
  const { jws, kid, payload } = readStatement('cordon-sign-in+jws', text)
  const parsed = parseSignIn(payload)
  demand(kid === parsed.device, 'SIGN_IN', 'The device that signs in must sign this itself.')
  return { ...parsed, jws }
}
