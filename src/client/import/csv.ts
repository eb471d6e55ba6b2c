import { decodeFile, type Encoding } from './encodings.ts'
import { otherKindOf } from './other-kinds.ts'
import { Remarks, type Remark } from './remarks.ts'

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

/** A file as a table: every record has as many cells as the header. */
export interface Csv {
  readonly header: CsvRecord
  readonly records: readonly CsvRecord[]
  /** What was left out of the file, and where. */
  readonly remarks: readonly Remark[]
}

export const delimiters = [',', ';', '\t', '|'] as const

export type Delimiter = (typeof delimiters)[number]

/** What a mapping says of a table before its rows are read. */
export interface TableOptions {
  /** The line of the header, from 1; the first line that is not blank if it is not given. */
  readonly headerLine?: number
  /** Whether columns without a name are left out that have cells, such as the row names of R. */
  readonly leaveOutNameless?: boolean
  /**
   * Whether a record of another width than the header is left out, by its columns that are there:
   * a note below a table is no row.
   */
  readonly leavesOut?: (line: number, cells: ReadonlyMap<string, string>) => boolean
}

export interface CsvOptions extends TableOptions {
  readonly encoding?: Encoding
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
 * Reads a CSV file by RFC 4180: UTF-8, unless the options name another encoding, with or without a
 * byte order mark; records that end with LF, CRLF or CR. Blank lines, rows of delimiters alone and
 * columns without a name and without a cell are left out and told, and a first line `sep=;` names
 * the delimiter, as spreadsheets write them. Answers the whole file, or the first fault of its
 * structure; it guesses nothing. Cordon has a parser of its own because the fault of an unclosed
 * quote must name the line where the quote opens.
 */
export function readCsv(
  file: Uint8Array | string,
  delimiter: Delimiter = ',',
  { encoding = 'utf-8', ...options }: CsvOptions = {},
): Csv | ImportFault {
  try {
    const remarks = new Remarks()
    const text = decode(file, encoding)
    const named = /^"?sep=(.)"?[,;\t|]*(?:\r\n|\r|\n)/iu.exec(text)
    if (named === null) return tableOf(recordsOf(text, delimiter, 1, remarks), options, remarks)
    const own = delimiters.find((one) => one === named[1])
    if (own === undefined)
      throw new CsvFault(1, 'odd-delimiter', 'The first line names a delimiter that is none of , ; | and tab.')
    remarks.add('delimiter-named', 1, '', own === '\t' ? 'tab' : own)
    return tableOf(recordsOf(text.slice(named[0].length), own, 2, remarks), options, remarks)
  } catch (error) {
    if (error instanceof CsvFault) return error.fault
    throw error
  }
}

/**
 * Makes a table of the records of a file: finds the header, drops columns that have neither a name
 * nor a cell, and checks that each record has as many cells as the header. Answers the first fault.
 */
export function tableOf(all: readonly CsvRecord[], options: TableOptions, remarks: Remarks): Csv | ImportFault {
  const { headerLine } = options
  try {
    const from = headerLine === undefined ? 0 : all.findIndex(({ line }) => line >= headerLine)
    const [header, ...records] = from < 0 ? [] : all.slice(from)
    if (header === undefined)
      throw new CsvFault(1, 'empty', 'The file is empty: give a file with a header line and rows.')
    if (headerLine !== undefined && header.line !== headerLine)
      throw new CsvFault(
        headerLine,
        'no-header',
        'The mapping says that the header stands on this line, which is blank.',
      )
    for (const { line } of all.slice(0, from)) remarks.add('row-before-header', line)
    const kept = namedColumns(header, records, options, remarks)
    const even = records.flatMap((record) => evenRecord(record, { header, kept, options, remarks }))
    return {
      header: { line: header.line, cells: kept.map((at) => header.cells[at] ?? '') },
      records: even,
      remarks: remarks.list(),
    }
  } catch (error) {
    if (error instanceof CsvFault) return error.fault
    throw error
  }
}

interface Columns {
  readonly header: CsvRecord
  /** The places of the columns that are kept. */
  readonly kept: readonly number[]
  readonly options: TableOptions
  readonly remarks: Remarks
}

/** The record with a cell for each column that is kept, or none where it is left out. */
function evenRecord({ line, cells }: CsvRecord, { header, kept, options, remarks }: Columns): CsvRecord[] {
  const width = header.cells.length
  const more = cells.slice(width)
  // A column without a name and without a cell may lack its delimiter too.
  const least = (kept.at(-1) ?? 0) + 1
  if (cells.length < least || more.some((cell) => cell.trim() !== '')) {
    const there = new Map(kept.flatMap((at) => (at < cells.length ? [[header.cells[at] ?? '', cells[at] ?? '']] : [])))
    if (options.leavesOut?.(line, there) === true) return []
    const advice = `This row has ${cells.length} cells and the header ${width}: complete it, quote cells that hold the delimiter, or leave it out ("leaveOut") if it is a note.`
    throw new CsvFault(line, 'wrong-number-of-cells', advice)
  }
  if (more.length > 0) remarks.add('empty-cell-after-last-column', line)
  return [{ line, cells: kept.length === cells.length ? cells : kept.map((at) => cells[at] ?? '') }]
}

export function isImportFault(value: Csv | ImportFault): value is ImportFault {
  return 'reason' in value
}

function decode(file: Uint8Array | string, encoding: Encoding): string {
  if (file.length > csvLimits.characters * (typeof file === 'string' ? 1 : 4)) throw tooLarge()
  const other = typeof file === 'string' ? undefined : otherKindOf(file)
  if (other !== undefined) throw new CsvFault(1, other.reason, other.advice)
  const text = typeof file === 'string' ? file : decodeFile(file, encoding)
  if (typeof text !== 'string')
    throw new CsvFault(text.line, encoding === 'utf-8' ? 'not-utf-8' : 'wrong-encoding', text.advice)
  if (text.length > csvLimits.characters) throw tooLarge()
  // DOS ended a text with this character.
  const end = text.endsWith('\u001A') ? -1 : undefined
  return text.slice(text.startsWith('\uFEFF') ? 1 : 0, end)
}

function tooLarge(): CsvFault {
  return new CsvFault(1, 'too-large', `The file has more than ${csvLimits.characters} characters: split it.`)
}

/**
 * The places of the columns that have a name. A column without a name must have no cell, unless the
 * mapping leaves such columns out.
 */
function namedColumns(
  { line, cells }: CsvRecord,
  records: readonly CsvRecord[],
  { leaveOutNameless = false }: TableOptions,
  remarks: Remarks,
): number[] {
  const seen = new Set<string>()
  const kept: number[] = []
  for (const [at, name] of cells.entries()) {
    if (name.trim() === '') {
      const filled = records.find((record) => (record.cells[at] ?? '').trim() !== '')
      const isKept = filled !== undefined || records.length === 0
      if ((isKept && !leaveOutNameless) || cells.every((other) => other.trim() === ''))
        throw new CsvFault(
          line,
          'column-without-name',
          `Column ${at + 1} has no name in the header${filled === undefined ? '' : ` and has a cell on line ${filled.line}`}: give it a name, or name "" under "ignore".`,
        )
      remarks.add(isKept ? 'nameless-ignored' : 'nameless-column', line, '', String(at + 1))
      continue
    }
    kept.push(at)
    if (seen.has(name)) throw new CsvFault(line, 'column-twice', 'Two columns have this name: rename a column.', name)
    seen.add(name)
  }
  return kept
}

function recordsOf(text: string, delimiter: Delimiter, firstLine: number, remarks: Remarks): CsvRecord[] {
  const records: CsvRecord[] = []
  let line = firstLine
  let at = 0
  while (at < text.length) {
    const start = line
    const begins = at
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
    // A cell in quotes was written on purpose, also an empty one.
    const blank =
      cells.every((cell) => cell.trim() === '') && text[begins] !== '"' && !text.slice(begins, at).includes('"')
    if (at < text.length) {
      at += text.startsWith('\r\n', at) ? 2 : 1
      line += 1
    }
    if (blank) {
      if (cells.length > 1) remarks.add('blank-row', start)
      continue
    }
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
