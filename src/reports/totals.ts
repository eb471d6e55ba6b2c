import { figurePlaces, type BaseUnit, type CategoryAmount, type Figures } from '../forms/index.ts'
import { add, addTo, mayStep, noShares, nothing, together, type Share, type Shares } from './disclosure.ts'

/**
 * One version of a seizure, from the day (`YYYY-MM-DD`) at whose end it counted to the first day at
 * whose end it did not.
 */
export interface Span {
  readonly message: string
  readonly thread: string
  readonly country: string
  readonly from: string
  readonly until: string | null
  readonly goods: readonly {
    readonly category: string
    readonly unit: BaseUnit
    /**
     * The quantity in steps of the base unit (10 to the power of minus `figurePlaces`), which hold
     * every quantity and factor exactly.
     */
    readonly quantity: bigint
    readonly estimated: boolean
  }[]
}

/** A value that may be shown: what it is now, and the last value that was shown of it. */
interface Line {
  readonly category: string
  readonly unit: BaseUnit | ''
  readonly now: Map<string, Share>
  last: Shares | undefined
  shown: boolean
}

/**
 * What remains of a unit beside the rows that are shown, treated like a row, and the last total
 * that was shown.
 */
interface Remainder {
  last: Shares
  total: Share | undefined
}

/**
 * Answers the figures for members who see totals only (access.md, `totals`), as at the end of the
 * last day in `spans`, which are in the order of the log. It goes day by day: a row is shown where
 * three countries contribute to each of its numbers, and changes only where three contributed to
 * the change since it was last shown; until then it stays as it was. A hidden row hides the next
 * smallest of its unit, and more until three countries contribute to the hidden rows together; a
 * total follows only where that remainder may be shown too. So every number, every step of one, and
 * the difference between a total and its rows, is of no country or of three. Counts that were never
 * shown are 0.
 */
export function discloseAtDayEnds(spans: readonly Span[], sums: ReadonlySet<string>): Figures {
  const lines = new Map<string, Line>()
  const counts: Line = { category: '', unit: '', now: new Map(), last: undefined, shown: false }
  const uncounted: Line = { category: '', unit: '', now: new Map(), last: undefined, shown: false }
  const remainders = new Map<BaseUnit | '', Remainder>()
  let beside: Shares = noShares
  const cases = new Map<string, { country: string; standing: number }>()

  const apply = ({ thread, country, goods }: Span, sign: 1n | -1n) => {
    const place = cases.get(thread) ?? { country, standing: 0 }
    cases.set(thread, place)
    place.standing += Number(sign)
    addTo(counts.now, [[country, { ...nothing, seizures: 1n }]], sign)
    const turns = sign === 1n ? place.standing === 1 : place.standing === 0
    if (turns) addTo(counts.now, [[place.country, { ...nothing, cases: 1n }]], sign)
    for (const [line, share] of sharesOf(goods, lines)) addTo(line.now, [[country, share]], sign)
    if (goods.length === 0) addTo(uncounted.now, [[country, { ...nothing, seizures: 1n }]], sign)
  }

  const days = new Map<string, { begin: Span[]; end: Span[] }>()
  const dayOf = (day: string) => {
    const changes = days.get(day) ?? { begin: [], end: [] }
    days.set(day, changes)
    return changes
  }
  for (const span of spans) {
    dayOf(span.from).begin.push(span)
    if (span.until !== null) dayOf(span.until).end.push(span)
  }
  for (const day of [...days.keys()].toSorted()) {
    const { begin, end } = dayOf(day)
    // A correction keeps its case: versions that begin come before versions that end.
    for (const span of begin) apply(span, 1n)
    for (const span of end) apply(span, -1n)
    for (const [unit, rows] of Map.groupBy(lines.values(), (line) => line.unit)) {
      const remainder = remainders.get(unit) ?? { last: noShares, total: undefined }
      remainders.set(unit, remainder)
      discloseUnit(rows, sums, remainder)
    }
    beside = discloseCounts(counts, [...lines.values(), uncounted], beside)
  }
  return write(lines, remainders, counts)
}

function sharesOf(goods: Span['goods'], lines: Map<string, Line>): Map<Line, Share> {
  const shares = new Map<Line, Share>()
  for (const { category, unit, quantity, estimated } of goods) {
    const key = `${category} ${unit}`
    const line = lines.get(key) ?? { category, unit, now: new Map(), last: undefined, shown: false }
    lines.set(key, line)
    const share = { ...nothing, [estimated ? 'estimated' : 'quantity']: quantity }
    shares.set(line, add(shares.get(line) ?? { ...nothing, seizures: 1n }, share))
  }
  return shares
}

/**
 * Answers the value of a line that may be shown today: its present value, the one that was shown
 * last, or undefined.
 */
function candidate({ now, last }: Line): Shares | undefined {
  if (now.size === 0 || !mayStep(noShares, now)) return undefined
  return mayStep(last ?? noShares, now) ? now : last
}

function discloseUnit(rows: readonly Line[], sums: ReadonlySet<string>, remainder: Remainder): void {
  const parts = rows.filter((row) => !sums.has(row.category))
  const today = new Map<Line, Shares>()
  for (const row of parts) {
    const value = candidate(row)
    if (value) today.set(row, value)
  }
  const left = new Map<string, Share>()
  for (const row of parts) {
    addTo(left, row.now)
    addTo(left, today.get(row) ?? noShares, -1n)
  }
  if (parts.some((row) => row.now.size > 0 && !today.has(row))) {
    const bySize = [...today].toSorted(([a], [b]) => compareSize(a, b))
    for (const [row, value] of bySize) {
      today.delete(row)
      addTo(left, value)
      if (left.size >= 3 && mayStep(noShares, left)) break
    }
  }
  for (const row of parts) show(row, today.get(row))

  // A sum repeats its parts: beside all but one of them it would tell the last one.
  for (const row of rows) {
    if (!sums.has(row.category)) continue
    const siblings = parts.filter((part) => parentOf(part.category) === parentOf(row.category) && part.now.size > 0)
    const current = siblings.every((part) => part.shown && part.last !== undefined && same(part.last, part.now))
    const value = candidate(row)
    if (siblings.some((part) => !part.shown)) show(row, undefined)
    else show(row, value !== undefined && !current ? row.last : value)
  }

  // The seizures of rows overlap, so a total shows quantities alone.
  const rest = new Map([...left].map(([country, share]) => [country, { ...share, seizures: 0n }]))
  if (mayStep(noShares, rest) && mayStep(remainder.last, rest)) {
    remainder.last = rest
    remainder.total = parts.reduce((sum, row) => add(sum, together(row.now)), nothing)
  }
}

function discloseCounts(counts: Line, rows: readonly Line[], beside: Shares): Shares {
  if (!mayStep(noShares, counts.now)) show(counts, undefined)
  const left = new Map<string, Share>()
  for (const row of rows) {
    const shares = [...row.now].map(([country, { seizures }]) => [country, { ...nothing, seizures }] as const)
    addTo(left, shares)
    const shown = row.shown ? [...(row.last ?? noShares)] : []
    const shownShares = shown.map(([country, { seizures }]) => [country, { ...nothing, seizures }] as const)
    addTo(left, shownShares, -1n)
  }
  if (!mayStep(noShares, left) || !mayStep(beside, left)) return beside
  const value = candidate(counts)
  if (value !== undefined && value !== counts.now) return beside
  show(counts, value)
  return value === undefined ? beside : left
}

function show(line: Line, value: Shares | undefined): void {
  line.shown = value !== undefined
  if (value !== undefined) line.last = new Map(value)
}

function same(a: Shares, b: Shares): boolean {
  return a.size === b.size && [...a].every(([country, share]) => equal(share, b.get(country) ?? nothing))
}

function equal(a: Share, b: Share): boolean {
  return a.quantity === b.quantity && a.estimated === b.estimated && a.seizures === b.seizures && a.cases === b.cases
}

function compareSize(a: Line, b: Line): number {
  const [x, y] = [together(a.now), together(b.now)]
  const difference = x.quantity + x.estimated - (y.quantity + y.estimated)
  return difference < 0n ? -1 : difference > 0n ? 1 : byCodeUnits(a.category, b.category)
}

function parentOf(category: string): string {
  return category.slice(0, Math.max(category.lastIndexOf('/'), 0))
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function write(lines: Map<string, Line>, remainders: Map<BaseUnit | '', Remainder>, counts: Line): Figures {
  const counted = together(counts.shown ? (counts.last ?? noShares) : noShares)
  const quantities: CategoryAmount[] = []
  for (const { category, unit, last, shown } of lines.values()) {
    if (!shown || last === undefined || unit === '') continue
    const { quantity, estimated, seizures } = together(last)
    quantities.push({
      category,
      unit,
      quantity: decimal(quantity),
      estimated: decimal(estimated),
      seizures: Number(seizures),
    })
  }
  const totals = [...remainders].flatMap(([unit, { total }]) =>
    unit === '' || total === undefined || (total.quantity === 0n && total.estimated === 0n)
      ? []
      : [{ unit, quantity: decimal(total.quantity), estimated: decimal(total.estimated) }],
  )
  return {
    seizures: Number(counted.seizures),
    cases: Number(counted.cases),
    quantities: quantities.toSorted((a, b) => byCodeUnits(a.category, b.category) || byCodeUnits(a.unit, b.unit)),
    totals: totals.toSorted((a, b) => byCodeUnits(a.unit, b.unit)),
  }
}

function decimal(steps: bigint): string {
  const digits = steps.toString().padStart(figurePlaces + 1, '0')
  const whole = digits.slice(0, -figurePlaces)
  const fraction = digits.slice(-figurePlaces).replace(/0+$/, '')
  return fraction === '' ? whole : `${whole}.${fraction}`
}
