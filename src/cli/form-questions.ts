import type { Form, Schema } from '../forms/index.ts'
import { labelOf } from './words.ts'

/**
 * One question of a form that is written field by field. `gate`: whether a group, or one more
 * element of a list, is filled in; its answer is true or false.
 */
export interface Question {
  readonly kind: 'reply' | 'subject' | 'field' | 'gate'
  /** Its place in the fields, a JSON pointer; that of a gate ends in `?`. */
  readonly pointer: string
  readonly label: string
  readonly schema: Schema
  readonly required: boolean
  /** Whether the service reads the answer: it stands in the extract. */
  readonly clear: boolean
  /** The fields as they are so far, and where in them the answer stands. */
  readonly fields: Readonly<Record<string, unknown>>
  readonly path: readonly (string | number)[]
}

/** The answer to a question: a value, nothing, or nothing to it and to all that may be left out. */
export type FormAnswer = { readonly value: string | number | boolean } | 'none' | 'rest'

export interface AskedFor {
  readonly subject: boolean
  readonly reply: boolean
}

export interface WrittenForm {
  readonly fields: Readonly<Record<string, unknown>>
  readonly subject?: string
  /** The word for the message that it answers. */
  readonly replyTo?: string
}

type Container = Record<string, unknown> | unknown[]
type Asking<T> = Generator<Question, T, FormAnswer>

const line: Schema = { type: 'string' }
const yesOrNo: Schema = { type: 'boolean' }

/** The questions of a form in their order, each made from the answers to those before it. */
export function* questionsOf(form: Form, asked: AskedFor): Asking<WrittenForm> {
  const walk = new Walk(form)
  const replyTo = asked.reply ? yield* walk.beside('reply', 'Number of the message that it answers', true) : undefined
  const subject = asked.subject ? yield* walk.beside('subject', 'Subject', form.subject === 'required') : undefined
  yield* walk.group(form.fields, [], walk.fields, '')
  return {
    fields: walk.fields,
    ...(subject === undefined ? {} : { subject }),
    ...(replyTo === undefined ? {} : { replyTo }),
  }
}

class Walk {
  readonly fields: Record<string, unknown> = {}
  readonly #form: Form
  /** Whether the person wants no more questions than are needed. */
  #ending = false

  constructor(form: Form) {
    this.#form = form
  }

  *beside(kind: 'reply' | 'subject', label: string, required: boolean): Asking<string | undefined> {
    if (this.#ending && !required) return undefined
    const answer = yield { kind, pointer: kind, label, schema: line, required, clear: false, fields: {}, path: [] }
    return this.#taken(answer) as string | undefined
  }

  /** Asks the fields of a group into a container that stands in the fields already. */
  *group(schema: Schema, path: Question['path'], into: Record<string, unknown>, before: string): Asking<void> {
    const { properties = {}, required = [], dependentRequired = {} } = schema
    const passed = new Set<string>()
    for (const [name, field] of Object.entries(properties)) {
      // An import fills it.
      if (name === 'imported') continue
      const lacks = (dependentRequired[name] ?? []).some((other) => passed.has(other) && into[other] === undefined)
      passed.add(name)
      if (lacks) continue
      const isNeeded = Object.entries(dependentRequired).some(
        ([other, beside]) => beside.includes(name) && into[other] !== undefined,
      )
      yield* this.#field(name, field, required.includes(name) || isNeeded, path, into, before)
    }
  }

  *#field(
    name: string,
    field: Schema,
    required: boolean,
    path: Question['path'],
    into: Record<string, unknown>,
    before: string,
  ): Asking<void> {
    const here = [...path, name]
    const label = before + labelOf(field, name)
    if (field.type === 'object') {
      if (!(yield* this.#gate(here, `${label}: fill in?`, required))) return
      const inside = (into[name] = {} as Record<string, unknown>)
      yield* this.group(field, here, inside, `${label} › `)
    } else if (field.type === 'array') {
      const list: unknown[] = (into[name] = [])
      yield* this.#list(field, here, list, label)
    } else yield* this.#leaf(field, here, into, name, label, required)
    if (isEmpty(into[name])) delete into[name]
  }

  *#list(field: Schema, path: Question['path'], list: unknown[], label: string): Asking<void> {
    const { items = field, maxItems = Number.MAX_SAFE_INTEGER } = field
    while (list.length < maxItems) {
      const n = list.length
      if (items.type !== 'object') {
        yield* this.#leaf(items, [...path, n], list, n, n === 0 ? label : `${label}, one more`, false)
        if (list.length === n) return
        continue
      }
      if (!(yield* this.#gate([...path, n], n === 0 ? `${label}: add one?` : `${label}: add one more?`, false))) return
      const inside: Record<string, unknown> = {}
      list.push(inside)
      yield* this.group(items, [...path, n], inside, `${label} ${String(n + 1)} › `)
      if (!isEmpty(inside)) continue
      list.pop()
      return
    }
  }

  *#gate(path: Question['path'], label: string, required: boolean): Asking<boolean> {
    if (required) return true
    if (this.#ending) return false
    const { fields } = this
    const clear = this.#isCounted(path)
    const pointer = `${pointerOf(path)}?`
    const answer = yield { kind: 'gate', pointer, label, schema: yesOrNo, required, clear, fields, path }
    return this.#taken(answer) === true
  }

  *#leaf(
    schema: Schema,
    path: Question['path'],
    into: Container,
    key: string | number,
    label: string,
    required: boolean,
  ): Asking<void> {
    if (this.#ending && !required) return
    const { fields } = this
    const pointer = pointerOf(path)
    const answer = yield { kind: 'field', pointer, label, schema, required, clear: this.#isClear(path), fields, path }
    const value = this.#taken(answer)
    if (value !== undefined) (into as Record<string | number, unknown>)[key] = value
  }

  #taken(answer: FormAnswer): string | number | boolean | undefined {
    if (answer === 'rest') this.#ending = true
    return typeof answer === 'object' ? answer.value : undefined
  }

  #isClear(path: Question['path']): boolean {
    const pattern = patternOf(path)
    return this.#form.extract.some((clear) => clear === pattern || pattern.startsWith(`${clear}/`))
  }

  /** Whether the service counts the elements of this list: it reads some of their fields. */
  #isCounted(path: Question['path']): boolean {
    return (
      typeof path.at(-1) === 'number' && this.#form.extract.some((clear) => clear.startsWith(`${patternOf(path)}/`))
    )
  }
}

const pointerOf = (path: Question['path']) => path.map((part) => `/${part}`).join('')
const patternOf = (path: Question['path']) =>
  path.map((part) => (typeof part === 'number' ? '/*' : `/${part}`)).join('')
const isEmpty = (value: unknown) => typeof value === 'object' && value !== null && Object.keys(value).length === 0
