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
  for (const leaveOutNameless of [false, true])
    for (let headerLine = 1; headerLine <= mostTitleLines; headerLine++) {
      const csv = await read({ leaveOutNameless, ...(headerLine === 1 ? {} : { headerLine }) })
      if (isImportFault(csv)) {
        first ??= csv
        continue
      }
      const nameless = csv.remarks.filter(({ kind }) => kind === 'nameless-ignored')
      if (nameless.some(({ detail }) => detail !== '1')) continue
      const settings = {
        ...(headerLine === 1 ? {} : { headerLine }),
        ...(nameless.length === 0 ? {} : { ignore: [''] }),
      }
      const notes = [
        ...(headerLine === 1 ? [] : [`The header stands on line ${headerLine}.`]),
        ...(nameless.length === 0 ? [] : ['The first column has no name: it is left out.']),
        ...csv.remarks.flatMap(noteOf),
      ]
      return { csv, settings, notes }
    }
  return { fault: first ?? { line: 1, column: '', reason: 'empty', advice: 'The file is empty.' } }
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
