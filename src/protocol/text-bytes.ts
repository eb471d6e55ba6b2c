import { utf8 } from './encoding.ts'
import { ProtocolError } from './errors.ts'

/** A place in the bytes of a text. */
export interface TextPlace {
  /** Bytes before the place: 0 at the beginning of the file, a byte order mark counted. */
  readonly offset: number
  /** From 1. */
  readonly line: number
  /** Characters of its line up to the place, from 1. */
  readonly column: number
}

/** Thrown, as NOT_UTF8, for bytes that are no UTF-8; with the place of the first wrong byte. */
export class NotUtf8 extends ProtocolError {
  readonly place: TextPlace

  constructor(place: TextPlace) {
    const { offset, line, column } = place
    super('NOT_UTF8', `Byte ${offset} (line ${line}, column ${column}) is not UTF-8.`)
    this.name = 'NotUtf8'
    this.place = place
  }
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const lenient = new TextDecoder('utf-8', { ignoreBOM: true })
const byteOrderMark = '\uFEFF'
const replacement = '\uFFFD'

/**
 * Reads the bytes of a text, which are UTF-8 (RFC 3629) and nothing else. A byte order mark at the
 * beginning belongs to the file and not to the text: it is taken away. Throws `NotUtf8`.
 */
export function readText(bytes: Uint8Array): string {
  let text: string
  try {
    text = strict.decode(bytes)
  } catch {
    throw new NotUtf8(placeOfFault(bytes))
  }
  return text.startsWith(byteOrderMark) ? text.slice(1) : text
}

/**
 * The first place that a lenient decoder replaced: a replacement character that the bytes
 * themselves do not hold.
 */
function placeOfFault(bytes: Uint8Array): TextPlace {
  const text = lenient.decode(bytes)
  let offset = 0
  let from = 0
  for (;;) {
    const at = text.indexOf(replacement, from)
    offset += utf8(text.slice(from, at)).length
    const isThere = bytes[offset] === 0xef && bytes[offset + 1] === 0xbf && bytes[offset + 2] === 0xbd
    if (!isThere) return { offset, ...lineAndColumn(text.slice(0, at)) }
    offset += 3
    from = at + 1
  }
}

function lineAndColumn(before: string): { line: number; column: number } {
  const lines = before.split(/\r\n|\r|\n/)
  const [last = ''] = lines.slice(-1)
  const shown = lines.length === 1 && last.startsWith(byteOrderMark) ? last.slice(1) : last
  return { line: lines.length, column: [...shown].length + 1 }
}
