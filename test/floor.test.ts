// What this holds: what a device has verified once it never believes less of, whatever a service
// shows it afterwards, whatever its store fails to write, and however often it ends. What makes it
// fail: `missing` in Intake.#adopt answering nothing; `Intake.#write` forgetting the changes of a
// write that failed; the place of a log written without what it belongs to.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Cordon, webPlatform } from '../src/client/index.ts'
import type { DeviceId, PersonId } from '../src/protocol/index.ts'
import { enrolWith, opened, partyOf, systemClock, takeIn } from './support/actors.ts'
import { alarmOf, alteredOperations, code, text } from './support/altered-operation.ts'
import { Altered, kindOf, withLeaf, type Frame } from './support/altered.ts'
import { FlakyStore } from './support/flaky-store.ts'
import { checkLog } from './support/check-log.ts'
import { usualOperation } from './support/usual-operation.ts'

const newOperation = alteredOperations(t)

interface Tap {
  teardown(clean: () => Promise<unknown>): void
}
type Scene = Awaited<ReturnType<typeof newOperation>>

/** Resolves once it is so; what never becomes so fails the test by its time. */
async function seen(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(20)
}

/**
 * Kenya has seen Thailand removed; from now on the service hides that from whoever reads the log
 * again.
 */
async function removed() {
  const scene = await newOperation()
  const { coordinator, kenya, thailand, operation, altered } = scene
  const session = await kenya.follow(operation)
  await session.post(text('Before.'))
  await coordinator.operations.remove(operation, thailand.person)
  await seen(() => !session.view.member(thailand.person as PersonId))
  const hides = (frame: Frame) => kindOf(frame) === 'member.removed'
  altered.frame = (frame) => (hides(frame) ? undefined : frame)
  return { ...scene, session, hides }
}

/**
 * An entry about Kenya that nobody signed, in the place of one that says that the operation has
 * another name.
 */
async function claim(
  { altered, coordinator, operation, kenya }: Scene,
  hides: (frame: Frame) => boolean,
  kind: string,
) {
  altered.frame = (frame) => {
    if (hides(frame)) return undefined
    if (kindOf(frame) !== 'operation.updated') return frame
    const { private: _, digest: _digest, ...leaf } = JSON.parse(frame['leaf'] as string) as Record<string, unknown>
    const counted = kind.startsWith('compartment.') ? { compartment: operation, seq: 99 } : {}
    const { v, log, index, at, actor } = leaf
    return { ...frame, leaf: JSON.stringify({ v, log, index, at, kind, actor, ...counted, subject: kenya.person }) }
  }
  await coordinator.operations.update(operation, { name: `Another name because of ${kind}` })
}

t.test('INV-116: an entry about oneself that nobody signed makes nothing forgotten', async (t) => {
  for (const kind of ['member.role-changed', 'member.woken', 'compartment.member-added', 'compartment.created']) {
    const scene = await removed()
    const { session, kenya, coordinator, thailand, operation, hides, altered } = scene
    await claim(scene, hides, kind)
    await (await coordinator.follow(operation)).post(text('The next entry.'))
    // Whether it is set aside or makes the device ask for the whole log again: what it knows of the
    // removal stays.
    t.ok(session.alarms[0] ?? (await session.events.once('alarm')), `${kind} is noticed`)
    t.notOk(session.view.member(thailand.person as PersonId), 'who was removed stays removed')
    altered.requests.length = 0
    await code(session.post(text('For whom?'), 3_000))
    for (const { body } of altered.requests.filter(({ path }) => path.endsWith('/epochs'))) {
      const { grants } = body as { grants: { device: string }[] }
      t.notOk(
        grants.some(({ device }) => device === thailand.device),
        'nothing is sealed for who was removed',
      )
    }
    await kenya.operations.leave(operation)
  }
})

t.test('INV-116: a log that is shown again without what was seen in it is not taken', async (t) => {
  // What the service itself ended stands in no chain of statements: nothing but this device's
  // memory misses it.
  const scene = await newOperation()
  const { coordinator, kenya, thailand, operation, altered } = scene
  const session = await kenya.follow(operation)
  const organization = thailand.organization
  const sleeper = await enrolWith(t, thailand, { name: 'Somchai', organization, tier: 'person' })
  await thailand.operations.admit(operation, { person: sleeper.person, organization, role: 'officer' })
  await session.post(text('Before.'))
  await thailand.directory.suspend(sleeper.person, 'On leave')
  const asleep = () => session.view.member(sleeper.person as PersonId)?.asleep
  await seen(() => asleep() === true)
  altered.frame = (frame) => (kindOf(frame) === 'member.slept' ? undefined : frame)
  session.readAgain()
  const alarm = await alarmOf(kenya, operation, 'LOG_ALTERED')
  t.equal(alarm.reason, 'FLOOR')
  t.match(alarm.detail, /entry \d+, which ended "awake/, 'the alarm names what is missing')
  t.equal(asleep(), true, 'and what is known stays known')
  t.equal(await code(session.post(text('For whom?'))), 'LOG_ALTERED')

  t.comment('a process that starts anew remembers it too')
  altered.frame = (frame) => frame
  altered.cut()
  await session.events.once('caught-up')
  const posted = await session.post(text('The whole log again.'))
  t.ok(await opened(coordinator, operation, posted.message), 'a service that shows everything again is gone on with')
})

t.test(
  'INV-116: a real change of one’s own role does not let a service forget a revoked device or a stale key',
  async (t) => {
    const scene = await newOperation()
    const { coordinator, kenya, thailand, operation, altered } = scene
    const session = await kenya.follow(operation)
    const organization = thailand.organization
    const officer = await enrolWith(t, thailand, { name: 'Malee', organization, tier: 'person' })
    await thailand.operations.admit(operation, { person: officer.person, organization, role: 'officer' })
    await session.post(text('Before.'))
    await thailand.directory.revokeDevice(officer.device)
    await seen(() => !session.view.devices.has(officer.device as DeviceId))
    altered.frame = (frame) => (kindOf(frame) === 'device.revoked' ? undefined : frame)
    await coordinator.operations.changeRole(operation, kenya.person, 'officer')
    const alarm = await alarmOf(kenya, operation, 'LOG_ALTERED')
    t.equal(alarm.reason, 'FLOOR')
    t.match(alarm.detail, /device|epoch/)
    t.equal(await code(session.post(text('For whom?'))), 'LOG_ALTERED')
    altered.frame = (frame) => frame
  },
)

/** What a member's device holds that has not followed its operation yet. */
async function deviceThatReadNothing(t: Tap) {
  const { server, administrator, coordinator, operation } = await usualOperation(t)
  const before = new FlakyStore()
  const kenya = await partyOf(t, administrator, { kind: 'administration', name: 'Kenya', country: 'KE', store: before })
  await takeIn(coordinator, operation, kenya, 'ncp')
  await kenya.client.close()
  return { server, operation, sending: await coordinator.follow(operation), before }
}

t.test('INV-118: an entry of the future that takes the place of another is got over without help', async (t) => {
  const { coordinator, kenya, operation, altered } = await newOperation()
  const session = await kenya.follow(operation)
  await session.ready()
  const index = session.position + 1
  const { device, account } = kenya.self
  const actor = { person: account.person, organization: account.organization, device: device.id }
  const at = new Date(Date.now() + 3600_000).toISOString()
  const leaf = { v: 1, log: operation, index, at, kind: 'member.role-changed', actor, subject: kenya.person }
  altered.inject(JSON.stringify({ type: 'entry', operation, index, leaf: JSON.stringify(leaf) }))
  await seen(() => session.aside.length === 1)
  t.match(session.aside[0], { code: 'ENTRY_REFUSED', index }, 'it is set aside')
  const leading = await coordinator.follow(operation)
  const posted = [await leading.post(text('In its place.')), await leading.post(text('Before its date.'))]
  await seen(() => posted.every(({ message }) => session.message(message) !== undefined))
  t.match(
    session.alarms.map(({ reason }) => reason),
    ['VIEW', 'LEAF_TIME'],
    'the device said why',
  )
  t.same(session.aside, [], 'what the log does not hold is not said to be in it')
  t.ok(await session.post(text('Going on.')), 'it posts')
})

t.test('INV-117: whatever write fails, no message of a batch is missing afterwards', async (t) => {
  const { server, operation, sending, before } = await deviceThatReadNothing(t)
  const ids: string[] = []
  for (let n = 0; n < 6; n++) ids.push((await sending.post(text(`Message ${String(n)}`))).message)
  for (let failing = 1; failing <= 12; failing++) {
    const store = await before.copy()
    const client = new Cordon({ store, platform: webPlatform(systemClock) })
    await client.load()
    const from = store.writes
    store.fails = (write) => write === from + failing
    const session = await client.follow(operation)
    for (let tries = 0; tries < 20 && ids.some((id) => !session.message(id)); tries++)
      await session.ready(5_000).catch(() => new Promise((resolve) => setTimeout(resolve, 100)))
    const { message } = await sending.post(text(`After ${String(failing)}`))
    ids.push(message)
    await opened(client, operation, message)
    store.fails = () => false
    await client.close()
    const again = new Cordon({ store: await store.copy(), platform: webPlatform(systemClock) })
    await again.load()
    const kept = await again.follow(operation)
    await kept.ready()
    t.same(
      ids.filter((id) => !kept.message(id)),
      [],
      `write ${String(failing)} failed`,
    )
    t.same(kept.alarms, [])
    await again.close()
  }
  await checkLog(server)
})

// Bites: one timer in OperationSession for `#pause` and `#mendLater`: its count of failed writes
// would make a device wait a minute before it reads an altered log again.
t.test('INV-118: failed writes do not put off the next look at an altered log', async (t) => {
  const { operation, sending, before } = await deviceThatReadNothing(t)
  await sending.post(text('Before.'))
  const store = await before.copy()
  const altered = new Altered()
  const delaysMs: number[] = []
  const { random, ...web } = webPlatform(systemClock, altered.platform)
  const client = new Cordon({
    store,
    platform: {
      ...web,
      // The jitter of a delay is drawn from four bytes: each delay is the longest that it can be.
      random: (length) => (length === 4 ? new Uint8Array(4).fill(0xff) : random(length)),
      after: (milliseconds, run) => {
        // What is no whole number was drawn; the others bound requests.
        if (Number.isInteger(milliseconds)) return web.after(milliseconds, run)
        delaysMs.push(Math.ceil(milliseconds))
        return web.after(20, run)
      },
    },
  })
  t.teardown(() => client.close())
  await client.load()
  let failed = 0
  store.fails = () => failed < 5 && ++failed > 0
  let newest: Frame | undefined
  let lies = 0
  altered.frame = (frame) => {
    if (frame.type === 'entry') newest = frame
    if (failed < 5 || frame.type !== 'caught-up' || newest === undefined || lies++ > 0) return frame
    const index = (newest['index'] as number) + 1
    return [withLeaf({ ...newest, index }, { index, at: '2020-01-01T00:00:00.000Z' }), frame]
  }
  const session = await client.follow(operation)
  await seen(() => session.alarms.length > 0 && session.status === 'live')
  t.equal(failed, 5)
  t.match(
    session.alarms.map(({ code: what }) => what),
    ['LOG_ALTERED'],
  )
  t.same(delaysMs.filter((milliseconds) => milliseconds >= 500).slice(0, 6), [500, 1_000, 2_000, 4_000, 8_000, 2_000])
})

t.test('INV-117: a process that ends after any write goes on with everything', async (t) => {
  const { operation, sending, before } = await deviceThatReadNothing(t)
  const ids: string[] = []
  for (let n = 0; n < 4; n++) ids.push((await sending.post(text(`Message ${String(n)}`))).message)
  let writes = Number.POSITIVE_INFINITY
  for (let last = 1; last <= writes; last++) {
    const store = await before.copy()
    const client = new Cordon({ store, platform: webPlatform(systemClock) })
    await client.load()
    const from = store.writes
    // From here on nothing reaches the disk any more: as if the process had ended.
    store.fails = (write) => write > from + last
    const session = await client.follow(operation)
    await session.ready(2_000).catch(() => {})
    writes = Math.min(writes, store.writes - from)
    store.fails = () => false
    const left = await store.copy()
    await client.close()
    const again = new Cordon({ store: left, platform: webPlatform(systemClock) })
    await again.load()
    const kept = await again.follow(operation)
    await kept.ready()
    t.same(
      ids.filter((id) => !kept.message(id)),
      [],
      `ended after write ${String(last)}`,
    )
    t.same(kept.alarms, [])
    await again.close()
  }
})
