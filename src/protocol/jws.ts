import { CompactSign, type CryptoKey } from 'jose'
import { excessIn } from './bounded-json.ts'
import { base64url, fromBase64url, fromUtf8, utf8 } from './encoding.ts'
import { ProtocolError, demand } from './errors.ts'
import { verifyEd25519 } from './primitives.ts'

/** The types of signed objects. A signature for one type is not valid for another. */
export type StatementType =
  | 'cordon-device+jws'
  | 'cordon-revocation+jws'
  | 'cordon-invitation+jws'
  | 'cordon-import-key+jws'
  | 'cordon-enrolment+jws'
  | 'cordon-sign-in+jws'
  | 'cordon-root+jws'
  | 'cordon-member+jws'
  | 'cordon-epoch+jws'
  | 'cordon-message+jws'

declare const read: unique symbol

/**
 * A compact JWS that was read: its header and payload have the demanded form. Its signature was not
 * checked, and nothing that it says decides before `verifySignature`.
 */
export type ReadJws = string & { readonly [read]: true }

export interface SignedStatement<P> {
  readonly jws: ReadJws
  readonly kid: string
  readonly crt?: string
  readonly payload: P
}

const alg = 'Ed25519'
/**
 * The bounds of a payload: an epoch statement names 2,000 devices, a compartment as many people.
 */
const bounds = { deepest: 8, parts: 2_500 } as const
/** The bound of a header in characters; those that Cordon makes have fewer than 300. */
const mostHeaderCharacters = 1_024
const memberNames = new Set(['alg', 'typ', 'kid', 'crt'])

/**
 * Signs a compact JWS (RFC 7515) with Ed25519 (RFC 9864). `crt` is the SHA-256 of the certificate
 * of the signer.
 */
export function signStatement(
  typ: StatementType,
  payload: object,
  signer: { kid: string; key: CryptoKey; crt?: string },
): Promise<string> {
  const header =
    signer.crt === undefined ? { alg, typ, kid: signer.kid } : { alg, typ, kid: signer.kid, crt: signer.crt }
  return new CompactSign(utf8(JSON.stringify(payload))).setProtectedHeader(header).sign(signer.key)
}

/**
 * Reads a compact JWS without checking its signature. Demands the type and the shape of the header.
 * Throws `ProtocolError`.
 */
export function readStatement<P>(typ: StatementType, jws: string): SignedStatement<P> {
  const parts = jws.split('.')
  const [head = '', body = '', signature = ''] = parts
  demand(
    parts.length === 3 && head && body && signature,
    'STATEMENT_FORM',
    'A statement is a compact JWS of three parts.',
  )
  demand(head.length <= mostHeaderCharacters, 'STATEMENT_FORM', 'The header of a statement is short.')
  const header = parseObject(head)
  for (const name of Object.keys(header)) {
    demand(memberNames.has(name), 'STATEMENT_FORM', `A statement's header has no place for "${name}".`)
  }
  demand(header['alg'] === alg, 'STATEMENT_FORM', 'A statement is signed with Ed25519 and with nothing else.')
  demand(header['typ'] === typ, 'STATEMENT_FORM', `This must be a ${typ}.`)
  const { kid, crt } = header
  demand(typeof kid === 'string' && kid.length <= 64, 'STATEMENT_FORM', 'A statement names the device that signed it.')
  demand(crt === undefined || typeof crt === 'string', 'STATEMENT_FORM', 'crt is the SHA-256 of a certificate.')
  fromBase64url(signature)
  const payload = parseObject(body) as P
  const statement = { jws: jws as ReadJws, kid, payload }
  return crt === undefined ? statement : { ...statement, crt }
}

/**
 * The hash of the certificate that the header of a statement names; undefined where it names none.
 * Checks nothing else.
 */
export function certificateNamedBy(jws: string): string | undefined {
  const { crt } = parseObject(jws.split('.', 1)[0] ?? '')
  return typeof crt === 'string' ? crt : undefined
}

/**
 * Checks the signature of a statement that was read, with a key that the caller has found by
 * itself, never one that the statement brings. `ProtocolError` SIGNATURE where it does not hold.
 */
export async function verifySignature(statement: { readonly jws: ReadJws }, key: CryptoKey): Promise<void> {
  const { jws } = statement
  const known = verified.get(statement)
  if (known?.jws === jws && known.key === key) return
  const dot = jws.lastIndexOf('.')
  const signature = fromBase64url(jws.slice(dot + 1))
  // The algorithm is named here, and never by the header.
  demand(await verifyEd25519(key, signature, utf8(jws.slice(0, dot))), 'SIGNATURE', 'The signature does not match.')
  verified.set(statement, { jws, key })
}

// That a signature holds is a fact about a text and a key. Clients of one process share what was
// read, and each asks this of it.
const verified = new WeakMap<{ readonly jws: ReadJws }, { readonly jws: ReadJws; readonly key: CryptoKey }>()

/**
 * Reads a JSON object from base64url. Only one spelling is accepted, so that bytes and meaning
 * cannot differ.
 */
function parseObject(part: string): Record<string, unknown> {
  const text = fromUtf8(fromBase64url(part))
  demand(
    excessIn(text, bounds) === undefined,
    'STATEMENT_FORM',
    'A statement is no deeper and longer than any that there is.',
  )
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ProtocolError('STATEMENT_FORM', 'A statement holds JSON.', { cause })
  }
  demand(
    value !== null && typeof value === 'object' && !Array.isArray(value),
    'STATEMENT_FORM',
    'A statement holds a JSON object.',
  )
  demand(
    base64url(utf8(JSON.stringify(value))) === part,
    'STATEMENT_FORM',
    'A statement is JSON without white space or doubled names.',
  )
  return value as Record<string, unknown>
}
