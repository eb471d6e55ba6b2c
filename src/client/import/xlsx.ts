import { strFromU8, unzipSync } from 'fflate'
import { readSheet } from 'read-excel-file/universal'
import { csvLimits, tableOf, type Csv, type CsvRecord, type ImportFault, type TableOptions } from './csv.ts'
import { readNumber } from './numbers.ts'
import { otherArchive } from './other-kinds.ts'
import { Remarks, type Remark } from './remarks.ts'
import {
  columnOf,
  sheetMarks,
  workbookParts,
  type SheetMarks,
  type SheetPart,
  type WorkbookParts,
} from './xlsx-parts.ts'

/**
 * The limits of a workbook, so that a hostile one is refused before it costs memory. `mostRows` are
 * the rows up to the last one that the file names, blank ones too.
 */
export const xlsxLimits = {
  mostBytes: 64 * 1024 * 1024,
  mostUnpackedBytes: 256 * 1024 * 1024,
  mostRows: 250_000,
} as const

export interface XlsxOptions extends TableOptions {
  /** The name of the sheet; the first one that is shown if it is not given. */
  readonly sheet?: string
  /** Whether numbers become texts with a comma, as the mapping says of the texts of the file. */
  readonly decimalComma?: boolean
}

/** Whether a file begins as a workbook does: it is a ZIP archive (PKWARE APPNOTE, 4.3.7). */
export function isXlsx(file: Uint8Array): boolean {
  return file[0] === 0x50 && file[1] === 0x4b && file[2] === 0x03 && file[3] === 0x04
}

/**
 * Reads one sheet of an Office Open XML workbook (ECMA-376) as a table of texts: the sheet that is
 * named, or the first one that a spreadsheet shows. Numbers have all the digits that the workbook
 * keeps (15 are certain), days are YYYY-MM-DD, and times of a day follow after a T. Formulas are
 * not computed: their last value is taken. An error reads as its word, such as #N/A, and a formula
 * that has no value as #FORMULA!. Answers the first fault.
 */
export async function readXlsx(file: Uint8Array, options: XlsxOptions = {}): Promise<Csv | ImportFault> {
  const fault = (reason: string, advice: string, line = 1): ImportFault => ({ line, column: '', reason, advice })
  const opened = openWorkbook(file)
  if (!('sheets' in opened)) return fault(...opened)
  const { sheets, from1904InWords } = opened
  const shown = sheets.filter((sheet) => sheet.shown)
  const { sheet: wanted, decimalComma = false } = options
  const sheet = wanted === undefined ? (shown[0] ?? sheets[0]) : sheets.find(({ name }) => name === wanted)
  if (sheet === undefined) return fault('no-such-sheet', adviceOnSheets(sheets, wanted))
  const marks = sheetMarks(sheet.xml)
  if (!marks.readable)
    return fault(
      'not-a-workbook',
      'The sheet has cells without an address: open it in a spreadsheet and save it again.',
    )
  try {
    const rows = await readSheet<WrittenNumber>(file.slice().buffer, sheet.place, {
      parseNumber: (text) => new WrittenNumber(text),
      trim: false,
    })
    const texts = rows.map((row) => row.map((cell) => textOf(cell, decimalComma, from1904InWords)))
    for (const { row, column, text } of marks.cells) {
      while (texts.length < row) texts.push([])
      const cells = texts[row - 1] ?? []
      while (cells.length < column) cells.push('')
      cells[column - 1] = text
    }
    const table = tableOfTexts(texts, options)
    return 'reason' in table
      ? table
      : { ...table, remarks: [...table.remarks, ...warningsOf(table, sheet, shown, marks)] }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const [, line] = /at row (\d+)/.exec(error.message) ?? []
    const advice = `The file cannot be read as a workbook (${error.message.slice(0, 200)}): save it as CSV UTF-8.`
    return fault('not-a-workbook', advice, Number(line ?? 1))
  }
}

function tableOfTexts(texts: readonly string[][], options: TableOptions): Csv | ImportFault {
  const remarks = new Remarks()
  const records: CsvRecord[] = []
  const width = texts.reduce((widest, cells) => Math.max(widest, cells.length), 0)
  for (const [at, row] of texts.entries()) {
    const line = at + 1
    const cells = [...row, ...Array.from({ length: width - row.length }, () => '')]
    if (cells.every((cell) => cell.trim() === '')) remarks.add('blank-row', line)
    else if (cells.some((cell) => cell.length > csvLimits.cell))
      return { line, column: '', reason: 'cell-too-long', advice: `A cell has at most ${csvLimits.cell} characters.` }
    else records.push({ line, cells })
  }
  if (records.length > csvLimits.records) {
    const advice = `A file has at most ${csvLimits.records} rows: split it.`
    return { line: 1, column: '', reason: 'too-many-rows', advice }
  }
  return tableOf(records, options, remarks)
}

function adviceOnSheets(sheets: readonly SheetPart[], wanted: string | undefined): string {
  if (wanted === undefined) return 'The workbook has no sheet with cells: save the table as CSV UTF-8.'
  const names = sheets.map(({ name }) => JSON.stringify(name.slice(0, 64))).join(', ')
  return `The workbook has no sheet ${JSON.stringify(wanted.slice(0, 64))}; it has ${names}: name one of them under "sheet".`
}

/** What a person sees in a spreadsheet and not in the rows. */
function warningsOf(
  { header }: Csv,
  sheet: SheetPart,
  shown: readonly SheetPart[],
  { hiddenRows, merged }: SheetMarks,
): Remark[] {
  const warnings = new Remarks()
  if (shown.length > 1) {
    const others = shown.filter((other) => other !== sheet).map(({ name }) => name)
    warnings.add('warning-other-sheets', header.line, '', `${sheet.name}; ${others.join(', ')}`)
  }
  for (const line of hiddenRows) if (line > header.line) warnings.add('warning-hidden-row', line)
  for (const { from, to } of merged) if (to.row > header.line) warnings.add('warning-merged', from.row)
  return warnings.list()
}

type Bound = readonly [reason: string, advice: string]

/** Looks at the sizes in the archive first, then at the addresses in its sheets. */
function openWorkbook(file: Uint8Array): WorkbookParts | Bound {
  if (file.length > xlsxLimits.mostBytes)
    return ['too-large', `A workbook has at most ${xlsxLimits.mostBytes} bytes: split it.`]
  try {
    let unpackedBytes = 0
    const names: string[] = []
    unzipSync(file, {
      filter: ({ name, originalSize }) => {
        unpackedBytes += originalSize
        names.push(name)
        return false
      },
    })
    const other = otherArchive(names)
    if (other !== undefined) return [other.reason, other.advice]
    if (unpackedBytes > xlsxLimits.mostUnpackedBytes)
      return [
        'too-large',
        `A workbook has at most ${xlsxLimits.mostUnpackedBytes} bytes when it is unpacked: split it.`,
      ]
    const parts = unzipSync(file, { filter: ({ name }) => name.endsWith('.xml') || name.endsWith('.rels') })
    for (const part of Object.values(parts)) {
      const bad = boundsOf(strFromU8(part, true))
      if (bad !== undefined) return bad
    }
    return workbookParts(parts)
  } catch (error) {
    return [
      'not-a-workbook',
      `The archive of the workbook is damaged (${(error as Error).message.slice(0, 100)}): save it again.`,
    ]
  }
}

function boundsOf(xml: string): Bound | undefined {
  // A tag that never ends would be looked for again and again.
  if (!xml.includes('<!--') && /<[^<>]*(?:<|$)/.test(xml))
    return ['not-a-workbook', 'A part of the workbook is no XML: open it in a spreadsheet and save it again.']
  if (/<!DOCTYPE|<!ENTITY/i.test(xml))
    return ['not-a-workbook', 'The workbook defines entities, which no spreadsheet does: save it as CSV UTF-8.']
  for (const [, at = ''] of xml.matchAll(/<(?:\w+:)?(?:row|c)\b[^<>]*?\sr\s*=\s*["']([^"']*)["']/g)) {
    const parts = /^([A-Z]{0,3})(\d{1,7})$/.exec(at)
    if (parts === null)
      return ['not-a-workbook', 'The workbook has a cell whose address is none: save it as CSV UTF-8.']
    if (Number(parts[2]) > xlsxLimits.mostRows)
      return ['too-many-rows', `A sheet has at most ${xlsxLimits.mostRows} rows: split it.`]
    if (columnOf(parts[1] ?? '') > csvLimits.columns)
      return ['too-many-columns', `A row has at most ${csvLimits.columns} cells.`]
  }
  return undefined
}

/** A number as the workbook writes it. */
class WrittenNumber {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const msPerSecond = 1000
// From the first of January 1900, as spreadsheets count it, to that of 1904.
const daysTo1904 = 1462
const msPerDay = 86_400_000

function textOf(cell: unknown, decimalComma: boolean, from1904InWords: boolean): string {
  if (cell === null || cell === undefined) return ''
  if (cell instanceof WrittenNumber) {
    const decimal = plainDecimal(cell.text)
    return decimalComma ? decimal.replace('.', ',') : decimal
  }
  if (cell instanceof Date) {
    const ms = cell.getTime() + (from1904InWords ? daysTo1904 * msPerDay : 0)
    // A day that was computed may lack a part of a second.
    const whole = new Date(Math.round(ms / msPerSecond) * msPerSecond)
    if (Number.isNaN(whole.getTime())) return '#NUM!'
    const [day = '', time = ''] = whole.toISOString().split('T')
    return time.startsWith('00:00:00') ? day : `${day}T${time.slice(0, 8)}`
  }
  if (typeof cell === 'boolean') return cell ? 'TRUE' : 'FALSE'
  return typeof cell === 'string' ? cell : ''
}

/**
 * A number without an exponent. Spreadsheets write a number of 15 digits with 16 or 17, as
 * 0.10000000000000001 for 0.1: there the shortest decimal of that binary number is meant.
 */
function plainDecimal(text: string): string {
  const style = { decimalComma: false, grouping: 'threes', scientific: true } as const
  const digits = text
    .replace(/[eE].*$/, '')
    .replaceAll(/\D/g, '')
    .replace(/^0+/, '').length
  const meant = digits === 16 || digits === 17 ? String(Number(text)) : text
  return readNumber(meant, style) ?? text
}
