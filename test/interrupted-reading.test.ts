// What this holds: a device that ends in the middle of reading, at whatever write, or is closed at
// whatever moment, goes on later with the members that the log has: nobody wakes, nobody is lost,
// nothing is alarmed. What makes it fail: a place in the store that is ahead of what is kept with
// it, or the end of one reading that is taken for that of the next.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Cordon, MemoryStore, webPlatform, type Change, type OperationSession } from '../src/client/index.ts'
import { enrolWith, partyOf, systemClock, takeIn, type Scene } from './support/actors.ts'
import { usualOperation } from './support/usual-operation.ts'

/** Takes its time as a disk does, and remembers what it held after each write. */
class SlowStore extends MemoryStore {
  readonly #values: Map<string, unknown>
  readonly kept: Map<string, unknown>[] = []

  constructor(values: ReadonlyMap<string, unknown> = new Map()) {
    super()
    this.#values = new Map(values)
    void super.write([...values].map(([name, value]) => ({ name, value })))
  }

  override async list(prefix: string): Promise<[string, unknown][]> {
    await sleep(2)
    return super.list(prefix)
  }

  override async write(changes: readonly Change[]): Promise<void> {
    await sleep(2)
    await super.write(changes)
    for (const { name, value } of changes)
      if (value === undefined) this.#values.delete(name)
      else this.#values.set(name, value)
    this.kept.push(new Map(this.#values))
  }
}

const membersOf = ({ view }: OperationSession) =>
  [...view.members.values()].map(({ person, role, asleep }) => `${person} ${role} ${asleep ? 'asleep' : ''}`).sort()

/** What a device believes that goes on with this store. */
async function goOn(t: Test, operation: string, values: ReadonlyMap<string, unknown>) {
  const client = new Cordon({ store: new SlowStore(values), platform: webPlatform(systemClock) })
  t.teardown(() => client.close())
  await client.load()
  const session = await client.follow(operation)
  await session.ready()
  const believed = { members: membersOf(session), alarms: session.alarms.map(({ code }) => code) }
  await client.close()
  return believed
}

async function withSleeper(t: Test): Promise<Scene & { kenya: Cordon; store: SlowStore }> {
  const scene = await usualOperation(t, {}, { state: 'draft' })
  const { administrator, coordinator, operation } = scene
  const store = new SlowStore()
  const kenya = await partyOf(t, administrator, { kind: 'administration', name: 'Kenya', country: 'KE', store })
  const thailand = await partyOf(t, administrator, { kind: 'administration', name: 'Thailand', country: 'TH' })
  for (const party of [kenya, thailand]) await takeIn(coordinator, operation, party, 'ncp')
  const { organization } = thailand
  const sleeper = await enrolWith(t, thailand.client, { name: 'Somchai', organization, tier: 'person' })
  await thailand.client.operations.admit(operation, { person: sleeper.person, organization, role: 'officer' })
  await thailand.client.directory.suspend(sleeper.person, 'On leave')
  return { ...scene, kenya: kenya.client, store }
}

t.test('INV-115: a device that ends after any write goes on with the members of the log', async (t) => {
  const { coordinator, operation, kenya, store } = await withSleeper(t)
  const session = await kenya.follow(operation)
  await session.ready()
  const from = store.kept.length - 1
  await coordinator.operations.changeRole(operation, kenya.person, 'coordinator')
  await sleep(30)
  await kenya.operations.advance(operation, 'rehearsal')
  await session.ready()
  await kenya.operations.advance(operation, 'active')
  await sleep(500)
  await session.ready()
  const expected = membersOf(session)
  t.equal(expected.filter((one) => one.endsWith(' asleep')).length, 1)
  t.equal(expected.length, 4)
  await kenya.close()
  t.ok(store.kept.length - from >= 5, `${String(store.kept.length - from)} writes`)
  for (const [n, values] of store.kept.entries()) {
    if (n < from) continue
    t.same(await goOn(t, operation, values), { members: expected, alarms: [] }, `after write ${String(n)}`)
  }
})

t.test('INV-115: a device that is closed at any moment goes on with the members of the log', async (t) => {
  const { coordinator, operation, kenya, store } = await withSleeper(t)
  await kenya.close()
  let values = store.kept.at(-1) ?? new Map<string, unknown>()
  const leading = await coordinator.follow(operation)
  for (let round = 0; round < 12; round++) {
    const own = new SlowStore(values)
    const client = new Cordon({ store: own, platform: webPlatform(systemClock) })
    t.teardown(() => client.close())
    await client.load()
    const session = await client.follow(operation)
    await session.ready()
    await coordinator.operations.changeRole(operation, kenya.person, round % 2 === 0 ? 'officer' : 'ncp')
    await sleep(round * 6)
    await client.close()
    values = own.kept.at(-1) ?? values
    const expected = membersOf(leading)
    t.same(await goOn(t, operation, values), { members: expected, alarms: [] }, `closed after ${String(round * 6)} ms`)
  }
})
