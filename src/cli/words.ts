import {
  codeLists,
  fieldLabels,
  findForm,
  inLanguage,
  type CodeListName,
  type LabelKey,
  type Schema,
} from '../forms/index.ts'
import type { State } from '../access.ts'
import type { Message } from '../client/index.ts'
import { harmless, harmlessLine } from './terminal.ts'

/** Formats times in a time zone, in the language of the reader. */
export function timesIn(timeZone: string): (at: string) => string {
  const format = new Intl.DateTimeFormat(undefined, { timeZone, dateStyle: 'medium', timeStyle: 'short' })
  return (at) => format.format(new Date(at))
}

/** Formats a time in the time zone and the language of the reader, with the name of the zone. */
export function localTimeAndZone(at: string): string {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions()
  return `${timesIn(timeZone)(at)} (${timeZone})`
}

/**
 * Formats a whole number or an exact decimal in the language of the reader, without losing a digit.
 */
export function number(value: number | string): string {
  return new Intl.NumberFormat(undefined, { maximumFractionDigits: 100 }).format(value as number)
}

/** A number with its noun: "1 message", "2 messages". */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${number(count)} ${count === 1 ? one : many}`
}

/**
 * The label of a code; the code itself where the list does not have it. A commodity has the labels
 * of its parents before its own, from the second level on: "Live" alone says of no animal that it
 * lives.
 */
export function codeName(list: CodeListName, code: string): string {
  const path = list === 'commodities' ? commodityPath(code) : [code]
  const labels = path.map((one) => codeLists[list].codes.get(one))
  if (!labels.every((label) => label !== undefined)) return code
  return labels.map((label) => inLanguage(label)).join(' › ')
}

/**
 * The codes of a commodity and of its parents, the highest first, without that of the first level.
 */
function commodityPath(code: string): string[] {
  const words = code.split('/')
  return words.length === 1 ? [code] : words.slice(1).map((_, n) => words.slice(0, n + 2).join('/'))
}

/** The fields of a message, one line each: its label, and codes in words. */
export function fieldLines(form: string, version: number, fields: unknown): string[] {
  const schema = findForm(form, version)?.fields
  if (form === 'text' && typeof (fields as { text?: unknown }).text === 'string')
    return harmless((fields as { text: string }).text).split('\n')
  return schema === undefined ? harmless(JSON.stringify(fields, undefined, 2)).split('\n') : lines(schema, fields, '')
}

function lines(schema: Schema, value: unknown, indent: string): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const inside = (value as Record<string, unknown>)[name]
    // The reader does not need the key by which an import finds its rows again.
    if (inside === undefined || name === 'imported') return []
    const label = labelOf(field, name)
    if (field.type === 'object') return [`${indent}${label}:`, ...lines(field, inside, `${indent}  `)]
    if (field.type === 'array' && field.items?.type === 'object')
      return [`${indent}${label}:`, ...listLines(field.items, inside, `${indent}  `)]
    return block(`${indent}${label}: `, wordsOf(field, inside))
  })
}

function listLines(schema: Schema, list: unknown, indent: string): string[] {
  if (!Array.isArray(list)) return []
  return list.flatMap((item: unknown) => {
    const inside = lines(schema, item, `${indent}  `)
    return inside.map((line, n) => (n === 0 ? `${indent}- ${line.trimStart()}` : line))
  })
}

// Further lines of a text are indented below its first line, so that none looks like another field.
function block(before: string, text: string): string[] {
  const [first = '', ...rest] = harmless(text).split('\n')
  return [before + first, ...rest.map((line) => ' '.repeat(before.length) + line)]
}

function wordsOf(field: Schema, value: unknown): string {
  if (Array.isArray(value)) return value.map((one) => wordsOf(field.items ?? field, one)).join(', ')
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  const text = String(value)
  if (field.codes === undefined) return text
  const name = codeName(field.codes as CodeListName, text)
  return name === text ? text : `${name} (${text})`
}

export function labelOf(field: Schema, name: string): string {
  return field.label === undefined ? harmlessLine(name) : inLanguage(fieldLabels[field.label as LabelKey])
}

/** The marks of a message in words. */
export function markWords({ marks, exercise }: Message): string[] {
  const words = marks.map((mark) => {
    switch (mark.kind) {
      case 'early':
        return 'appended BEFORE the time at which its sender says that it was sent: a clock is wrong, or the service dates it back'
      case 'late':
        return 'appended more than an hour after it was sent'
      case 'extract-differs':
        return `the extract does not agree with the sealed fields (${mark.at.join(', ')})`
      case 'form-unknown':
        return 'written with a form that this program does not know'
      case 'fields-invalid':
        return 'does not fit its form'
    }
  })
  return exercise ? ['EXERCISE', ...words] : words
}

/** The states of an operation, after the word is. */
export const stateWords: Readonly<Record<State, string>> = {
  draft: 'a draft',
  rehearsal: 'in rehearsal',
  active: 'active',
  reporting: 'reporting',
  closed: 'closed',
  archived: 'archived',
}
