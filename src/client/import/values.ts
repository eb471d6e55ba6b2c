import { comparingForm, type Schema } from '../../forms/index.ts'
import { isSpanFormat, readSpan, type DaySpan } from './dates.ts'
import type { CellSource, Code, Mapping, Reading } from './mapping.ts'
import { columnsOf } from './mapping.ts'
import { readNumber, roundDecimal, sameDecimal } from './numbers.ts'
import type { Remarks } from './remarks.ts'
import { isErrorWord, isMissingWord, spreadsheetError } from './words.ts'

/** One row of a file, with what its cells are read by. */
export interface Row {
  readonly line: number
  readonly cells: ReadonlyMap<string, string>
  readonly mapping: Mapping
  /** Whether days and numbers of the file are typed, as in a workbook. */
  readonly typed: boolean
  readonly remarks: Remarks
}

export interface CellFault {
  readonly column: string
  readonly reason: string
  readonly advice: string
}

/**
 * What a cell says: a value of the form; nothing (`value` undefined); or nothing because a table of
 * the mapping says so (`silent`). A month or a year has its span beside.
 */
export interface CellValue {
  readonly value: unknown
  readonly column: string
  readonly span?: DaySpan
  readonly silent?: true
  /** Whether the cell is empty, and a table of the mapping says what this means. */
  readonly assumed?: true
}

export function isCellFault(value: CellValue | CellFault): value is CellFault {
  return 'advice' in value
}

/** Reads the cells that a source names. */
export function readSource(row: Row, source: CellSource, schema: Schema | undefined): CellValue | CellFault {
  const columns = columnsOf(source)
  const [column = ''] = columns
  const said = columns.map((name) => reported(row, name, source))
  const wrong = said.findIndex(
    (part) => isErrorWord(part.trim()) && inTable(source.codes ?? {}, part.trim()) === undefined,
  )
  if (wrong >= 0) return { column: columns[wrong] ?? column, ...spreadsheetError((said[wrong] ?? '').trim()) }
  const parts = said.filter((part) => part !== '')
  if (parts.length === 0) return emptyCell(row, column, source, schema)
  const text = columns.length === 1 ? (parts[0] ?? '') : parts.map((part) => part.trim()).join(source.between ?? ' ')
  return readText({ row, column, reading: source }, text, schema)
}

// What an empty cell means, where the table of words has the empty word.
function emptyCell(
  { line, remarks }: Row,
  column: string,
  { codes = {} }: Reading,
  schema: Schema | undefined,
): CellValue {
  const code = Object.hasOwn(codes, '') ? codes[''] : undefined
  if (code === undefined) return { value: undefined, column }
  if (code === null) return { value: undefined, column, silent: true }
  remarks.add('empty-means', line, column, String(code))
  return { value: schema?.type === 'array' ? [code] : code, column, assumed: true }
}

/** Whether a cell says anything. */
export function isReported({ cells, mapping }: Row, column: string, reading: Reading): boolean {
  const word = (cells.get(column) ?? '').trim()
  const words = reading.missing ?? mapping.missing
  return word !== '' && !words.some((one) => one === word || comparingForm(one) === comparingForm(word))
}

// An empty cell, or one with a word that means missing, was not reported.
function reported(row: Row, column: string, reading: Reading): string {
  const cell = row.cells.get(column) ?? ''
  if (isReported(row, column, reading)) return cell
  if (cell.trim() !== '') row.remarks.add('missing', row.line, column, cell.trim())
  return ''
}

interface Place {
  readonly row: Row
  readonly column: string
  readonly reading: Reading
}

function readText(place: Place, text: string, schema: Schema | undefined): CellValue | CellFault {
  const { column, reading } = place
  if (schema?.type !== 'array') return readOne(place, text, schema)
  const parts = reading.separator === undefined ? [text] : text.split(reading.separator)
  const list: unknown[] = []
  let silent = false
  for (const part of parts) {
    if (part.trim() === '') continue
    const value = readOne(place, part, schema.items)
    if (isCellFault(value)) return value
    if (value.value !== undefined && !(schema.uniqueItems === true && list.includes(value.value)))
      list.push(value.value)
    silent ||= value.silent === true
  }
  if (list.length > 0) return { value: list, column }
  return { value: undefined, column, ...(silent ? { silent } : {}) }
}

function readOne(place: Place, text: string, leaf: Schema | undefined): CellValue | CellFault {
  const { row, column, reading } = place
  const word = text.trim()
  if (reading.codes !== undefined || reading.prefixes !== undefined) return readCode(place, word)
  if (leaf?.format === 'date') return readDate(place, word)
  if (leaf?.type === 'boolean') {
    const flag = /^(true|false)$/i.exec(word)
    if (flag !== null) return { value: word.toLowerCase() === 'true', column }
    return { column, reason: 'not-in-mapping', advice: 'This is true or false; give other words under "codes".' }
  }
  if (leaf?.type === 'integer') return readWhole(place, word)
  if (isDecimalField(leaf) || reading.decimals !== undefined) return readDecimal(place, word, leaf)
  if (leaf?.label === 'hs') return readHs(place, word)
  if (leaf?.codes === 'countries' && word === 'NA' && reading.missing === undefined)
    row.remarks.add('warning-namibia', row.line, column, word)
  const free = leaf?.enum === undefined && !isNarrow(leaf)
  if (free && isMissingWord(word)) row.remarks.add('warning-missing-word', row.line, column, word)
  // Codes and short fields lose the white space around them; free text stays as it is.
  const { before = '', after = '' } = reading
  return { value: before + (free ? text : word) + after, column }
}

function readCode({ row, column, reading }: Place, word: string): CellValue | CellFault {
  const { codes = {}, prefixes = {}, otherwise } = reading
  const listed = inTable(codes, word) ?? inTable(codes, padded(word, reading.pad))
  let code = listed === undefined ? byPrefix(prefixes, padded(bareDigits(word), reading.pad)) : listed
  if (code === undefined && otherwise !== undefined) {
    row.remarks.add('defaulted', row.line, column, word)
    code = otherwise
  }
  if (code === null) {
    row.remarks.add('says-nothing', row.line, column, word)
    return { value: undefined, column, silent: true }
  }
  if (code !== undefined) return { value: code, column }
  const advice = `The mapping has no code for ${JSON.stringify(word.slice(0, 64))}: add it, give a code for all other words under "otherwise", or correct the cell.`
  return { column, reason: 'not-in-mapping', advice }
}

function inTable(table: Readonly<Record<string, Code>>, word: string): Code | undefined {
  if (Object.hasOwn(table, word)) return table[word]
  const wanted = comparingForm(word)
  const found = new Set(Object.keys(table).flatMap((one) => (comparingForm(one) === wanted ? [table[one]] : [])))
  return found.size === 1 ? [...found][0] : undefined
}

function byPrefix(table: Readonly<Record<string, Code>>, word: string): Code | undefined {
  const compared = comparingForm(bareDigits(word))
  const [longest] = Object.keys(table)
    .filter((prefix) => compared.startsWith(comparingForm(bareDigits(prefix))))
    .toSorted((a, b) => b.length - a.length)
  return longest === undefined ? undefined : table[longest]
}

// 2402.20.90, 2402 20 90 and 2402-20-90 are one code.
function bareDigits(word: string): string {
  return /^[\d. \u00a0-]+$/.test(word) ? word.replaceAll(/\D/g, '') : word
}

function padded(word: string, digits = 0): string {
  return /^\d+$/.test(word) ? word.padStart(digits, '0') : word
}

function readDate({ row, column, reading }: Place, word: string): CellValue | CellFault {
  const { dateFormat = 'YYYY-MM-DD', language = 'en', firstYear = 1970, fiscalYearBegins } = reading
  const formats = typeof dateFormat === 'string' ? [dateFormat] : dateFormat
  const own = row.typed ? ['YYYY-MM-DD', 'YYYY-MM-DDTHH:mm:ss'] : []
  const fiscal = fiscalYearBegins === undefined ? {} : { fiscalYearBegins }
  const found = own
    .map((format) => readSpan(word, { formats: [format], language, firstYear }))
    .find((one) => one !== undefined)
  const read = formats.flatMap((format) => readSpan(word, { formats: [format], language, firstYear, ...fiscal }) ?? [])
  const [first] = read
  const span = found === undefined ? first : asNamed(found, formats)
  if (span === undefined) {
    const serial = /^\d{5}(?:\.\d+)?$/.test(word)
      ? ' If it is the number of a day in a spreadsheet, give the column a format of dates there and save it again.'
      : ''
    return { column, reason: 'not-a-date', advice: `This is no day written as ${formats.join(' or ')}.${serial}` }
  }
  if (found === undefined && read.some(({ from, to }) => from !== span.from || to !== span.to))
    row.remarks.add('warning-two-days', row.line, column, span.from)
  if (span.timed) row.remarks.add('time-left-out', row.line, column)
  if (span.from === span.to) return { value: span.from, column }
  row.remarks.add('span', row.line, column, formats.filter(isSpanFormat).join(' or '))
  return { value: span.from, column, span }
}

// Where the mapping names a month or a year, a workbook may hold a day and show its month alone.
function asNamed(found: DaySpan, formats: readonly string[]): DaySpan {
  if (!formats.every(isSpanFormat)) return found
  const [year = '', month = ''] = found.from.split('-')
  const names = (part: string) => formats.some((format) => format.includes(part))
  const [format, text] = names('M')
    ? ['YYYY-MM', `${year}-${month}`]
    : names('Q')
      ? ['YYYY-Q', `${year}-${Math.ceil(Number(month) / 3)}`]
      : ['YYYY', year]
  return readSpan(text, { formats: [format], language: 'en', firstYear: 1970 }) ?? found
}

function readWhole({ row, column }: Place, word: string): CellValue | CellFault {
  const number = readNumber(word, row.mapping)
  const whole = number === undefined ? null : /^(\d{1,9})(?:\.0*)?$/.exec(number)
  return whole === null
    ? { column, reason: 'not-a-number', advice: 'This is no whole number.' }
    : { value: Number(whole[1]), column }
}

/** Reads a decimal with all its digits; `decimals` rounds it, except for quantities of goods. */
function readDecimal({ row, column, reading }: Place, word: string, leaf: Schema | undefined): CellValue | CellFault {
  const number = readNumber(word, row.mapping)
  if (number === undefined)
    return {
      column,
      reason: leaf?.label === 'quantity' || reading.decimals === undefined ? 'malformed' : 'not-a-number',
      advice: howToWrite(row.mapping, word),
    }
  if (leaf?.label === 'quantity' || reading.decimals === undefined) return { value: number, column }
  const rounded = roundDecimal(number, reading.decimals, reading.half)
  if (leaf?.label === 'weight' && rounded !== undefined && /[1-9]/.test(number) && !/[1-9]/.test(rounded))
    return { column, ...roundedToNothing }
  if (rounded !== undefined && !sameDecimal(rounded, number))
    row.remarks.add('rounded', row.line, column, String(reading.decimals))
  return { value: rounded, column }
}

/** Zero says that nothing was found: no rounding may say it. */
export const roundedToNothing = {
  reason: 'rounded-to-nothing',
  advice: 'Rounding leaves nothing of this quantity: allow more "decimals", or give it in a smaller unit.',
} as const

function howToWrite({ decimalComma, thousands, scientific }: Mapping, word: string): string {
  const mark = decimalComma ? 'comma' : 'point'
  const other = decimalComma ? '.' : ','
  const grouped = word.includes(other) && thousands === undefined
  if (grouped)
    return `This is no number with a decimal ${mark}: if "${other}" groups thousands, say "thousands": "${other}" in the mapping.`
  if (/^[\d.,]+[eE][+-]?\d+$/.test(word) && !scientific)
    return 'This is a number with an exponent: say "scientific": true in the mapping if the file has them.'
  if (isMissingWord(word))
    return `This is no number: if ${JSON.stringify(word)} says that nothing was reported, name it under "missing".`
  return `This is no number of zero or more, written with a decimal ${mark}${thousands === undefined ? '' : ` and thousands grouped by "${thousands}" in the right places`}.`
}

// The Harmonized System has six digits; what follows is the tariff of one country.
function readHs({ row, column, reading }: Place, word: string): CellValue {
  const digits = padded(bareDigits(word), reading.pad)
  if (!/^\d{7,12}$/.test(digits)) return { value: digits, column }
  row.remarks.add('shortened-code', row.line, column, '6')
  if (digits.length % 2 === 1) row.remarks.add('warning-odd-code', row.line, column)
  return { value: digits.slice(0, 6), column }
}

const decimalLabels = new Set(['quantity', 'weight', 'latitude', 'longitude', 'exactLatitude', 'exactLongitude'])

function isDecimalField(leaf: Schema | undefined): boolean {
  return leaf?.label !== undefined && decimalLabels.has(leaf.label)
}

function isNarrow(field: Schema | undefined): boolean {
  return (field?.maxLength ?? Infinity) <= 64
}
