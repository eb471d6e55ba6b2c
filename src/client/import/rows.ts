import {
  comparingForm,
  findForm,
  type FormId,
  type Schema,
  validateFields,
  validateSubject,
} from '../../forms/index.ts'
import { sizeFaults } from '../draft.ts'
import { type Csv, type ImportFault, isImportFault, readCsv, type TableOptions } from './csv.ts'
import { faultsOfColumns, isLeftOut, isNote, namedAsMapped, warnOfNoRow } from './columns.ts'
import { finishGroup, readGroup, type RawGroup } from './groups.ts'
import { columnsOf, isGroups, usedColumns, type Mapping, type Several } from './mapping.ts'
import { mergeGroups, mergeValues, type FieldValue, type RowParts } from './merge.ts'
import { Remarks, type Remark } from './remarks.ts'
import { hashOf, isMissing, numberedKey, rowKeyOf, seenForm } from './row-key.ts'
import { schemaAt } from './targets.ts'
import { isCellFault, isReported, readSource, type CellFault, type CellValue, type Row } from './values.ts'
import { isErrorWord, isMissingWord, spreadsheetError } from './words.ts'
import { isXlsx, readXlsx } from './xlsx.ts'

/** A row, or several rows with one key, ready to be sealed. */
export interface MappedRow {
  /** The line of the row, or of the first one of several. */
  readonly line: number
  /** The key that identifies the row for ever, as the file writes it. */
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
  /** What was left out, rounded, converted or given a default, and what should be looked at. */
  readonly remarks: readonly Remark[]
  /** The number of rows of the file, without blank ones. */
  readonly records: number
}

export interface MapRowsOptions {
  readonly onProgress?: (progress: { readonly done: number; readonly of: number }) => void
}

const mostFaults = 1_000
const rowsBetweenTurns = 500

/**
 * Maps every row of a CSV file or workbook and validates it against its form before any row is
 * sent. Never throws for the content of a file: each bad row gives faults with line, column, reason
 * and advice (up to 1,000) and is not among the rows. A caller sends nothing while there are
 * faults.
 */
export async function mapRows(
  file: Uint8Array | string,
  mapping: Mapping,
  { onProgress }: MapRowsOptions = {},
): Promise<MappedRows> {
  const remarks = new Remarks()
  const read = await readTable(file, mapping, (line, cells) => isNote(line, cells, mapping, remarks))
  if (isImportFault(read)) return { rows: [], faults: [read], remarks: [], records: 0 }
  const table = { ...read, header: namedAsMapped(read.header, mapping, remarks) }
  const columnFaults = faultsOfColumns(table.header, mapping)
  if (columnFaults.length > 0) return { rows: [], faults: columnFaults, remarks: table.remarks, records: 0 }
  const typed = typeof file !== 'string' && isXlsx(file)
  const faults = new Faults()
  const messages = await partsOf(table, mapping, { typed, remarks, faults, onProgress })
  const rows: MappedRow[] = []
  for (const parts of messages) {
    if (faults.full) break
    const row = await assemble(parts, mapping, remarks, faults)
    if (row !== undefined) rows.push(row)
  }
  return { rows, faults: faults.list, remarks: [...table.remarks, ...remarks.list()], records: table.records.length }
}

/** Reads a file as the table that its mapping describes: a workbook, or CSV. */
async function readTable(
  file: Uint8Array | string,
  mapping: Mapping,
  leavesOut: NonNullable<TableOptions['leavesOut']>,
): Promise<Csv | ImportFault> {
  const { delimiter, encoding, sheet, headerLine, decimalComma, ignore } = mapping
  const options: TableOptions = {
    ...(headerLine === undefined ? {} : { headerLine }),
    leaveOutNameless: ignore.includes(''),
    leavesOut,
  }
  if (typeof file !== 'string' && isXlsx(file))
    return readXlsx(file, { ...options, decimalComma, ...(sheet === undefined ? {} : { sheet }) })
  return readCsv(file, delimiter, { encoding, ...options })
}

class Faults {
  readonly list: ImportFault[] = []
  readonly bad = new Set<number>()

  add(found: readonly ImportFault[]): void {
    if (this.full || found.length === 0) return
    this.list.push(...found)
    for (const { line } of found) this.bad.add(line)
    if (this.list.length < mostFaults) return
    const advice = 'There are more faults than are listed here: correct these first; is it the right mapping?'
    const line = found[0]?.line ?? 1
    this.list.splice(mostFaults, Infinity, { line, column: '', reason: 'too-many-faults', advice })
  }

  get full(): boolean {
    return this.list.length > mostFaults
  }
}

interface MessageParts {
  readonly key: string
  readonly rows: RowParts[]
}

interface Reading {
  readonly typed: boolean
  readonly remarks: Remarks
  readonly faults: Faults
  readonly onProgress: MapRowsOptions['onProgress']
}

async function partsOf(table: Csv, mapping: Mapping, reading: Reading): Promise<MessageParts[]> {
  const { remarks, faults, onProgress } = reading
  const used = usedColumns(mapping)
  const messages = new Map<string, MessageParts>()
  const times = new Map<string, number>()
  for (const [n, record] of table.records.entries()) {
    if (faults.full) break
    if (n % rowsBetweenTurns === 0) {
      onProgress?.({ done: n, of: table.records.length })
      await new Promise((resolve) => setTimeout(resolve, 0))
    }
    const cells = new Map(table.header.cells.map((column, at) => [column, record.cells[at] ?? '']))
    const left = isLeftOut(record.line, cells, mapping, remarks)
    if (typeof left === 'object') faults.add([left])
    if (left !== false) continue
    warnOfNoRow(record.line, cells, remarks)
    const row: Row = { line: record.line, cells, mapping, typed: reading.typed, remarks }
    let key = await rowKeyOf(cells, mapping, used)
    if (key !== undefined && (mapping.numbered || mapping.key === null)) {
      const time = (times.get(comparingForm(key)) ?? 0) + 1
      times.set(comparingForm(key), time)
      if (mapping.numbered || time > 1) key = await numberedKey(key, time)
    }
    const compared = comparingForm(key ?? '')
    const before = messages.get(compared)
    const found = faultsOfKey(row, key, before)
    const parts = await readRow(row, used)
    const told = (one: ImportFault) =>
      found.some(({ column, reason }) => column === one.column && reason === one.reason)
    faults.add([...found, ...parts.faults.filter((one) => !told(one))])
    if (found.length > 0 || parts.faults.length > 0 || key === undefined) {
      // A later row with this key is a repetition still.
      if (key !== undefined && before === undefined)
        messages.set(compared, { key, rows: [{ ...parts, groups: new Map() }] })
      continue
    }
    if (before !== undefined) before.rows.push(parts)
    else messages.set(compared, { key, rows: [parts] })
  }
  onProgress?.({ done: table.records.length, of: table.records.length })
  return [...messages.values()].filter(({ rows }) => !rows.some(({ line }) => faults.bad.has(line)))
}

function faultsOfKey(
  { line, cells, mapping, remarks }: Row,
  key: string | undefined,
  before: MessageParts | undefined,
): ImportFault[] {
  const columns = mapping.key ?? []
  const column = columns.join(', ')
  const words = columns.map((one) => (cells.get(one) ?? '').trim())
  const wrong = words.find(isErrorWord)
  if (wrong !== undefined) return [{ line, column: columns[words.indexOf(wrong)] ?? '', ...spreadsheetError(wrong) }]
  const doubtful = words.findIndex((word, n) => isMissing(mapping, columns[n] ?? '', word) || isMissingWord(word))
  if (mapping.together && words.length === 1 && doubtful === 0 && key !== undefined) {
    const advice = `The key is ${JSON.stringify(words[0])}, and all rows with it would become one message: leave such rows out ("leaveOut"), or give each its key.`
    return [{ line, column, reason: 'doubtful-key', advice }]
  }
  if (mapping.together && doubtful >= 0 && key !== undefined)
    remarks.add('warning-missing-key', line, columns[doubtful], words[doubtful])
  if (key === undefined)
    return [
      {
        line,
        column,
        reason: 'missing',
        advice: 'This row has no key: give it a key that it keeps for ever, or leave such rows out ("leaveOut").',
      },
    ]
  if (before === undefined || mapping.together) return []
  const advice = `The row on line ${before.rows[0]?.line ?? line} has the same key: give each row its own, or say what makes rows one message ("together") or different ("numbered").`
  return [{ line, column, reason: 'repeated', advice }]
}

async function readRow(row: Row, used: readonly string[]): Promise<RowParts & { faults: ImportFault[] }> {
  const { line, cells, mapping } = row
  const fields = schemaOf(mapping)
  const values: FieldValue[] = []
  const groups = new Map<string, RawGroup[]>()
  const faults: ImportFault[] = []
  const take = (pointer: string, read: CellValue | CellFault, several?: Several) => {
    if (isCellFault(read)) faults.push({ line, ...read })
    else if (read.value !== undefined) values.push({ ...read, pointer, ...(several === undefined ? {} : { several }) })
  }
  const takeGroup = (pointer: string, group: Parameters<typeof readGroup>[1]) => {
    const schema = schemaAt(fields, pointer)?.items
    const read = schema && readGroup(row, group, schema)
    if (read === undefined) return
    if (Array.isArray(read)) faults.push(...(read as CellFault[]).map((fault) => ({ line, ...fault })))
    else groups.set(pointer, [...(groups.get(pointer) ?? []), read as RawGroup])
  }
  for (const [column, targets] of Object.entries(mapping.columns))
    for (const target of targets) {
      if ('goods' in target) {
        const { goods, ...reading } = target
        if (isReported(row, column, reading)) takeGroup('/items', { ...goods, quantity: { column, ...reading } })
      } else take(target.field, readSource(row, { ...target, column }, schemaAt(fields, target.field)), target.several)
    }
  for (const [pointer, source] of Object.entries(mapping.fields)) {
    if (isGroups(source)) for (const group of source) takeGroup(pointer, group)
    else if (typeof source === 'object')
      take(pointer, readSource(row, source, schemaAt(fields, pointer)), (source as { several?: Several }).several)
    else values.push({ pointer, value: source, column: '' })
  }
  const written = used.map((column) => [column, seenForm(cells.get(column) ?? '')])
  const subject = mapping.subject?.replaceAll(/\{([^{}]*)\}/g, (_, column: string) => cells.get(column) ?? '')
  return { line, source: await hashOf(JSON.stringify(written)), subject, values, groups, faults }
}

function schemaOf({ form, version }: Mapping): Schema {
  const fields = findForm(form, version)?.fields
  if (fields === undefined) throw new RangeError('a mapping names a form that exists')
  return fields
}

/** Puts the rows of one message together and validates it against its form. */
async function assemble(
  { key, rows }: MessageParts,
  mapping: Mapping,
  remarks: Remarks,
  faults: Faults,
): Promise<MappedRow | undefined> {
  const [first] = rows
  if (first === undefined) return undefined
  const { line } = first
  const schema = schemaOf(mapping)
  const fields: Record<string, unknown> = {}
  const columnAt = new Map<string, string>()
  const found: ImportFault[] = []
  if (rows.length > 1) remarks.add('rows-together', line, '', '', rows.length)
  for (const [pointer, value] of Object.entries(mapping.constants)) put(fields, pointer, value)
  for (const merged of mergeValues(rows, schema, remarks)) {
    if ('advice' in merged) found.push(merged)
    else {
      columnAt.set(merged.pointer, merged.column)
      put(fields, merged.pointer, merged.value)
    }
  }
  for (const [pointer, list] of mergeGroups(rows, mapping, remarks)) {
    const finished: object[] = []
    for (const raw of list) {
      const group = finishGroup({ remarks, mapping }, raw)
      if (group === undefined) continue
      if ('advice' in group) found.push({ line: raw.quantity?.line ?? line, ...(group as unknown as CellFault) })
      columnAt.set(`${pointer}/${finished.length}`, raw.column)
      finished.push(group)
    }
    if (finished.length > 0) put(fields, pointer, finished)
    else if (found.length === 0) {
      remarks.add('nothing-found', line)
      return undefined
    }
  }
  const source =
    rows.length === 1 ? first.source : await hashOf(JSON.stringify(rows.map((row) => row.source).toSorted()))
  if (schema.properties?.['imported'] !== undefined) fields['imported'] = { mapping: mapping.mapping, key, source }
  const { subject } = first
  if (found.length === 0)
    for (const { pointer, reason, advice } of validateFields(mapping.form, mapping.version, fields))
      found.push({ line, column: columnOf(pointer, columnAt, mapping), reason, advice })
  const named = subject === undefined ? {} : { subject }
  for (const { reason, advice } of validateSubject(mapping.form, mapping.version, subject))
    found.push({ line, column: '', reason, advice })
  if (found.length === 0)
    for (const { reason, advice } of sizeFaults({ form: mapping.form, fields, ...named }))
      found.push({ line, column: '', reason, advice })
  faults.add(found)
  if (found.length > 0) return undefined
  const form = { form: mapping.form as FormId, version: mapping.version }
  return {
    line,
    key,
    ...form,
    ...named,
    fields,
    source,
  }
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
  const source = Object.hasOwn(mapping.fields, pointer) ? mapping.fields[pointer] : undefined
  return source === undefined || isGroups(source) ? '' : (columnsOf(source)[0] ?? '')
}
