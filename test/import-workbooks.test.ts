// What this holds: a workbook is a table like a CSV file, to the last digit, and a hostile one
// costs no memory.
import { strToU8, zipSync } from 'fflate'
import t from 'tap'
import { isImportFault, mapRows, readMapping, type Mapping } from '../src/client/import/index.ts'
import { isXlsx, readXlsx, xlsxLimits } from '../src/client/import/xlsx.ts'
import { sheetXml, workbook, type WorkbookCell } from './support/workbook.ts'

const header = ['ref', 'date', 'country', 'place', 'kg']
const plain = {
  mapping: 'plain',
  form: 'seizure',
  key: 'ref',
  columns: {
    ref: { field: '/reference' },
    date: { field: '/date', dateFormat: 'D/M/YYYY' },
    country: { field: '/country' },
    place: { field: '/placeName' },
    kg: { goods: { category: 'drugs/cocaine', unit: 'KGM' }, decimals: 6 },
  },
}

function mappingOf(json: unknown): Mapping {
  const read = readMapping(json)
  if ('faults' in read) throw new Error(JSON.stringify(read.faults))
  return read.mapping
}

async function reasonOf(file: Uint8Array): Promise<string> {
  const read = await readXlsx(file)
  return isImportFault(read) ? read.reason : 'read'
}

t.test('cells of texts, numbers and days become what a CSV file would say', async (t) => {
  const file = workbook([
    header,
    ['E1', { day: 45_996 }, 'AT', 'Wien & Umgebung', { number: '1.5' }],
    [null, null, null, null, null],
    [{ number: '7' }, '5/12/2025', 'AT', null, { number: (2.09e-5).toPrecision(17) }],
  ])
  t.ok(isXlsx(file))
  const { rows, faults, remarks, records } = await mapRows(file, mappingOf(plain))
  t.same(faults, [])
  t.equal(records, 2)
  t.match(remarks[0], { kind: 'blank-row', lines: [3] })
  t.match(rows, [
    { line: 2, key: 'E1', fields: { date: '2025-12-05', placeName: 'Wien & Umgebung', items: [{ quantity: '1.5' }] } },
    {
      line: 4,
      key: '7',
      fields: { date: '2025-12-05', items: [{ quantity: '0.000021', description: 'Reported as 0.0000209 KGM' }] },
    },
  ])
})

t.test('a number keeps the digits that the workbook has', async (t) => {
  const cases: [string, string][] = [
    ['0.10000000000000001', '0.1'],
    ['1503.25', '1503.25'],
    ['123456789.123456', '123456789.123456'],
    ['1.5E3', '1500'],
    ['999999999999999', '999999999999999'],
    ['12345678901234567890', '12345678901234567890'],
    ['1.6580084875972', '1.6580084875972'],
  ]
  const read = await readXlsx(workbook([['n'], ...cases.map(([number]) => [{ number }] satisfies WorkbookCell[])]))
  if (isImportFault(read)) throw new Error(read.advice)
  t.same(
    read.records.map(({ cells }) => cells[0]),
    cases.map(([, text]) => text),
  )
})

t.test('numbers of a workbook are numbers beside a decimal comma too', async (t) => {
  const file = workbook([
    header,
    ['E1', { day: 45_996 }, 'AT', 'Wien', { number: '1503.25' }],
    ['E2', '1/2/2026', 'AT', 'Linz', '1.503,5'],
  ])
  const { rows, faults } = await mapRows(file, mappingOf({ ...plain, decimalComma: true, thousands: '.' }))
  t.same(faults, [])
  t.match(rows, [{ fields: { items: [{ quantity: '1503.25' }] } }, { fields: { items: [{ quantity: '1503.5' }] } }])
})

t.test('a sheet is found by its name, and a header after titles by its line', async (t) => {
  const file = workbook(
    [['Seizures of 2025'], header, ['E1', { day: 45_996 }, 'AT', 'Wien', { number: '1' }]],
    'Tabelle1',
  )
  const mapping = { ...plain, headerLine: 2, sheet: 'Tabelle1' }
  t.match(await mapRows(file, mappingOf(mapping)), {
    faults: [],
    rows: [{ line: 3 }],
    remarks: [{ kind: 'row-before-header' }],
  })
  const { faults } = await mapRows(file, mappingOf({ ...mapping, sheet: 'Data' }))
  t.match(faults, [{ reason: 'no-such-sheet', advice: /Data/ }])
})

t.test('a workbook that would cost memory is refused before it is unpacked or laid out', async (t) => {
  const row = (r: string, c: string) =>
    workbook([], 'Data', { 'xl/worksheets/sheet1.xml': sheetXml(`<row r="${r}"><c r="${c}"><v>1</v></c></row>`) })
  t.equal(await reasonOf(row('1', 'A1')), 'read')
  t.equal(await reasonOf(row('1048576', 'A1048576')), 'too-many-rows')
  t.equal(await reasonOf(row('1', 'XFD1')), 'too-many-columns')
  t.equal(await reasonOf(row('5e8', 'A1')), 'not-a-workbook')
  t.equal(await reasonOf(row('999999999999', 'A1')), 'not-a-workbook')
  const bomb = row('1', 'A1')
  const directory = new DataView(bomb.buffer, bomb.byteOffset)
  // The size before packing stands at 24 of an entry of the central directory.
  for (let at = 0; at < bomb.length - 28; at++)
    if (directory.getUint32(at, true) === 0x02014b50) directory.setUint32(at + 24, xlsxLimits.mostUnpackedBytes, true)
  t.equal(await reasonOf(bomb), 'too-large')
  const entities = workbook([], 'Data', {
    'xl/sharedStrings.xml': '<!DOCTYPE x [<!ENTITY a "b">]><sst><si><t>&a;</t></si></sst>',
  })
  t.equal(await reasonOf(entities), 'not-a-workbook')
})

t.test('what is no workbook is refused with a reason, whatever its bytes are', async (t) => {
  const whole = workbook([header, ['E1', { day: 1 }, 'AT', 'Wien', { number: '1' }]])
  for (let cut = 4; cut < whole.length; cut += 97)
    t.equal(await reasonOf(whole.slice(0, cut)), 'not-a-workbook', `cut at ${cut}`)
  t.equal(await reasonOf(zipSync({ 'a.txt': strToU8('x') })), 'other-kind-of-file')
  t.equal(await reasonOf(new Uint8Array([0x50, 0x4b, 0x03, 0x04, 0, 0, 0])), 'not-a-workbook')
})
