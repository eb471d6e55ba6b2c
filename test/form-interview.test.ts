// What this holds: a form is written by asking: each field once, what is needed only where it is
// needed, codes by words, refusals in sentences; one can go back, and an interruption loses
// nothing.
import t from 'tap'
import { Interrupted } from '../src/cli/asking.ts'
import { areFew, listCodes, readAnswer, wholeName } from '../src/cli/form-answers.ts'
import { FormInterview, type InterviewPlace } from '../src/cli/form-interview.ts'
import { fieldsOfForm, type FormField } from '../src/cli/form-page.ts'
import { questionsOf, type FormAnswer, type Question } from '../src/cli/form-questions.ts'
import type { Terminal } from '../src/cli/terminal.ts'
import { MemoryStore } from '../src/client/index.ts'
import { fieldLabels, forms, newestForm, validateFields, type FormId, type Schema } from '../src/forms/index.ts'

const asked = { subject: false, reply: false }
const ids = [...new Set(forms.map(({ id }) => id))]

/** Asks all questions of a form, with the answers of a function. */
function answered(id: FormId, answerTo: (question: Question) => FormAnswer) {
  const questions: Question[] = []
  const asking = questionsOf(newestForm(id), asked)
  let step = asking.next()
  while (!step.done) {
    questions.push(step.value)
    if (questions.length > 2_000) throw new Error('the questions have no end')
    step = asking.next(answerTo(step.value))
  }
  return { questions, ...step.value }
}

/** A value that fits a field. */
function fitting({ type, format, enum: codes, minimum, pattern, label }: Schema): string | number | boolean {
  if (type === 'boolean') return true
  if (type === 'integer') return minimum ?? 0
  if (format === 'date') return '2026-11-30'
  if (codes !== undefined) return codes[0] ?? ''
  if (label === 'locode') return 'KEMBA'
  if (label === 'hs') return '050790'
  if (/itude$/i.test(label ?? '')) return '-4.05'
  if (label === 'quantity' || label === 'weight') return '12.5'
  if (pattern === undefined) return ''
  return 'words'
}

const leaves = (fields: readonly FormField[]): string[] =>
  fields.flatMap(({ path, parts, schema }) => {
    if (parts.length > 0) return leaves(parts)
    return [schema.type === 'array' ? `${path}/*` : path]
  })

const patternOf = ({ path }: Question) => path.map((part) => (typeof part === 'number' ? '/*' : `/${part}`)).join('')

// Bites: questionsOf
t.test('each field of each form is asked once, with a label, and the answers fit the form', async (t) => {
  for (const id of ids) {
    const seen = new Set<string>()
    const { questions, fields } = answered(id, (question) => {
      const again = seen.has(patternOf(question))
      seen.add(patternOf(question))
      // Each list gets one element, and each group is filled in.
      if (question.kind === 'gate') return again ? 'none' : { value: true }
      return again ? 'none' : { value: fitting(question.schema) }
    })
    t.same(validateFields(id, newestForm(id).version, fields), [], id)
    const asked = questions.filter(({ kind }) => kind === 'field').map(patternOf)
    t.same([...new Set(asked)].sort(), leaves(fieldsOfForm(id)).sort(), id)
    for (const { label, schema } of questions) {
      t.match(label, /^[A-Z]/, 'a label for a person')
      if (schema.label !== undefined) t.ok(schema.label in fieldLabels, schema.label)
    }
  }
})

t.test('with nothing but what is required, only that is asked; what lacks its pair is not asked', async (t) => {
  const least = answered('seizure', ({ required, schema }) => (required ? { value: fitting(schema) } : 'rest'))
  t.same(
    least.questions.map(({ pointer }) => pointer),
    ['/country', '/date', '/dateTo'],
  )
  const goods = answered('seizure', ({ pointer, kind, required, schema }) => {
    if (pointer === '/items/0?') return { value: true }
    return kind === 'field' && required ? { value: fitting(schema) } : 'none'
  })
  const pointers = goods.questions.map(({ pointer }) => pointer)
  t.ok(pointers.includes('/items/0/quantity'))
  t.notOk(pointers.includes('/items/0/unit'), 'a unit without a quantity is not asked')
  t.notOk(pointers.includes('/items/0/estimated'))
  t.match(goods.fields, { items: [{ category: String }] })
  const counted = answered('seizure', ({ pointer, kind, required, schema }) => {
    if (pointer === '/items/0?' || pointer === '/place?') return { value: true }
    if (pointer === '/items/0/quantity') return { value: '3' }
    if (pointer === '/place/latitude') return { value: '-4.05' }
    return kind === 'field' && required ? { value: fitting(schema) } : 'none'
  })
  const needed = counted.questions.filter(({ required }) => required).map(({ pointer }) => pointer)
  t.same(needed, ['/country', '/date', '/place/longitude', '/items/0/category', '/items/0/unit'])
})

function questionAt(id: FormId, pointer: string, given: Readonly<Record<string, FormAnswer>> = {}): Question {
  const asking = questionsOf(newestForm(id), { subject: true, reply: true })
  for (let step = asking.next(); !step.done;) {
    if (step.value.pointer === pointer) return step.value
    step = asking.next(given[step.value.pointer] ?? (step.value.kind === 'gate' ? { value: true } : 'none'))
  }
  throw new Error(`never asked: ${pointer}`)
}

// Bites: readAnswer
t.test('each refusal is a sentence that says what to write, without a pattern or a code of ours', async (t) => {
  const wrong: [FormId, string, string, RegExp][] = [
    ['seizure', '/date', '30.11.2026', /write it as YYYY-MM-DD/],
    ['seizure', '/place/locode', 'Mombasa', /./],
    ['seizure', '/place/locode', 'MOMBA SA', /./],
    ['seizure', '/place/locode', 'KE1', /such as KEMBA/],
    ['seizure', '/place/latitude', '4,05', /such as -4\.05/],
    ['seizure', '/exactPosition/longitude', '200', /from -180 to 180/],
    ['seizure', '/items/0/hs', '05.07', /4 or 6 digits/],
    ['seizure', '/items/0/quantity', '2,5', /Write a number/],
    ['seizure', '/items/0/quantity', 'two', /Write a number/],
    ['seizure', '/persons', 'three', /a whole number/],
    ['seizure', '/persons', '-1', /at least 0/],
    ['seizure', '/persons', '10001', /at most 10000/],
    ['seizure', '/items/0/estimated', 'perhaps', /yes or no/],
    ['seizure', '/legalStatus', 'unheard of', /No code has/],
    ['seizure', '/reference', 'x'.repeat(201), /at most 200 characters/],
    ['seizure', '/reference', 'a\u0007b', /control characters/],
    ['seizure', 'subject', 'x'.repeat(201), /one line/],
    ['seizure', 'subject', 'two\nlines', /one line/],
  ]
  for (const [id, pointer, typed, says] of wrong) {
    const question = questionAt(id, pointer, { '/items/0/quantity': { value: '2' } })
    const read = readAnswer(newestForm(id), question, typed, [])
    const refusal = 'refusal' in read ? read.refusal : ''
    t.match(refusal, says, `${pointer} ${typed.slice(0, 20)}`)
    t.match(refusal, /\.$/)
    t.notMatch(refusal, /\^|\[|\\|undefined|>=|<=/, refusal)
  }
  const late = questionAt('seizure', '/dateTo', { '/country': { value: 'KE' }, '/date': { value: '2026-11-30' } })
  t.match(readAnswer(newestForm('seizure'), late, '2026-11-29', []), { refusal: /before the first/ })
  const twice = questionAt('seizure', '/origin/1', { '/origin/0': { value: 'KE' } })
  t.match(readAnswer(newestForm('seizure'), twice, 'KE', []), { refusal: /twice/ })
})

// Bites: readCode, choicesFor
t.test('codes are found by words, shown with their parents, and units that fit the goods come first', async (t) => {
  const form = newestForm('seizure')
  const category = questionAt('seizure', '/items/0/category')
  const found = readAnswer(form, category, 'pangolin', [])
  const choices = 'choices' in found ? found.choices : []
  t.match(choices[1], { key: '2', code: 'wildlife/pangolin/live', name: 'Wildlife › Pangolins (CITES I) › Live' })
  t.same(readAnswer(form, category, '2', choices), { answer: { value: 'wildlife/pangolin/live' } })
  t.same(readAnswer(form, category, 'SCALES pangolin', []), { answer: { value: 'wildlife/pangolin/scales' } })
  t.same(readAnswer(form, category, 'wildlife/pangolin/live', []), { answer: { value: 'wildlife/pangolin/live' } })
  t.match(readAnswer(form, category, 'drugs', []), { choices: Array }, 'a whole branch is not taken unasked')
  t.match(readAnswer(form, category, 'live', []), { choices: Array, said: /type words/ })
  t.equal(wholeName('commodities', 'drugs'), 'Drugs')
  const country = questionAt('seizure', '/country')
  t.same(readAnswer(form, country, 'kenya', []), { answer: { value: 'KE' } })
  t.same(readAnswer(form, country, 'ke', []), { answer: { value: 'KE' } })
  const mode = questionAt('seizure', '/mode')
  t.ok(areFew(mode))
  const modes = listCodes(mode)?.choices ?? []
  t.match(
    modes.find(({ name }) => name === 'Maritime'),
    { key: '1' },
    'a code that is a number is what is typed',
  )
  t.same(readAnswer(form, mode, '1', modes), { answer: { value: '1' } })
  const unit = (commodity: string) =>
    listCodes(
      questionAt('seizure', '/items/0/unit', {
        '/items/0/category': { value: commodity },
        '/items/0/quantity': { value: '1' },
      }),
    )?.choices[0]?.code
  t.equal(unit('drugs/opioids/heroin'), 'KGM')
  t.equal(unit('wildlife/pangolin/live'), 'H87')
  t.equal(unit('alcohol/wine'), 'LTR')
  const any = questionAt('seizure', '/items/0/unit', { '/items/0/quantity': { value: '1' } })
  t.same(readAnswer(form, any, 'hectare', []), { answer: { value: 'HAR' } }, 'another unit may be given all the same')
})

/** A terminal on which a person types these lines, one after each question. */
function typing(lines: readonly (string | Error)[]) {
  const left = [...lines]
  const shown: string[] = []
  const terminal = {
    note: (line: string) => void shown.push(line),
    ask(question: string) {
      shown.push(question)
      const next = left.shift()
      if (next === undefined) throw new Error(`nothing is typed at ${question}`)
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next)
    },
  }
  return { terminal: terminal as unknown as Terminal, shown, left }
}

const place: InterviewPlace = {
  operation: 'operation-1',
  reference: 'HORIZON',
  timeZone: 'UTC',
  offered: { '/date': '2026-11-30', '/country': 'KE' },
  commandLine: 'cordon post --form seizure',
  refuseReply: (word) => (word === '49' ? undefined : 'This device has no such message.'),
}

async function interview(
  store: MemoryStore,
  form: FormId,
  lines: readonly (string | Error)[],
  ask = asked,
  beside: Partial<InterviewPlace> = {},
) {
  const { terminal, shown, left } = typing(lines)
  const made = new FormInterview(terminal, store, { ...place, ...beside }, form)
  const written = await made
    .write(ask, async () => (await terminal.ask('Send it? ')).trim())
    .catch((error: unknown) => {
      if (error instanceof Interrupted) return 'interrupted' as const
      throw error
    })
  return { written, shown, left, forget: () => made.forget() }
}

// Bites: FormInterview
t.test('one can go back, leave out, take what is offered, and end with what is required', async (t) => {
  const store = new MemoryStore()
  const { written, shown, left } = await interview(store, 'seizure', [
    'tanzania',
    '',
    '<',
    '<',
    '',
    '',
    '-',
    '',
    '.',
    '<',
    'no',
    '?',
    '.',
    'yes',
  ])
  t.same(left, [])
  t.same(written, { fields: { country: 'TZ', date: '2026-11-30' } })
  t.ok(
    shown.some((line) => line.includes('[Tanzania')),
    'what was answered before is offered',
  )
  t.ok(shown.includes('Reporting country (required, in the clear) [Kenya (KE)]: '))
})

t.test('a required question is not left out, and a reply names a message that can be answered', async (t) => {
  const { written, shown } = await interview(
    new MemoryStore(),
    'feedback',
    ['', '.', '50', '49', '', '-', 'seized', '', '.', 'yes'],
    { subject: false, reply: true },
  )
  t.match(written, { fields: { outcome: 'seized', date: '2026-11-30' }, replyTo: '49' })
  t.equal(shown.filter((line) => line === 'This is required: it cannot be left out.').length, 3)
  t.ok(shown.includes('This device has no such message.'))
})

t.test('an interruption keeps the answers, and the next interview goes on with them or begins anew', async (t) => {
  const store = new MemoryStore()
  const first = await interview(store, 'seizure', ['', '', new Interrupted()])
  t.equal(first.written, 'interrupted')
  t.match(first.shown.at(-1), /Kept, sealed/)
  t.equal((await store.list('draft/')).length, 1)
  const second = await interview(store, 'seizure', ['perhaps', 'yes', '.', 'no'])
  t.equal(second.written, undefined, 'it is not sent')
  t.match(second.shown[0], /begun a seizure for HORIZON/)
  t.equal((await store.list('draft/')).length, 1)
  const third = await interview(store, 'seizure', ['yes', 'yes'])
  t.same(third.written, { fields: { country: 'KE', date: '2026-11-30' } })
  await third.forget()
  t.same(await store.list('draft/'), [])
  await interview(store, 'seizure', ['TZ', new Interrupted()])
  const anew = await interview(store, 'seizure', ['no', '', '', '.', 'yes'])
  t.match(anew.written, { fields: { country: 'KE' } })
  const other = await interview(store, 'warning', [new Interrupted()])
  t.notOk(other.shown.some((line) => line.includes('begun')))
})

t.test('a correction that was begun goes on as that correction, and never as a new message', async (t) => {
  const store = new MemoryStore()
  const correction = {
    refersTo: 'correction-message-30',
    commandLine: 'cordon post --form seizure --reply-to 30 --as correction',
  }
  const begun = await interview(store, 'seizure', ['TZ', new Interrupted()], asked, correction)
  t.match(begun.shown.at(-1), /To go on with it: cordon post --form seizure --reply-to 30 --as correction$/)
  const anew = await interview(store, 'seizure', ['', '', '.', 'yes'])
  t.match(anew.written, { fields: { country: 'KE' } }, 'another seizure begins with nothing')
  const goneOn = await interview(store, 'seizure', ['yes', '', '.', 'yes'], asked, correction)
  t.match(goneOn.written, { fields: { country: 'TZ' } })
  const other = await interview(store, 'seizure', ['yes', 'yes'], asked, { ...correction, commandLine: 'cordon post' })
  t.ok(other.shown.some((line) => line === `It was begun with other options: ${correction.commandLine}`))
})

t.test('lines of a text stay together', async (t) => {
  const { written } = await interview(new MemoryStore(), 'warning', ['', 'first\\', 'second\\', 'third', '.', 'yes'])
  t.match(written, { fields: { suspicion: 'first\nsecond\nthird' } })
})
