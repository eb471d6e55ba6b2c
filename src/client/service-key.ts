import { SignJWT, exportJWK, generateKeyPair, importJWK, type JWK } from 'jose'
import { base64url, type Random, type SignJwk } from '../protocol/index.ts'

/** The key with which a service account signs in: Ed25519, used for nothing else. */
export type SignInKey = SignJwk & { readonly d: string }

/** The name of that key in a store. */
export const signInKeyName = 'sign-in-key'

/** RFC 7523, section 2.2. */
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** The lifetime of an assertion. */
const assertionSeconds = 60

export async function makeSignInKey(): Promise<SignInKey> {
  const { privateKey } = await generateKeyPair('Ed25519', { extractable: true })
  const { x = '', d = '' } = await exportJWK(privateKey)
  return { kty: 'OKP', crv: 'Ed25519', x, d }
}

export const publicPartOf = ({ kty, crv, x }: SignInKey): SignJwk => ({ kty, crv, x })

/**
 * The credentials of a service account (`private_key_jwt`, RFC 7523): an assertion for this service
 * alone, bound to the key of the new session, valid once and for a minute.
 */
export async function signInWithKey(
  key: SignInKey,
  { account, server, thumbprint }: { account: string; server: string; thumbprint: string },
  at: Date,
  random: Random,
): Promise<object> {
  const seconds = Math.floor(at.getTime() / 1000)
  const assertion = await new SignJWT({ cnf: { jkt: thumbprint }, jti: base64url(random(16)) })
    .setProtectedHeader({ alg: 'Ed25519', typ: 'client-authentication+jwt' })
    .setIssuer(account)
    .setSubject(account)
    .setAudience(server)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + assertionSeconds)
    .sign(await importJWK(key as JWK, 'Ed25519'))
  return { grant_type: 'client_credentials', client_assertion_type: assertionType, client_assertion: assertion }
}
