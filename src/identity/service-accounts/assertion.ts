import { decodeJwt, jwtVerify } from 'jose'
import { Problem } from '../../errors.ts'
import { SignJwk, importVerifyKey, isUuid, shape } from '../../protocol/index.ts'

/** RFC 7523, section 2.2. */
export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** Seconds that an assertion lives at most. */
export const assertionLifetimeSeconds = 60

const parseKey = shape('key of a service account', SignJwk)

/** The account that an assertion names, before anything of it is believed. */
export function accountOf(assertion: string): string | undefined {
  try {
    const { sub } = decodeJwt(assertion)
    return isUuid(sub) ? sub : undefined
  } catch {
    return undefined
  }
}

export interface ExpectedAssertion {
  readonly account: string
  /** Public JWK of the account, as it is stored. */
  readonly key: string
  /** The service as clients know it: the one audience. */
  readonly audience: string
  /** Thumbprint of the session key that the assertion must be bound to. */
  readonly thumbprint: string
}

/**
 * Verifies a client assertion (RFC 7523 with the audience of rfc7523bis: the issuer alone, so that
 * what was made for one service is worth nothing at another); everything that is wrong with it is
 * SIGN_IN_REFUSED. Its `jti` still has to be recorded as seen.
 */
export async function verifyAssertion(
  assertion: string,
  expected: ExpectedAssertion,
  now: Date,
): Promise<{ jti: string }> {
  const { account, key, audience, thumbprint } = expected
  try {
    const { payload, protectedHeader } = await jwtVerify(assertion, await importVerifyKey(parseKey(JSON.parse(key))), {
      algorithms: ['Ed25519'],
      typ: 'client-authentication+jwt',
      issuer: account,
      subject: account,
      audience,
      currentDate: now,
      requiredClaims: ['iss', 'sub', 'aud', 'iat', 'exp', 'jti', 'cnf'],
      maxTokenAge: assertionLifetimeSeconds,
      clockTolerance: 5,
    })
    const { aud, jti, cnf } = payload as Record<string, unknown>
    const bound = (cnf as { jkt?: unknown }).jkt === thumbprint
    const single = typeof jti === 'string' && jti.length >= 16 && jti.length <= 128
    if (protectedHeader.crit !== undefined || aud !== audience || !bound || !single) throw new Error('claims')
    return { jti }
  } catch (cause) {
    throw new Problem('SIGN_IN_REFUSED', { cause })
  }
}
