import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  figuresOf,
  importMessageId,
  isImportFault,
  isProblem,
  mapRows,
  readCsv,
  readMapping,
  type Cordon,
  type Mapping,
} from '../src/client/index.ts'
import { addDecimals, sumDecimals } from '../src/forms/index.ts'
import { base64url, importSealPublicKey, sealTo, sha256, signImportKey, utf8 } from '../src/protocol/index.ts'
import { administratorOf, enrolWith, partyOf, takeIn } from './support/actors.ts'
import { entriesSince, sizes } from './support/entries.ts'
import { startServer } from './support/server.ts'

const repository = join(import.meta.dirname, '..')
const real = join(repository, '..', 'shared', 'data', 'pangolin-seizures.csv')
const read = readMapping(readFileSync(join(repository, 'docs', 'examples', 'pangolin-seizures.map.json'), 'utf8'))
if (!('mapping' in read)) throw new Error('the example mapping is read')
const { mapping } = read

type Owner = Parameters<typeof startServer>[0]

async function peopleOf(owner: Owner) {
  const server = await startServer(owner)
  const administrator = await administratorOf(owner, server)
  const [unit, kenya, thailand] = await Promise.all([
    partyOf(owner, administrator, { kind: 'rilo', name: 'Coordination unit' }),
    partyOf(owner, administrator, { kind: 'administration', name: 'Customs of Kenya', country: 'KE' }),
    partyOf(owner, administrator, { kind: 'administration', name: 'Customs of Thailand', country: 'TH' }),
  ])
  return { server, administrator, unit, kenya, thailand }
}

const people = peopleOf(t)

async function scene() {
  const { administrator, unit, kenya, thailand } = await people
  const coordinator = unit.client
  const operation = await administrator.operations.create({
    name: 'Operation Pangolin',
    reference: 'P-1',
    timeZone: 'UTC',
    coordinators: [{ person: coordinator.person, organization: unit.organization }],
  })
  await coordinator.follow(operation)
  await coordinator.operations.advance(operation, 'rehearsal')
  await coordinator.operations.advance(operation, 'active')
  await takeIn(coordinator, operation, kenya, 'ncp')
  await takeIn(coordinator, operation, thailand, 'ncp')
  return { operation, coordinator, kenya, thailand }
}

async function importOf(
  client: Cordon,
  operation: string,
  csv: string,
  options: { update?: boolean; inStep?: boolean; mapping?: Mapping; newKey?: boolean } = {},
) {
  const { rows, faults } = await mapRows(csv, options.mapping ?? mapping)
  if (faults.length > 0) throw new Error(JSON.stringify(faults.slice(0, 3)))
  const file = base64url(await sha256(new TextEncoder().encode(csv)))
  const { update = false, newKey = false, inStep = false } = options
  return client.importRows({ operation, rows, mapping: options.mapping ?? mapping, file, update, newKey, inStep })
}

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

async function received(client: Cordon, operation: string, count: number) {
  const session = await client.follow(operation)
  while (session.messages.length < count) await session.events.once('message')
  return session
}

const columns =
  'ref,date,country,place,latitude,longitude,transport,concealment,came_from,going_to,live_specimens,carcasses,whole_specimens,whole_weight_kg,scales_weight_kg,outcome'
const row = (ref: string, scales: string) => `${ref},2015-03-04,KE,Nairobi,,,air,,,TH,,,,,${scales},`
const small = [columns, row('a', '12.5'), row('b', '3'), row('c', '0.25')].join('\n')

const skip = existsSync(real) ? false : 'the real seizures are not at hand: ../shared/data/pangolin-seizures.csv'

const constant = (source: unknown) => (typeof source === 'string' ? source : '')

/** The plain sum of each column of quantities, by the category that the mapping makes of it. */
function sumsOf(csv: string): Map<string, string> {
  const file = readCsv(csv, ',')
  if (isImportFault(file)) throw new Error(file.reason)
  const sums = new Map<string, string>()
  for (const [column, targets] of Object.entries(mapping.columns)) {
    const at = file.header.cells.indexOf(column)
    const cells = file.records.map(({ cells }) => (cells[at] ?? '').trim()).filter((cell) => cell !== '')
    for (const target of targets) {
      if ('goods' in target)
        sums.set(`${constant(target.goods['category'])} ${constant(target.goods['unit'])}`, sumDecimals(cells))
    }
  }
  return sums
}

t.test('651 real seizures: imported once, received by all, their sums those of the file', { skip }, async (t) => {
  const { operation, kenya, thailand } = await scene()
  const csv = readFileSync(real, 'utf8')
  const reading = await thailand.client.follow(operation)
  const first = await importOf(kenya.client, operation, csv)
  t.match(first, { rows: 651, imported: 651, already: 0, corrected: 0 })
  const session = await received(thailand.client, operation, 651)
  t.equal(session.figures().seizures, 651)
  const sums = sumsOf(csv)
  t.equal(sums.size, 5)
  for (const [of, sum] of sums) {
    const found = session.figures().quantities.find(({ category, unit }) => `${category} ${unit}` === of)
    t.equal(addDecimals(found?.quantity ?? '0', found?.estimated ?? '0'), sum, of)
  }
  t.same(session.figures(), (await kenya.client.follow(operation)).figures())
  const told = await kenya.client.transport.request<{ seizures: number; quantities: unknown }>(
    'GET',
    `/v1/operations/${operation}/figures`,
  )
  t.match(told, session.figures(), 'the service computes the same from the extracts')
  const second = await importOf(kenya.client, operation, csv)
  t.match(second, { rows: 651, imported: 0, already: 651, changed: [], corrected: 0 })
  t.equal(session.messages.length, 651)
  t.same(reading.alarms, [])
})

t.test('a row that changed is named, and corrected only where that is asked for', async (t) => {
  const { operation, kenya, thailand } = await scene()
  t.match(await importOf(kenya.client, operation, small), { imported: 3, already: 0 })
  const changed = [columns, row('a', '12.5'), row('b', '4'), row('c', '0.25')].join('\n')
  const named = await importOf(kenya.client, operation, changed)
  t.match(named, { imported: 0, already: 3, corrected: 0, changed: [{ key: 'b' }] })
  const session = await received(thailand.client, operation, 3)
  t.match(session.figures().totals, [{ quantity: '15.75' }])
  t.match(await importOf(kenya.client, operation, changed, { update: true }), { imported: 0, corrected: 1 })
  await received(thailand.client, operation, 4)
  t.match(session.figures().totals, [{ quantity: '16.75' }])
  t.match(await importOf(kenya.client, operation, changed, { update: true }), { corrected: 0, changed: [] })
  t.match(await importOf(kenya.client, operation, small, { update: true }), { corrected: 1 }, 'and back again')
  await received(thailand.client, operation, 5)
  t.match(session.figures().totals, [{ quantity: '15.75' }])
})

t.test('what changed, is gone or came back at the source is proposed, and sent only when asked for', async (t) => {
  const { operation, kenya, thailand } = await scene()
  await importOf(kenya.client, operation, small)
  await importOf(thailand.client, operation, small)
  const later = [columns, row('a', '12.5'), row('b', '4'), row('d', '1')].join('\n')
  const { rows } = await mapRows(later, mapping)
  const proposal = await kenya.client.proposeImport({ operation, rows, mapping })
  t.match(proposal, { fresh: 1, already: 2, gone: [{ key: 'c' }], returned: [] })
  t.match(proposal.changed, [
    { line: 3, key: 'b', fields: [{ pointer: '/items/0/quantity', before: '3', after: '4' }] },
  ])
  t.equal(proposal.changed.length + proposal.gone.length, 2, 'nothing else, and nothing of another organization')
  const session = await received(thailand.client, operation, 6)
  t.equal(session.messages.length, 6, 'a proposal sends nothing')
  t.match(await importOf(kenya.client, operation, later), {
    imported: 1,
    corrected: 0,
    withdrawn: 0,
    gone: [{ key: 'c' }],
  })
  t.match(await importOf(kenya.client, operation, later, { inStep: true }), { imported: 0, corrected: 1, withdrawn: 1 })
  await received(thailand.client, operation, 9)
  const own = () => session.messages.filter(({ organization }) => organization === kenya.organization)
  t.match(figuresOf(own()), { seizures: 3, totals: [{ unit: 'KGM', quantity: '17.5' }] })
  t.match(
    await importOf(kenya.client, operation, later, { inStep: true }),
    { corrected: 0, withdrawn: 0, restored: 0 },
    'once',
  )
  const back = await importOf(kenya.client, operation, small, { inStep: true })
  t.match(back, { imported: 0, corrected: 1, withdrawn: 1, restored: 1, returned: [{ key: 'c' }] })
  await received(thailand.client, operation, 12)
  t.match(figuresOf(own()), { seizures: 3, totals: [{ unit: 'KGM', quantity: '15.75' }] }, 'as at the beginning')
  const again = await importOf(kenya.client, operation, small, { inStep: true })
  t.match(again, { imported: 0, already: 3, changed: [], gone: [], returned: [] })
  t.same(session.alarms, [])
})

t.test('a key in another form is the row that is there, also where it was imported as it is written', async (t) => {
  const { operation, kenya, thailand } = await scene()
  const names = (...keys: string[]) => [columns, ...keys.map((key) => row(key, '1'))].join('\n')
  t.match(await importOf(kenya.client, operation, names('Caf\u00e9-1', 'B-2')), { imported: 2 })
  for (const again of [names('Cafe\u0301-1', 'B-2'), names('Caf\u00e9-1', 'B-2\u200b')])
    t.match(await importOf(kenya.client, operation, again), { imported: 0, already: 2, changed: [], gone: [] })
  const session = await received(thailand.client, operation, 2)
  t.equal(session.figures().seizures, 2)
})

t.test('another device of the organization imports the same rows without doubling them', async (t) => {
  const { operation, kenya } = await scene()
  const officer = await enrolWith(t, kenya.client, { name: 'Second', organization: kenya.organization, tier: 'person' })
  await kenya.client.operations.admit(operation, {
    person: officer.person,
    organization: kenya.organization,
    role: 'officer',
  })
  t.match(await importOf(kenya.client, operation, small), { imported: 3 })
  await received(officer, operation, 3)
  t.match(await importOf(officer, operation, small), { imported: 0, already: 3 })
})

t.test('another organization’s import is its own: nothing is shared, nothing collides', async (t) => {
  const { operation, kenya, thailand } = await scene()
  t.match(await importOf(kenya.client, operation, small), { imported: 3 })
  t.match(await importOf(thailand.client, operation, small), { imported: 3, already: 0 })
})

t.test('a device that came after the import key waits until the first one has granted it', async (t) => {
  const { operation, kenya } = await scene()
  t.match(await importOf(kenya.client, operation, small), { imported: 3 })
  const officer = await enrolWith(t, kenya.client, { name: 'Third', organization: kenya.organization, tier: 'person' })
  const { person } = officer
  await kenya.client.operations.admit(operation, { person, organization: kenya.organization, role: 'officer' })
  try {
    await importOf(officer, operation, small)
    t.fail('imported')
  } catch (error) {
    t.ok(isProblem(error, 'IMPORT_KEY_MISSING'))
  }
  await importOf(kenya.client, operation, small)
  t.match(await importOf(officer, operation, small), { imported: 0, already: 3 })
})

t.test('an officer who stores an import key that does not open shuts nothing for good', async (t) => {
  const { operation, kenya, thailand } = await scene()
  const officer = await enrolWith(t, kenya.client, { name: 'Fourth', organization: kenya.organization, tier: 'person' })
  const { person } = officer
  await kenya.client.operations.admit(operation, { person, organization: kenya.organization, role: 'officer' })
  const path = `/v1/operations/${operation}/import-key`
  const { id: device, keys } = kenya.client.self.device
  const recipient = await importSealPublicKey(keys.seal.pub)
  const sealed = await sealTo('cordon-import+jwe', { kid: device, ope: operation }, recipient, utf8('no key'))
  await officer.transport.request('PUT', path, { keys: [{ device, sealed }] })
  t.equal(await code(importOf(kenya.client, operation, small)), 'IMPORT_KEY_REFUSED')
  t.equal(await code(importOf(officer, operation, small, { newKey: true })), 'FORBIDDEN', 'by contact points alone')
  const { server } = await people
  const before = await sizes(server)
  t.match(await importOf(kenya.client, operation, small, { newKey: true }), { imported: 3, already: 0 })
  const stored = (await entriesSince(server, before)).filter(({ kind }) => kind === 'records.key-stored')
  t.match(stored, [{ subject: kenya.organization, details: { replaced: true, recipients: Array } }])
  t.match(await importOf(kenya.client, operation, small), { imported: 0, already: 3 }, 'it stays')
  await received(officer, operation, 3)
  t.match(await importOf(officer, operation, small), { imported: 0, already: 3 }, 'for all of the organization')
  t.match(await importOf(thailand.client, operation, small), { imported: 3 }, 'and no other one')
  t.match(await importOf(kenya.client, operation, small, { newKey: true }), { imported: 3 }, 'which is said beforehand')
})

t.test('who may not import is refused before a row is sent', async (t) => {
  const { operation, coordinator } = await scene()
  const { administrator } = await people
  const partner = await partyOf(t, administrator, { kind: 'partner', name: 'Partner' })
  await takeIn(coordinator, operation, partner, 'partner')
  try {
    await importOf(partner.client, operation, small)
    t.fail('imported')
  } catch (error) {
    t.ok(isProblem(error, 'FORBIDDEN'))
  }
})

// Bites: `planOf` in src/client/import/runner.ts, which asks for both ids.
t.test('a row that was imported under its key as it is written is known, and its change is a correction', async (t) => {
  const { operation, kenya } = await scene()
  const { client, organization } = kenya
  const key = new Uint8Array(32).fill(7)
  const { id: device, keys } = client.self.device
  const signed = await signImportKey(client.self.device, { operation, organization, key })
  const recipient = await importSealPublicKey(keys.seal.pub)
  const sealed = await sealTo('cordon-import+jwe', { kid: device, ope: operation }, recipient, utf8(signed))
  await client.transport.request('PUT', `/v1/operations/${operation}/import-key`, { keys: [{ device, sealed }] })
  const file = [columns, row('PS-A', '12.5'), row('PS-B', '3'), row('PS-C', '0.25')].join('\n')
  const [first] = (await mapRows(file, mapping)).rows
  if (first === undefined) throw new Error('the file has rows')
  const { key: written, form, version, fields, subject = '' } = first
  t.not(written, written.toLowerCase(), 'the key as it is written is not its comparing form')
  const id = await importMessageId(key, operation, mapping.mapping, written)
  const session = await client.follow(operation)
  await session.post({ id, form, version, fields, subject })
  await received(client, operation, 1)
  t.match(await importOf(client, operation, file), { imported: 2, already: 1, changed: [], gone: [] })
  await received(client, operation, 3)
  t.match(await importOf(client, operation, file), { imported: 0, already: 3, changed: [] })
  const moved = file.replace(written, written.toLowerCase())
  t.match(await importOf(client, operation, moved), { imported: 0, already: 3 })
  const changed = file.replace('12.5', '13')
  t.match(await importOf(client, operation, changed, { update: true }), {
    imported: 0,
    already: 3,
    changed: [{ line: 2, key: written }],
    corrected: 1,
  })
})
