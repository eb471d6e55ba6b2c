// What this holds: of a service account in an operation, through the SDK: what is not listed is
// refused whatever its role has; officer is the ceiling; `all` holds it only where it is listed;
// its time ends by itself; and what the database says of it is what was entered.
// What makes it fail: a door that does not ask the list, a fold that takes it for a person, a
// change in the database that nobody finds.
import t from 'tap'
import { MemoryStore, type Cordon } from '../src/client/index.ts'
import * as protocol from '../src/protocol/index.ts'
import { administratorOf, enrolWith, opened, partyOf, passphrase, takeIn } from './support/actors.ts'
import { verifyAll } from './support/check-log.ts'
import { admin } from './support/database.ts'
import { entriesSince, settle, sizes } from './support/entries.ts'
import { startServer, type TestServer } from './support/server.ts'
import { enrolService, inDays, loopback, reporting, serviceOf } from './support/services.ts'
import { usualOperation } from './support/usual-operation.ts'
import { freshId, openLive } from './support/wire.ts'

/** An operation with a compartment in which Kenya's NCP and a program of Kenya are. */
async function placed({ listed = reporting, life = 90 * 24 * 3600_000 } = {}) {
  const place = await usualOperation(t)
  const { administrator: root, coordinator, operation } = place
  const kra = await partyOf(t, root, { kind: 'administration', name: 'Kenya', country: 'KE' })
  await takeIn(coordinator, operation, kra, 'ncp')
  await kra.client.follow(operation)
  const expiresAt = new Date(Date.now() + life)
  const program = async (permissions = listed) => {
    const { organization } = kra
    const service = await serviceOf(t, kra.client, { organization, permissions, expiresAt })
    await kra.client.operations.admit(operation, {
      person: service.person,
      organization: kra.organization,
      role: 'officer',
    })
    return service
  }
  const service = await program()
  const compartment = await coordinator.operations.createCompartment(operation, {
    name: 'Feeds',
    members: [kra.client.person, service.person],
  })
  return { ...place, kra, program, service, compartment, expiresAt }
}

const text = (words: string, compartment?: string) => ({
  form: 'text' as const,
  fields: { text: words },
  subject: 'Words',
  ...(compartment === undefined ? {} : { compartment }),
})

const get = (client: Cordon, path: string) => client.transport.request('GET', path)

// Bites: `requireListed` in authorize and in authorizeIn, each of them; `isListed` in the follower.
t.test('INV-81: what is not listed is refused, over HTTP and over the socket, whatever the role has', async (t) => {
  const { coordinator, operation, service, compartment, program } = await placed({
    listed: ['operation.read', 'member.list', 'message.read', 'log.verify'],
  })
  const path = `/v1/operations/${operation}`
  const session = await service.follow(operation)
  const leads = await coordinator.follow(operation)
  const { message } = await leads.post(text('For the program', compartment))
  t.equal((await opened(service, operation, message)).fields['text'], 'For the program')
  const forbidden = (permission: string) => ({ code: 'FORBIDDEN', status: 403, extra: { permission } })
  await t.rejects(get(service, `${path}/figures`), forbidden('report.view'))
  await t.rejects(get(service, `${path}/compartments`), forbidden('compartment.list'))
  await t.rejects(get(service, `${path}/grant-requests`), forbidden('grant.give'))
  await t.rejects(get(service, `/v1/logs/${operation}/entries`), forbidden('log.query'))
  await t.rejects(session.post(text('By the program', compartment)), forbidden('message.post'))
  await t.rejects(service.operations.advance(operation, 'reporting'), forbidden('operation.advance'))
  t.notOk(session.may('message.post'), 'and its SDK can tell beforehand')
  t.ok(session.may('message.read'))
  t.ok((await get(service, `${path}/members`)) !== undefined)
  await t.rejects(
    get(service, `/v1/operations/${freshId()}`),
    { code: 'NOT_FOUND' },
    'a stranger elsewhere, as everybody is',
  )

  const poster = await program(['operation.read', 'message.read', 'message.post'])
  await coordinator.operations.addToCompartment(operation, compartment, poster.person)
  const posting = await poster.follow(operation)
  await t.rejects(
    posting.post(text('A new thread', compartment)),
    forbidden('thread.open'),
    'each permission that a post needs',
  )
  t.ok(
    await posting.post({
      ...text('A reply', compartment),
      thread: (await opened(coordinator, operation, message)).thread,
      refersTo: { message, as: 'reply' },
    }),
  )

  const blind = await program(['operation.read', 'report.view'])
  await coordinator.operations.addToCompartment(operation, compartment, blind.person)
  const channel = await liveOf(t, blind)
  const frames = await channel.follow(operation)
  const posts = frames.filter(({ leaf }) => leaf?.includes('"message.posted"'))
  t.equal(posts.length, 2, 'whoever may not read sees that there are messages')
  for (const frame of posts)
    t.notOk('body' in frame || 'extract' in frame || 'salt' in frame, 'and nothing that they carry')
  t.notOk(
    frames.some((frame) => 'grant' in frame || frame.type === 'granted'),
    'nor any key',
  )
  await t.rejects(get(blind, `${path}/grants`), forbidden('message.read'))
  await t.rejects(get(blind, `${path}/messages/${message}`), forbidden('message.read'))
  t.ok(await get(blind, `${path}/figures`))

  const outside = await program(['report.view'])
  const shut = await liveOf(t, outside)
  shut.send({ type: 'subscribe', operation, after: -1 })
  const refused = await shut.first(({ type }) => type === 'refused' || type === 'caught-up')
  t.match(refused, { type: 'refused', problem: { code: 'FORBIDDEN', permission: 'operation.read' } })
  t.notOk(shut.frames.some(({ type }) => type === 'entry'))
})

async function liveOf(owner: Parameters<typeof openOn>[0], client: Cordon) {
  const { ticket } = await client.transport.request<{ ticket: string }>('POST', '/v1/live-tickets', {})
  return openOn(owner, client, ticket)
}

async function openOn(owner: { teardown(clean: () => unknown): void }, client: Cordon, ticket: string) {
  const live = await openLive({ url: client.transport.server } as TestServer, ticket)
  owner.teardown(() => live.close())
  return live
}

// Bites: `mayHold` with a service account in requireNewcomer; `holderOf` in judge.ts; the ceiling
// in verifyEntry.
t.test('INV-81: nobody makes a service account more than an officer', async (t) => {
  const { administrator: root, coordinator, operation, kra, service } = await placed()
  const { organization } = kra
  for (const role of ['coordinator', 'analyst', 'ncp', 'partner', 'auditor'] as const)
    await t.rejects(coordinator.operations.changeRole(operation, service.person, role), { code: 'FORBIDDEN' }, role)
  await t.rejects(kra.client.operations.changeRole(operation, service.person, 'ncp'), { code: 'FORBIDDEN' })
  const next = await serviceOf(t, kra.client, { organization, name: 'Next' })
  const admitting = (by: Cordon, role: 'coordinator' | 'ncp' | 'officer' | 'observer', person = next.person) =>
    by.operations.admit(operation, { person, organization, role })
  await t.rejects(admitting(coordinator, 'coordinator'), { code: 'MEMBER_RULE' })
  for (const by of [coordinator, kra.client]) await t.rejects(admitting(by, 'ncp'), { code: 'MEMBER_RULE' })
  const create = {
    name: 'Of a program',
    reference: 'P',
    timeZone: 'UTC',
    coordinators: [{ person: next.person, organization }],
  }
  await t.rejects(root.operations.create(create), { code: 'MEMBER_RULE' }, 'nor the first coordinator')
  const uncertified = await enrolService(t, kra.client, { organization, name: 'Uncertified' })
  await t.rejects(
    admitting(coordinator, 'officer', uncertified.person),
    { code: 'MEMBER_RULE' },
    'nor a member before it is certified',
  )
  await t.rejects(service.operations.admit(operation, { person: next.person, organization, role: 'officer' }), {
    code: 'FORBIDDEN',
  })
  await admitting(coordinator, 'observer')
  await kra.client.operations.remove(operation, service.person)

  const view = new protocol.OperationView(operation as protocol.OperationId)
  const { person } = service
  view.members.set(person as protocol.PersonId, {
    person: person as protocol.PersonId,
    organization: organization as protocol.OrganizationId,
    role: 'ncp',
    joinedIndex: 1,
    asleep: false,
  })
  const { certificate } = service.self
  const entry = {
    index: 2,
    kind: 'device.certified',
    subject: service.device,
    digest: certificate?.hash,
    statement: { type: 'certificate', value: certificate },
  }
  t.throws(() => view.apply(entry as protocol.ViewEntry), { code: 'UNENTITLED' }, 'and no client believes one that is')
})

// Bites: `services` in OperationView.isIn.
t.test('INV-81: the compartment of all holds a service account only where it is listed', async (t) => {
  const { coordinator, operation, service } = await placed()
  const all = operation as protocol.CompartmentId
  const me = service.person as protocol.PersonId
  const leads = await coordinator.follow(operation)
  const first = await leads.post(text('Not for programs'))
  const session = await service.follow(operation)
  await session.ready()
  t.notOk(session.view.isIn(me, all))
  t.notOk(leads.view.recipients(all).includes(service.device as protocol.DeviceId))
  t.notOk(session.message(first.message))
  await t.rejects(session.post(text('From a program')), { code: 'NOT_IN_COMPARTMENT' })
  await t.rejects(get(service, `/v1/operations/${operation}/messages/${first.message}`), { code: 'NOT_FOUND' })

  await coordinator.operations.addToCompartment(operation, operation, service.person)
  const second = await leads.post(text('For programs that are listed'))
  const read = await opened(service, operation, second.message)
  t.equal(read.fields['text'], 'For programs that are listed')
  t.ok(await session.post(text('From a program that is listed')))

  const before = leads.view.currentEpoch(all)?.number ?? 0
  await coordinator.operations.removeFromCompartment(operation, operation, service.person)
  const third = await leads.post(text('Not for programs any more'))
  t.equal(leads.view.currentEpoch(all)?.number, before + 1)
  await session.reached(third.index)
  t.notOk(session.message(third.message))
  await coordinator.operations.setRules(operation, { allHolds: [freshId()] })
  t.notOk(leads.view.isIn(me, all), 'nor because somebody else is')
})

// Bites: `expires_at` in sessionsStanding; `endOverdue`.
t.test('INV-82: when its time is over an account is out by itself, and its device with it', async (t) => {
  // The clients' clocks stay behind the server's by as much, which must be less than a proof may be
  // old.
  const { server: own, coordinator, operation, service, compartment, kra, expiresAt } = await placed({ life: 50_000 })
  const beside = await startServer(t, { beside: own })
  const leads = await coordinator.follow(operation)
  await leads.post(text('While there is time', compartment))
  const live = await liveOf(t, service)
  const epoch = leads.view.currentEpoch(compartment as protocol.CompartmentId)?.number ?? 0
  await settle(own)
  const before = await sizes(own)
  own.clock.advance(expiresAt.getTime() - Date.now() + 1)
  await t.rejects(get(service, '/v1/me'), { code: 'SESSION_ENDED' }, 'at once, before any server has entered it')
  t.equal((await live.closed).code, 4401, 'its socket closes')
  await t.rejects(service.signInService(), { code: 'SIGN_IN_REFUSED' })
  t.match(await kra.client.serviceAccounts.list(), [{ account: service.person, state: 'expired' }])

  beside.clock.advance(expiresAt.getTime() - Date.now() + 1)
  await Promise.all([own, beside].map((one) => one.identity.serviceAccounts.endOverdue()))
  await settle(own)
  const entries = (await entriesSince(own, before)).filter(({ kind }) => /expired|ended/.test(kind))
  t.strictSame(
    entries
      .map(
        ({ log, kind, person }) =>
          `${log === operation ? 'operation' : 'directory'} ${kind} by ${person ?? 'a server'}`,
      )
      .sort((a, b) => a.localeCompare(b)),
    [
      'directory device.expired by a server',
      'directory service.ended by a server',
      'directory session.ended by a server',
      'operation device.expired by a server',
    ],
    'the servers enter it, once',
  )
  const after = await leads.post(text('After its time', compartment))
  t.ok(after.index > 0)
  t.equal(
    leads.view.currentEpoch(compartment as protocol.CompartmentId)?.number,
    epoch + 1,
    'and what others post goes under a new key',
  )
})

// Bites: ServiceAccountFold.
t.test('what a list of an account says in the database is what was entered, or it is found', async (t) => {
  const own = await startServer(t)
  const root = await administratorOf(t, own)
  const store = new MemoryStore()
  const { client: lead, organization } = await partyOf(t, root, {
    kind: 'administration',
    name: 'Kenya',
    country: 'KE',
  })
  const account = await serviceOf(t, lead, { organization, store })
  const gone = await serviceOf(t, lead, { organization, name: 'Gone' })
  await lead.serviceAccounts.stop(gone.person)
  const listed = await lead.serviceAccounts.list()
  t.match(
    listed.find((one) => one.account === account.person),
    {
      permissions: reporting,
      addresses: loopback,
      state: 'active',
      device: account.device,
      lastUsed: { address: '127.0.0.1' },
    },
  )
  t.match(
    listed.find((one) => one.account === gone.person),
    { state: 'ended' },
  )
  t.same((await verifyAll(own)).discrepancies, [])
  const stranger = JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: protocol.base64url(new Uint8Array(32).fill(7)) })
  const changes = [
    [`permissions = '["operation.read","report.view"]'`, 'permissions'],
    [`addresses = '["0.0.0.0/0"]'`, 'addresses'],
    [`expires_at = expires_at + interval '1 microsecond'`, 'expires_at'],
    [`sign_in_key = '${stranger}'`, 'sign_in_key'],
    [`sign_in_key = 'x'`, 'sign_in_key'],
    [`key_thumbprint = 'x'`, 'key_thumbprint'],
    [`ended_at = now()`, 'ended_at'],
  ] as const
  await admin(own.database.superUrl, async (client) => {
    for (const [change, column] of changes) {
      await client.query('CREATE TEMP TABLE before AS SELECT * FROM service_account')
      await client.query(`UPDATE service_account SET ${change} WHERE person_id = $1`, [account.person])
      const { discrepancies } = await verifyAll(own)
      t.ok(
        discrepancies.some(({ what }) => what.includes(column)),
        change,
      )
      await client.query('DELETE FROM service_account')
      const { discrepancies: missing } = await verifyAll(own)
      t.ok(
        missing.some(({ what }) => what.includes('no row')),
        'and so is one that is gone',
      )
      await client.query('INSERT INTO service_account SELECT * FROM before')
      await client.query('DROP TABLE before')
    }
    const { rows } = await client.query<{ row: string }>('SELECT row_to_json(a)::text AS row FROM service_account a')
    const { d } = (await store.get('sign-in-key')) as { d: string }
    t.notOk(
      rows.some(({ row }) => row.includes(d)),
      'its private key is its own',
    )
  })
  const { client: other } = await partyOf(t, root, { kind: 'administration', name: 'Thailand', country: 'TH' })
  await t.rejects(other.serviceAccounts.stop(account.person), { code: 'NOT_FOUND' })
  const person = await enrolWith(t, lead, { name: 'Officer', organization, tier: 'person' })
  await t.rejects(person.serviceAccounts.list(), { code: 'NOT_FOUND' })
  await t.rejects(person.signInService(), { code: 'NOT_A_SERVICE' })
  await t.rejects(account.signIn({ passphrase }), { code: 'SIGN_IN_REFUSED' })
  await t.rejects(account.factors.setPassphrase('a passphrase that no program has'), { code: 'STEP_UP_REQUIRED' })
  await t.rejects(
    account.directory.inviteService({
      name: 'Another',
      organization,
      permissions: reporting,
      addresses: loopback,
      expiresAt: inDays(1),
    }),
    { code: 'FORBIDDEN' },
  )
})
