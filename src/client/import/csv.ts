/**
 * A record of a file, with the number of the line on which its first cell stands. The header is on
 * line 1 unless blank lines precede it.
 */
export interface CsvRecord {
  readonly line: number
  readonly cells: readonly string[]
}

/**
 * A fault for which a file is not imported: line (from 1), name of the column ('' for the whole
 * line), reason, advice.
 */
export interface ImportFault {
  readonly line: number
  readonly column: string
  readonly reason: string
  readonly advice: string
}

export interface Csv {
  readonly header: CsvRecord
  readonly records: readonly CsvRecord[]
}

/** The limits of a file, so that a hostile one is refused before it costs memory. */
export const csvLimits = {
  characters: 64 * 1024 * 1024,
  records: 200_000,
  columns: 500,
  cell: 32_767,
} as const

class CsvFault extends Error {
  readonly fault: ImportFault

  constructor(line: number, reason: string, advice: string, column = '') {
    super(reason)
    this.fault = { line, column, reason, advice }
  }
}

/**
 * Reads a CSV file by RFC 4180: UTF-8 with or without a byte order mark, records that end with LF,
 * CRLF or CR, blank lines skipped. Answers the whole file, or the first fault of its structure; it
 * guesses nothing. Cordon has a parser of its own because the fault of an unclosed quote must name
 * the line where the quote opens.
 */
export function readCsv(file: Uint8Array | string, delimiter: ',' | ';' | '\t' = ','): Csv | ImportFault {
  try {
    const text = decode(file)
    const [header, ...records] = recordsOf(text, delimiter)
    if (header === undefined)
      throw new CsvFault(1, 'empty', 'The file is empty: give a file with a header line and rows.')
    checkHeader(header)
    for (const { line, cells } of records) {
      if (cells.length === header.cells.length) continue
      const advice = `This row has ${cells.length} cells and the header ${header.cells.length}: complete it, or quote cells that hold the delimiter.`
      throw new CsvFault(line, 'wrong-number-of-cells', advice)
    }
    return { header, records }
  } catch (error) {
    if (error instanceof CsvFault) return error.fault
    throw error
  }
}

export function isImportFault(value: Csv | ImportFault): value is ImportFault {
  return 'reason' in value
}

function decode(file: Uint8Array | string): string {
  if (file.length > csvLimits.characters * (typeof file === 'string' ? 1 : 4)) throw tooLarge()
  let text = file
  if (typeof text !== 'string') {
    try {
      text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text)
    } catch {
      throw new CsvFault(1, 'not-utf-8', 'The file is not UTF-8: save it as "CSV UTF-8".')
    }
  }
  if (text.length > csvLimits.characters) throw tooLarge()
  return text.startsWith('\uFEFF') ? text.slice(1) : text
}

function tooLarge(): CsvFault {
  return new CsvFault(1, 'too-large', `The file has more than ${csvLimits.characters} characters: split it.`)
}

function checkHeader({ line, cells }: CsvRecord): void {
  const seen = new Set<string>()
  for (const name of cells) {
    if (name.trim() === '') throw new CsvFault(line, 'column-without-name', 'Give each column a name in the header.')
    if (seen.has(name)) throw new CsvFault(line, 'column-twice', 'Two columns have this name: rename a column.', name)
    seen.add(name)
  }
}

function recordsOf(text: string, delimiter: string): CsvRecord[] {
  const records: CsvRecord[] = []
  let line = 1
  let at = 0
  while (at < text.length) {
    const start = line
    const cells: string[] = []
    for (;;) {
      const cell = text[at] === '"' ? quoted(text, at, line, delimiter) : bare(text, at, line, delimiter)
      cells.push(cell.value)
      at = cell.end
      line = cell.line
      if (cells.length > csvLimits.columns)
        throw new CsvFault(start, 'too-many-columns', `A row has at most ${csvLimits.columns} cells.`)
      if (text[at] !== delimiter) break
      at += 1
    }
    if (at < text.length) {
      at += text.startsWith('\r\n', at) ? 2 : 1
      line += 1
    }
    if (cells.length === 1 && cells[0] === '') continue
    if (records.length > csvLimits.records)
      throw new CsvFault(start, 'too-many-rows', `A file has at most ${csvLimits.records} rows: split it.`)
    records.push({ line: start, cells })
  }
  return records
}

interface Cell {
  readonly value: string
  readonly end: number
  readonly line: number
}

function bare(text: string, start: number, line: number, delimiter: string): Cell {
  let end = start
  for (; end < text.length; end += 1) {
    const character = text[end]
    if (character === delimiter || character === '\n' || character === '\r') break
    if (character === '"')
      throw new CsvFault(
        line,
        'stray-quote',
        'A quote stands inside a cell: quote the whole cell and double the quote.',
      )
  }
  return { value: checked(text.slice(start, end), line), end, line }
}

function quoted(text: string, start: number, line: number, delimiter: string): Cell {
  const parts: string[] = []
  let from = start + 1
  for (;;) {
    const quote = text.indexOf('"', from)
    if (quote < 0) throw new CsvFault(line, 'unclosed-quote', 'A quote opens on this line and never closes: close it.')
    if (text[quote + 1] === '"') {
      parts.push(text.slice(from, quote + 1))
      from = quote + 2
      continue
    }
    parts.push(text.slice(from, quote))
    const next = text[quote + 1]
    const inside = parts.join('')
    const last = line + (text.slice(start, quote).match(/\r\n|\r|\n/g)?.length ?? 0)
    if (next !== undefined && next !== delimiter && next !== '\n' && next !== '\r')
      throw new CsvFault(
        last,
        'stray-quote',
        'Something follows a closing quote: double the quotes that belong to the cell.',
      )
    return { value: checked(inside, line), end: quote + 1, line: last }
  }
}

function checked(value: string, line: number): string {
  if (value.length > csvLimits.cell)
    throw new CsvFault(
      line,
      'cell-too-long',
      `A cell has at most ${csvLimits.cell} characters; is a quote left open before?`,
    )
  if (value.includes('\0')) throw new CsvFault(line, 'nul', 'The file holds a NUL character: it is damaged, or no CSV.')
  return value
}
