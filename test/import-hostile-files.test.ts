// What this holds: files as offices really send them are taken for what they say or refused with
// line, column and what to do: no value is lost, defaulted, merged or misread in silence.
import t from 'tap'
import { mapRows, readMapping } from '../src/client/import/index.ts'

const columns = {
  ref: { field: '/reference' },
  date: { field: '/date' },
  kg: { goods: { category: 'drugs/cocaine', unit: 'KGM' } },
}
const plain = { mapping: 'plain', form: 'seizure', key: 'ref', constants: { '/country': 'KE' }, columns }

async function mapped(file: string | Uint8Array, more: object = {}) {
  const read = readMapping({ ...plain, ...more })
  if ('faults' in read) throw new Error(JSON.stringify(read.faults))
  const { rows, faults, remarks } = await mapRows(file, read.mapping)
  return {
    goods: rows.map(({ fields }) => (fields['items'] ?? []) as Readonly<Record<string, unknown>>[]),
    fields: rows.map(({ fields }) => fields),
    faults: faults.map(({ line, column, reason }) => `${line} ${column} ${reason}`),
    advice: faults.map(({ advice }) => advice),
    told: remarks.map(({ kind, column, detail, count }) => [kind, column, detail, count].join(' ').replace('  ', ' ')),
  }
}

const goodsFrom = (members: object) => ({
  columns: { ref: columns.ref, date: columns.date },
  fields: { '/items': [{ category: 'wildlife/birds', ...members }] },
})
const head = 'ref,date,kg\n'

// Bites: `encodingTold` and `lineOfUtf8` in src/client/import/encodings.ts.
t.test('a file in another encoding than its mapping names is refused, and its own one is named', async (t) => {
  const file = 'ref,date,kg,place\nA,2024-01-05,1,Zürich\n'
  const place = { columns: { ...columns, place: { field: '/placeName' } } }
  const wide = Buffer.from(file, 'utf16le')
  const swapped = Buffer.from(wide).swap16()
  const marked = Buffer.from(`\uFEFF${file}`, 'utf16le')
  const cases: [Uint8Array, string, string, RegExp][] = [
    [wide, 'utf-8', '1  not-utf-8', /"encoding": "utf-16le"/],
    [swapped, 'utf-8', '1  not-utf-8', /"encoding": "utf-16be"/],
    [marked, 'windows-1252', '1  wrong-encoding', /"encoding": "utf-16le"/],
    [marked, 'utf-16be', '1  wrong-encoding', /"encoding": "utf-16le"/],
    [Buffer.from(`\uFEFF${file}`), 'windows-1252', '1  wrong-encoding', /"encoding": "utf-8"/],
    [Buffer.from(file), 'windows-1252', '2  wrong-encoding', /"encoding": "utf-8"/],
    [Buffer.from(file), 'iso-8859-2', '2  wrong-encoding', /"encoding": "utf-8"/],
    [Buffer.from(file, 'latin1'), 'utf-8', '2  not-utf-8', /line 2/],
    [
      Buffer.concat([Buffer.from(`${head}A,2024-01-05,1\n`), Buffer.from([0xff])]),
      'shift_jis',
      '3  wrong-encoding',
      /./,
    ],
  ]
  for (const [bytes, encoding, fault, advice] of cases) {
    const refused = await mapped(bytes, { ...place, encoding })
    t.same(refused.faults, [fault], `${encoding} ${String(advice)}`)
    t.match(refused.advice[0], advice)
  }
  for (const [bytes, encoding] of [
    [wide, 'utf-16le'],
    [marked, 'UTF-16'],
    [swapped, 'utf-16be'],
    [Buffer.from(file, 'latin1'), 'latin1'],
    [Buffer.from(file, 'latin1'), 'CP1252'],
    [Buffer.from(file, 'latin1'), 'ISO-8859-1'],
    [Buffer.from(`\uFEFF${file}`), 'UTF8'],
  ] as const)
    t.match(await mapped(bytes, { ...place, encoding }), { faults: [], fields: [{ placeName: 'Zürich' }] }, encoding)
})

t.test('a file without a byte, and one of letters alone, tell no encoding', async (t) => {
  t.same((await mapped(new Uint8Array())).faults, ['1  empty'])
  t.same((await mapped(Buffer.from('a'))).faults.slice(0, 1), ['1 ref no-such-column'])
  t.same((await mapped(Buffer.from('ref,date,kg\nA,2024-01-05,\0'))).faults, ['2  nul'])
})

t.test('rows that a spreadsheet cut short, notes below a table and row names are what they are', async (t) => {
  const short = await mapped('ref,date,kg,\nA,2024-01-05,1.5\nB,2024-01-05,2,\n')
  t.same(short.faults, [])
  t.same(short.told, ['nameless-column 4 1'])
  t.same((await mapped(`${head}A,2024-01-05\n`)).faults, ['2  wrong-number-of-cells'])
  const leaveOut = [{ column: 'ref', in: ['Source: National Bureau', 'Total'] }]
  const note = await mapped(`${head}A,2024-01-05,1\nTotal,,1\nSource: National Bureau\n\u001A`, { leaveOut })
  t.same(note.faults, [])
  t.same(note.told, ['left-out ref Source: National Bureau 1', 'left-out ref Total 1'])
  const names = '"","ref","date","kg"\n"1","A","2024-01-05",1.5\n"2","B","2024-01-05",2\n'
  const refused = await mapped(names)
  t.same(refused.faults, ['1  column-without-name'])
  t.match(refused.advice[0], /"ignore"/)
  t.match(await mapped(names, { ignore: [''] }), { faults: [], told: ['nameless-ignored 1 1'] })
})

// Bites: `isNote` in src/client/import/columns.ts.
t.test('a row that broke in two is a fault, also where a rule leaves out what has no word', async (t) => {
  const leaveOut = [{ column: 'kg', notIn: ['1'] }]
  t.same((await mapped(`${head}A,2024\n-01-05,1\n`, { leaveOut })).faults, ['2  wrong-number-of-cells'])
  const wrong = await mapped(`${head}A,2024-01-05,#REF!\n`, { leaveOut })
  t.same(wrong.faults, ['2 kg spreadsheet-error'])
})

// Bites: `namedAsMapped` in src/client/import/columns.ts.
t.test('a name of a column that is written otherwise is the one of the mapping, if it is alone', async (t) => {
  for (const header of ['Ref,DATE,kg ', 'ref,"da\u00ADte",kg', '\u200Bref,date,KG'])
    t.same((await mapped(`${header}\nA,2024-01-05,1\n`)).faults, [], header)
  const broken = await mapped('ref,date,"Net\nmass (kg)"\nA,2024-01-05,1\n', {
    columns: { ref: columns.ref, date: columns.date, 'Net mass (kg)': columns.kg },
  })
  t.match(broken, { faults: [], goods: [[{ quantity: '1' }]], told: [/^column-written-otherwise Net mass \(kg\)/] })
  const two = await mapped('ref,date,KG,Kg\nA,2024-01-05,1,2\n')
  t.same(two.faults, ['1 kg no-such-column', '1 KG column-not-mapped', '1 Kg column-not-mapped'])
  const exact = await mapped('ref,date,kg,KG\nA,2024-01-05,1,2\n', { ignore: ['KG'] })
  t.match(exact, { faults: [], goods: [[{ quantity: '1' }]] })
})

// Bites: `readGroup` and `emptyCell`.
t.test('a quantity without a unit is a fault, unless a table says what an empty cell means', async (t) => {
  const file = 'ref,date,q,u\nA,2024-01-05,5,\nB,2024-01-05,6,KG\nC,2024-01-05,,\n'
  const unit = (codes: object) => goodsFrom({ quantity: { column: 'q' }, unit: { column: 'u', codes } })
  const refused = await mapped(file, unit({ KG: 'KGM' }))
  t.same(refused.faults, ['2 u missing'])
  t.match(refused.advice[0], /\{"": "H87"\}/)
  const said = await mapped(file, unit({ KG: 'KGM', '': 'H87' }))
  t.same(said.faults, [])
  t.match(said.goods, [[{ quantity: '5', unit: 'H87' }], [{ quantity: '6', unit: 'KGM' }]])
  t.same(said.goods[2], [], 'an empty row is not made goods by a unit alone')
  t.ok(said.told.includes('empty-means u H87 2'))
  t.match(await mapped(file.replace('5,5,', '5,5,NA'), { ...unit({ KG: 'KGM', '': 'H87' }), missing: ['NA'] }), {
    goods: [[{ quantity: '5', unit: 'H87' }], [{ quantity: '6', unit: 'KGM' }], []],
  })
  const nothing = await mapped(file, unit({ KG: 'KGM', '': null }))
  t.match(nothing, { faults: [], goods: [[{ category: 'wildlife/birds' }], [{ quantity: '6' }], []] })
  t.ok(nothing.told.includes('quantity-left-out q 1'))
  const never = readMapping({ ...plain, ...goodsFrom({ quantity: { column: 'q' } }) })
  t.match(never, { faults: [{ pointer: '/fields/~1items/0/unit', reason: 'missing' }] })
})

t.test('goods whose quantity is missing are no goods, whatever else their row says', async (t) => {
  const wide = { columns: { ...columns, kg: { goods: { ...columns.kg.goods, description: { column: 'd' } } } } }
  for (const cell of ['', 'NA']) {
    const { goods, faults } = await mapped(`ref,date,kg,d\nA,2024-01-05,${cell},in a bag\n`, {
      ...wide,
      missing: ['NA'],
    })
    t.same([goods, faults], [[[]], []], cell)
  }
})

// Bites: `isMissing` in src/client/import/row-key.ts.
t.test('rows whose key says nothing never become one seizure in silence', async (t) => {
  const file = `${head}NA,2024-01-05,1\nNA,2024-01-05,2\n`
  t.same((await mapped(file, { together: true, missing: ['NA'] })).faults, ['2 ref missing', '3 ref missing'])
  t.same((await mapped(file, { together: true })).faults, ['2 ref doubtful-key', '3 ref doubtful-key'])
  const own = { columns: { ...columns, ref: { field: '/reference', missing: ['NA'] } } }
  t.same((await mapped(file, own)).faults, ['2 ref missing', '3 ref missing'])
  const part = await mapped(`${head}NA,2024-01-05,1\nNA,2024-01-05,2\n`, { together: true, key: ['ref', 'date'] })
  t.same(part.faults, [])
  t.ok(part.told.includes('warning-missing-key ref NA 2'))
})

t.test('no rounding and no sum says of a weight what the file does not say', async (t) => {
  const file = 'ref,date,q,w\nA,2024-01-05,5,0.0000001\n'
  const rounds = goodsFrom({ quantity: { column: 'q' }, unit: 'H87', weight: { column: 'w', decimals: 3 } })
  t.same((await mapped(file, rounds)).faults, ['2 w rounded-to-nothing'])
  const sums = goodsFrom({ quantity: { column: 'q' }, unit: 'H87', weight: { column: 'w' } })
  const { goods } = await mapped(
    'ref,date,q,w\nA,2024-01-05,5,2\nA,2024-01-05,7,2\nA,2024-01-05,1,\nA,2024-01-05,2,\n',
    {
      ...sums,
      together: true,
      addUp: true,
    },
  )
  t.match(goods, [[{ quantity: '5', weight: '2' }, { quantity: '7', weight: '2' }, { quantity: '3' }]])
})

// Bites: `byPrefix` and `bareDigits` in src/client/import/values.ts.
t.test('codes are found as people write them, and a code that lost a zero is looked at', async (t) => {
  const hs = { column: 'hs', pad: 6 }
  const source = goodsFrom({
    category: { ...hs, prefixes: { '01': 'wildlife/other', '2402': 'tobacco/cigarettes' }, otherwise: 'other' },
    hs,
    quantity: { column: 'q' },
    unit: 'KGM',
  })
  const codes: [string, string, string][] = [
    ['2402.20', 'tobacco/cigarettes', '240220'],
    ['2402-20', 'tobacco/cigarettes', '240220'],
    ['2402 20 90', 'tobacco/cigarettes', '240220'],
    ['10121', 'wildlife/other', '010121'],
    ['0101.21.00.10', 'wildlife/other', '010121'],
  ]
  for (const [cell, category, code] of codes)
    t.match(
      await mapped(`ref,date,q,hs\nA,2024-01-05,5,${cell}\n`, source),
      { goods: [[{ category, hs: code }]] },
      cell,
    )
  const odd = await mapped('ref,date,q,hs\nA,2024-01-05,5,1012100\n', source)
  t.ok(odd.told.includes('warning-odd-code hs 1'))
  const words = goodsFrom({
    category: { column: 'd', prefixes: { Heroin: 'drugs/opioids/heroin' }, otherwise: 'drugs/other' },
    quantity: { column: 'q' },
    unit: 'KGM',
  })
  t.match(await mapped('ref,date,q,d\nA,2024-01-05,5,HEROIN base\n', words), {
    goods: [[{ category: 'drugs/opioids/heroin' }]],
  })
  const mode = { columns: { ...columns, m: { field: '/mode', pad: 2, codes: { '01': '1' } } } }
  t.match(await mapped('ref,date,kg,m\nA,2024-01-05,5,1\n', mode), { faults: [], fields: [{ mode: '1' }] })
})

t.test('leading zeros are no part of a number, and grouped digits never begin with one', async (t) => {
  t.match(await mapped(`${head}A,2024-01-05,0012.50\n`), { goods: [[{ quantity: '12.50' }]] })
  for (const cell of ['0,500', '01,234', '1,23', '12,34', ',500'])
    t.same((await mapped(`${head}A,2024-01-05,"${cell}"\n`, { thousands: ',' })).faults, ['2 kg malformed'], cell)
})

t.test('a day that two formats read as two days is told, and one field of two columns has both named', async (t) => {
  const two = { columns: { ...columns, date: { field: '/date', dateFormat: ['D/M/YYYY', 'M/D/YYYY'] } } }
  const days = await mapped(`${head}A,03/04/2024,1\nB,25/04/2024,1\nC,04/04/2024,1\n`, two)
  t.same(days.told, ['warning-two-days date 2024-04-03 1'])
  const places = { columns: { ...columns, p: { field: '/placeName' }, q: { field: '/placeName' } } }
  const both = await mapped('ref,date,kg,p,q\nA,2024-01-05,5,x,y\nB,2024-01-05,5,,y\n', places)
  t.same(both.faults, ['2 p contradictory'])
  t.match(both.advice[0], /The column q fills this field too/)
})

t.test('an error of a spreadsheet in a CSV file is a fault in each language, and other words are not', async (t) => {
  const place = { columns: { ...columns, p: { field: '/placeName' } } }
  for (const word of ['#REF!', '#N/A', '#DIV/0!', '#NAME?', '#WERT!', '#NV', '#¡VALOR!', '#NOM?', '#BEZUG!'])
    t.same((await mapped(`ref,date,kg,p\nA,2024-01-05,5,${word}\n`, place)).faults, ['2 p spreadsheet-error'], word)
  for (const word of ['#12', '#A1', 'Gate #3!', '# 1 Main St', '#nv'])
    t.same((await mapped(`ref,date,kg,p\nA,2024-01-05,5,${word}\n`, place)).faults, [], word)
})
