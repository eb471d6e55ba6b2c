import * as HPKE from 'hpke'
import { base64url, fromBase64url, fromUtf8, utf8, type Bytes } from './encoding.ts'
import { ProtocolError, demand } from './errors.ts'

/** HPKE-10 of draft-skokan-jose-hpke-pq-pqt: MLKEM768-X25519, SHAKE256, AES-256-GCM. */
const suite = new HPKE.CipherSuite(HPKE.KEM_MLKEM768_X25519, HPKE.KDF_SHAKE256, HPKE.AEAD_AES_256_GCM)

const alg = 'HPKE-10'
const encapsulatedBytes = 1120

export type SealPrivateKey = HPKE.Key
export type SealPublicKey = HPKE.Key

/** The types of objects that are sealed to a device. */
export type SealedType = 'cordon-grant+jwe' | 'cordon-invitation+jwe' | 'cordon-import+jwe'

/**
 * The clear header of a sealed object, beside its type and algorithm; `kid` is the id of the
 * recipient device.
 */
export type SealedHeader = { readonly kid: string } & Readonly<Record<string, string | number>>

/** Makes a key pair: the public key has 1,216 bytes, the seed of the private key 32. */
export async function generateSealKeys(): Promise<{ pub: Bytes; seed: Bytes }> {
  const pair = await suite.GenerateKeyPair(true)
  const pub = new Uint8Array(await suite.SerializePublicKey(pair.publicKey))
  return { pub, seed: new Uint8Array(await suite.SerializePrivateKey(pair.privateKey)) }
}

export function importSealPrivateKey(seed: Uint8Array): Promise<SealPrivateKey> {
  return suite.DeserializePrivateKey(seed)
}

export async function importSealPublicKey(pub: string): Promise<SealPublicKey> {
  try {
    return await suite.DeserializePublicKey(fromBase64url(pub))
  } catch (cause) {
    throw new ProtocolError('KEY', 'This is no MLKEM768-X25519 public key.', { cause })
  }
}

/**
 * Seals bytes to one device: a compact JWE in the integrated mode of HPKE
 * (draft-ietf-jose-hpke-encrypt), with no `enc`, the encapsulated secret as encrypted key, empty IV
 * and tag, and the encoded header as additional data.
 */
export async function sealTo(
  typ: SealedType,
  header: SealedHeader,
  to: SealPublicKey,
  plaintext: Uint8Array,
): Promise<string> {
  const encoded = base64url(utf8(JSON.stringify({ alg, typ, ...header })))
  const { encapsulatedSecret, ciphertext } = await suite.Seal(to, plaintext, { aad: utf8(encoded) })
  return `${encoded}.${base64url(encapsulatedSecret)}..${base64url(ciphertext)}.`
}

/**
 * Reads the header of a sealed object and demands its type, its algorithm and its form; opens
 * nothing. Throws `ProtocolError`.
 */
export function readSealed(typ: SealedType, jwe: string): Record<string, unknown> {
  const parts = jwe.split('.')
  const [head = '', secret = '', iv, ciphertext = '', tag] = parts
  demand(
    parts.length === 5 && iv === '' && tag === '',
    'SEALED_FORM',
    'A sealed object is a compact JWE without IV and tag.',
  )
  demand(
    fromBase64url(secret).length === encapsulatedBytes,
    'SEALED_FORM',
    'The encapsulated secret has the wrong length.',
  )
  demand(fromBase64url(ciphertext).length > 16, 'SEALED_FORM', 'There is nothing in this sealed object.')
  let header: unknown
  try {
    header = JSON.parse(fromUtf8(fromBase64url(head)))
  } catch (cause) {
    throw new ProtocolError('SEALED_FORM', 'A sealed object begins with a JSON header.', { cause })
  }
  demand(
    header !== null && typeof header === 'object' && !Array.isArray(header),
    'SEALED_FORM',
    'A JWE header is an object.',
  )
  const named = header as Record<string, unknown>
  demand(named['alg'] === alg && named['typ'] === typ, 'SEALED_FORM', `This must be a ${typ} sealed with ${alg}.`)
  demand(
    named['crit'] === undefined && named['zip'] === undefined,
    'SEALED_FORM',
    'Nothing is critical or compressed here.',
  )
  return named
}

/**
 * Opens an object that was sealed to this device. Every named member of the header must be the
 * expected one. Throws `ProtocolError`.
 */
export async function openSealed(
  typ: SealedType,
  expected: SealedHeader,
  key: SealPrivateKey,
  jwe: string,
): Promise<Bytes> {
  const header = readSealed(typ, jwe)
  for (const [name, value] of Object.entries(expected)) {
    demand(header[name] === value, 'SEALED_HEADER', `This was sealed with another ${name}.`)
  }
  const [head = '', secret = '', , ciphertext = ''] = jwe.split('.')
  try {
    return new Uint8Array(await suite.Open(key, fromBase64url(secret), fromBase64url(ciphertext), { aad: utf8(head) }))
  } catch (cause) {
    throw new ProtocolError('SEALED_OPEN', 'This cannot be opened with the key of this device.', { cause })
  }
}
