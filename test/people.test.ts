// What this holds: organizations run themselves. Who is retired or suspended, and everybody of an
// organization that leaves, is out of every session and operation in the same moment, on every
// server; nobody seals for them afterwards; who is woken comes back by a statement.
// What makes it fail: a session that goes on, an operation that is forgotten, a key that is still
// sealed for who has left, a contact point that reaches into another organization.
import t from 'tap'
import { isProblem, type Cordon } from '../src/client/index.ts'
import { administratorOf, enrolWith, newClient, opened, partyOf, passphrase, takeIn } from './support/actors.ts'
import { startClientScene } from './support/client-scenes.ts'
import { admin } from './support/database.ts'
import { entriesSince, sizes } from './support/entries.ts'
import type { Owner } from './support/scenes.ts'
import { startServer, type TestServer } from './support/server.ts'
import { makeTwoAdministrations } from './support/two-administrations.ts'
import { usualOperation } from './support/usual-operation.ts'

const text = (words: string) => ({ form: 'text', fields: { text: words } })
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )
const kenyaIs = { kind: 'administration', name: 'Customs of Kenya', country: 'KE' } as const
const hour = 3_600_000

/**
 * An operation with the contact point and an officer of Kenya, and the contact point of Thailand.
 */
async function scene(owner: Owner) {
  const { server, clients, made } = await startClientScene(owner, 'two-administrations', makeTwoAdministrations)
  const { administrator, coordinator, officer } = clients
  await coordinator.follow(made.operation)
  const kenya = { client: clients.kenya, organization: made.kenya }
  const thailand = { client: clients.thailand, organization: made.thailand }
  const { secretariat, operation } = made
  return { server, administrator, coordinator, secretariat, operation, kenya, thailand, officer }
}

async function afterwards(server: TestServer, writer: Cordon, operation: string, gone: readonly Cordon[]) {
  const writing = await writer.follow(operation)
  const { message } = await writing.post(text('Without them.'))
  const own = await opened(writer, operation, message)
  const recipients: readonly string[] = writing.view.currentEpoch(writing.view.all)?.recipients ?? []
  for (const client of gone) t.notOk(recipients.includes(client.device), 'no key is sealed for them')
  const { rows } = await admin(server.database.superUrl, (client) =>
    client.query('SELECT device_id FROM epoch_grant WHERE epoch = $1 AND device_id = ANY($2)', [
      own.epoch,
      gone.map(({ device }) => device),
    ]),
  )
  t.same(rows, [], 'and none lies in the database')
}

t.test('INV-75: an organization that leaves takes its people with it, in the middle of everything', async (t) => {
  const { server, administrator, coordinator, operation, kenya, thailand, officer } = await scene(t)
  const second = await administrator.operations.create({
    name: 'Another operation',
    reference: 'T-2',
    timeZone: 'Africa/Nairobi',
    coordinators: [{ person: coordinator.person, organization: coordinator.organization }],
    history: 'full',
  })
  await coordinator.follow(second)
  await takeIn(coordinator, second, kenya, 'ncp')
  const reading = await officer.follow(operation)
  await reading.ready()
  const ended = reading.events.once('disconnected', ({ final }) => final?.code === 'SESSION_ENDED')
  const before = await sizes(server)
  t.equal(await code(kenya.client.directory.endOrganization(thailand.organization, 'No')), 'ADMINISTRATOR_ONLY')
  t.equal(await code(administrator.directory.endOrganization(administrator.organization, 'No')), 'FORBIDDEN')
  t.equal(await administrator.directory.endOrganization(kenya.organization, 'Left the programme'), 2)
  await ended
  for (const client of [kenya.client, officer]) {
    t.equal(await code(client.me()), 'SESSION_ENDED')
    t.equal(await code(client.signIn({ passphrase })), 'SIGN_IN_REFUSED')
  }
  t.equal(await administrator.directory.endOrganization(kenya.organization, 'Again'), 0, 'once is enough')
  const entries = (await entriesSince(server, before)).filter(({ kind }) => kind.endsWith('.ended'))
  t.same(entries.map(({ kind }) => kind).sort(), [
    'member.ended',
    'member.ended',
    'member.ended',
    'person.ended',
    'person.ended',
    'session.ended',
    'session.ended',
  ])
  await afterwards(server, thailand.client, operation, [kenya.client, officer])
  const takingBack = coordinator.operations.admit(operation, {
    person: officer.person,
    organization: kenya.organization,
    role: 'officer',
  })
  t.equal(await code(takingBack), 'NOT_FOUND', 'nobody admits them again')
  const inviting = administrator.directory.invite({
    person: { name: 'New' },
    organization: kenya.organization,
    tier: 'ncp',
  })
  t.equal(await code(inviting), 'NOT_FOUND', 'nobody is invited into it')
})

t.test('INV-75: a contact point retires and suspends its own people, and nobody else’s', async (t) => {
  const { server, administrator, coordinator, operation, kenya, thailand, officer } = await scene(t)
  const { directory } = kenya.client
  t.equal(await code(directory.retire(thailand.client.person, 'No')), 'NOT_FOUND')
  t.equal(await code(directory.suspend(coordinator.person, 'No')), 'NOT_FOUND')
  t.equal(await code(directory.retire(kenya.client.person, 'Myself')), 'FORBIDDEN')
  t.equal(await code(officer.directory.suspend(kenya.client.person, 'No')), 'NOT_FOUND', 'an officer suspends nobody')
  t.equal(await code(coordinator.directory.retire('018f0000-0000-7000-8000-000000000000', 'No')), 'NOT_FOUND')
  await directory.retire(officer.person, 'Posted elsewhere')
  t.equal(await code(officer.me()), 'SESSION_ENDED')
  t.equal(await code(officer.signIn({ passphrase })), 'SIGN_IN_REFUSED')
  await afterwards(server, thailand.client, operation, [officer])
  t.equal(await code(directory.wake(officer.person, 'Back')), 'NOT_FOUND', 'there is no way back')
  const names = (await directory.people(kenya.organization)).map(({ name }) => name)
  t.notOk(names.includes('Amina Otieno'))
  t.equal(await code(administrator.directory.retire(thailand.client.person, 'By the secretariat')), 'accepted')
})

t.test('INV-76: who is suspended loses nothing, and comes back by two acts', async (t) => {
  const { server, operation, kenya, thailand, officer } = await scene(t)
  const { directory, operations } = kenya.client
  const first = await (await thailand.client.follow(operation)).post(text('Before.'))
  await opened(officer, operation, first.message)
  await directory.suspend(officer.person, 'On leave')
  t.equal(await code(officer.me()), 'SESSION_ENDED')
  t.equal(await code(officer.signIn({ passphrase })), 'ACCOUNT_ASLEEP', 'said to who has proven themselves')
  t.equal(
    await code(officer.signIn({ passphrase: 'something else entirely' })),
    'SIGN_IN_REFUSED',
    'and to nobody else',
  )
  t.match(
    (await directory.people(kenya.organization)).filter(({ person }) => person === officer.person),
    [{ asleep: true }],
  )
  await afterwards(server, thailand.client, operation, [officer])
  t.equal(await code(operations.wake(operation, officer.person)), 'MEMBER_RULE', 'the account first')
  t.equal(await code(thailand.client.directory.wake(officer.person, 'No')), 'NOT_FOUND')
  await directory.wake(officer.person, 'Back')
  const sleeping = (await officer.follow(operation)).events.once('ended')
  await officer.signIn({ passphrase })
  await sleeping
  t.equal(await code(officer.follow(operation)), 'FORBIDDEN', 'an account that is awake sleeps in the operation still')
  await operations.wake(operation, officer.person)
  const awake = await (await thailand.client.follow(operation)).post(text('Again with them.'))
  const read = await opened(officer, operation, awake.message)
  t.equal(read.fields['text'], 'Again with them.')
  t.same((await officer.follow(operation)).alarms, [])
})

t.test('before somebody leaves, whoever may end them is told what would go with them, and nobody else', async (t) => {
  const { administrator, kenya, thailand, officer } = await scene(t)
  const { directory } = kenya.client
  t.match(await directory.atStake(officer.person), { people: [{ name: 'Amina Otieno' }], devices: 1, operations: 1 })
  t.match(await administrator.directory.atStakeIn(kenya.organization), {
    people: [{ name: 'Amina Otieno' }, { name: 'Customs of Kenya officer' }],
    devices: 2,
    operations: 1,
  })
  t.equal(await code(thailand.client.directory.atStake(officer.person)), 'NOT_FOUND')
  t.equal(await code(officer.directory.atStake(officer.person)), 'NOT_FOUND')
  t.equal(await code(directory.atStakeIn(kenya.organization)), 'ADMINISTRATOR_ONLY')
  t.equal(await code(administrator.directory.atStakeIn('018f0000-0000-7000-8000-000000000000')), 'NOT_FOUND')
  await administrator.directory.endOrganization(kenya.organization, 'Left')
  t.match(await administrator.directory.atStakeIn(kenya.organization), { people: [], devices: 0, operations: 0 })
  const left = (await administrator.directory.organizations()).filter(({ ended }) => ended)
  t.match(left, [{ organization: kenya.organization }])
})

t.test('ending people asks for a recent proof of who one is', async (t) => {
  const server = await startServer(t)
  const platform = { clock: () => server.clock.now() }
  const administrator = await administratorOf(t, server, { platform })
  const { client, organization } = await partyOf(t, administrator, { ...kenyaIs, platform })
  const somebody = await enrolWith(t, client, { name: 'Somebody', organization, tier: 'person', platform })
  server.clock.advance(hour)
  t.equal(await code(client.directory.retire(somebody.person, 'Why')), 'STEP_UP_REQUIRED')
  t.equal(await code(client.directory.suspend(somebody.person, 'Why')), 'STEP_UP_REQUIRED')
  t.equal(await code(administrator.directory.endOrganization(organization, 'Why')), 'STEP_UP_REQUIRED')
  t.equal(await code(somebody.me()), 'accepted')
  await client.factors.stepUp({ passphrase })
  t.equal(await code(client.directory.suspend(somebody.person, 'Why')), 'accepted')
})

t.test('of an admission and a departure that meet, none leaves a member behind', async (t) => {
  const { server, administrator, coordinator, operation } = await scene(t)
  for (let round = 0; round < 4; round++) {
    const party = await partyOf(t, administrator, { kind: 'partner', name: `Partner ${String(round)}` })
    await coordinator.operations.admitOrganization(operation, party.organization)
    const admission = { person: party.client.person, organization: party.organization, role: 'partner' as const }
    const outcomes = await Promise.all([
      code(coordinator.operations.admit(operation, admission)),
      code(administrator.directory.endOrganization(party.organization, 'At once')),
    ])
    t.equal(outcomes[1], 'accepted')
    const { rows } = await admin(server.database.superUrl, (client) =>
      client.query('SELECT person_id FROM member WHERE person_id = $1', [party.client.person]),
    )
    t.same(rows, [], outcomes[0])
  }
})

t.test(
  'the only contact point hands over: a successor is invited, admitted, and retires the predecessor',
  async (t) => {
    const { coordinator, operation, kenya, thailand, officer } = await scene(t)
    const successor = await enrolWith(t, kenya.client, {
      name: 'Successor',
      organization: kenya.organization,
      tier: 'ncp',
    })
    await kenya.client.operations.admit(operation, {
      person: successor.person,
      organization: kenya.organization,
      role: 'ncp',
    })
    await successor.directory.retire(kenya.client.person, 'Hand-over')
    t.equal(await code(kenya.client.me()), 'SESSION_ENDED')
    const newcomer = await enrolWith(t, successor, {
      name: 'Newcomer',
      organization: kenya.organization,
      tier: 'person',
    })
    await successor.operations.admit(operation, {
      person: newcomer.person,
      organization: kenya.organization,
      role: 'officer',
    })
    const { message } = await (await thailand.client.follow(operation)).post(text('To the successor.'))
    for (const client of [successor, newcomer, officer, coordinator])
      t.equal((await opened(client, operation, message)).fields['text'], 'To the successor.')
  },
)

t.test('nobody ends whom they may not vouch for, nor the last who coordinates', async (t) => {
  const { administrator, coordinator, operation, secretariat } = await usualOperation(t)
  const host = administrator.organization
  const ncpOfHost = await enrolWith(t, administrator, { name: 'NCP', organization: host, tier: 'ncp' })
  const auditor = await enrolWith(t, administrator, { name: 'Auditor', organization: host, tier: 'auditor' })
  for (const above of [administrator, auditor]) {
    t.equal(await code(ncpOfHost.directory.retire(above.person, 'No')), 'FORBIDDEN')
    t.equal(await code(ncpOfHost.directory.suspend(above.person, 'No')), 'FORBIDDEN')
    t.equal(await code(ncpOfHost.directory.revokeDevice(above.device)), 'NOT_FOUND')
  }
  const colleague = await enrolWith(t, coordinator, { name: 'Colleague', organization: secretariat, tier: 'ncp' })
  t.equal(await code(colleague.directory.retire(coordinator.person, 'No')), 'LAST_COORDINATOR')
  t.equal(await code(colleague.directory.suspend(coordinator.person, 'No')), 'LAST_COORDINATOR')
  t.equal(await code(administrator.directory.endOrganization(secretariat, 'No')), 'LAST_COORDINATOR')
  t.equal(await code(coordinator.me()), 'accepted')
  const admission = { person: colleague.person, organization: secretariat, role: 'coordinator' as const }
  await coordinator.operations.admit(operation, admission)
  t.equal(await code(colleague.directory.retire(coordinator.person, 'Relieved')), 'accepted')
  t.equal(
    await code(colleague.directory.retire(coordinator.person, 'Again')),
    'accepted',
    'a lost answer is asked for again',
  )
})

t.test('INV-76: who sleeps in an operation does nothing there, and wakes nobody', async (t) => {
  const { operation, kenya, thailand, coordinator, officer } = await scene(t)
  await coordinator.directory.people(coordinator.organization)
  const { client: ncp, organization } = kenya
  const second = await enrolWith(t, ncp, { name: 'Second', organization, tier: 'ncp' })
  await second.directory.suspend(ncp.person, 'Why')
  await second.directory.wake(ncp.person, 'Back')
  await ncp.signIn({ passphrase })
  const fresh = ncp.transport
  t.equal(await code(fresh.request('GET', `/v1/operations/${operation}`)), 'FORBIDDEN')
  t.equal(await code(fresh.request('GET', `/v1/operations/${operation}/members`)), 'FORBIDDEN')
  t.equal(
    await code(second.operations.admit(operation, { person: officer.person, organization, role: 'officer' })),
    'NOT_FOUND',
  )
  await coordinator.operations.wake(operation, ncp.person)
  t.equal(await code(fresh.request('GET', `/v1/operations/${operation}`)), 'accepted')
  t.ok(thailand.client.signedIn)
})

t.test('a device that waits to be certified changes nothing of its person', async (t) => {
  const server = await startServer(t)
  const administrator = await administratorOf(t, server)
  const { client, organization } = await partyOf(t, administrator, kenyaIs)
  const { text: invitation } = await client.directory.invite({
    person: { id: client.person, name: 'The same' },
    organization,
    tier: 'ncp',
  })
  const waiting = newClient(t)
  await waiting.enrol({ invitation, passphrase })
  await waiting.signIn({ passphrase })
  const [own] = (await client.sessions()).filter(({ device }) => device === client.device)
  t.equal(await code(waiting.factors.setPassphrase('quite another one of mine')), 'DEVICE_NOT_CERTIFIED')
  t.equal(await code(waiting.factors.beginTotp()), 'DEVICE_NOT_CERTIFIED')
  t.equal(await code(waiting.endOtherSessions()), 'DEVICE_NOT_CERTIFIED')
  t.equal(await code(waiting.endSession(own?.session ?? '')), 'DEVICE_NOT_CERTIFIED')
  t.equal(await code(client.me()), 'accepted')
})

t.test('what somebody who has left had begun ends with them', async (t) => {
  const server = await startServer(t)
  const administrator = await administratorOf(t, server)
  const { client, organization } = await partyOf(t, administrator, kenyaIs)
  const leaver = await enrolWith(t, client, { name: 'Leaves', organization, tier: 'ncp' })
  const { text: theirs } = await leaver.directory.invite({ person: { name: 'Invited' }, organization, tier: 'person' })
  const own = { id: leaver.person, name: 'Leaves' }
  const { text: further } = await leaver.directory.invite({ person: own, organization, tier: 'ncp' })
  const { text: others } = await client.directory.invite({ person: { name: 'Other' }, organization, tier: 'person' })
  await client.directory.retire(leaver.person, 'Left')
  for (const invitation of [theirs, further])
    t.equal(await code(newClient(t).enrol({ invitation, passphrase })), 'INVITATION_INVALID')
  t.equal(await code(newClient(t).enrol({ invitation: others, passphrase })), 'accepted', 'that of somebody else holds')
})

t.test('nobody vouches for somebody who has left meanwhile', async (t) => {
  const server = await startServer(t)
  const administrator = await administratorOf(t, server)
  const { client, organization } = await partyOf(t, administrator, kenyaIs)
  const { text: invitation, person } = await client.directory.invite({
    person: { name: 'Waits' },
    organization,
    tier: 'person',
  })
  const waiting = newClient(t)
  await waiting.enrol({ invitation, passphrase })
  await client.directory.retire(person, 'Before it began')
  t.same(await client.directory.certifyWaiting(), [])
  t.not(await code(waiting.signIn({ passphrase })), 'accepted')
})

t.test('of two who coordinate alone together and are retired at once, one stays', async (t) => {
  const { administrator, coordinator, operation } = await usualOperation(t)
  const other = await partyOf(t, administrator, { kind: 'rilo', name: 'Another office' })
  await takeIn(coordinator, operation, other, 'coordinator')
  const outcomes = await Promise.all(
    [coordinator, other.client].map(({ person }) => code(administrator.directory.retire(person, 'At once'))),
  )
  t.same(outcomes.sort(), ['LAST_COORDINATOR', 'accepted'])
})
