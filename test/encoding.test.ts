// What this holds: base64url has one text for each byte string, and Node and a browser read and
// write it alike.
import fc from 'fast-check'
import t from 'tap'
import {
  base64,
  base64url,
  decodeBase64url,
  encodeBase64url,
  fromBase64,
  fromBase64url,
  type Bytes,
} from '../src/protocol/encoding.ts'

const bytes = fc.uint8Array({ maxLength: 80 }) as fc.Arbitrary<Bytes>
const alphabet = [...'ABab01-_+/= é\n']
const texts = fc.oneof(
  fc.string(),
  fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 12 }),
  bytes.map(encodeBase64url),
)

/** The bytes of a text, or the sentence of its fault. */
const outcome = (decode: (text: string) => Bytes, text: string): string => {
  try {
    return `bytes ${decode(text).join(' ')}`
  } catch (error) {
    return (error as Error).message
  }
}

// Bites: src/protocol/encoding.ts, `encodeBase64url` and `decodeBase64url`.
t.test('bytes are written alike by Node and without it, and read again', async (t) => {
  fc.assert(
    fc.property(bytes, (some) => {
      const text = base64url(some)
      t.equal(text, encodeBase64url(some))
      t.equal(text, Buffer.from(some).toString('base64url'))
      t.same(fromBase64url(text), some)
      t.same(decodeBase64url(text), some)
      t.same(fromBase64(base64(some)), some)
    }),
    { numRuns: 60 },
  )
  const shared = new Uint8Array(64).fill(7)
  t.equal(base64url(shared.subarray(3, 6)), 'BwcH', 'a part of a buffer, and no more of it')
})

t.test('a text that is no base64url has the fault that it has without Node', async (t) => {
  fc.assert(
    fc.property(texts, (text) => t.equal(outcome(fromBase64url, text), outcome(decodeBase64url, text))),
    { numRuns: 300 },
  )
  for (const text of ['A', 'AB', 'AA==', 'A+/A', ' AAAA', 'AAA\n', 'AAÁA']) t.throws(() => fromBase64url(text), text)
})

t.test('the bytes that are read are nobody else’s', async (t) => {
  const read = fromBase64url('AAEC')
  t.equal(read.buffer.byteLength, 3)
  t.equal(Object.getPrototypeOf(read), Uint8Array.prototype)
})
