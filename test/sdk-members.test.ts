import t from 'tap'
import { isProblem, type Platform } from '../src/client/index.ts'
import { enrolWith, opened, partyOf, takeIn, type Party, type Scene } from './support/actors.ts'
import { usualOperation } from './support/usual-operation.ts'

const text = (words: string) => ({ form: 'text', fields: { text: words } })

async function twoParties(owner: Parameters<typeof usualOperation>[0], scene: Scene): Promise<[Party, Party]> {
  const { administrator, coordinator, operation } = scene
  const kenya = await partyOf(owner, administrator, { kind: 'administration', name: 'Customs of Kenya', country: 'KE' })
  const thailand = await partyOf(owner, administrator, {
    kind: 'administration',
    name: 'Customs of Thailand',
    country: 'TH',
  })
  await takeIn(coordinator, operation, kenya, 'ncp')
  await takeIn(coordinator, operation, thailand, 'ncp')
  return [kenya, thailand]
}

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

t.test('who is removed is no recipient of the next key, and hears nothing more', async (t) => {
  const scene = await usualOperation(t)
  const { coordinator, operation } = scene
  const [kenya, thailand] = await twoParties(t, scene)
  const removed = await thailand.client.follow(operation)
  const writing = await kenya.client.follow(operation)
  await removed.ready()
  const first = await writing.post(text('Before.'))
  await opened(thailand.client, operation, first.message)
  const ended = removed.events.once('ended')
  await coordinator.operations.remove(operation, thailand.client.person)
  t.equal((await ended).reason, 'removed')
  const second = await writing.post(text('After.'))
  const message = await opened(kenya.client, operation, second.message)
  t.equal(message.epoch, 2, 'a new key was opened without being asked for')
  const recipients: readonly string[] = writing.view.currentEpoch(writing.view.all)?.recipients ?? []
  t.notOk(recipients.includes(thailand.client.device))
  t.ok(recipients.includes(kenya.client.device))
  t.notOk(removed.message(second.message))
  t.equal(await code(removed.post(text('I am still here.'))), 'OPERATION_ENDED')
  t.equal(await code(thailand.client.follow(operation)), 'NOT_FOUND')
})

t.test('a device that is revoked while the next key is made for it keeps nobody from posting', async (t) => {
  const scene = await usualOperation(t)
  const { administrator, coordinator, operation } = scene
  let held: (() => Promise<void>) | undefined
  const fetching: Platform['fetch'] = async (url, init) => {
    const meanwhile = url.endsWith('/v1/certificates/proofs') ? held : undefined
    if (meanwhile) held = undefined
    await meanwhile?.()
    return fetch(url, init)
  }
  const kenya = await partyOf(t, administrator, {
    kind: 'administration',
    name: 'Customs of Kenya',
    country: 'KE',
    platform: { fetch: fetching },
  })
  await takeIn(coordinator, operation, kenya, 'ncp')
  const peru = await partyOf(t, administrator, { kind: 'administration', name: 'Customs of Peru', country: 'PE' })
  await takeIn(coordinator, operation, peru, 'ncp')
  const writing = await kenya.client.follow(operation)
  await writing.ready()
  held = async () => {
    const gone = writing.events.once('entry', ({ kind }) => kind === 'device.revoked')
    await administrator.directory.revokeDevice(peru.client.device)
    await gone
  }
  t.match(await writing.post(text('Sealed for who is left.')), { message: /./ })
  t.notOk(held, 'it was revoked while its certificate was proven')
  const recipients: readonly string[] = writing.view.currentEpoch(writing.view.all)?.recipients ?? []
  t.same(recipients.toSorted(), [coordinator.device, kenya.client.device].toSorted())
})

t.test('a newcomer gets the keys of the past from whoever is online, and reads what came before', async (t) => {
  const scene = await usualOperation(t)
  const { administrator, coordinator, operation } = scene
  const [kenya] = await twoParties(t, scene)
  const writing = await kenya.client.follow(operation)
  const before = await writing.post(text('Long before.'))
  const peru = await partyOf(t, administrator, { kind: 'administration', name: 'Customs of Peru', country: 'PE' })
  await takeIn(coordinator, operation, peru, 'ncp')
  const message = await opened(peru.client, operation, before.message)
  t.equal(message.fields['text'], 'Long before.')
  t.same((await peru.client.follow(operation)).alarms, [])
})

t.test('under the rule from-joining a newcomer reads from there on, and no hole alarms it', async (t) => {
  const scene = await usualOperation(t, {}, { history: 'from-joining' })
  const { administrator, coordinator, operation } = scene
  const [kenya] = await twoParties(t, scene)
  const writing = await kenya.client.follow(operation)
  const before = await writing.post(text('Not for newcomers.'))
  await writing.post(text('Nor this.'))
  const peru = await partyOf(t, administrator, { kind: 'administration', name: 'Customs of Peru', country: 'PE' })
  await takeIn(coordinator, operation, peru, 'ncp')
  const reading = await peru.client.follow(operation)
  await reading.ready()
  const after = await writing.post(text('For everybody.'))
  t.equal((await opened(peru.client, operation, after.message)).epoch, 2)
  t.notOk(reading.message(before.message))
  t.same(reading.alarms, [])
})

t.test(
  'a compartment: who is added reads all of it, who is not sees nothing, who leaves gets no new key',
  async (t) => {
    const scene = await usualOperation(t)
    const { coordinator, operation } = scene
    const [kenya, thailand] = await twoParties(t, scene)
    const outside = await thailand.client.follow(operation)
    await outside.ready()
    const compartment = await coordinator.operations.createCompartment(operation, {
      name: 'KE',
      members: [kenya.client.person],
    })
    const writing = await kenya.client.follow(operation)
    const first = await writing.post({ ...text('Among us.'), compartment })
    const inside = await coordinator.follow(operation)
    await opened(coordinator, operation, first.message)
    t.notOk(outside.view.compartments.has(compartment as never))
    await coordinator.operations.addToCompartment(operation, compartment, thailand.client.person)
    const read = await opened(thailand.client, operation, first.message)
    t.equal(read.fields['text'], 'Among us.')
    await coordinator.operations.removeFromCompartment(operation, compartment, thailand.client.person)
    const second = await writing.post({ ...text('Among us again.'), compartment })
    await opened(coordinator, operation, second.message)
    t.equal(inside.message(second.message)?.epoch, 2)
    const everybody = await writing.post(text('To all.'))
    await opened(thailand.client, operation, everybody.message)
    t.notOk(outside.message(second.message))
    t.same([...outside.alarms, ...inside.alarms, ...writing.alarms], [])
    t.equal(await code(outside.post({ ...text('Let me in.'), compartment })), 'NOT_FOUND')
  },
)

t.test('several who change members at once all get through', async (t) => {
  const scene = await usualOperation(t)
  const { coordinator, operation } = scene
  const [kenya, thailand] = await twoParties(t, scene)
  const officers = await Promise.all(
    [kenya, thailand].flatMap((party) =>
      [1, 2, 3].map(async (n) => ({
        party,
        officer: await enrolWith(t, party.client, {
          name: `Officer ${n}`,
          organization: party.organization,
          tier: 'person',
        }),
      })),
    ),
  )
  await Promise.all(
    officers.map(({ party, officer }) =>
      party.client.operations.admit(operation, {
        person: officer.person,
        organization: party.organization,
        role: 'officer',
      }),
    ),
  )
  const session = await coordinator.follow(operation)
  t.equal((await coordinator.operations.members(operation)).length, 9)
  t.equal(session.view.members.size, 9)
  t.same(session.alarms, [])
})

t.test('rehearsal is marked, and leaving it takes a new key', async (t) => {
  const scene = await usualOperation(t, {}, { state: 'rehearsal' })
  const { coordinator, operation } = scene
  const [kenya] = await twoParties(t, scene)
  const writing = await kenya.client.follow(operation)
  const drill = await writing.post(text('This is an exercise.'))
  t.equal((await opened(coordinator, operation, drill.message)).exercise, true)
  await coordinator.operations.advance(operation, 'active')
  const real = await writing.post(text('This is not.'))
  const message = await opened(coordinator, operation, real.message)
  t.equal(message.exercise, false)
  t.equal(message.epoch, 2)
})
