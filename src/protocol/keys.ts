import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type CryptoKey } from 'jose'
import { Type, type Static } from 'typebox'
import { base64url, fromBase64url } from './encoding.ts'
import { demand } from './errors.ts'
import { generateSealKeys, importSealPrivateKey, type SealPrivateKey } from './hpke.ts'
import type { DeviceId } from './ids.ts'

const exactly = { additionalProperties: false }

/** A device's public signing key: Ed25519 as a JWK (RFC 8037). */
export const SignJwk = Type.Object(
  { kty: Type.Literal('OKP'), crv: Type.Literal('Ed25519'), x: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }) },
  exactly,
)
export type SignJwk = Static<typeof SignJwk>

/** A device's public sealing key: MLKEM768-X25519 as a JWK (draft-skokan-jose-hpke-pq-pqt); `pub` is 1,216 bytes. */
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

/** Both private keys of a device, as JWKs, for its encrypted store and for nothing else; `priv` is the 32-byte seed. */
export interface DeviceSecrets {
  readonly sign: SignJwk & { readonly d: string }
  readonly seal: SealJwk & { readonly priv: string }
}

/** A device that can act: its id, its public keys, and its private keys ready for use. */
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

/** A device from its stored secrets. */
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

/** A public signing key, ready to verify with. */
export async function importVerifyKey(sign: SignJwk): Promise<CryptoKey> {
  return await importJWK({ kty: sign.kty, crv: sign.crv, x: sign.x }, 'Ed25519')
}
