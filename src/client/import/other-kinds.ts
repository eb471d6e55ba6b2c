/** What is told of a file that is neither CSV nor a workbook. */
export interface OtherKind {
  readonly reason: 'other-kind-of-file'
  readonly advice: string
}

const kinds: readonly (readonly [RegExp, string])[] = [
  [/^%PDF-/, 'This is a PDF, which holds no table: ask for the file from which it was made.'],
  [/^\x1f\x8b/, 'This is a gzip archive: unpack it and give the file that is in it.'],
  [/^7z\xbc\xaf|^Rar!/, 'This is an archive: unpack it and give the file that is in it.'],
  [/^PK\x05\x06/, 'This is an archive without a file.'],
  [/^SQLite format 3/, 'This is a database: export its table as CSV UTF-8.'],
  [/^PAR1/, 'This is a Parquet file: export it as CSV UTF-8.'],
  [/^\{\\rtf/, 'This is a text document (RTF): save its table as CSV UTF-8.'],
  [
    /^(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|table|head|meta|\?xml)/i,
    'This is a web page or XML, whatever its name says: open it in a spreadsheet and save it as CSV UTF-8 or as a workbook (.xlsx).',
  ],
  [/^(?:\xef\xbb\xbf)?\s*\[?\s*\{\s*"/, 'This is JSON: convert it to CSV UTF-8.'],
]
const looked = 512
const compound = /^\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1/

/** Recognises other kinds of files by their first bytes; undefined where nothing tells. */
export function otherKindOf(file: Uint8Array): OtherKind | undefined {
  const begin = String.fromCharCode(...file.subarray(0, looked))
  const found = kinds.find(([signature]) => signature.test(begin))
  if (found !== undefined) return { reason: 'other-kind-of-file', advice: found[1] }
  if (!compound.test(begin)) return undefined
  // A workbook with a password is a compound file ([MS-OFFCRYPTO] 2.3) with a stream of this name.
  const isLocked = holds(file, new TextEncoder().encode([...'EncryptedPackage'].join('\0')))
  const advice = isLocked
    ? 'This workbook is protected by a password: open it, save it without one (.xlsx or CSV UTF-8), and delete that file after the import.'
    : 'This is a workbook of an old kind (.xls): save it as a workbook (.xlsx) or as CSV UTF-8.'
  return { reason: 'other-kind-of-file', advice }
}

/** What a ZIP archive is that holds no workbook of the kind .xlsx, by the names of its files. */
export function otherArchive(names: readonly string[]): OtherKind | undefined {
  if (names.includes('xl/workbook.xml')) return undefined
  const advice = names.includes('xl/workbook.bin')
    ? 'This is a binary workbook (.xlsb): save it as a workbook (.xlsx) or as CSV UTF-8.'
    : names.includes('content.xml')
      ? 'This is an OpenDocument file (.ods): save it as a workbook (.xlsx) or as CSV UTF-8.'
      : names.some((name) => name.startsWith('word/'))
        ? 'This is a text document: copy its table into a spreadsheet and save it as CSV UTF-8.'
        : 'This is an archive without a workbook: unpack it and give the file that is in it.'
  return { reason: 'other-kind-of-file', advice }
}

function holds(file: Uint8Array, part: Uint8Array): boolean {
  for (let at = file.indexOf(part[0] ?? 0); at >= 0; at = file.indexOf(part[0] ?? 0, at + 1))
    if (part.every((byte, n) => file[at + n] === byte)) return true
  return false
}
