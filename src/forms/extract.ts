import type { Form, Schema } from './form.ts'
import { findForm } from './registry.ts'

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

export type Extract = { readonly [key: string]: Json }

/** The declared paths as a tree; `true` takes the whole value. */
interface Paths {
  readonly [step: string]: Paths | true
}

function pathsOf(form: Form): Paths {
  const root: Record<string, unknown> = {}
  for (const pointer of form.extract) {
    const steps = pointer.slice(1).split('/')
    const last = steps.pop() ?? ''
    let at = root
    for (const step of steps) at = (at[step] ??= {}) as Record<string, unknown>
    at[last] = true
  }
  return root as Paths
}

const pathsByForm = new WeakMap<Form, Paths>()

function declared(form: Form): Paths {
  let paths = pathsByForm.get(form)
  if (paths === undefined) pathsByForm.set(form, (paths = pathsOf(form)))
  return paths
}

/**
 * The extract of the fields of a message: exactly the paths that its form declares. Undefined where
 * the form declares none, or where the fields have none of them. The fields must be valid.
 */
export function extractOf(id: string, version: number, fields: unknown): Extract | undefined {
  const form = findForm(id, version)
  if (form === undefined) throw new RangeError(`no such form: ${id} ${version}`)
  return project(fields, declared(form)) as Extract | undefined
}

function project(value: unknown, paths: Paths | true): unknown {
  if (paths === true || value === undefined) return value
  const each = paths['*']
  if (each !== undefined) return Array.isArray(value) ? value.map((item) => project(item, each) ?? {}) : undefined
  if (typeof value !== 'object' || value === null) return undefined
  const kept: Record<string, unknown> = {}
  for (const [step, below] of Object.entries(paths)) {
    const part = project((value as Record<string, unknown>)[step], below)
    if (part !== undefined) kept[step] = part
  }
  return Object.keys(kept).length === 0 ? undefined : kept
}

/**
 * The schema of the extract of a form, cut out of the schema of its fields; undefined where the
 * form extracts nothing.
 */
export function extractSchema(form: Form): Schema | undefined {
  return form.extract.length === 0 ? undefined : cut(form.fields, declared(form))
}

function cut(schema: Schema, paths: Paths | true): Schema {
  if (paths === true) return schema
  const each = paths['*']
  if (each !== undefined) {
    if (schema.items === undefined) throw new RangeError('a path with * leads to something that is no list')
    return { ...schema, items: cut(schema.items, each) }
  }
  const kept: Record<string, Schema> = {}
  for (const [step, below] of Object.entries(paths)) {
    const property = schema.properties?.[step]
    if (property === undefined) throw new RangeError(`a path leads to ${step}, which is no field`)
    kept[step] = cut(property, below)
  }
  const { required, dependentRequired, ...rest } = schema
  const dependent = Object.entries(dependentRequired ?? {}).filter(([key, needs]) =>
    [key, ...needs].every((k) => k in kept),
  )
  return {
    ...rest,
    properties: kept,
    ...(required === undefined ? {} : { required: required.filter((key) => key in kept) }),
    ...(dependent.length === 0 ? {} : { dependentRequired: Object.fromEntries(dependent) }),
  }
}

/**
 * Writes an extract as the one text that is hashed and sent: keys in the order of their code units,
 * no white space (RFC 8785, as far as an extract needs it: its numbers are whole). Throws TypeError
 * for a value that is no plain JSON.
 */
export function encodeExtract(extract: Extract): string {
  return encode(extract)
}

function encode(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value) || Object.is(value, -0)) throw new TypeError('an extract holds whole numbers only')
    return String(value)
  }
  if (Array.isArray(value)) return `[${value.map(encode).join(',')}]`
  if (typeof value !== 'object') throw new TypeError('an extract holds plain JSON only')
  const record = value as Record<string, unknown>
  const keys = Object.keys(record).toSorted((a, b) => (a < b ? -1 : 1))
  return `{${keys.map((key) => `${JSON.stringify(key)}:${encode(record[key])}`).join(',')}}`
}

/** Reads the text of an extract; undefined unless it is exactly what `encodeExtract` writes. */
export function decodeExtract(text: string): Extract | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return encode(value) === text ? (value as Extract) : undefined
  } catch {
    return undefined
  }
}

/**
 * Compares an extract with the fields of the sealed body. Answers JSON pointers to the differences;
 * the empty pointer for an extract that is missing or must not exist; an empty list where they
 * agree. The fields must be valid.
 */
export function compareExtract(id: string, version: number, fields: unknown, extract: Extract | undefined): string[] {
  const expected = extractOf(id, version, fields)
  return [...differences(expected, extract, '')]
}

function* differences(a: unknown, b: unknown, at: string): Generator<string> {
  if (a === b) return
  const comparable = typeof a === 'object' && typeof b === 'object' && a !== null && b !== null
  if (!comparable || Array.isArray(a) !== Array.isArray(b)) {
    yield at
    return
  }
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>]
  for (const key of new Set([...Object.keys(x), ...Object.keys(y)]))
    yield* differences(x[key], y[key], `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`)
}
