// What this holds: a file of a national system becomes seizures without a loss, and a bad file
// becomes a list of what to correct.
import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { figuresOf } from '../src/client/figures.ts'
import {
  importMessageId,
  isImportFault,
  mapRows,
  readCsv,
  readMapping,
  type MappedRow,
  type Mapping,
} from '../src/client/import/index.ts'
import { validateFields } from '../src/forms/index.ts'

function mappingOf(json: unknown): Mapping {
  const read = readMapping(json)
  if ('faults' in read) throw new Error(JSON.stringify(read.faults))
  return read.mapping
}

const plain = {
  mapping: 'plain',
  form: 'seizure',
  version: 1,
  key: 'id',
  columns: {
    day: { field: '/date' },
    country: { field: '/country' },
    kg: { goods: { category: 'drugs/cocaine', unit: 'KGM' } },
    persons: { field: '/persons' },
    note: { field: '/narrative' },
  },
}

const header = 'id,day,country,kg,persons,note'
const good = '1,2026-01-31,KE,2.5,1,fine'

async function faultsOf(csv: string | Uint8Array, mapping: unknown = plain): Promise<string[]> {
  const { rows, faults } = await mapRows(csv, mappingOf(mapping))
  for (const { advice } of faults) t.match(advice, /^.{15,}[.?]$/su)
  if (faults.length > 0 && faults[0]?.line === 1) t.same(rows, [], 'no row of a file that cannot be read')
  return faults.map(({ line, column, reason }) => `${line} ${column} ${reason}`)
}

t.test('a file that is no CSV is refused with the line to look at', async (t) => {
  const refused: [string, string | Uint8Array, string][] = [
    ['nothing', '', '1  empty'],
    ['blank lines', '\n\n\r\n', '1  empty'],
    ['a quote that never closes', `${header}\n${good}\n2,"x,KE,1,1,y\n3,2026-01-01,KE,1,1,z\n`, '3  unclosed-quote'],
    ['a quote inside a cell', `${header}\n${good}\n2,2026-01-01,KE,1,1,a"b\n`, '3  stray-quote'],
    ['something after a closing quote', `${header}\n2,2026-01-01,KE,1,1,"a\nb"c\n`, '3  stray-quote'],
    ['a cell too few', `${header}\n${good}\n2,2026-01-01,KE,1,1\n`, '3  wrong-number-of-cells'],
    ['a cell too many', `${header}\n${good}\n2,2026-01-01,KE,1,1,x,y\n`, '3  wrong-number-of-cells'],
    ['NUL', `${header}\n2,2026-01-01,KE,1,1,a\0b\n`, '2  nul'],
    ['a column twice', `${header},kg\n`, '1 kg column-twice'],
    ['a column without a name', `${header},\n`, '1  column-without-name'],
    ['a nameless column with a cell', `${header},\n${good},x\n`, '1  column-without-name'],
    ['bytes that are not UTF-8', new Uint8Array([0x69, 0x64, 0x0a, 0xff, 0xfe]), '2  not-utf-8'],
    ['UTF-16', new Uint8Array(Buffer.from(`\uFEFF${header}\n`, 'utf16le')), '1  not-utf-8'],
    ['501 columns', `${','.repeat(500)}\n`, '1  too-many-columns'],
    ['a cell without end', `${header}\n2,2026-01-01,KE,1,1,${'x'.repeat(40_000)}\n`, '2  cell-too-long'],
    ['a damaged workbook', new Uint8Array([0x50, 0x4b, 0x03, 0x04, 0x00, 0x00]), '1  not-a-workbook'],
    ['a first line with an odd delimiter', `sep=#\n${header}\n`, '1  odd-delimiter'],
    ['a file of another kind', 'just,some\ntext,here\n', '1 day no-such-column'],
  ]
  for (const [what, csv, expected] of refused) t.equal((await faultsOf(csv))[0], expected, what)
})

t.test('every column is accounted for', async (t) => {
  t.same(await faultsOf(`${header},colour\n${good},red\n`), ['1 colour column-not-mapped'])
  t.same(await faultsOf(`${header},colour\n${good},red\n`, { ...plain, ignore: ['colour'] }), [])
  t.same(await faultsOf('id,day,country,kg,note\n', plain), ['1 persons no-such-column'])
  t.same(await faultsOf(`${header}\n${good}\n`, { ...plain, ignore: ['weather'] }), ['1 weather no-such-column'])
  t.same(await faultsOf(header.replace('id', '__proto__')), ['1 id no-such-column', '1 __proto__ column-not-mapped'])
})

t.test('every bad row is told with line, column and reason, and none of them becomes a message', async (t) => {
  const rows: [string, string[]][] = [
    ['2,2026-02-30,KE,1,1,x', ['2 day not-a-date']],
    ['2,31.01.2026,KE,1,1,x', ['2 day not-a-date']],
    ['2,,KE,1,1,x', ['2 day missing']],
    ['2,2026-01-01,,1,1,x', ['2 country missing']],
    ['2,2026-01-01,Kenya,1,1,x', ['2 country not-in-list']],
    ['2,2026-01-01,ke,1,1,x', ['2 country not-in-list']],
    ['2,2026-01-01,KE,-1,1,x', ['2 kg malformed']],
    ['2,2026-01-01,KE,"1,5",1,x', ['2 kg malformed']],
    ['2,2026-01-01,KE,1e3,1,x', ['2 kg malformed']],
    ['2,2026-01-01,KE,about 5,1,x', ['2 kg malformed']],
    ['2,2026-01-01,KE,=SUM(A1:A9),1,x', ['2 kg malformed']],
    ['2,2026-01-01,KE,1,two,x', ['2 persons not-a-number']],
    ['2,2026-01-01,KE,1,-2,x', ['2 persons not-a-number']],
    ['2,2026-01-01,KE,1,1.5,x', ['2 persons not-a-number']],
    ['2,2026-01-01,KE,1,99999,x', ['2 persons out-of-range']],
    ['2,2026-01-01,KE,1,1,\u001b[2J', ['2 note malformed']],
    [`2,2026-01-01,KE,1,1,${'x'.repeat(20_001)}`, ['2 note too-long']],
    [',2026-01-01,KE,1,1,x', ['2 id missing']],
    ['2,x,KE,1,many,x', ['2 day not-a-date', '2 persons not-a-number']],
    ['2,2026-01-01,ZZ,-1,1,x', ['2 country not-in-list', '2 kg malformed']],
  ]
  for (const [row, expected] of rows) {
    const { rows: mapped, faults } = await mapRows(`${header}\n${row}\n${good}\n`, mappingOf(plain))
    t.same(
      faults.map(({ line, column, reason }) => `${line} ${column} ${reason}`).toSorted(),
      expected.toSorted(),
      row.slice(0, 40),
    )
    t.same(
      mapped.map(({ key }) => key),
      ['1'],
    )
  }
  t.same(await faultsOf(`${header}\n${good}\n2,x,KE,1,1,\n${good}\n`), ['3 day not-a-date', '4 id repeated'])
  t.same(await faultsOf(`${header}\n\n\n2,x,KE,1,1,\n`), ['4 day not-a-date'], 'blank lines count as lines')
  const many = await mapRows(
    `${header}\n${Array.from({ length: 3000 }, (_, n) => `${n},x,KE,1,1,`).join('\n')}`,
    mappingOf(plain),
  )
  t.equal(many.faults.length, 1001)
  t.equal(many.faults.at(-1)?.reason, 'too-many-faults')
})

t.test('a formula is text where text may stand, and nothing else anywhere', async (t) => {
  const formulas = ['=1+1', '+1+1', '-1+1', '@SUM(A1)', '=cmd|x!A0']
  for (const formula of formulas) {
    const { rows } = await mapRows(`${header}\n1,2026-01-01,KE,1,1,"${formula}"\n`, mappingOf(plain))
    t.equal(rows[0]?.fields['narrative'], formula)
    for (const column of [1, 2, 3, 4]) {
      const cells = good.split(',').with(column, formula)
      t.equal((await faultsOf(`${header}\n${cells.join(',')}\n`)).length, 1, `${formula} in column ${column}`)
    }
  }
})

t.test('a mapping is checked against its form before any file is read', async (t) => {
  const refused: [string, unknown, string][] = [
    ['no JSON', '{', ' not-json'],
    ['a list', [], ' not-an-object'],
    ['nothing', null, ' not-an-object'],
    ['an unknown setting', { ...plain, colour: 1 }, '/colour unknown-field'],
    ['a bad name', { ...plain, mapping: 'My Map' }, '/mapping malformed'],
    ['no form', { ...plain, form: 'nil' }, '/form no-such-form'],
    ['a version that is not there', { ...plain, version: 9 }, '/form no-such-form'],
    ['no key', { ...plain, key: undefined }, '/key missing'],
    ['no columns', { ...plain, columns: {} }, '/columns missing'],
    ['an odd delimiter', { ...plain, delimiter: '/' }, '/delimiter malformed'],
    ['a field that is not there', { ...plain, columns: { a: { field: '/colour' } } }, '/columns/a/field no-such-field'],
    ['a field without a slash', { ...plain, columns: { a: { field: 'country' } } }, '/columns/a/field no-such-field'],
    ['a group as a field', { ...plain, columns: { a: { field: '/place' } } }, '/columns/a/field no-such-field'],
    ['the prototype', { ...plain, columns: { a: { field: '/__proto__/x' } } }, '/columns/a/field no-such-field'],
    ['a method', { ...plain, columns: { a: { field: '/toString' } } }, '/columns/a/field no-such-field'],
    [
      'an unknown setting of a target',
      { ...plain, columns: { a: [{ field: '/country', x: 1 }] } },
      '/columns/a/0/x unknown-field',
    ],
    [
      'a code that is none',
      { ...plain, columns: { a: { field: '/mode', codes: { road: '33' } } } },
      '/columns/a/codes not-in-list',
    ],
    [
      'a code that is a number',
      { ...plain, columns: { a: { field: '/mode', codes: { road: 3 } } } },
      '/columns/a/codes not-in-list',
    ],
    [
      'a separator for a single field',
      { ...plain, columns: { a: { field: '/mode', separator: ' ' } } },
      '/columns/a/separator malformed',
    ],
    [
      'many decimals',
      { ...plain, columns: { a: { field: '/country', decimals: 99 } } },
      '/columns/a/decimals malformed',
    ],
    [
      'an odd date',
      { ...plain, columns: { a: { field: '/date', dateFormat: 'YY' } } },
      '/columns/a/dateFormat malformed',
    ],
    [
      'a commodity that is none',
      { ...plain, columns: { a: { goods: { category: 'tea', unit: 'KGM' } } } },
      '/columns/a/goods/category not-in-list',
    ],
    [
      'a unit that is none',
      { ...plain, columns: { a: { goods: { category: 'drugs', unit: 'kg' } } } },
      '/columns/a/goods/unit not-in-list',
    ],
    ['goods and a field at once', { ...plain, columns: { a: { goods: {}, field: '/date' } } }, '/columns/a wrong-type'],
    [
      'goods in a form without',
      { ...plain, form: 'text', columns: { a: { goods: { category: 'drugs', unit: 'KGM' } } } },
      '/columns/a no-such-field',
    ],
    ['a subject with a stranger', { ...plain, subject: 'Seizure {nr}' }, '/subject no-such-column'],
    ['a constant that is no code', { ...plain, constants: { '/country': 'Kenya' } }, '/constants malformed'],
  ]
  for (const [what, json, expected] of refused) {
    const read = readMapping(json)
    t.ok(
      'faults' in read && read.faults.some(({ pointer, reason }) => `${pointer} ${reason}` === expected),
      `${what}: ${JSON.stringify(read).slice(0, 200)}`,
    )
  }
  const several = readMapping({ ...plain, mapping: '', key: '', delimiter: '/' })
  t.equal('faults' in several && several.faults.length, 3, 'all faults at once')
})

const national = {
  mapping: 'national-system',
  form: 'seizure',
  delimiter: ';',
  decimalComma: true,
  key: 'nr',
  subject: 'Fall {nr}',
  columns: {
    nr: { field: '/reference' },
    tag: { field: '/date', dateFormat: 'DD.MM.YYYY' },
    land: { field: '/country' },
    kokain_kg: { goods: { category: 'drugs/cocaine', unit: 'KGM' } },
    heroin_g: { goods: { category: 'drugs/opioids/heroin', unit: 'GRM', estimated: true } },
    ort: { field: '/placeName' },
    route: { field: '/transit', separator: ' ' },
    personen: { field: '/persons' },
    bemerkung: { field: '/narrative' },
  },
  constants: { '/language': 'en' },
}

t.test('a national system with its own delimiter, dates and decimals', async (t) => {
  const csv = readFileSync(new URL('fixtures/import/national-system.csv', import.meta.url))
  const { rows, faults } = await mapRows(csv, mappingOf(national))
  t.same(faults, [])
  t.same(
    rows.map(({ line, key, subject }) => [line, key, subject]),
    [
      [2, 'A-1', 'Fall A-1'],
      [4, 'A-2', 'Fall A-2'],
      [6, 'A-3', 'Fall A-3'],
    ],
  )
  const { imported, ...first } = rows[0]?.fields ?? {}
  t.same(first, {
    language: 'en',
    reference: 'A-1',
    date: '2025-12-24',
    country: 'DE',
    items: [{ category: 'drugs/cocaine', unit: 'KGM', quantity: '1.5' }],
    placeName: 'Hamburg; Hafen',
    transit: ['CO', 'ES'],
    persons: 2,
    narrative: 'Erste Zeile\r\nzweite "Zeile"',
  })
  t.same(imported, { mapping: 'national-system', key: 'A-1', source: rows[0]?.source })
  t.equal(rows[1]?.fields['narrative'], '=HYPERLINK("http://x";"y")')
  t.same(rows[1]?.fields['items'], [
    { category: 'drugs/opioids/heroin', unit: 'GRM', estimated: true, quantity: '250' },
  ])
  t.same(
    rows[2]?.fields['items'],
    [{ category: 'drugs/cocaine', unit: 'KGM', quantity: '0' }],
    'a zero that was reported is no silence',
  )
})

t.test('a row without any quantity is a seizure still', async (t) => {
  const { rows, faults } = await mapRows(`${header}\n1,2026-01-01,KE,,,\n`, mappingOf(plain))
  t.same(faults, [])
  t.equal(rows[0]?.fields['items'], undefined)
  t.equal(figuresOf(rows.map(asMessage)).seizures, 1)
})

t.test('a subject that is no line is a fault of its row', async (t) => {
  const mapping = { ...plain, subject: 'On {note}' }
  t.same(await faultsOf(`${header}\n1,2026-01-01,KE,1,1,"a\nb"\n`, mapping), ['2  malformed'])
  t.same(await faultsOf(`${header}\n1,2026-01-01,KE,1,1,${'x'.repeat(300)}\n`, mapping), ['2  malformed'])
})

t.test('the hash of a row changes with what is used of it, and with nothing else', async (t) => {
  const source = async (csv: string, mapping: unknown = plain) =>
    (await mapRows(csv, mappingOf(mapping))).rows[0]?.source
  const first = await source(`${header}\n${good}\n`)
  t.equal(await source(`note,persons,kg,country,day,id\nfine,1,2.5,KE,2026-01-31,1\n`), first, 'columns moved')
  t.equal(await source(`${header},x\n${good},new\n`, { ...plain, ignore: ['x'] }), first, 'a column that is ignored')
  t.equal(await source(`\uFEFF${header}\r\n"1","2026-01-31",KE,2.5,1,fine`), first, 'quotes and line ends')
  t.not(await source(`${header}\n1,2026-01-31,KE,2.50,1,fine\n`), first)
  t.not(await source(`${header}\n1,2026-01-31,KE,2.5,1,Fine\n`), first)
})

t.test('any table survives being written and read', async () => {
  const cell = fc.string({
    unit: fc.constantFrom('a', ',', ';', '"', '\n', '\r', ' ', '=', 'é', '😀', '\t'),
    maxLength: 8,
  })
  const tables = fc
    .integer({ min: 2, max: 5 })
    .chain((width) => fc.array(fc.array(cell, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 8 }))
  const ends = fc.constantFrom('\n', '\r\n', '\r')
  const quoted = (value: string) => `"${value.replaceAll('"', '""')}"`
  fc.assert(
    fc.property(tables, ends, fc.constantFrom(',', ';', '\t'), fc.boolean(), (table, end, delimiter, last) => {
      const head = (table[0] ?? []).map((_, n) => `c${n}`)
      const text = [head, ...table].map((row) => row.map(quoted).join(delimiter)).join(end) + (last ? end : '')
      const read = readCsv(text, delimiter)
      if (isImportFault(read)) return false
      const lines = read.records.map(({ line }) => line)
      return (
        JSON.stringify(read.records.map(({ cells }) => cells)) === JSON.stringify(table) &&
        lines.every((n, i) => n > (lines[i - 1] ?? 1))
      )
    }),
  )
})

t.test('no text at all makes the reader throw', async () => {
  const hostile = fc.string({
    unit: fc.constantFrom('"', ',', '\n', '\r', '\0', 'a', '\uFEFF', '\ud800'),
    maxLength: 40,
  })
  await fc.assert(
    fc.asyncProperty(hostile, async (text) => {
      const { rows, faults } = await mapRows(text, mappingOf(plain))
      return rows.length === 0 && faults.length > 0
    }),
  )
})

t.test('INV-20: the id of a row is the same each time, and another for anything else', async (t) => {
  const key = new Uint8Array(32).fill(7)
  const id = await importMessageId(key, 'op', 'map', 'row')
  t.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.equal(await importMessageId(key, 'op', 'map', 'row'), id)
  const others = await Promise.all([
    importMessageId(new Uint8Array(32).fill(8), 'op', 'map', 'row'),
    importMessageId(key, 'op2', 'map', 'row'),
    importMessageId(key, 'op', 'map2', 'row'),
    importMessageId(key, 'op', 'map', 'row2'),
    importMessageId(key, 'op', 'map', 'row', 'revision'),
    importMessageId(key, 'opm', 'ap', 'row'),
    importMessageId(key, 'op', 'map","row', ''),
    importMessageId(key, '', 'op', 'map'),
  ])
  t.equal(new Set([id, ...others]).size, 9)
  await t.rejects(importMessageId(new Uint8Array(31), 'op', 'map', 'row'), RangeError)
  await t.rejects(importMessageId(new Uint8Array(0), 'op', 'map', 'row'), RangeError)
})

function asMessage({ key, form, fields }: MappedRow, index: number) {
  return { id: key, index, thread: key, organization: 'one', form, exercise: false, fields }
}

// The columns of quantities, and where each of them goes.
const columns = {
  live_specimens: ['wildlife/pangolin/live', 'H87'],
  carcasses: ['wildlife/pangolin/carcass', 'H87'],
  whole_specimens: ['wildlife/pangolin/whole', 'H87'],
  whole_weight_kg: ['wildlife/pangolin/whole', 'KGM'],
  scales_weight_kg: ['wildlife/pangolin/scales', 'KGM'],
} as const

const data = new URL('../../shared/data/pangolin-seizures.csv', import.meta.url)
const skip = existsSync(data) ? false : 'the 651 real seizures do not lie beside this repository'

t.test('651 real seizures are mapped without a loss', { skip }, async (t) => {
  const csv = readFileSync(data)
  const mapping = mappingOf(
    readFileSync(new URL('../docs/examples/pangolin-seizures.map.json', import.meta.url), 'utf8'),
  )
  const { rows, faults } = await mapRows(csv, mapping)
  t.same(faults, [])
  t.equal(rows.length, 651)
  const read = readCsv(csv)
  if (isImportFault(read)) throw new Error(read.reason)
  const names = read.header.cells
  const { quantities } = figuresOf(rows.map(asMessage))
  for (const [column, [category, unit]] of Object.entries(columns)) {
    const cells = read.records.map(({ cells }) => cells[names.indexOf(column)] ?? '').filter((cell) => cell !== '')
    // In thousandths, so that the plain sum shares nothing with the code it judges.
    const thousandths = cells.reduce((sum, cell) => sum + BigInt(Math.round(Number(cell) * 1000)), 0n)
    const row = quantities.find((candidate) => candidate.category === category && candidate.unit === unit)
    t.equal(BigInt(Math.round(Number(row?.quantity) * 1000)), thousandths, column)
    t.equal(row?.seizures, cells.filter((cell) => Number(cell) > 0).length, `${column}: as many rows above zero`)
  }
  t.equal(quantities.length, 5)
  let lost = 0
  for (const [n, { cells }] of read.records.entries()) {
    const row = rows[n]
    const cell = (name: string) => cells[names.indexOf(name)] ?? ''
    if (row === undefined || !sameAsRow(row, cell)) lost += 1
  }
  t.equal(lost, 0, 'every cell of every row can be told from its message')
  t.ok(rows.every(({ form, version, fields }) => validateFields(form, version, fields).length === 0))
})

/** Whether each cell can be told from the fields again. */
function sameAsRow({ fields }: MappedRow, cell: (name: string) => string): boolean {
  const at = (...path: string[]) =>
    path.reduce<unknown>((value, step) => (value as Record<string, unknown> | undefined)?.[step], fields)
  const text = (value: unknown) => (Array.isArray(value) ? value.join(' ') : typeof value === 'string' ? value : '')
  const goods = (at('items') ?? []) as { category: string; unit: string; quantity: string }[]
  const transport = { 1: 'sea', 2: 'rail', 3: 'road', 4: 'air', 5: 'mail', 8: 'inland-water' }
  const means = { luggage: 'passenger-luggage', pedestrian: 'pedestrian', online: 'online' }
  const concealment = {
    hidden: 'hidden',
    misdeclared: 'misdeclared',
    packaging: 'in-packaging',
    luggage: 'in-luggage',
    container: 'in-container',
  }
  const word = (words: Record<string, string>, value: unknown) => words[text(value)] ?? ''
  const told: Record<string, string> = {
    ref: text(at('reference')),
    date: text(at('date')),
    country: text(at('country')),
    place: text(at('placeName')),
    latitude: text(at('exactPosition', 'latitude')),
    longitude: text(at('exactPosition', 'longitude')),
    transport: word(means, at('conveyance', 'kind')) || word(transport, at('mode')),
    concealment: word(concealment, at('concealment')),
    came_from: text(at('departure')),
    going_to: text(at('destination')),
    outcome: text(at('outcome')),
  }
  for (const [column, [category, unit]] of Object.entries(columns))
    told[column] = goods.find((item) => item.category === category && item.unit === unit)?.quantity ?? ''
  const near = Math.abs(Number(at('place', 'latitude')) - Number(cell('latitude'))) <= 0.0051
  return near && Object.entries(told).every(([column, value]) => value === cell(column))
}
