// What this holds: a service account that is stopped while it works is out at once, everywhere: its
// sockets close, its posts are refused, what others post goes under a key that it has not, and
// nobody can take it in again. Once through the SDK, once with the commands.
// What makes it fail: a session, a device, a server or an operation that does not hear of the end
// of an account.
import t from 'tap'
import { MemoryStore, type Alarm } from '../../src/client/index.ts'
import type { CompartmentId } from '../../src/protocol/index.ts'
import { opened, operationOn, partyOf, takeIn } from '../support/actors.ts'
import { Desk, joinWithDesk, temporary } from '../support/command.ts'
import { admin } from '../support/database.ts'
import { entriesSince, settle, sizes } from '../support/entries.ts'
import { startServer } from '../support/server.ts'
import { serviceOf } from '../support/services.ts'
import { usualOperation } from '../support/usual-operation.ts'

const draft = (text: string, compartment: string) => ({
  form: 'text' as const,
  fields: { text },
  subject: 'Journey',
  compartment,
})

t.test('INV-83: a service account killed in mid-stream, through the SDK', async (t) => {
  const server = await startServer(t)
  const second = await startServer(t, { beside: server })
  const { administrator, coordinator, operation } = await operationOn(t, server)
  const kenya = await partyOf(t, administrator, { kind: 'administration', name: 'Kenya', country: 'KE' })
  await takeIn(coordinator, operation, kenya, 'ncp')
  const store = new MemoryStore()
  const service = await serviceOf(t, kenya.client, { organization: kenya.organization, store })
  await kenya.client.follow(operation)
  await kenya.client.operations.admit(operation, {
    person: service.person,
    organization: kenya.organization,
    role: 'officer',
  })
  const compartment = await coordinator.operations.createCompartment(operation, {
    name: 'Feeds',
    members: [kenya.client.person, service.person],
  })
  const leads = await coordinator.follow(operation)
  const session = await service.follow(operation)
  const first = await leads.post(draft('Read by the service', compartment))
  t.equal((await opened(service, operation, first.message)).fields['text'], 'Read by the service')
  const posted = await session.post(draft('Posted by the service', compartment))
  t.ok(await opened(coordinator, operation, posted.message), 'it reads and writes')

  // The raw channel on the other server, so that the code of its close is seen, and not only what
  // the SDK makes of it.
  const { ticket } = await service.transport.request<{ ticket: string }>('POST', '/v1/live-tickets', {})
  const socket = new WebSocket(`${second.url.replace('http', 'ws')}/v1/live`, ['cordon.v1', `ticket.${ticket}`])
  const closed = new Promise<number>((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)))
  await new Promise((resolve) => socket.addEventListener('open', resolve))

  const alarms: Alarm[] = []
  leads.events.on('alarm', (alarm) => alarms.push(alarm))
  const ending = session.events.once('disconnected', ({ final }) => final !== undefined)
  const streaming = Array.from({ length: 5 }, (_, n) => session.post(draft(`In flight ${String(n)}`, compartment)))
  const outcomes = Promise.allSettled(streaming)
  const epochBefore = leads.view.currentEpoch(compartment as CompartmentId)?.number ?? 0
  await settle(server)
  const before = await sizes(server)
  await kenya.client.serviceAccounts.stop(service.person)

  t.equal(await closed, 4401, 'its socket on the other server closes')
  t.equal((await ending).final?.code, 'SESSION_ENDED', 'and the one that the SDK holds')
  const fates = await outcomes
  t.ok(
    fates.every(({ status }) => status === 'fulfilled' || status === 'rejected'),
    'what was in flight was accepted before or refused after, nothing hangs',
  )
  await t.rejects(session.post(draft('After the end', compartment)), 'a post is refused')
  await t.rejects(service.transport.request('GET', `/v1/operations/${operation}`), {
    code: /SESSION_ENDED|NOT_SIGNED_IN/,
  })
  await t.rejects(service.signInService(), { code: 'SIGN_IN_REFUSED' }, 'it does not come back')

  const after = await leads.post(draft('Not for the service', compartment))
  await opened(kenya.client, operation, after.message)
  const epoch = leads.view.currentEpoch(compartment as CompartmentId)
  t.equal(epoch?.number, epochBefore + 1, 'posts of others go under a new key')
  t.notOk(epoch?.recipients.includes(service.device as never), 'that is not sealed to it')
  const keys = (await store.list('')).map(([name]) => name).filter((name) => name.includes(`${compartment}#`))
  t.same(
    keys.map((name) => Number(name.split('#')[1])),
    [epochBefore],
    'nor does it hold any but the one before',
  )
  t.same(alarms, [], 'nobody takes it for an attack')

  const kinds = (await entriesSince(server, before)).map(
    ({ log, kind }) => `${log === operation ? 'operation' : 'directory'} ${kind}`,
  )
  for (const kind of [
    'directory service.ended',
    'directory device.revoked',
    'directory session.ended',
    'operation device.revoked',
  ])
    t.ok(kinds.includes(kind), kind)
  await coordinator.operations.remove(operation, service.person)
  await t.rejects(
    coordinator.operations.admit(operation, {
      person: service.person,
      organization: kenya.organization,
      role: 'officer',
    }),
    { code: 'NOT_FOUND' },
    'nobody takes it in again',
  )
})

// Bites: #proving, withProof
t.test('INV-83: the same with the commands', async (t) => {
  const scene = await usualOperation(t)
  const directory = temporary(t)
  const kenya = await joinWithDesk(t, directory, scene, { name: 'Kenya', country: 'KE' })
  const system = new Desk(t, directory, 'system')
  const invited = await kenya.must<{ text: string; account: string }>(
    'service',
    'invite',
    'Declarations',
    '--may',
    'report',
    '--from',
    '127.0.0.0/8',
    '--from',
    '::1/128',
    '--days',
    '30',
  )
  t.match(await system.must('enrol', invited.text, '--no-wait'), { certified: false })
  await kenya.must('operation', 'admit', 'Kenya', 'Declarations', '--role', 'officer')
  await kenya.must('operation', 'compartment', 'create', 'Feeds', 'Declarations')
  await system.must('post', 'From a machine', '--subject', 'Feed', '--compartment', 'Feeds')
  const listed = await kenya.must<{ serviceAccounts: unknown[] }>('service', 'list')
  t.match(listed.serviceAccounts, [{ name: 'Declarations', state: 'active', lastUsed: { address: '127.0.0.1' } }])

  // The last proof of the contact point is too old for each of these acts. Without a terminal the
  // command proves with the passphrase in the file, and without the file it does not.
  const anew = () =>
    admin(scene.server.database.superUrl, (client) =>
      client.query("UPDATE session SET verified_at = verified_at - interval '11 minutes'"),
    )
  await anew()
  const unproven = await kenya.run(['service', 'stop', 'declarations', '--yes'], { CORDON_PASSPHRASE_FILE: '' })
  t.equal(unproven.code, 2)
  t.match(unproven.stderr, /let CORDON_PASSPHRASE_FILE name a file/)
  await kenya.must('service', 'invite', 'Other', '--may', 'read', '--from', '127.0.0.0/8')
  await anew()
  await kenya.must('invite', 'Otieno Odhiambo')
  await anew()
  t.match(await kenya.must('service', 'stop', 'declarations', '--yes'), { stopped: invited.account })
  const refused = await system.run(['post', 'Too late', '--subject', 'Feed', '--compartment', 'Feeds'])
  t.equal(refused.code, 1)
  t.match(refused.stderr, /session has ended|Sign in/i)
  t.equal((await system.run(['sign-in'])).code, 1)
  await kenya.must('post', 'Among ourselves', '--subject', 'Afterwards', '--compartment', 'Feeds')
  t.match((await kenya.run(['service', 'list'])).stdout, /Declarations.*ended/)
})
