import { codeLists, inLanguage, newestForm, type CodeListName, type FormId, type Schema } from '../forms/index.ts'
import { codeName, counted, labelOf } from './words.ts'

/** One field of a form: its path (a JSON pointer, with `*` for each element of a list). */
export interface FormField {
  readonly path: string
  readonly name: string
  readonly label: string
  readonly required: boolean
  /** Whether the service reads it: it stands in the extract. Everything else is sealed. */
  readonly clear: boolean
  readonly schema: Schema
  /** The fields of a group, or of each element of a list of groups. */
  readonly parts: readonly FormField[]
}

/** The most codes that a template lists; of a longer list it names the command that shows it. */
const mostCodesListed = 12

export function fieldsOfForm(id: FormId): FormField[] {
  const { fields, extract } = newestForm(id)
  return below(fields, '', (path) => extract.some((clear) => path === clear || path.startsWith(`${clear}/`)))
}

function below(schema: Schema, path: string, isClear: (path: string) => boolean): FormField[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]): FormField[] => {
    // An import fills it.
    if (name === 'imported') return []
    const here = `${path}/${name}`
    const required = schema.required?.includes(name) ?? false
    const inner = field.type === 'array' ? (field.items ?? field) : field
    const parts = inner.type === 'object' ? below(inner, field.type === 'array' ? `${here}/*` : here, isClear) : []
    return [{ path: here, name, label: labelOf(field, name), required, clear: isClear(here), schema: field, parts }]
  })
}

/** What may stand in a field, in a few words. */
export function shapeWords(schema: Schema): string {
  if (schema.codes !== undefined) return `one of ${counted(sizeOf(schema), 'code')}`
  if (schema.type === 'array') {
    const what = schema.items?.codes === undefined ? schema.items && shapeWords(schema.items) : 'codes'
    return `list of up to ${String(schema.maxItems)}${what === undefined ? '' : `: ${what}`}`
  }
  if (schema.type === 'object') return 'group'
  if (schema.type === 'boolean') return 'true or false'
  if (schema.type === 'integer') return `whole number, ${String(schema.minimum)} to ${String(schema.maximum)}`
  if (schema.format === 'date') return 'day, such as 2026-11-30'
  if (schema.pattern?.includes('0-9') === true && (schema.maxLength ?? 0) <= 64) return 'text of a fixed form'
  return `text, up to ${counted(schema.maxLength ?? 0, 'letter')}`
}

const sizeOf = (schema: Schema) => schema.enum?.length ?? 0

/**
 * The codes of a list with their names; those whose code or name holds a word, where one is given.
 */
export function codesOf(list: CodeListName, word = ''): { code: string; name: string }[] {
  const wanted = word.toLowerCase()
  return [...codeLists[list].codes.keys()]
    .map((code) => ({ code, name: codeName(list, code) }))
    .filter(({ code, name }) => `${code} ${name}`.toLowerCase().includes(wanted))
}

/**
 * A template of a form: JSON with comments. Required fields stand open with an empty value, the
 * others in comments.
 */
export function template(id: FormId): string[] {
  const form = newestForm(id)
  return [
    `// ${inLanguage(form.title)}: fill in, and send with: cordon post --form ${id} --fields FILE`,
    '// Lines that begin with // say nothing: take the // away before a field that you fill in.',
    '// What is marked as in the clear, the service reads for the figures. Everything else is sealed.',
    '{',
    ...fieldsOfForm(id).flatMap((field) => fieldLines(id, field, '  ', false)),
    '}',
  ]
}

function fieldLines(id: FormId, field: FormField, indent: string, commented: boolean): string[] {
  const { name, label, required, schema, parts } = field
  const off = commented || !required
  const mark = off ? '// ' : ''
  const marks = [required ? 'required' : undefined, field.clear ? 'in the clear' : undefined].filter(Boolean).join(', ')
  const about = [
    `${indent}// ${label} (${[shapeWords(schema), marks].filter(Boolean).join('; ')})`,
    ...choices(id, field, indent),
  ]
  if (parts.length === 0) return [...about, `${indent}${mark}"${name}": ${example(schema)},`]
  const [open, close] = schema.type === 'array' ? ['[{', '}]'] : ['{', '}']
  return [
    ...about,
    `${indent}${mark}"${name}": ${open}`,
    ...parts.flatMap((part) => fieldLines(id, part, `${indent}  `, off)),
    `${indent}${mark}${close},`,
  ]
}

function choices(id: FormId, { schema, path }: FormField, indent: string): string[] {
  const coded = schema.codes === undefined ? schema.items : schema
  if (coded?.codes === undefined) return []
  const all = codesOf(coded.codes as CodeListName)
  if (all.length > mostCodesListed) return [`${indent}//   codes: cordon form ${id} --codes ${path.slice(1)}`]
  return all.map(({ code, name }) => `${indent}//   ${JSON.stringify(code)}: ${name}`)
}

function example(schema: Schema): string {
  if (schema.type === 'array') return `[${schema.items === undefined ? '' : example(schema.items)}]`
  if (schema.type === 'boolean') return 'false'
  if (schema.type === 'integer') return String(schema.minimum ?? 0)
  return '""'
}
