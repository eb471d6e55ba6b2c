// What this holds: who signs in proves by a passphrase, by a passphrase with a code, or by a
// passkey, who they are; a code, a step and a challenge work once on all servers; and nobody
// changes a factor without a recent proof. What makes it fail: a code that is taken twice, a
// passkey of another origin or person, a refusal that tells what was right, a session that changes
// a factor an hour after it began.
import { TOTP } from 'otpauth'
import t from 'tap'
import { isProblem, type Cordon } from '../src/client/index.ts'
import { administratorOf, newClient, partyOf, passphrase } from './support/actors.ts'
import { SoftwareAuthenticator } from './support/authenticator.ts'
import { admin } from './support/database.ts'
import { entriesSince, sizes } from './support/entries.ts'
import { startServer } from './support/server.ts'

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

const server = startServer(t)
// Everybody goes by the clock of the server, which the tests set on.
const platform = server.then(({ clock }) => ({ clock: () => clock.now() }))
const administrator = server.then(async (it) => administratorOf(t, it, { platform: await platform }))
const hour = 3_600_000
let organizations = 0

/** Somebody of an organization of their own, on a device of their own. */
async function somebody(): Promise<Cordon> {
  const name = `Partner ${String(organizations++)}`
  const { client } = await partyOf(t, await administrator, { kind: 'partner', name, platform: await platform })
  return client
}

async function withTotp(
  client: Cordon,
): Promise<{ codeNow: (ahead?: number) => string; confirmed: string; recoveryCodes: readonly string[] }> {
  const { clock } = await server
  const { secret, uri } = await client.factors.beginTotp()
  const totp = new TOTP({ secret, algorithm: 'SHA1', digits: 6, period: 30 })
  t.match(uri, /^otpauth:\/\/totp\/Cordon:.+secret=/)
  const codeNow = (ahead = 0) => totp.generate({ timestamp: clock.now().getTime() + ahead })
  const confirmed = codeNow()
  const recoveryCodes = await client.factors.confirmTotp(confirmed)
  return { codeNow, confirmed, recoveryCodes }
}

t.test(
  'a passphrase is long or stands beside a second factor, and is none of those that are tried first',
  async (t) => {
    const client = await somebody()
    const set = (text: string) => code(client.factors.setPassphrase(text))
    for (const weak of [
      'fourteen chars',
      'qwerty123456789',
      'passwordpassword',
      'aaaaaaaaaaaaaaaaaaaa',
      'abcabcabcabcabcabc',
      '1234567890123456789',
      'x'.repeat(129),
      ' \u200b\u3000\u2003\u00a0\u2009 \u200b\u2002\u2004\u2005\u200c\u2006\u2007\u2008\u200d',
    ])
      t.equal(await set(weak), 'PASSPHRASE_WEAK', weak)
    const long = `${'ñ'.repeat(60)} ${'w'.repeat(67)}`
    t.equal([...long].length, 128)
    t.equal(await set(long), 'accepted', '128 characters are taken whole')
    t.equal(await code(client.signIn({ passphrase: `${long.slice(0, -1)}x` })), 'SIGN_IN_REFUSED', 'to the last one')
    t.equal(await code(client.signIn({ passphrase: long.normalize('NFD') })), 'accepted', 'however it is composed')
    await client.factors.setPassphrase(passphrase)
    t.equal(await set('nine char'), 'PASSPHRASE_WEAK')
    await withTotp(client)
    t.equal(await set('nine char'), 'accepted', 'beside a second factor eight are enough')
    t.equal(await set('password1'), 'PASSPHRASE_WEAK', 'but not any eight')
    t.equal(
      await code(client.factors.removeTotp()),
      'FACTOR_NEEDED',
      'and the second factor stays as long as it is short',
    )
  },
)

t.test('INV-67: a code of the app works once, on whichever server it is given', async (t) => {
  const first = await server
  const client = await somebody()
  t.equal(await code(client.factors.confirmTotp('000000')), 'NOT_FOUND', 'nothing to confirm')
  const { codeNow, confirmed } = await withTotp(client)
  t.equal(await code(client.signIn({ passphrase })), 'SECOND_FACTOR_REQUIRED')
  t.equal(await code(client.signIn({ passphrase, code: confirmed })), 'SIGN_IN_REFUSED', 'that confirmed it is used')
  first.clock.advance(30_000)
  const now = codeNow()
  t.equal(await code(client.signIn({ passphrase: 'not this one at all', code: now })), 'SIGN_IN_REFUSED')
  const twice = await Promise.all([1, 2, 3, 4].map(() => code(client.signIn({ passphrase, code: now }))))
  t.same(twice.sort(), ['SIGN_IN_REFUSED', 'SIGN_IN_REFUSED', 'SIGN_IN_REFUSED', 'accepted'], 'of four at once one')
  t.equal(await code(client.signIn({ passphrase, code: codeNow(-60_000) })), 'SIGN_IN_REFUSED', 'an older one')
  t.equal(await code(client.signIn({ passphrase, code: codeNow(300_000) })), 'SIGN_IN_REFUSED', 'one of later')
  first.clock.advance(30_000)
  await client.signIn({ passphrase, code: codeNow() })
  await client.factors.removeTotp()
  t.equal(await code(client.signIn({ passphrase })), 'accepted', 'once it is removed nobody asks for it')
})

t.test('that a code is missing is told to the device of the person alone', async (t) => {
  const client = await somebody()
  await withTotp(client)
  const stranger = await somebody()
  // Signed by a device that is not this person's, with the right passphrase.
  const { signSignIn, timestamp } = await import('../src/protocol/index.ts')
  const { clock } = await server
  const refused = await code(
    stranger.transport.signIn(async (thumbprint) => ({
      proof: await signSignIn(stranger.self.device, client.person, thumbprint, timestamp(clock.now())),
      passphrase,
    })),
  )
  t.equal(refused, 'SIGN_IN_REFUSED')
})

t.test('a recovery code stands in for the app, once, however it is typed', async (t) => {
  const { clock, database } = await server
  const client = await somebody()
  const { codeNow, recoveryCodes } = await withTotp(client)
  t.equal(recoveryCodes.length, 10)
  t.equal((await client.factors.list()).recoveryCodes, 10)
  const [one = '', two = ''] = recoveryCodes
  t.equal(await code(client.signIn({ passphrase, code: one.toLowerCase().replaceAll('-', ' ') })), 'accepted')
  t.equal(await code(client.signIn({ passphrase, code: one })), 'SIGN_IN_REFUSED')
  const stranger = await somebody()
  t.equal(await code(stranger.signIn({ passphrase, code: two })), 'accepted', 'who has no second factor needs none')
  t.equal((await client.factors.list()).recoveryCodes, 9)
  const renewed = await client.factors.renewRecoveryCodes()
  t.equal(await code(client.signIn({ passphrase, code: two })), 'SIGN_IN_REFUSED', 'the old ones are gone')
  t.equal(await code(client.signIn({ passphrase, code: renewed[0] ?? '' })), 'accepted')
  clock.advance(30_000)
  const dump = await admin(database.superUrl, async (superuser) => {
    const { rows } = await superuser.query<{ digest: Buffer }>('SELECT digest FROM recovery_code')
    return rows.map(({ digest }) => digest.toString('base64url'))
  })
  for (const stolen of dump.slice(0, 3)) t.not(await code(client.signIn({ passphrase, code: stolen })), 'accepted')
  t.equal(await code(client.signIn({ passphrase, code: codeNow() })), 'accepted')
})

t.test('INV-68: a factor is changed by whoever has proven lately who they are, and by nobody else', async (t) => {
  const { clock } = await server
  const client = await somebody()
  clock.advance(hour)
  const authenticator = new SoftwareAuthenticator((await server).url)
  const acts: Record<string, () => Promise<unknown>> = {
    'set the passphrase': () => client.factors.setPassphrase('another one that is long'),
    'remove the passphrase': () => client.factors.removePassphrase(),
    'begin an app': () => client.factors.beginTotp(),
    'confirm an app': () => client.factors.confirmTotp('000000'),
    'remove the app': () => client.factors.removeTotp(),
    'new recovery codes': () => client.factors.renewRecoveryCodes(),
    'add a passkey': () => client.factors.addPasskey('key', authenticator),
    'remove a passkey': () => client.factors.removePasskey('A'.repeat(43)),
  }
  for (const [name, act] of Object.entries(acts)) t.equal(await code(act()), 'STEP_UP_REQUIRED', name)
  t.equal(await code(client.factors.stepUp({ passphrase: 'not the passphrase' })), 'SIGN_IN_REFUSED')
  t.equal(await code(client.factors.beginTotp()), 'STEP_UP_REQUIRED')
  t.equal(await code(client.factors.stepUp({ passphrase })), 'accepted')
  t.equal(await code(client.factors.beginTotp()), 'accepted')
  for (let wrong = 0; wrong < 12; wrong++) await code(client.factors.stepUp({ passphrase: 'wrong, again and again' }))
  t.equal(await code(client.factors.stepUp({ passphrase })), 'SIGN_IN_REFUSED', 'guessing waits, as at sign-in')
})

t.test('from passphrase to passkey', async (t) => {
  const service = await server
  const client = await somebody()
  const authenticator = new SoftwareAuthenticator(service.url)
  t.equal(await code(client.factors.removePassphrase()), 'FACTOR_NEEDED', 'something must be left')
  const { id } = await client.factors.addPasskey('blue key', authenticator)
  t.match((await client.factors.list()).passkeys, [{ id, name: 'blue key', lastUsedAt: null }])
  const alike = client.factors.addPasskey('BLUE\u00a0key\u200b', new SoftwareAuthenticator(service.url))
  t.equal(await code(alike), 'ALREADY_EXISTS', 'nobody could tell the two apart')
  t.equal(await code(client.signIn({ authenticator })), 'accepted')
  t.not((await client.factors.list()).passkeys[0]?.lastUsedAt, null)
  await client.factors.removePassphrase()
  t.equal((await client.factors.list()).passphrase, null)
  t.equal(await code(client.signIn({ passphrase })), 'SIGN_IN_REFUSED')
  t.equal(await code(client.signIn({ authenticator })), 'accepted')
  service.clock.advance(hour)
  t.equal(await code(client.factors.removePasskey(id)), 'STEP_UP_REQUIRED')
  await client.factors.stepUpWith(authenticator)
  t.equal(await code(client.factors.removePasskey(id)), 'FACTOR_NEEDED', 'the last one stays')
  const { text } = await client.directory.invite({
    person: { id: client.person, name: 'The same' },
    organization: client.organization,
    tier: 'ncp',
  })
  const further = newClient(t, { platform: await platform })
  t.equal(await code(further.enrol({ invitation: text, passphrase })), 'SIGN_IN_REFUSED', 'a further device too')
  t.equal(await code(further.enrol({ invitation: text, authenticator })), 'accepted')
})

t.test(
  'INV-69: a passkey answers one question, of this service, for its own person, with its user verified',
  async (t) => {
    const service = await server
    const client = await somebody()
    const other = await somebody()
    const authenticator = new SoftwareAuthenticator(service.url)
    await client.factors.addPasskey('key', authenticator)
    await other.factors.addPasskey('key', new SoftwareAuthenticator(service.url))
    t.equal(await code(other.signIn({ authenticator })), 'SIGN_IN_REFUSED', 'of another person')
    let answer: object = {}
    const keeping = {
      create: () => Promise.reject(new Error('not asked for')),
      get: async (options: object) => (answer = await authenticator.get(options)),
    }
    t.equal(await code(client.signIn({ authenticator: keeping })), 'accepted')
    t.equal(await code(client.signIn({ passkey: answer })), 'SIGN_IN_REFUSED', 'a second time')
    authenticator.verifiesUser = false
    t.equal(await code(client.signIn({ authenticator })), 'SIGN_IN_REFUSED', 'whose user was not verified')
    authenticator.verifiesUser = true
    authenticator.claimedOrigin = 'https://cordon.example.evil'
    t.equal(await code(client.signIn({ authenticator })), 'SIGN_IN_REFUSED', 'in the page of somebody else')
    authenticator.claimedOrigin = undefined
    await client.signIn({ authenticator })
    authenticator.step = 0
    t.equal(await code(client.signIn({ authenticator })), 'SIGN_IN_REFUSED', 'whose counter stands still: a copy')
    authenticator.step = 10
    const late = {
      ...keeping,
      get: async (options: object) => {
        service.clock.advance(6 * 60_000)
        return authenticator.get(options)
      },
    }
    t.equal(await code(client.signIn({ authenticator: late })), 'SIGN_IN_REFUSED', 'after five minutes')
    t.equal(await code(client.signIn({ authenticator })), 'accepted')
    const invited = {
      ...keeping,
      create: async (options: object) => {
        authenticator.verifiesUser = false
        return authenticator.create({ ...options, excludeCredentials: [] })
      },
    }
    t.equal(await code(client.factors.addPasskey('unverified', invited)), 'PASSKEY_INVALID')
    let stolen: object = {}
    const thief = {
      ...keeping,
      create: async (options: object) => (stolen = options) && Promise.reject(new Error('kept')),
    }
    t.match(await code(client.factors.addPasskey('kept', thief)), /kept/)
    authenticator.verifiesUser = true
    const strangers = { ...keeping, create: () => authenticator.create({ ...stolen, excludeCredentials: [] }) }
    t.equal(await code(other.factors.addPasskey('of another', strangers)), 'PASSKEY_INVALID', 'asked of somebody else')
  },
)

t.test('a session says from where it was used, and the others end together', async (t) => {
  const client = await somebody()
  const { text } = await client.directory.invite({
    person: { id: client.person, name: 'The same' },
    organization: client.organization,
    tier: 'ncp',
  })
  const further = newClient(t, { platform: await platform })
  await further.enrol({ invitation: text, passphrase })
  await client.directory.certifyWaiting()
  await further.signIn({ passphrase })
  const sessions = await client.sessions()
  t.equal(sessions.length, 2)
  for (const one of sessions) t.match(one, { address: '127.0.0.1', agent: /node/ })
  await client.endOtherSessions()
  t.equal((await client.sessions()).length, 1)
  t.equal(await code(further.me()), 'SESSION_ENDED')
  t.equal(await code(client.endOtherSessions()), 'accepted', 'where there are none nothing happens')
})

t.test('each change of a factor is an entry, and none holds a secret', async (t) => {
  const service = await server
  const client = await somebody()
  const before = await sizes(service)
  const { confirmed, recoveryCodes } = await withTotp(client)
  await client.factors.setPassphrase('nine char')
  await client.factors.stepUp({ passphrase: 'nine char', code: recoveryCodes[0] ?? '' })
  const entries = (await entriesSince(service, before)).filter(({ person }) => person === client.person)
  t.match(
    entries.map(({ kind, details }) => [kind, details.factor ?? '', details.reason]),
    [
      ['credential.set', 'totp', 'added'],
      ['credential.set', 'passphrase', 'changed'],
      ['session.stepped-up', '', 'passphrase+recovery-code'],
    ],
  )
  const text = JSON.stringify(entries)
  for (const secret of ['nine char', confirmed, ...recoveryCodes]) t.notOk(text.includes(secret))
})

t.test(
  'a further device of somebody who has a second factor enrols with the passphrase and signs in with a code',
  async (t) => {
    const client = await somebody()
    const { clock } = await server
    const { codeNow } = await withTotp(client)
    clock.advance(30_000)
    const person = { id: client.person, name: 'The same' }
    const { text } = await client.directory.invite({ person, organization: client.organization, tier: 'ncp' })
    const further = newClient(t, { platform: await platform })
    t.equal(await code(further.enrol({ invitation: text, passphrase: 'not the right one' })), 'SIGN_IN_REFUSED')
    t.equal(await code(further.enrol({ invitation: text, passphrase })), 'accepted')
    await client.directory.certifyWaiting()
    t.equal(await code(further.signIn({ passphrase })), 'SECOND_FACTOR_REQUIRED')
    t.equal(await code(further.signIn({ passphrase, code: '000000' })), 'SIGN_IN_REFUSED')
    t.equal(await code(further.signIn({ passphrase, code: codeNow() })), 'accepted')
  },
)

t.test('INV-69: of a passkey and its copy that answer at once, counting alike, one is refused', async (t) => {
  const client = await somebody()
  const authenticator = new SoftwareAuthenticator((await server).url)
  await client.factors.addPasskey('key', authenticator)
  await client.signIn({ authenticator })
  authenticator.step = 0
  const counted: { get(options: object): Promise<object>; create(): Promise<object> } = {
    create: () => Promise.reject(new Error('not asked for')),
    get: (options) => authenticator.get(options),
  }
  t.equal(await code(client.factors.stepUpWith(counted)), 'SIGN_IN_REFUSED', 'it counts no further')
  authenticator.step = 5
  const first = await authenticator.get(await client.transport.open('POST', '/v1/passkeys/questions', {}))
  authenticator.step = 0
  const copy = await authenticator.get(await client.transport.open('POST', '/v1/passkeys/questions', {}))
  const outcomes = await Promise.all([first, copy].map((passkey) => code(client.factors.stepUp({ passkey }))))
  t.same(outcomes.sort(), ['SIGN_IN_REFUSED', 'accepted'])
})

t.test(
  'of two devices that enrol at once for somebody new, one sets the passphrase and the other has to know it',
  async (t) => {
    const inviter = await somebody()
    const { organization } = inviter
    const one = await inviter.directory.invite({ person: { name: 'New' }, organization, tier: 'person' })
    const two = await inviter.directory.invite({
      person: { id: one.person, name: 'New' },
      organization,
      tier: 'person',
    })
    const passphrases = ['a first one that is long', 'another one that is long']
    const devices = await Promise.all([1, 2].map(async () => newClient(t, { platform: await platform })))
    const outcomes = await Promise.all(
      devices.map((device, i) =>
        code(device.enrol({ invitation: [one, two][i]?.text ?? '', passphrase: passphrases[i] ?? '' })),
      ),
    )
    t.same(outcomes.toSorted(), ['SIGN_IN_REFUSED', 'accepted'])
    const winner = outcomes.indexOf('accepted')
    const [device, chosen] = [devices[winner], passphrases[winner]]
    if (!device || !chosen) throw new Error('nobody won')
    t.equal(await code(device.signIn({ passphrase: chosen })), 'accepted')
  },
)
