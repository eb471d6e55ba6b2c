import { NotUtf8, readText } from '../../protocol/index.ts'

/**
 * The encodings that a file may have, as the WHATWG Encoding Standard names them. A file is UTF-8
 * unless its mapping names another one.
 */
export const encodings = [
  'utf-8',
  'utf-16le',
  'utf-16be',
  'windows-1250',
  'windows-1251',
  'windows-1252',
  'windows-1253',
  'windows-1254',
  'windows-1255',
  'windows-1256',
  'windows-1257',
  'windows-1258',
  'windows-874',
  'iso-8859-2',
  'iso-8859-5',
  'iso-8859-6',
  'iso-8859-7',
  'iso-8859-8',
  'iso-8859-13',
  'iso-8859-15',
  'iso-8859-16',
  'macintosh',
  'koi8-r',
  'koi8-u',
  'ibm866',
  'gb18030',
  'gbk',
  'big5',
  'shift_jis',
  'euc-jp',
  'euc-kr',
] as const

export type Encoding = (typeof encodings)[number]

/**
 * The encoding of a name: one of the list, or another label that the Encoding Standard has for it,
 * such as `latin1` and `cp1252` for `windows-1252`. Undefined for other values.
 */
export function encodingNamed(value: unknown): Encoding | undefined {
  if (typeof value !== 'string') return undefined
  try {
    const name = new TextDecoder(value).encoding
    return encodings.find((encoding) => encoding === name)
  } catch {
    return undefined
  }
}

/** A byte that the encoding does not have: its line, from 1, and a sentence with its place. */
export interface EncodingFault {
  readonly line: number
  readonly advice: string
}

/**
 * Decodes a file strictly and takes a byte order mark away; never puts U+FFFD where bytes are
 * wrong. Bytes that tell another encoding than the one that is named are a fault.
 */
export function decodeFile(bytes: Uint8Array, encoding: Encoding): string | EncodingFault {
  const told = encodingTold(bytes)
  if (told !== undefined && told !== encoding) {
    const advice = `The bytes of the file are ${told}, and it is read as ${encoding}: say "encoding": "${told}" in the mapping.`
    return { line: 1, advice }
  }
  if (encoding === 'utf-8') {
    try {
      return readText(bytes)
    } catch (error) {
      if (!(error instanceof NotUtf8)) throw error
      const { line, offset, column } = error.place
      const advice = `Byte ${offset} (line ${line}, character ${column}) is not UTF-8: save the file as "CSV UTF-8", or name its encoding in the mapping, such as "windows-1252".`
      return { line, advice }
    }
  }
  const line = isOneByte(encoding) ? lineOfUtf8(bytes) : undefined
  if (line !== undefined) {
    const advice = `Each byte of the file fits UTF-8, and it is read as ${encoding}: say "encoding": "utf-8" in the mapping.`
    return { line, advice }
  }
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    const before = new TextDecoder(encoding).decode(bytes).split('\uFFFD', 1)[0] ?? ''
    return {
      line: before.split(/\r\n|\r|\n/).length,
      advice: `The file is not ${encoding} to the last byte: name the encoding that it has in the mapping.`,
    }
  }
}

const marks: readonly (readonly [Encoding, readonly number[]])[] = [
  ['utf-8', [0xef, 0xbb, 0xbf]],
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
]
const looked = 1024

/**
 * The encoding that the first bytes tell: by a byte order mark, or by the zero bytes that UTF-16
 * has beside letters of ASCII. Undefined where they tell none.
 */
export function encodingTold(bytes: Uint8Array): Encoding | undefined {
  const marked = marks.find(([, mark]) => mark.every((byte, at) => bytes[at] === byte))
  if (marked !== undefined) return marked[0]
  const begin = bytes.subarray(0, looked)
  const zeros = [0, 0]
  for (const [at, byte] of begin.entries()) if (byte === 0) zeros[at % 2] = (zeros[at % 2] ?? 0) + 1
  const [first = 0, second = 0] = zeros
  const most = Math.max(first, second)
  if (most === 0 || most < begin.length / 8 || Math.min(first, second) > most / 8) return undefined
  return first > second ? 'utf-16be' : 'utf-16le'
}

function isOneByte(encoding: Encoding): boolean {
  return encoding.startsWith('windows-') || encoding.startsWith('iso-') || encoding === 'macintosh'
}

/** The line of the first letter beyond ASCII where all bytes are UTF-8; undefined otherwise. */
function lineOfUtf8(bytes: Uint8Array): number | undefined {
  const at = bytes.findIndex((byte) => byte >= 0x80)
  if (at < 0) return undefined
  try {
    readText(bytes)
  } catch (error) {
    if (error instanceof NotUtf8) return undefined
    throw error
  }
  return readText(bytes.subarray(0, at)).split(/\r\n|\r|\n/).length
}
