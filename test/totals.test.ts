import fc from 'fast-check'
import t from 'tap'
import { figurePlaces, sumCommodities, type Figures } from '../src/forms/index.ts'
import { discloseAtDayEnds, type Span } from '../src/reports/totals.ts'

const sums = new Set(sumCommodities)
const one = 10n ** BigInt(figurePlaces)
const live = 'wildlife/pangolin/live'
const dead = 'wildlife/pangolin/carcass'
const whole = 'wildlife/pangolin/whole'
const scales = 'wildlife/pangolin/scales'

type Goods = Span['goods'][number]
let made = 0

function span(country: string, day: number, goods: readonly Goods[], until: number | null = null): Span {
  const name = String(++made)
  const dayOf = (n: number) => `2026-03-${String(n).padStart(2, '0')}`
  return { message: name, thread: name, country, from: dayOf(day), until: until === null ? null : dayOf(until), goods }
}

function pieces(category: string, n: number, estimated = false): Goods {
  return { category, unit: 'H87', quantity: BigInt(n) * one, estimated }
}

const show = (spans: readonly Span[]): Figures => discloseAtDayEnds(spans, sums)
const rowOf = (figures: Figures, category: string) => figures.quantities.find((row) => row.category === category)
const shown = (figures: Figures) => figures.quantities.map((row) => row.category)

/** What stood at the end of a day: this is how the same spans looked then. */
function asAt(spans: readonly Span[], day: string): Span[] {
  return spans
    .filter(({ from }) => from <= day)
    .map((s) => ({ ...s, until: s.until !== null && s.until <= day ? s.until : null }))
}

function countriesBehind(spans: readonly Span[], has: (goods: Goods) => boolean): Set<string> {
  const standing = spans.filter(({ until }) => until === null)
  return new Set(standing.filter(({ goods }) => goods.some(has)).map(({ country }) => country))
}

t.test('what three countries made is shown, exactly', async (t) => {
  const figures = show([
    span('KE', 1, [pieces(live, 2)]),
    span('TH', 1, [pieces(live, 3)]),
    span('DE', 1, [{ category: live, unit: 'H87', quantity: 1n, estimated: false }]),
  ])
  t.same(figures, {
    seizures: 3,
    cases: 3,
    quantities: [{ category: live, unit: 'H87', quantity: '5.00000000000000000001', estimated: '0', seizures: 3 }],
    totals: [{ unit: 'H87', quantity: '5.00000000000000000001', estimated: '0' }],
  })
})

t.test('what two countries made is not shown, nor counted', async (t) => {
  const figures = show([span('KE', 1, [pieces(live, 2)]), span('TH', 1, [pieces(live, 3)])])
  t.same(figures, { seizures: 0, cases: 0, quantities: [], totals: [] })
})

t.test('many seizures of one country are still one country', async (t) => {
  t.same(show(Array.from({ length: 20 }, () => span('KE', 1, [pieces(live, 1)]))).quantities, [])
})

t.test('estimates of one country are not shown among the counts of three', async (t) => {
  const three = ['KE', 'TH', 'DE'].map((country) => span(country, 1, [pieces(live, 1)]))
  t.same(shown(show([...three, span('KE', 1, [pieces(live, 7, true)])])), [])
})

t.test('a hidden row hides the next smallest, so that the total does not tell it', async (t) => {
  const all = ['KE', 'TH', 'DE', 'FR']
  const figures = show([
    ...all.map((country) => span(country, 1, [pieces(scales, 100)])),
    ...all.map((country) => span(country, 1, [pieces(dead, 10)])),
    span('KE', 1, [pieces(live, 1)]),
  ])
  t.same(shown(figures), [scales])
  t.same(figures.totals, [{ unit: 'H87', quantity: '441', estimated: '0' }], 'the total holds what is hidden')
})

t.test('a hidden row hides as many more as it takes for three countries to stand behind them', async (t) => {
  const figures = show([
    span('KE', 1, [pieces('drugs/khat', 1)]),
    span('TH', 1, [pieces('drugs/other', 2)]),
    ...['KE', 'TH', 'DE'].map((country) => span(country, 1, [pieces(dead, 10)])),
    ...['KE', 'TH', 'DE'].map((country) => span(country, 1, [pieces(scales, 100)])),
  ])
  t.same(shown(figures), [scales])
})

t.test('a sum does not tell the part that is hidden', async (t) => {
  const all = ['KE', 'TH', 'DE']
  const figures = show([
    ...all.map((country) => span(country, 1, [pieces(whole, 20), pieces(scales, 100)])),
    ...all.map((country) => span(country, 1, [pieces(dead, 10)])),
    span('KE', 1, [pieces(live, 10)]),
  ])
  t.notOk(rowOf(figures, whole))
  t.notOk(rowOf(figures, live))
})

t.test('a change that fewer than three countries made waits, and comes with the third', async (t) => {
  const three = ['KE', 'TH', 'DE'].map((country) => span(country, 1, [pieces(live, 1)]))
  const before = show(three)
  const one = [...three, span('KE', 2, [pieces(live, 5)])]
  t.same(show(one), before)
  const two = [...one, span('TH', 3, [pieces(live, 5)])]
  t.same(show(two), before)
  const third = [...two, span('FR', 4, [pieces(live, 5)])]
  t.same(rowOf(show(third), live)?.quantity, '18')
  t.same(show(third).seizures, 6)
})

t.test('a withdrawal by one country is not told by the day after', async (t) => {
  const four = (until: number | null) =>
    ['KE', 'TH', 'DE', 'FR'].map((country) => span(country, 1, [pieces(live, 1)], country === 'FR' ? until : null))
  t.same(show(four(2)), show(four(null)))
})

t.test('a row that falls below three countries is hidden at once', async (t) => {
  const spans = ['KE', 'TH', 'DE'].map((country) => span(country, 1, [pieces(live, 1)], country === 'DE' ? 2 : null))
  t.same(show(spans).quantities, [])
  t.same(show(spans).seizures, 0)
})

t.test('counts do not tell what one country seized without saying how much', async (t) => {
  const before = ['KE', 'TH', 'DE'].map((country) => span(country, 1, [pieces(live, 1)]))
  const day = ['KE', 'TH', 'DE'].map((country) => span(country, 2, [pieces(live, 1)]))
  t.same(show([...before, ...day]).seizures, 6)
  t.same(show([...before, ...day, span('FR', 2, [])]).seizures, 3, 'stays as it was')
})

t.test('a corrected seizure keeps its case', async (t) => {
  const thread = 'one'
  const spans = ['KE', 'TH', 'DE'].flatMap((country) => [
    { ...span(country, 1, [pieces(live, 1)], 2), thread: thread + country },
    { ...span(country, 2, [pieces(live, 4)]), thread: thread + country },
  ])
  t.match(show(spans), { seizures: 3, cases: 3, quantities: [{ quantity: '12' }] })
})

const goodsArbitrary = fc.record({
  category: fc.constantFrom(live, dead, whole, scales, 'drugs/khat'),
  unit: fc.constantFrom('H87' as const, 'KGM' as const),
  quantity: fc.bigInt({ min: 0n, max: 40n }).map((n) => n * one),
  estimated: fc.boolean(),
})
const spanArbitrary = fc
  .record({
    country: fc.constantFrom('KE', 'TH', 'DE', 'FR', 'VN', 'CN'),
    day: fc.integer({ min: 1, max: 4 }),
    stays: fc.option(fc.integer({ min: 1, max: 3 })),
    goods: fc.array(goodsArbitrary, { maxLength: 2 }),
  })
  .map(({ country, day, stays, goods }) => span(country, day, goods, stays === null ? null : day + stays))
const history = fc
  .array(spanArbitrary, { minLength: 1, maxLength: 60 })
  .map((spans) => spans.toSorted((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0)))
const dayEnds = ['2026-03-01', '2026-03-02', '2026-03-03', '2026-03-04', '2026-03-05', '2026-03-06']

t.test('INV-17: no row that is shown has fewer than three countries behind it, at any day end', async () => {
  fc.assert(
    fc.property(history, fc.constantFrom(...dayEnds), (spans, day) => {
      const then = asAt(spans, day)
      return show(then).quantities.every(
        (row) =>
          countriesBehind(then, ({ category, unit }) => category === row.category && unit === row.unit).size >= 3,
      )
    }),
  )
})

t.test('INV-17: what one or two countries did on a day changes nothing that was shown and still is', async () => {
  fc.assert(
    fc.property(history, fc.array(spanArbitrary, { minLength: 1, maxLength: 6 }), (spans, late) => {
      const first = spans.map((s) => ({ ...s, from: '2026-03-01', until: null }))
      const before = show(first)
      const next = late.map((s) => ({ ...s, country: s.country < 'F' ? 'KE' : 'TH', from: '2026-03-02', until: null }))
      const after = show([...first, ...next])
      const rows = after.quantities.every((row) => {
        const old = before.quantities.find(({ category, unit }) => category === row.category && unit === row.unit)
        return old === undefined || JSON.stringify(old) === JSON.stringify(row)
      })
      return rows && (before.seizures === 0 || after.seizures === before.seizures)
    }),
    { numRuns: 500 },
  )
})

t.test('INV-17: a hidden row is never hidden alone beside a total', async () => {
  fc.assert(
    fc.property(history, (spans) => {
      const figures = show(spans)
      const rows = new Map<string, string>()
      for (const { until, goods } of spans) {
        for (const { category, unit } of goods)
          if (until === null && !sums.has(category)) rows.set(`${category} ${unit}`, unit)
      }
      return figures.totals.every(({ unit }) => {
        const all = [...rows].filter(([, of]) => of === unit).map(([key]) => key)
        const hidden = all.filter((key) => !figures.quantities.some((row) => `${row.category} ${row.unit}` === key))
        return hidden.length !== 1 || all.length === 1
      })
    }),
    { numRuns: 300 },
  )
})

t.test('where three countries stand behind everything, nothing is hidden', async () => {
  fc.assert(
    fc.property(fc.array(fc.array(goodsArbitrary, { minLength: 1, maxLength: 2 }), { minLength: 1 }), (lists) => {
      const goods = lists.map((list) => list.map((item) => ({ ...item, quantity: item.quantity + one })))
      const spans = goods.flatMap((list) => ['KE', 'TH', 'DE'].map((country) => span(country, 1, list)))
      return sameAsPlain(spans, show(spans))
    }),
  )
})

function sameAsPlain(spans: readonly Span[], figures: Figures): boolean {
  const standing = spans.filter(({ until }) => until === null)
  const plain = new Map<string, bigint>()
  for (const { goods } of standing) {
    for (const { category, unit, quantity } of goods) {
      plain.set(`${category} ${unit}`, (plain.get(`${category} ${unit}`) ?? 0n) + quantity)
    }
  }
  const rows = new Map(figures.quantities.map((row) => [`${row.category} ${row.unit}`, row]))
  return (
    figures.seizures === standing.length &&
    plain.size === rows.size &&
    [...plain].every(([key, sum]) => {
      const row = rows.get(key)
      return row !== undefined && BigInt(row.quantity) + BigInt(row.estimated) === sum / one
    })
  )
}
