// What this holds: a service account comes in with its own key alone, from its own addresses, in
// its time; it may do what its role and its list both say, vouches for nobody, and is made and
// stopped by those who answer for it. Each test says which check, removed, makes it fail.
import { createPublicKey } from 'node:crypto'
import fc from 'fast-check'
import { exportJWK, generateKeyPair, type CryptoKey } from 'jose'
import t from 'tap'
import { mayBeListed, organizationKinds, permissions, rolesGrantableBy, serviceRoles } from '../src/access.ts'
import { isRange, isInRanges } from '../src/identity/service-accounts/addresses.ts'
import * as protocol from '../src/protocol/index.ts'
import { entriesSince, settle, sizes } from './support/entries.ts'
import { cellsOf } from './support/roles.ts'
import { startServer, type TestServer } from './support/server.ts'
import { inDays } from './support/services.ts'
import {
  type WireActor,
  ask,
  certify,
  codeOf,
  enrolInvited,
  freshId,
  invite,
  newcomer,
  now,
  openLive,
  passphrase,
  setUp,
  signInBody,
  type Answer,
} from './support/wire.ts'

const terms = (change: object = {}) => ({
  permissions: ['operation.read', 'message.read'],
  addresses: ['127.0.0.0/8'],
  expiresAt: inDays(30).toISOString(),
  ...change,
})

/**
 * An NCP of Kenya, one of Thailand and an officer of Kenya, at a service of two servers, without
 * the SDK.
 */
async function wireScene() {
  const server = await startServer(t, { trustedProxies: ['127.0.0.1'] })
  const second = await startServer(t, { beside: server })
  const { administrator } = await setUp(server)
  const register = async (country: string) => {
    const id = freshId()
    await administrator.must('POST', '/v1/organizations', { id, kind: 'administration', name: country, country })
    return id
  }
  const kenya = await register('KE')
  const thailand = await register('TH')
  const ncp = await newcomer(administrator, { name: 'NCP of Kenya', organization: kenya, tier: 'ncp' })
  const ncpOfThailand = await newcomer(administrator, { name: 'NCP of Thailand', organization: thailand, tier: 'ncp' })
  const officer = await newcomer(ncp, { name: 'Officer of Kenya', organization: kenya })
  return { server, second, administrator, ncp, ncpOfThailand, officer, kenya, thailand }
}

const scene = await wireScene()
const { server, second, administrator, ncp, ncpOfThailand, officer, kenya, thailand } = scene
const machineOf = (change: object = {}) =>
  newcomer(ncp, { name: 'Declarations', organization: kenya, tier: 'service', service: terms(change) })

interface Knock {
  readonly at?: TestServer
  /** As a trusted proxy names it. */
  readonly from?: string
}

/** A request of an actor, from an address that a proxy names, to one of the servers. */
async function knock(actor: WireActor, method: string, path: string, body?: unknown, { at, from }: Knock = {}) {
  const target = at ?? server
  const visitor = Object.assign(Object.create(actor) as WireActor, { server: target })
  const token =
    actor.accessToken === '' || path.endsWith('-sessions') || path.endsWith('tokens') ? undefined : actor.accessToken
  return ask(target.url + path, {
    method,
    headers: {
      dpop: await visitor.proof(method, path, token),
      ...(token === undefined ? {} : { authorization: `DPoP ${token}` }),
      ...(from === undefined ? {} : { 'x-forwarded-for': from }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

const signingIn = (actor: WireActor, assertion: string, where: Knock = {}) =>
  knock(actor, 'POST', '/v1/service-sessions', signInBody(assertion), where)

// Bites: verifyAssertion, claim by claim; `recordProof` and the comparison of keys in
// requireAssertion.
t.test(
  'INV-80: an assertion that is wrong in one thing opens no door, and all of them are refused alike',
  async (t) => {
    const machine = await machineOf()
    const other = await machineOf()
    const seconds = Math.floor(Date.now() / 1000)
    const stranger = await generateKeyPair('Ed25519')
    const used = await machine.assertion()
    t.equal((await signingIn(machine, used)).status, 201, 'as it should be')
    const jti = freshId()
    t.equal((await signingIn(machine, await machine.assertion({ claims: { jti } }))).status, 201)
    const asymmetric = await generateKeyPair('ES256')
    const publicBytes = Buffer.from(machine.ownJwk.x, 'base64url')
    const unsigned = `${Buffer.from('{"alg":"none","typ":"client-authentication+jwt"}').toString('base64url')}.${used.split('.')[1] ?? ''}.`
    const wrong: Record<string, string> = {
      'used before': used,
      'with a jti used before': await machine.assertion({ claims: { jti } }),
      expired: await machine.assertion({ claims: { iat: seconds - 120, exp: seconds - 60 } }),
      'made long ago and good for long': await machine.assertion({
        claims: { iat: seconds - 120, exp: seconds + 600 },
      }),
      'of tomorrow': await machine.assertion({ claims: { iat: seconds + 86_400, exp: seconds + 86_460 } }),
      'without an end': await machine.assertion({ claims: { exp: undefined } }),
      'without a beginning': await machine.assertion({ claims: { iat: undefined } }),
      'without a jti': await machine.assertion({ claims: { jti: undefined } }),
      'with a jti that others would guess': await machine.assertion({ claims: { jti: '1' } }),
      'for the other server': await machine.assertion({ claims: { aud: second.url } }),
      'for several services': await machine.assertion({ claims: { aud: [server.url, 'https://elsewhere.example'] } }),
      'for the address of the door': await machine.assertion({ claims: { aud: `${server.url}/v1/service-sessions` } }),
      'for nobody': await machine.assertion({ claims: { aud: undefined } }),
      'issued by somebody else': await machine.assertion({ claims: { iss: other.person } }),
      'about another account': await machine.assertion({ claims: { iss: other.person, sub: other.person } }),
      'about a person': await machine.assertion({ claims: { iss: officer.person, sub: officer.person } }),
      'about nobody known': await machine.assertion({ claims: { iss: freshId(), sub: freshId() } }),
      'about something that is no account': await machine.assertion({ claims: { iss: 'cordon', sub: 'cordon' } }),
      'bound to no session key': await machine.assertion({ claims: { cnf: undefined } }),
      'bound to another session key': await machine.assertion({ claims: { cnf: { jkt: other.thumbprint } } }),
      'signed with the device’s key': await machine.assertion({ key: machine.device.signKey }),
      'signed with another account’s key': await machine.assertion({ key: other.ownKey }),
      'signed with the session’s key': await machine.assertion({ key: machine.key }),
      'signed by a stranger': await machine.assertion({ key: stranger.privateKey }),
      'of another algorithm': await machine.assertion({ header: { alg: 'ES256' }, key: asymmetric.privateKey }),
      'with the older name of the algorithm': await machine.assertion({ header: { alg: 'EdDSA' } }),
      'with the public key as a secret': await machine.assertion({ header: { alg: 'HS256' }, key: publicBytes }),
      'without a signature': unsigned,
      'of another type': await machine.assertion({ header: { typ: 'JWT' } }),
      'of no type': await machine.assertion({ header: { typ: undefined } }),
      'that is an access token': machine.accessToken,
      'that is a proof': await machine.proof('POST', '/v1/service-sessions'),
      'that is no token': 'a.b.c',
    }
    const answers = new Map<string, Answer>()
    for (const [what, assertion] of Object.entries(wrong)) answers.set(what, await signingIn(machine, assertion))
    for (const [what, answer] of answers) {
      t.equal(codeOf(answer), '401 SIGN_IN_REFUSED', what)
      t.equal(answer.text, answers.get('used before')?.text, `${what}: the same words`)
    }
    const elsewhere = await machine.assertion({ claims: { jti, aud: second.url } })
    t.equal(
      codeOf(await signingIn(machine, elsewhere, { at: second })),
      '401 SIGN_IN_REFUSED',
      'its jti counts on every server',
    )
    const fresh = await machine.assertion({ claims: { aud: second.url } })
    t.equal((await signingIn(machine, fresh, { at: second })).status, 201, 'where another one is good')
    const raced = await machine.assertion()
    const race = await Promise.all(Array.from({ length: 8 }, () => signingIn(machine, raced)))
    t.equal(race.filter(({ status }) => status === 201).length, 1, 'of eight at once one comes in')
  },
)

// Bites: the comparison of the session's key with the account's and the device's in
// requireAssertion.
t.test('INV-80: no key serves two protocols', async (t) => {
  const machine = await machineOf()
  const withKey = async (key: CryptoKey, jwk: protocol.SignJwk) => {
    const { kty, crv, x } = jwk
    const thumbprint = await protocol.deviceIdOf({ kty, crv, x })
    const proving = Object.assign(Object.create(machine) as WireActor, { key, jwk: { kty, crv, x }, thumbprint })
    return signingIn(proving, await machine.assertion({ claims: { cnf: { jkt: thumbprint } } }))
  }
  t.equal(codeOf(await withKey(machine.ownKey, machine.ownJwk)), '401 SIGN_IN_REFUSED', 'its own key for the session')
  const { device } = machine
  t.equal(
    codeOf(await withKey(device.signKey, device.keys.sign)),
    '401 SIGN_IN_REFUSED',
    'the device’s for the session',
  )

  const inviting = () => invite(ncp, { name: 'Next', organization: kenya, tier: 'service', service: terms() })
  const enrolling = async (
    change: (one: Awaited<ReturnType<typeof inviting>>) => object,
    tier: protocol.Tier = 'service',
  ) => {
    const one = await (tier === 'service' ? inviting() : invite(ncp, { name: 'Somebody', organization: kenya }))
    const { actor, invitation, certify: key, authenticate } = one
    const { person, organization } = actor
    const enrolment = await protocol.signEnrolment(actor.device, key, { invitation, person, organization, tier })
    return actor.call(
      'POST',
      '/v1/enrolments',
      { invitation, authenticate, ...enrolment, ...change(one) },
      { signedIn: false },
    )
  }
  const reused = { code: 'ENROLMENT_INVALID', reason: 'KEY_REUSED' }
  t.match((await enrolling(({ actor }) => ({ signInKey: actor.device.keys.sign }))).body, reused, 'its device’s key')
  t.match((await enrolling(() => ({ signInKey: officer.device.keys.sign }))).body, reused, 'a person’s device’s key')
  t.match((await enrolling(() => ({ signInKey: machine.ownJwk }))).body, reused, 'another account’s key')
  const asDevice = await invite(ncp, { name: 'Next', organization: kenya, tier: 'service', service: terms() })
  const { d } = await exportJWK(machine.ownKey)
  asDevice.actor.device = await protocol.openDevice({
    ...asDevice.actor.secrets,
    sign: { ...machine.ownJwk, d: d ?? '' },
  })
  await t.rejects(enrolInvited(asDevice), /ENROLMENT_INVALID/, 'an account’s key for a device')

  t.equal(codeOf(await enrolling(() => ({ passphrase }))), '400 VALIDATION', 'a service account has no passphrase')
  t.equal(
    codeOf(await enrolling(({ actor }) => ({ signInKey: actor.ownJwk, passphrase }))),
    '400 VALIDATION',
    'nor one beside',
  )
  t.equal(codeOf(await enrolling(() => ({}))), '400 VALIDATION')
  t.equal(
    codeOf(await enrolling(() => ({ signInKey: machine.ownJwk }), 'person')),
    '400 VALIDATION',
    'nor a person a key',
  )
  const jwk = { ...(await exportJWK(createPublicKey({ key: await rsa(), format: 'jwk' }))) }
  t.equal(codeOf(await enrolling(() => ({ signInKey: jwk }))), '400 VALIDATION', 'nor any other kind of key')

  const proof = await protocol.signSignIn(machine.device, machine.person, machine.thumbprint, now())
  const withPassphrase = await machine.call('POST', '/v1/sessions', { proof, passphrase }, { signedIn: false })
  t.equal(codeOf(withPassphrase), '401 SIGN_IN_REFUSED', 'nor does it come in by the door of people')
  const grants = [
    {},
    { grant_type: 'authorization_code' },
    { client_assertion_type: 'x' },
    { client_assertion: 7 },
    { scope: 'all' },
  ]
  for (const change of grants) {
    const body = { ...signInBody(await machine.assertion()), ...change }
    const answer = await knock(machine, 'POST', '/v1/service-sessions', body)
    t.equal(codeOf(answer), Object.keys(change).length === 0 ? '201' : '400 VALIDATION', JSON.stringify(change))
  }
})

async function rsa() {
  const { publicKey } = await generateKeyPair('RS256', { extractable: true })
  return (await exportJWK(publicKey)) as never
}

// Bites: `admitAddress` in recognise, refresh and redeemTicket, each of them; `requireAddress` in
// requireAssertion; `trustProxy`.
t.test('INV-82: from elsewhere than its addresses every door is closed', async (t) => {
  const machine = await machineOf({ addresses: ['10.20.0.0/16', '2001:db8::/32', '127.0.0.1/32'] })
  const near = { from: '10.20.30.40' }
  for (const from of ['10.20.0.0', '10.20.255.255', '::ffff:10.20.1.1', '2001:db8:1::5', '127.0.0.1']) {
    t.equal((await signingIn(machine, await machine.assertion(), { from })).status, 201, `signs in from ${from}`)
    t.equal((await knock(machine, 'GET', '/v1/me', undefined, { from })).status, 200, `asks from ${from}`)
  }
  const strange = ['10.21.0.1', '10.19.255.255', '192.0.2.1', '2001:db9::1', '::1', 'unknown', '10.20.0.1.example', '']
  for (const from of strange.slice(0, -1)) {
    const refused = '403 ADDRESS_REFUSED'
    t.equal(codeOf(await signingIn(machine, await machine.assertion(), { from })), refused, `signs in from ${from}`)
    t.equal(codeOf(await knock(machine, 'GET', '/v1/me', undefined, { from })), refused, `asks from ${from}`)
    const { refreshToken } = machine
    const refreshed = await knock(machine, 'POST', '/v1/tokens', { refreshToken }, { from })
    t.equal(codeOf(refreshed), refused, `renews from ${from}`)
    t.equal(codeOf(await knock(machine, 'POST', '/v1/live-tickets', {}, { from })), refused, `a ticket from ${from}`)
  }
  t.equal(
    (await knock(machine, 'POST', '/v1/tokens', { refreshToken: machine.refreshToken }, near)).status,
    200,
    'what was refused cost nothing',
  )

  const afar = await machineOf({ addresses: ['127.0.0.0/8'] })
  const inside = await machineOf({ addresses: ['127.0.0.1/32'] })
  const { ticket } = (await knock(inside, 'POST', '/v1/live-tickets', {})).body
  const live = await openLive(server, ticket)
  live.close()
  const moved = await newcomerFrom('10.20.30.40', ['10.20.0.0/16'])
  const { ticket: lent } = (await knock(moved, 'POST', '/v1/live-tickets', {}, near)).body
  await t.rejects(openLive(server, lent), 'nor does its ticket open the channel from here')

  const claimed = await afar.assertion({ claims: { aud: second.url } })
  const believed = await signingIn(moved, await moved.assertion({ claims: { aud: second.url } }), {
    at: second,
    ...near,
  })
  t.equal(codeOf(believed), '403 ADDRESS_REFUSED', 'a header means nothing where no proxy is trusted')
  t.equal((await signingIn(afar, claimed, { at: second, from: '192.0.2.1' })).status, 201, 'neither for nor against')
  t.equal(
    (await knock(ncp, 'GET', '/v1/me', undefined, { from: '192.0.2.1' })).status,
    200,
    'people come from anywhere',
  )
})

/** A service account that signs in from an address; its certificate it has from the NCP. */
async function newcomerFrom(from: string, addresses: readonly string[]): Promise<WireActor> {
  const service = terms({ addresses })
  const invited = await invite(ncp, { name: 'Elsewhere', organization: kenya, tier: 'service', service })
  await enrolInvited(invited)
  await certify(ncp, invited)
  const { actor } = invited
  const answer = await signingIn(actor, await actor.assertion(), { from })
  actor.accessToken = answer.body.accessToken
  actor.refreshToken = answer.body.refreshToken
  return actor
}

t.test('INV-82: ranges are what their bits say', (t) => {
  const octet = fc.integer({ min: 0, max: 255 })
  const numberOf = (octets: readonly number[]) => octets.reduce((sum, one) => sum * 256 + one, 0)
  fc.assert(
    fc.property(
      fc.array(octet, { minLength: 4, maxLength: 4 }),
      fc.array(octet, { minLength: 4, maxLength: 4 }),
      fc.integer({ min: 0, max: 32 }),
      (a, b, prefix) => {
        const size = 2 ** (32 - prefix)
        const network = Math.floor(numberOf(a) / size) * size
        const base = [24, 16, 8, 0].map((shift) => Math.floor(network / 2 ** shift) % 256).join('.')
        const range = `${base}/${String(prefix)}`
        const inside = numberOf(b) >= network && numberOf(b) < network + size
        return (
          isRange(range) &&
          isInRanges([range], b.join('.')) === inside &&
          isInRanges([range], `::ffff:${b.join('.')}`) === inside &&
          isRange(`${a.join('.')}/${String(prefix)}`) === (numberOf(a) === network)
        )
      },
    ),
  )
  for (const range of ['::/0', '2001:db8::/32', '2001:db8:0:1::/64', '::1/128', 'fe80::/10', '0.0.0.0/0'])
    t.ok(isRange(range), range)
  for (const text of [
    '10.0.0.1/8',
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0/24',
    '010.0.0.0/8',
    '10.0.0.0/08',
    '2001:db8::1/32',
    '::/129',
    '::ffff:10.0.0.0/104',
    'example.org/24',
    '',
    '/',
    '/0',
    '10.0.0.0/8,0.0.0.0/0',
    '10.0.0.0 /8',
    'fe80::%eth0/64',
  ])
    t.notOk(isRange(text), JSON.stringify(text))
  t.ok(isInRanges(['2001:db8:0:1::/64'], '2001:0db8:0:1:ffff::1'))
  t.notOk(isInRanges(['2001:db8:0:1::/64'], '2001:db8:0:2::1'))
  t.notOk(isInRanges(['::/0'], '10.0.0.1'), 'a range of one family holds nothing of the other')
  t.notOk(isInRanges(['0.0.0.0/0'], '2001:db8::1'))
  t.notOk(isInRanges(['0.0.0.0/0'], 'unknown'))
  t.end()
})

// Bites: `mayCertify`, registerAccount and requireTerms; `manages` in ServiceAccounts.
t.test('INV-81: who makes and stops service accounts, and of what they can be made', async (t) => {
  const inviting = async (by: WireActor, change: object = {}, service: object | null = terms()) => {
    const one = {
      name: 'A program',
      organization: kenya,
      tier: 'service' as const,
      ...(service ? { service } : {}),
      ...change,
    }
    return invite(by, one).then(
      () => '201',
      (error: Error) => / (\d{3}) .*"code":"(\w+)"/.exec(error.message)?.slice(1).join(' ') ?? error.message,
    )
  }
  t.equal(await inviting(ncp), '201', 'an NCP, for its organization')
  t.equal(await inviting(administrator), '201', 'an administrator, for any')
  const machine = await machineOf()
  const { person } = machine
  t.equal(await inviting(ncpOfThailand), '403 FORBIDDEN', 'no NCP of another organization')
  t.equal(await inviting(officer), '403 FORBIDDEN', 'no officer')
  t.equal(await inviting(machine), '403 FORBIDDEN', 'no service account')
  t.equal(await inviting(machine, { person, tier: 'service' }), '403 FORBIDDEN', 'not even a further device of its own')
  t.equal(await inviting(machine, { tier: 'person' }, null), '403 FORBIDDEN', 'nor a person')
  t.equal(await inviting(ncp, { person }), '409 DEVICES_LIVE', 'none twice')
  t.equal(await inviting(ncp, { person: officer.person }), '409 DEVICES_LIVE', 'no person becomes one')
  const { actor: expected } = await invite(ncp, { name: 'Expected', organization: kenya })
  t.equal(await inviting(ncp, { person: expected.person }), '409 ALREADY_EXISTS', 'nor one who is expected')
  const waiting = await invite(ncp, { name: 'Not yet', organization: kenya, tier: 'service', service: terms() })
  t.equal(
    await inviting(ncp, { person: waiting.actor.person, tier: 'person' }, null),
    '409 ALREADY_EXISTS',
    'nor the other way',
  )
  t.equal(await inviting(ncp, {}, null), '400 VALIDATION', 'none without terms')
  t.equal(await inviting(ncp, { tier: 'person' }), '400 VALIDATION', 'no person with terms')
  const odd: Record<string, object> = {
    'a permission beyond an officer’s': { permissions: ['operation.read', 'member.admit'] },
    'a permission that does not exist': { permissions: ['operation.reed'] },
    'no permission': { permissions: [] },
    'one twice': { permissions: ['operation.read', 'operation.read'] },
    'no address': { addresses: [] },
    'an address that means many': { addresses: ['10.1.2.3/8'] },
    'a name': { addresses: ['example.org'] },
    'an end that has passed': { expiresAt: new Date(Date.now() - 1000).toISOString() },
    'an end far away': { expiresAt: inDays(400).toISOString() },
    'something more': { role: 'ncp' },
  }
  for (const [what, change] of Object.entries(odd))
    t.equal(await inviting(ncp, {}, terms(change)), '400 VALIDATION', what)

  const listOf = async (by: WireActor, query = '') => {
    const answer = await by.call('GET', `/v1/service-accounts${query}`)
    const listed = (answer.body.serviceAccounts ?? []) as { account: string }[]
    return answer.status < 400 ? listed.map(({ account }) => account) : codeOf(answer)
  }
  t.ok((await listOf(ncp)).includes(person), 'its NCP sees it')
  t.ok((await listOf(administrator)).includes(person), 'and administrators')
  t.ok((await listOf(administrator, `?organization=${kenya}`)).includes(person))
  t.same(await listOf(administrator, `?organization=${thailand}`), [])
  t.same(await listOf(ncpOfThailand), [], 'an NCP of another organization sees its own')
  t.equal(await listOf(ncpOfThailand, `?organization=${kenya}`), '404 NOT_FOUND')
  for (const nobody of [officer, machine]) t.equal(await listOf(nobody), '404 NOT_FOUND')

  const stopping = async (by: WireActor, account: string, device = machine.device.id, signer = by) => {
    const revocation = await protocol.signRevocation(signer.device, device, now())
    return codeOf(await by.call('POST', `/v1/service-accounts/${account}/stop`, { revocation }))
  }
  for (const nobody of [ncpOfThailand, officer, machine])
    t.equal(await stopping(nobody, person), '404 NOT_FOUND', nobody.name)
  t.equal(await stopping(ncp, officer.person, officer.device.id), '404 NOT_FOUND', 'a person is no service account')
  t.equal(await stopping(ncp, freshId()), '404 NOT_FOUND')
  t.equal(await stopping(ncp, person, officer.device.id), '400 VALIDATION', 'with a revocation of another device')
  t.equal(codeOf(await ncp.call('POST', `/v1/service-accounts/${person}/stop`, {})), '400 VALIDATION', 'with none')
  t.equal(await stopping(ncp, person, machine.device.id, officer), '403 DEVICE_MISMATCH', 'signed by somebody else')
  const forged = (await protocol.signRevocation(ncp.device, machine.device.id, now())).replace(/.{6}$/, 'AAAAAA')
  t.equal(
    codeOf(await ncp.call('POST', `/v1/service-accounts/${person}/stop`, { revocation: forged })),
    '400 STATEMENT_INVALID',
  )
  t.equal((await machine.call('GET', '/v1/me')).status, 200, 'all of which did nothing')

  t.equal(await stopping(administrator, person), '200', 'an administrator stops it')
  t.equal(codeOf(await machine.call('GET', '/v1/me')), '401 SESSION_ENDED')
  await settle(server)
  const before = await sizes(server)
  t.equal(await stopping(administrator, person), '200', 'twice is once')
  await settle(server)
  t.same(await entriesSince(server, before), [])
  const { actor } = waiting
  t.equal(
    codeOf(await ncp.call('POST', `/v1/service-accounts/${actor.person}/stop`, {})),
    '200',
    'one that has not come yet',
  )
  await t.rejects(enrolInvited(waiting), /INVITATION_INVALID/, 'and does not come any more')
  const late = await invite(ncp, { name: 'Uncertified', organization: kenya, tier: 'service', service: terms() })
  await enrolInvited(late)
  t.equal(await stopping(ncp, late.actor.person, late.actor.device.id), '200', 'one that waits to be certified')
  await t.rejects(certify(ncp, late), /CERTIFICATE_INVALID/)
})

// Bites: `if (issuer.tier === 'service') return false` in mayCertify.
t.test('INV-81: a service account certifies nobody', async (t) => {
  const machine = await machineOf()
  for (const tier of ['person', 'ncp', 'service'] as const) {
    const service = tier === 'service' ? { service: terms() } : {}
    const invited = await invite(ncp, { name: 'Waits', organization: kenya, tier, ...service })
    await enrolInvited(invited)
    await t.rejects(certify(machine, invited), /CERTIFICATE_INVALID|FORBIDDEN/, tier)
  }
})

t.test('the ceiling is officer, by the tables themselves', (t) => {
  const rows = cellsOf('access-roles')
  const weight = { no: 0, totals: 1, self: 1, own: 2, yes: 3 } as Record<string, number>
  const of = (permission: string, role: string) =>
    weight[rows.find(({ row, column }) => row === permission && column === role)?.value ?? 'no'] ?? 0
  for (const role of serviceRoles)
    for (const permission of permissions)
      t.ok(of(permission, role) <= of(permission, 'officer'), `${role} has no more of ${permission} than an officer`)
  for (const permission of permissions) t.equal(mayBeListed(permission), of(permission, 'officer') > 0, permission)
  t.same(rolesGrantableBy('coordinator', 'service').roles, serviceRoles)
  t.ok(Object.keys(organizationKinds).length > 0)
  t.end()
})
