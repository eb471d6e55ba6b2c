import { comparingForm } from '../../forms/index.ts'
import type { CsvRecord, ImportFault } from './csv.ts'
import { usedColumns, type LeaveOut, type Mapping } from './mapping.ts'
import type { Remarks } from './remarks.ts'
import { isErrorWord, isSumWord, spreadsheetError } from './words.ts'

/** Each column that a mapping names, but for columns without a name. */
function columnsNamed(mapping: Mapping): Set<string> {
  const left = mapping.leaveOut.map(({ column }) => column)
  const { columns, ignore, key } = mapping
  const all = [...Object.keys(columns), ...usedColumns(mapping), ...ignore, ...(key ?? []), ...left]
  return new Set(all.filter((column) => column !== ''))
}

/**
 * The header with the names that the mapping has: a name that is written otherwise
 * (`comparingForm`: case, line breaks, spaces, accents in another form) is that of the mapping
 * where no other column of the file has this form.
 */
export function namedAsMapped({ line, cells }: CsvRecord, mapping: Mapping, remarks: Remarks): CsvRecord {
  const wanted = columnsNamed(mapping)
  const byForm = new Map<string, string[]>()
  for (const column of cells) if (!wanted.has(column)) listAt(byForm, comparingForm(column)).push(column)
  const renamed = new Map<string, string>()
  const lacking = [...wanted].filter((column) => !cells.includes(column))
  for (const column of lacking) {
    const form = comparingForm(column)
    const [found, ...others] = byForm.get(form) ?? []
    const isAlone = lacking.filter((other) => comparingForm(other) === form).length === 1
    if (found === undefined || others.length > 0 || !isAlone) continue
    renamed.set(found, column)
    remarks.add('column-written-otherwise', line, column, JSON.stringify(found))
  }
  return { line, cells: cells.map((column) => renamed.get(column) ?? column) }
}

function listAt(lists: Map<string, string[]>, key: string): string[] {
  const list = lists.get(key) ?? []
  lists.set(key, list)
  return list
}

/** The columns that the mapping or the file has and the other one has not. */
export function faultsOfColumns({ line, cells }: CsvRecord, mapping: Mapping): ImportFault[] {
  const faults: ImportFault[] = []
  const wanted = columnsNamed(mapping)
  for (const column of wanted) {
    if (cells.includes(column)) continue
    const advice =
      'The mapping names this column and the file does not have it: give the file that fits, or correct the mapping.'
    faults.push({ line, column, reason: 'no-such-column', advice })
  }
  for (const column of cells) {
    if (wanted.has(column)) continue
    const advice = 'The mapping does not say what becomes of this column: map it, or name it under "ignore".'
    faults.push({ line, column, reason: 'column-not-mapped', advice })
  }
  return faults
}

/**
 * Whether the mapping leaves a row out. Answers a fault where the cell that decides it holds an
 * error of a spreadsheet.
 */
export function isLeftOut(
  line: number,
  cells: ReadonlyMap<string, string>,
  { leaveOut }: Mapping,
  remarks: Remarks,
): boolean | ImportFault {
  for (const rule of leaveOut) {
    const { column } = rule
    const word = (cells.get(column) ?? '').trim()
    const isNamed = names(rule, word)
    if (!isNamed && isErrorWord(word)) return { line, column, ...spreadsheetError(word) }
    if (isNamed !== (rule.in !== undefined)) continue
    remarks.add('left-out', line, column, word)
    return true
  }
  return false
}

/**
 * Whether a row of another width than the header is a note: a rule names the word of a cell that it
 * has. Of a row that broke, no cell that is missing decides.
 */
export function isNote(
  line: number,
  cells: ReadonlyMap<string, string>,
  { leaveOut }: Mapping,
  remarks: Remarks,
): boolean {
  const rule = leaveOut.find((one) => one.in !== undefined && cells.has(one.column) && names(one, wordAt(cells, one)))
  if (rule !== undefined) remarks.add('left-out', line, rule.column, wordAt(cells, rule))
  return rule !== undefined
}

function wordAt(cells: ReadonlyMap<string, string>, { column }: LeaveOut): string {
  return (cells.get(column) ?? '').trim()
}

function names({ in: words, notIn }: LeaveOut, word: string): boolean {
  return (words ?? notIn ?? []).some((one) => one === word || comparingForm(one) === comparingForm(word))
}

const leastColumns = 3

/** Warns of a row that adds up others, and of one that may be a note. */
export function warnOfNoRow(line: number, cells: ReadonlyMap<string, string>, remarks: Remarks): void {
  const [[column, cell] = ['', ''], ...others] = [...cells].filter(([, word]) => word.trim() !== '')
  const word = cell.trim()
  if (isSumWord(word)) remarks.add('warning-sum', line, column, word)
  else if (others.length === 0 && cells.size >= leastColumns) remarks.add('warning-one-cell', line, column, word)
}
