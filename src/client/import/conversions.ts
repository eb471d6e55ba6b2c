import { isDay } from '../../forms/index.ts'

const dateFormats = {
  'YYYY-MM-DD': /^(?<year>\d{4})-(?<month>\d{2})-(?<day>\d{2})$/,
  YYYYMMDD: /^(?<year>\d{4})(?<month>\d{2})(?<day>\d{2})$/,
  'DD/MM/YYYY': /^(?<day>\d{1,2})\/(?<month>\d{1,2})\/(?<year>\d{4})$/,
  'DD.MM.YYYY': /^(?<day>\d{1,2})\.(?<month>\d{1,2})\.(?<year>\d{4})$/,
  'DD-MM-YYYY': /^(?<day>\d{1,2})-(?<month>\d{1,2})-(?<year>\d{4})$/,
  'MM/DD/YYYY': /^(?<month>\d{1,2})\/(?<day>\d{1,2})\/(?<year>\d{4})$/,
} as const

export type DateFormat = keyof typeof dateFormats

export function isDateFormat(value: unknown): value is DateFormat {
  return typeof value === 'string' && Object.hasOwn(dateFormats, value)
}

/** Converts a day from the format of the file to YYYY-MM-DD; undefined where it is no day. */
export function toDay(cell: string, format: DateFormat): string | undefined {
  const parts = dateFormats[format].exec(cell)?.groups
  if (parts === undefined) return undefined
  const day = `${parts['year']}-${parts['month']?.padStart(2, '0')}-${parts['day']?.padStart(2, '0')}`
  return isDay(day) ? day : undefined
}

/**
 * Converts a decimal, which may be negative, to exactly so many places, rounded half away from
 * zero; undefined where it is no decimal.
 */
export function toDecimals(cell: string, places: number): string | undefined {
  const parts = /^([+-]?)(\d{1,15})(?:\.(\d{1,20}))?$/.exec(cell)
  if (parts === null) return undefined
  const [, sign, whole = '', fraction = ''] = parts
  const padded = fraction.padEnd(places + 1, '0')
  const kept = BigInt(whole + padded.slice(0, places)) + (Number(padded[places]) >= 5 ? 1n : 0n)
  const digits = kept.toString().padStart(places + 1, '0')
  const text = places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`
  return sign === '-' && kept !== 0n ? `-${text}` : text
}
