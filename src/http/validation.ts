import { Ajv2020, type AnySchema, type ErrorObject } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import buildSerializer from 'fast-json-stringify'
import type { FastifyInstance, FastifySchemaCompiler } from 'fastify'
import { isBlank, isPlace, placeRule } from '../forms/index.ts'

/** One thing wrong with a request: where (RFC 6901 pointer within the part) and why. */
export interface RequestFault {
  readonly in: string
  readonly pointer: string
  readonly reason: string
}

const mostFaultsNamed = 20

/** How the patterns of texts begin that have one line. */
const withoutControls = '^[^\\u0000-\\u001f'

/**
 * Of a request that is made of more parts the first fault alone is named: the search for all faults
 * would cost more the more parts there are.
 */
const mostPartsToCorrect = 200

const ownFormats = {
  place: { type: 'string', validate: isPlace },
  // A text of blanks, or of characters that are not shown, says nothing.
  'not-blank': { type: 'string', validate: (text: string) => !isBlank(text) },
} as const

function instance({ lenient, allErrors }: { lenient: boolean; allErrors: boolean }): Ajv2020 {
  const ajv = new Ajv2020({
    coerceTypes: lenient,
    useDefaults: lenient,
    removeAdditional: false,
    allErrors,
    strict: true,
    strictTypes: false,
    strictRequired: false,
    // Faults then say what the field is.
    verbose: true,
  })
  formats.default(ajv)
  for (const [name, format] of Object.entries(ownFormats)) ajv.addFormat(name, format)
  return ajv
}

/**
 * Takes bodies as they are: no coercion (Fastify's default turns null into ""), no defaults,
 * unknown fields refused and not dropped. Only query, path and headers, which are text, are coerced
 * and given defaults.
 */
export function validateStrictly(app: FastifyInstance): void {
  const brief = instance({ lenient: false, allErrors: false })
  const thorough = instance({ lenient: false, allErrors: true })
  const lenient = instance({ lenient: true, allErrors: true })
  const validator: FastifySchemaCompiler<object> = ({ schema, httpPart }) =>
    httpPart === 'body'
      ? briefAtFirst(compiledAtFirstUse(brief, schema), compiledAtFirstUse(thorough, schema))
      : compiledAtFirstUse(lenient, schema)
  app.setValidatorCompiler(validator)
  app.setSerializerCompiler(({ schema }) => {
    let serialize: ((answer: unknown) => string) | undefined
    return (answer) => (serialize ??= buildSerializer(schema as object, { ajv: { formats: ownFormats } }))(answer)
  })
}

interface Validate {
  (data: unknown): boolean
  errors?: ErrorObject[] | null
}

/** Stops at the first fault of a request; names all faults where the request is short. */
function briefAtFirst(first: Validate, all: Validate): Validate {
  const validate: Validate = (data) => {
    const judge = first(data) || partsOf(data, mostPartsToCorrect) > mostPartsToCorrect ? first : all
    if (judge === all) all(data)
    validate.errors = judge.errors ?? null
    return validate.errors === null
  }
  return validate
}

/** Counts the values that a value is made of, no further than `most`. */
function partsOf(value: unknown, most: number): number {
  if (typeof value !== 'object' || value === null) return 1
  let count = 1
  for (const inner of Object.values(value)) if (count <= most) count += partsOf(inner, most - count)
  return count
}

/**
 * Compiles a schema at its first use: a service has hundreds of schemas, and its start does not
 * wait for schemas that no request needs yet.
 */
function compiledAtFirstUse(ajv: Ajv2020, schema: AnySchema): Validate {
  let compiled: Validate | undefined
  const validate: Validate = (data) => {
    compiled ??= ajv.compile(schema) as Validate
    const valid = compiled(data)
    validate.errors = compiled.errors ?? null
    return valid
  }
  return validate
}

/** What a text that fails a format or a pattern must be, as far as its schema says it. */
function reasonOf({ keyword, message = 'is not valid', params, parentSchema }: Partial<ErrorObject>): string {
  const { format, pattern } = (params ?? {}) as Record<string, unknown>
  if (format === 'not-blank') return 'says nothing: it needs characters that are shown'
  if (format === 'place') return `is no place. ${placeRule}`
  if (keyword === 'pattern' && String(pattern).startsWith(withoutControls))
    return 'has control characters or line breaks: write one line of text'
  const { description } = (parentSchema ?? {}) as Record<string, unknown>
  if ((keyword !== 'pattern' && keyword !== 'format') || typeof description !== 'string') return message
  return `${message}: ${description}`
}

/**
 * Answers the faults of a validation error, at most 20. They name fields and rules, never the
 * values of the request.
 */
export function faultsOf(part: string, errors: readonly Partial<ErrorObject>[]): RequestFault[] {
  return errors.slice(0, mostFaultsNamed).map((error) => {
    const { missingProperty, additionalProperty } = (error.params ?? {}) as Record<string, unknown>
    const name = missingProperty ?? additionalProperty
    const child = typeof name === 'string' ? `/${name.replaceAll('~', '~0').replaceAll('/', '~1').slice(0, 100)}` : ''
    const reason =
      missingProperty !== undefined
        ? 'is missing'
        : additionalProperty !== undefined
          ? 'is not a known field'
          : reasonOf(error)
    return { in: part, pointer: `${error.instancePath ?? ''}${child}`, reason }
  })
}
