// What this holds: a mapping that is proposed for a file of a known shape takes nothing twice and
// gives no column a meaning that its name does not have: sums, notes, second quantities, other days
// and other countries are left out and asked.
import t from 'tap'
import { mapRows, proposeMapping, readMapping, type MappingProposal } from '../src/client/import/index.ts'

const bytes = (...lines: string[]) => Buffer.from(lines.join('\n'))

async function proposalOf(file: Uint8Array): Promise<MappingProposal> {
  const proposal = await proposeMapping(file, 'proposed')
  if ('reason' in proposal) throw new Error(proposal.advice)
  return proposal
}

/** Answers the question whose sentence has the word; fails where there is none. */
function answer({ questions }: MappingProposal, word: string, given: string): void {
  const question = questions.find(({ text }) => text.includes(word))
  if (question === undefined || !question.answer(given)) throw new Error(`no question of ${word} takes ${given}`)
}

async function mappedBy(file: Uint8Array, { mapping }: MappingProposal) {
  const read = readMapping(mapping)
  if ('faults' in read) throw new Error(JSON.stringify(read.faults))
  return mapRows(file, read.mapping)
}

t.test('two quantities of one good are taken once, and an empty unit is asked', async (t) => {
  const file = bytes(
    'Year,Taxon,Importer reported quantity,Exporter reported quantity,Unit',
    '2019,Manis,5,7,kg',
    '2020,Manis,3,,',
  )
  const proposal = await proposalOf(file)
  t.notOk('Exporter reported quantity' in (proposal.mapping['columns'] as object))
  t.equal(proposal.questions.filter(({ text }) => text.includes('Unit is empty')).length, 1)
  answer(proposal, '"Manis" of Taxon', 'wildlife/pangolin')
  answer(proposal, 'Unit is empty', 'H87')
  answer(proposal, 'Exporter reported quantity', 'once more')
  answer(proposal, 'country reports', 'HK')
  const { rows, faults } = await mappedBy(file, proposal)
  t.same(faults, [])
  t.match(
    rows.map(({ fields }) => fields['items']),
    [[{ quantity: '5', unit: 'KGM' }], [{ quantity: '3', unit: 'H87' }]],
  )
  t.same(
    rows.map(({ fields }) => (fields['items'] as []).length),
    [1, 1],
  )
  const other = await proposalOf(file)
  answer(other, 'Exporter reported quantity', 'other')
  t.ok('Exporter reported quantity' in (other.mapping['columns'] as object))
})

t.test('a table between its title and its notes is found, and its sums are left out', async (t) => {
  for (const padding of [',,,', '']) {
    const file = bytes(
      'Drugs seized by state,,,',
      'Year 2023,,,',
      'State,Heroin kg,Cocaine kg,Cases',
      'Andhra Pradesh,"2,14,567.5",1,1123',
      'Goa,12.25,0,4',
      'Total (India),"2,14,579.75",1,1127',
      `* Provisional${padding}`,
      `Source: National Bureau${padding}`,
    )
    const proposal = await proposalOf(file)
    t.match(proposal.mapping, { headerLine: 3, thousands: ',', grouping: 'indian', key: ['State'] })
    t.notOk('Cases' in (proposal.mapping['columns'] as object), 'a number of cases is no quantity of goods')
    answer(proposal, 'country reports', 'IN')
    answer(proposal, 'which year', '2023')
    const { rows, faults } = await mappedBy(file, proposal)
    t.same(faults, [])
    t.same(
      rows.map(({ fields }) => fields['placeName']),
      ['Andhra Pradesh', 'Goa'],
    )
    answer(proposal, 'Total (India)', 'no')
    t.equal((await mappedBy(file, proposal)).rows.length, 3)
  }
})

// Bites: `warnOfNoRow` in src/client/import/columns.ts.
t.test('a row that adds up others, and one that may be a note, are told by the import', async (t) => {
  const read = readMapping({
    mapping: 'm',
    form: 'seizure',
    key: 'State',
    constants: { '/country': 'IN', '/date': '2023-01-01' },
    columns: { State: { field: '/placeName' }, kg: { goods: { category: 'drugs', unit: 'KGM' } } },
    ignore: ['n'],
  })
  if ('faults' in read) throw new Error(JSON.stringify(read.faults))
  const file = bytes(
    'State,kg,n',
    'Goa,1,2',
    'Totally Hill,1,1',
    'Grand Total,2,3',
    'Gesamt: alle,2,3',
    '* Provisional,,',
  )
  const { remarks } = await mapRows(file, read.mapping)
  t.match(remarks, [
    { kind: 'warning-sum', lines: [4], detail: 'Grand Total' },
    { kind: 'warning-sum', lines: [5] },
    { kind: 'warning-one-cell', lines: [6], detail: '* Provisional' },
  ])
  t.equal(remarks.length, 3)
})

t.test('row names of R are no column, and a column of days without a telling name is asked', async (t) => {
  const file = bytes(
    '"","id","when","ctry","species","kg"',
    '"1","S1","2021-03-01","KE","pangolin",NA',
    '"2","S2","2021-03-05","NA","elephant",1e-04',
  )
  const proposal = await proposalOf(file)
  t.match(proposal.mapping, { key: 'id', ignore: ['', 'when', 'ctry'] })
  t.notOk('headerLine' in proposal.mapping)
  answer(proposal, 'day of the seizure', 'when')
  answer(proposal, 'of ctry', 'country')
  const { rows, faults } = await mappedBy(file, proposal)
  t.same(faults, [])
  t.match(rows, [{ fields: { date: '2021-03-01', country: 'KE' } }, { fields: { date: '2021-03-05', country: 'NA' } }])
})

t.test('of several days and countries none is taken for that of the seizure', async (t) => {
  const proposal = await proposalOf(
    bytes(
      'control_number,country_imp_exp,Country of provenance,disposition_date,shipment_date,quantity,unit,species',
      'A,ZA,CN,1/14/00,1/23/00,2,NO,pangolin',
      'B,GH,TH,1/24/00,1/13/00,2,NO,pangolin',
    ),
  )
  const columns = proposal.mapping['columns'] as Record<string, object>
  t.same(Object.keys(columns).toSorted(), ['Country of provenance', 'control_number', 'quantity'])
  t.match(columns['Country of provenance'], { field: '/departure' })
  answer(proposal, 'day of the seizure', 'shipment_date')
  answer(proposal, 'country_imp_exp', 'origin')
  t.match(columns, { shipment_date: { field: '/date', dateFormat: 'M/D/YY' }, country_imp_exp: { field: '/origin' } })
  t.notOk((proposal.mapping['ignore'] as string[]).includes('shipment_date'))
  const named = await proposalOf(
    bytes('ref,entry date,seizure date', '1,2026-01-01,2026-01-02', '2,2026-01-03,2026-01-04'),
  )
  t.match(named.mapping['columns'], { 'seizure date': { field: '/date' } })
})

// Bites: `isTwoYearFormat` in src/client/import/dates.ts.
t.test('a fiscal year of two numbers is a span, and the month of its beginning is asked', async (t) => {
  const file = bytes('ref,Financial year,Cocaine kg', 'A,2022/23,"1,234"', 'B,1999/00,5')
  const proposal = await proposalOf(file)
  answer(proposal, 'year of Financial year begin', '4')
  answer(proposal, 'country reports', 'GB')
  const { rows, faults } = await mappedBy(file, proposal)
  t.same(faults, [])
  t.match(rows, [
    { fields: { date: '2022-04-01', dateTo: '2023-03-31' } },
    { fields: { date: '1999-04-01', dateTo: '2000-03-31' } },
  ])
  const of = async (dateFormat: string, cell: string, fiscalYearBegins?: number) => {
    const read = readMapping({
      mapping: 'm',
      form: 'seizure',
      key: 'ref',
      constants: { '/country': 'GB' },
      columns: {
        ref: { field: '/reference' },
        fy: { field: '/date', dateFormat, ...(fiscalYearBegins === undefined ? {} : { fiscalYearBegins }) },
      },
    })
    if ('faults' in read) return read.faults.map(({ pointer }) => pointer)
    const mapped = await mapRows(`ref,fy\nA,${cell}\n`, read.mapping)
    return [...mapped.faults.map(({ reason }) => reason), ...mapped.rows.map(({ fields }) => fields['dateTo'])]
  }
  t.same(await of('YYYY-YY', '2022-23', 7), ['2023-06-30'])
  t.same(await of('YYYY–YY', '2022–23', 7), ['2023-06-30'])
  t.same(await of('YYYY/YYYY', '2022/2023', 10), ['2023-09-30'])
  t.same(await of('YYYY/YY', '2022/24', 4), ['not-a-date'])
  t.same(await of('YYYY/YY', '2022/23'), ['/columns/fy/fiscalYearBegins'])
  t.same(await of('YYYY/YY', '2022/23', 1), ['/columns/fy/fiscalYearBegins'])
})

t.test('days of a clock, and days that no one format fits, are told as what they are', async (t) => {
  const clock = await proposalOf(
    Buffer.from('sep=;\r\nref;Seizure date;kg\r\n1;05.12.2023 14:30;1\r\n2;6.12.2023 00:00;2\r\n'),
  )
  t.match(clock.mapping['columns'], { 'Seizure date': { dateFormat: 'D.M.YYYY H:mm' } })
  const mixed = await proposalOf(bytes('ref;Date of seizure;kg', '1;05/02/2019;1', '2;12.03.2019;2'))
  t.ok(mixed.notes.some((note) => note.includes('no one format fits its cells, such as 05/02/2019 and 12.03.2019')))
  const place = await proposalOf(
    bytes('ref,Subregion,Place of seizure,kg', '1,East Africa,Mombasa,1', '2,East Africa,Lamu,1'),
  )
  t.match(place.mapping, { columns: { 'Place of seizure': { field: '/placeName' } }, ignore: ['Subregion', 'kg'] })
})

t.test('a column of countries with a code that is none is one still, and NA is asked there too', async (t) => {
  const file = bytes('ref,Country of origin,kg', '1,CN,1', '2,KR,1', '3,ZZ,1', '4,NA,1')
  const proposal = await proposalOf(file)
  t.match(proposal.mapping['columns'], { 'Country of origin': { field: '/origin', codes: { CN: 'CN', KR: 'KR' } } })
  answer(proposal, '"ZZ" of Country of origin', 'XX')
  answer(proposal, 'Does NA in Country of origin', 'nothing')
  t.match(proposal.mapping['columns'], { 'Country of origin': { codes: { ZZ: 'XX' }, missing: ['NA'] } })
})
