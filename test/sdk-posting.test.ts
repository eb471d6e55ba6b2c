import { setTimeout as sleep } from 'node:timers/promises'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { MemoryStore, isProblem, verifyReceipt, type Cordon } from '../src/client/index.ts'
import { FileStore } from '../src/client/node/index.ts'
import { Altered, type Frame } from './support/altered.ts'
import { administratorOf, newClient, opened, partyOf, passphrase, takeIn } from './support/actors.ts'
import { startServer } from './support/server.ts'

const text = (words: string) => ({ form: 'text', fields: { text: words } })

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

type Owner = Parameters<typeof startServer>[0]

async function peopleOf(owner: Owner) {
  const server = await startServer(owner)
  const administrator = await administratorOf(owner, server)
  const altered = new Altered()
  const [unit, kenya, thailand] = await Promise.all([
    partyOf(owner, administrator, { kind: 'rilo', name: 'Coordination unit' }),
    partyOf(owner, administrator, {
      kind: 'administration',
      name: 'Customs of Kenya',
      country: 'KE',
      platform: altered.platform,
    }),
    partyOf(owner, administrator, { kind: 'administration', name: 'Customs of Thailand', country: 'TH' }),
  ])
  return { server, administrator, altered, unit, kenya, thailand }
}

const people = peopleOf(t)

async function scene() {
  const { unit, kenya, thailand, administrator, ...rest } = await people
  const coordinator = unit.client
  rest.altered.reset()
  const operation = await administrator.operations.create({
    name: 'Operation Test',
    reference: 'T-1',
    timeZone: 'Europe/Brussels',
    coordinators: [{ person: coordinator.person, organization: unit.organization }],
  })
  await coordinator.follow(operation)
  await coordinator.operations.advance(operation, 'rehearsal')
  await coordinator.operations.advance(operation, 'active')
  await takeIn(coordinator, operation, kenya, 'ncp')
  await takeIn(coordinator, operation, thailand, 'ncp')
  return { ...rest, administrator, coordinator, operation, kenya: kenya.client, thailand: thailand.client }
}

async function messagesOf(client: Cordon, operation: string): Promise<string[]> {
  return (await client.follow(operation)).messages.map(({ id }) => id)
}

t.test('INV-29: an answer that is lost is asked for again: one message, one receipt', async (t) => {
  const { kenya, coordinator, operation, altered } = await scene()
  const session = await kenya.follow(operation)
  // From here on messages go over the socket.
  await session.ready()
  await session.post(text('First.'))
  let lost = 0
  altered.frame = (frame: Frame) => {
    if (frame.type !== 'accepted' || lost++ > 0) return frame
    altered.cut()
    return undefined
  }
  const posted = await session.post(text('Accepted, and the answer was lost.'))
  t.equal(lost >= 1, true)
  await opened(coordinator, operation, posted.message)
  const ids = await messagesOf(coordinator, operation)
  t.equal(ids.filter((id) => id === posted.message).length, 1)
  t.equal(ids.length, 2)
  t.same(session.alarms, [])
})

t.test('a post that never reached the service is sent when the connection is back', async (t) => {
  const { kenya, coordinator, operation, altered } = await scene()
  const session = await kenya.follow(operation)
  await session.ready()
  let lost = 0
  altered.sent = (frame) => {
    if (frame.type !== 'post' || lost++ > 0) return true
    altered.cut()
    return false
  }
  const posted = await session.post(text('Lost on the way.'))
  t.ok(await opened(coordinator, operation, posted.message))
  t.same(session.alarms, [])
})

t.test('without a live connection a message goes over HTTP', async (t) => {
  const { kenya, coordinator, operation, altered } = await scene()
  const session = await kenya.follow(operation)
  // From here on messages go over the socket.
  await session.ready()
  await session.post(text('First.'))
  altered.sent = (frame) => {
    if (frame.type === 'post') altered.cut()
    return frame.type !== 'post'
  }
  const posted = await session.post(text('Over HTTP.'))
  t.ok(altered.requests.some(({ method, path }) => method === 'POST' && path.endsWith('/messages')))
  t.ok(await opened(coordinator, operation, posted.message))
})

t.test('a service that is too busy is asked again, with the same statement', async (t) => {
  const { kenya, operation, altered } = await scene()
  const session = await kenya.follow(operation)
  // From here on messages go over the socket.
  await session.ready()
  await session.post(text('First.'))
  let refused = 0
  const statements = new Set<unknown>()
  altered.sent = (frame) => {
    if (frame.type === 'post') statements.add(frame['statement'])
    return true
  }
  altered.frame = (frame) =>
    frame.type === 'accepted' && refused++ < 2
      ? { type: 'refused', id: frame['id'], problem: { code: 'OVERLOADED', status: 503, title: '' } }
      : frame
  await session.post(text('Busy.'))
  t.equal(refused, 3)
  t.equal(statements.size, 1)
})

t.test('what does not fit its form is refused with all its faults, and nothing is sealed or sent', async (t) => {
  const { kenya, operation, altered } = await scene()
  const session = await kenya.follow(operation)
  await session.ready()
  altered.requests.length = 0
  const sent: string[] = []
  altered.sent = (frame) => {
    sent.push(frame.type)
    return true
  }
  const drafts = [
    { form: 'text', fields: {} },
    { form: 'text', fields: { text: 'x', colour: 'red' } },
    { form: 'text', fields: { text: 'x' }, subject: 'two\nlines' },
    { form: 'seizure', fields: { country: 'Kenya' } },
    { form: 'letter', fields: { text: 'x' } },
  ]
  for (const draft of drafts) {
    try {
      await session.post(draft)
      t.fail('accepted')
    } catch (error) {
      t.ok(isProblem(error, 'FIELDS_INVALID'))
      if (isProblem(error)) t.ok((error.extra['faults'] as unknown[]).length > 0)
    }
  }
  t.notOk(sent.includes('post'))
  t.notOk(altered.requests.some(({ method }) => method === 'POST'))
})

t.test('what the service refuses is refused by its name, and not sent again', async (t) => {
  const { kenya, coordinator, operation } = await scene()
  const session = await kenya.follow(operation)
  const posted = await session.post(text('Mine.'))
  const message = await opened(coordinator, operation, posted.message)
  const unit = await coordinator.follow(operation)
  const target = { message: message.id, as: 'correction' as const }
  const correction = { ...text('Not mine.'), thread: message.thread, refersTo: target }
  t.equal(await code(unit.post(correction)), 'FORBIDDEN')
  t.equal(await code(unit.post({ ...text('Nowhere.'), refersTo: target })), 'NOT_FOUND')
  t.equal(await code(unit.post({ ...text('Again.'), id: posted.message })), 'MESSAGE_ID_REUSED')
  t.equal(await code(unit.post({ ...text('Red to all.'), handling: { tlp: 'RED' } })), 'STATEMENT_INVALID')
  await coordinator.operations.advance(operation, 'reporting')
  await coordinator.operations.advance(operation, 'closed')
  t.equal(await code(unit.post(text('Too late.'))), 'OPERATION_STATE')
})

t.test('a receipt can be verified later, and only for its own message and log', async (t) => {
  const { kenya, operation } = await scene()
  const session = await kenya.follow(operation)
  const posted = await session.post(text('Kept.'))
  const { pins } = kenya.self.account
  const expected = { operation, message: posted.message, statement: '' }
  t.equal(await code(verifyReceipt(posted.receipt, expected, pins)), 'RECEIPT_INVALID')
  t.equal(
    await code(verifyReceipt(posted.receipt, { ...expected, operation: posted.message }, pins)),
    'RECEIPT_INVALID',
  )
})

t.test('what a killed process left pending is sent by the next one, once', async (t) => {
  const { administrator, coordinator, operation } = await scene()
  const directory = mkdtempSync(join(tmpdir(), 'cordon-sdk-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const path = join(directory, 'store')
  const altered = new Altered()
  const words = 'a long passphrase for the store'
  let store = await FileStore.open(path, words)
  const peru = await partyOf(t, administrator, {
    kind: 'administration',
    name: 'Customs of Peru',
    country: 'PE',
    store,
    platform: altered.platform,
  })
  await takeIn(coordinator, operation, peru, 'ncp')
  const session = await peru.client.follow(operation)
  // From here on messages go over the socket.
  await session.ready()
  await session.post(text('First.'))
  altered.sent = (frame) => frame.type !== 'post'
  altered.instead = ({ path: asked }) =>
    asked.endsWith('/messages') ? { status: 503, json: { code: 'OVERLOADED' } } : undefined
  const waiting = session.post(text('Left pending.'), 1_000)
  t.equal(await code(waiting), 'TIMED_OUT')
  altered.reset()
  altered.frame = (frame) => (frame.type === 'accepted' || frame.type === 'entry' ? undefined : frame)
  const unheard = session.post(text('Accepted, and killed before the answer.'), 1_000)
  t.equal(await code(unheard), 'TIMED_OUT')
  await peru.client.close()
  await store.close()

  store = await FileStore.open(path, words)
  const next = newClient(t, { store })
  t.ok(await next.load())
  t.ok(next.signedIn, 'the session goes on')
  const again = await next.follow(operation)
  t.equal(again.messages.length, 1, 'what was opened was kept')
  const sent: string[] = []
  again.events.on('posted', ({ message }) => sent.push(message))
  while (sent.length < 2) await again.events.once('posted')
  const read = await Promise.all(sent.map((message) => opened(coordinator, operation, message)))
  t.same(
    new Set(read.map(({ fields }) => fields['text'])),
    new Set(['Left pending.', 'Accepted, and killed before the answer.']),
  )
  t.equal((await messagesOf(coordinator, operation)).length, 3, 'and none of them twice')
  t.same(again.alarms, [], 'what one has sent oneself is no surprise')
  await next.close()
  await store.close()
})

t.test('a message that this device did not send alarms it', async (t) => {
  const { administrator, coordinator, operation } = await scene()
  const store = new MemoryStore()
  const peru = await partyOf(t, administrator, {
    kind: 'administration',
    name: 'Administration of Peru',
    country: 'PE',
    store,
  })
  await takeIn(coordinator, operation, peru, 'ncp')
  const session = await peru.client.follow(operation)
  await session.ready()
  // Somebody copied the keys of the device.
  const stolen = new MemoryStore()
  await stolen.write(
    (await store.list('')).map(([name, value]) => ({ name, value })).filter(({ name }) => !name.startsWith('session')),
  )
  const thief = newClient(t, { store: stolen })
  await thief.load()
  await thief.signIn({ passphrase })
  await (await thief.follow(operation)).post(text('It is me.'))
  const alarm = session.alarms.find((one) => one.code === 'OWN_MESSAGE_UNKNOWN') ?? (await session.events.once('alarm'))
  t.equal(alarm.code, 'OWN_MESSAGE_UNKNOWN')
})

t.test('the facts of an operation that is followed are those of now', async (t) => {
  const { coordinator, kenya, operation } = await scene()
  const session = await kenya.follow(operation)
  t.not(session.facts.name, 'Operation Renamed')
  await coordinator.operations.update(operation, { name: 'Operation Renamed' })
  while (session.facts.name !== 'Operation Renamed') await sleep(20)
  t.same(session.alarms, [])
})

t.test('who has read a message is told to its sender', async (t) => {
  const { kenya, thailand, operation } = await scene()
  const session = await kenya.follow(operation)
  const posted = await session.post(text('Read me.'))
  await opened(thailand, operation, posted.message)
  const reading = await thailand.follow(operation)
  const told = session.events.once('receipts', (receipts) => receipts.some(({ readAt }) => readAt !== undefined))
  await reading.markRead([posted.message])
  const [receipt] = await told
  t.equal(receipt?.person, thailand.person)
  const receipts = await session.receiptsOf(posted.message)
  t.ok(receipts.some(({ person, readAt }) => person === thailand.person && readAt !== undefined))
  t.equal(await code(reading.receiptsOf(posted.message)), 'NOT_FOUND')
})
