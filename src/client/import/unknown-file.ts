import { delimiters, isImportFault, readCsv, type Csv, type Delimiter, type ImportFault } from './csv.ts'
import { decodeFile, type Encoding } from './encodings.ts'
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
    const table = await firstGood((headerLine) => readXlsx(file, headerLine === 1 ? {} : { headerLine }))
    return 'fault' in table
      ? table.fault
      : { table: table.csv, settings: table.settings, notes: ['The file is a workbook.', ...table.notes] }
  }
  const encoding = encodingOf(file)
  const notes = encoding === 'utf-8' ? [] : [`The file is not UTF-8: ${encoding} is taken, which every byte fits.`]
  const tried: { found: Awaited<ReturnType<typeof firstGood>>; delimiter: Delimiter }[] = []
  for (const delimiter of delimiters) {
    const found = await firstGood((headerLine) =>
      Promise.resolve(readCsv(file, delimiter, { encoding, ...(headerLine === 1 ? {} : { headerLine }) })),
    )
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

// Lines with a title may stand before the header.
async function firstGood(
  read: (headerLine: number) => Promise<Csv | ImportFault>,
): Promise<{ csv: Csv; settings: Record<string, unknown>; notes: string[] } | { fault: ImportFault }> {
  let first: ImportFault | undefined
  for (let headerLine = 1; headerLine <= mostTitleLines; headerLine++) {
    const table = await read(headerLine)
    if (isImportFault(table)) {
      first ??= table
      continue
    }
    if (headerLine === 1) return { csv: table, settings: {}, notes: [] }
    return { csv: table, settings: { headerLine }, notes: [`The header stands on line ${headerLine}.`] }
  }
  return { fault: first ?? { line: 1, column: '', reason: 'empty', advice: 'The file is empty.' } }
}

function encodingOf(file: Uint8Array): Encoding {
  const [a, b] = file
  if (a === 0xff && b === 0xfe) return 'utf-16le'
  if (a === 0xfe && b === 0xff) return 'utf-16be'
  return typeof decodeFile(file, 'utf-8') === 'string' ? 'utf-8' : 'windows-1252'
}
