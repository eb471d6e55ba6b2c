import { type FormId, findForm, type Schema, validateFields, validateSubject } from '../../forms/index.ts'
import { base64url, sha256, utf8 } from '../../protocol/index.ts'
import { toDay, toDecimals } from './conversions.ts'
import { type CsvRecord, type ImportFault, isImportFault, readCsv } from './csv.ts'
import { type FieldTarget, type Mapping, schemaAt, type Target } from './mapping.ts'

/** A row that is ready to be sealed. */
export interface MappedRow {
  readonly line: number
  /** The key that identifies the row for ever: see `importMessageId`. */
  readonly key: string
  readonly form: FormId
  readonly version: number
  readonly subject?: string
  readonly fields: Readonly<Record<string, unknown>>
  /**
   * SHA-256 (base64url) of the cells that the mapping uses. It shows whether the row changed since
   * it was imported.
   */
  readonly source: string
}

export interface MappedRows {
  readonly rows: readonly MappedRow[]
  readonly faults: readonly ImportFault[]
}

const mostFaults = 1_000

/**
 * Maps every row of a CSV file and validates it against its form before any row is sent. Never
 * throws for the content of a file: each bad row gives faults with line, column, reason and advice
 * (up to 1,000) and is not among the rows. A caller sends nothing while there are faults.
 */
export async function mapRows(csv: Uint8Array | string, mapping: Mapping): Promise<MappedRows> {
  const file = readCsv(csv, mapping.delimiter)
  if (isImportFault(file)) return { rows: [], faults: [file] }
  const columns = file.header.cells
  const faults = columnFaults(file.header, mapping)
  if (faults.length > 0) return { rows: [], faults }
  const rows: MappedRow[] = []
  const lineOfKey = new Map<string, number>()
  for (const record of file.records) {
    const cells = new Map(columns.map((column, n) => [column, record.cells[n] ?? '']))
    const key = (cells.get(mapping.key) ?? '').trim()
    const found = keyFaults(record, key, lineOfKey.get(key), mapping)
    lineOfKey.set(key, lineOfKey.get(key) ?? record.line)
    const source = base64url(await sha256(utf8(sourceOf(cells, mapping))))
    const { fields, faults: bad } = fieldsOf(record.line, cells, mapping, { mapping: mapping.mapping, key, source })
    const subject = mapping.subject?.replaceAll(/\{([^{}]*)\}/g, (_, column: string) => cells.get(column) ?? '')
    found.push(...bad, ...subjectFaults(record.line, subject, mapping))
    if (found.length > 0) {
      faults.push(...found)
      if (faults.length < mostFaults) continue
      const advice = 'There are more faults than are listed here: correct these first; is it the right mapping?'
      faults.splice(mostFaults, Infinity, { line: record.line, column: '', reason: 'too-many-faults', advice })
      break
    }
    const form = { form: mapping.form as FormId, version: mapping.version }
    rows.push({ line: record.line, key, ...form, ...(subject === undefined ? {} : { subject }), fields, source })
  }
  return { rows, faults }
}

function columnFaults({ line, cells }: CsvRecord, mapping: Mapping): ImportFault[] {
  const faults: ImportFault[] = []
  const wanted = new Set([...Object.keys(mapping.columns), ...mapping.ignore, mapping.key])
  for (const column of wanted) {
    if (cells.includes(column)) continue
    const advice =
      'The mapping names this column and the file does not have it: give the file that fits, or correct the mapping.'
    faults.push({ line, column, reason: 'no-such-column', advice })
  }
  for (const column of cells) {
    if (wanted.has(column)) continue
    const advice = 'The mapping does not say what becomes of this column: map it, or name it under "ignore".'
    faults.push({ line, column, reason: 'column-not-mapped', advice })
  }
  return faults
}

function keyFaults(
  { line }: CsvRecord,
  key: string,
  before: number | undefined,
  { key: column }: Mapping,
): ImportFault[] {
  if (key === '')
    return [{ line, column, reason: 'missing', advice: 'This row has no key: give it a key that it keeps for ever.' }]
  if (before === undefined) return []
  return [
    { line, column, reason: 'repeated', advice: `The row on line ${before} has the same key: give each row its own.` },
  ]
}

function subjectFaults(line: number, subject: string | undefined, { form, version }: Mapping): ImportFault[] {
  return validateSubject(form, version, subject).map(({ reason, advice }) => ({ line, column: '', reason, advice }))
}

// The used columns in the order of their names, so that moving or adding a column changes no row.
function sourceOf(cells: ReadonlyMap<string, string>, mapping: Mapping): string {
  const used = Object.keys(mapping.columns).toSorted((a, b) => (a < b ? -1 : 1))
  return JSON.stringify(used.map((column) => [column, cells.get(column) ?? '']))
}

function fieldsOf(
  line: number,
  cells: ReadonlyMap<string, string>,
  mapping: Mapping,
  imported: { readonly mapping: string; readonly key: string; readonly source: string },
): { fields: Record<string, unknown>; faults: ImportFault[] } {
  const schema = findForm(mapping.form, mapping.version)?.fields
  if (schema === undefined) throw new RangeError('a mapping names a form that exists')
  const fields: Record<string, unknown> = {}
  const faults: ImportFault[] = []
  const columnAt = new Map<string, string>()
  for (const [pointer, value] of Object.entries(mapping.constants)) put(fields, pointer, value)
  const goods: object[] = []
  for (const [column, targets] of Object.entries(mapping.columns)) {
    const cell = cells.get(column) ?? ''
    if (cell.trim() === '') continue
    for (const target of targets) {
      const value = valueOf(cell, target, mapping, schema)
      if ('advice' in value) faults.push({ line, column, ...value })
      else if ('goods' in target) {
        columnAt.set(`/items/${goods.length}`, column)
        goods.push({ ...target.goods, quantity: value.value })
      } else if (value.value !== undefined) {
        columnAt.set(target.field, column)
        put(fields, target.field, value.value)
      }
    }
  }
  if (goods.length > 0) fields['items'] = goods
  if (schema.properties?.['imported'] !== undefined && imported.key !== '') fields['imported'] = imported
  if (faults.length === 0)
    for (const { pointer, reason, advice } of validateFields(mapping.form, mapping.version, fields))
      faults.push({ line, column: columnOf(pointer, columnAt, mapping), reason, advice })
  return { fields, faults }
}

type Value = { readonly value: unknown } | { readonly reason: string; readonly advice: string }

function valueOf(cell: string, target: Target, { decimalComma }: Mapping, schema: Schema): Value {
  if ('goods' in target) return { value: point(cell.trim(), decimalComma) }
  const field = schemaAt(schema, target.field)
  if (field?.type !== 'array') return single(cell, target, field, decimalComma)
  const parts = target.separator === undefined ? [cell] : cell.split(target.separator)
  const list: unknown[] = []
  for (const part of parts) {
    if (part.trim() === '') continue
    const value = single(part, target, field.items, decimalComma)
    if ('advice' in value) return value
    if (value.value !== undefined) list.push(value.value)
  }
  return { value: list.length === 0 ? undefined : list }
}

function single(cell: string, target: FieldTarget, field: Schema | undefined, decimalComma: boolean): Value {
  const word = cell.trim()
  if (target.codes !== undefined) {
    const code = Object.hasOwn(target.codes, word) ? target.codes[word] : undefined
    if (code !== undefined) return { value: code ?? undefined }
    return {
      reason: 'not-in-mapping',
      advice: `The mapping has no code for ${JSON.stringify(word.slice(0, 64))}: add it, or correct the cell.`,
    }
  }
  if (field?.format === 'date') {
    const day = toDay(word, target.dateFormat ?? 'YYYY-MM-DD')
    if (day !== undefined) return { value: day }
    return { reason: 'not-a-date', advice: `This is no day written as ${target.dateFormat ?? 'YYYY-MM-DD'}.` }
  }
  if (target.decimals !== undefined) {
    const decimal = toDecimals(point(word, decimalComma), target.decimals)
    if (decimal !== undefined) return { value: decimal }
    return { reason: 'not-a-number', advice: 'This is no number: write digits and, if need be, a decimal mark.' }
  }
  if (field?.type === 'integer')
    return /^\d{1,9}$/.test(word)
      ? { value: Number(word) }
      : { reason: 'not-a-number', advice: 'This is no whole number.' }
  // Codes and short fields lose the white space around them; free text stays as it is.
  return { value: field?.enum !== undefined || isNarrow(field) ? word : cell }
}

function isNarrow(field: Schema | undefined): boolean {
  return (field?.maxLength ?? Infinity) <= 64
}

function point(text: string, decimalComma: boolean): string {
  return decimalComma ? text.replace(',', '.') : text
}

function put(fields: Record<string, unknown>, pointer: string, value: unknown): void {
  const steps = pointer.slice(1).split('/')
  const last = steps.pop() ?? ''
  let at = fields
  for (const step of steps) at = (at[step] ??= {}) as Record<string, unknown>
  at[last] = value
}

/**
 * The column that a fault of the form comes from: the column that filled the field, or the one that
 * should have filled it.
 */
function columnOf(pointer: string, columnAt: ReadonlyMap<string, string>, mapping: Mapping): string {
  for (let at = pointer; at !== ''; at = at.slice(0, at.lastIndexOf('/'))) {
    const column = columnAt.get(at)
    if (column !== undefined) return column
  }
  for (const [column, targets] of Object.entries(mapping.columns))
    if (targets.some((target) => 'field' in target && target.field === pointer)) return column
  return ''
}
