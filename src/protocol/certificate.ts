import type { CryptoKey } from 'jose'
import { Type, type Static } from 'typebox'
import { digestOf } from './encoding.ts'
import { ProtocolError, demand } from './errors.ts'
import { parseTimestamp, type DeviceId, type OrganizationId, type PersonId, type Plain } from './ids.ts'
import { readStatement, signStatement, verifySignature, type ReadJws } from './jws.ts'
import { DeviceKeys, SignJwk, deviceIdOf, importVerifyKey, type Device } from './keys.ts'
import { deviceId, exactly, organizationId, personId, shape, time } from './shape.ts'

export const Tier = Type.Union([
  Type.Literal('administrator'),
  Type.Literal('ncp'),
  Type.Literal('person'),
  Type.Literal('service'),
  Type.Literal('auditor'),
])
export type Tier = Static<typeof Tier>

const CertificatePayload = Type.Object(
  {
    v: Type.Literal(1),
    device: DeviceKeys,
    person: personId,
    organization: organizationId,
    tier: Tier,
    issuedAt: time,
    expiresAt: time,
  },
  exactly,
)
const parsePayload = shape('device certificate', CertificatePayload)

/** The content of a certificate; `jws` is the certificate itself, `hash` its SHA-256. */
export interface Certificate {
  readonly jws: ReadJws
  readonly hash: string
  readonly issuer: DeviceId
  readonly device: DeviceId
  readonly keys: DeviceKeys
  readonly person: PersonId
  readonly organization: OrganizationId
  readonly tier: Tier
  readonly issuedAt: string
  readonly expiresAt: string
}

export interface Certified {
  keys: DeviceKeys
  person: PersonId
  organization: OrganizationId
  tier: Tier
  issuedAt: string
  expiresAt: string
}

export function issueCertificate(issuer: Device, certified: Plain<Certified>): Promise<string> {
  const { keys, person, organization, tier, issuedAt, expiresAt } = certified
  const payload = { v: 1, device: keys, person, organization, tier, issuedAt, expiresAt }
  return signStatement('cordon-device+jws', payload, { kid: issuer.id, key: issuer.signKey })
}

/** Reads a certificate without checking its signature. Throws `ProtocolError`. */
export async function readCertificate(text: string): Promise<Certificate> {
  const { jws, kid, payload } = readStatement('cordon-device+jws', text)
  const { device: keys, person, organization, tier, issuedAt, expiresAt } = parsePayload(payload)
  const from = parseTimestamp(issuedAt, 'issuedAt')
  const until = parseTimestamp(expiresAt, 'expiresAt')
  demand(from < until, 'CERTIFICATE', 'A certificate ends after it begins.')
  return {
    jws,
    hash: await digestOf(jws),
    issuer: kid as DeviceId,
    device: await deviceIdOf(keys.sign),
    keys,
    person: person,
    organization: organization,
    tier,
    issuedAt,
    expiresAt,
  }
}

/** The root of trust that a client has pinned: the thumbprint of the root device's signing key. */
export interface Pin {
  readonly root: DeviceId
}

/** Finds the certificate of a device that issued another; undefined where it is not known. */
export type FindCertificate = (device: DeviceId) => Certificate | undefined

/**
 * Whether an issuer may certify a person of this tier and organization. The root certifies anyone;
 * administrators certify the first NCPs, administrators, service accounts and the auditors of the
 * platform; an NCP its own organization, without administrators and auditors; every person except a
 * service account further devices of their own.
 */
export function mayCertify(
  issuer: Certificate,
  certified: Pick<Certificate, 'person' | 'organization' | 'tier'>,
): boolean {
  if (issuer.tier === 'service') return false
  const sameOrganization = issuer.organization === certified.organization
  if (issuer.person === certified.person) return sameOrganization && issuer.tier === certified.tier
  const ofPlatform = certified.tier === 'administrator' || certified.tier === 'auditor'
  if (issuer.tier === 'administrator') return certified.tier === 'ncp' || certified.tier === 'service' || ofPlatform
  if (issuer.tier === 'ncp') return sameOrganization && !ofPlatform
  return false
}

const mostChainLinks = 16

/**
 * Verifies a certificate and every certificate above it up to the pinned root. The root signs its
 * own certificate. This proves who vouched for whom; revocations and the place in the log are
 * checked by the caller. Throws `ProtocolError`.
 */
export async function verifyChain(certificate: Certificate, pin: Pin, find: FindCertificate): Promise<void> {
  let current = certificate
  for (let depth = 0; depth < mostChainLinks; depth++) {
    const issuer = current.issuer === current.device ? current : find(current.issuer)
    if (!issuer) throw new ProtocolError('CERTIFICATE_CHAIN', 'The device that issued this certificate is not known.')
    demand(issuer.device === current.issuer, 'CERTIFICATE_CHAIN', 'Another device issued this certificate.')
    await verifySignature(current, await importVerifyKey(issuer.keys.sign))
    if (current.device === pin.root) {
      demand(current.issuer === pin.root, 'CERTIFICATE_CHAIN', 'The root certifies itself.')
      return
    }
    demand(current.issuer !== current.device, 'CERTIFICATE_CHAIN', 'Only the root certifies itself.')
    demand(
      issuer.device === pin.root || mayCertify(issuer, current),
      'CERTIFICATE_CHAIN',
      'The device that issued this certificate had no right to.',
    )
    current = issuer
  }
  throw new ProtocolError('CERTIFICATE_CHAIN', 'This chain of certificates does not end.')
}

/**
 * Proves a list of certificates, also where a device among them was renewed several times: each by
 * certificates that were proven before it, so that no chain leads back to itself. `prove` is
 * `verifyChain`, or a cache of it.
 */
export async function proveAll(
  certificates: readonly Certificate[],
  prove: (certificate: Certificate, find: FindCertificate) => Promise<void>,
): Promise<{ readonly proven: readonly Certificate[]; readonly refused: ReadonlyMap<Certificate, ProtocolError> }> {
  const byDevice = new Map<DeviceId, Certificate>()
  const proven = new Set<Certificate>()
  // Issuers usually stand behind the certificates that they issued.
  const open = new Set(certificates.toReversed())
  for (;;) {
    const refused = new Map<Certificate, ProtocolError>()
    for (const certificate of open) {
      try {
        await prove(certificate, (device) => byDevice.get(device))
        proven.add(certificate)
        if (!byDevice.has(certificate.device)) byDevice.set(certificate.device, certificate)
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error
        refused.set(certificate, error)
      }
    }
    if (refused.size === 0 || refused.size === open.size)
      return { proven: certificates.filter((certificate) => proven.has(certificate)), refused }
    for (const certificate of proven) open.delete(certificate)
  }
}

const RevocationPayload = Type.Object(
  {
    v: Type.Literal(1),
    device: deviceId,
    compromisedAt: Type.Optional(time),
    at: time,
  },
  exactly,
)
const parseRevocationPayload = shape('revocation', RevocationPayload)

export interface Revocation {
  readonly jws: ReadJws
  readonly hash: string
  readonly signer: DeviceId
  readonly device: DeviceId
  readonly compromisedAt?: string
  readonly at: string
}

/**
 * The most milliseconds by which the clock of a signer and the clock of the service may differ. The
 * service refuses a larger difference.
 */
export const mostClockDifferenceMs = 5 * 60_000

/** The time since which a revoked device is not believed. */
export function revokedSince({ compromisedAt, at }: Pick<Revocation, 'compromisedAt' | 'at'>): string {
  return compromisedAt ?? at
}

/**
 * Whether a certificate may stand although its issuer was revoked. The service accepts a
 * certificate and a revocation only within `mostClockDifferenceMs` of its own clock, and no
 * certificate that arrives after the device was compromised. An accepted certificate was therefore
 * issued less than twice that difference after it. Server, client and verifier all use this
 * function.
 */
export function standsAfter(
  revocation: Pick<Revocation, 'at' | 'compromisedAt'>,
  certificate: Pick<Certificate, 'issuedAt'>,
): boolean {
  const latest = new Date(revokedSince(revocation)).getTime() + 2 * mostClockDifferenceMs
  return new Date(certificate.issuedAt).getTime() <= latest
}

export function signRevocation(signer: Device, device: DeviceId, at: string, compromisedAt?: string): Promise<string> {
  const payload = compromisedAt === undefined ? { v: 1, device, at } : { v: 1, device, compromisedAt, at }
  return signStatement('cordon-revocation+jws', payload, { kid: signer.id, key: signer.signKey })
}

export async function readRevocation(text: string): Promise<Revocation> {
  const { jws, kid, payload } = readStatement('cordon-revocation+jws', text)
  const { device, compromisedAt, at } = parseRevocationPayload(payload)
  parseTimestamp(at, 'at')
  const revocation = { jws, hash: await digestOf(jws), signer: kid as DeviceId, device: device, at }
  if (compromisedAt === undefined) return revocation
  parseTimestamp(compromisedAt, 'compromisedAt')
  return { ...revocation, compromisedAt }
}

/**
 * Whether this signer may revoke a device: a person the own devices, an NCP those of the
 * organization, administrators and the root any device.
 */
export function mayRevoke(signer: Certificate, revoked: Certificate, pin: Pin): boolean {
  if (signer.device === pin.root || signer.tier === 'administrator') return true
  if (signer.person === revoked.person) return true
  return signer.tier === 'ncp' && mayCertify(signer, revoked)
}

const RootPayload = Type.Object({ v: Type.Literal(1), root: SignJwk, successor: SignJwk, at: time }, exactly)
const parseRootPayload = shape('root statement', RootPayload)

/** Signs the statement in which the root names its successor at set-up. */
export function signRootStatement(root: Device, successor: SignJwk, at: string): Promise<string> {
  return signStatement(
    'cordon-root+jws',
    { v: 1, root: root.keys.sign, successor, at },
    { kid: root.id, key: root.signKey },
  )
}

export async function verifyRootStatement(jws: string, pin: Pin): Promise<{ root: DeviceId; successor: DeviceId }> {
  const statement = readStatement('cordon-root+jws', jws)
  const { kid, payload } = statement
  const { root, successor } = parseRootPayload(payload)
  const rootId = await deviceIdOf(root)
  demand(rootId === pin.root && kid === pin.root, 'ROOT', 'This is not the root that was pinned.')
  await verifySignature(statement, await importVerifyKey(root))
  return { root: rootId, successor: await deviceIdOf(successor) }
}

/** Verification keys by device, each imported once. */
export class VerifyKeys {
  readonly #keys = new Map<DeviceId, Promise<CryptoKey>>()

  of(certificate: Certificate): Promise<CryptoKey> {
    let key = this.#keys.get(certificate.device)
    if (!key) {
      key = importVerifyKey(certificate.keys.sign)
      this.#keys.set(certificate.device, key)
    }
    return key
  }
}
