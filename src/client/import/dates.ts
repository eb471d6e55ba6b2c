import { isDay } from '../../forms/index.ts'

/** From which day to which day a cell says: the two are one where the cell names a day. */
export interface DaySpan {
  readonly from: string
  readonly to: string
  /** Whether the cell names a time of day, which no form takes. */
  readonly timed: boolean
}

export interface DateStyle {
  /** The formats that a cell may have, in the order in which they are tried. */
  readonly formats: readonly string[]
  /** The language of the names of months (BCP 47). */
  readonly language: string
  /** The first of the hundred years that two digits may mean. */
  readonly firstYear: number
  /**
   * The month, from 1, with which a fiscal year begins; it has the number of the year in which it
   * ends.
   */
  readonly fiscalYearBegins?: number
}

const tokens = /'[^']*'|YYYY|YY|MMMM|MMM|MM|M|DD|D|HH|H|hh|h|mm|ss|SSS|A|Z|Q|./gsu
const names: Readonly<Record<string, string>> = {
  YYYY: '(?<year>\\d{4})',
  YY: '(?<short>\\d{2})',
  MMMM: '(?<name>[\\p{L}\\p{M}]+\\.?)',
  MMM: '(?<name>[\\p{L}\\p{M}]+\\.?)',
  HH: '(?<hour>[01]\\d|2[0-3])',
  H: '(?<hour>[01]?\\d|2[0-3])',
  hh: '(?<hour>0\\d|1[0-2])',
  h: '(?<hour>0?[1-9]|1[0-2])',
  mm: '(?<minute>[0-5]\\d)',
  ss: '(?<second>[0-5]\\d|60)',
  SSS: '(?<fraction>\\d{1,9})',
  A: '(?<half>[AaPp]\\.?[Mm]\\.?)',
  Z: '(?<zone>Z|[+-]\\d{2}:?\\d{2})',
  Q: '(?<quarter>[1-4])',
}

// 2022/23, 2022-23 or 2022/2023 is a fiscal year.
const twoYears = /^YYYY(?:[/–-]| [/–-] )(YYYY|YY)$/u

/** Whether a format names a fiscal year by the two years in which it lies. */
export function isTwoYearFormat(format: unknown): boolean {
  return typeof format === 'string' && twoYears.test(format)
}

const compiled = new Map<string, RegExp | undefined>()

/**
 * Whether a text is a format of days, months, quarters or years: it names a year, and a month where
 * it names a day. Letters that are no part of it stand between apostrophes.
 */
export function isDateFormat(value: unknown): value is string {
  return typeof value === 'string' && value.length <= 64 && expressionOf(value) !== undefined
}

/** Whether a format names a whole month, quarter or year and no day. */
export function isSpanFormat(format: unknown): boolean {
  if (typeof format !== 'string') return false
  const parts: readonly string[] = format.match(tokens) ?? []
  return !parts.some((token) => token === 'D' || token === 'DD')
}

function expressionOf(format: string): RegExp | undefined {
  if (!compiled.has(format)) compiled.set(format, compile(format))
  return compiled.get(format)
}

function compile(format: string): RegExp | undefined {
  const last = twoYears.exec(format)?.[1]
  if (last !== undefined) {
    const mark = format.slice('YYYY'.length, -last.length)
    return new RegExp(`^(?<year>\\d{4})${escape(mark)}(?<last>\\d{${last.length}})$`, 'u')
  }
  const parts: readonly string[] = format.match(tokens) ?? []
  // Where digits follow digits, or the year comes first, day and month have two digits.
  const tight = (at: number) => /^[YMDHhms]/.test(parts[at + 1] ?? '') || /^[YMD]/.test(parts[at - 1] ?? '')
  const seen = new Set<string>()
  let expression = '^'
  for (const [at, part] of parts.entries()) {
    const kind = part.startsWith("'") && part.length > 1 ? "'" : part
    const digits = tight(at) || format.startsWith('YYYY-MM-DD') ? '\\d{2}' : '\\d{1,2}'
    if (kind === "'") expression += escape(part.slice(1, -1))
    else if (part === 'M' || part === 'MM') expression += `(?<month>${digits})`
    else if (part === 'D' || part === 'DD') expression += `(?<day>${digits})`
    else if (names[part] !== undefined) expression += names[part]
    else if (/[\p{L}\p{N}']/u.test(part) && !(part === 'T' && parts[at - 1]?.startsWith('D'))) return undefined
    else expression += part === ' ' ? '[ \\u00a0\\u202f]+' : escape(part)
    if (/^[A-Z]+$/i.test(part) && part !== 'T') {
      const name = part === 'MMMM' ? 'MMM' : part.slice(0, part.startsWith('MMM') ? 3 : 1)
      if (seen.has(name)) return undefined
      seen.add(name)
    }
  }
  const month = seen.has('M') || seen.has('MMM')
  const twice = (seen.has('M') && seen.has('MMM')) || (seen.has('Q') && month) || (seen.has('h') && seen.has('H'))
  const dated = seen.has('Y') && (month || seen.has('Q') || parts.includes('YYYY'))
  const whole = dated && !twice && (!seen.has('D') || month) && seen.has('h') === seen.has('A')
  return whole ? new RegExp(`${expression}$`, 'u') : undefined
}

function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

/**
 * Reads the day, or the span of a month, quarter or year, that a cell names in one of the formats;
 * undefined where it is none. A time of day is checked and left out: the day is the one that the
 * cell writes.
 */
export function readSpan(cell: string, style: DateStyle): DaySpan | undefined {
  for (const format of style.formats) {
    const parts = expressionOf(format)?.exec(cell)?.groups
    const span = parts && spanOf(parts, style)
    if (span !== undefined) return span
  }
  return undefined
}

function spanOf(parts: Readonly<Record<string, string | undefined>>, style: DateStyle): DaySpan | undefined {
  const first = yearOf(parts, style.firstYear)
  const last = parts['last']
  if (last !== undefined && !String(first + 1).endsWith(last)) return undefined
  const named = last === undefined ? first : first + 1
  const month = parts['name'] === undefined ? numberOf(parts['month']) : monthOf(parts['name'], style.language)
  if (parts['name'] !== undefined && month === undefined) return undefined
  const begins = style.fiscalYearBegins ?? 1
  const calendar = (inYear: number) => (begins > 1 && inYear >= begins ? named - 1 : named)
  const timed = parts['hour'] !== undefined
  if (parts['day'] !== undefined && month !== undefined) {
    const day = dayOf(calendar(month), month, Number(parts['day']))
    return day === undefined ? undefined : { from: day, to: day, timed }
  }
  const quarter = numberOf(parts['quarter'])
  const begun = month ?? ((begins - 1 + (quarter === undefined ? 0 : (quarter - 1) * 3)) % 12) + 1
  const months = month === undefined ? (quarter === undefined ? 12 : 3) : 1
  const from = dayOf(calendar(begun), begun, 1)
  const end = begun + months - 1
  const to = lastDayOf(calendar(begun) + Math.floor((end - 1) / 12), ((end - 1) % 12) + 1)
  return from === undefined || to === undefined ? undefined : { from, to, timed }
}

function yearOf(parts: Readonly<Record<string, string | undefined>>, firstYear: number): number {
  if (parts['year'] !== undefined) return Number(parts['year'])
  const short = Number(parts['short'])
  return firstYear + ((((short - firstYear) % 100) + 100) % 100)
}

function numberOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text)
}

function dayOf(year: number, month: number, day: number): string | undefined {
  const text = `${String(year).padStart(4, '0')}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`
  return isDay(text) ? text : undefined
}

function lastDayOf(year: number, month: number): string | undefined {
  return [31, 30, 29, 28].map((day) => dayOf(year, month, day)).find((day) => day !== undefined)
}

const monthsOf = new Map<string, readonly (readonly string[])[]>()

/** The month, from 1, whose name a word is or begins with three letters or more. */
function monthOf(word: string, language: string): number | undefined {
  const wanted = bare(word)
  const known = monthsOf.get(language) ?? monthNames(language)
  monthsOf.set(language, known)
  const exact = known.findIndex((forms) => forms.includes(wanted))
  if (exact >= 0) return exact + 1
  const begun = known.flatMap(([long = ''], at) => (wanted.length >= 3 && long.startsWith(wanted) ? [at + 1] : []))
  return begun.length === 1 ? begun[0] : undefined
}

function monthNames(language: string): string[][] {
  return Array.from({ length: 12 }, (_, month) =>
    (['long', 'short'] as const).flatMap((width) =>
      [{ month: width }, { month: width, day: 'numeric' } as const].flatMap((options) => {
        const format = new Intl.DateTimeFormat(language, { ...options, timeZone: 'UTC', calendar: 'gregory' })
        const part = format.formatToParts(Date.UTC(2026, month, 15)).find(({ type }) => type === 'month')
        return part === undefined ? [] : [bare(part.value)]
      }),
    ),
  )
}

function bare(word: string): string {
  return word
    .normalize('NFKD')
    .replaceAll(/[\p{M}.]/gu, '')
    .toLowerCase()
}

/** Whether the platform knows the names of the months in a language. */
export function isLanguage(value: unknown): value is string {
  if (typeof value !== 'string') return false
  try {
    return Intl.DateTimeFormat.supportedLocalesOf(value).length > 0
  } catch {
    return false
  }
}
