// What this holds: a mapping is proposed for a file as far as the file tells it, and the rest is
// asked and never guessed.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mapRows, proposeMapping, readMapping, type MappingProposal } from '../src/client/import/index.ts'
import { ended, start, temporary } from './support/command.ts'
import { workbook } from './support/workbook.ts'

const bytes = (...lines: string[]) => new TextEncoder().encode(lines.join('\n'))

async function proposalOf(file: Uint8Array): Promise<MappingProposal> {
  const proposal = await proposeMapping(file, 'proposed')
  if ('reason' in proposal) throw new Error(proposal.advice)
  return proposal
}

/** Answers each question whose sentence has a word of the table. */
function answerAll({ questions }: MappingProposal, answers: Readonly<Record<string, string>>): string[] {
  return questions.flatMap(({ text, answer }) => {
    const found = Object.entries(answers).find(([word]) => text.includes(word))
    return found !== undefined && answer(found[1]) ? [] : [text]
  })
}

async function rowsOf(file: Uint8Array, { mapping }: MappingProposal) {
  const read = readMapping(mapping)
  if ('faults' in read) throw new Error(JSON.stringify(read.faults))
  return mapRows(file, read.mapping)
}

t.test('separators, numbers, days and fields are found in a file of another country', async (t) => {
  const file = bytes(
    'Fall-Nr;Datum;Land;Ort;Kokain kg',
    'F-1;31.12.2025;AT;Wien;1.503,25',
    'F-2;01.02.2026;DE;Hamburg;3,5',
  )
  const proposal = await proposalOf(file)
  t.match(proposal.mapping, {
    delimiter: ';',
    decimalComma: true,
    thousands: '.',
    key: 'Fall-Nr',
    columns: {
      Datum: { field: '/date', dateFormat: 'D.M.YYYY' },
      Land: { field: '/country' },
      Ort: { field: '/placeName' },
    },
  })
  t.same(answerAll(proposal, { 'Kokain kg': 'drugs/cocaine' }), [], 'the commodity alone is asked')
  const { rows, faults } = await rowsOf(file, proposal)
  t.same(faults, [])
  t.match(rows[0]?.fields, { date: '2025-12-31', items: [{ quantity: '1503.25', unit: 'KGM' }] })
})

t.test('what a file leaves open is asked: day or month, point or thousands, Namibia or nothing', async (t) => {
  const file = bytes('ref,date,country,Heroin kg', '1,01/02/2026,NA,1.500', '2,03/04/2026,KE,2.250')
  const proposal = await proposalOf(file)
  const texts = proposal.questions.map(({ text }) => text).join('\n')
  for (const asked of [/day or with the month/, /decimal point or comma/, /Namibia/]) t.match(texts, asked)
  t.same(answerAll(proposal, { 'with the month': 'month', 'decimal point': 'thousands', Namibia: 'namibia' }), [])
  const { rows, faults } = await rowsOf(file, proposal)
  t.same(faults, [])
  t.match(rows[0]?.fields, {
    date: '2026-01-02',
    country: 'NA',
    items: [{ quantity: '1500', category: 'drugs/opioids/heroin' }],
  })
  const [question] = proposal.questions
  t.equal(question?.answer('perhaps'), false, 'an answer that is none changes nothing')
})

t.test('a word that is not known is in no table, so that the import names it', async (t) => {
  const file = bytes(
    'id,date,country,drug,quantity,unit',
    '1,2026-01-01,Kenya,Cocaine,5,kg',
    '2,2026-01-01,Utopia,Foo,6,bags',
  )
  const proposal = await proposalOf(file)
  const before = await rowsOf(file, proposal)
  t.same(
    before.rows.map(({ key }) => key),
    ['1'],
  )
  t.same([...new Set(before.faults.map(({ reason }) => reason))], ['not-in-mapping'])
  t.same(answerAll(proposal, { Utopia: 'TZ', Foo: 'drugs/other', bags: 'KGM' }), [])
  const after = await rowsOf(file, proposal)
  t.same(after.faults, [])
  t.match(after.rows[1]?.fields, { country: 'TZ', items: [{ category: 'drugs/other', quantity: '6', unit: 'KGM' }] })
})

t.test('a key that repeats makes rows one message, several columns are a key, and titles are passed', async (t) => {
  const long = await proposalOf(
    bytes('control_number,date,species,quantity,unit', 'A,2026-01-01,pangolin,1,NO', 'A,2026-01-01,elephant,2,NO'),
  )
  t.match(long.mapping, { key: 'control_number', together: true })
  const wide = await proposalOf(bytes('Region,Year,Heroin_Kg', 'North,2024,1.5', 'North,2025,2', 'South,2024,0'))
  t.match(wide.mapping, {
    key: ['Region', 'Year'],
    columns: { Heroin_Kg: { goods: { category: 'drugs/opioids/heroin', unit: 'KGM' } } },
  })
  const titled = await proposalOf(bytes('Seizures of 2025', '', 'ref,date,place', '1,2026-01-01,Wien'))
  t.match(titled.mapping, { headerLine: 3, key: 'ref' })
  const nothing = await proposalOf(bytes('kg', '1', '1'))
  t.equal(nothing.mapping['key'], null)
})

t.test('workbooks and other encodings are looked at too', async (t) => {
  const book = await proposalOf(
    workbook([
      ['ref', 'date'],
      ['1', { day: 45_996 }],
    ]),
  )
  t.match(book.mapping, { key: 'ref', columns: { date: { field: '/date' } } })
  const latin = await proposalOf(new Uint8Array(Buffer.from('ref,place\n1,Gm\u00fcnd\n', 'latin1')))
  t.match(latin.mapping, { encoding: 'windows-1252' })
  const wide = await proposalOf(new Uint8Array(Buffer.from('\uFEFFref,place\n1,Gm\u00fcnd\n', 'utf16le')))
  t.match(wide.mapping, { encoding: 'utf-16le' })
  t.match(await proposeMapping(new Uint8Array(), 'x'), { reason: 'empty' })
})

t.test('the command prints the mapping, lists what is open, and never overwrites a file', async (t) => {
  const directory = temporary(t)
  const file = join(directory, 'My Seizures (2026).csv')
  const map = join(directory, 'seizures.map.json')
  writeFileSync(file, bytes('ref,date,country,place,Cocaine kg', '1,2026-01-01,AT,Wien,1.5'))
  const printed = await ended(start(t, ['map', file]))
  t.equal(printed.code, 0)
  t.match(JSON.parse(printed.stdout), { mapping: 'my-seizures-2026', key: 'ref' })
  t.match((await ended(start(t, ['map', file, '--output', map]))).stdout, /--check/)
  t.match(JSON.parse(readFileSync(map, 'utf8')), { mapping: 'my-seizures-2026' })
  t.match(await ended(start(t, ['map', file, '--output', map])), { code: 1 })
  const checked = await ended(start(t, ['import', file, '--map', map, '--check']))
  t.match(checked, { code: 0, stdout: /1 row, of which the mapping makes 1 message[^]*Cocaine \(drugs\/cocaine\)/ })
  const json = await ended(start(t, ['map', file, '--json']))
  t.match(JSON.parse(json.stdout), { mapping: {}, notes: [/./], questions: [] })
  writeFileSync(file, 'a"b')
  t.match(await ended(start(t, ['map', file])), { code: 1, stderr: /stray-quote/ })
  for (const args of [
    ['map', directory],
    ['import', directory, '--map', map, '--check'],
    ['import', file, '--map', directory, '--check'],
  ])
    t.match(await ended(start(t, args)), { code: 1, stderr: /directory and no file: name a file/ }, args.join(' '))
})
