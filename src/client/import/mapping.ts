import { codeLists, findForm, type Form, type Schema } from '../../forms/index.ts'
import { isDateFormat, type DateFormat } from './conversions.ts'

/** Puts a cell into a field of the form. */
export interface FieldTarget {
  /** A JSON pointer to a field that is not inside a list of groups. */
  readonly field: string
  /**
   * The code of the form for each value of the file; null where the value says nothing to this
   * field. Without `codes` cells are taken as they are.
   */
  readonly codes?: Readonly<Record<string, string | null>>
  /** The text that splits the cell, for a field that is a list. */
  readonly separator?: string
  /** The number of decimal places to which a decimal is rounded. */
  readonly decimals?: number
  readonly dateFormat?: DateFormat
}

/** Makes a line of the goods from a cell that holds a quantity. */
export interface GoodsTarget {
  readonly goods: { readonly category: string; readonly unit: string; readonly estimated?: boolean }
}

export type Target = FieldTarget | GoodsTarget

/** Says how the columns of a file become the fields of a form. */
export interface Mapping {
  /**
   * The name of the mapping. Message ids are made with it, so that an improved mapping keeps its
   * name.
   */
  readonly mapping: string
  readonly form: string
  readonly version: number
  readonly delimiter: ',' | ';' | '\t'
  readonly decimalComma: boolean
  /** The column whose value identifies a row for ever. */
  readonly key: string
  /** The subject line, with columns in braces. */
  readonly subject?: string
  readonly columns: Readonly<Record<string, readonly Target[]>>
  /** Columns that are left out on purpose. Any other column without a target is a fault. */
  readonly ignore: readonly string[]
  /** The value of fields that are the same for every row, by JSON pointer. */
  readonly constants: Readonly<Record<string, string>>
}

export interface MappingFault {
  readonly pointer: string
  readonly reason: string
  readonly advice: string
}

const known = {
  mapping: [
    'mapping',
    'form',
    'version',
    'delimiter',
    'decimalComma',
    'key',
    'subject',
    'columns',
    'ignore',
    'constants',
  ],
  field: ['field', 'codes', 'separator', 'decimals', 'dateFormat'],
  goods: ['category', 'unit', 'estimated'],
}

type Fault = (pointer: string, reason: string, advice: string) => void

/**
 * Reads a mapping from JSON, given as a text or as a value, and checks it against its form. Answers
 * the mapping, or all its faults.
 */
export function readMapping(json: unknown): { mapping: Mapping } | { faults: MappingFault[] } {
  const faults: MappingFault[] = []
  const fault: Fault = (pointer, reason, advice) => void faults.push({ pointer, reason, advice })
  const value = readObject(json, fault)
  const members = value && checkMembers(value, fault)
  if (members === undefined || faults.length > 0) return { faults }
  const { form, columns, constants, subject, key, ignore } = members
  const targets = readColumns(form, columns, fault)
  checkConstants(form, constants, fault)
  for (const column of placeholdersOf(subject))
    if (!Object.hasOwn(targets, column) && column !== key && !ignore.includes(column))
      fault('/subject', 'no-such-column', `The subject names a column ${column} that the mapping does not: correct it.`)
  if (faults.length > 0) return { faults }
  return {
    mapping: {
      mapping: members.mapping,
      form: form.id,
      version: form.version,
      delimiter: members.delimiter,
      decimalComma: members.decimalComma,
      key,
      ...(subject === undefined ? {} : { subject }),
      columns: targets,
      ignore,
      constants: constants as Record<string, string>,
    },
  }
}

function readObject(json: unknown, fault: Fault): Record<string, unknown> | undefined {
  let value = json
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value)
    } catch {
      fault('', 'not-json', 'The mapping is not JSON: see docs/forms.md for a mapping that works.')
      return undefined
    }
  }
  if (isRecord(value)) return value
  fault('', 'not-an-object', 'A mapping is a JSON object: see docs/forms.md for a mapping that works.')
  return undefined
}

interface Members {
  readonly mapping: string
  readonly form: Form
  readonly delimiter: Mapping['delimiter']
  readonly decimalComma: boolean
  readonly key: string
  readonly subject?: string
  readonly ignore: readonly string[]
  /** The targets of each column, not checked yet. */
  readonly columns: Record<string, unknown>
  readonly constants: Record<string, unknown>
}

/**
 * Checks each member by itself and fills in the default values; undefined where there was a fault.
 */
function checkMembers(value: Record<string, unknown>, fault: Fault): Members | undefined {
  refuseUnknown(value, known.mapping, '', fault)
  const { mapping, form: id, version = 1, delimiter = ',', decimalComma = false, key, subject, ignore = [] } = value
  const { columns = {}, constants = {} } = value
  const form = typeof id === 'string' && typeof version === 'number' ? findForm(id, version) : undefined
  const isDelimiter = delimiter === ',' || delimiter === ';' || delimiter === '\t'
  const isName = typeof mapping === 'string' && /^[a-z0-9][a-z0-9-]{0,63}$/.test(mapping)
  const isSubject = subject === undefined || typeof subject === 'string'
  if (!isName) fault('/mapping', 'malformed', 'Name the mapping in small letters, digits and hyphens, at most 64.')
  if (form === undefined) fault('/form', 'no-such-form', 'Name a form and its version, such as "seizure" and 1.')
  if (!isDelimiter) fault('/delimiter', 'malformed', 'The delimiter is a comma, a semicolon or a tab.')
  if (typeof decimalComma !== 'boolean') fault('/decimalComma', 'wrong-type', 'This is true or false.')
  if (typeof key !== 'string' || key === '')
    fault('/key', 'missing', 'Name the column whose value names a row for ever.')
  if (!isSubject) fault('/subject', 'wrong-type', 'This is text.')
  if (!isListOfText(ignore)) fault('/ignore', 'wrong-type', 'This is a list of column names.')
  if (!isRecord(columns) || Object.keys(columns).length === 0)
    fault('/columns', 'missing', 'Say what becomes of each column.')
  if (!isRecord(constants)) fault('/constants', 'wrong-type', 'This maps JSON pointers to texts.')
  const whole =
    isName &&
    form !== undefined &&
    isDelimiter &&
    typeof decimalComma === 'boolean' &&
    typeof key === 'string' &&
    isSubject &&
    isListOfText(ignore) &&
    isRecord(columns) &&
    isRecord(constants)
  if (!whole) return undefined
  const named = subject === undefined ? {} : { subject }
  return { mapping, form, delimiter, decimalComma, key, ...named, ignore, columns, constants }
}

function readColumns(form: Form, columns: Record<string, unknown>, fault: Fault): Record<string, Target[]> {
  const targets: Record<string, Target[]> = {}
  for (const [column, given] of Object.entries(columns)) {
    const list = Array.isArray(given) ? given : [given]
    for (const [n, target] of list.entries()) {
      const pointer = `/columns/${column.replaceAll('~', '~0').replaceAll('/', '~1')}${Array.isArray(given) ? `/${n}` : ''}`
      checkTarget(form, target, (reason, advice, below = '') => fault(pointer + below, reason, advice))
    }
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

/** The columns that a subject names in braces: `{seizure_id} at {place}`. */
function placeholdersOf(subject = ''): string[] {
  return [...subject.matchAll(/\{([^{}]*)\}/g)].map((match) => match[1] ?? '')
}

type Complain = (reason: string, advice: string, below?: string) => void

function checkTarget(form: Form, target: unknown, complain: Complain): void {
  if (!isRecord(target)) return complain('wrong-type', 'A target is {"field": …} or {"goods": …}, or a list of those.')
  if ('goods' in target) return checkGoods(form, target, complain)
  refuseUnknown(target, known.field, '', (pointer, reason, advice) => complain(reason, advice, pointer))
  const { field, codes, separator, decimals, dateFormat } = target
  const schema = typeof field === 'string' ? schemaAt(form.fields, field) : undefined
  const leaf = schema?.type === 'array' ? schema.items : schema
  if (schema === undefined || leaf === undefined || !['string', 'integer'].includes(leaf.type))
    return complain(
      'no-such-field',
      'The form has no such field that a cell can fill: give a JSON pointer to a field.',
      '/field',
    )
  if (separator !== undefined && (typeof separator !== 'string' || separator === '' || schema.type !== 'array'))
    complain('malformed', 'A separator is some text, for a field that is a list.', '/separator')
  if (decimals !== undefined && !(Number.isInteger(decimals) && Number(decimals) >= 0 && Number(decimals) <= 8))
    complain('malformed', 'This is a number of decimal places from 0 to 8.', '/decimals')
  if (dateFormat !== undefined && !isDateFormat(dateFormat))
    complain('malformed', 'Use YYYY-MM-DD, YYYYMMDD, DD/MM/YYYY, DD.MM.YYYY, DD-MM-YYYY or MM/DD/YYYY.', '/dateFormat')
  if (codes === undefined) return
  if (!isRecord(codes)) return complain('wrong-type', 'This maps what the file says to codes of the form.', '/codes')
  for (const [from, to] of Object.entries(codes))
    if (to !== null && (typeof to !== 'string' || !(leaf.enum?.includes(to) ?? true)))
      complain('not-in-list', `${JSON.stringify(to)}, for ${from}, is no code of this field.`, '/codes')
}

function checkGoods(form: Form, target: Record<string, unknown>, complain: Complain): void {
  const { goods } = target
  if (Object.keys(target).length > 1 || !isRecord(goods))
    return complain('wrong-type', 'Goods are {"goods": {"category", "unit", "estimated"?}} and nothing beside.')
  refuseUnknown(goods, known.goods, '/goods', (pointer, reason, advice) => complain(reason, advice, pointer))
  if (schemaAt(form.fields, '/items')?.type !== 'array') complain('no-such-field', 'This form lists no goods.')
  if (typeof goods['category'] !== 'string' || !codeLists.commodities.codes.has(goods['category']))
    complain('not-in-list', 'This is no commodity of the tree.', '/goods/category')
  if (typeof goods['unit'] !== 'string' || !codeLists.units.codes.has(goods['unit']))
    complain('not-in-list', 'This is no unit of the list (UN/ECE Recommendation 20).', '/goods/unit')
  if (goods['estimated'] !== undefined && typeof goods['estimated'] !== 'boolean')
    complain('wrong-type', 'This is true or false.', '/goods/estimated')
}

/** The schema of a field, by a pointer that leads through groups only. */
export function schemaAt(schema: Schema, pointer: string): Schema | undefined {
  if (!pointer.startsWith('/')) return undefined
  let at: Schema | undefined = schema
  for (const step of pointer.slice(1).split('/')) {
    const properties: Readonly<Record<string, Schema>> = at?.properties ?? {}
    at = Object.hasOwn(properties, step) ? properties[step] : undefined
  }
  return at
}

function refuseUnknown(
  value: Record<string, unknown>,
  names: readonly string[],
  at: string,
  fault: (pointer: string, reason: string, advice: string) => void,
): void {
  for (const name of Object.keys(value))
    if (!names.includes(name))
      fault(`${at}/${name}`, 'unknown-field', `There is no such setting; there are ${names.join(', ')}.`)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isListOfText(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
