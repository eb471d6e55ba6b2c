// What this holds: quantities are added and compared to the last digit, and nothing but a decimal
// of zero or more is one.
import fc from 'fast-check'
import t from 'tap'
import {
  addDecimals,
  canonicalDecimal,
  compareDecimals,
  figurePlaces,
  inBaseUnit,
  isQuantity,
  isZero,
  mostQuantityDecimals,
  multiplyDecimals,
  sumDecimals,
  units,
} from '../src/forms/index.ts'

/** A reported quantity and the same in millionths. */
const quantities = fc
  .tuple(fc.bigInt({ min: 0n, max: 10n ** 15n - 1n }), fc.nat({ max: 999_999 }), fc.nat({ max: 6 }))
  .map(([whole, fraction, digits]) => {
    const tail = fraction.toString().padStart(6, '0').slice(0, digits)
    const text = tail === '' ? whole.toString() : `${whole}.${tail}`
    return { text, millionths: whole * 1_000_000n + BigInt(tail.padEnd(6, '0')) }
  })

function fromMillionths(value: bigint): string {
  const text = value.toString().padStart(7, '0')
  return `${text.slice(0, -6)}.${text.slice(-6)}`.replace(/\.?0+$/, '')
}

t.test('what is no quantity is refused', async (t) => {
  const refused: unknown[] = [
    '',
    ' ',
    '-1',
    '+1',
    '-0',
    '.5',
    '5.',
    '05',
    '00',
    '1e3',
    '1E3',
    '0x10',
    '1,5',
    '1 000',
    '1_000',
    '1.1234567',
    '1234567890123456',
    '1.2.3',
    ' 1',
    '1 ',
    '1\n',
    'NaN',
    'Infinity',
    '١٢',
    '\uff11',
    '½',
    '1.5kg',
    '9'.repeat(10_000),
    1,
    1n,
    null,
    undefined,
    ['1'],
    { toString: () => '1' },
  ]
  for (const value of refused)
    t.equal(
      isQuantity(value),
      false,
      JSON.stringify(value, (_, v) => (typeof v === 'bigint' ? `${v}n` : v)),
    )
})

t.test('what is a quantity is accepted', async (t) => {
  for (const value of ['0', '0.0', '0.000001', '1.50', '10', '999999999999999.999999'])
    t.equal(isQuantity(value), true, value)
})

t.test('arithmetic refuses what is no decimal', async (t) => {
  for (const bad of ['-1', '', '1e3', 'x', '01', '1.', undefined as never, 1 as never]) {
    t.throws(() => canonicalDecimal(bad), RangeError)
    t.throws(() => addDecimals('1', bad), RangeError)
    t.throws(() => addDecimals(bad, '1'), RangeError)
    t.throws(() => sumDecimals(['1', bad]), RangeError)
    t.throws(() => multiplyDecimals(bad, '1'), RangeError)
    t.throws(() => compareDecimals('1', bad), RangeError)
  }
})

t.test('INV-21: sums are exact', async (t) => {
  t.equal(addDecimals('0.1', '0.2'), '0.3')
  t.equal(addDecimals('999999999999999.999999', '0.000001'), '1000000000000000')
  t.equal(sumDecimals([]), '0')
  t.equal(sumDecimals(Array.from({ length: 1000 }, () => '0.1')), '100')
  fc.assert(
    fc.property(fc.array(quantities, { maxLength: 30 }), (terms) => {
      const sum = terms.reduce((total, { millionths }) => total + millionths, 0n)
      return sumDecimals(terms.map(({ text }) => text)) === fromMillionths(sum)
    }),
  )
})

t.test('a sum does not depend on the order', async () => {
  fc.assert(
    fc.property(fc.array(quantities, { maxLength: 20 }), (terms) => {
      const texts = terms.map(({ text }) => text)
      return sumDecimals(texts) === sumDecimals(texts.toReversed())
    }),
  )
})

t.test('comparison is of values, not of how they are written', async (t) => {
  t.equal(compareDecimals('1.50', '1.5'), 0)
  t.ok(compareDecimals('9', '10') < 0)
  t.ok(compareDecimals('0.000001', '0') > 0)
  fc.assert(
    fc.property(quantities, quantities, (a, b) => {
      const expected = a.millionths < b.millionths ? -1 : a.millionths > b.millionths ? 1 : 0
      return compareDecimals(a.text, b.text) === expected
    }),
  )
})

t.test('there is one canonical way to write a decimal', async (t) => {
  t.equal(canonicalDecimal('1.50'), '1.5')
  t.equal(canonicalDecimal('0.000000'), '0')
  t.equal(canonicalDecimal('100'), '100')
  fc.assert(
    fc.property(quantities, ({ text, millionths }) => {
      const canonical = canonicalDecimal(text)
      return canonical === fromMillionths(millionths) && canonicalDecimal(canonical) === canonical
    }),
  )
})

t.test('units convert exactly inside their kind and never across', async (t) => {
  t.same(inBaseUnit('1.5', 'GRM'), { unit: 'KGM', quantity: '0.0015' })
  t.same(inBaseUnit('0.000001', 'MGM'), { unit: 'KGM', quantity: '0.000000000001' })
  t.same(inBaseUnit('2.325', 'TNE'), { unit: 'KGM', quantity: '2325' })
  t.same(inBaseUnit('250', 'MLT'), { unit: 'LTR', quantity: '0.25' })
  t.same(inBaseUnit('3', 'PR'), { unit: 'H87', quantity: '6' })
  for (const code of ['', 'kg', 'KG', 'toString', '__proto__', 'XXX'])
    t.throws(() => inBaseUnit('1', code), RangeError, code)
  for (const [code, unit] of Object.entries(units)) {
    const base = units[unit.base]
    t.equal(base.kind, unit.kind, code)
    t.equal(base.factor, '1', code)
  }
})

t.test('a factor of a unit has no more digits than figures hold', async (t) => {
  for (const [code, { factor }] of Object.entries(units)) {
    t.equal(canonicalDecimal(factor), factor, `${code} is canonical`)
    const [, fraction = ''] = factor.split('.')
    t.ok(fraction.length + mostQuantityDecimals <= figurePlaces, `${code} fits`)
  }
  t.same(inBaseUnit('999999999999999.999999', 'LBR'), { unit: 'KGM', quantity: '453592369999999.99999954640763' })
  t.same(inBaseUnit('1', 'LBR'), { unit: 'KGM', quantity: '0.45359237' })
  t.same(inBaseUnit('16', 'ONZ'), inBaseUnit('1', 'LBR'), 'sixteen ounces are a pound')
  t.same(inBaseUnit('7000', 'GRN'), inBaseUnit('1', 'LBR'), 'so are 7,000 grains')
  t.same(inBaseUnit('480', 'GRN'), inBaseUnit('1', 'APZ'), 'and 480 a troy ounce')
  t.same(inBaseUnit('2000', 'LBR'), inBaseUnit('1', 'STN'))
  t.same(inBaseUnit('2240', 'LBR'), inBaseUnit('1', 'LTN'))
  t.same(inBaseUnit('5', 'CTM'), inBaseUnit('1', 'GRM'))
  t.same(inBaseUnit('12', 'INH'), inBaseUnit('1', 'FOT'))
  t.same(inBaseUnit('3', 'FOT'), inBaseUnit('1', 'YRD'))
  t.same(inBaseUnit('144', 'INK'), inBaseUnit('1', 'FTK'))
  t.same(inBaseUnit('128', 'OZA'), inBaseUnit('1', 'GLL'))
  t.same(inBaseUnit('42', 'GLL'), inBaseUnit('1', 'BLL'))
  t.same(inBaseUnit('2.5', 'MTK'), { unit: 'MTK', quantity: '2.5' })
})

t.test('zero is zero however it is written, and nothing else is', async (t) => {
  for (const zero of ['0', '0.0', '0.000000']) t.equal(isZero(zero), true, zero)
  for (const more of ['0.000001', '10', '0.10']) t.equal(isZero(more), false, more)
})
