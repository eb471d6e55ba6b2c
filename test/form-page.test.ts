// What this holds: the template of each form names every field, what the service reads of it, and
// its codes; and JSON that a person writes is read with comments, and without losing a value.
import t from 'tap'
import { fieldsOfForm, template } from '../src/cli/form-page.ts'
import { readJson } from '../src/cli/json-text.ts'
import { extractOf, forms, newestForm, validateFields, type Schema } from '../src/forms/index.ts'
import { ended, start } from './support/command.ts'

/** The template with every field open. */
const opened = (lines: readonly string[]) => lines.map((line) => line.replace(/^(\s*)\/\/ (?=["}\]])/, '$1')).join('\n')

/** The names of a schema as a tree, without those that an import fills. */
function names(schema: Schema): unknown {
  const inner = schema.type === 'array' ? (schema.items ?? schema) : schema
  if (inner.type !== 'object') return true
  const parts = Object.entries(inner.properties ?? {}).filter(([name]) => name !== 'imported')
  return Object.fromEntries(parts.map(([name, part]) => [name, names(part)]))
}

function namesIn(value: unknown): unknown {
  const [first] = Array.isArray(value) ? (value as unknown[]) : [value]
  if (typeof first !== 'object' || first === null) return true
  return Object.fromEntries(Object.entries(first).map(([name, part]) => [name, namesIn(part)]))
}

// Bites: template
t.test('a template holds each field of its form, and leaves open what is required', async (t) => {
  for (const id of new Set(forms.map((form) => form.id))) {
    const { fields } = newestForm(id)
    const lines = template(id)
    const asPrinted = readJson(lines.join('\n'), id, 'nothing') as object
    t.same(Object.keys(asPrinted).sort(), [...(fields.required ?? [])].sort(), `${id}: the required fields are open`)
    t.same(namesIn(readJson(opened(lines), id, 'nothing')), names(fields), `${id}: all fields, with every line open`)
    t.same(
      lines.filter((line) => line.length > 120),
      [],
    )
  }
})

// Bites: isClear
t.test('a field that is said to be in the clear is in the extract, and no other', async (t) => {
  const scales = { category: 'wildlife/pangolin/scales', quantity: '2', unit: 'KGM', description: 'in sacks' }
  const values = { country: 'KE', date: '2026-11-20', placeName: 'Kilindini', items: [scales], coverLoad: 'timber' }
  t.same(validateFields('seizure', 1, values), [])
  const extract = extractOf('seizure', 1, values) as Record<string, unknown>
  const fields = fieldsOfForm('seizure')
  for (const name of ['country', 'date', 'placeName', 'coverLoad'])
    t.equal(fields.find((field) => field.name === name)?.clear, name in extract, name)
  const [good] = extract['items'] as Record<string, unknown>[]
  const parts = fields.find(({ name }) => name === 'items')?.parts ?? []
  for (const name of Object.keys(scales))
    t.equal(parts.find((part) => part.name === name)?.clear, name in (good ?? {}), name)
})

t.test('JSON of a person: comments and a last comma stand in it; a fault has its place', async (t) => {
  const read = (text: string) => readJson(text, 'x.json', 'nothing was sent')
  t.same(read('// what\n{"a": [1, 2,], /* why */ "b": {"a": "//"},}'), { a: [1, 2], b: { a: '//' } })
  const wrong: [string, RegExp][] = [
    ['{"a": 1,\n "a": 2}', /^x\.json is not JSON \(line 2, column 2: "a" stands twice in one object\)/],
    ['{"b": [{"a": 1}, {"a": 1, "\\u0061": 2}]}', /line 1, column 27: "a" stands twice/],
    ['{"a": 1', /line 1, column 8: a } is missing/],
    ['{"a" 1}', /column 6: a colon is missing/],
    ['{"a": 1 "b": 2}', /column 9: a comma is missing/],
    ['{a: 1}', /column 2: /],
    ['{"a": 5kg}', /column 8: /],
    ['{"a": "x}', /a text has no closing quotation mark/],
    ['', /line 1, column 1: a value is missing/],
    ['{} {}', /column 4: /],
  ]
  for (const [text, says] of wrong) t.throws(() => read(text), { message: says }, text)
  t.same(read('{"__proto__": {"a": 1}, "b": 1}'), JSON.parse('{"__proto__": {"a": 1}, "b": 1}'))
})

t.test('the command shows forms, fields, codes and templates without a store', async (t) => {
  const run = (...args: string[]) => ended(start(t, ['form', ...args]))
  const [listed, shown, printed, codes, none, wrong, lonely] = await Promise.all([
    run(),
    run('seizure'),
    run('feedback', '--template'),
    run('seizure', '--codes', 'items/category', 'PANGOLIN', '--json'),
    run('seizure', '--codes', 'category', 'unicorn'),
    run('seizure', '--codes', 'persons'),
    run('seizure', 'pangolin'),
  ])
  t.match(listed.stdout, /^seizure +Seizure$/m)
  t.match(shown.stdout, /^items\/\*\/category +Commodity +one of \d+ codes +required, in the clear$/m)
  t.equal(printed.stdout, `${template('feedback').join('\n')}\n`)
  const scales = { code: 'wildlife/pangolin/scales', name: 'Pangolins (CITES I) › Scales' }
  t.ok((codes.json['codes'] as { code: string }[]).some(({ code }) => code === scales.code))
  t.equal(none.code, 2, 'a field has its whole path')
  t.match(none.stderr, /no coded field "category"; it has country, /)
  t.match(wrong.stderr, /no coded field "persons"/)
  t.equal(lonely.code, 2)
})
