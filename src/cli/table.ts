import stringWidth from 'string-width'
import { invocation } from './invocation.ts'
import { painted, type Look } from './looks.ts'
import { cellOf, withoutIsolates } from './terminal.ts'
import { wrapWords } from './wrapped-lines.ts'

const gap = '  '

/** The look of a cell, by its row (from 0, without the head) and its column. */
export type LookOfCell = (row: number, column: number) => Look | undefined

/**
 * Formats a table: each column as wide on the terminal as its widest cell, with two spaces between
 * (East Asian letters take two columns, combining marks and isolates none: UAX 11). Cells are made
 * harmless, and one that is written from right to left turns none beside it. On a terminal that is
 * narrower, cells are wrapped between words; where no word fits, each row is a block of lines.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  look: LookOfCell = () => undefined,
  columns = invocation().out.columns ?? Number.MAX_SAFE_INTEGER,
): string[] {
  const cells = [head, ...rows].map((row) => row.map(cellOf))
  const natural = widthsOf(head, cells, stringWidth)
  const widths = fitted(natural, widthsOf(head, cells, widestWord), columns)
  if (widths === undefined) return blocksOf(cells, look, columns)
  return cells.flatMap((row, n) => linesOf(row, widths, (column) => (n === 0 ? undefined : look(n - 1, column))))
}

function widthsOf(head: readonly string[], cells: readonly (readonly string[])[], widthOf: (cell: string) => number) {
  return head.map((_, column) => Math.max(...cells.map((row) => widthOf(row[column] ?? ''))))
}

const widestWord = (cell: string) => Math.max(...cell.split(' ').map((word) => stringWidth(word)))

const sum = (widths: readonly number[]) => widths.reduce((all, width) => all + width, 0)

/** Widths that fit, the widest columns narrowed; undefined where the widest words do not fit. */
function fitted(natural: readonly number[], least: readonly number[], columns: number): number[] | undefined {
  const between = gap.length * (natural.length - 1)
  if (sum(least) + between > columns) return sum(natural) + between <= columns ? [...natural] : undefined
  const widths = [...natural]
  while (sum(widths) + between > columns) {
    const spare = widths.map((width, column) => (width > (least[column] ?? 0) ? width : 0))
    const widest = spare.indexOf(Math.max(...spare))
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}

function linesOf(row: readonly string[], widths: readonly number[], look: (column: number) => Look | undefined) {
  const wrapped = widths.map((width, column) => partsOf(row[column] ?? '', width))
  const height = Math.max(...wrapped.map((parts) => parts.length))
  return Array.from({ length: height }, (_, n) =>
    widths
      .map((width, column) => {
        const part = wrapped[column]?.[n] ?? ''
        const blank = ' '.repeat(Math.max(0, width - stringWidth(part)))
        return part === '' ? blank : painted(look(column), part) + blank
      })
      .join(gap)
      .trimEnd(),
  )
}

/** The lines of a cell. Each is isolated for itself, as a pair of isolates ends with its line. */
function partsOf(cell: string, width: number): string[] {
  if (stringWidth(cell) <= width) return [cell]
  return wrapWords(withoutIsolates(cell), width).map(cellOf)
}

function blocksOf([head = [], ...rows]: readonly (readonly string[])[], look: LookOfCell, columns: number): string[] {
  return rows.flatMap((row, n) => [
    ...(n === 0 ? [] : ['']),
    ...row.flatMap((cell, column) => {
      if (cell === '') return []
      const label = column === 0 ? '' : `${gap}${head[column] === '' ? '' : `${head[column] ?? ''}: `}`
      const [first = '', ...rest] = partsOf(cell, Math.max(1, columns - stringWidth(label)))
      const indent = ' '.repeat(stringWidth(label))
      return [label + painted(look(n, column), first), ...rest.map((part) => indent + painted(look(n, column), part))]
    }),
  ])
}
