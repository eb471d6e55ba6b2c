import {
  codeLists,
  inLanguage,
  searchForm,
  validateFields,
  validateSubject,
  type CodeListName,
  type Form,
} from '../forms/index.ts'
import { fittingUnits } from './fitting-units.ts'
import type { FormAnswer, Question } from './form-questions.ts'
import { counted } from './words.ts'

/** A code that can be chosen: what the person types for it, and what it stands for. */
export interface CodeChoice {
  readonly key: string
  readonly code: string
  readonly name: string
}

/** What was typed: an answer, codes of which one is to be chosen, or why it is no answer. */
export type ReadAnswer =
  { readonly answer: FormAnswer } | { readonly choices: readonly CodeChoice[]; readonly said: string } | Refused

interface Refused {
  readonly refusal: string
}

/** The most codes that are shown at once. */
const mostShown = 15

/**
 * Reads what a person typed as the answer to a question. `shown` has the codes that were listed
 * last: their numbers count. Each refusal is a sentence that says what to write.
 */
export function readAnswer(form: Form, question: Question, typed: string, shown: readonly CodeChoice[]): ReadAnswer {
  const text = typed.trim()
  const { schema } = question
  if (schema.type === 'boolean') return readYesOrNo(text)
  if (schema.codes !== undefined) return readCode(form, question, text, shown)
  if (schema.type === 'integer') return judged(form, question, /^-?\d{1,15}$/.test(text) ? Number(text) : text)
  if (schema.maxLength !== undefined && schema.maxLength <= 6) return judged(form, question, text.toUpperCase())
  return judged(form, question, text.replace(/^\\(?=[<.?-]$)/, ''))
}

function readYesOrNo(text: string): ReadAnswer {
  if (/^y(?:es)?$/i.test(text)) return { answer: { value: true } }
  if (/^no?$/i.test(text)) return { answer: { value: false } }
  return { refusal: 'Answer yes or no.' }
}

/** An answer as the form judges it. The form is asked as a whole, since fields depend on others. */
function judged(form: Form, question: Question, value: string | number): ReadAnswer {
  const refusal = faultOf(form, question, value)
  return refusal === undefined ? { answer: { value } } : { refusal }
}

function faultOf(form: Form, { kind, pointer, fields, path }: Question, value: string | number): string | undefined {
  if (kind === 'reply') return undefined
  if (kind === 'subject') return validateSubject(form.id, form.version, value)[0]?.advice
  const list = typeof path.at(-1) === 'number' ? pointer.replace(/\/\d+$/, '') : undefined
  return validateFields(form.id, form.version, withValue(fields, path, value)).find(
    (fault) => fault.pointer === pointer || (fault.pointer === list && fault.reason === 'repeated'),
  )?.advice
}

/** A copy of the fields with one value in its place. The containers of that place exist. */
function withValue(fields: Question['fields'], path: Question['path'], value: unknown): unknown {
  const copy = structuredClone(fields)
  let at = copy as Record<string | number, unknown>
  for (const part of path.slice(0, -1)) at = at[part] as Record<string | number, unknown>
  at[path.at(-1) ?? ''] = value
  return copy
}

function readCode(form: Form, question: Question, text: string, shown: readonly CodeChoice[]): ReadAnswer {
  const chosen = shown.find(({ key }) => key === text)
  const all = choicesFor(question)
  const wanted = searchForm(text)
  const exact = all.filter(({ code, name }) => [code, name].some((one) => searchForm(one) === wanted))
  const isWhole = exact.length > 0 && !exact.some(({ code }) => all.some((one) => one.code.startsWith(`${code}/`)))
  const found = isWhole ? exact : byWords(all, wanted)
  const [only] = chosen === undefined ? found : [chosen]
  if (only === undefined) return { refusal: `No code has ${JSON.stringify(text)}. Try a shorter word; ? lists them.` }
  if (chosen === undefined && found.length > 1) return toChoose(found)
  return judged(form, question, only.code)
}

function byWords(all: readonly CodeChoice[], wanted: string): CodeChoice[] {
  const words = wanted.split(/\s+/)
  return all.filter(({ code, name }) => {
    const text = searchForm(`${code} ${name}`)
    return words.every((word) => text.includes(word))
  })
}

/** The codes that a question lists, at `?` and, where they are few, at once. */
export function listCodes(question: Question): { choices: readonly CodeChoice[]; said: string } | undefined {
  if (question.schema.codes === undefined) return undefined
  return toChoose(choicesFor(question))
}

/** Whether the codes of a question are so few that they are listed with it. */
export function areFew({ schema }: Question): boolean {
  return schema.codes !== undefined && (schema.enum?.length ?? 0) <= mostShown
}

function toChoose(found: readonly CodeChoice[]) {
  // Where codes are numbers themselves, they are what is typed.
  const numeric = found.some(({ code }) => /^\d+$/.test(code))
  const choices = found.slice(0, mostShown).map((one, n) => ({ ...one, key: numeric ? one.code : String(n + 1) }))
  const more = found.length - choices.length
  const said =
    more > 0 ? `${counted(more, 'code')} more: type words, such as a part of the name.` : 'Type a number, or words.'
  return { choices, said }
}

/** All codes of a question by name; the units that fit the goods come first. */
function choicesFor({ schema, fields, path }: Question): CodeChoice[] {
  const list = schema.codes as CodeListName
  const codes = [...codeLists[list].codes.keys()]
  const sorted = list === 'units' ? [...new Set<string>([...fittingUnits(commodityIn(fields, path)), ...codes])] : codes
  return sorted.map((code) => ({ key: code, code, name: wholeName(list, code) }))
}

function commodityIn(fields: unknown, path: Question['path']): string {
  let at = fields
  for (const part of path.slice(0, -1)) at = (at as Record<string | number, unknown>)[part]
  const { category } = at as { category?: unknown }
  return typeof category === 'string' ? category : ''
}

/** The label of a code; that of a commodity after those of all its parents. */
export function wholeName(list: CodeListName, code: string): string {
  const words = list === 'commodities' ? code.split('/') : [code]
  const labels = words.map((_, n) => codeLists[list].codes.get(words.slice(0, n + 1).join('/')))
  return labels.map((label) => (label === undefined ? code : inLanguage(label))).join(' › ')
}
