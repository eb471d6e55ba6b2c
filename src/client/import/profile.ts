import { comparingForm, codeLists } from '../../forms/index.ts'
import { isSpanFormat, readSpan } from './dates.ts'
import { readNumber, type NumberStyle } from './numbers.ts'
import { isErrorWord, isMissingWord } from './words.ts'

/** What the cells of one column look like. */
export interface ColumnProfile {
  readonly name: string
  /** The different words of its cells, without words that mean missing, the commonest first. */
  readonly words: readonly string[]
  /** The words of its cells that usually mean that nothing was reported. */
  readonly missing: readonly string[]
  readonly filled: number
  /** The number of its cells that are empty. */
  readonly blank: number
  /** Whether no two cells are one. */
  readonly unique: boolean
  /** The formats of dates in which each cell is a day or a span, the likeliest first. */
  readonly dateFormats: readonly string[]
  readonly numeric: boolean
  /** Whether each cell is a code, a list of codes, or the English name of a country. */
  readonly countries: 'codes' | 'lists' | 'names' | undefined
  /** What separates the codes of lists. */
  readonly separator: string | undefined
  /** The most digits after a point or a comma that one of its numbers has. */
  readonly mostDecimals: number
}

const mostWords = 200
// A column of countries may have some that are written otherwise: these are asked for.
const leastKnownShare = 0.5

const formats = [
  'YYYY-MM-DD',
  'YYYY-MM-DD HH:mm:ss',
  'YYYY-MM-DD HH:mm',
  'YYYY-MM-DDTHH:mm:ss',
  'YYYY-MM-DDTHH:mm:ssZ',
  'YYYY/MM/DD',
  'YYYYMMDD',
  'D/M/YYYY',
  'M/D/YYYY',
  'D.M.YYYY',
  'D-M-YYYY',
  'M-D-YYYY',
  'D/M/YY',
  'M/D/YY',
  'D.M.YY',
  'D/M/YYYY H:mm',
  'D/M/YYYY H:mm:ss',
  'M/D/YYYY H:mm',
  'M/D/YYYY H:mm:ss',
  'M/D/YYYY h:mm A',
  'M/D/YYYY h:mm:ss A',
  'D.M.YYYY H:mm',
  'D.M.YYYY H:mm:ss',
  'YYYY-MM-DDTHH:mm:ss.SSSZ',
  'D MMM YYYY',
  'D-MMM-YYYY',
  'D-MMM-YY',
  'MMM D, YYYY',
  'D. MMM YYYY',
  'MMM YYYY',
  'M/YYYY',
  'MMM-YY',
  'YYYY-MM',
  'YYYYMM',
  'YYYY',
  'YYYY/YY',
  'YYYY-YY',
] as const

const styles: readonly NumberStyle[] = [
  { decimalComma: false, grouping: 'threes', scientific: false },
  { decimalComma: false, grouping: 'threes', scientific: false, thousands: ',' },
  { decimalComma: false, grouping: 'indian', scientific: false, thousands: ',' },
  { decimalComma: false, grouping: 'threes', scientific: false, thousands: ' ' },
  { decimalComma: false, grouping: 'threes', scientific: false, thousands: "'" },
  { decimalComma: true, grouping: 'threes', scientific: false },
  { decimalComma: true, grouping: 'threes', scientific: false, thousands: '.' },
  { decimalComma: true, grouping: 'threes', scientific: false, thousands: ' ' },
  { decimalComma: false, grouping: 'threes', scientific: true },
  { decimalComma: false, grouping: 'threes', scientific: true, thousands: ',' },
]

/** Profiles one column by the texts of its cells. */
export function profileColumn(name: string, cells: readonly string[]): ColumnProfile {
  // NA is Namibia among codes of countries: a person decides what it means there.
  const filledCells = cells.filter((cell) => cell.trim() !== '')
  const isCodes = filledCells.filter(isCountry).length >= Math.max(1, filledCells.length * leastKnownShare)
  const counts = new Map<string, number>()
  const missing = new Set<string>()
  let filled = 0
  for (const cell of cells) {
    const word = cell.trim()
    if (word === '') continue
    if ((isMissingWord(word) || isErrorWord(word)) && !isCodes) {
      missing.add(word)
      continue
    }
    filled++
    counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  const all = [...counts.keys()]
  const words = all.toSorted((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0)).slice(0, mostWords)
  const dateFormats = formats.filter((format) => filled > 0 && all.every((word) => isDated(word, format)))
  return {
    name,
    words,
    missing: [...missing],
    filled,
    blank: cells.filter((cell) => cell.trim() === '').length,
    unique: filled > 0 && filled === cells.length && counts.size === filled,
    dateFormats,
    numeric: filled > 0 && !dateFormats.some((format) => !/^[YMD]+$/.test(format)) && all.every(isNumeric),
    ...countriesIn(all),
    mostDecimals: Math.max(0, ...words.map((word) => /[.,](\d+)$/.exec(word)?.[1]?.length ?? 0)),
  }
}

// Digits with marks between them: which mark is which is decided for all numbers together.
function isNumeric(word: string): boolean {
  return /^[+-]?[.,]?\d(?:[.,' \u00a0\u2009\u202f\u2019]?\d)*(?:[eE][+-]?\d+)?$/.test(word)
}

function isDated(word: string, format: string): boolean {
  // A bare year is a number of four digits: only years of this kind of records are meant.
  if (isSpanFormat(format) && format === 'YYYY' && !/^(?:19[5-9]\d|20\d\d)$/.test(word)) return false
  return readSpan(word, { formats: [format], language: 'en', firstYear: 1970 }) !== undefined
}

const countryByName = new Map([...codeLists.countries.codes].map(([code, { en }]) => [comparingForm(en), code]))

/** The code of a country by its English name. */
export function countryCode(name: string): string | undefined {
  return countryByName.get(comparingForm(name))
}

function isCountry(cell: string): boolean {
  return codeLists.countries.codes.has(cell.trim())
}

function countriesIn(words: readonly string[]): Pick<ColumnProfile, 'countries' | 'separator'> {
  const none = { countries: undefined, separator: undefined }
  if (words.length === 0) return none
  if (words.every(isCountry)) return { ...none, countries: 'codes' }
  const separator = [';', ',', '/', '|', ' '].find((mark) => words.every((word) => word.split(mark).every(isCountry)))
  if (separator !== undefined) return { countries: 'lists', separator }
  const known = words.filter((word) => isCountry(word) || countryCode(word) !== undefined).length
  return known > 0 && known >= words.length * leastKnownShare ? { ...none, countries: 'names' } : none
}

/** The styles in which each number of the columns can be read, the likeliest first. */
export function numberStyles(columns: readonly ColumnProfile[]): NumberStyle[] {
  const words = columns.filter(({ numeric }) => numeric).flatMap((column) => column.words)
  return styles.filter((style) => words.every((word) => readNumber(word, style) !== undefined))
}

/** A number that two styles read as two values; undefined where they agree on all. */
export function disputedNumber(columns: readonly ColumnProfile[], a: NumberStyle, b: NumberStyle): string | undefined {
  const words = columns.filter(({ numeric }) => numeric).flatMap((column) => column.words)
  return words.find((word) => Number(readNumber(word, a)) !== Number(readNumber(word, b)))
}
