// What this holds: files as spreadsheets and publishers write them become what they say: kinds of
// rows, keys, numbers, days and words that failed once.
import t from 'tap'
import { figuresOf } from '../src/client/figures.ts'
import { mapRows, readMapping, type MappedRow, type Mapping, type Remark } from '../src/client/import/index.ts'

function mappingOf(json: unknown): Mapping {
  const read = readMapping(json)
  if ('faults' in read) throw new Error(JSON.stringify(read.faults))
  return read.mapping
}

const plain = {
  mapping: 'plain',
  form: 'seizure',
  key: 'ref',
  subject: 'Case {ref}',
  columns: {
    ref: { field: '/reference' },
    date: { field: '/date' },
    country: { field: '/country' },
    place: { field: '/placeName' },
    kg: { goods: { category: 'drugs/cocaine', unit: 'KGM' } },
  },
}

async function mapped(lines: readonly string[] | Uint8Array, mapping: unknown = plain) {
  const file = lines instanceof Uint8Array ? lines : lines.join('\n')
  const { rows, faults, remarks, records } = await mapRows(file, mappingOf(mapping))
  return {
    rows,
    records,
    faults: faults.map(({ line, column, reason }) => `${line} ${column} ${reason}`),
    advice: faults.map(({ advice }) => advice),
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
const quantityOf = (row: MappedRow | undefined) => goodsOf(row)[0]?.['quantity']

t.test('a point beside a decimal comma is a fault, unless the mapping says that it groups thousands', async (t) => {
  const file = ['ref;date;country;place;kg', 'B1;2026-02-05;AT;Linz;1.500', 'B3;2026-02-05;AT;Linz;3,25']
  const comma = { ...plain, delimiter: ';', decimalComma: true }
  const refused = await mapped(file, comma)
  t.same(refused.faults, ['2 kg malformed'])
  t.match(refused.advice[0], /"thousands": "\."/)
  const grouped = await mapped(file, { ...comma, thousands: '.' })
  t.same(grouped.faults, [])
  t.same(figures(grouped.rows).totals, [{ unit: 'KGM', quantity: '1503.25', estimated: '0' }])
})

t.test('digits are grouped in the right places, or it is no number', async (t) => {
  const read = async (cell: string, style: object) => {
    const { rows, faults } = await mapped([`ref|date|country|place|kg`, `1|2026-01-05|AT|Wien|${cell}`], {
      ...plain,
      delimiter: '|',
      ...style,
    })
    return faults.length > 0 ? 'fault' : quantityOf(rows[0])
  }
  const english = { thousands: ',' }
  const german = { decimalComma: true, thousands: '.' }
  const spaced = { decimalComma: true, thousands: ' ' }
  const swiss = { thousands: "'" }
  const indian = { thousands: ',', grouping: 'indian' }
  const cases: [string, object, unknown][] = [
    ['1,234.5', english, '1234.5'],
    ['1,234,567.125', english, '1234567.125'],
    ['1234567.125', english, '1234567.125'],
    ['1,23.5', english, 'fault'],
    ['12,34', english, 'fault'],
    ['1,234,56', english, 'fault'],
    ['1234,567', english, 'fault'],
    ['1.234,5', english, 'fault'],
    ['1,234', {}, 'fault'],
    ['1 234', {}, 'fault'],
    ['1.234,5', german, '1234.5'],
    ['1.23', german, 'fault'],
    ['1.234.567', german, '1234567'],
    ['1 234 567,5', spaced, '1234567.5'],
    ['1\u00a0234,5', spaced, '1234.5'],
    ['1\u202f234,5', spaced, '1234.5'],
    ['1 234\u00a0567', spaced, 'fault'],
    ["1'234.50", swiss, '1234.50'],
    ['1’234.50', swiss, '1234.50'],
    ['12,34,567.5', indian, '1234567.5'],
    ['1,234', indian, '1234'],
    ['1,234,567', indian, 'fault'],
    ['2.09E-05', {}, 'fault'],
    ['2.09E-05', { scientific: true }, 'fault'],
    ['2.1e-05', { scientific: true }, '0.000021'],
    ['1.5E+3', { scientific: true }, '1500'],
    ['1e999', { scientific: true }, 'fault'],
    ['.5', {}, '0.5'],
    ['5.', {}, 'fault'],
    ['0.1234567', {}, 'fault'],
    ['0.1234560000', {}, '0.123456'],
    ['-1', {}, 'fault'],
    ['1.500', {}, '1.500'],
  ]
  for (const [cell, style, expected] of cases)
    t.equal(await read(cell, style), expected, `${cell} ${JSON.stringify(style)}`)
})

t.test('a row of zero is no seizure of these goods, and what is zero everywhere is no seizure', async (t) => {
  const mapping = {
    mapping: 'zeros',
    form: 'seizure',
    key: 'State',
    columns: {
      State: { field: '/placeName' },
      Khat: { goods: { category: 'drugs/khat/dried', unit: 'KGM' } },
      Heroin: { goods: { category: 'drugs/opioids/heroin', unit: 'KGM' } },
    },
    constants: { '/country': 'IN', '/date': '2023-01-01', '/dateTo': '2023-12-31' },
  }
  const file = ['State,Khat,Heroin', 'Goa,0.0,7.25', 'Kerala,0.0,0.0', 'Bihar,0,1.5', 'Punjab,0.00,90.125']
  const kept = await mapped(file, mapping)
  t.match(figures(kept.rows), {
    seizures: 3,
    cases: 3,
    quantities: [{ category: 'drugs/opioids/heroin', unit: 'KGM', quantity: '98.875', seizures: 3 }],
  })
  t.equal(figures(kept.rows).quantities.length, 1, 'no khat')
  t.equal(kept.rows.length, 4, 'that somebody looked is told')
  t.same(kept.told, ['zero Khat  4', 'zero Heroin  1'])
  const short = await mapped(file, { ...mapping, zeros: 'leave-out' })
  t.same(figures(short.rows), figures(kept.rows))
  t.same(
    short.rows.map(({ key }) => key),
    ['Goa', 'Bihar', 'Punjab'],
  )
  t.same(short.told, ['zero-left-out Khat  4', 'zero-left-out Heroin  1', 'nothing-found   1'])
})

t.test('rows of delimiters alone, a nameless empty column and a line that names the delimiter', async (t) => {
  const blank = await mapped(['ref,date,country,place,kg', 'C1,2026-01-05,AT,Wien,1.5', ',,,,', ' , ,,,', ',,,,'])
  t.match(blank, { faults: [], rows: { length: 1 }, told: ['blank-row   3'], records: 1 })
  const nameless = await mapped(['ref,date,country,place,kg,,', 'C1,2026-01-05,AT,Wien,1.5,,'])
  t.match(nameless, { faults: [], rows: { length: 1 }, told: ['nameless-column  6 1', 'nameless-column  7 1'] })
  const filled = await mapped(['ref,date,country,place,kg,', 'C1,2026-01-05,AT,Wien,1.5,x'])
  t.same(filled.faults, ['1  column-without-name'], 'a cell is never dropped')
  const ragged = await mapped(['ref,date,country,place,kg', 'C1,2026-01-05,AT,Wien,1.5,,'])
  t.match(ragged, { faults: [], rows: { length: 1 }, told: ['empty-cell-after-last-column   1'] })
  for (const [first, delimiter] of [
    ['sep=;', ';'],
    ['SEP=;', ';'],
    ['"sep=;"', ';'],
    ['\uFEFFsep=;', ';'],
    ['sep=\t', '\t'],
    ['sep=,', ','],
    ['sep=;;;;;', ';'],
  ] as const) {
    const lines = [
      ['ref', 'date', 'country', 'place', 'kg'],
      ['C1', '2026-01-05', 'AT', 'Wien', '1.5'],
    ]
    const read = await mapped([first, ...lines.map((cells) => cells.join(delimiter))], { ...plain, delimiter: ';' })
    t.match(read, { faults: [], rows: [{ line: 3, key: 'C1' }] }, JSON.stringify(first))
    t.match(read.told[0], /^delimiter-named/)
  }
})

t.test('a word means missing where the mapping says so, and is looked at where it does not', async (t) => {
  const file = ['ref,date,country,place,kg', 'D1,2026-01-05,NA,NA,1', 'D2,2026-01-05,AT,NULL,2']
  const taken = await mapped(file)
  t.equal(taken.rows[0]?.fields['country'], 'NA', 'Namibia')
  t.same(taken.told, [
    'warning-namibia country NA 1',
    'warning-missing-word place NA 1',
    'warning-missing-word place NULL 1',
  ])
  const inColumn = { ...plain.columns, country: { field: '/country', missing: ['NA'] } }
  const refused = await mapped(file, { ...plain, columns: inColumn })
  t.same(refused.faults, ['2 country missing'], 'a country that was not reported is none')
  const everywhere = await mapped(file, {
    ...plain,
    missing: ['NULL', 'NA'],
    columns: { ...plain.columns, country: { field: '/country', missing: [] } },
  })
  t.match(everywhere.rows, [{ fields: { country: 'NA' } }, {}], 'this column has its own words, and none')
  t.same(
    everywhere.rows.map(({ fields }) => fields['placeName']),
    [undefined, undefined],
  )
  t.same(everywhere.told, ['missing place NA 1', 'missing place NULL 1'])
})

t.test('days and spans are read in the formats that the mapping names', async (t) => {
  const read = async (cell: string, reading: object) => {
    const columns = { ...plain.columns, date: { field: '/date', ...reading } }
    const { rows, faults } = await mapped(['ref|date|country|place|kg', `1|${cell}|AT|Wien|1`], {
      ...plain,
      delimiter: '|',
      columns,
    })
    const { date, dateTo } = rows[0]?.fields ?? {}
    return faults.length > 0
      ? faults[0]?.split(' ')[2]
      : [date, dateTo].filter((day) => typeof day === 'string').join(' ')
  }
  const cases: [string, object, string][] = [
    ['5/16/11', { dateFormat: 'M/D/YY' }, '2011-05-16'],
    ['16/5/11', { dateFormat: 'D/M/YY' }, '2011-05-16'],
    ['16/5/11', { dateFormat: 'M/D/YY' }, 'not-a-date'],
    ['2/30/11', { dateFormat: 'M/D/YY' }, 'not-a-date'],
    ['1/2/75', { dateFormat: 'M/D/YY' }, '1975-01-02'],
    ['1/2/75', { dateFormat: 'M/D/YY', firstYear: 1990 }, '2075-01-02'],
    ['2015', { dateFormat: 'YYYY' }, '2015-01-01 2015-12-31'],
    ['2016-02', { dateFormat: 'YYYY-MM' }, '2016-02-01 2016-02-29'],
    ['201602', { dateFormat: 'YYYYMM' }, '2016-02-01 2016-02-29'],
    ['Feb-16', { dateFormat: 'MMM-YY' }, '2016-02-01 2016-02-29'],
    ['2016 Q4', { dateFormat: 'YYYY Q' }, 'not-a-date'],
    ['2016 Q4', { dateFormat: "YYYY 'Q'Q" }, '2016-10-01 2016-12-31'],
    ['2025', { dateFormat: 'YYYY', fiscalYearBegins: 10 }, '2024-10-01 2025-09-30'],
    ['2025 OCT', { dateFormat: 'YYYY MMM', fiscalYearBegins: 10 }, '2024-10-01 2024-10-31'],
    ['2025 sept', { dateFormat: 'YYYY MMM', fiscalYearBegins: 10 }, '2025-09-01 2025-09-30'],
    ['3 août 2024', { dateFormat: 'D MMM YYYY', language: 'fr' }, '2024-08-03'],
    ['3 AOUT 2024', { dateFormat: 'D MMM YYYY', language: 'fr' }, '2024-08-03'],
    ['3 févr. 2024', { dateFormat: 'D MMM YYYY', language: 'fr' }, '2024-02-03'],
    ['3 jui 2024', { dateFormat: 'D MMM YYYY', language: 'fr' }, 'not-a-date'],
    ['3 de marzo de 2024', { dateFormat: "D 'de' MMMM 'de' YYYY", language: 'es' }, '2024-03-03'],
    ['March 3, 2024', { dateFormat: 'MMMM D, YYYY' }, '2024-03-03'],
    ['2024-02-29 23:59:59', { dateFormat: 'YYYY-MM-DD HH:mm:ss' }, '2024-02-29'],
    ['2024-02-29T23:59:59Z', { dateFormat: 'YYYY-MM-DDTHH:mm:ssZ' }, '2024-02-29'],
    ['2024-02-29 25:00:00', { dateFormat: 'YYYY-MM-DD HH:mm:ss' }, 'not-a-date'],
    ['1/2/2024 3:04 PM', { dateFormat: 'M/D/YYYY h:mm A' }, '2024-01-02'],
    ['31.12.2024', { dateFormat: ['YYYY-MM-DD', 'DD.MM.YYYY'] }, '2024-12-31'],
    ['1850', { dateFormat: 'YYYY' }, 'not-a-date'],
  ]
  for (const [cell, reading, expected] of cases)
    t.equal(await read(cell, reading), expected, `${cell} ${JSON.stringify(reading)}`)
  const timed = await mapped(['ref,date,country,place,kg', '1,2024-02-29 23:59,AT,Wien,1'], {
    ...plain,
    columns: { ...plain.columns, date: { field: '/date', dateFormat: 'YYYY-MM-DD HH:mm' } },
  })
  t.same(timed.told, ['time-left-out date  1'])
})
