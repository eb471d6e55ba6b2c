import { harmlessLine } from './terminal.ts'

/**
 * One line of CSV (RFC 4180), every cell quoted. A cell that a spreadsheet would take for a formula
 * begins with an apostrophe, and control characters are shown, not obeyed.
 */
export function csvLine(cells: readonly string[]): string {
  return cells.map((cell) => `"${harmlessLine(withoutFormula(cell)).replaceAll('"', '""')}"`).join(',')
}

function withoutFormula(cell: string): string {
  return /^[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]/.test(cell) ? `'${cell}` : cell
}
