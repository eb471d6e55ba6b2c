import { compactDecrypt, type CryptoKey, type KeyObject } from 'jose'
import { fromBase64url, fromUtf8, utf8, type Bytes } from './encoding.ts'

// Web Crypto hands each signature and each body to another thread, which for a few kilobytes costs
// more than the work itself. Node offers both at once, where they are used; a browser uses Web
// Crypto. The two answer alike.
const atHand = globalThis.process?.getBuiltinModule?.('node:crypto')
type NodeCrypto = NonNullable<typeof atHand>
type NodeKey = ReturnType<NodeCrypto['createSecretKey']>
const keyObjects = new WeakMap<CryptoKey, NodeKey>()

/**
 * A content key that is imported once, to open bodies with: a key of Node or of Web Crypto, in
 * the words of jose, so that the declarations of the SDK need no types of Node.
 */
export type OpeningKey = CryptoKey | KeyObject

export async function importOpeningKey(bytes: Bytes): Promise<OpeningKey> {
  if (atHand !== undefined) return atHand.createSecretKey(bytes)
  return crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, ['decrypt'])
}

function keyObjectOf({ KeyObject }: NodeCrypto, key: CryptoKey) {
  let found = keyObjects.get(key)
  if (found === undefined) keyObjects.set(key, (found = KeyObject.from(key)))
  return found
}

/** Whether an Ed25519 signature (RFC 8032) holds; false for a key of another kind. */
export async function verifyEd25519(key: CryptoKey, signature: Bytes, data: Bytes): Promise<boolean> {
  // Node gives up taking a key over that may not be exported (DEP0204); those of others may.
  if (atHand === undefined || !key.extractable) return verifyWithWebCrypto(key, signature, data)
  const fits = key.algorithm.name === 'Ed25519' && key.type === 'public' && key.usages.includes('verify')
  return fits && atHand.verify(null, data, keyObjectOf(atHand, key), signature)
}

export function verifyWithWebCrypto(key: CryptoKey, signature: Bytes, data: Bytes): Promise<boolean> {
  return crypto.subtle.verify('Ed25519', key, signature, data).catch(() => false)
}

/**
 * Opens a compact JWE (RFC 7516) that is sealed with `dir` and `A256GCM` (RFC 7518, 4.5 and 5.3).
 * The key comes as 32 bytes, or imported. Throws where the form, the header, the key or the tag is
 * wrong.
 */
export async function openDirect(jwe: string, key: Bytes | OpeningKey): Promise<Bytes> {
  if (atHand === undefined) return openWithJose(jwe, key)
  const [head = '', wrapped, nonce = '', ciphertext = '', tag = '', ...more] = jwe.split('.')
  const header = JSON.parse(fromUtf8(fromBase64url(head))) as Record<string, unknown>
  const known = header['alg'] === 'dir' && header['enc'] === 'A256GCM'
  // A header that changes how the rest is read is none of ours.
  const plain = header['zip'] === undefined && header['crit'] === undefined
  if (!known || !plain || wrapped !== '' || more.length > 0) throw new TypeError('this is no JWE with a direct key')
  const bytes = { nonce: fromBase64url(nonce), tag: fromBase64url(tag) }
  if (bytes.nonce.length !== 12 || bytes.tag.length !== 16)
    throw new TypeError('the nonce or the tag has another length')
  const secret = key instanceof Uint8Array ? atHand.createSecretKey(key) : (key as NodeKey)
  const opening = atHand.createDecipheriv('aes-256-gcm', secret, bytes.nonce, { authTagLength: 16 })
  opening.setAAD(utf8(head)).setAuthTag(bytes.tag)
  const opened = opening.update(fromBase64url(ciphertext))
  opening.final()
  return new Uint8Array(opened)
}

export async function openWithJose(jwe: string, key: Bytes | OpeningKey): Promise<Bytes> {
  const only = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] }
  return new Uint8Array((await compactDecrypt(jwe, key, only)).plaintext)
}
