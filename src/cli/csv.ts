import { harmlessLine } from './terminal.ts'

/**
 * The first characters of a file for spreadsheets: without this mark they take UTF-8 for the
 * encoding of the country in which they run.
 */
export const byteOrderMark = '\uFEFF'

/**
 * A line of CSV (RFC 4180) with every cell quoted. A cell that a spreadsheet would take for a
 * formula gets an apostrophe before it; control characters become visible escapes.
 */
export function csvLine(cells: readonly string[]): string {
  return cells.map((cell) => `"${harmlessLine(withoutFormula(cell)).replaceAll('"', '""')}"`).join(',')
}

function withoutFormula(cell: string): string {
  return /^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/.test(cell) ? `'${cell}` : cell
}
