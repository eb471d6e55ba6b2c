import t from 'tap'
import { MemoryStore, isProblem } from '../src/client/index.ts'
import { Altered } from './support/altered.ts'
import { administratorOf, enrolWith, newClient, partyOf, passphrase } from './support/actors.ts'
import { startServer } from './support/server.ts'

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

const server = startServer(t)
const administrator = server.then((it) => administratorOf(t, it))

t.test('a service gets its root once, and only with the string that it printed', async (t) => {
  // One database is made at a time.
  await administrator
  const fresh = await startServer(t)
  const setupString = (await fresh.setUpString()) ?? ''
  const input = {
    server: fresh.url,
    setupString,
    organization: { name: 'Secretariat' },
    person: { name: 'Administrator' },
    passphrase,
  }
  const wrong = newClient(t)
  t.equal(await code(wrong.initialize({ ...input, passphrase: 'short' })), 'PASSPHRASE_WEAK')
  t.equal(await wrong.load(), false, 'what was refused leaves nothing behind')
  const first = newClient(t)
  const { root, successor } = await first.initialize(input)
  t.not(root.sign.x, successor.sign.x)
  t.equal((await first.signIn({ passphrase })).administrator, true)
  t.equal(first.self.account.pins.root === first.device, false, 'the root is no device that signs in')
  t.equal(await code(newClient(t).initialize(input)), 'SET_UP_DONE')
  t.equal(await code(first.initialize(input)), 'ALREADY_ENROLLED')
})

t.test('an invitation works once, for whom it was meant, until it is revoked', async (t) => {
  const inviter = await administrator
  const organization = await inviter.directory.registerOrganization({ kind: 'partner', name: 'Partner' })
  const invite = () => inviter.directory.invite({ person: { name: 'Newcomer' }, organization, tier: 'ncp' })
  const { text, person } = await invite()
  const newcomer = newClient(t)
  t.equal(await code(newcomer.enrol({ invitation: text, passphrase: 'short' })), 'PASSPHRASE_WEAK')
  t.match(await newcomer.enrol({ invitation: text, passphrase }), { person, organization, name: 'Newcomer' })
  t.equal(await code(newClient(t).enrol({ invitation: text, passphrase })), 'INVITATION_INVALID')
  const revoked = await invite()
  await inviter.directory.revokeInvitation(revoked.invitation)
  t.equal(await code(newClient(t).enrol({ invitation: revoked.text, passphrase })), 'INVITATION_INVALID')
  t.equal(await code(newcomer.enrol({ invitation: revoked.text, passphrase })), 'ALREADY_ENROLLED')
})

t.test('until it is certified a device can do nothing; its inviter’s client certifies it unasked', async (t) => {
  const inviter = await administrator
  const organization = await inviter.directory.registerOrganization({ kind: 'partner', name: 'Second partner' })
  const { text, invitation } = await inviter.directory.invite({ person: { name: 'N' }, organization, tier: 'ncp' })
  const newcomer = newClient(t)
  await newcomer.enrol({ invitation: text, passphrase })
  t.equal((await newcomer.signIn({ passphrase })).tier, null)
  t.same(await newcomer.waitingFor(), { invitation })
  const somebody = { person: { name: 'X' }, organization, tier: 'person' as const }
  t.equal(await code(newcomer.directory.invite(somebody)), 'NOT_CERTIFIED')
  await inviter.signIn({ passphrase })
  t.equal(await newcomer.waitingFor(), null)
  t.equal((await newcomer.me()).tier, 'ncp')
})

t.test('whom one device of an inviter invited, another device of the same person certifies', async (t) => {
  const { client: inviter, organization } = await partyOf(t, await administrator, {
    kind: 'partner',
    name: 'Third partner',
  })
  const own = { person: { id: inviter.person, name: 'The same' }, organization, tier: 'ncp' as const }
  const further = newClient(t)
  await further.enrol({ invitation: (await inviter.directory.invite(own)).text, passphrase })
  await inviter.directory.certifyWaiting()
  await further.signIn({ passphrase })
  const somebody = { person: { name: 'N' }, organization, tier: 'person' as const }
  const newcomer = newClient(t)
  await newcomer.enrol({ invitation: (await inviter.directory.invite(somebody)).text, passphrase })
  t.match(await further.directory.certifyWaiting(), [{ person: { id: newcomer.person }, refused: undefined }])
  await newcomer.signIn({ passphrase })
  t.equal(await newcomer.waitingFor(), null)
})

t.test('who may vouch for whom', async (t) => {
  const admin = await administrator
  const { client: ncp, organization } = await partyOf(t, admin, { kind: 'administration', name: 'KE', country: 'KE' })
  const elsewhere = await admin.directory.registerOrganization({ kind: 'partner', name: 'Elsewhere' })
  const person = { name: 'Somebody' }
  t.equal(await code(ncp.directory.invite({ person, organization: elsewhere, tier: 'person' })), 'FORBIDDEN')
  t.equal(await code(ncp.directory.invite({ person, organization, tier: 'administrator' })), 'FORBIDDEN')
  t.equal(await code(admin.directory.invite({ person, organization, tier: 'person' })), 'FORBIDDEN')
  t.equal(await code(ncp.directory.registerOrganization({ kind: 'partner', name: 'Mine' })), 'ADMINISTRATOR_ONLY')
  const officer = await enrolWith(t, ncp, { name: 'Officer', organization, tier: 'person' })
  t.equal(await code(officer.directory.invite({ person, organization, tier: 'person' })), 'FORBIDDEN')
  const own = { id: officer.person, name: 'Officer' }
  const { text } = await officer.directory.invite({ person: own, organization, tier: 'person' })
  const second = newClient(t)
  t.equal(await code(second.enrol({ invitation: text, passphrase: 'not the passphrase of mine' })), 'SIGN_IN_REFUSED')
  await second.enrol({ invitation: text, passphrase })
  t.match(await officer.directory.certifyWaiting(), [{ device: second.device }])
  t.equal((await second.signIn({ passphrase })).person, officer.person)
  t.equal((await second.directory.devices()).filter(({ state }) => state === 'certified').length, 2)
})

t.test('an answer to the enrolment that is lost is made good by enrolling again', async (t) => {
  const inviter = await administrator
  const altered = new Altered()
  const organization = await inviter.directory.registerOrganization({ kind: 'partner', name: 'Fourth partner' })
  const { text } = await inviter.directory.invite({ person: { name: 'N' }, organization, tier: 'ncp' })
  const store = new MemoryStore()
  const newcomer = newClient(t, { store, platform: altered.platform })
  altered.answer = ({ path }, answer) => {
    if (path === '/v1/enrolments') throw new TypeError('fetch failed')
    return answer
  }
  t.equal(await code(newcomer.enrol({ invitation: text, passphrase })), 'NETWORK')
  const again = newClient(t, { store })
  t.equal(await code(again.enrol({ invitation: text, passphrase })), 'accepted')
  await inviter.directory.certifyWaiting()
  t.equal((await again.signIn({ passphrase })).tier, 'ncp')
})

t.test('sign-in is refused for a wrong passphrase, and without a device there is nothing to sign in', async (t) => {
  const admin = await administrator
  const { client } = await partyOf(t, admin, { kind: 'partner', name: 'Fifth partner' })
  t.equal(await code(client.signIn({ passphrase: 'something else entirely' })), 'SIGN_IN_REFUSED')
  t.equal(await code(newClient(t).signIn({ passphrase })), 'NOT_ENROLLED')
  t.equal(await code((async () => newClient(t).operations.list())()), 'NOT_ENROLLED')
})

t.test('a session ends where its person ends it, and everything after is refused', async (t) => {
  const admin = await administrator
  const { client } = await partyOf(t, admin, { kind: 'partner', name: 'Sixth partner' })
  const [session] = await client.sessions()
  t.equal(session?.current, true)
  await client.endSession(session?.session ?? '')
  t.equal(await code(client.me()), 'SESSION_ENDED')
  await client.signIn({ passphrase })
  await client.signOut()
  t.equal(await code(client.me()), 'NOT_SIGNED_IN')
})

t.test('a device that is revoked is out at once', async (t) => {
  const admin = await administrator
  const { client: ncp, organization } = await partyOf(t, admin, { kind: 'administration', name: 'TH', country: 'TH' })
  const officer = await enrolWith(t, ncp, { name: 'Officer', organization, tier: 'person' })
  const stranger = await partyOf(t, admin, { kind: 'partner', name: 'Stranger' })
  t.equal(await code(stranger.client.directory.revokeDevice(officer.device)), 'NOT_FOUND')
  await ncp.directory.revokeDevice(officer.device)
  t.equal(await code(officer.me()), 'SESSION_ENDED')
  t.equal(await code(officer.signIn({ passphrase })), 'SIGN_IN_REFUSED')
})

t.test('tokens that the service does not take any more are renewed once for all who ask', async (t) => {
  const admin = await administrator
  const altered = new Altered()
  const { client } = await partyOf(t, admin, { kind: 'partner', name: 'Seventh partner', platform: altered.platform })
  altered.requests.length = 0
  let refused = 0
  altered.instead = ({ path }) =>
    path === '/v1/me' && refused++ < 3 ? { status: 401, json: { code: 'UNAUTHENTICATED', status: 401 } } : undefined
  await Promise.all([client.me(), client.me(), client.me()])
  t.equal(altered.requests.filter(({ path }) => path === '/v1/tokens').length, 1)
  refused = -100
  altered.requests.length = 0
  t.equal(await code(client.me()), 'UNAUTHENTICATED', 'a second refusal is meant')
  t.equal(altered.requests.filter(({ path }) => path === '/v1/me').length, 2)
})
