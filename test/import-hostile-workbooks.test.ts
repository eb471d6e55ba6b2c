// What this holds: a workbook says nothing that a person does not see in it: errors, formulas that
// no program computed, hidden sheets and rows, merged cells, days that are counted from 1904.
import { strToU8, zipSync } from 'fflate'
import t from 'tap'
import { isImportFault, mapRows, readMapping, type Mapping } from '../src/client/import/index.ts'
import { readXlsx, type XlsxOptions } from '../src/client/import/xlsx.ts'
import { sheetXml, workbook } from './support/workbook.ts'

const text = (address: string, word: string) => `<c r="${address}" t="inlineStr"><is><t>${word}</t></is></c>`
const header = `<row r="1">${['ref', 'date', 'kg', 'place'].map((word, at) => text(`${'ABCD'[at] ?? ''}1`, word)).join('')}</row>`
const day = '<c r="B2" s="1"><v>45352</v></c>'
const row = (cells: string) => `<row r="2">${text('A2', 'E1')}${cells}</row>`

function book(body: string, more: Record<string, string> = {}, after = ''): Uint8Array {
  const xml = sheetXml(body).replace('</worksheet>', `${after}</worksheet>`)
  return workbook([], 'Data', { 'xl/worksheets/sheet1.xml': xml, ...more })
}

const plain = {
  mapping: 'plain',
  form: 'seizure',
  key: 'ref',
  constants: { '/country': 'KE' },
  columns: {
    ref: { field: '/reference' },
    date: { field: '/date' },
    kg: { goods: { category: 'drugs/cocaine', unit: 'KGM' } },
    place: { field: '/placeName' },
  },
}

function mappingOf(json: unknown): Mapping {
  const read = readMapping(json)
  if ('faults' in read) throw new Error(JSON.stringify(read.faults))
  return read.mapping
}

async function mapped(file: Uint8Array, more: object = {}) {
  const { rows, faults, remarks } = await mapRows(file, mappingOf({ ...plain, ...more }))
  return {
    rows,
    faults: faults.map(({ line, column, reason }) => `${line} ${column} ${reason}`),
    advice: faults.map(({ advice }) => advice),
    told: remarks.map(({ kind, detail, lines }) => `${kind} ${detail} ${lines.join(' ')}`.replace('  ', ' ')),
  }
}

async function cellsOf(file: Uint8Array, options: XlsxOptions = {}): Promise<readonly string[]> {
  const read = await readXlsx(file, options)
  if (isImportFault(read)) throw new Error(read.advice)
  return read.records.flatMap(({ cells }) => cells)
}

// Bites: `sheetMarks` and `spreadsheetError` in src/client/import.
t.test('an error and a formula without a value are faults of their cell, and never an empty one', async (t) => {
  const cases: [string, string][] = [
    ['<c r="C2" t="e"><v>#N/A</v></c>', '#N/A'],
    ['<c r="C2" t="e"><f>A9</f><v>#REF!</v></c>', '#REF!'],
    ['<c r="C2" t="e"><f>1/0</f><v>#DIV/0!</v></c>', '#DIV/0!'],
    ['<c r="C2"><f>A2*2</f></c>', '#FORMULA!'],
    ['<c r="C2"><f>A2*2</f><v></v></c>', '#FORMULA!'],
    ['<c r="C2"><f t="shared" si="0"/></c>', '#FORMULA!'],
  ]
  for (const [cell, word] of cases) {
    const refused = await mapped(book(header + row(day + cell + text('D2', 'Mombasa'))))
    t.same(refused.faults, ['2 kg spreadsheet-error'], word)
    t.match(refused.advice[0], word)
  }
  const inText = await mapped(book(header + row(`${day}<c r="C2"><v>1</v></c><c r="D2" t="e"><v>#VALUE!</v></c>`)))
  t.same(inText.faults, ['2 place spreadsheet-error'])
  const inKey = await mapped(book(`${header}<row r="2"><c r="A2" t="e"><v>#REF!</v></c>${day}</row>`))
  t.same(inKey.faults, ['2 ref spreadsheet-error'])
  const named = await mapped(book(header + row(`${day}<c r="C2" t="e"><v>#N/A</v></c>`)), { missing: ['#N/A'] })
  t.same(named.faults, [])
  t.notOk('items' in (named.rows[0]?.fields ?? {}))
})

t.test('a formula that was computed has its value, an empty text too', async (t) => {
  const file = book(header + row(`${day}<c r="C2"><f>1+1</f><v>2</v></c><c r="D2" t="str"><f>""</f><v></v></c>`))
  t.same(await cellsOf(file), ['E1', '2024-03-01', '2', ''])
})

t.test('days are those that the spreadsheet shows, wherever it begins to count', async (t) => {
  const main = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
  const relations = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
  const properties = (said: string) => ({
    'xl/workbook.xml': `<workbook xmlns="${main}" xmlns:r="${relations}"><workbookPr date1904="${said}"/><sheets><sheet name="Data" sheetId="1" r:id="rId1"/></sheets></workbook>`,
  })
  const of = async (serial: string, more = {}) =>
    (await cellsOf(book(header + row(`<c r="B2" s="1"><v>${serial}</v></c>`), more)))[1]
  t.equal(await of('45352'), '2024-03-01')
  t.equal(await of('45351.9999999999'), '2024-03-01')
  t.equal(await of('45351.75'), '2024-02-29T18:00:00')
  for (const said of ['1', 'true']) t.equal(await of('43890', properties(said)), '2024-03-01', said)
  for (const said of ['0', 'false']) t.equal(await of('45352', properties(said)), '2024-03-01', said)
  t.equal(await of('99999999999999'), '#NUM!')
  const written = (value: string) => cellsOf(book(header + row(`<c r="B2" t="d"><v>${value}</v></c>`)))
  t.equal((await written('2024-03-01T00:00:00'))[1], '2024-03-01')
  t.equal((await written('2024-03-01T23:30:00.000Z'))[1], '2024-03-01T23:30:00')
  const serial = await mapped(book(header + row('<c r="B2"><v>45352</v></c>')))
  t.same(serial.faults, ['2 date not-a-date'])
  t.match(serial.advice[0], /number of a day in a spreadsheet/)
})

// Bites: `asNamed` in src/client/import/values.ts.
t.test('a day of a column of months or years is the span that the mapping names', async (t) => {
  const spanOf = async (dateFormat: string) => {
    const { rows } = await mapped(book(header + row(day)), {
      columns: { ...plain.columns, date: { field: '/date', dateFormat } },
    })
    return [rows[0]?.fields['date'], rows[0]?.fields['dateTo']]
  }
  t.same(await spanOf('MMM-YY'), ['2024-03-01', '2024-03-31'])
  t.same(await spanOf("YYYY 'Q'Q"), ['2024-01-01', '2024-03-31'])
  t.same(await spanOf('YYYY'), ['2024-01-01', '2024-12-31'])
  t.same(await spanOf('D/M/YYYY'), ['2024-03-01', undefined])
})

// Bites: `workbookParts` in src/client/import/xlsx-parts.ts.
t.test('the first sheet that is shown is taken, and others, hidden rows and merged cells are told', async (t) => {
  const main = 'http://schemas.openxmlformats.org/spreadsheetml/2006/main'
  const relations = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships'
  const types = `${relations}/worksheet`
  const two = (states: readonly [string, string]) => ({
    'xl/workbook.xml': `<workbook xmlns="${main}" xmlns:r="${relations}"><sheets><sheet name="Lists &amp; codes" sheetId="1" state="${states[0]}" r:id="rId1"/><sheet name="Seizures" sheetId="2" state="${states[1]}" r:id="rId9"/></sheets></workbook>`,
    'xl/_rels/workbook.xml.rels': `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="${types}" Target="worksheets/sheet1.xml"/><Relationship Id="rId9" Type="${types}" Target="/xl/worksheets/sheet2.xml"/><Relationship Id="rId2" Type="${relations}/styles" Target="styles.xml"/></Relationships>`,
    'xl/worksheets/sheet2.xml': sheetXml(header + row(`${day}<c r="C2"><v>7</v></c>`)),
  })
  const lists = `<row r="1">${text('A1', 'code')}</row>`
  for (const state of ['hidden', 'veryHidden'])
    t.same(await cellsOf(book(lists, two([state, 'visible']))), ['E1', '2024-03-01', '7', ''])
  t.same(await cellsOf(book(lists, two(['visible', 'visible'])), { sheet: 'Seizures' }), ['E1', '2024-03-01', '7', ''])
  t.same(await cellsOf(book(lists, two(['visible', 'visible'])), { sheet: 'Lists & codes' }), [])
  const several = await readXlsx(book(lists, two(['visible', 'visible'])))
  t.match(several, { remarks: [{ kind: 'warning-other-sheets', detail: 'Lists & codes; Seizures' }] })
  t.match(await readXlsx(book(lists, two(['visible', 'visible'])), { sheet: 'Data' }), {
    reason: 'no-such-sheet',
    advice: /"Lists & codes", "Seizures"/,
  })
  const seen = await mapped(
    book(
      `${header}<row r="2" hidden="1">${text('A2', 'E1')}${day}</row><row r="3">${text('A3', 'E2')}<c r="B3" s="1"><v>45352</v></c>${text('D3', 'Mombasa')}</row>`,
      {},
      '<mergeCells count="2"><mergeCell ref="A1:B1"/><mergeCell ref="D3:D4"/></mergeCells>',
    ),
  )
  t.same(seen.faults, [])
  t.same(seen.told, ['warning-hidden-row 2', 'warning-merged 3'])
})

// Bites: `boundsOf` in src/client/import/xlsx.ts.
t.test('a workbook that no spreadsheet writes costs no time and shows no inside of a program', async (t) => {
  const started = Date.now()
  t.match(await readXlsx(book(header + '<c '.repeat(200_000))), { reason: 'not-a-workbook' })
  t.ok(Date.now() - started < 10_000)
  const unnamed = await readXlsx(book('<row><c t="inlineStr"><is><t>a</t></is></c></row>'))
  t.match(unnamed, { reason: 'not-a-workbook', advice: /without an address/ })
  const unstyled = await readXlsx(book(header + row('<c r="B2" s="77"><v>3</v></c>')))
  t.match(unstyled, { reason: 'not-a-workbook', line: 2 })
})

// Bites: `otherKindOf` and `otherArchive` in src/client/import/other-kinds.ts.
t.test('a file of another kind is told what it is, whatever its name says', async (t) => {
  const compound = [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]
  const locked = Buffer.concat([Buffer.from(compound), Buffer.alloc(600), Buffer.from('EncryptedPackage', 'utf16le')])
  const files: [Uint8Array, RegExp][] = [
    [new Uint8Array([...compound, 0, 0]), /\.xls/],
    [locked, /password/],
    [zipSync({ 'content.xml': strToU8('<x/>'), mimetype: strToU8('application/vnd.oasis') }), /OpenDocument/],
    [zipSync({ 'xl/workbook.bin': strToU8('x') }), /xlsb/],
    [zipSync({ 'word/document.xml': strToU8('<x/>') }), /text document/],
    [zipSync({ 'seizures.csv': strToU8('a,b\n1,2\n') }), /unpack it/],
    [zipSync({}), /archive/],
    [new Uint8Array([0x1f, 0x8b, 8, 0]), /gzip/],
    [Buffer.from('%PDF-1.7\n'), /PDF/],
    [Buffer.from('\uFEFF\n<html><table><tr><td>ref</td></tr></table></html>'), /web page/],
    [Buffer.from('<?xml version="1.0"?><Workbook/>'), /XML/],
    [Buffer.from('[ { "ref": "A" } ]'), /JSON/],
  ]
  for (const [file, advice] of files) {
    const { faults } = await mapRows(file, mappingOf(plain))
    t.match(faults, [{ line: 1, reason: 'other-kind-of-file', advice }], String(advice))
  }
  const { faults } = await mapRows(Buffer.from('ref,date,kg,place\n'), mappingOf(plain))
  t.same(faults, [], 'CSV is not taken for another kind')
})
