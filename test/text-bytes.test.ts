// What this holds: the text of a file is UTF-8 to its last byte, a byte order mark is no part of
// it, and a fault is named by its place.
// What makes it fail: a decoder that puts U+FFFD where bytes are wrong, or a place that is counted
// otherwise.
import fc from 'fast-check'
import t from 'tap'
import { NotUtf8, readText } from '../src/protocol/index.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)
const joined = (...parts: readonly (string | readonly number[])[]) =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === 'string' ? [...bytesOf(part)] : part)))

t.test('UTF-8 is read as it is, without a byte order mark', async (t) => {
  for (const text of ['', 'a', 'Łódź ß\r\n漢字 😀', 'a\uFEFFb', '\uFFFD', 'a\u0000b']) {
    t.equal(readText(bytesOf(text)), text)
    t.equal(readText(joined([0xef, 0xbb, 0xbf], text)), text)
  }
  t.equal(readText(joined([0xef, 0xbb, 0xbf], '\uFEFFa')), '\uFEFFa', 'only one mark is the mark of the file')
})

// Bites: `NotUtf8`, which names the first byte that is wrong.
t.test('what is no UTF-8 is refused with its place', async (t) => {
  const wrong: [Uint8Array, { offset: number; line: number; column: number }][] = [
    [joined([0xe9]), { offset: 0, line: 1, column: 1 }],
    [joined('caf', [0xe9], ' noir'), { offset: 3, line: 1, column: 4 }],
    [joined('é€\n', 'ab', [0xff, 0xfe]), { offset: 8, line: 2, column: 3 }],
    [joined('one\r\ntwo\r\n', [0x80]), { offset: 10, line: 3, column: 1 }],
    [joined('\uFFFD\uFFFDx', [0xc0, 0xaf]), { offset: 7, line: 1, column: 4 }],
    [joined([0xef, 0xbb, 0xbf], 'ab', [0xed, 0xa0, 0x80]), { offset: 5, line: 1, column: 3 }],
    [joined('😀', [0xf0, 0x9f, 0x98]), { offset: 4, line: 1, column: 2 }],
    [joined([0xff, 0xfe, 0x61, 0x00]), { offset: 0, line: 1, column: 1 }],
    [joined('a', [0xf5, 0x80, 0x80, 0x80]), { offset: 1, line: 1, column: 2 }],
  ]
  for (const [bytes, place] of wrong) t.throws(() => readText(bytes), { name: 'NotUtf8', code: 'NOT_UTF8', place })
})

// Bites: the fatal decoder of `readText`.
t.test('bytes give the one text that gives these bytes, or no text', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
      let text: string
      try {
        text = readText(bytes)
      } catch (error) {
        return error instanceof NotUtf8 && !Buffer.from(Buffer.from(bytes).toString('utf8')).equals(bytes)
      }
      const marked = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
      return Buffer.from(bytesOf(text)).equals(bytes.subarray(marked ? 3 : 0))
    }),
    { numRuns: 2_000 },
  )
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary' }),
      fc.integer({ min: 0x80, max: 0xbf }),
      fc.string(),
      (before, byte, after) => {
        try {
          readText(joined(before, [byte], after))
          return false
        } catch (error) {
          return error instanceof NotUtf8 && error.place.offset === bytesOf(before).length
        }
      },
    ),
    { numRuns: 500 },
  )
})
