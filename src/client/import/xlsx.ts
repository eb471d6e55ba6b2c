import { strFromU8, unzipSync } from 'fflate'
import { readSheet } from 'read-excel-file/universal'
import { csvLimits, tableOf, type Csv, type CsvRecord, type ImportFault } from './csv.ts'
import { readNumber } from './numbers.ts'
import { Remarks } from './remarks.ts'

/**
 * The limits of a workbook, so that a hostile one is refused before it costs memory. `mostRows` are
 * the rows up to the last one that the file names, blank ones too.
 */
export const xlsxLimits = {
  mostBytes: 64 * 1024 * 1024,
  mostUnpackedBytes: 256 * 1024 * 1024,
  mostRows: 250_000,
} as const

export interface XlsxOptions {
  /** The name of the sheet; the first one if it is not given. */
  readonly sheet?: string
  readonly headerLine?: number
  /** Whether numbers become texts with a comma, as the mapping says of the texts of the file. */
  readonly decimalComma?: boolean
}

/** Whether a file begins as a workbook does: it is a ZIP archive (PKWARE APPNOTE, 4.3.7). */
export function isXlsx(file: Uint8Array): boolean {
  return file[0] === 0x50 && file[1] === 0x4b && file[2] === 0x03 && file[3] === 0x04
}

/**
 * Reads one sheet of an Office Open XML workbook (ECMA-376) as a table of texts. Numbers have all
 * the digits that the workbook keeps (15 are certain), days are YYYY-MM-DD, and times of a day
 * follow after a T. Formulas are not computed: their last value is taken. Answers the first fault.
 */
export async function readXlsx(file: Uint8Array, options: XlsxOptions = {}): Promise<Csv | ImportFault> {
  const fault = (reason: string, advice: string): ImportFault => ({ line: 1, column: '', reason, advice })
  const bad = boundsOf(file)
  if (bad !== undefined) return fault(...bad)
  try {
    const rows = await readSheet<WrittenNumber>(file.slice().buffer, options.sheet ?? 1, {
      parseNumber: (text) => new WrittenNumber(text),
      trim: false,
    })
    const remarks = new Remarks()
    const records: CsvRecord[] = []
    for (const [at, row] of rows.entries()) {
      const cells = row.map((cell) => textOf(cell, options.decimalComma ?? false))
      if (cells.every((cell) => cell.trim() === '')) remarks.add('blank-row', at + 1)
      else if (cells.some((cell) => cell.length > csvLimits.cell))
        return fault('cell-too-long', `A cell has at most ${csvLimits.cell} characters.`)
      else records.push({ line: at + 1, cells })
    }
    if (records.length > csvLimits.records)
      return fault('too-many-rows', `A file has at most ${csvLimits.records} rows: split it.`)
    return tableOf(records, options.headerLine, remarks)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    const named = options.sheet === undefined ? '' : ` or has no sheet ${JSON.stringify(options.sheet.slice(0, 64))}`
    return fault(
      'not-a-workbook',
      `The file cannot be read as a workbook${named} (${error.message.slice(0, 200)}): save it as CSV UTF-8.`,
    )
  }
}

type Bound = readonly [reason: string, advice: string]

/** Looks at the sizes in the archive first, then at the addresses in its sheets. */
function boundsOf(file: Uint8Array): Bound | undefined {
  if (file.length > xlsxLimits.mostBytes)
    return ['too-large', `A workbook has at most ${xlsxLimits.mostBytes} bytes: split it.`]
  try {
    let unpackedBytes = 0
    unzipSync(file, { filter: ({ originalSize }) => ((unpackedBytes += originalSize), false) })
    if (unpackedBytes > xlsxLimits.mostUnpackedBytes)
      return [
        'too-large',
        `A workbook has at most ${xlsxLimits.mostUnpackedBytes} bytes when it is unpacked: split it.`,
      ]
    const parts = unzipSync(file, { filter: ({ name }) => name.endsWith('.xml') || name.endsWith('.rels') })
    for (const part of Object.values(parts)) {
      const xml = strFromU8(part, true)
      if (/<!DOCTYPE|<!ENTITY/i.test(xml))
        return ['not-a-workbook', 'The workbook defines entities, which no spreadsheet does: save it as CSV UTF-8.']
      for (const [, at = ''] of xml.matchAll(/<(?:\w+:)?(?:row|c)\b[^>]*?\sr\s*=\s*["']([^"']*)["']/g)) {
        const parts = /^([A-Z]{0,3})(\d{1,7})$/.exec(at)
        if (parts === null)
          return ['not-a-workbook', 'The workbook has a cell whose address is none: save it as CSV UTF-8.']
        if (Number(parts[2]) > xlsxLimits.mostRows)
          return ['too-many-rows', `A sheet has at most ${xlsxLimits.mostRows} rows: split it.`]
        if (columnOf(parts[1] ?? '') > csvLimits.columns)
          return ['too-many-columns', `A row has at most ${csvLimits.columns} cells.`]
      }
    }
    return undefined
  } catch (error) {
    return [
      'not-a-workbook',
      `The archive of the workbook is damaged (${(error as Error).message.slice(0, 100)}): save it again.`,
    ]
  }
}

function columnOf(letters: string): number {
  return [...letters].reduce((column, letter) => column * 26 + letter.charCodeAt(0) - 64, 0)
}

/** A number as the workbook writes it. */
class WrittenNumber {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

function textOf(cell: unknown, decimalComma: boolean): string {
  if (cell === null || cell === undefined) return ''
  if (cell instanceof WrittenNumber) {
    const decimal = plainDecimal(cell.text)
    return decimalComma ? decimal.replace('.', ',') : decimal
  }
  if (cell instanceof Date) {
    const [day = '', time = ''] = cell.toISOString().split('T')
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
