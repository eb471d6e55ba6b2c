import type { ImportFault, ImportProposal, MappedRow, MappedRows, Remark } from '../client/index.ts'
import { harmlessLine } from './terminal.ts'
import { counted, fieldLines, number } from './words.ts'

const mostShown = 25
const mostFieldsShown = 12

/** The first so many faults, one line each, and how many more there are. */
export function faultLines(lines: readonly string[]): string[] {
  const more = lines.length - mostShown
  return [...lines.slice(0, mostShown), ...(more > 0 ? [`  … and ${number(more)} more; --json lists them all.`] : [])]
}

export function faultLine({ line, column, reason, advice }: ImportFault): string {
  const place = column === '' ? '' : `, column ${harmlessLine(column)}`
  return `  line ${String(line)}${place}: ${reason}. ${harmlessLine(advice)}`
}

/**
 * What an import would send: counts, what was changed on the way and why, and the first messages.
 */
export function checkLines(file: string, { rows, remarks, records }: MappedRows, shown: number): string[] {
  const warnings = remarks.filter(({ kind }) => kind.startsWith('warning'))
  const others = remarks.filter(({ kind }) => !kind.startsWith('warning'))
  return [
    `${file}: ${counted(records, 'row')}, of which the mapping makes ${counted(rows.length, 'message')}. Nothing was sent.`,
    ...section('What is not taken as it stands in the file:', others.map(remarkLine)),
    ...section('Look at this before you import:', warnings.map(remarkLine)),
    ...(rows.length === 0 ? [] : ['', `The first ${counted(Math.min(shown, rows.length), 'message')}:`]),
    ...rows.slice(0, shown).flatMap(messageLines),
  ]
}

function section(heading: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', heading, ...lines.map((line) => `  ${line}`)]
}

function messageLines({ line, key, form, version, subject, fields }: MappedRow): string[] {
  const { imported: _imported, ...shown } = fields
  return [
    '',
    `  line ${number(line)}, key ${harmlessLine(key)}`,
    ...(subject === undefined ? [] : [`    ${harmlessLine(subject)}`]),
    ...fieldLines(form, version, shown).map((text) => `    ${text}`),
  ]
}

const remarkWords: Readonly<Record<Remark['kind'], (detail: string, column: string) => string>> = {
  'blank-row': () => 'rows of delimiters alone are left out',
  'row-before-header': () => 'rows before the header are left out',
  'nameless-column': (detail) => `column ${detail} has no name and no cell: it is left out`,
  'nameless-ignored': (detail) => `column ${detail} has no name: it is left out, as the mapping says`,
  'column-written-otherwise': (detail, column) => `the column ${column} is written ${detail} in the file`,
  'empty-cell-after-last-column': () => 'rows have empty cells after the last column: these are left out',
  'delimiter-named': (detail) => `the first line names the delimiter ${detail}: it is taken`,
  'left-out': (detail, column) => `rows are left out, because ${column} is ${detail === '' ? 'empty' : detail}`,
  missing: (detail, column) => `cells of ${column} say ${detail}: nothing was reported`,
  defaulted: (detail, column) =>
    `cells of ${column} say ${detail}, which is in no table: the code for all other words is taken`,
  'says-nothing': (detail, column) => `cells of ${column} say ${detail}, which says nothing to a field by its table`,
  'empty-means': (detail, column) => `cells of ${column} are empty, which means ${detail} by its table`,
  'quantity-left-out': (_, column) =>
    `quantities of ${column} are left out, because the table says that their unit is nothing`,
  zero: (_, column) => `cells of ${column} are zero: somebody looked and found none, which is no seizure`,
  'zero-left-out': (_, column) => `cells of ${column} are zero: they are left out, as the mapping says`,
  'nothing-found': () => 'rows found nothing: they are left out, as the mapping says of zeros',
  rounded: (detail, column) => `cells of ${column} are rounded to ${detail} decimals`,
  converted: (detail, column) => `quantities of ${column} are converted exactly: ${detail}`,
  'shortened-code': (detail, column) => `codes of ${column} are cut to their first ${detail} digits`,
  'time-left-out': (_, column) => `cells of ${column} name a time of day, which is left out`,
  span: (detail, column) => `cells of ${column} become a first and a last day${detail === '' ? '' : ` (${detail})`}`,
  'first-taken': (_, column) => `messages whose rows differ in ${column} have the first value`,
  joined: (_, column) => `messages whose rows differ in ${column} have all values`,
  'added-up': () => 'lines of goods are added to others of their message',
  'rows-together': () => 'rows are put together into messages by their key',
  'warning-namibia': (_, column) =>
    `cells of ${column} say NA, which is the code of Namibia: if it means that nothing was reported, name NA under "missing" of this column`,
  'warning-missing-word': (detail, column) =>
    `cells of ${column} say ${detail}, which is sent as text: if it means that nothing was reported, name it under "missing"`,
  'warning-missing-key': (detail, column) =>
    `the key ${column} is ${detail === '' ? 'empty' : detail} in part, and rows with one key become one message: are they of one case?`,
  'warning-sum': (detail, column) =>
    `cells of ${column} say ${detail}: if this row adds up others, its goods are counted twice; leave it out by "leaveOut"`,
  'warning-one-cell': (detail, column) =>
    `a row has one cell alone, ${detail} of ${column}: if it is a note and no seizure, leave it out by "leaveOut"`,
  'warning-two-days': (detail, column) =>
    `cells of ${column} can be read by a later format as another day: ${detail} is taken, which is the first that fits`,
  'warning-odd-code': (_, column) =>
    `codes of ${column} have an odd number of digits: if a spreadsheet cut a zero on the left, say "pad"`,
  'warning-other-sheets': (detail) =>
    `the workbook has several sheets; the first of these is taken: ${detail}; name another one under "sheet"`,
  'warning-hidden-row': () => 'rows that the spreadsheet hides are taken like the others',
  'warning-merged': () => 'cells are merged: their value stands in the first of them alone, and the others are empty',
}

function remarkLine({ kind, column, detail, count, lines }: Remark): string {
  const more = count > lines.length ? ', …' : ''
  const places = `line${lines.length === 1 && more === '' ? '' : 's'} ${lines.map((line) => String(line)).join(', ')}${more}`
  return `${number(count)} ×: ${harmlessLine(remarkWords[kind](detail, column))} (${places})`
}

/** What the file says otherwise than the operation, as corrections and withdrawals. */
export function proposalLines({ fresh, already, changed, gone, returned }: ImportProposal): string[] {
  const lines = [
    `${counted(fresh, 'row')} of the file ${fresh === 1 ? 'is' : 'are'} new; ${number(already)} were there already.`,
    ...section(
      `${counted(changed.length, 'row')} changed at the source, to be corrected:`,
      changed
        .slice(0, mostShown)
        .flatMap(({ line, key, fields }) => [
          `line ${number(line)}, key ${harmlessLine(key)}${fields.length === 0 ? ': nothing that the message says' : ''}`,
          ...fields
            .slice(0, mostFieldsShown)
            .map(({ pointer, before, after }) => `  ${harmlessLine(pointer)}: ${written(before)} → ${written(after)}`),
          ...(fields.length > mostFieldsShown
            ? [`  … and ${number(fields.length - mostFieldsShown)} more fields`]
            : []),
        ]),
    ),
    ...section(
      `${counted(gone.length, 'row')} gone from the source, to be withdrawn:`,
      gone
        .slice(0, mostShown)
        .map(
          ({ key, message, subject }) =>
            `key ${harmlessLine(key)}${subject === undefined ? '' : `, ${harmlessLine(subject)}`} (message ${message})`,
        ),
    ),
    ...section(
      `${counted(returned.length, 'row')} back after a withdrawal, to be sent again:`,
      returned.slice(0, mostShown).map(({ line, key }) => `line ${number(line)}, key ${harmlessLine(key)}`),
    ),
  ]
  const most = Math.max(changed.length, gone.length, returned.length)
  return most > mostShown ? [...lines, '', `Each list shows its first ${number(mostShown)}; --json has all.`] : lines
}

function written(value: unknown): string {
  if (value === undefined) return 'nothing'
  return harmlessLine(JSON.stringify(value))
}
