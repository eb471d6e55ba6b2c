/**
 * Quantities: decimals of zero or more, kept as text and added exactly. Binary numbers are not
 * exact: 0.1 + 0.2 must be 0.3, and two independent computations must agree to the last digit.
 */

interface Fixed {
  readonly digits: bigint
  readonly scale: number
}

/**
 * The shape of a reported quantity: no sign, no exponent, no leading zeros, up to 15 digits before
 * and 6 after the point.
 */
export const quantityPattern = '^(?:0|[1-9][0-9]{0,14})(?:\\.[0-9]{1,6})?$'

export const quantityMaxLength = 22

const reported = new RegExp(quantityPattern)
// The shape of a computed quantity: sums and products have more digits than a report may have.
const computed = /^(?:0|[1-9][0-9]{0,99})(?:\.[0-9]{1,100})?$/

/** The digits that a reported quantity may have after its point. */
export const mostQuantityDecimals = 6

/** Whether a value is a quantity that a form accepts. */
export function isQuantity(value: unknown): value is string {
  return typeof value === 'string' && value.length <= quantityMaxLength && reported.test(value)
}

/**
 * Writes a decimal in its one canonical form: no zeros at the end of the fraction. Throws
 * RangeError where the text is no decimal of zero or more.
 */
export function canonicalDecimal(text: string): string {
  return write(read(text))
}

/**
 * Whether a quantity is zero, however it is written. It says that somebody looked and that there
 * was nothing: it is no seizure of these goods.
 */
export function isZero(quantity: string): boolean {
  return canonicalDecimal(quantity) === '0'
}

/** The exact sum of two decimals, canonical. Throws RangeError where a text is no decimal. */
export function addDecimals(a: string, b: string): string {
  return write(add(read(a), read(b)))
}

/** The exact sum of any number of decimals, canonical; '0' for none. */
export function sumDecimals(terms: Iterable<string>): string {
  let sum: Fixed = { digits: 0n, scale: 0 }
  for (const term of terms) sum = add(sum, read(term))
  return write(sum)
}

/** The exact product of two decimals, canonical: a quantity and the factor of its unit. */
export function multiplyDecimals(a: string, b: string): string {
  const [x, y] = [read(a), read(b)]
  return write({ digits: x.digits * y.digits, scale: x.scale + y.scale })
}

/** Negative, zero or positive as a is less than, equal to or more than b; '1.50' equals '1.5'. */
export function compareDecimals(a: string, b: string): number {
  const [x, y] = align(read(a), read(b))
  return x < y ? -1 : x > y ? 1 : 0
}

function read(text: string): Fixed {
  if (typeof text !== 'string' || !computed.test(text)) throw new RangeError('not a decimal of zero or more')
  const point = text.indexOf('.')
  if (point < 0) return { digits: BigInt(text), scale: 0 }
  return { digits: BigInt(text.slice(0, point) + text.slice(point + 1)), scale: text.length - point - 1 }
}

function align(a: Fixed, b: Fixed): [bigint, bigint, number] {
  const scale = Math.max(a.scale, b.scale)
  return [a.digits * 10n ** BigInt(scale - a.scale), b.digits * 10n ** BigInt(scale - b.scale), scale]
}

function add(a: Fixed, b: Fixed): Fixed {
  const [x, y, scale] = align(a, b)
  return { digits: x + y, scale }
}

function write({ digits, scale }: Fixed): string {
  const text = digits.toString().padStart(scale + 1, '0')
  if (scale === 0) return text
  const fraction = text.slice(-scale).replace(/0+$/, '')
  const whole = text.slice(0, -scale)
  return fraction === '' ? whole : `${whole}.${fraction}`
}
