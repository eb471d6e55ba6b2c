// What this holds: nobody fills what others share. Following an operation, opening its keys, giving
// grants, making compartments, devices and invitations has a bound each, told by what it writes;
// and what somebody wrote in the place of an id stands in no log. What makes it fail: a quota by
// door, a key that needs no reason to be replaced, a row for each repetition.
import t from 'tap'
import { digestOf, sealGrant } from '../src/protocol/index.ts'
import { admin } from './support/database.ts'
import { startAMinute } from './support/rates.ts'
import { everyRole } from './support/roles.ts'
import { startServer } from './support/server.ts'
import { went, type WireOperation } from './support/wire-operation.ts'
import { ask, codeOf, freshId, invite, newcomer, now, setUp, type WireActor } from './support/wire.ts'

const scene = await everyRole(t, { server: { quotas: { 'account-following': 12 } } })
const { server, operation, byRole, shared, organizations, ncpOfThailand } = scene

async function sizeOf(log = operation.id): Promise<number> {
  return admin(server.database.superUrl, async (client) => {
    const { rows } = await client.query<{ size: string }>('SELECT size FROM log WHERE id = $1', [log])
    return Number(rows[0]?.size)
  })
}

const dispute = (actor: WireActor, compartment: string, epoch: number, op: WireOperation = operation) =>
  actor.call('POST', `${op.path}/disputes`, { compartment, epoch })

t.test('INV-137: whoever follows an operation again and again writes so many entries and no more', async (t) => {
  startAMinute(server)
  const live = await byRole.observer.live()
  const before = await sizeOf()
  for (let i = 0; i < 300; i++) live.send({ type: 'subscribe', operation: operation.id, after: 0 })
  const { problem } = await live.first(({ type }) => type === 'refused', 15_000)
  t.equal(problem.code, 'TOO_MANY_REQUESTS')
  for (let i = 0; i < 300; i++) live.send({ type: 'acknowledge', operation: operation.id, upTo: 2 ** 53 - 1 })
  live.send({ type: 'ping' })
  await live.first(({ type }) => type === 'pong', 15_000)
  await server.consultation.flush()
  t.ok((await sizeOf()) - before <= 14, `${String((await sizeOf()) - before)} entries`)
  live.close()
})

t.test('INV-137: nobody alone puts one key in the place of another', async (t) => {
  const { officer, ncp, analyst, coordinator } = byRole
  const further = await newcomer(officer, {
    name: 'Officer',
    organization: officer.organization,
    person: officer.person,
    tier: 'ncp',
  })
  await operation.outdate(shared, ncpOfThailand)
  went(await operation.openEpoch(officer, shared))
  const epoch = (await operation.view()).currentEpoch(shared as never)?.number ?? 0
  t.equal(codeOf(await operation.openEpoch(officer, shared)), '409 EPOCH_FRESH', 'again')
  const before = await sizeOf()
  for (const own of [officer, further]) went(await dispute(own, shared, epoch))
  t.equal(await sizeOf(), before, 'whoever opened it has its key')
  went(await dispute(ncp, shared, epoch))
  went(await dispute(ncp, shared, epoch))
  t.equal(codeOf(await operation.openEpoch(ncp, shared)), '409 EPOCH_FRESH', 'one who complains')
  t.equal(codeOf(await operation.openEpoch(analyst, shared)), '409 EPOCH_FRESH')
  went(await dispute(analyst, shared, epoch))
  t.ok(await operation.isStale(shared), 'two people')
  went(await operation.openEpoch(coordinator, shared))
  for (let i = 0; i < 3; i++) t.equal(codeOf(await operation.openEpoch(officer, shared)), '409 EPOCH_FRESH')

  const { id: two } = went(await operation.createCompartment(coordinator, [ncp.person]))
  went(await operation.openEpoch(coordinator, two))
  t.equal(codeOf(await operation.openEpoch(ncp, two)), '409 EPOCH_FRESH')
  went(await dispute(ncp, two, 1))
  went(await operation.openEpoch(ncp, two))
  t.equal(codeOf(await operation.openEpoch(coordinator, two)), '409 EPOCH_FRESH', 'of two the other one says so')
})

t.test('INV-137: a grant is stored once, however often it is given, and one device gives few', async (t) => {
  const { coordinator, ncp } = byRole
  const view = await operation.view()
  const key = operation.keys.get(`${shared}#1`)
  const seal = view.devices.get(ncp.device.id)?.keys.seal
  if (!key || !seal) throw new Error('the first epoch of the compartment')
  const fresh = () => sealGrant({ device: ncp.device.id, seal }, shared, 1, key)
  const give = (by: WireActor, ...grants: string[]) =>
    by.call('POST', `${operation.path}/grants`, {
      compartment: shared,
      grants: grants.map((grant) => ({ device: ncp.device.id, epoch: 1, grant })),
    })
  const one = await fresh()
  t.equal(codeOf(await give(coordinator, one, one)), '400 EPOCH_GRANTS', 'twice at once')
  t.equal(codeOf(await give(coordinator, one, await fresh())), '400 EPOCH_GRANTS')
  const stored = async () =>
    admin(server.database.superUrl, async (client) => {
      const { rows } = await client.query<{ n: number }>(
        'SELECT count(*)::int AS n FROM epoch_grant WHERE operation_id = $1 AND compartment_id = $2 AND device_id = $3 AND epoch = 1',
        [operation.id, shared, ncp.device.id],
      )
      return rows[0]?.n
    })
  t.equal(await stored(), 1, 'that of the epoch itself')
  for (let i = 0; i < 5; i++) went(await give(coordinator, one))
  t.equal(await stored(), 2, 'the same again')
  went(await give(byRole.analyst, one))
  t.equal(await stored(), 2, 'also by somebody else')
  for (let i = 0; i < 6; i++) went(await give(coordinator, await fresh()))
  t.equal(await stored(), 3, 'three by one device')
  const crowd = await Promise.all(Array.from({ length: 6 }, async () => give(byRole.analyst, await fresh())))
  t.ok(crowd.every(({ status }) => status < 400))
  t.equal(await stored(), 6, 'and three by another one, all at once')
})

t.test('INV-137: compartments of an operation, devices of a person and open invitations are bounded', async (t) => {
  const { coordinator, ncp } = byRole
  const codes = new Set<string>()
  for (let some = 0; some < 11; some++) {
    const made = Array.from({ length: 20 }, async () => {
      const act = { v: 2, operation: operation.id, previous: null, at: now(), act: 'create-compartment' } as const
      const statement = await coordinator.signAct({ ...act, compartment: freshId(), members: [] })
      return coordinator.call('POST', `${operation.path}/compartments`, { statement, name: 'One of many' })
    })
    for (const answer of await Promise.all(made)) codes.add(codeOf(answer))
  }
  t.same([...codes].toSorted(), ['200', '409 TOO_MANY'])
  t.equal((await operation.view()).compartments.size, 201)

  const officer = await newcomer(ncp, { name: 'Many devices', organization: organizations.kenya })
  const furtherOf = () => invite(officer, { name: 'Again', organization: officer.organization, person: officer.person })
  for (let i = 0; i < 19; i++) await furtherOf()
  await t.rejects(furtherOf(), /TOO_MANY/)
})

t.test('INV-137: what somebody wrote in the place of an id stands in no log', async (t) => {
  const needle = 'free-text-of-somebody'
  const outsider = await newcomer(scene.administrator, {
    name: 'Outsider',
    organization: organizations.thailand,
    tier: 'ncp',
  })
  for (const path of [`/v1/operations/${needle}`, `/v1/logs/${needle}/checkpoint`, `/v1/people/${needle}/devices`]) {
    t.ok((await outsider.call('GET', path)).status >= 400)
    t.ok((await ask(server.url + path, {})).status >= 400)
  }
  t.equal(codeOf(await outsider.call('GET', operation.path)), '404 NOT_FOUND')
  await server.refusals.flush()
  const found = await admin(server.database.superUrl, async (client) => {
    const { rows } = await client.query<{ details: string }>('SELECT details FROM log_private')
    return rows.map(({ details }) => details)
  })
  t.notOk(found.some((details) => details.includes(needle)))
  t.ok(
    found.some((details) => details.includes(operation.id) && details.includes('NOT_FOUND')),
    'an id does',
  )
})

t.test('the description of the service is made once', async (t) => {
  const alone = await startServer(t)
  await setUp(alone)
  const get = async () => {
    const { text, headers } = await ask(`${alone.url}/openapi.json`, {})
    return { digest: await digestOf(text), type: headers.get('content-type') }
  }
  const first = await get()
  t.match(first.type, /^application\/json/)
  for (const again of await Promise.all(Array.from({ length: 20 }, get))) t.same(again, first)
})
