// What this holds: what ends really ends. Whoever changes the passphrase or the app ends every
// other session with its socket, on every server; what asks for a recent proof takes none by a
// factor that is newer than the session, or gone; a compromise reaches all that was vouched for
// since, however far down; and two coordinators are not replaced by one person.
import { TOTP } from 'otpauth'
import t from 'tap'
import { signRevocation } from '../src/protocol/index.ts'
import { administratorOf, newClient, partyOf, passphrase as sdkPassphrase } from './support/actors.ts'
import { SoftwareAuthenticator } from './support/authenticator.ts'
import { startServer, type TestServer } from './support/server.ts'
import { createOperation, went, type WireOperation } from './support/wire-operation.ts'
import { WireActor, codeOf, enrolInvited, freshId, invite, newcomer, now, setUp } from './support/wire.ts'

interface Scene {
  readonly first: TestServer
  readonly second: TestServer
  readonly administrator: WireActor
  readonly coordinator: WireActor
  readonly kenya: string
  readonly operation: WireOperation
}

type Owner = Parameters<typeof startServer>[0]

async function scene(owner: Owner): Promise<Scene> {
  const first = await startServer(owner)
  const second = await startServer(owner, { beside: first })
  const { administrator } = await setUp(first)
  const [unit, kenya] = [freshId(), freshId()]
  await administrator.must('POST', '/v1/organizations', { id: unit, kind: 'rilo', name: 'Unit' })
  const customs = { id: kenya, kind: 'administration', name: 'Kenya', country: 'KE' }
  await administrator.must('POST', '/v1/organizations', customs)
  const coordinator = await newcomer(administrator, { name: 'Coordinator', organization: unit, tier: 'ncp' })
  const operation = await createOperation(owner, administrator, coordinator)
  went(await operation.admitOrganization(kenya))
  for (const state of ['rehearsal', 'active'] as const) went(await operation.advance(state))
  return { first, second, administrator, coordinator, kenya, operation }
}

/** Another session of the same person on the same device, at another server. */
async function again(actor: WireActor, server: TestServer): Promise<WireActor> {
  const other = Object.assign(new WireActor(server, actor.name), actor)
  other.server = server
  await other.signIn()
  return other
}

const totpOf = (secret: string) => new TOTP({ secret, algorithm: 'SHA1', digits: 6, period: 30 })

t.test(
  'INV-131: another passphrase, or an app, ends every other session and its socket, on every server',
  async (t) => {
    const { second, administrator, kenya, operation } = await scene(t)
    const changes: Record<string, (actor: WireActor) => Promise<unknown>> = {
      'another passphrase': (actor) =>
        actor.must('PUT', '/v1/factors/passphrase', { passphrase: 'eight calm otters under a bridge' }),
      'an app': async (actor) => {
        const { secret } = await actor.must('POST', '/v1/factors/totp', {})
        return actor.must('PUT', '/v1/factors/totp', { code: totpOf(secret).generate() })
      },
      'an app, removed again': async (actor) => {
        const { secret } = await actor.must('POST', '/v1/factors/totp', {})
        await actor.must('PUT', '/v1/factors/totp', { code: totpOf(secret).generate() })
        return actor.must('DELETE', '/v1/factors/totp')
      },
    }
    for (const [what, change] of Object.entries(changes)) {
      const actor = await newcomer(administrator, { name: what, organization: kenya, tier: 'ncp' })
      went(await operation.admit(actor, 'ncp'))
      if (!(await operation.view()).currentEpoch(operation.id as never)) went(await operation.openEpoch(actor))
      const other = await again(actor, second)
      const live = await other.live()
      await live.follow(operation.id)
      went(await operation.post(other, {}))
      await change(actor)
      t.equal((await live.closed).code, 4401, `${what}: its socket`)
      t.equal(codeOf(await operation.post(other, {})), '401 SESSION_ENDED', `${what}: it posts nothing`)
      const renewed = await other.call('POST', '/v1/tokens', { refreshToken: other.refreshToken }, { signedIn: false })
      t.equal(codeOf(renewed), '401 SESSION_ENDED', `${what}: it is not renewed`)
      t.equal(codeOf(await other.call('PUT', '/v1/factors/passphrase', { passphrase: 'x' })), '401 SESSION_ENDED')
      t.equal((await actor.call('GET', '/v1/me')).status, 200, `${what}: who changed it goes on`)
      const { sessions } = await actor.must('GET', '/v1/sessions')
      t.equal(sessions.length, 1)
    }
  },
)

t.test('INV-132: what is sensitive takes no proof by what is newer than the session, or gone', async (t) => {
  const server = await startServer(t)
  const platform = { clock: () => server.clock.now() }
  const administrator = await administratorOf(t, server, { platform })
  const { client } = await partyOf(t, administrator, { kind: 'partner', name: 'Partner', platform })
  const key = new SoftwareAuthenticator(server.url)
  server.clock.advance(1_000)
  const { id } = await client.factors.addPasskey('Key', key)
  await t.rejects(client.factors.stepUpWith(key), { code: 'FACTOR_NEWER' }, 'a passkey that the session itself added')
  server.clock.advance(1_000)
  await client.signIn({ authenticator: key })
  await client.factors.stepUpWith(key)
  await client.factors.renewRecoveryCodes().catch(() => {})
  await client.factors.removePasskey(id)
  await t.rejects(client.factors.addPasskey('Next', key), { code: 'STEP_UP_REQUIRED' }, 'by a passkey that is gone')
  await client.factors.stepUp({ passphrase: sdkPassphrase })
  await client.factors.setPassphrase('eight calm otters under a bridge')
  await t.resolves(client.factors.beginTotp(), 'who set the passphrase in this session knows it')

  // Somebody in another session of the same person adds what is to prove them there.
  const { client: victim } = await partyOf(t, administrator, { kind: 'partner', name: 'Victim', platform })
  const thief = newClient(t, { platform })
  const { text } = await victim.directory.invite({
    person: { id: victim.person, name: 'Victim' },
    organization: victim.organization,
    tier: 'ncp',
  })
  await thief.enrol({ invitation: text, passphrase: sdkPassphrase })
  await victim.directory.certifyWaiting()
  await thief.signIn({ passphrase: sdkPassphrase })
  server.clock.advance(1_000)
  const added = new SoftwareAuthenticator(server.url)
  await victim.factors.addPasskey('Of the other session', added)
  server.clock.advance(3_600_000)
  await t.rejects(thief.factors.stepUpWith(added), { code: 'FACTOR_NEWER' }, 'and in every session of before')
  await t.rejects(thief.factors.setPassphrase('x'.repeat(20)), { code: 'STEP_UP_REQUIRED' })
})

t.test('INV-133: a compromise reaches whom the device vouched for since, and whom these vouched for', async (t) => {
  const { administrator, kenya, operation } = await scene(t)
  const before = await newcomer(administrator, { name: 'NCP', organization: kenya, tier: 'ncp' })
  const spared = await newcomer(before, { name: 'Officer', organization: kenya })
  const since = new Date(Date.now() + 1).toISOString()
  await new Promise((resolve) => setTimeout(resolve, 5))
  const puppet = await newcomer(before, { name: 'Puppet', organization: kenya, tier: 'ncp' })
  const further = await newcomer(puppet, { name: 'Puppet', organization: kenya, tier: 'ncp', person: puppet.person })
  const third = await newcomer(further, { name: 'Third', organization: kenya, tier: 'ncp' })
  const fourth = await newcomer(third, { name: 'Fourth', organization: kenya })
  went(await operation.admit(fourth, 'officer'))
  went(await operation.openEpoch(operation.coordinator))
  const waiting = await invite(third, { name: 'Waiting', organization: kenya })
  await enrolInvited(waiting)
  const revocation = await signRevocation(administrator.device, before.device.id, now(), since)
  went(await administrator.call('POST', '/v1/revocations', { revocation }))
  const alive = async (actor: WireActor) => (await actor.call('GET', '/v1/me')).status === 200
  t.same(
    await Promise.all([before, puppet, further, third, fourth, spared].map(alive)),
    [false, false, false, false, false, true],
    'all generations since, and nobody of before',
  )
  const view = await operation.view()
  t.notOk(view.devices.has(fourth.device.id), 'operations hear of it')
  t.ok(await operation.isStale())
  for (const doomed of [further, fourth]) {
    const { certificate } = doomed
    t.equal(codeOf(await administrator.call('POST', '/v1/renewals', { certificate })), '403 DEVICE_MISMATCH')
  }
  const second = await signRevocation(administrator.device, third.device.id, now())
  went(await administrator.call('POST', '/v1/revocations', { revocation: second }))
})

t.test('INV-134: whoever takes a coordinator out makes none, by whatever way', async (t) => {
  const { administrator, coordinator, kenya } = await scene(t)
  const ways: Record<string, (operation: WireOperation, other: WireActor) => Promise<unknown>> = {
    removal: async (operation, other) => went(await operation.remove(other.person)),
    'another role': async (operation, other) => went(await operation.changeRole(other.person, 'observer')),
    'the whole organization': async (operation, other) => {
      const statement = await operation.sign(coordinator, { act: 'remove', organization: other.organization })
      const path = `${operation.path}/organizations/${other.organization}/removal`
      went(await coordinator.call('POST', path, { statement }))
      went(await operation.admitOrganization(other.organization))
    },
  }
  const other = await newcomer(administrator, { name: 'Second', organization: kenya, tier: 'ncp' })
  const puppet = await newcomer(administrator, { name: 'Puppet', organization: kenya, tier: 'ncp' })
  for (const [way, take] of Object.entries(ways)) {
    const operation = await createOperation(t, administrator, coordinator)
    went(await operation.admitOrganization(kenya))
    went(await operation.admit(other, 'coordinator'))
    t.equal(codeOf(await operation.admit(puppet, 'coordinator')), '409 APPROVAL_NOT_AVAILABLE', 'with two it takes two')
    await take(operation, other)
    t.equal(codeOf(await operation.admit(puppet, 'coordinator')), '409 APPROVAL_NOT_AVAILABLE', `after ${way}`)
    t.equal(codeOf(await operation.admit(puppet, 'auditor')), '409 APPROVAL_NOT_AVAILABLE')
    went(await operation.admit(puppet, 'ncp'))
    t.equal(codeOf(await operation.changeRole(puppet.person, 'coordinator')), '409 APPROVAL_NOT_AVAILABLE', 'by steps')
  }
  const operation = await createOperation(t, administrator, coordinator)
  went(await operation.admitOrganization(kenya))
  went(await operation.admit(other, 'coordinator'))
  went(await operation.remove(other.person, other))
  went(await operation.admit(puppet, 'coordinator'))
  t.ok((await operation.view()).member(puppet.person as never), 'who leaves by themselves bars nobody')
})
