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
  'iso-8859-15',
  'koi8-r',
  'koi8-u',
  'ibm866',
  'gb18030',
  'big5',
  'shift_jis',
  'euc-jp',
  'euc-kr',
] as const

export type Encoding = (typeof encodings)[number]

export function isEncoding(value: unknown): value is Encoding {
  return encodings.some((encoding) => encoding === value)
}

/** A byte that the encoding does not have: its line, from 1, and a sentence with its place. */
export interface EncodingFault {
  readonly line: number
  readonly advice: string
}

/**
 * Decodes a file strictly and takes a byte order mark away; never puts U+FFFD where bytes are
 * wrong.
 */
export function decodeFile(bytes: Uint8Array, encoding: Encoding): string | EncodingFault {
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
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes)
  } catch {
    return {
      line: 1,
      advice: `The file is not ${encoding} to the last byte: name the encoding that it has in the mapping.`,
    }
  }
}
