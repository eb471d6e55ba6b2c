// What this holds: what a mapping can say of goods, keys, rows, people and documents, and what it
// tells of all that it did not take as it stood.
import t from 'tap'
import fc from 'fast-check'
import { figuresOf } from '../src/client/figures.ts'
import { mapRows, readMapping, type MappedRow, type Mapping, type Remark } from '../src/client/import/index.ts'
import { convertQuantity, readNumber, roundDecimal } from '../src/client/import/numbers.ts'
import { addDecimals, inBaseUnit, units, type UnitCode } from '../src/forms/index.ts'

function mappingOf(json: unknown): Mapping {
  const read = readMapping(json)
  if ('faults' in read) throw new Error(JSON.stringify(read.faults))
  return read.mapping
}

async function mapped(lines: readonly string[] | Uint8Array, mapping: object) {
  const file = lines instanceof Uint8Array ? lines : lines.join('\n')
  const { rows, faults, remarks } = await mapRows(file, mappingOf({ mapping: 'm', form: 'seizure', ...mapping }))
  return {
    rows,
    faults: faults.map(({ line, column, reason }) => `${line} ${column} ${reason}`),
    told: remarks.map(({ kind, column, detail, count }: Remark) => [kind, column, detail, count].join(' ').trim()),
  }
}

const asMessage = ({ key, form, fields }: MappedRow, index: number) => ({
  id: key,
  index,
  thread: key,
  organization: 'one',
  form,
  exercise: false,
  fields,
})
const figures = (rows: readonly MappedRow[]) => figuresOf(rows.map(asMessage))
const goodsOf = (row: MappedRow | undefined) => (row?.fields['items'] ?? []) as Readonly<Record<string, unknown>>[]

const wildlife = {
  key: 'control',
  together: true,
  missing: ['NA'],
  leaveOut: [{ column: 'disposition', notIn: ['S'] }],
  columns: { control: { field: '/reference' }, shipped: { field: '/date', dateFormat: 'M/D/YY' } },
  fields: {
    '/origin': { column: 'from' },
    '/items': [
      {
        category: {
          column: 'species',
          prefixes: { RE: 'wildlife/reptiles', CY: 'wildlife/reptiles', ML: 'wildlife/mammals' },
          otherwise: 'wildlife/other',
        },
        quantity: { column: 'quantity' },
        unit: { column: 'unit', codes: { NO: 'H87', GM: 'GRM', KG: 'KGM' } },
        description: { columns: ['genus', 'part'], between: ', ' },
      },
    ],
  },
  constants: { '/country': 'US' },
}
const wildlifeHeader = 'control,species,genus,part,quantity,unit,from,disposition,shipped'

t.test('rows with one key are one seizure with all its goods, and rows of a list are left out', async (t) => {
  const file = [
    wildlifeHeader,
    '3001,CY1?,crocodylus,SKP,4,NO,PE,S,3/9/12',
    '3001,ML,NA,TEE,6,NO,PE,S,3/9/12',
    '3001,RE##,reptilia,MEA,250,GM,CO,S,3/9/12',
    '3002,AAER,alces,BOC,15.2,KG,CA,C,4/1/12',
    '3003,NONA,rana,BOD,1.25,KG,LA,S,4/2/12',
    '3001,RE##,reptilia,JWL,2,NO,PE,S,3/9/12',
  ]
  const { rows, faults, told } = await mapped(file, wildlife)
  t.same(faults, [])
  t.same(
    rows.map(({ key, line }) => [key, line]),
    [
      ['3001', 2],
      ['3003', 6],
    ],
  )
  t.match(rows[0]?.fields, { date: '2012-03-09', origin: ['PE', 'CO'], reference: '3001' })
  t.same(goodsOf(rows[0]), [
    { category: 'wildlife/reptiles', quantity: '4', unit: 'H87', description: 'crocodylus, SKP' },
    { category: 'wildlife/mammals', quantity: '6', unit: 'H87', description: 'TEE' },
    { category: 'wildlife/reptiles', quantity: '250', unit: 'GRM', description: 'reptilia, MEA' },
    { category: 'wildlife/reptiles', quantity: '2', unit: 'H87', description: 'reptilia, JWL' },
  ])
  t.match(figures(rows), {
    seizures: 2,
    quantities: [
      { category: 'wildlife/mammals', unit: 'H87', quantity: '6', seizures: 1 },
      { category: 'wildlife/other', unit: 'KGM', quantity: '1.25', seizures: 1 },
      { category: 'wildlife/reptiles', unit: 'H87', quantity: '6', seizures: 1 },
      { category: 'wildlife/reptiles', unit: 'KGM', quantity: '0.25', seizures: 1 },
    ],
  })
  t.ok(told.includes('left-out disposition C 1'))
  t.ok(told.includes('defaulted species NONA 1'))
  t.ok(told.includes('rows-together   4'))
  const { description: _description, ...bare } = wildlife.fields['/items'][0] as Record<string, unknown>
  const sums = await mapped(file, {
    ...wildlife,
    addUp: true,
    ignore: ['genus', 'part'],
    fields: { ...wildlife.fields, '/items': [bare] },
  })
  t.same(sums.faults, [])
  t.match(
    goodsOf(sums.rows[0]),
    [{ quantity: '6', unit: 'H87' }, {}, { quantity: '250' }],
    'what differs in its quantity alone',
  )
  t.ok(sums.told.includes('added-up   1'))
})

t.test('the order of the rows of one seizure is no change, and each of its cells is', async (t) => {
  const a = '3001,ML,x,TEE,6,NO,PE,S,3/9/12'
  const b = '3001,RE,y,TEE,2,NO,PE,S,3/9/12'
  const source = async (...lines: string[]) => (await mapped([wildlifeHeader, ...lines], wildlife)).rows[0]?.source
  const first = await source(a, b)
  t.equal(await source(b, a), first)
  t.not(await source(a, b.replace(',2,', ',3,')), first)
  t.not(await source(a), first)
})

t.test('rows of one seizure that contradict each other are a fault, unless the mapping says what counts', async (t) => {
  const file = [wildlifeHeader, '1,ML,x,T,6,NO,PE,S,3/9/12', '1,RE,y,T,2,NO,PE,S,3/12/12', '1,RE,y,T,2,NO,PE,S,3/10/12']
  t.same((await mapped(file, wildlife)).faults, ['3 shipped contradictory'])
  const with_ = (several: string) =>
    mapped(file, { ...wildlife, columns: { ...wildlife.columns, shipped: { ...wildlife.columns.shipped, several } } })
  t.match((await with_('first')).rows, [{ fields: { date: '2012-03-09', dateTo: undefined } }])
  t.match((await with_('span')).rows, [{ fields: { date: '2012-03-09', dateTo: '2012-03-12' } }])
  const texts = [wildlifeHeader, '1,ML,x,T,6,NO,PE,S,3/9/12', '1,RE,y,U,2,NO,PE,S,3/9/12']
  const note = (several: object) =>
    mapped(texts, { ...wildlife, fields: { ...wildlife.fields, '/narrative': { column: 'part', ...several } } })
  t.same((await note({})).faults, ['3 part contradictory'])
  t.match((await note({ several: 'join' })).rows, [{ fields: { narrative: 'T; U' } }])
})

const border = {
  key: ['FY', 'Month', 'Office', 'Drug'],
  subject: '{Drug} at {Office}',
  columns: { Office: { field: '/placeName' } },
  fields: {
    '/date': {
      columns: ['FY', 'Month'],
      dateFormat: ['YYYY MMM', "YYYY '(FYTD)' MMM"],
      fiscalYearBegins: 10,
    },
    '/items': [
      {
        category: { column: 'Drug', codes: { Cocaine: 'drugs/cocaine' }, otherwise: 'drugs/other' },
        quantity: { column: 'Pounds', convertTo: 'KGM', decimals: 6, half: 'even' },
        unit: 'LBR',
      },
    ],
  },
  constants: { '/country': 'US' },
}
const pounds = [
  'FY,Month,Office,Drug,Pounds',
  '2025 (FYTD),APR,Boston,Cocaine,1.6580084875972',
  '2025,OCT,Boston,Khat (Catha),2',
]

t.test('a key of several columns, a fiscal month as a span, and pounds in kilograms exactly', async (t) => {
  const { rows, faults, told } = await mapped(pounds, border)
  t.same(faults, [])
  t.match(rows, [
    {
      key: '["2025 (FYTD)","APR","Boston","Cocaine"]',
      subject: 'Cocaine at Boston',
      fields: { date: '2025-04-01', dateTo: '2025-04-30' },
    },
    { fields: { date: '2024-10-01', dateTo: '2024-10-31' } },
  ])
  t.same(goodsOf(rows[0]), [
    { category: 'drugs/cocaine', quantity: '0.752060', unit: 'KGM', description: 'Reported as 1.6580084875972 LBR' },
  ])
  t.same(goodsOf(rows[1]), [
    { category: 'drugs/other', quantity: '0.907185', unit: 'KGM', description: 'Reported as 2 LBR' },
  ])
  t.ok(told.includes('converted Pounds LBR → KGM 2'))
  t.ok(told.includes('rounded Pounds 6 2'))
  const [first] = border.fields['/items']
  const exactly = {
    ...border,
    fields: { ...border.fields, '/items': [{ ...first, quantity: { column: 'Pounds', convertTo: 'KGM' } }] },
  }
  t.same(
    (await mapped(pounds, exactly)).faults,
    ['2 Pounds too-many-decimals', '3 Pounds too-many-decimals'],
    'nothing is rounded unasked',
  )
  const nothing = { ...first, quantity: { column: 'Pounds', convertTo: 'KGM', decimals: 0 } }
  const small = [pounds[0] ?? '', '2025,APR,Boston,Cocaine,0.5']
  t.same((await mapped(small, { ...border, fields: { ...border.fields, '/items': [nothing] } })).faults, [
    '2 Pounds rounded-to-nothing',
  ])
})

t.test('a file without a key: a row is its content, and rows of one content are numbered', async (t) => {
  const mapping = {
    key: null,
    columns: { day: { field: '/date' }, kg: { goods: { category: 'drugs', unit: 'KGM' } } },
    constants: { '/country': 'KE' },
  }
  const file = ['day,kg', '2026-01-01,5', '2026-01-01,5', '2026-01-02,5']
  const { rows, faults } = await mapped(file, mapping)
  t.same(faults, [])
  t.equal(new Set(rows.map(({ key }) => key)).size, 3)
  const [one, two, three] = rows.map(({ key }) => key)
  const again = (await mapped(['kg,day', '5,2026-01-02', '5,2026-01-01', '5,2026-01-01'], mapping)).rows
  t.same(
    again.map(({ key }) => key),
    [three, one, two],
    'in any order of rows and columns',
  )
  const numbered = await mapped(file, { ...mapping, key: ['day'], numbered: true })
  t.same(
    numbered.rows.map(({ key }) => key),
    ['["2026-01-01",1]', '["2026-01-01",2]', '["2026-01-02",1]'],
  )
  t.same((await mapped(file, { ...mapping, key: ['day'] })).faults, ['3 day repeated'])
})

t.test('HS codes name the commodity, and keep their six digits', async (t) => {
  const mapping = {
    key: 'id',
    leaveOut: [{ column: 'Fraud', in: ['0'] }],
    columns: { id: { field: '/reference' }, day: { field: '/date' }, Fraud: [] },
    fields: {
      '/items': [
        {
          category: {
            column: 'HS',
            pad: 6,
            prefixes: { '24': 'tobacco', '2402': 'tobacco/cigarettes', '01': 'wildlife', '0106': 'wildlife/other' },
            otherwise: 'other/unclassified',
          },
          hs: { column: 'HS', pad: 6 },
          quantity: { column: 'mass' },
          unit: 'KGM',
          brand: { column: 'brand' },
          weight: { column: 'gross' },
          estimated: { column: 'how', codes: { weighed: false, estimated: true } },
        },
      ],
      '/people': [
        { role: 'consignee', company: { column: 'importer' } },
        { role: 'consignor', company: { column: 'seller' } },
      ],
      '/documents': [{ kind: 'declaration', number: { column: 'id' } }],
    },
    constants: { '/country': 'KR' },
  }
  const file = [
    'id,day,HS,mass,gross,brand,how,importer,seller,Fraud',
    '1,2026-01-01,240220,3.5,4,Smoke,weighed,Alpha,Beta,1',
    '2,2026-01-01,2402.20.9000,1,,,estimated,Alpha,,1',
    '3,2026-01-01,10690,2,,,weighed,,Beta,1',
    '4,2026-01-01,870323,900,,,weighed,Alpha,Beta,0',
    '5,2026-01-01,2403,1,,,weighed,,,1',
    '6,2026-01-01,870323,900,,,weighed,Alpha,Beta,1',
  ]
  const { rows, faults, told } = await mapped(file, mapping)
  t.same(faults, [])
  t.same(
    rows.map((row) => [
      row.key,
      goodsOf(row)[0]?.['category'],
      goodsOf(row)[0]?.['hs'],
      goodsOf(row)[0]?.['estimated'],
    ]),
    [
      ['1', 'tobacco/cigarettes', '240220', false],
      ['2', 'tobacco/cigarettes', '240220', true],
      ['3', 'wildlife/other', '010690', false],
      ['5', 'other/unclassified', '002403', false],
      ['6', 'other/unclassified', '870323', false],
    ],
  )
  t.match(rows[0]?.fields, {
    people: [
      { role: 'consignee', company: 'Alpha' },
      { role: 'consignor', company: 'Beta' },
    ],
    documents: [{ kind: 'declaration', number: '1' }],
    items: [{ brand: 'Smoke', weight: '4' }],
  })
  t.match(rows[2]?.fields['people'], [{ role: 'consignor' }])
  t.equal(rows[3]?.fields['people'], undefined, 'a person of whom nothing is said is none')
  t.ok(told.includes('left-out Fraud 0 1'))
  t.ok(told.includes('shortened-code HS 6 1'))
})

t.test('keys in another Unicode form, with invisible characters or in other letters are one key', async (t) => {
  const mapping = {
    key: 'ref',
    columns: { ref: { field: '/reference' }, day: { field: '/date' } },
    constants: { '/country': 'AT' },
  }
  const rowsOf = async (...keys: string[]) =>
    await mapped(['ref,day', ...keys.map((key) => `${key},2026-01-01`)], mapping)
  for (const other of [
    'Caf\u0065\u0301-9',
    'Caf\u00e9\u200b-9',
    '\u00a0Caf\u00e9-9 ',
    'CAF\u00c9-9',
    'Caf\u00e9\u00ad-9',
    '\uff23af\u00e9-9',
  ])
    t.same((await rowsOf('Caf\u00e9-9', other)).faults, ['3 ref repeated'], JSON.stringify(other))
  t.same((await rowsOf('Caf\u00e9-9', 'Cafe-9')).faults, [], 'an accent is part of a key')
  t.same((await rowsOf('\u200b')).faults, ['2 ref missing'], 'a key that nobody sees is none')
  const sources = await Promise.all(
    ['Caf\u00e9', 'Cafe\u0301', 'Caf\u200b\u00e9'].map(async (key) => (await rowsOf(key)).rows[0]?.source),
  )
  t.equal(new Set(sources).size, 1, 'nor is the row changed')
})

t.test('a file has the encoding that its mapping names, or is refused', async (t) => {
  const mapping = {
    key: 'ref',
    columns: { ref: { field: '/reference' }, day: { field: '/date' }, place: { field: '/placeName' } },
    constants: { '/country': 'AT' },
  }
  const text = 'ref,day,place\n1,2026-01-01,Gm\u00fcnd \u20ac\n'
  const latin = new Uint8Array(Buffer.from(text.replace('\u20ac', '\u0080'), 'latin1'))
  const refused = await mapped(latin, mapping)
  t.same(refused.faults, ['2  not-utf-8'])
  t.equal(
    (await mapped(latin, { ...mapping, encoding: 'windows-1252' })).rows[0]?.fields['placeName'],
    'Gm\u00fcnd \u20ac',
  )
  const wide = new Uint8Array(Buffer.from(`\uFEFF${text}`, 'utf16le'))
  t.equal((await mapped(wide, { ...mapping, encoding: 'utf-16le' })).rows[0]?.fields['placeName'], 'Gm\u00fcnd \u20ac')
  const cyrillic = new Uint8Array([...Buffer.from('ref,day,place\n1,2026-01-01,'), 0xcc, 0xee, 0xf1, 0xea, 0xe2, 0xe0])
  t.equal((await mapped(cyrillic, { ...mapping, encoding: 'windows-1251' })).rows[0]?.fields['placeName'], 'Москва')
  t.same((await mapped(new Uint8Array([0x81, 0x20, 0xff]), { ...mapping, encoding: 'shift_jis' })).faults, [
    '1  wrong-encoding',
  ])
})

t.test('words of a table are found in any Unicode form and case, and an exact one first', async (t) => {
  const mapping = (codes: object) => ({
    key: 'ref',
    columns: { ref: { field: '/reference' }, mode: { field: '/mode', codes } },
    constants: { '/country': 'AT', '/date': '2026-01-01' },
  })
  const mode = async (word: string, codes: object) =>
    (await mapped(['ref,mode', `1,${word}`], mapping(codes))).rows[0]?.fields['mode']
  t.equal(await mode('STRASSE ', { Strasse: '3' }), '3')
  t.equal(await mode('a\u0301rea', { '\u00e1rea': '4' }), '4')
  t.equal(await mode('A', { a: '1', A: '4' }), '4')
  t.same(
    (await mapped(['ref,mode', '1,x'], mapping({ X: '1', 'x ': '4' }))).faults,
    ['2 mode not-in-mapping'],
    'two words of a table decide nothing',
  )
})

t.test('INV-21: no way from a cell to a quantity loses a digit', async () => {
  const decimal = fc
    .tuple(
      fc.bigInt({ min: 0n, max: 10n ** 15n - 1n }),
      fc.string({ unit: fc.constantFrom(...'0123456789'), maxLength: 6 }),
    )
    .map(([whole, fraction]) => `${whole}${fraction === '' ? '' : `.${fraction}`}`)
  const english = { decimalComma: false, grouping: 'threes', scientific: true, thousands: ',' } as const
  const german = { decimalComma: true, grouping: 'threes', scientific: false, thousands: '.' } as const
  fc.assert(
    fc.property(decimal, fc.integer({ min: -20, max: 20 }), (text, exponent) => {
      const [whole = '', fraction] = text.split('.')
      const grouped = whole.replaceAll(/\B(?=(\d{3})+$)/g, ',')
      const tail = fraction === undefined ? '' : `.${fraction}`
      const comma = grouped.replaceAll(',', '.') + tail.replace('.', ',')
      const moved = readNumber(`${text}E${exponent}`, english) ?? ''
      const back = readNumber(`${moved}e${-exponent}`, english) ?? ''
      return (
        readNumber(grouped + tail, english) === text &&
        readNumber(comma, german) === text &&
        addDecimals(back, '0') === addDecimals(text, '0')
      )
    }),
  )
  const codes = Object.keys(units) as UnitCode[]
  fc.assert(
    fc.property(decimal, fc.constantFrom(...codes), (quantity, from) => {
      const to = units[from].base
      const converted = convertQuantity(quantity, from, to)
      return converted !== undefined && addDecimals(converted, '0') === inBaseUnit(quantity, from).quantity
    }),
  )
})

t.test('rounding goes to the nearest, and the middle as it is named', async (t) => {
  const cases: [string, number, 'up' | 'even', string][] = [
    ['0.125', 2, 'up', '0.13'],
    ['0.125', 2, 'even', '0.12'],
    ['0.135', 2, 'even', '0.14'],
    ['0.1250000001', 2, 'even', '0.13'],
    ['0.1249999999', 2, 'up', '0.12'],
    ['9.995', 2, 'up', '10.00'],
    ['2.5', 0, 'even', '2'],
    ['3.5', 0, 'even', '4'],
    ['-0.125', 2, 'up', '-0.13'],
    ['-0.001', 2, 'up', '0.00'],
  ]
  for (const [decimal, places, half, expected] of cases)
    t.equal(roundDecimal(decimal, places, half), expected, `${decimal} ${half}`)
  t.equal(convertQuantity('1', 'KGM', 'LBR'), undefined, 'a kilogram has no end in pounds')
  t.equal(convertQuantity('0.45359237', 'KGM', 'LBR'), '1')
  t.equal(convertQuantity('1', 'KGM', 'LTR'), undefined, 'kinds never become each other')
})

t.test('a mapping that cannot be meant is refused, each fault with its place', async (t) => {
  const base = { mapping: 'm', form: 'seizure', key: 'a', columns: { a: { field: '/reference' } } }
  const items = (member: object) => ({ ...base, fields: { '/items': [{ category: 'drugs', ...member }] } })
  const refused: [string, object, string][] = [
    ['an encoding that is none', { ...base, encoding: 'ebcdic' }, '/encoding not-in-list'],
    ['a mark for decimals and thousands', { ...base, thousands: '.' }, '/thousands contradictory'],
    ['the same with a comma', { ...base, decimalComma: true, thousands: ',' }, '/thousands contradictory'],
    ['an odd mark', { ...base, thousands: '_' }, '/thousands malformed'],
    ['a key of nothing', { ...base, key: [] }, '/key missing'],
    ['a key with a column twice', { ...base, key: ['a', 'a'] }, '/key missing'],
    ['rows together without a key', { ...base, key: null, together: true }, '/together contradictory'],
    ['rows together and numbered', { ...base, together: true, numbered: true }, '/together contradictory'],
    ['adding up what is not together', { ...base, addUp: true }, '/addUp contradictory'],
    [
      'several without together',
      { ...base, columns: { a: { field: '/reference', several: 'first' } } },
      '/together missing',
    ],
    ['leaving out by nothing', { ...base, leaveOut: [{ column: 'a' }] }, '/leaveOut malformed'],
    ['leaving out by both', { ...base, leaveOut: [{ column: 'a', in: [], notIn: [] }] }, '/leaveOut malformed'],
    ['zeros of another kind', { ...base, zeros: 'hide' }, '/zeros malformed'],
    ['a column used and ignored', { ...base, ignore: ['a'] }, '/ignore contradictory'],
    [
      'a source and a constant',
      { ...base, fields: { '/placeName': { column: 'a' } }, constants: { '/placeName': 'x' } },
      '/constants contradictory',
    ],
    ['a source of nothing', items({ hs: {} }), '/fields/~1items/0/hs/column missing'],
    [
      'a source of column and columns',
      items({ hs: { column: 'a', columns: ['a'] } }),
      '/fields/~1items/0/hs/column missing',
    ],
    ['a member that is none', items({ colour: 'red' }), '/fields/~1items/0/colour unknown-field'],
    ['a unit that is none', items({ unit: 'kilo' }), '/fields/~1items/0/unit not-in-list'],
    [
      'a code that is none',
      items({ unit: { column: 'a', codes: { x: 'kilo' } } }),
      '/fields/~1items/0/unit/codes not-in-list',
    ],
    [
      'a default that is none',
      items({ unit: { column: 'a', codes: {}, otherwise: 'kilo' } }),
      '/fields/~1items/0/unit/otherwise not-in-list',
    ],
    [
      'a default without a table',
      items({ unit: { column: 'a', otherwise: 'KGM' } }),
      '/fields/~1items/0/unit/otherwise missing',
    ],
    ['a flag that is a word', items({ estimated: 'yes' }), '/fields/~1items/0/estimated wrong-type'],
    [
      'a half without decimals',
      items({ quantity: { column: 'a', half: 'even' } }),
      '/fields/~1items/0/quantity/decimals missing',
    ],
    [
      'a conversion of something else',
      items({ hs: { column: 'a', convertTo: 'KGM' } }),
      '/fields/~1items/0/hs/convertTo malformed',
    ],
    [
      'a reading inside the goods',
      { ...base, columns: { a: { goods: { category: 'drugs', unit: 'KGM', decimals: 2 } } } },
      '/columns/a/goods/decimals unknown-field',
    ],
    ['goods that are no list', { ...base, fields: { '/items': { category: 'drugs' } } }, '/fields/~1items wrong-type'],
    [
      'a person without a role',
      { ...base, fields: { '/people': [{ name: { column: 'a' } }] } },
      '/fields/~1people/0 missing',
    ],
    [
      'a month in a form with one day',
      { ...base, form: 'warning', columns: { a: { field: '/expected', dateFormat: 'YYYY' } } },
      '',
    ],
    [
      'a format of no year',
      { ...base, columns: { a: { field: '/date', dateFormat: 'D/M' } } },
      '/columns/a/dateFormat malformed',
    ],
    [
      'a format with loose letters',
      { ...base, columns: { a: { field: '/date', dateFormat: 'YYYY FYTD' } } },
      '/columns/a/dateFormat malformed',
    ],
    [
      'a month that is none',
      { ...base, columns: { a: { field: '/date', dateFormat: 'YYYY', fiscalYearBegins: 13 } } },
      '/columns/a/fiscalYearBegins malformed',
    ],
    [
      'a language that is none',
      { ...base, columns: { a: { field: '/date', dateFormat: 'MMM YYYY', language: '??' } } },
      '/columns/a/language malformed',
    ],
  ]
  for (const [what, json, expected] of refused) {
    const read = readMapping(json)
    const found = 'faults' in read ? read.faults.map(({ pointer, reason }) => `${pointer} ${reason}`) : []
    t.ok(expected === '' ? found.length > 0 : found.includes(expected), `${what}: ${found.join('; ')}`)
  }
})

t.test('a row that its form takes and a sealed message does not is a fault before anything is sent', async (t) => {
  const file = ['ref,day,note', ...Array.from({ length: 190 }, () => `1,2026-01-01,${'x'.repeat(1_900)}`)]
  const mapping = {
    key: 'ref',
    together: true,
    columns: { ref: { field: '/reference' }, day: { field: '/date' } },
    fields: { '/items': [{ category: 'drugs', description: { column: 'note' } }] },
    constants: { '/country': 'KE' },
  }
  t.same((await mapped(file, mapping)).faults, ['2  too-long'])
  t.same((await mapped(file.slice(0, 40), mapping)).faults, [])
  const many = ['ref,day,note', ...Array.from({ length: 201 }, () => '1,2026-01-01,x')]
  t.same(
    (await mapped(many, mapping)).faults.map((fault) => fault.split(' ').at(-1)),
    ['too-many'],
  )
})
