import type { Schema } from '../../forms/index.ts'
import type { ImportFault } from './csv.ts'
import { addUpGroups, type RawGroup } from './groups.ts'
import type { Mapping, Several } from './mapping.ts'
import type { Remarks } from './remarks.ts'
import { schemaAt } from './targets.ts'
import type { CellValue } from './values.ts'

/** What one row says, before the rows of one message are put together. */
export interface RowParts {
  readonly line: number
  readonly source: string
  readonly subject: string | undefined
  readonly values: readonly FieldValue[]
  readonly groups: ReadonlyMap<string, readonly RawGroup[]>
}

export interface FieldValue extends CellValue {
  readonly pointer: string
  readonly several?: Several
}

type Merged = { readonly pointer: string; readonly value: unknown; readonly column: string } | ImportFault

/** One value for each field of a message: what all rows say, or what `several` makes of it. */
export function* mergeValues(rows: readonly RowParts[], schema: Schema, remarks: Remarks): Generator<Merged> {
  const byField = new Map<string, { line: number; value: FieldValue }[]>()
  for (const { line, values } of rows)
    for (const value of values) {
      const said = byField.get(value.pointer) ?? []
      said.push({ line, value })
      byField.set(value.pointer, said)
    }
  for (const [pointer, said] of byField) {
    const [first] = said
    if (first === undefined) continue
    const { column } = first.value
    if (schemaAt(schema, pointer)?.format === 'date') {
      yield* mergeDays(pointer, said, byField.has(`${pointer}To`), remarks)
      continue
    }
    const values = said.map(({ value }) => value.value)
    if (Array.isArray(first.value.value)) {
      yield { pointer, column, value: [...new Set(values.flat())] }
      continue
    }
    const other = said.find(({ value }) => value.value !== first.value.value)
    const twice = said.find(({ line, value }) => line === first.line && value.value !== first.value.value)
    if (twice !== undefined && twice.value.column !== column) yield filledTwice(first.line, column, twice.value.column)
    else if (other === undefined || first.value.several === 'first') {
      if (other !== undefined) remarks.add('first-taken', other.line, column)
      yield { pointer, column, value: first.value.value }
    } else if (first.value.several === 'join') {
      remarks.add('joined', other.line, column)
      yield { pointer, column, value: [...new Set(values)].join('; ') }
    } else yield differing(other.line, column, first.line)
  }
}

function* mergeDays(
  pointer: string,
  said: readonly { line: number; value: FieldValue }[],
  hasLast: boolean,
  remarks: Remarks,
): Generator<Merged> {
  const [first] = said
  if (first === undefined) return
  const { column, several } = first.value
  const isLast = pointer.endsWith('To')
  const spans = said.map(({ line, value }) => ({
    line,
    from: value.span?.from ?? String(value.value),
    to: value.span?.to ?? String(value.value),
  }))
  const [one = { line: 0, from: '', to: '' }] = spans
  const other = spans.find(({ from, to }) => from !== one.from || to !== one.to)
  if (other !== undefined && several !== 'first' && several !== 'span') {
    yield differing(other.line, column, one.line)
    return
  }
  if (other !== undefined) remarks.add(several === 'span' ? 'span' : 'first-taken', other.line, column, '')
  const taken = several === 'span' ? spans : [one]
  const from = taken.map((span) => span.from).reduce((a, b) => (a < b ? a : b))
  const to = taken.map((span) => span.to).reduce((a, b) => (a > b ? a : b))
  yield { pointer, column, value: isLast ? to : from }
  if (!isLast && !hasLast && from !== to) yield { pointer: `${pointer}To`, column, value: to }
}

function filledTwice(line: number, column: string, other: string): ImportFault {
  const advice = `The column ${other} fills this field too and says otherwise: leave one of them empty or out, or put them together by "columns".`
  return { line, column, reason: 'contradictory', advice }
}

function differing(line: number, column: string, before: number): ImportFault {
  const advice = `The row on line ${before} is of the same message and says otherwise: say "several" for this field ("first", "join" or "span"), or correct the cell.`
  return { line, column, reason: 'contradictory', advice }
}

/** The groups of each list of a message, added up where the mapping says so. */
export function mergeGroups(
  rows: readonly RowParts[],
  mapping: Mapping,
  remarks: Remarks,
): ReadonlyMap<string, readonly RawGroup[]> {
  const merged = new Map<string, RawGroup[]>()
  for (const { groups } of rows)
    for (const [pointer, list] of groups) {
      const before = merged.get(pointer) ?? []
      before.push(...list)
      merged.set(pointer, before)
    }
  for (const [pointer, list] of merged) {
    if (pointer === '/items') {
      if (!mapping.addUp) continue
      const { groups, added } = addUpGroups(list)
      if (added > 0) remarks.add('added-up', rows[0]?.line ?? 0, '', '', added)
      merged.set(pointer, groups)
    } else {
      // A person or a document that several rows name is one.
      const seen = new Map(list.map((group) => [JSON.stringify(group.members), group]))
      merged.set(pointer, [...seen.values()])
    }
  }
  return merged
}
