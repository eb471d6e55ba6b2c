import { delimiters, isImportFault, readCsv } from './csv.ts'
import type { Csv, Delimiter, ImportFault, TableOptions } from './csv.ts'
import { decodeFile, encodingTold, type Encoding } from './encodings.ts'
import type { Remark } from './remarks.ts'
import { isXlsx, readXlsx } from './xlsx.ts'

const mostTitleLines = 10

/** A file as a table, with the settings by which it was read. */
export interface UnknownFile {
  readonly table: Csv
  readonly settings: Record<string, unknown>
  readonly notes: string[]
}

/**
 * Reads a file of which nothing is known: its encoding, delimiter and the line of its header are
 * those with which it can be read and has the most columns. Answers the fault where there are none.
 */
export async function readUnknown(file: Uint8Array): Promise<UnknownFile | ImportFault> {
  if (isXlsx(file)) {
    const table = await firstGood((options) => readXlsx(file, options))
    return 'fault' in table
      ? table.fault
      : { table: table.csv, settings: table.settings, notes: ['The file is a workbook.', ...table.notes] }
  }
  const encoding = encodingOf(file)
  const why = encodingTold(file) === encoding ? 'its bytes tell' : 'every byte fits'
  const notes = encoding === 'utf-8' ? [] : [`The file is not UTF-8: ${encoding} is taken, which ${why}.`]
  const tried: { found: Awaited<ReturnType<typeof firstGood>>; delimiter: Delimiter }[] = []
  for (const delimiter of delimiters) {
    const found = await firstGood((options) => Promise.resolve(readCsv(file, delimiter, { encoding, ...options })))
    tried.push({ found, delimiter })
  }
  const width = ({ found }: (typeof tried)[number]) => ('csv' in found ? found.csv.header.cells.length : 0)
  const best = tried.reduce((a, b) => (width(b) > width(a) ? b : a))
  if ('fault' in best.found) return best.found.fault
  const { csv, settings, notes: more } = best.found
  const named = csv.remarks.some(({ kind }) => kind === 'delimiter-named')
  const written = best.delimiter === '\t' ? 'a tab' : best.delimiter
  return {
    table: csv,
    settings: {
      ...(encoding === 'utf-8' ? {} : { encoding }),
      ...(best.delimiter === ',' || named ? {} : { delimiter: best.delimiter }),
      ...settings,
    },
    notes: [...notes, `Cells are separated by ${named ? 'what the first line names' : written}.`, ...more],
  }
}

// Lines with a title may stand before the header, and R and others write a first column without a
// name, which numbers the rows.
async function firstGood(
  read: (options: TableOptions) => Promise<Csv | ImportFault>,
): Promise<{ csv: Csv; settings: Record<string, unknown>; notes: string[] } | { fault: ImportFault }> {
  let first: ImportFault | undefined
  for (let headerLine = 1; headerLine <= mostTitleLines; headerLine++)
    for (const leaveOutNameless of [false, true]) {
      const below = new Map<string, string>()
      const csv = await read({
        leaveOutNameless,
        ...(headerLine === 1 ? {} : { headerLine }),
        leavesOut: (_line, cells) => isNoteBelow(cells, below),
      })
      if (isImportFault(csv)) {
        first ??= csv
        continue
      }
      const { cells } = csv.header
      for (const word of notesAtEnd(csv)) below.set(word, cells[0] ?? '')
      const nameless = csv.remarks.filter(({ kind }) => kind === 'nameless-ignored')
      if (nameless.some(({ detail }) => detail !== '1')) continue
      // A title of one cell is no header of a table whose rows it cannot hold.
      if (below.size > 0 && cells.length < 2) continue
      if (headerLine > 1 && (cells.length < 2 || cells.some((cell) => /^[\d.,]+$/.test(cell.trim())))) continue
      const settings = {
        ...(headerLine === 1 ? {} : { headerLine }),
        ...(nameless.length === 0 ? {} : { ignore: [''] }),
        ...(below.size === 0 ? {} : { leaveOut: [{ column: cells[0] ?? '', in: [...below.keys()] }] }),
      }
      const notes = [
        ...(headerLine === 1 ? [] : [`The header stands on line ${headerLine}.`]),
        ...(nameless.length === 0 ? [] : ['The first column has no name: it is left out.']),
        ...[...below.keys()].map((note) => `A line below the table is left out: ${note.slice(0, 64)}`),
        ...csv.remarks.flatMap(noteOf),
      ]
      return { csv, settings, notes }
    }
  return { fault: first ?? { line: 1, column: '', reason: 'empty', advice: 'The file is empty.' } }
}

// A spreadsheet writes a note below its table with all delimiters.
function notesAtEnd({ header, records }: Csv): string[] {
  const isNote = (cells: readonly string[]) => cells.every((cell, at) => (cell.trim() !== '') === (at === 0))
  const last = records.findLastIndex(({ cells }) => !isNote(cells))
  return header.cells.length < 3 || last < 0 ? [] : records.slice(last + 1).map(({ cells }) => (cells[0] ?? '').trim())
}

const mostNotesBelow = 20

// A row of one cell, where the table has more.
function isNoteBelow(cells: ReadonlyMap<string, string>, below: Map<string, string>): boolean {
  const [[column, word] = ['', ''], ...others] = [...cells]
  if (others.length > 0 || word.trim() === '' || below.size >= mostNotesBelow) return false
  below.set(word.trim(), column)
  return true
}

function noteOf({ kind, detail, lines }: Remark): string[] {
  if (kind === 'warning-other-sheets')
    return [`The workbook has several sheets; the first of these is taken: ${detail}.`]
  if (kind === 'warning-hidden-row') return [`The spreadsheet hides rows, which are taken too (line ${lines[0]}).`]
  if (kind === 'warning-merged')
    return [`Cells are merged, and all but the first of them are empty (line ${lines[0]}).`]
  return []
}

function encodingOf(file: Uint8Array): Encoding {
  return encodingTold(file) ?? (typeof decodeFile(file, 'utf-8') === 'string' ? 'utf-8' : 'windows-1252')
}
