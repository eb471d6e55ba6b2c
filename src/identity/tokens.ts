import { createHash, createHmac } from 'node:crypto'
import {
  SignJWT,
  calculateJwkThumbprint,
  decodeProtectedHeader,
  importJWK,
  jwtVerify,
  type CryptoKey,
  type JWK,
} from 'jose'
import { Problem } from '../errors.ts'
import type { Caller } from '../log/index.ts'
import { base64url, equalBytes, fromBase64url, isUuid } from '../protocol/index.ts'

/** Lifetimes in seconds. */
export const lifetimes = { access: 300, session: 30 * 24 * 3600, proof: 60, ticket: 30, refreshRepeat: 30 } as const

export interface TokenKey {
  /** Signs access tokens (Ed25519); the key has no other use. */
  readonly sign: CryptoKey
  readonly verify: CryptoKey
  /** RFC 7638, of the public key. */
  readonly thumbprint: string
  /**
   * Derives each refresh token from the one before it, so that a repetition gets the answer of the
   * first exchange and nothing is stored.
   */
  readonly refresh: Uint8Array
}

const alg = 'Ed25519'
const accessType = 'at+jwt'
const proofType = 'dpop+jwt'

/**
 * Makes an access token (RFC 9068) bound to the session's key (RFC 9449): it holds at most five
 * minutes.
 */
export function issueAccessToken(
  key: TokenKey,
  issuer: string,
  acting: Caller,
  thumbprint: string,
  jti: string,
  now: Date,
): Promise<string> {
  const seconds = Math.floor(now.getTime() / 1000)
  return new SignJWT({
    sid: acting.session,
    org: acting.organization,
    dev: acting.device,
    client_id: 'cordon',
    cnf: { jkt: thumbprint },
  })
    .setProtectedHeader({ alg, typ: accessType })
    .setIssuer(issuer)
    .setAudience(issuer)
    .setSubject(acting.person)
    .setJti(jti)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + lifetimes.access)
    .sign(key.sign)
}

export interface AccessToken extends Caller {
  readonly thumbprint: string
}

/** Verifies an access token; UNAUTHENTICATED for every fault of it. */
export async function verifyAccessToken(key: TokenKey, issuer: string, token: string, now: Date): Promise<AccessToken> {
  try {
    const { payload } = await jwtVerify(token, key.verify, {
      algorithms: [alg],
      typ: accessType,
      issuer,
      audience: issuer,
      currentDate: now,
      requiredClaims: ['exp', 'iat', 'sub', 'jti', 'sid', 'dev', 'org', 'cnf'],
      maxTokenAge: lifetimes.access,
    })
    const { sub, sid, dev, org, cnf } = payload as Record<string, unknown>
    const jkt = (cnf as { jkt?: unknown } | undefined)?.jkt
    if (!isUuid(sub) || !isUuid(sid) || !isUuid(org) || typeof dev !== 'string' || typeof jkt !== 'string')
      throw new Error('claims')
    return { person: sub, session: sid, organization: org, device: dev, thumbprint: jkt }
  } catch (cause) {
    throw new Problem('UNAUTHENTICATED', { cause })
  }
}

export interface ProvedRequest {
  readonly method: string
  /** The address without its query, as the client knows it. */
  readonly url: string
  readonly proof: string | undefined
  /** The access token that the proof must be bound to; undefined where none exists yet. */
  readonly token: string | undefined
}

/**
 * Checks a DPoP proof (RFC 9449, section 4.3). The caller still has to record its `jti` as seen.
 */
export async function verifyProof(request: ProvedRequest, now: Date): Promise<{ thumbprint: string; jti: string }> {
  if (request.proof === undefined) throw new Problem('UNAUTHENTICATED')
  try {
    const { jwk } = decodeProtectedHeader(request.proof)
    const { kty, crv, x } = (jwk ?? {}) as JWK
    if (kty !== 'OKP' || crv !== 'Ed25519' || typeof x !== 'string' || 'd' in (jwk ?? {})) throw new Error('key')
    const publicJwk: JWK = { kty, crv, x }
    const key = (await importJWK(publicJwk, alg)) as CryptoKey
    const { payload, protectedHeader } = await jwtVerify(request.proof, key, {
      algorithms: [alg],
      typ: proofType,
      currentDate: now,
      requiredClaims: ['htm', 'htu', 'iat', 'jti'],
      maxTokenAge: lifetimes.proof,
      clockTolerance: 5,
    })
    const { htm, htu, jti, ath } = payload as Record<string, unknown>
    if (protectedHeader.crit !== undefined || htm !== request.method || htu !== request.url) throw new Error('request')
    if (typeof jti !== 'string' || jti.length < 16 || jti.length > 128) throw new Error('jti')
    const expected =
      request.token === undefined ? undefined : base64url(createHash('sha256').update(request.token).digest())
    if (ath !== expected) throw new Error('ath')
    return { thumbprint: await calculateJwkThumbprint(publicJwk, 'sha256'), jti }
  } catch (cause) {
    throw new Problem('UNAUTHENTICATED', { cause })
  }
}

/** Answers the SHA-256 by which tokens, tickets and proofs are recognised without being stored. */
export function hashSecret(secret: string): Buffer {
  return createHash('sha256').update(secret).digest()
}

/** Answers the refresh token that follows a token: one token has one successor. */
export function nextRefreshToken(key: TokenKey, token: string): string {
  return base64url(createHmac('sha256', key.refresh).update('cordon refresh token\n').update(token).digest())
}

export function sameSecret(a: Uint8Array, b: Uint8Array): boolean {
  return equalBytes(a, b)
}

/** Answers a secret of 32 bytes from base64url; undefined where the text is none. */
export function parseSecret(text: string): Uint8Array | undefined {
  try {
    const bytes = fromBase64url(text)
    return bytes.length === 32 ? bytes : undefined
  } catch {
    return undefined
  }
}
