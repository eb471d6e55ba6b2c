import { multiplyDecimals, units, type UnitCode } from '../../forms/index.ts'

/** The characters that may group the digits of a number. */
export const thousandsMarks = ['.', ',', ' ', "'"] as const

/** How a file writes its numbers. Nothing else is a number. */
export interface NumberStyle {
  /** Whether the fraction follows a comma; it follows a point otherwise. */
  readonly decimalComma: boolean
  /** What groups the digits of the whole part; digits are not grouped if it is not given. */
  readonly thousands?: (typeof thousandsMarks)[number]
  /** `threes` as in 1,234,567, or `indian` as in 12,34,567. */
  readonly grouping: 'threes' | 'indian'
  /** Whether 2.09E-05 is a number. */
  readonly scientific: boolean
}

/** How a number is rounded that lies in the middle: away from zero, or to the even digit. */
export type Half = 'up' | 'even'

const spaces = '[ \\u00a0\\u2009\\u202f]'
const classOf: Readonly<Record<string, string>> = { '.': '\\.', ',': ',', ' ': spaces, "'": "['\\u2019]" }
const mostExponent = 40

/**
 * Reads a number as a decimal with a point: the sign, the whole part without leading zeros that
 * grouping or an exponent brought, and each digit of the fraction. Undefined where the text is not
 * written in the style.
 */
export function readNumber(text: string, style: NumberStyle): string | undefined {
  const mark = style.decimalComma ? ',' : '\\.'
  const grouped = style.thousands === undefined ? undefined : classOf[style.thousands]
  const inner = style.grouping === 'indian' ? 2 : 3
  const first = `[1-9]\\d{0,${inner - 1}}`
  const groups =
    grouped === undefined
      ? ''
      : `|${first}(?:(${grouped})\\d{${inner}}(?:\\k<mark>\\d{${inner}})*\\k<mark>\\d{3}|${grouped}\\d{3})`
  const whole = `(?<whole>\\d+${groups.replace(`(${grouped})`, `(?<mark>${grouped})`)})`
  const exponent = style.scientific ? '(?:[eE](?<exponent>[+-]?\\d{1,3}))?' : ''
  const parts = new RegExp(
    `^(?<sign>[+-]?)(?:${whole}(?:${mark}(?<fraction>\\d+))?|${mark}(?<bare>\\d+))${exponent}$`,
    'u',
  ).exec(text)?.groups
  if (parts === undefined) return undefined
  const digits = (parts['whole'] ?? '0').replaceAll(/\D/g, '').replace(/^0+(?=\d)/, '')
  const fraction = parts['fraction'] ?? parts['bare'] ?? ''
  const sign = parts['sign'] === '-' ? '-' : ''
  if (parts['exponent'] === undefined) return sign + digits + (fraction === '' ? '' : `.${fraction}`)
  const moved = shift(digits, fraction, Number(parts['exponent']))
  return moved === undefined ? undefined : sign + moved
}

function shift(whole: string, fraction: string, by: number): string | undefined {
  if (Math.abs(by) > mostExponent) return undefined
  const digits = whole + fraction
  const point = whole.length + by
  const left = point <= 0 ? '0' : digits.slice(0, point).padEnd(point, '0')
  const right = point < 0 ? '0'.repeat(-point) + digits : digits.slice(point)
  const tail = right.replace(/0+$/, '')
  return left.replace(/^0+(?=\d)/, '') + (tail === '' ? '' : `.${tail}`)
}

/**
 * Rounds a decimal with a point to exactly so many places. Undefined where the text is no decimal.
 */
export function roundDecimal(decimal: string, places: number, half: Half = 'up'): string | undefined {
  const parts = /^(-?)(\d+)(?:\.(\d+))?$/.exec(decimal)
  if (parts === null) return undefined
  const [, sign = '', whole = '', fraction = ''] = parts
  const kept = BigInt(whole + fraction.slice(0, places).padEnd(places, '0'))
  const rest = fraction.slice(places).replace(/0+$/, '')
  const middle = rest === '5' && half === 'even'
  const up = middle ? kept % 2n === 1n : rest >= '5'
  const digits = (up ? kept + 1n : kept).toString().padStart(places + 1, '0')
  const text = places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`
  return sign === '-' && /[1-9]/.test(text) ? `-${text}` : text
}

/** Whether two decimals with a point are of one value, with or without zeros at the end. */
export function sameDecimal(a: string, b: string): boolean {
  const bare = (text: string) => (text.includes('.') ? text.replace(/\.?0+$/, '') : text)
  return bare(a) === bare(b)
}

/**
 * Converts a quantity exactly from one unit to another of its kind. Undefined where the result has
 * no end, as with kilograms in pounds, or where the kinds are different.
 */
export function convertQuantity(quantity: string, from: UnitCode, to: UnitCode): string | undefined {
  const [a, b] = [units[from], units[to]]
  if (a.kind !== b.kind) return undefined
  const inBase = multiplyDecimals(quantity, a.factor)
  return divideExactly(inBase, b.factor)
}

// A decimal has an end only where what is left of the divisor is a product of 2 and 5.
function divideExactly(dividend: string, divisor: string): string | undefined {
  const digitsOf = (text: string) => BigInt(text.replace('.', ''))
  const scaleOf = (text: string) => text.split('.')[1]?.length ?? 0
  const mostPlaces = 40
  const scaled = digitsOf(dividend) * 10n ** BigInt(mostPlaces + scaleOf(divisor))
  const by = digitsOf(divisor) * 10n ** BigInt(scaleOf(dividend))
  if (scaled % by !== 0n) return undefined
  const digits = (scaled / by).toString().padStart(mostPlaces + 1, '0')
  const fraction = digits.slice(-mostPlaces).replace(/0+$/, '')
  return digits.slice(0, -mostPlaces) + (fraction === '' ? '' : `.${fraction}`)
}
