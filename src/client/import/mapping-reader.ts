import { findForm, type Form } from '../../forms/index.ts'
import { delimiters, type Delimiter } from './csv.ts'
import { encodingNamed, encodings } from './encodings.ts'
import { columnsOf, placeholdersOf, usedColumns } from './mapping.ts'
import type { FieldSource, LeaveOut, Mapping, MappingFault, Target } from './mapping.ts'
import { thousandsMarks } from './numbers.ts'
import {
  checkFieldSource,
  checkTarget,
  isListOfText,
  isRecord,
  refuseUnknown,
  schemaAt,
  type Complain,
} from './targets.ts'

const known = [
  'mapping',
  'form',
  'version',
  'delimiter',
  'encoding',
  'sheet',
  'headerLine',
  'decimalComma',
  'thousands',
  'grouping',
  'scientific',
  'key',
  'numbered',
  'together',
  'addUp',
  'zeros',
  'missing',
  'leaveOut',
  'subject',
  'columns',
  'fields',
  'ignore',
  'constants',
] as const

type Fault = (pointer: string, reason: string, advice: string) => void

/**
 * Reads a mapping from JSON, given as a text or as a value, and checks it against its form. Answers
 * the mapping, or all its faults.
 */
export function readMapping(json: unknown): { mapping: Mapping } | { faults: MappingFault[] } {
  const faults: MappingFault[] = []
  const fault: Fault = (pointer, reason, advice) => void faults.push({ pointer, reason, advice })
  const value = readObject(json, fault)
  if (value === undefined) return { faults }
  refuseUnknown(value, known, '', fault)
  const named = readNames(value, fault)
  const file = readFileSettings(value, fault)
  const rows = readRowSettings(value, fault)
  const columns = isRecord(value['columns'] ?? {}) ? ((value['columns'] ?? {}) as Record<string, unknown>) : undefined
  const fields = isRecord(value['fields'] ?? {}) ? ((value['fields'] ?? {}) as Record<string, unknown>) : undefined
  const constants = value['constants'] ?? {}
  if (columns === undefined || fields === undefined || Object.keys(columns).length + Object.keys(fields).length === 0)
    fault('/columns', 'missing', 'Say what becomes of each column, by "columns" or by "fields".')
  if (!isRecord(constants)) fault('/constants', 'wrong-type', 'This maps JSON pointers to texts.')
  if (
    faults.length > 0 ||
    named?.form === undefined ||
    columns === undefined ||
    fields === undefined ||
    !isRecord(constants)
  )
    return { faults }
  const { form, mapping } = named
  const targets = readColumns(form, columns, fault)
  for (const [pointer, source] of Object.entries(fields))
    checkFieldSource(form, pointer, source, at(`/fields/${escaped(pointer)}`, fault))
  checkConstants(form, constants, fault)
  if (faults.length > 0) return { faults }
  const read: Mapping = {
    mapping,
    form: form.id,
    version: form.version,
    ...file,
    ...rows,
    columns: targets,
    fields: fields as Record<string, FieldSource>,
    constants: constants as Record<string, string>,
  }
  checkTogether(read, fault)
  return faults.length > 0 ? { faults } : { mapping: read }
}

const at =
  (pointer: string, fault: Fault): Complain =>
  (reason, advice, below = '') =>
    fault(pointer + below, reason, advice)

function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

function readObject(json: unknown, fault: Fault): Record<string, unknown> | undefined {
  let value = json
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value.startsWith('\uFEFF') ? value.slice(1) : value)
    } catch {
      fault('', 'not-json', 'The mapping is not JSON: see docs/forms.md for a mapping that works.')
      return undefined
    }
  }
  if (isRecord(value)) return value
  fault('', 'not-an-object', 'A mapping is a JSON object: see docs/forms.md for a mapping that works.')
  return undefined
}

function readNames(value: Record<string, unknown>, fault: Fault): { mapping: string; form: Form } | undefined {
  const { mapping, form: id, version = 1 } = value
  const form = typeof id === 'string' && typeof version === 'number' ? findForm(id, version) : undefined
  const isName = typeof mapping === 'string' && /^[a-z0-9][a-z0-9-]{0,63}$/.test(mapping)
  if (!isName) fault('/mapping', 'malformed', 'Name the mapping in small letters, digits and hyphens, at most 64.')
  if (form === undefined) fault('/form', 'no-such-form', 'Name a form and its version, such as "seizure" and 1.')
  return isName && form !== undefined ? { mapping, form } : undefined
}

type FileSettings = Pick<
  Mapping,
  'delimiter' | 'encoding' | 'sheet' | 'headerLine' | 'decimalComma' | 'thousands' | 'grouping' | 'scientific'
>

/**
 * Reads what a mapping says of the file as a whole; what is at fault is told and left at its
 * default.
 */
function readFileSettings(value: Record<string, unknown>, fault: Fault): FileSettings {
  const { delimiter = ',', encoding: named = 'utf-8', sheet, headerLine, thousands, grouping = 'threes' } = value
  const decimalComma = flagOf(value, 'decimalComma', fault)
  if (!delimiters.some((one) => one === delimiter))
    fault('/delimiter', 'malformed', 'The delimiter is a comma, a semicolon, a tab or a vertical bar.')
  const encoding = encodingNamed(named)
  if (encoding === undefined) fault('/encoding', 'not-in-list', `There are the encodings ${encodings.join(', ')}.`)
  if (sheet !== undefined && typeof sheet !== 'string') fault('/sheet', 'wrong-type', 'This is the name of a sheet.')
  if (headerLine !== undefined && !(Number.isInteger(headerLine) && Number(headerLine) >= 1))
    fault('/headerLine', 'malformed', 'This is the number of a line, from 1.')
  if (thousands !== undefined && !thousandsMarks.some((mark) => mark === thousands))
    fault('/thousands', 'malformed', 'Thousands are grouped by a point, a comma, a space or an apostrophe.')
  else if (thousands === (decimalComma ? ',' : '.'))
    fault('/thousands', 'contradictory', 'The mark of decimals cannot group thousands too: see "decimalComma".')
  if (grouping !== 'threes' && grouping !== 'indian')
    fault('/grouping', 'malformed', 'Digits are grouped in "threes" (1,234,567) or "indian" (12,34,567).')
  return {
    delimiter: delimiter as Delimiter,
    encoding: encoding ?? 'utf-8',
    ...(sheet === undefined ? {} : { sheet: sheet as string }),
    ...(headerLine === undefined ? {} : { headerLine: headerLine as number }),
    decimalComma,
    ...(thousands === undefined ? {} : { thousands: thousands as (typeof thousandsMarks)[number] }),
    grouping: grouping as Mapping['grouping'],
    scientific: flagOf(value, 'scientific', fault),
  }
}

type RowSettings = Pick<
  Mapping,
  'key' | 'numbered' | 'together' | 'addUp' | 'zeros' | 'missing' | 'leaveOut' | 'subject' | 'ignore'
>

function readRowSettings(value: Record<string, unknown>, fault: Fault): RowSettings {
  const { key, subject, ignore = [], missing = [], leaveOut = [], zeros = 'keep' } = value
  const keys = typeof key === 'string' ? [key] : key
  const isKey =
    keys === null || (isListOfText(keys) && keys.length > 0 && !keys.includes('') && new Set(keys).size === keys.length)
  if (!isKey)
    fault(
      '/key',
      'missing',
      'Name the column, or the columns, whose value names a row for ever; null where there is none.',
    )
  if (subject !== undefined && typeof subject !== 'string') fault('/subject', 'wrong-type', 'This is text.')
  if (!isListOfText(ignore)) fault('/ignore', 'wrong-type', 'This is a list of column names.')
  if (!isListOfText(missing))
    fault('/missing', 'wrong-type', 'This is a list of words that mean that nothing was reported.')
  if (!Array.isArray(leaveOut) || !leaveOut.every(isLeaveOut))
    fault('/leaveOut', 'malformed', 'This is a list of {"column", "in": [words]} or {"column", "notIn": [words]}.')
  if (zeros !== 'keep' && zeros !== 'leave-out')
    fault('/zeros', 'malformed', 'Goods of zero are to "keep" or to "leave-out".')
  return {
    key: isKey ? keys : null,
    numbered: flagOf(value, 'numbered', fault),
    together: flagOf(value, 'together', fault),
    addUp: flagOf(value, 'addUp', fault),
    zeros: zeros === 'leave-out' ? 'leave-out' : 'keep',
    missing: missing as string[],
    leaveOut: leaveOut as LeaveOut[],
    ...(subject === undefined ? {} : { subject: subject as string }),
    ignore: ignore as string[],
  }
}

function isLeaveOut(value: unknown): boolean {
  if (!isRecord(value) || typeof value['column'] !== 'string') return false
  const [words, ...more] = Object.keys(value).filter((name) => name !== 'column')
  return more.length === 0 && (words === 'in' || words === 'notIn') && isListOfText(value[words])
}

function flagOf(value: Record<string, unknown>, name: string, fault: Fault): boolean {
  const flag = value[name] ?? false
  if (typeof flag !== 'boolean') fault(`/${name}`, 'wrong-type', 'This is true or false.')
  return flag === true
}

function readColumns(form: Form, columns: Record<string, unknown>, fault: Fault): Record<string, Target[]> {
  const targets: Record<string, Target[]> = {}
  for (const [column, given] of Object.entries(columns)) {
    const list = Array.isArray(given) ? given : [given]
    for (const [n, target] of list.entries())
      checkTarget(form, target, at(`/columns/${escaped(column)}${Array.isArray(given) ? `/${n}` : ''}`, fault))
    Object.defineProperty(targets, column, { value: list, enumerable: true })
  }
  return targets
}

function checkConstants(form: Form, constants: Record<string, unknown>, fault: Fault): void {
  for (const [pointer, constant] of Object.entries(constants)) {
    const schema = schemaAt(form.fields, pointer)
    const valid = schema?.type === 'string' && typeof constant === 'string' && (schema.enum?.includes(constant) ?? true)
    if (!valid)
      fault(
        '/constants',
        'malformed',
        `A constant sets a field of text or one code; ${pointer} is none, or takes another value.`,
      )
  }
}

/** Checks what no setting can be wrong in alone. */
function checkTogether(mapping: Mapping, fault: Fault): void {
  const { key, numbered, together, addUp, ignore, leaveOut, subject, fields } = mapping
  const named = new Set([...usedColumns(mapping), ...(key ?? []), ...ignore, ...leaveOut.map(({ column }) => column)])
  for (const column of placeholdersOf(subject))
    if (!named.has(column))
      fault('/subject', 'no-such-column', `The subject names a column ${column} that the mapping does not: correct it.`)
  if (together && (key === null || numbered))
    fault('/together', 'contradictory', 'Rows become one message by their key: give a key, and do not number the rows.')
  if (addUp && !together)
    fault('/addUp', 'contradictory', 'Goods are added up where rows become one message: see "together".')
  if (!together) {
    const several = [...Object.values(mapping.columns).flat(), ...Object.values(fields)]
    if (several.some((one) => typeof one === 'object' && 'several' in one))
      fault('/together', 'missing', '"several" says what happens where the rows of one message differ: set "together".')
  }
  for (const column of ignore)
    if (usedColumns(mapping).includes(column))
      fault('/ignore', 'contradictory', `The mapping uses the column ${column}, and ignores it.`)
  for (const [pointer, source] of Object.entries(fields))
    if (!Array.isArray(source) && columnsOf(source as never).length > 0 && Object.hasOwn(mapping.constants, pointer))
      fault('/constants', 'contradictory', `${pointer} is a constant and has a source.`)
}
