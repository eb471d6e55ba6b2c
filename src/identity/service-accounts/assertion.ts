import { decodeJwt, jwtVerify } from 'jose'
import { Problem } from '../../errors.ts'
import { SignJwk, importVerifyKey, isUuid, shape } from '../../protocol/index.ts'

/** RFC 7523, section 2.2. */
export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'
/** The longest time that an assertion holds. */
export const assertionLifetimeSeconds = 60

const parseKey = shape('key of a service account', SignJwk)

/**
 * Answers the account that an assertion names, before anything of it is verified; undefined where
 * it cannot be read.
 */
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
 * an assertion for one service is worth nothing at another). SIGN_IN_REFUSED for every fault of it.
 * The caller still has to record its `jti` as seen.
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
