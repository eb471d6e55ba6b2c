// What this holds: forms accept what they declare and nothing else; extracts carry codes, never
// words; both sides' figures have one shape.
import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import t from 'tap'
import { isPermission } from '../src/access.ts'
import { figuresOf, type OpenedMessage } from '../src/client/figures.ts'
import {
  codeLists,
  commodities,
  compareExtract,
  decodeExtract,
  encodeExtract,
  extractOf,
  extractSchema,
  fieldLabels,
  findForm,
  forms,
  inLanguage,
  isDay,
  isWithin,
  mayRefer,
  newestForm,
  permissionsFor,
  relations,
  rollUp,
  sameFigures,
  type Extract,
  type FaultReason,
  type Schema,
  validateExtract,
  validateFields,
  validateSubject,
} from '../src/forms/index.ts'

const fullSeizure = {
  country: 'TH',
  date: '2026-03-01',
  dateTo: '2026-03-02',
  place: { locode: 'THBKK', latitude: '13.70', longitude: '100.57' },
  placeType: 'seaport',
  placeName: 'Khlong Toei, pier 20',
  exactPosition: { latitude: '13.70442', longitude: '100.5712' },
  direction: 'import',
  mode: '1',
  origin: ['NG'],
  departure: ['NG', 'SG'],
  transit: ['SG'],
  destination: ['TH', 'LA'],
  detectionMethod: 'scan',
  concealment: 'cover-load',
  items: [
    {
      category: 'wildlife/pangolin/scales',
      hs: '050790',
      quantity: '1200.5',
      unit: 'KGM',
      estimated: false,
      packaging: '60 bags',
      brand: 'none',
    },
    {
      category: 'wildlife/elephant/tusks',
      quantity: '14',
      unit: 'H87',
      weight: '88.2',
      description: 'cut into blocks',
    },
  ],
  legalStatus: 'seized',
  persons: 2,
  indicators: ['unusual-route', 'weight-mismatch'],
  coverLoad: 'Cashew nuts',
  conveyance: { kind: 'container', name: 'MV Example', containers: ['CSQU3054383'] },
  documents: [{ kind: 'bill-of-lading', number: 'X-1', issuer: 'A line' }],
  people: [{ role: 'consignee', name: 'N. N.', company: 'Trading Ltd', nationality: 'TH', document: 'P1' }],
  labResult: 'Manis tricuspis',
  reference: 'TH/2026/17',
  narrative: 'Opened after the scan.\nTwo persons questioned.',
  outcome: 'Under investigation',
  imported: { mapping: 'm', key: '1', source: 'A'.repeat(43) },
  language: 'en',
}

const faultsOf = (fields: unknown, form = 'seizure') =>
  validateFields(form, 1, fields).map(({ reason, pointer }) => `${reason} ${pointer}`)

t.test('a seizure with everything filled in is accepted, and so is the least', async (t) => {
  t.same(validateFields('seizure', 1, fullSeizure), [])
  t.same(validateFields('seizure', 1, { country: 'KE', date: '2026-01-01' }), [])
  t.same(validateFields('warning', 1, { country: 'KE', suspicion: 'Ivory in tea' }), [])
  t.same(validateFields('feedback', 1, { outcome: 'opened', date: '2026-01-01' }), [])
  t.same(validateFields('text', 1, { text: 'Good morning' }), [])
})

t.test('what a form does not declare is refused, each fault with its place, reason and advice', async (t) => {
  const refused: [string, object, FaultReason, string][] = [
    ['an unknown field', { colour: 'red' }, 'unknown-field', '/colour'],
    ['a field of another form', { suspicion: 'x' }, 'unknown-field', '/suspicion'],
    ['an unknown field of goods', { items: [{ category: 'drugs', colour: 'x' }] }, 'unknown-field', '/items/0/colour'],
    ['a country that is none', { country: 'ZZ' }, 'not-in-list', '/country'],
    ['a country in small letters', { country: 'th' }, 'not-in-list', '/country'],
    ['a country that is a number', { country: 7 }, 'wrong-type', '/country'],
    ['a country that is nothing', { country: null }, 'wrong-type', '/country'],
    ['a day that is none', { date: '2026-02-30' }, 'not-a-date', '/date'],
    ['a day with a time', { date: '2026-02-03T00:00:00Z' }, 'not-a-date', '/date'],
    ['days in the wrong order', { dateTo: '2026-02-01' }, 'contradictory', '/dateTo'],
    [
      'a quantity that is a number',
      { items: [{ category: 'drugs', quantity: 5, unit: 'KGM' }] },
      'wrong-type',
      '/items/0/quantity',
    ],
    [
      'a quantity below zero',
      { items: [{ category: 'drugs', quantity: '-5', unit: 'KGM' }] },
      'malformed',
      '/items/0/quantity',
    ],
    [
      'a quantity with a formula',
      { items: [{ category: 'drugs', quantity: '=1+1', unit: 'KGM' }] },
      'malformed',
      '/items/0/quantity',
    ],
    ['a quantity without a unit', { items: [{ category: 'drugs', quantity: '5' }] }, 'missing', '/items/0/unit'],
    ['a unit without a quantity', { items: [{ category: 'drugs', unit: 'KGM' }] }, 'missing', '/items/0/quantity'],
    ['an estimate of nothing', { items: [{ category: 'drugs', estimated: true }] }, 'missing', '/items/0/quantity'],
    [
      'a unit that is none',
      { items: [{ category: 'drugs', quantity: '5', unit: 'kg' }] },
      'not-in-list',
      '/items/0/unit',
    ],
    ['goods without a category', { items: [{ quantity: '5', unit: 'KGM' }] }, 'missing', '/items/0/category'],
    ['a category outside the tree', { items: [{ category: 'drugs/tea' }] }, 'not-in-list', '/items/0/category'],
    ['an HS code of five digits', { items: [{ category: 'drugs', hs: '29399' }] }, 'malformed', '/items/0/hs'],
    ['goods that are no list', { items: { category: 'drugs' } }, 'wrong-type', '/items'],
    ['an empty list of goods', { items: [] }, 'too-few', '/items'],
    ['201 goods', { items: Array.from({ length: 201 }, () => ({ category: 'drugs' })) }, 'too-many', '/items'],
    ['a latitude without a longitude', { place: { latitude: '1.00' } }, 'missing', '/place/longitude'],
    [
      'coordinates finer than 0.01°',
      { place: { latitude: '1.001', longitude: '1.00' } },
      'malformed',
      '/place/latitude',
    ],
    ['a latitude beyond the pole', { place: { latitude: '90.01', longitude: '1.00' } }, 'malformed', '/place/latitude'],
    ['a longitude beyond 180°', { place: { latitude: '1.00', longitude: '180.01' } }, 'malformed', '/place/longitude'],
    ['a name as the coded place', { place: { locode: 'Bangkok' } }, 'malformed', '/place/locode'],
    ['an empty place', { place: {} }, 'too-few', '/place'],
    ['a country of transit twice', { transit: ['SG', 'SG'] }, 'repeated', '/transit'],
    ['half a person', { persons: 1.5 }, 'wrong-type', '/persons'],
    ['fewer than no persons', { persons: -1 }, 'out-of-range', '/persons'],
    ['an empty text', { narrative: '' }, 'too-short', '/narrative'],
    ['a text without end', { narrative: 'x'.repeat(20_001) }, 'too-long', '/narrative'],
    ['an escape sequence in a text', { narrative: 'red \u001b[31m' }, 'malformed', '/narrative'],
    ['a NUL in a text', { narrative: 'a\u0000b' }, 'malformed', '/narrative'],
    ['half a character', { narrative: 'a\ud800' }, 'malformed', '/narrative'],
  ]
  for (const [what, change, reason, pointer] of refused) {
    const faults = validateFields('seizure', 1, { country: 'TH', date: '2026-02-03', ...change })
    t.ok(
      faults.some((fault) => fault.reason === reason && fault.pointer === pointer),
      `${what}: ${JSON.stringify(faults.slice(0, 3))}`,
    )
    for (const { advice } of faults) t.match(advice, /^\p{Lu}.{15,}\.$/su)
  }
})

t.test('fields that are no fields, and forms that are no forms', async (t) => {
  for (const value of [undefined, null, 1, 'x', [], true]) t.not(faultsOf(value).length, 0)
  t.same(faultsOf({}), ['missing /country', 'missing /date'])
  t.same(faultsOf(JSON.parse('{"country":"TH","date":"2026-02-03","__proto__":{"x":1}}')), ['unknown-field /__proto__'])
  t.same(faultsOf({ country: 'TH', date: '2026-02-03', 'a/~b': 1 }), ['unknown-field /a~1~0b'])
  for (const id of ['nil', '', '__proto__', 'seizure-short', 'Seizure']) {
    t.same(faultsOf({}, id), ['no-such-form '], id)
    t.equal(findForm(id, 1), undefined)
    t.throws(() => extractOf(id, 1, {}), RangeError)
  }
  t.same(validateFields('seizure', 2, fullSeizure)[0]?.reason, 'no-such-form')
  t.same(validateFields('seizure', 1.5, fullSeizure)[0]?.reason, 'no-such-form')
  t.ok(validateFields('seizure', 1, { x: 1, items: Array.from({ length: 5000 }, () => ({ y: 1 })) }).length <= 50)
})

t.test('a subject is one line of text, where the form wants one', async (t) => {
  t.same(validateSubject('warning', 1, 'Container for Mombasa: رقم 7'), [])
  t.same(validateSubject('text', 1, undefined), [])
  t.equal(validateSubject('warning', 1, undefined)[0]?.reason, 'missing')
  t.equal(validateSubject('nil', 1, 'x')[0]?.reason, 'no-such-form')
  for (const subject of ['', '   ', 'a\nb', 'a\tb', 'a\u001bb', 'a\u0000', 'a\u2028b', 'a\ud800', 'x'.repeat(201)])
    t.equal(validateSubject('warning', 1, subject)[0]?.reason, 'malformed')
  for (const subject of [null, 1, {}, ['x']]) t.equal(validateSubject('text', 1, subject)[0]?.reason, 'wrong-type')
})

t.test('what a form accepts depends on nothing that came before', async (t) => {
  const bad = { country: 'ZZ' }
  const first = faultsOf(bad)
  t.same(faultsOf(fullSeizure), [])
  t.same(faultsOf(bad), first)
})

t.test('INV-12: no extracted path can hold free text longer than the name of a place', async (t) => {
  const longest = 64
  const lengths = (list: Schema, at: string): void => {
    if (list.type === 'object') {
      t.equal(list.additionalProperties, false, `${at} is closed`)
      for (const [name, property] of Object.entries(list.properties ?? {})) lengths(property, `${at}/${name}`)
    } else if (list.type === 'array') {
      t.ok((list.maxItems ?? Infinity) <= 200, `${at} is bounded`)
      if (list.items === undefined) t.fail(`${at} takes anything`)
      else lengths(list.items, `${at}/*`)
    } else if (list.type === 'string') {
      if (list.enum !== undefined) {
        t.ok(
          list.enum.every((code) => code.length <= longest),
          `${at} is coded`,
        )
        return
      }
      t.ok((list.maxLength ?? Infinity) <= longest, `${at} is short`)
      t.ok(
        list.format === 'date' || (list.pattern !== undefined && !matchesWords(list.pattern)),
        `${at} holds no words`,
      )
    } else t.ok(['integer', 'boolean'].includes(list.type), `${at} is a number or a flag`)
  }
  for (const form of forms) {
    const schema = extractSchema(form)
    if (schema !== undefined) lengths(schema, form.id)
  }
})

function matchesWords(pattern: string): boolean {
  return ['a name', 'Müller', 'name', 'John', 'ACME'].some((words) => new RegExp(pattern, 'u').test(words))
}

t.test('an extract holds exactly what the form declares', async (t) => {
  const extract = extractOf('seizure', 1, fullSeizure) as Extract
  t.same(validateExtract('seizure', 1, extract), [])
  t.same(extract['items'], [
    { category: 'wildlife/pangolin/scales', hs: '050790', quantity: '1200.5', unit: 'KGM', estimated: false },
    { category: 'wildlife/elephant/tusks', quantity: '14', unit: 'H87', weight: '88.2' },
  ])
  const text = encodeExtract(extract)
  for (const sealed of [
    'Khlong',
    '13.70442',
    '60 bags',
    'brand',
    'blocks',
    'Cashew',
    'MV Example',
    'CSQU',
    'X-1',
    'N. N.',
    'Trading',
    'Manis',
    'TH/2026',
    'questioned',
    'Under',
    'AAAA',
    'language',
  ])
    t.notOk(text.includes(sealed), `${sealed} stays sealed`)
  t.equal(extractOf('text', 1, { text: 'x' }), undefined)
  t.same(extractOf('feedback', 1, { outcome: 'opened', date: '2026-01-01', note: 'n' }), {
    outcome: 'opened',
    date: '2026-01-01',
  })
})

t.test('the server refuses an extract that its form does not declare', async (t) => {
  const extract = extractOf('seizure', 1, fullSeizure) as Extract
  const sealed = [
    'placeName',
    'exactPosition',
    'coverLoad',
    'conveyance',
    'documents',
    'people',
    'labResult',
    'reference',
    'narrative',
    'outcome',
    'imported',
    'language',
  ] as const
  for (const field of sealed)
    t.equal(
      validateExtract('seizure', 1, { ...extract, [field]: fullSeizure[field] })[0]?.reason,
      'unknown-field',
      field,
    )
  for (const field of ['description', 'packaging', 'brand'])
    t.equal(
      validateExtract('seizure', 1, { ...extract, items: [{ category: 'drugs', [field]: 'x' }] })[0]?.reason,
      'unknown-field',
      field,
    )
  t.equal(validateExtract('seizure', 1, { country: 'TH' })[0]?.reason, 'missing')
  t.equal(validateExtract('seizure', 1, { ...extract, dateTo: '2020-01-01' })[0]?.reason, 'contradictory')
  t.equal(
    validateExtract('seizure', 1, { ...extract, items: [{ category: 'drugs', quantity: '1' }] })[0]?.reason,
    'missing',
  )
  t.equal(validateExtract('text', 1, {})[0]?.reason, 'not-extracted')
  t.equal(validateExtract('nil', 1, {})[0]?.reason, 'no-such-form')
  for (const value of [null, [], 'x', 1, true]) t.equal(validateExtract('seizure', 1, value).length, 1)
  t.same(validateExtract('seizure', 1, undefined), [], 'an operation may switch extraction off')
})

t.test('a reader marks every difference between an extract and the fields inside', async (t) => {
  const extract = extractOf('seizure', 1, fullSeizure) as Extract
  t.same(compareExtract('seizure', 1, fullSeizure, extract), [])
  t.same(compareExtract('text', 1, { text: 'x' }, undefined), [])
  const items = extract['items'] as Extract[]
  const { country: _, ...without } = extract
  const changes: [object | undefined, string[]][] = [
    [{ ...extract, country: 'LA' }, ['/country']],
    [{ ...extract, persons: 3 }, ['/persons']],
    [{ ...extract, items: [items[0], { ...items[1], quantity: '15' }] }, ['/items/1/quantity']],
    [{ ...extract, items: [items[0]] }, ['/items/1']],
    [
      { ...extract, items: items.toReversed() },
      [
        '/items/0/category',
        '/items/0/hs',
        '/items/0/quantity',
        '/items/0/unit',
        '/items/0/estimated',
        '/items/0/weight',
        '/items/1/category',
        '/items/1/quantity',
        '/items/1/unit',
        '/items/1/weight',
        '/items/1/hs',
        '/items/1/estimated',
      ],
    ],
    [{ ...extract, items: {} }, ['/items']],
    [without, ['/country']],
    [{ ...extract, narrative: 'x' }, ['/narrative']],
    [{}, Object.keys(extract).map((key) => `/${key}`)],
    [undefined, ['']],
  ]
  for (const [changed, pointers] of changes)
    t.same(compareExtract('seizure', 1, fullSeizure, changed as Extract), pointers)
  t.same(compareExtract('text', 1, { text: 'x' }, {}), [''], 'an extract where there should be none')
})

t.test('an extract is written in one way only', async (t) => {
  const extract = extractOf('seizure', 1, fullSeizure) as Extract
  const text = encodeExtract(extract)
  t.same(decodeExtract(text), extract)
  const reordered = Object.fromEntries(Object.entries(extract).toReversed())
  t.equal(encodeExtract(reordered), text)
  const refused = [
    '',
    'null',
    '[]',
    '1',
    ` ${text}`,
    `${text}\n`,
    '{"b":1,"a":2}',
    '{"a":1,"a":1}',
    '{"a": 1}',
    '{"a":1.0}',
    '{"a":1.5}',
    '{"a":1e2}',
    '{"a":-0}',
    '{"a":9007199254740993}',
    '{"a":"\\u0061"}',
    '{"a":1',
    '{a:1}',
  ]
  for (const bad of refused) t.equal(decodeExtract(bad), undefined, bad)
  for (const bad of [{ a: 1.5 }, { a: Number.NaN }, { a: undefined }, { a: 1n }, { a: () => 1 }])
    t.throws(() => encodeExtract(bad as never), TypeError)
})

t.test('any extract survives its encoding', async () => {
  const values = fc.letrec((tie) => ({
    json: fc.oneof(
      { depthSize: 'small' },
      fc.string({ unit: 'binary' }),
      fc.maxSafeInteger().filter((n) => !Object.is(n, -0)),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('json'), { maxLength: 4 }),
      fc.dictionary(fc.string(), tie('json'), { maxKeys: 4, noNullPrototype: true }),
    ),
  }))
  const extracts = fc.dictionary(fc.string(), values.json, { maxKeys: 5, noNullPrototype: true })
  fc.assert(
    fc.property(extracts, (extract) => {
      const text = encodeExtract(extract as Extract)
      const back = decodeExtract(text)
      return back !== undefined && encodeExtract(back) === text
    }),
  )
})

t.test('every form is whole: its labels, code lists, relations and permissions exist', async (t) => {
  const visit = (schema: Schema, at: string): void => {
    t.ok(schema.label !== undefined && Object.hasOwn(fieldLabels, schema.label), `${at} has a label`)
    if (schema.codes !== undefined) t.ok(Object.hasOwn(codeLists, schema.codes), `${at} names a code list`)
    if (schema.type === 'string' && schema.enum === undefined) t.type(schema.maxLength, 'number', `${at} is bounded`)
    if (schema.items !== undefined) visit(schema.items, `${at}/*`)
    for (const [name, property] of Object.entries(schema.properties ?? {})) visit(property, `${at}/${name}`)
  }
  for (const form of forms) {
    visit(form.fields, form.id)
    t.same(JSON.parse(JSON.stringify(form)), form, `${form.id} is data`)
    for (const as of relations)
      for (const permission of permissionsFor(form.id, as, true, true)) t.ok(isPermission(permission), permission)
  }
})

t.test('the schemas are JSON Schema 2020-12, their extracts too', async (t) => {
  const ajv = new Ajv2020({ strict: true })
  ajv.addVocabulary(['label', 'codes'])
  ajv.addFormat('date', true)
  for (const form of forms) {
    t.ok(ajv.validateSchema(form.fields), form.id)
    const schema = extractSchema(form)
    if (schema !== undefined) t.ok(ajv.validateSchema(schema), `extract of ${form.id}`)
  }
  t.notOk(ajv.validateSchema({ type: 'objekt' }), 'the check bites')
})

t.test('what a message may refer to', async (t) => {
  const [text, warning, feedback, seizure] = ['text', 'warning', 'feedback', 'seizure'].map((id) => findForm(id, 1))
  if (!text || !warning || !feedback || !seizure) throw new Error('a form is missing')
  t.ok(mayRefer(feedback, 'feedback', 'warning'))
  t.ok(mayRefer(text, 'withdrawal', 'seizure'))
  t.ok(mayRefer(seizure, 'correction', 'seizure'))
  t.ok(mayRefer(seizure))
  t.notOk(mayRefer(feedback), 'feedback does not stand alone')
  t.notOk(mayRefer(feedback, 'reply', 'warning'))
  t.notOk(mayRefer(feedback, 'feedback', 'seizure'))
  t.notOk(mayRefer(feedback, 'feedback'))
  t.notOk(mayRefer(text, 'correction', 'seizure'), 'a correction has the form of what it corrects')
  t.notOk(mayRefer(seizure, 'withdrawal', 'seizure'), 'a withdrawal has nothing to count')
  t.notOk(mayRefer(text, 'feedback', 'warning'), 'words are no feedback')
})

t.test('what a post needs', async (t) => {
  t.same(permissionsFor('text', undefined, false, false), ['message.post'])
  t.same(permissionsFor('text', 'reply', false, false), ['message.post'])
  t.same(permissionsFor('warning', undefined, true, false), ['message.post', 'warning.issue', 'thread.open'])
  t.same(permissionsFor('feedback', 'feedback', false, false), ['message.post', 'warning.answer'])
  t.same(permissionsFor('feedback', 'correction', false, false), ['message.post', 'warning.answer', 'message.correct'])
  t.same(permissionsFor('seizure', 'correction', false, false), ['message.post', 'seizure.report', 'message.correct'])
  t.same(permissionsFor('text', 'withdrawal', false, false), ['message.post', 'message.withdraw'])
  t.same(permissionsFor('seizure', undefined, true, true), [
    'message.post',
    'seizure.report',
    'thread.open',
    'records.import',
  ])
})

t.test('the code lists are whole', async (t) => {
  t.equal(codeLists.countries.codes.size, 252, 'ISO 3166-1, Kosovo, international waters, unknown')
  for (const code of codeLists.countries.codes.keys()) t.match(code, /^[A-Z]{2}$/)
  t.equal(codeLists.modes.codes.size, 10)
  for (const [name, list] of Object.entries(codeLists))
    for (const [code, label] of list.codes) t.ok(code.length <= 64 && label.en.length > 1, `${name} ${code}`)
  for (const { code, level } of commodities.values()) {
    t.equal(level, code.split('/').length)
    t.ok(level <= 3, `${code} is not too deep`)
    t.match(code, /^[a-z-]+(?:\/[a-z-]+){0,2}$/)
    const parent = code.split('/').slice(0, -1).join('/')
    if (parent !== '') t.ok(commodities.has(parent), `${code} has a parent`)
  }
  for (const group of [
    'drugs',
    'precursors',
    'medicines',
    'medical-devices',
    'tobacco',
    'alcohol',
    'excise',
    'counterfeits',
    'wildlife',
    'timber',
    'environment',
    'weapons',
    'strategic',
    'cultural',
    'currency',
    'food',
    'other',
  ])
    t.equal(commodities.get(group)?.level, 1, group)
  t.ok(isWithin('drugs/synthetic/mdma', 'drugs/synthetic'))
  t.notOk(isWithin('drugs-x', 'drugs'))
  t.notOk(isWithin('drugs', 'drugs/synthetic'))
})

t.test('a label that is not translated yet is shown in English', async (t) => {
  t.equal(inLanguage({ en: 'Goods', fr: 'Marchandises' }, 'fr'), 'Marchandises')
  t.equal(inLanguage({ en: 'Goods', fr: 'Marchandises' }, 'ar'), 'Goods')
  t.equal(inLanguage({ en: 'Goods' }), 'Goods')
  t.equal(newestForm('seizure').version, 1)
  t.throws(() => newestForm('nil' as never), RangeError)
})

t.test('days are days of the calendar', async (t) => {
  for (const day of ['2024-02-29', '2000-02-29', '1999-12-31', '2026-11-22']) t.ok(isDay(day), day)
  for (const day of [
    '2023-02-29',
    '1900-02-29',
    '2026-13-01',
    '2026-00-01',
    '2026-01-00',
    '2026-04-31',
    '2026-1-1',
    '26-01-01',
    '3026-01-01',
    '2026-01-01 ',
    '2026-01-01\n',
    '2026/01/01',
    '',
  ])
    t.notOk(isDay(day), JSON.stringify(day))
})

let last = 0
function opened(change: Partial<OpenedMessage> & { items?: object[] } = {}): OpenedMessage {
  const { items, ...rest } = change
  last += 1
  return {
    id: `m${last}`,
    index: last,
    thread: `t${last}`,
    organization: 'kenya',
    form: 'seizure',
    exercise: false,
    fields: { country: 'KE', date: '2026-01-01', ...(items === undefined ? {} : { items }) },
    ...rest,
  }
}

const scales = (quantity: string, unit = 'KGM', estimated?: boolean) => ({
  category: 'wildlife/pangolin/scales',
  quantity,
  unit,
  ...(estimated === undefined ? {} : { estimated }),
})

t.test('figures add up inside a kind of unit, never across, and keep estimates apart', async (t) => {
  const a = opened({ items: [scales('1.5'), scales('250', 'GRM'), scales('3', 'H87')] })
  const b = opened({ items: [scales('0.1'), scales('9', 'KGM', true)], thread: a.thread })
  const c = opened({
    items: [{ category: 'wildlife/pangolin/live', quantity: '2', unit: 'H87' }, { category: 'drugs' }],
  })
  const figures = figuresOf([c, b, a, a])
  t.same(figures, {
    seizures: 3,
    cases: 2,
    quantities: [
      { category: 'wildlife/pangolin/live', unit: 'H87', quantity: '2', estimated: '0', seizures: 1 },
      { category: 'wildlife/pangolin/scales', unit: 'H87', quantity: '3', estimated: '0', seizures: 1 },
      { category: 'wildlife/pangolin/scales', unit: 'KGM', quantity: '1.85', estimated: '9', seizures: 2 },
    ],
    totals: [
      { unit: 'H87', quantity: '5', estimated: '0' },
      { unit: 'KGM', quantity: '1.85', estimated: '9' },
    ],
  })
  t.ok(sameFigures(figures, figuresOf([a, b, c])))
  t.notOk(sameFigures(figures, figuresOf([a, b])))
  t.notOk(sameFigures(figures, { ...figures, cases: 3 }))
  t.notOk(sameFigures(figures, { ...figures, totals: [] }))
})

t.test('a sum is a row of its own and enters no roll-up', async (t) => {
  const kinds = { live: '2', carcass: '1', whole: '3' }
  const items = Object.entries(kinds).map(([kind, quantity]) => ({
    category: `wildlife/pangolin/${kind}`,
    quantity,
    unit: 'H87',
  }))
  const figures = figuresOf([opened({ items })])
  t.equal(figures.quantities.length, 3)
  t.same(figures.totals, [{ unit: 'H87', quantity: '3', estimated: '0' }])
  t.same(rollUp(figures.quantities, 'wildlife/pangolin/whole'), [{ unit: 'H87', quantity: '3', estimated: '0' }])
  t.same(rollUp(figures.quantities, 'wild'), [])
})

t.test('exercises, other forms and what was withdrawn count for nothing; corrections count once', async (t) => {
  const seizure = opened({ items: [scales('10')] })
  const correction = opened({ items: [scales('12')], refersTo: { message: seizure.id, as: 'correction' } })
  const second = opened({ items: [scales('13')], refersTo: { message: correction.id, as: 'correction' } })
  const third = opened({ items: [scales('14')], refersTo: { message: seizure.id, as: 'correction' } })
  const ofCorrection = opened({
    form: 'text',
    fields: { text: 'wrong' },
    refersTo: { message: second.id, as: 'withdrawal' },
  })
  const revived = opened({ items: [scales('15')], refersTo: { message: seizure.id, as: 'correction' } })
  const foreign = opened({
    organization: 'chad',
    items: [scales('1')],
    refersTo: { message: seizure.id, as: 'correction' },
  })
  const foreignEnd = opened({ organization: 'chad', form: 'text', refersTo: { message: seizure.id, as: 'withdrawal' } })
  const dangling = opened({ items: [scales('1')], refersTo: { message: 'nowhere', as: 'correction' } })
  const reply = opened({ items: [scales('1')], refersTo: { message: seizure.id, as: 'reply' } })
  const total = (messages: OpenedMessage[]) => figuresOf(messages).totals[0]?.quantity ?? 'nothing'

  t.equal(total([seizure, correction]), '12')
  t.equal(total([second, seizure, correction]), '13')
  t.equal(total([seizure, correction, second, third]), '14')
  t.equal(total([seizure, correction, second, ofCorrection]), 'nothing')
  t.equal(total([seizure, correction, second, ofCorrection, revived]), 'nothing', 'a withdrawal is final')
  t.equal(total([seizure, foreign]), '10', 'a stranger corrects nothing')
  t.equal(total([seizure, foreignEnd]), '10', 'a stranger withdraws nothing')
  t.equal(total([seizure, correction, { ...seizure, index: 1_000 }]), '12', 'an id counts where it came first')
  t.equal(total([seizure, dangling]), '10')
  t.equal(total([seizure, reply]), '11')
  t.equal(total([{ ...seizure, exercise: true }]), 'nothing')
  t.equal(total([{ ...seizure, form: 'warning' }]), 'nothing')
  t.same(figuresOf([]), { seizures: 0, cases: 0, quantities: [], totals: [] })
  t.equal(figuresOf([seizure, correction, second]).seizures, 1)
})
