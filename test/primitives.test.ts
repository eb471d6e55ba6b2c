// What this holds: a signature holds, and a sealed body opens, with Node's own primitives exactly
// where Web Crypto says so, so that a browser and the service never disagree about an entry.
import type { webcrypto } from 'node:crypto'
import { CompactEncrypt, type CryptoKey } from 'jose'
import t from 'tap'
import { base64url, fromBase64url, utf8, type Bytes } from '../src/protocol/encoding.ts'
import { readStatement, signStatement, verifySignature } from '../src/protocol/jws.ts'
import {
  importOpeningKey,
  openDirect,
  openWithJose,
  verifyEd25519,
  verifyWithWebCrypto,
} from '../src/protocol/primitives.ts'

const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length))

// Bites: verifyEd25519
t.test('a signature holds by both or by neither', async (t) => {
  const { publicKey, privateKey } = (await crypto.subtle.generateKey('Ed25519', true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair
  const other = (await crypto.subtle.generateKey('Ed25519', false, ['sign', 'verify'])) as webcrypto.CryptoKeyPair
  const agreement = (await crypto.subtle.generateKey('X25519', false, ['deriveBits'])) as webcrypto.CryptoKeyPair
  const ecdsa = { name: 'ECDSA', namedCurve: 'P-256' }
  const elliptic = await crypto.subtle.generateKey(ecdsa, false, ['sign', 'verify'])
  const raw = { name: 'Ed25519' }
  const bytes = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey))
  const useless = await crypto.subtle.importKey('raw', bytes, raw, true, [])
  // A point of small order, and a coordinate that is none.
  const small = await crypto.subtle.importKey('raw', new Uint8Array(32), raw, true, ['verify'])
  const beyond = await crypto.subtle.importKey('raw', new Uint8Array(32).fill(255), raw, true, ['verify'])
  const data = utf8('one statement')
  const signature: Bytes = new Uint8Array(await crypto.subtle.sign('Ed25519', privateKey, data))
  const flipped = (at: number) => signature.map((byte, i) => (i === at ? byte ^ 1 : byte))
  // s + L: the same residue, written with a scalar that is not below the order of the group.
  const order = 2n ** 252n + 27742317777372353535851937790883648493n
  const scalar = BigInt(`0x${Buffer.from(signature.slice(32).toReversed()).toString('hex')}`)
  const larger = Buffer.from((scalar + order).toString(16).padStart(64, '0'), 'hex').reverse()
  const cases: [string, CryptoKey, Bytes, Bytes][] = [
    ['as it was signed', publicKey, signature, data],
    ['other words', publicKey, signature, utf8('another statement')],
    ['no words', publicKey, signature, new Uint8Array()],
    ['a bit of the point', publicKey, flipped(0), data],
    ['a bit of the scalar', publicKey, flipped(40), data],
    ['a scalar beyond the order', publicKey, Uint8Array.from([...signature.slice(0, 32), ...larger]), data],
    ['too short', publicKey, signature.slice(0, 63), data],
    ['too long', publicKey, Uint8Array.from([...signature, 0]), data],
    ['empty', publicKey, new Uint8Array(), data],
    ['zeros', publicKey, new Uint8Array(64), data],
    ['zeros under a key of small order', small, new Uint8Array(64), data],
    ['under a key that is no point', beyond, signature, data],
    ['another key', other.publicKey, signature, data],
    ['the private key', privateKey, signature, data],
    ['a key for nothing', useless, signature, data],
    ['a key of agreement', agreement.publicKey, signature, data],
    ['a key of ECDSA', elliptic.publicKey, signature, data],
  ]
  for (const [what, key, signed, over] of cases)
    t.equal(await verifyEd25519(key, signed, over), await verifyWithWebCrypto(key, signed, over), what)
  t.equal(await verifyEd25519(publicKey, signature, data), true)
})

const outcome = async (opening: Promise<Bytes>) =>
  opening.then(
    (bytes) => base64url(bytes),
    () => 'refused',
  )

// Bites: openDirect
t.test('a body opens by both or by neither', async (t) => {
  const secret = random(32)
  const imported = await importOpeningKey(secret)
  const short = random(16)
  const seal = (header: object, key = secret, text = 'a body') =>
    new CompactEncrypt(utf8(text)).setProtectedHeader(header as { alg: string; enc: string }).encrypt(key)
  const direct = { alg: 'dir', enc: 'A256GCM', typ: 'cordon-body+jwe' }
  const jwe = await seal(direct)
  const parts = jwe.split('.')
  const with_ = (at: number, text: string) => parts.map((part, i) => (i === at ? text : part)).join('.')
  const changed = (at: number, length?: number) => {
    const bytes = fromBase64url(parts[at] ?? '')
    return with_(
      at,
      base64url(length === undefined ? bytes.map((byte, i) => (i === 0 ? byte ^ 1 : byte)) : random(length)),
    )
  }
  const head = (header: object) => with_(0, base64url(utf8(JSON.stringify(header))))
  const cases: [string, string][] = [
    ['as it was sealed', jwe],
    ['nothing in it', await seal(direct, secret, '')],
    ['another key', await seal(direct, random(32))],
    ['a shorter key', await seal({ alg: 'dir', enc: 'A128GCM' }, short)],
    ['a bit of the nonce', changed(2)],
    ['a longer nonce', changed(2, 16)],
    ['no nonce', with_(2, '')],
    ['a bit of the text', changed(3)],
    ['no text', with_(3, '')],
    ['a bit of the tag', changed(4)],
    ['a shorter tag', with_(4, base64url(fromBase64url(parts[4] ?? '').slice(0, 12)))],
    ['no tag', with_(4, '')],
    ['a wrapped key', with_(1, 'AAAA')],
    ['another algorithm', head({ ...direct, alg: 'A256GCMKW' })],
    ['another content encryption', head({ ...direct, enc: 'A256CBC-HS512' })],
    ['another type', head({ ...direct, typ: 'x' })],
    ['compressed', head({ ...direct, zip: 'DEF' })],
    ['critical', head({ ...direct, crit: ['exp'], exp: 1 })],
    ['a header that is no object', with_(0, base64url(utf8('7')))],
    ['a header that is null', with_(0, base64url(utf8('null')))],
    ['a header that is no JSON', with_(0, base64url(utf8('{')))],
    ['four parts', parts.slice(0, 4).join('.')],
    ['six parts', `${jwe}.`],
    ['empty', ''],
    ['text that is not base64url', with_(3, '+/==')],
    ['padding', with_(4, `${parts[4] ?? ''}=`)],
  ]
  for (const [what, text] of cases) {
    const expected = await outcome(openWithJose(text, secret))
    t.equal(await outcome(openDirect(text, secret)), expected, what)
    t.equal(await outcome(openDirect(text, imported)), expected, `${what}, by an imported key`)
  }
  t.equal(await outcome(openDirect(jwe, secret)), base64url(utf8('a body')))
  t.equal(await outcome(openDirect(jwe, short)), 'refused', 'a key of another length')
})

// Bites: verified
t.test('that a signature held once says nothing of another key or of another text', async (t) => {
  const pair = () => crypto.subtle.generateKey('Ed25519', true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>
  const [own, other] = await Promise.all([pair(), pair()])
  const signer = { kid: 'a'.repeat(43), key: own.privateKey }
  const sign = (words: string) => signStatement('cordon-message+jws', { words }, signer)
  const statement = readStatement('cordon-message+jws', await sign('one'))
  await verifySignature(statement, own.publicKey)
  await verifySignature(statement, own.publicKey)
  await t.rejects(verifySignature(statement, other.publicKey), { code: 'SIGNATURE' })
  const [head = '', , signature = ''] = statement.jws.split('.')
  const changed = `${head}.${(await sign('two')).split('.')[1] ?? ''}.${signature}` as typeof statement.jws
  await t.rejects(verifySignature(Object.assign(statement, { jws: changed }), own.publicKey), { code: 'SIGNATURE' })
})
