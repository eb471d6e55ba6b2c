// What this holds: the mappings of docs/examples take files as seven publishers write them: their
// totals are the plain sums of their cells, a repetition imports nothing, and what changed or is
// gone at the source is proposed.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mapRows, readMapping, type Mapping } from '../src/client/index.ts'
import { base64url, sha256, utf8 } from '../src/protocol/index.ts'
import { partyOf, takeIn } from './support/actors.ts'
import { usualOperation } from './support/usual-operation.ts'

const examples = join(import.meta.dirname, '..', 'docs', 'examples')

function exampleOf(name: string): Mapping {
  const read = readMapping(readFileSync(join(examples, `${name}.map.json`), 'utf8'))
  if ('faults' in read) throw new Error(`${name}: ${JSON.stringify(read.faults)}`)
  return read.mapping
}

/** The plain sum of decimals, which shares nothing with the code that it judges. */
function sumOf(...terms: (string | [string, bigint, bigint])[]): string {
  const places = 20n
  let sum = 0n
  for (const term of terms) {
    const [text, times, per] = typeof term === 'string' ? [term, 1n, 1n] : term
    const [whole = '', fraction = ''] = text.split('.')
    sum += (BigInt(whole + fraction.padEnd(Number(places), '0')) * times) / per
  }
  const digits = sum.toString().padStart(Number(places) + 1, '0')
  return `${digits.slice(0, -Number(places))}.${digits.slice(-Number(places))}`.replace(/\.?0+$/, '')
}

interface Cut {
  readonly lines: readonly string[]
  /** The lines of the file when one row has changed and one is gone. */
  readonly later: (lines: readonly string[]) => string[]
  readonly changed: number
  readonly gone: number
  readonly fresh?: number
  readonly seizures: number
  /** Commodity and unit of each row of the figures, with the sum of its cells. */
  readonly quantities: Readonly<Record<string, string>>
}

const without = (lines: readonly string[], at: number) => lines.toSpliced(at, 1)
const replaced = (lines: readonly string[], at: number, from: string, to: string) =>
  lines.with(at, (lines[at] ?? '').replace(from, to))

const cuts: Readonly<Record<string, Cut>> = {
  'pangolin-seizures': {
    lines: [
      'ref,date,country,place,latitude,longitude,transport,concealment,came_from,going_to,live_specimens,carcasses,whole_specimens,whole_weight_kg,scales_weight_kg,outcome',
      'X-1,2019-05-02,KE,Mombasa,-4.0435,39.6682,sea,hidden,UG CD,VN,,,,,812.5,',
      'X-2,2019-06-11,TH,"Bangkok, port",13.7563,100.5018,road,,MY,CN,12,,12,,,two arrests',
      'X-3,2019-07-01,KE,Nairobi,,,air,in-luggage,,CN,0,,,,3.125,',
    ],
    later: (lines) => without(replaced(lines, 1, '812.5', '821.5'), 2),
    changed: 1,
    gone: 1,
    seizures: 3,
    quantities: {
      'wildlife/pangolin/live H87': sumOf('12'),
      'wildlife/pangolin/whole H87': sumOf('12'),
      'wildlife/pangolin/scales KGM': sumOf('812.5', '3.125'),
    },
  },
  'customs-declarations': {
    lines: [
      'Declaration ID,Date,Office ID,Process Type,Import Type,Import Use,Payment Type,Mode of Transport,Declarant ID,Importer ID,Seller ID,Courier ID,HS6 Code,Country of Departure,Country of Origin,Tax Rate,Tax Type,Country of Origin Indicator,Net Mass,Item Price,Fraud,Critical Fraud',
      '7001,2022-02-01,10,B,11,21,11,10,D1,I1,S1,,240220,CN,CN,8.0,A,G,120.25,900.5,1,2',
      '7002,2022-02-01,20,B,11,21,11,40,D2,I2,,,640399,IT,VN,8.0,A,G,14.75,55,1,1',
      '7003,2022-02-02,20,B,11,21,11,40,D2,I2,S2,C2,850440,US,US,8.0,A,G,3.0,10,0,0',
      '7004,2022-02-03,20,B,11,21,11,50,D3,I3,S3,,10620,TH,TH,8.0,A,Y,0.5,99,1,1',
      '7005,2022-02-03,20,B,11,21,11,50,D3,I3,S3,,640411,TH,TH,8.0,A,Y,1.125,99,1,1',
    ],
    later: (lines) => without(replaced(lines, 1, '120.25', '120.5'), 4),
    changed: 1,
    gone: 1,
    seizures: 4,
    quantities: {
      'tobacco/cigarettes KGM': sumOf('120.25'),
      'counterfeits/footwear KGM': sumOf('14.75', '1.125'),
      'wildlife/other KGM': sumOf('0.5'),
    },
  },
  'wildlife-shipments': {
    lines: [
      'control_number,species_code,genus,generic_name,wildlife_description,quantity,unit,value,country_origin,disposition,disposition_date,shipment_date,import_export,port',
      '5001,CY1?,crocodylus,CROCODILE,SKP,3,NO,0,PE,S,6/16/12,6/14/12,I,AT',
      '5001,ML,NA,ALL MAMMALS,TEE,9,NO,0,PE,S,6/14/11,6/14/12,I,AT',
      '5001,RE##,reptilia,ALL REPTILES,MEA,1250,GM,0,CO,S,6/16/12,6/14/12,I,AT',
      '5001,CY1?,crocodylus,CROCODILE,SKP,2,NO,0,PE,S,6/16/12,6/14/12,I,AT',
      '5002,NONI,noncites entry,INSECTS,BOD,800.5,GM,NA,LA,S,7/1/12,6/30/12,I,SF',
      '5003,AAER,alces,MOOSE,BOC,20.4,KG,NA,US,C,7/2/12,7/1/12,I,SF',
      '5004,NONA,noncites entry,AMPHIBIANS,BOD,2.5,KG,NA,TH,S,7/2/12,7/1/12,E,SF',
    ],
    later: (lines) => without(replaced(lines, 2, ',9,', ',8,'), 7),
    changed: 1,
    gone: 1,
    seizures: 3,
    quantities: {
      'wildlife/reptiles H87': sumOf('3', '2'),
      'wildlife/mammals H87': sumOf('9'),
      'wildlife/reptiles KGM': sumOf(['1250', 1n, 1000n]),
      'wildlife/insects KGM': sumOf(['800.5', 1n, 1000n]),
      'wildlife/other KGM': sumOf('2.5'),
    },
  },
  'border-drugs': {
    lines: [
      'FY,Month (abbv),Component,Region,Land Filter,Area of Responsibility,Drug Type,Count of Event,Sum Qty (lbs)',
      '2025 (FYTD),OCT,Office of Field Operations,Coastal/Interior,Other,BOSTON FIELD OFFICE,Cocaine,4,2',
      '2025 (FYTD),APR,Office of Field Operations,Southwest Border,Land Only,TUCSON FIELD OFFICE,Cocaine,9,12.5',
      '2025 (FYTD),APR,Office of Field Operations,Southwest Border,Land Only,TUCSON FIELD OFFICE,Other Drugs**,1,0.25',
      '2024,SEP,U.S. Border Patrol,Southwest Border,Land Only,YUMA SECTOR,Khat (Catha Edulis),1,100',
    ],
    later: (lines) => without(replaced(lines, 2, ',12.5', ',13'), 4),
    changed: 1,
    gone: 1,
    seizures: 4,
    quantities: {
      // 2 lb are 0.90718474 kg and 12.5 lb 5.669904625 kg, and the mapping says six decimals.
      'drugs/cocaine KGM': sumOf('0.907185', '5.669905'),
      'drugs/other KGM': sumOf('0.113398'),
      'drugs/khat KGM': sumOf('45.359237'),
    },
  },
  'state-drugs': {
    lines: [
      'State_UT,Ganja_Kg,Hashish_Kg,Heroin_Kg,Khat_Leaves_Kg,Tablets_Nos,',
      'Goa,"1,23,456.75",0.0,12.25,0.0,0,',
      'Kerala,"4,500.5",1.2,0.0,0.0,"12,34,567",',
      'Sikkim,0.0,0.0,0.0,0.0,0,',
      'Punjab,880,0.0,"1,012.125",0.0,0,',
      ',,,,,,',
    ],
    later: (lines) => without(replaced(lines, 2, '1.2', '1.3'), 4),
    changed: 1,
    gone: 1,
    seizures: 3,
    quantities: {
      'drugs/cannabis/herb KGM': sumOf('123456.75', '4500.5', '880'),
      'drugs/cannabis/resin KGM': sumOf('1.2'),
      'drugs/opioids/heroin KGM': sumOf('12.25', '1012.125'),
      'drugs/synthetic/other H87': sumOf('1234567'),
    },
  },
  'reported-drugs': {
    lines: [
      'Significant seizures by country,,,,,,,,',
      'Region,SubRegion,Country,ReferenceYear,DrugGroup,DrugName,Quantity,Unit,Method',
      'Africa,Eastern Africa,Kenya,2021,Cannabis-type drugs,Cannabis herb (marijuana),"12,345.678",Kilogram,Measured',
      'Africa,Eastern Africa,Kenya,2021,Cannabis-type drugs,Cannabis herb (marijuana),40,Plant,Estimated',
      'Africa,Southern Africa,Namibia,2021,Opioids,Heroin,2.5E-02,Kilogram,NULL',
      'Africa,Southern Africa,Namibia,2021,Opioids,Heroin,-,Tablet,Measured',
      'Europe,Western Europe,Austria,2022,Other,Khat,"1,000",Kilogram,Measured',
    ],
    later: (lines) => without(replaced(lines, 2, '12,345.678', '12,345.679'), 6),
    changed: 1,
    gone: 1,
    seizures: 5,
    quantities: {
      'drugs/cannabis/herb KGM': sumOf('12345.678'),
      'drugs/cannabis/herb H87': '0',
      'drugs/opioids/heroin KGM': sumOf('0.025'),
      'drugs/other KGM': sumOf('1000'),
    },
  },
  'species-trade': {
    lines: [
      'Year,App.,Taxon,Class,Order,Family,Genus,Importer,Exporter,Origin,Importer reported quantity,Exporter reported quantity,Term,Unit,Purpose,Source',
      '2018,I,Manis javanica,Mammalia,Pholidota,Manidae,Manis,US,VN,XX,0.333333333,,scales,kg,P,I',
      '2018,I,Manis javanica,Mammalia,Pholidota,Manidae,Manis,US,VN,XX,2.19E-05,,scales,kg,P,I',
      '2018,II,Varanus sp.,Reptilia,Sauria,Varanidae,Varanus,NA,ZA,ZA,4,,skins,Number of specimens,P,I',
      '2018,II,Varanus sp.,Reptilia,Sauria,Varanidae,Varanus,NA,ZA,ZA,4,,skins,,P,I',
      '2018,II,Varanus sp.,Reptilia,Sauria,Varanidae,Varanus,DE,ZA,ZA,50,,skins,Number of specimens,T,W',
    ],
    // Without a key a row that changed is gone, and another one is new.
    later: (lines) => without(replaced(lines, 2, '2.19E-05', '3.19E-05'), 4),
    changed: 0,
    gone: 2,
    fresh: 1,
    seizures: 4,
    quantities: {
      'wildlife/pangolin KGM': sumOf('0.333333', '0.000022'),
      'wildlife/other H87': sumOf('4', '4'),
    },
  },
}

t.test('each mapping that is an example has a file here', async (t) => {
  const names = readdirSync(examples).map((file) => file.replace('.map.json', ''))
  t.same(names.toSorted(), Object.keys(cuts).toSorted())
})

for (const [name, cut] of Object.entries(cuts))
  t.test(`${name}: sums, repetition, changes`, async (t) => {
    const stage = await usualOperation(t)
    const { administrator, coordinator, operation } = stage
    const party = await partyOf(t, administrator, { kind: 'administration', name: 'Customs of Kenya', country: 'KE' })
    await takeIn(coordinator, operation, party, 'ncp')
    const { client } = party
    const mapping = exampleOf(name)
    const read = async (lines: readonly string[]) => {
      const { rows, faults } = await mapRows(lines.join('\r\n'), mapping)
      t.same(faults, [])
      return rows
    }
    const rows = await read(cut.lines)
    const file = base64url(await sha256(utf8(cut.lines.join('\r\n'))))
    const first = await client.importRows({ operation, mapping, rows, file })
    t.match(first, { imported: rows.length, already: 0 })
    t.match(await client.importRows({ operation, mapping, rows, file }), {
      imported: 0,
      already: rows.length,
      changed: [],
      gone: [],
    })
    const session = await client.follow(operation)
    const { seizures, quantities } = session.figures()
    t.equal(seizures, cut.seizures)
    const found = Object.fromEntries(
      quantities.map(({ category, unit, quantity }) => [`${category} ${unit}`, quantity]),
    )
    t.same(found, cut.quantities)
    const told = await client.transport.request('GET', `/v1/operations/${operation}/figures`)
    t.match(told, session.figures(), 'the service finds the same')

    const later = await read(cut.later(cut.lines))
    const proposal = await client.proposeImport({ operation, mapping, rows: later })
    t.equal(proposal.changed.length, cut.changed)
    t.equal(proposal.gone.length, cut.gone)
    t.equal(proposal.fresh, cut.fresh ?? 0)
    const sent = await client.importRows({ operation, mapping, rows: later, file, inStep: true })
    t.match(sent, { imported: cut.fresh ?? 0, corrected: cut.changed, withdrawn: cut.gone })
    t.equal(session.figures().seizures, cut.seizures - cut.gone + (cut.fresh ?? 0))
  })
