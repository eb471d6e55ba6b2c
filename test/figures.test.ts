import type pg from 'pg'
import t from 'tap'
import { sameFigures, type Figures } from '../src/forms/index.ts'
import type { Cordon, Draft } from '../src/client/index.ts'
import { partyOf, takeIn, type Party, type Scene } from './support/actors.ts'
import { checkLog } from './support/check-log.ts'
import { admin } from './support/database.ts'
import { usualOperation } from './support/usual-operation.ts'

type Answer = Figures & { asAt: number; edition: string }

const figuresFor = (client: Cordon, operation: string) =>
  client.transport.request<Answer>('GET', `/v1/operations/${operation}/figures`)

interface Item {
  category: string
  quantity?: string
  unit?: string
  estimated?: boolean
}

const seizureOf = (country: string, ...items: Item[]): Draft => ({
  form: 'seizure',
  fields: { country, date: '2026-09-01', items },
})

async function administrations(owner: Parameters<typeof partyOf>[0], scene: Scene, ...countries: string[]) {
  const parties: Party[] = []
  for (const country of countries) {
    const party = await partyOf(owner, scene.administrator, {
      kind: 'administration',
      name: `Customs ${country}`,
      country,
    })
    await takeIn(scene.coordinator, scene.operation, party, 'ncp')
    parties.push(party)
  }
  return parties
}

/** The reader's figures once it has opened everything that the server counted. */
async function readerOf(client: Cordon, operation: string, upTo: number): Promise<Figures> {
  const session = await client.follow(operation)
  await session.ready()
  await session.reached(upTo)
  return session.figures()
}

t.test('INV-16: a reader counts opened messages and the server extracts, and both find the same', async (t) => {
  const scene = await usualOperation(t, {}, { state: 'rehearsal' })
  const { server } = scene
  const { coordinator, operation } = scene
  const [kenya, thailand] = (await administrations(t, scene, 'KE', 'TH')) as [Party, Party]
  const ke = await kenya.client.follow(operation)
  const th = await thailand.client.follow(operation)
  const scales = (quantity: string, unit = 'KGM', estimated?: boolean): Item => ({
    category: 'wildlife/pangolin/scales',
    quantity,
    unit,
    ...(estimated === undefined ? {} : { estimated }),
  })
  await ke.post(seizureOf('KE', scales('999')))
  await coordinator.operations.advance(operation, 'active')
  await ke.reached((await coordinator.follow(operation)).position)
  await th.reached((await coordinator.follow(operation)).position)

  await ke.post(seizureOf('KE', scales('0.1'), scales('200', 'GRM'), scales('0.5', 'TNE', true)))
  await th.post(seizureOf('TH', { category: 'wildlife/pangolin/whole', quantity: '7', unit: 'H87' }))
  await th.post(seizureOf('TH', { category: 'wildlife/pangolin/live', quantity: '7', unit: 'H87' }))
  await th.post(seizureOf('TH', { category: 'drugs/khat' }))
  const none = (category: string): Item => ({ category, quantity: '0.00', unit: 'KGM' })
  await th.post(seizureOf('TH', none('drugs/cocaine'), none('wildlife/pangolin/scales')))
  await ke.post(seizureOf('KE', none('drugs/cocaine'), { category: 'drugs/cannabis', quantity: '3', unit: 'LBR' }))
  const wrong = await th.post(seizureOf('TH', scales('1')))
  const corrected = await th.post({
    ...seizureOf('TH', scales('2')),
    thread: wrong.thread,
    refersTo: { message: wrong.message, as: 'correction' },
  })
  await th.post({
    ...seizureOf('TH', scales('3')),
    thread: wrong.thread,
    refersTo: { message: corrected.message, as: 'correction' },
  })
  const taken = await ke.post(seizureOf('KE', scales('50')))
  const back = { thread: taken.thread, refersTo: { message: taken.message, as: 'withdrawal' as const } }
  await ke.post({ form: 'text', fields: { text: 'Counted twice.' }, ...back })
  const late = { thread: taken.thread, refersTo: { message: taken.message, as: 'correction' as const } }
  await ke.post({ ...seizureOf('KE', scales('60')), ...late })

  const answer = await figuresFor(kenya.client, operation)
  t.match(answer, { edition: 'whole', seizures: 6, cases: 6 }, 'zero is no seizure')
  t.same(answer.quantities, [
    { category: 'drugs/cannabis', unit: 'KGM', quantity: '1.36077711', estimated: '0', seizures: 1 },
    { category: 'wildlife/pangolin/live', unit: 'H87', quantity: '7', estimated: '0', seizures: 1 },
    { category: 'wildlife/pangolin/scales', unit: 'KGM', quantity: '3.3', estimated: '500', seizures: 2 },
    { category: 'wildlife/pangolin/whole', unit: 'H87', quantity: '7', estimated: '0', seizures: 1 },
  ])
  t.same(answer.totals, [
    { unit: 'H87', quantity: '7', estimated: '0' },
    { unit: 'KGM', quantity: '4.66077711', estimated: '500' },
  ])
  for (const client of [kenya.client, thailand.client, coordinator]) {
    t.ok(sameFigures(await readerOf(client, operation, answer.asAt), answer))
  }
  await admin(server.database.superUrl, async (client) => {
    const { rows } = await client.query('SELECT kind, person_id FROM log_entry WHERE log_id = $1 AND index = $2', [
      operation,
      answer.asAt,
    ])
    t.same(rows, [{ kind: 'report.viewed', person_id: kenya.client.person }], 'looking is entered before the answer')
  })
  await checkLog(server)
})

t.test('figures are refused to right holders, outsiders, who was removed, and before there is anything', async (t) => {
  const scene = await usualOperation(t, {}, { state: 'draft' })
  const { server } = scene
  const { administrator, coordinator, operation } = scene
  await t.rejects(figuresFor(coordinator, operation), { code: 'OPERATION_STATE', status: 409 })
  await coordinator.operations.advance(operation, 'rehearsal')
  const [kenya] = (await administrations(t, scene, 'KE')) as [Party]
  const maker = await partyOf(t, administrator, { kind: 'right-holder', name: 'Maker' })
  await takeIn(coordinator, operation, maker, 'right-holder')
  const outsider = await partyOf(t, administrator, { kind: 'administration', name: 'Customs of Peru', country: 'PE' })
  await t.rejects(figuresFor(maker.client, operation), {
    code: 'FORBIDDEN',
    status: 403,
    extra: { permission: 'report.view' },
  })
  await t.rejects(figuresFor(outsider.client, operation), { code: 'NOT_FOUND', status: 404 })
  await t.rejects(figuresFor(administrator, operation), { code: 'NOT_FOUND' }, 'administrators are no members')
  await t.rejects(figuresFor(kenya.client, '01900000-0000-7000-8000-000000000000'), { code: 'NOT_FOUND' })
  await coordinator.operations.remove(operation, kenya.client.person)
  await t.rejects(figuresFor(kenya.client, operation), { code: 'NOT_FOUND' })
  await admin(server.database.superUrl, async (client) => {
    const { rows } = await client.query(`SELECT 1 FROM log_entry WHERE kind = 'report.viewed'`)
    t.same(rows, [], 'and none of them looked')
  })
  await checkLog(server)
})

t.test(
  'INV-17: partners and observers see what three countries made together, as at the end of yesterday',
  async (t) => {
    const scene = await usualOperation(t)
    const { server } = scene
    const { administrator, coordinator, operation } = scene
    const parties = await administrations(t, scene, 'KE', 'TH', 'DE')
    const platform = { clock: () => server.clock.now() }
    const partner = await partyOf(t, administrator, { kind: 'partner', name: 'Europol', platform })
    await takeIn(coordinator, operation, partner, 'partner')
    const observer = await partyOf(t, administrator, { kind: 'partner', name: 'UNODC', platform })
    await takeIn(coordinator, operation, observer, 'observer')
    const khat: Item = { category: 'drugs/khat', quantity: '4', unit: 'KGM' }
    for (const [n, { client }] of parties.entries()) {
      const session = await client.follow(operation)
      const country = ['KE', 'TH', 'DE'][n] ?? ''
      await session.post(seizureOf(country, khat))
      await session.post(seizureOf(country, { category: 'drugs/cocaine', quantity: '0', unit: 'KGM' }))
      if (country === 'KE')
        await session.post(seizureOf(country, { category: 'drugs/other', quantity: '9', unit: 'H87' }))
    }
    t.match(await figuresFor(partner.client, operation), { edition: 'totals', seizures: 0, quantities: [], totals: [] })
    server.clock.advance(24 * 3600_000)
    for (const { client } of [partner, observer]) {
      const tomorrow = await figuresFor(client, operation)
      t.match(tomorrow, { edition: 'totals' })
      t.notMatch(JSON.stringify(tomorrow), /cocaine/, 'zero of three countries is no row')
      t.same(tomorrow.quantities, [
        { category: 'drugs/khat', unit: 'KGM', quantity: '12', estimated: '0', seizures: 3 },
      ])
      t.same(tomorrow.totals, [{ unit: 'KGM', quantity: '12', estimated: '0' }])
      t.notMatch(JSON.stringify(tomorrow), /drugs\/other/)
    }
    await checkLog(server)
  },
)

t.test(
  'INV-18: the role that computes figures reads headers and extracts of its person’s operations alone',
  async (t) => {
    const scene = await usualOperation(t)
    const { server } = scene
    const [kenya] = (await administrations(t, scene, 'KE')) as [Party]
    await (
      await kenya.client.follow(scene.operation)
    ).post(seizureOf('KE', { category: 'drugs/khat', quantity: '1', unit: 'KGM' }))
    const ask = (person: string, query: string) =>
      admin(server.database.url, async (client) => {
        await client.query('BEGIN')
        await client.query(`SELECT set_config('cordon.person', $1, true)`, [person])
        await client.query('SET LOCAL ROLE cordon_figures')
        return client.query(query)
      })
    t.equal((await ask(kenya.client.person, 'SELECT id FROM message')).rowCount, 1)
    t.equal((await ask(kenya.client.person, 'SELECT content FROM extract')).rowCount, 1)
    t.equal((await ask(scene.administrator.person, 'SELECT id FROM message')).rowCount, 0, 'not for who is no member')
    t.equal((await ask(scene.administrator.person, 'SELECT content FROM extract')).rowCount, 0)
    t.equal((await ask(scene.administrator.person, 'SELECT index FROM log_entry')).rowCount, 0)
    const forbidden = [
      'SELECT jwe FROM body',
      'SELECT jws FROM message',
      'SELECT person_id FROM message',
      'SELECT salt FROM extract',
      'SELECT leaf FROM log_entry',
      'SELECT details FROM log_private',
      'SELECT name FROM person',
      'SELECT sealed FROM epoch_grant',
      'DELETE FROM extract',
    ]
    for (const query of forbidden) {
      await t.rejects(ask(kenya.client.person, query), { code: '42501' } satisfies Partial<pg.DatabaseError>, query)
    }
    await checkLog(server)
  },
)
