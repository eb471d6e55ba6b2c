import { Type, type Static } from 'typebox'
import { base64url, concat, digestOf, fromBase64url, fromUtf8, sha256, utf8, type Bytes } from './encoding.ts'
import { demand } from './errors.ts'
import { importSealPublicKey, openSealed, readSealed, sealTo, type SealPrivateKey } from './hpke.ts'
import { parseTimestamp, type CompartmentId, type DeviceId, type Random, type Plain } from './ids.ts'
import { readStatement, signStatement, type ReadJws } from './jws.ts'
import type { Device, SealJwk } from './keys.ts'
import { Heads } from './members.ts'
import { compartmentId, deviceId, digest, exactly, operationId, shape, time } from './shape.ts'

export const maximalRecipients = 2000

export const EpochPayload = Type.Object(
  {
    v: Type.Literal(1),
    operation: operationId,
    compartment: compartmentId,
    epoch: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
    commitment: digest,
    /** The ids of all recipients of the key, sorted. */
    recipients: Type.Array(deviceId, { minItems: 1, maxItems: maximalRecipients }),
    members: Heads,
    reason: Type.Union([
      Type.Literal('first'),
      Type.Literal('member-left'),
      Type.Literal('member-joined'),
      Type.Literal('state-changed'),
      Type.Literal('disputed'),
      Type.Literal('routine'),
    ]),
    openedAt: time,
  },
  exactly,
)
export type EpochPayload = Static<typeof EpochPayload>

const parsePayload = shape('epoch statement', EpochPayload)

export interface EpochStatement {
  readonly jws: ReadJws
  readonly hash: string
  readonly signer: DeviceId
  readonly crt: string
  readonly payload: EpochPayload
}

/** The content key of an epoch: 32 random bytes. */
export type EpochKey = Bytes

export function makeEpochKey(random: Random): EpochKey {
  return new Uint8Array(random(32))
}

export function contentKeyId(compartment: string, epoch: number): string {
  return `${compartment}#${String(epoch)}`
}

/** The commitment of a key: SHA-256("cordon epoch key" ‖ key). */
export async function commitmentOf(key: EpochKey): Promise<string> {
  return base64url(await sha256(concat(utf8('cordon epoch key'), key)))
}

export function signEpochStatement(signer: Device, crt: string, payload: Plain<EpochPayload>): Promise<string> {
  return signStatement('cordon-epoch+jws', payload, { kid: signer.id, key: signer.signKey, crt })
}

/**
 * Reads an epoch statement without checking its signature. The recipients must be sorted and
 * distinct. Throws `ProtocolError`.
 */
export async function readEpochStatement(text: string): Promise<EpochStatement> {
  const { jws, kid, crt, payload } = readStatement('cordon-epoch+jws', text)
  const parsed = parsePayload(payload)
  parseTimestamp(parsed.openedAt, 'openedAt')
  demand(
    parsed.recipients.every((id, i) => i === 0 || (parsed.recipients[i - 1] ?? '') < id),
    'SHAPE',
    'The recipients of an epoch are sorted and named once.',
  )
  return { jws, hash: await digestOf(jws), signer: kid as DeviceId, crt: crt ?? '', payload: parsed }
}

const grantHeader = (device: DeviceId, compartment: string, epoch: number) => ({
  kid: device,
  cmp: compartment,
  epo: epoch,
})

/** Seals an epoch key to one device, as a JWK inside a compact JWE. */
export async function sealGrant(
  to: { device: DeviceId; seal: SealJwk },
  compartment: string,
  epoch: number,
  key: EpochKey,
): Promise<string> {
  const jwk = JSON.stringify({ kty: 'oct', k: base64url(key), kid: contentKeyId(compartment, epoch) })
  return sealTo(
    'cordon-grant+jwe',
    grantHeader(to.device, compartment, epoch),
    await importSealPublicKey(to.seal.pub),
    utf8(jwk),
  )
}

/**
 * Checks the header of a grant, which the server can read: its device, compartment and epoch.
 * Throws `ProtocolError`.
 */
export function checkGrantHeader(jwe: string, device: DeviceId, compartment: string, epoch: number): void {
  const header = readSealed('cordon-grant+jwe', jwe)
  const matches = header['kid'] === device && header['cmp'] === compartment && header['epo'] === epoch
  demand(matches, 'GRANT_HEADER', 'This grant is for another device or another epoch.')
}

/**
 * Opens a grant and checks the key against the commitment of the signed epoch statement. Throws
 * `ProtocolError`.
 */
export async function openGrant(
  jwe: string,
  to: { device: DeviceId; sealKey: SealPrivateKey },
  epoch: { compartment: CompartmentId; number: number; commitment: string },
): Promise<EpochKey> {
  const header = grantHeader(to.device, epoch.compartment, epoch.number)
  const plaintext = fromUtf8(await openSealed('cordon-grant+jwe', header, to.sealKey, jwe))
  let jwk: unknown
  try {
    jwk = JSON.parse(plaintext)
  } catch {
    jwk = undefined
  }
  const { kty, k, kid } = (jwk ?? {}) as Record<string, unknown>
  demand(
    kty === 'oct' && typeof k === 'string' && kid === contentKeyId(epoch.compartment, epoch.number),
    'GRANT_KEY',
    'There is no key of this epoch in this grant.',
  )
  const key = fromBase64url(k)
  demand(key.length === 32, 'GRANT_KEY', 'An epoch key has 32 bytes.')
  demand((await commitmentOf(key)) === epoch.commitment, 'GRANT_COMMITMENT', 'The epoch was opened with another key.')
  return key
}
