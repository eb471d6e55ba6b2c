import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type CryptoKey } from 'jose'
import { Type, type Static } from 'typebox'
import { base64url, fromBase64url, hex } from './encoding.ts'
import { demand } from './errors.ts'
import { generateSealKeys, importSealPrivateKey, type SealPrivateKey } from './hpke.ts'
import type { DeviceId } from './ids.ts'
import { digest, exactly } from './shape.ts'

/** A device's public signing key: Ed25519 as a JWK (RFC 8037). */
export const SignJwk = Type.Object({ kty: Type.Literal('OKP'), crv: Type.Literal('Ed25519'), x: digest }, exactly)
export type SignJwk = Static<typeof SignJwk>

/**
 * The public sealing key of a device: MLKEM768-X25519 as a JWK (draft-skokan-jose-hpke-pq-pqt);
 * `pub` has 1,216 bytes.
 */
export const SealJwk = Type.Object(
  {
    kty: Type.Literal('AKP'),
    alg: Type.Literal('HPKE-10'),
    pub: Type.String({ minLength: 1622, maxLength: 1622, pattern: '^[A-Za-z0-9_-]+$' }),
  },
  exactly,
)
export type SealJwk = Static<typeof SealJwk>

export const DeviceKeys = Type.Object({ sign: SignJwk, seal: SealJwk }, exactly)
export type DeviceKeys = Static<typeof DeviceKeys>

/**
 * ML-KEM-768 (FIPS 203): 768 coefficients of 12 bits below this number, and a seed of 32 bytes;
 * then the X25519 key of 32 bytes.
 */
const modulus = 3329
const coefficientBytes = 1152
const kemBytes = 1184

/**
 * The u-coordinates of the points of small order on Curve25519 (RFC 7748, section 6.1). They give
 * no secret.
 */
const smallOrder: ReadonlySet<string> = new Set([
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
])

/**
 * Demands that a public key can be sealed to: its ML-KEM part passes the modulus check of FIPS 203,
 * section 7.2, and its X25519 part is no point of small order. A bad key would prevent every epoch
 * from being opened. Throws `ProtocolError` KEY.
 */
export function requireSealKey({ pub }: SealJwk): void {
  const bytes = fromBase64url(pub)
  for (let i = 0; i < coefficientBytes; i += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(i, i + 3)
    const inRange = (a | ((b & 0x0f) << 8)) < modulus && ((b >> 4) | (c << 4)) < modulus
    demand(inRange, 'KEY', 'Nothing can be sealed to this key: it is no ML-KEM-768 public key.')
  }
  const point = bytes.slice(kemBytes)
  // RFC 7748, section 5: the highest bit of a coordinate is ignored.
  point[31] = (point[31] ?? 0) & 0x7f
  demand(!smallOrder.has(hex(point)), 'KEY', 'Nothing can be sealed to this key: its X25519 part has a small order.')
}

/**
 * Both private keys of a device, as JWKs, for its encrypted store and nothing else; `priv` is the
 * seed of 32 bytes.
 */
export interface DeviceSecrets {
  readonly sign: SignJwk & { readonly d: string }
  readonly seal: SealJwk & { readonly priv: string }
}

/** A device that can act: its id, its public keys, and its private keys, imported. */
export interface Device {
  readonly id: DeviceId
  readonly keys: DeviceKeys
  readonly signKey: CryptoKey
  readonly sealKey: SealPrivateKey
}

export async function deviceIdOf(sign: SignJwk): Promise<DeviceId> {
  return (await calculateJwkThumbprint(sign, 'sha256')) as DeviceId
}

/** Makes both key pairs of a new device. */
export async function generateDeviceSecrets(): Promise<DeviceSecrets> {
  const pair = await generateKeyPair('Ed25519', { extractable: true })
  const { x, d } = await exportJWK(pair.privateKey)
  demand(x !== undefined && d !== undefined, 'KEY', 'This platform made no Ed25519 key.')
  const { pub, seed } = await generateSealKeys()
  return {
    sign: { kty: 'OKP', crv: 'Ed25519', x, d },
    seal: { kty: 'AKP', alg: 'HPKE-10', pub: base64url(pub), priv: base64url(seed) },
  }
}

/** Imports the secrets of a device. */
export async function openDevice(secrets: DeviceSecrets): Promise<Device> {
  const { x, d } = secrets.sign
  const sign: SignJwk = { kty: 'OKP', crv: 'Ed25519', x }
  const seal: SealJwk = { kty: 'AKP', alg: 'HPKE-10', pub: secrets.seal.pub }
  return {
    id: await deviceIdOf(sign),
    keys: { sign, seal },
    signKey: await importJWK({ ...sign, d }, 'Ed25519'),
    sealKey: await importSealPrivateKey(fromBase64url(secrets.seal.priv)),
  }
}

/** Imports a public signing key to verify with. */
export async function importVerifyKey(sign: SignJwk): Promise<CryptoKey> {
  return await importJWK({ kty: sign.kty, crv: sign.crv, x: sign.x }, 'Ed25519')
}
