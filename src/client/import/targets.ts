import { codeLists, type Form, type Schema, units } from '../../forms/index.ts'
import { isDateFormat, isLanguage, isSpanFormat, isTwoYearFormat } from './dates.ts'

export type Complain = (reason: string, advice: string, below?: string) => void

const readings = [
  'missing',
  'codes',
  'prefixes',
  'otherwise',
  'pad',
  'separator',
  'before',
  'after',
  'decimals',
  'half',
  'convertTo',
  'dateFormat',
  'language',
  'firstYear',
  'fiscalYearBegins',
]
const severalWords = ['first', 'join', 'span']

/** Checks what becomes of a column: `{"field": …}` or `{"goods": …}`. */
export function checkTarget(form: Form, target: unknown, complain: Complain): void {
  if (!isRecord(target)) return complain('wrong-type', 'A target is {"field": …} or {"goods": …}, or a list of those.')
  if ('goods' in target) return checkGoods(form, target, complain)
  refuseUnknown(target, ['field', 'several', ...readings], '', below(complain))
  const { field } = target
  const schema = typeof field === 'string' ? schemaAt(form.fields, field) : undefined
  const leaf = leafOf(schema)
  if (schema === undefined || leaf === undefined)
    return complain(
      'no-such-field',
      'The form has no such field that a cell can fill: give a JSON pointer to a field.',
      '/field',
    )
  checkReading(form, String(field), target, schema, complain)
}

/** Checks the source of one field, or the groups of one list. */
export function checkFieldSource(form: Form, pointer: string, source: unknown, complain: Complain): void {
  const schema = schemaAt(form.fields, pointer)
  const group = schema?.type === 'array' && schema.items?.type === 'object' ? schema.items : undefined
  if (group !== undefined) {
    if (!Array.isArray(source) || source.length === 0)
      return complain(
        'wrong-type',
        'This field is a list of groups: give a list, with the sources of the members of each.',
      )
    for (const [n, one] of source.entries())
      checkGroup(form, pointer, one, group, (reason, advice, under = '') => complain(reason, advice, `/${n}${under}`))
    return
  }
  if (schema === undefined || leafOf(schema) === undefined)
    return complain(
      'no-such-field',
      'The form has no such field that a source can fill: give a JSON pointer to a field.',
    )
  checkSource(form, pointer, source, schema, complain, ['several'])
}

function checkGoods(form: Form, target: Record<string, unknown>, complain: Complain): void {
  const { goods } = target
  refuseUnknown(target, ['goods', ...readings], '', below(complain))
  if (!isRecord(goods) || 'field' in target)
    return complain(
      'wrong-type',
      'Goods are {"goods": {"category", "unit", "estimated"?}}, and readings of the quantity beside.',
    )
  const group = schemaAt(form.fields, '/items')?.items
  const quantity = group?.properties?.['quantity']
  if (group === undefined || quantity === undefined) return complain('no-such-field', 'This form lists no goods.')
  if ('quantity' in goods) complain('unknown-field', 'The quantity is the cell of this column.', '/goods/quantity')
  for (const name of ['category', 'unit'])
    if (goods[name] === undefined)
      complain(
        'not-in-list',
        name === 'unit'
          ? 'This is no unit of the list (UN/ECE Recommendation 20).'
          : 'This is no commodity of the tree.',
        `/goods/${name}`,
      )
  checkReading(form, '/items/*/quantity', target, quantity, complain)
  for (const name of Object.keys(goods).filter((one) => readings.includes(one)))
    complain(
      'unknown-field',
      `How the quantity is read stands beside "goods": {"goods": {…}, "${name}": …}.`,
      `/goods/${name}`,
    )
  const members = Object.fromEntries(Object.entries(goods).filter(([name]) => !readings.includes(name)))
  checkGroup(form, '/items', members, group, (reason, advice, under = '') => complain(reason, advice, `/goods${under}`))
}

function checkGroup(form: Form, pointer: string, group: unknown, schema: Schema, complain: Complain): void {
  if (!isRecord(group)) return complain('wrong-type', 'This is a group: the source of each of its members by name.')
  const members = schema.properties ?? {}
  refuseUnknown(group, Object.keys(members), '', below(complain))
  for (const [name, source] of Object.entries(group)) {
    const member = Object.hasOwn(members, name) ? members[name] : undefined
    if (member === undefined || leafOf(member) === undefined || source === undefined) continue
    checkSource(form, `${pointer}/*/${name}`, source, member, (reason, advice, under = '') =>
      complain(reason, advice, `/${name}${under}`),
    )
  }
  if (group['quantity'] !== undefined && group['unit'] === undefined)
    complain('missing', 'A quantity has a unit: give its code, or the column that names it.', '/unit')
  for (const name of schema.required ?? [])
    if (group[name] === undefined && pointer !== '/items') complain('missing', `Each group needs the member ${name}.`)
}

function checkSource(
  form: Form,
  pointer: string,
  source: unknown,
  schema: Schema,
  complain: Complain,
  more: readonly string[] = [],
): void {
  if (!isRecord(source)) return checkConstant(source, leafOf(schema), complain)
  refuseUnknown(source, ['column', 'columns', 'between', ...more, ...readings], '', below(complain))
  const { column, columns, between } = source
  const one = typeof column === 'string' && column !== '' && columns === undefined
  const several = column === undefined && isListOfText(columns) && columns.length > 0
  if (!one && !several) complain('missing', 'A source names one "column", or several "columns".', '/column')
  if (between !== undefined && (typeof between !== 'string' || !several))
    complain('malformed', 'This is the text that stands between the cells of "columns".', '/between')
  checkReading(form, pointer, source, schema, complain)
}

function checkConstant(value: unknown, leaf: Schema | undefined, complain: Complain): void {
  if (leaf?.type === 'boolean' ? typeof value === 'boolean' : typeof value === 'string' && isCode(leaf, value)) return
  if (leaf?.type === 'boolean') return complain('wrong-type', 'This is true or false, or the source of a cell.')
  const what =
    leaf?.codes === 'units'
      ? 'no unit of the list (UN/ECE Recommendation 20)'
      : leaf?.codes === 'commodities'
        ? 'no commodity of the tree'
        : 'no value of this field'
  complain('not-in-list', `This is ${what}; a cell is named by {"column": …}.`)
}

function checkReading(
  form: Form,
  pointer: string,
  reading: Record<string, unknown>,
  schema: Schema,
  complain: Complain,
): void {
  const leaf = schema.type === 'array' ? schema.items : schema
  const { separator, codes, prefixes, otherwise, missing, pad, several, before, after } = reading
  const isFree =
    leaf?.type === 'string' && leaf.enum === undefined && leaf.label !== 'quantity' && leaf.format === undefined
  for (const [name, text] of Object.entries({ before, after }))
    if (text !== undefined && !(isFree && typeof text === 'string'))
      complain('malformed', 'This is a text, for a field of free text.', `/${name}`)
  if (separator !== undefined && (typeof separator !== 'string' || separator === '' || schema.type !== 'array'))
    complain('malformed', 'A separator is some text, for a field that is a list.', '/separator')
  if (missing !== undefined && !isListOfText(missing)) complain('wrong-type', 'This is a list of words.', '/missing')
  if (pad !== undefined && !(Number.isInteger(pad) && Number(pad) >= 1 && Number(pad) <= 12))
    complain('malformed', 'This is a number of digits from 1 to 12.', '/pad')
  if (otherwise !== undefined && !isCode(leaf, otherwise))
    complain('not-in-list', 'This is no code of the field.', '/otherwise')
  if (otherwise !== undefined && codes === undefined && prefixes === undefined)
    complain('missing', 'This is the code for words that are in no table: give "codes" or "prefixes".', '/otherwise')
  if (several !== undefined && !severalWords.includes(several as string))
    complain('malformed', 'This is "first", "join" or "span".', '/several')
  if (several === 'span' && (leaf?.format !== 'date' || schemaAt(form.fields, `${pointer}To`) === undefined))
    complain('malformed', 'Only a day with a last day beside it spans what its rows say.', '/several')
  checkNumberReading(reading, leaf, complain)
  checkDateReading(form, pointer, reading, leaf, complain)
  for (const [name, table] of Object.entries({ codes, prefixes })) {
    if (table === undefined) continue
    if (!isRecord(table)) {
      complain('wrong-type', 'This maps what the file says to codes of the form.', `/${name}`)
      continue
    }
    for (const [from, to] of Object.entries(table))
      if (!isCode(leaf, to))
        complain('not-in-list', `${JSON.stringify(to)}, for ${from}, is no code of this field.`, `/${name}`)
  }
}

function checkNumberReading(reading: Record<string, unknown>, leaf: Schema | undefined, complain: Complain): void {
  const { decimals, half, convertTo } = reading
  if (decimals !== undefined && !(Number.isInteger(decimals) && Number(decimals) >= 0 && Number(decimals) <= 8))
    complain('malformed', 'This is a number of decimal places from 0 to 8.', '/decimals')
  if (half !== undefined && half !== 'up' && half !== 'even')
    complain('malformed', 'The middle is rounded "up" (away from zero) or to the "even" digit.', '/half')
  if (half !== undefined && decimals === undefined)
    complain('missing', 'Say to how many "decimals" is rounded.', '/decimals')
  if (convertTo === undefined) return
  if (typeof convertTo !== 'string' || !Object.hasOwn(units, convertTo))
    complain('not-in-list', 'This is no unit of the list (UN/ECE Recommendation 20).', '/convertTo')
  if (leaf?.label !== 'quantity') complain('malformed', 'Only the quantity of goods is converted.', '/convertTo')
}

function checkDateReading(
  form: Form,
  pointer: string,
  reading: Record<string, unknown>,
  leaf: Schema | undefined,
  complain: Complain,
): void {
  const { dateFormat, language, firstYear, fiscalYearBegins } = reading
  const formats: unknown[] = Array.isArray(dateFormat) ? dateFormat : dateFormat === undefined ? [] : [dateFormat]
  const isDate = leaf?.format === 'date'
  const given = [dateFormat, language, firstYear, fiscalYearBegins].some((value) => value !== undefined)
  if (given && !isDate) complain('malformed', 'Only a day has a format of dates.', '/dateFormat')
  if (!formats.every(isDateFormat) || (Array.isArray(dateFormat) && formats.length === 0))
    complain(
      'malformed',
      'Write formats such as YYYY-MM-DD, D/M/YY, M/D/YYYY h:mm A, D MMM YYYY, YYYY-MM, YYYY, with other letters between apostrophes.',
      '/dateFormat',
    )
  else if (isDate && formats.some(isSpanFormat)) {
    const other = pointer.endsWith('To') ? pointer.slice(0, -2) : `${pointer}To`
    if (schemaAt(form.fields, other)?.format !== 'date')
      complain(
        'malformed',
        'A month or a year needs a field for the first and one for the last day; this form has one.',
        '/dateFormat',
      )
  }
  if (formats.some(isTwoYearFormat) && (fiscalYearBegins === undefined || fiscalYearBegins === 1))
    complain('missing', 'Say with which month such a year begins, from 2 to 12.', '/fiscalYearBegins')
  if (language !== undefined && !isLanguage(language))
    complain('malformed', 'This is a language such as "en", "fr" or "es" (BCP 47).', '/language')
  if (
    firstYear !== undefined &&
    !(Number.isInteger(firstYear) && Number(firstYear) >= 1900 && Number(firstYear) <= 2100)
  )
    complain('malformed', 'This is a year from 1900 to 2100.', '/firstYear')
  if (
    fiscalYearBegins !== undefined &&
    !(Number.isInteger(fiscalYearBegins) && Number(fiscalYearBegins) >= 1 && Number(fiscalYearBegins) <= 12)
  )
    complain('malformed', 'This is a month from 1 to 12.', '/fiscalYearBegins')
}

function isCode(leaf: Schema | undefined, code: unknown): boolean {
  if (code === null) return true
  if (leaf?.type === 'boolean') return typeof code === 'boolean'
  return (
    typeof code === 'string' &&
    (leaf?.enum?.includes(code) ?? true) &&
    (leaf?.codes !== 'commodities' || codeLists.commodities.codes.has(code))
  )
}

/**
 * What a cell can fill of a field: the field itself, or the items of a list; undefined for groups.
 */
function leafOf(schema: Schema | undefined): Schema | undefined {
  const leaf = schema?.type === 'array' ? schema.items : schema
  return leaf !== undefined && ['string', 'integer', 'boolean'].includes(leaf.type) ? leaf : undefined
}

function below(complain: Complain): (pointer: string, reason: string, advice: string) => void {
  return (pointer, reason, advice) => complain(reason, advice, pointer)
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

export function refuseUnknown(
  value: Record<string, unknown>,
  names: readonly string[],
  at: string,
  fault: (pointer: string, reason: string, advice: string) => void,
): void {
  for (const name of Object.keys(value))
    if (!names.includes(name))
      fault(`${at}/${name}`, 'unknown-field', `There is no such setting; there are ${names.join(', ')}.`)
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function isListOfText(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
