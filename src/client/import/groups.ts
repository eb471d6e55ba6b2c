import { addDecimals, isZero, mostQuantityDecimals, units, type Schema, type UnitCode } from '../../forms/index.ts'
import { columnsOf, type CellSource, type GroupSource } from './mapping.ts'
import { convertQuantity, roundDecimal, sameDecimal } from './numbers.ts'
import { isCellFault, readSource, roundedToNothing, type CellFault, type Row } from './values.ts'

/** One group of a list as a row says it, before quantities of several rows are added up. */
export interface RawGroup {
  readonly members: Readonly<Record<string, unknown>>
  /** The first column that filled a member. */
  readonly column: string
  /** How its quantity is converted and rounded; undefined for groups without one. */
  readonly quantity?: { readonly source: CellSource; readonly column: string; readonly line: number }
}

/**
 * Reads one group. Undefined where the row says nothing of it: no cell of it was reported, or a
 * table of the mapping says that a required member means nothing. Answers the faults of its cells.
 */
export function readGroup(row: Row, group: GroupSource, schema: Schema): RawGroup | undefined | readonly CellFault[] {
  const members: Record<string, unknown> = {}
  const faults: CellFault[] = []
  let column: string | undefined
  let fromCells = 0
  let told = 0
  let silent = false
  let unitIsNothing = false
  for (const [name, source] of Object.entries(group)) {
    if (typeof source !== 'object') {
      members[name] = source
      continue
    }
    fromCells++
    const read = readSource(row, source, schema.properties?.[name])
    if (isCellFault(read)) {
      faults.push(read)
      continue
    }
    if (read.silent === true && (schema.required ?? []).includes(name)) silent = true
    if (read.silent === true && name === 'unit') unitIsNothing = true
    if (read.value === undefined) continue
    if (read.assumed !== true) told++
    column ??= read.column
    members[name] = read.value
  }
  if (silent || (fromCells > 0 && told === 0 && faults.length === 0)) return undefined
  if (faults.length > 0) return faults
  const quantity = group['quantity']
  if (typeof quantity !== 'object') return { members, column: column ?? '' }
  const [place = ''] = columnsOf(quantity)
  if (members['quantity'] !== undefined && members['unit'] !== undefined)
    return { members, column: column ?? '', quantity: { source: quantity, column: place, line: row.line } }
  if (members['quantity'] !== undefined && !unitIsNothing) {
    const unit = group['unit']
    const advice =
      'This row has a quantity and no unit: give the unit, or say under "codes" what an empty cell means, such as {"": "H87"}.'
    return [{ column: (typeof unit === 'object' ? columnsOf(unit)[0] : undefined) ?? place, reason: 'missing', advice }]
  }
  if (members['quantity'] !== undefined) row.remarks.add('quantity-left-out', row.line, place)
  // A form takes a unit, and whether it is an estimate, only beside a quantity.
  const { quantity: _quantity, unit: _unit, estimated: _estimated, ...rest } = members
  return { members: rest, column: column ?? '' }
}

/** Adds up groups that differ in their quantity alone, in the order of the first of each. */
export function addUpGroups(groups: readonly RawGroup[]): { groups: RawGroup[]; added: number } {
  const sums = new Map<string, RawGroup>()
  let added = 0
  for (const [n, group] of groups.entries()) {
    const { quantity, ...rest } = group.members
    const same = JSON.stringify([
      Object.entries(rest).toSorted(([a], [b]) => (a < b ? -1 : 1)),
      group.quantity?.source ?? null,
    ])
    // Weights are not added: goods that have one stay as they are.
    const isAdded = typeof quantity === 'string' && isDecimal(quantity) && rest['weight'] === undefined
    const key = isAdded ? same : `${same} ${n}`
    const before = sums.get(key)
    if (before !== undefined) added++
    const total =
      before === undefined ? quantity : addDecimals(before.members['quantity'] as string, quantity as string)
    sums.set(key, before === undefined ? group : { ...before, members: { ...group.members, quantity: total } })
  }
  return { groups: [...sums.values()], added }
}

function isDecimal(text: string): boolean {
  return /^(?:0|[1-9]\d{0,30})(?:\.\d{1,40})?$/.test(text)
}

/**
 * The members as the form takes them: the quantity is converted and rounded where the mapping says
 * so, and the description then names what the file says. Undefined for goods of zero where the
 * mapping leaves them out. Answers a fault where it would have more
 * digits than the form takes, or would be rounded to nothing.
 */
export function finishGroup(
  row: Pick<Row, 'remarks' | 'mapping'>,
  raw: RawGroup,
): Readonly<Record<string, unknown>> | CellFault | undefined {
  const { members, quantity } = raw
  const reported = members['quantity']
  const unit = members['unit']
  if (quantity === undefined || typeof reported !== 'string' || typeof unit !== 'string') return members
  const { column, line, source } = quantity
  if (!isDecimal(reported)) return members
  if (isZero(reported)) {
    const isLeftOut = row.mapping.zeros === 'leave-out'
    row.remarks.add(isLeftOut ? 'zero-left-out' : 'zero', line, column)
    if (isLeftOut) return undefined
  }
  const to = convertible(unit, source.convertTo) ? (source.convertTo as UnitCode) : undefined
  const converted = to === undefined ? reported : convertQuantity(reported, unit as UnitCode, to)
  if (converted === undefined)
    return {
      column,
      reason: 'not-exact',
      advice: `The quantity in ${to ?? unit} has no end: convert it to another unit, such as ${units[unit as UnitCode].base}.`,
    }
  const kept = fitted(converted, source)
  if (kept === undefined) {
    const digits = converted.split('.')[1]?.length ?? 0
    const advice = `The quantity has ${digits} digits after the point and the form takes ${mostQuantityDecimals}: say "decimals" in the mapping to round it.`
    return { column, reason: 'too-many-decimals', advice }
  }
  if (isZero(kept) && !isZero(converted)) return { column, ...roundedToNothing }
  if (to !== undefined) row.remarks.add('converted', line, column, `${unit} → ${to}`)
  const rounded = !sameDecimal(kept, converted)
  if (rounded) row.remarks.add('rounded', line, column, String(source.decimals))
  if (to === undefined && !rounded) return { ...members, quantity: kept }
  const mark = `Reported as ${reported} ${unit}`
  const described = typeof members['description'] === 'string' ? `${members['description']}\n${mark}` : mark
  return { ...members, quantity: kept, unit: to ?? unit, description: described }
}

function convertible(from: string, to: string | undefined): boolean {
  if (to === undefined || to === from || !Object.hasOwn(units, from) || !Object.hasOwn(units, to)) return false
  return units[from as UnitCode].kind === units[to as UnitCode].kind
}

/**
 * The quantity with no more digits than the mapping and the form take; undefined where it has more.
 */
function fitted(quantity: string, { decimals, half }: CellSource): string | undefined {
  const [whole = '', fraction = ''] = quantity.split('.')
  const most = decimals ?? mostQuantityDecimals
  if (fraction.length <= Math.min(most, mostQuantityDecimals)) return quantity
  const bare = fraction.replace(/0+$/, '')
  if (bare.length <= Math.min(most, mostQuantityDecimals)) return bare === '' ? whole : `${whole}.${bare}`
  return decimals === undefined ? undefined : roundDecimal(quantity, Math.min(decimals, mostQuantityDecimals), half)
}
