import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import { isDay } from './days.ts'
import { quantityPattern } from './decimal.ts'
import { extractSchema } from './extract.ts'
import { plainText, sentenceFor } from './fields.ts'
import type { Form } from './form.ts'
import { isBlank } from './names.ts'
import { findForm } from './registry.ts'

/** A fault: its place (a JSON pointer), its reason (a stable word), and the advice. */
export interface Fault {
  readonly pointer: string
  readonly reason: FaultReason
  readonly advice: string
}

export type FaultReason =
  | 'no-such-form'
  | 'unknown-field'
  | 'missing'
  | 'wrong-type'
  | 'not-in-list'
  | 'too-long'
  | 'too-short'
  | 'too-many'
  | 'too-few'
  | 'repeated'
  | 'out-of-range'
  | 'not-a-date'
  | 'malformed'
  | 'contradictory'
  | 'not-extracted'

// A hostile body may have thousands of faults; a person corrects a few at a time.
const mostFaults = 50

function compiler(allErrors: boolean): Ajv2020 {
  // A test checks the schemas of Cordon against the meta-schema, so that no start does.
  const ajv = new Ajv2020({ strict: true, allErrors, loopEnum: 100, validateSchema: false })
  ajv.addVocabulary(['label', 'codes'])
  ajv.addFormat('date', { type: 'string', validate: isDay })
  return ajv
}

// The writer of a message gets every fault of it. The server, which checks the messages of others,
// stops at the first.
const thorough = compiler(true)
const brief = compiler(false)

// Compiled at first use: a command that uses no form does not compile any.
const fieldChecks = new WeakMap<Form, ValidateFunction>()
const extractChecks = new WeakMap<Form, ValidateFunction>()

function fieldCheck(form: Form): ValidateFunction {
  const known = fieldChecks.get(form)
  if (known !== undefined) return known
  const check = thorough.compile(form.fields)
  fieldChecks.set(form, check)
  return check
}

function extractCheck(form: Form): ValidateFunction | undefined {
  const known = extractChecks.get(form)
  if (known !== undefined) return known
  const schema = extractSchema(form)
  if (schema === undefined) return undefined
  const check = brief.compile(schema)
  extractChecks.set(form, check)
  return check
}

/**
 * The faults of the fields that somebody is about to send; empty where the form accepts them. A
 * text that says nothing is a fault. Never throws, whatever the fields are.
 */
export function validateFields(id: string, version: number, fields: unknown): Fault[] {
  const form = findForm(id, version)
  if (form === undefined) return [noSuchForm(id)]
  const faults = check(fieldCheck(form), fields)
  return faults.length > 0 ? faults : blanksIn(fields).slice(0, mostFaults)
}

/**
 * Whether the fields of a received message fit their form. A reader takes a text that says nothing,
 * which earlier versions let through.
 */
export function fitsForm(id: string, version: number, fields: unknown): boolean {
  const form = findForm(id, version)
  return form !== undefined && check(fieldCheck(form), fields).length === 0
}

/** A fault for each text, at any depth, that is not empty and yet shows nothing. */
function blanksIn(value: unknown, pointer = ''): Fault[] {
  if (typeof value === 'string') {
    if (value === '' || !isBlank(value)) return []
    const advice = 'This says nothing: fill it in with characters that are shown, or leave the field out.'
    return [{ pointer, reason: 'too-short', advice }]
  }
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => blanksIn(inner, pointerTo(pointer, name)))
}

function pointerTo(parent: string, child: unknown): string {
  return `${parent}/${String(child).slice(0, 64).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/**
 * The faults of an extract, judged by its form alone, because the server cannot see the fields. A
 * form that extracts nothing must have no extract; another form may have none, because an operation
 * can switch extraction off.
 */
export function validateExtract(id: string, version: number, extract: unknown): Fault[] {
  const form = findForm(id, version)
  if (form === undefined) return [noSuchForm(id)]
  if (extract === undefined) return []
  const validate = extractCheck(form)
  if (validate !== undefined) return check(validate, extract)
  return [{ pointer: '', reason: 'not-extracted', advice: 'This form has no extract: send the message without one.' }]
}

const subjectLine = /^[^\p{Cc}\p{Cs}\u2028\u2029]{1,200}$/u

/**
 * The faults of the subject line of a message: it has one line of up to 200 characters, where the
 * form needs one.
 */
export function validateSubject(id: string, version: number, subject: unknown): Fault[] {
  const form = findForm(id, version)
  if (form === undefined) return [noSuchForm(id)]
  const fault = (reason: FaultReason, advice: string): Fault[] => [{ pointer: '', reason, advice }]
  if (subject === undefined)
    return form.subject === 'optional' ? [] : fault('missing', 'This form needs a subject line: write one.')
  if (typeof subject !== 'string') return fault('wrong-type', 'A subject must be text.')
  if (subjectLine.test(subject) && !isBlank(subject)) return []
  return fault(
    'malformed',
    'A subject is one line of 1 to 200 characters that are shown: shorten it, or take out what is not shown.',
  )
}

function noSuchForm(id: string): Fault {
  const advice = `There is no form ${JSON.stringify(id.slice(0, 64))} in this version: use one of the forms that exist, in a version that exists.`
  return { pointer: '', reason: 'no-such-form', advice }
}

function check(validate: ValidateFunction, value: unknown): Fault[] {
  if (validate(value)) return contradictions(value as Readonly<Record<string, unknown>>)
  return (validate.errors ?? []).slice(0, mostFaults).map(toFault)
}

function contradictions({ date, dateTo }: Readonly<Record<string, unknown>>): Fault[] {
  if (typeof date !== 'string' || typeof dateTo !== 'string' || date <= dateTo) return []
  return [
    {
      pointer: '/dateTo',
      reason: 'contradictory',
      advice: 'The last day lies before the first: exchange or correct them.',
    },
  ]
}

function toFault({ keyword, instancePath, params }: ErrorObject): Fault {
  const at = (child: unknown) => pointerTo(instancePath, child)
  const fault = (reason: FaultReason, advice: string, pointer = instancePath): Fault => ({ pointer, reason, advice })
  switch (keyword) {
    case 'additionalProperties':
      return fault('unknown-field', 'The form has no such field: remove it.', at(params['additionalProperty']))
    case 'required':
      return fault('missing', 'This field is required: fill it in.', at(params['missingProperty']))
    case 'dependentRequired': {
      const advice = `This field is required beside ${String(params['property'])}: fill it in, or leave out both.`
      return fault('missing', advice, at(params['missingProperty']))
    }
    case 'type':
      return fault('wrong-type', `This must be ${article(String(params['type']))}.`)
    case 'enum':
      return fault('not-in-list', 'This is no code of the list: use one of the codes of the form.')
    case 'maxLength':
      return fault('too-long', `This may have at most ${params['limit']} characters: shorten it.`)
    case 'minLength':
      return fault('too-short', 'This is empty: fill it in, or leave the field out.')
    case 'maxItems':
      return fault('too-many', `This may list at most ${params['limit']}: split the message.`)
    case 'minItems':
    case 'minProperties':
      return fault('too-few', 'This is empty: fill it in, or leave the field out.')
    case 'uniqueItems':
      return fault('repeated', 'This list names an item twice: name it once.')
    case 'minimum':
    case 'maximum':
      return fault('out-of-range', `This must be at ${keyword === 'minimum' ? 'least' : 'most'} ${params['limit']}.`)
    case 'format':
      return fault('not-a-date', 'This is no day of the calendar: write it as YYYY-MM-DD.')
    default:
      return fault('malformed', writingRule(String(params['pattern'])))
  }
}

/** How a text that has to match a pattern is written: a sentence for a person. */
export function writingRule(pattern: string): string {
  if (pattern === plainText) return 'This has characters that are no text (control characters): remove them.'
  if (pattern === quantityPattern)
    return 'Write a number of zero or more: at most 15 digits, then if need be a point and at most 6 more.'
  return sentenceFor(pattern) ?? 'This is not written as the form asks.'
}

function article(type: string): string {
  const names: Readonly<Record<string, string>> = { object: 'a group of fields', array: 'a list', string: 'text' }
  return names[type] ?? (type === 'integer' ? 'a whole number' : 'true or false')
}
