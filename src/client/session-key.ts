import { SignJWT, calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type CryptoKey, type JWK } from 'jose'
import { base64url, sha256, utf8, type Random } from '../protocol/index.ts'

/** The key that proves possession of a session (DPoP, RFC 9449): Ed25519, made for one session. */
export interface SessionKey {
  readonly publicJwk: JWK
  readonly thumbprint: string
  readonly key: CryptoKey
}

/** A session key in a store: as a key object where the store holds keys, else as a private JWK. */
export type StoredSessionKey = { readonly key: CryptoKey; readonly publicJwk: JWK } | { readonly jwk: JWK }

export async function makeSessionKey(extractable: boolean): Promise<{ key: SessionKey; stored: StoredSessionKey }> {
  const pair = await generateKeyPair('Ed25519', { extractable })
  const { kty = '', crv = '', x = '' } = await exportJWK(pair.publicKey)
  const publicJwk = { kty, crv, x }
  const key = { publicJwk, thumbprint: await calculateJwkThumbprint(publicJwk, 'sha256'), key: pair.privateKey }
  return {
    key,
    stored: extractable ? { jwk: await exportJWK(pair.privateKey) } : { key: pair.privateKey, publicJwk },
  }
}

export async function openSessionKey(stored: StoredSessionKey): Promise<SessionKey> {
  const { kty = '', crv = '', x = '' } = 'jwk' in stored ? stored.jwk : stored.publicJwk
  const publicJwk = { kty, crv, x }
  const key = 'jwk' in stored ? ((await importJWK(stored.jwk, 'Ed25519')) as CryptoKey) : stored.key
  return { publicJwk, thumbprint: await calculateJwkThumbprint(publicJwk, 'sha256'), key }
}

/**
 * Makes a DPoP proof for one request: over its method and its address without query, and bound to
 * the access token where there is one.
 */
export async function proveRequest(
  key: SessionKey,
  request: { method: string; url: string; token?: string },
  at: Date,
  random: Random,
): Promise<string> {
  const { method: htm, url: htu, token } = request
  const claims = { htm, htu, jti: base64url(random(16)) }
  const bound = token === undefined ? claims : { ...claims, ath: base64url(await sha256(utf8(token))) }
  return new SignJWT(bound)
    .setProtectedHeader({ alg: 'Ed25519', typ: 'dpop+jwt', jwk: key.publicJwk })
    .setIssuedAt(Math.floor(at.getTime() / 1000))
    .sign(key.key)
}
