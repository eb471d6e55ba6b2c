import { harmlessLine } from './terminal.ts'

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
