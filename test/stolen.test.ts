// What this holds: a thief of one thing of a sign-in, or of the whole database, gains nothing
// that SECURITY.md does not say. What makes it fail: the check that each test names. Shown
// elsewhere and not here again:
//
// - access token: as a bearer, in the address, with other claims or another key;
//   in attacks-on-sign-in (C12), attacks-on-live (B13)
// - access token: after the device was revoked, the session ended;
//   in attacks-on-sign-in (C3), attacks-on-live (B2)
// - refresh token: after the moment for a lost answer; what is entered of it;
//   in duties
// - ticket: twice, late, from another origin, in the address;
//   in attacks-on-live (B2, B13)
// - DPoP proof: twice, for another method, address, token or key, late;
//   in attacks-on-sign-in (C12)
// - invitation: used, expired or revoked, at the process that knows it;
//   in attacks-on-sign-in (C7)
// - TOTP code: twice on all processes, late;
//   in factors (INV-67)
// - recovery code, its hash: twice, after it was renewed; the hash as a code;
//   in factors
// - passkey answer: a second time, of another person or page;
//   in factors (INV-69)
// - address for a browser: answered first, by a passkey of the thief’s;
//   in passkey-loopback
// - client assertion: twice, for another address or session key;
//   in service-accounts (INV-80)
// - database dump: searched for every secret as it was given;
//   in secrets (INV-24)
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { Secret, TOTP } from 'otpauth'
import t from 'tap'
import type { Cordon } from '../src/client/index.ts'
import { openFactorKey } from '../src/identity/factors/factor-key.ts'
import * as protocol from '../src/protocol/index.ts'
import { code } from './support/altered-operation.ts'
import { administratorOf, partyOf, passphrase as sdkPassphrase } from './support/actors.ts'
import { SoftwareAuthenticator } from './support/authenticator.ts'
import { admin } from './support/database.ts'
import { everyRole } from './support/roles.ts'
import { startServer, temporaryDirectory } from './support/server.ts'
import {
  WireActor,
  ask,
  codeOf,
  enrolInvited,
  freshId,
  invite,
  newcomer,
  now,
  openLive,
  passphrase,
  type Invited,
} from './support/wire.ts'

const { operation, byRole, organizations, server } = await everyRole(t)
const { ncp, coordinator } = byRole
// Another process of the same service, under the same public address.
const second = await startServer(t, { beside: server, publicUrl: server.url })
const processes = [server, second]

const victimOf = () => newcomer(ncp, { name: 'Victim', organization: organizations.kenya })

/** Somebody with a session key of their own, and nothing else. */
const thief = () => new WireActor(server, 'Thief').prepare()

interface Attempt {
  readonly proof?: string | undefined
  readonly token?: string | undefined
  readonly body?: unknown
}

/** A request to one of the processes with exactly these credentials. */
function attempt(at: { url: string }, method: string, path: string, { proof, token, body }: Attempt) {
  return ask(at.url + path, {
    method,
    headers: {
      ...(proof === undefined ? {} : { dpop: proof }),
      ...(token === undefined ? {} : { authorization: `DPoP ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

async function refreshing(by: WireActor, refreshToken: string, at: { url: string } = server) {
  return attempt(at, 'POST', '/v1/tokens', { proof: await by.proof('POST', '/v1/tokens'), body: { refreshToken } })
}

// Bites: the thumbprint in `recognise`, and `alive` in callerOf.
t.test(
  'INV-91: a stolen access token is worth nothing without the session’s key, nor with it once the session ended',
  async (t) => {
    const [victim, stranger] = await Promise.all([victimOf(), thief()])
    const token = victim.accessToken
    for (const [n, at] of processes.entries()) {
      for (const [method, path] of [
        ['GET', '/v1/me'],
        ['POST', '/v1/live-tickets'],
        ['DELETE', '/v1/sessions'],
      ] as const) {
        const proof = await stranger.proof(method, path, token)
        const body = method === 'POST' ? {} : undefined
        t.equal(
          codeOf(await attempt(at, method, path, { proof, token, body })),
          '401 UNAUTHENTICATED',
          `${path}, process ${n}`,
        )
        t.equal(
          codeOf(await attempt(at, method, path, { token, body })),
          '401 UNAUTHENTICATED',
          `${path} without a proof`,
        )
      }
      t.match(
        codeOf(await refreshing(stranger, token, at)),
        /^40[01] (VALIDATION|UNAUTHENTICATED)$/,
        'as a refresh token',
      )
      await t.rejects(openLive({ ...server, url: at.url }, token), 'as a ticket')
    }
    t.equal((await victim.call('GET', '/v1/me')).status, 200, 'and its owner goes on')
    await victim.must('DELETE', `/v1/sessions/${victim.session}`)
    for (const at of processes) {
      const proof = await victim.proof('GET', '/v1/me', token)
      t.equal(codeOf(await attempt(at, 'GET', '/v1/me', { proof, token })), '401 SESSION_ENDED', 'with the key as well')
    }
  },
)

// Bites: maxTokenAge and currentDate in verifyAccessToken.
t.test('INV-91: a stolen access token and its key are worth five minutes', async (t) => {
  const victim = await victimOf()
  const at = Math.floor(server.clock.now().getTime() / 1000) + 301
  const proof = await new SignJWT({
    htm: 'GET',
    htu: `${server.url}/v1/me`,
    jti: freshId(),
    iat: at,
    ath: protocol.base64url(await protocol.sha256(protocol.utf8(victim.accessToken))),
  })
    .setProtectedHeader({ alg: 'Ed25519', typ: 'dpop+jwt', jwk: victim.jwk })
    .sign(victim.key)
  server.clock.advance(301_000)
  const late = await attempt(server, 'GET', '/v1/me', { proof, token: victim.accessToken })
  server.clock.advance(-301_000)
  t.equal(codeOf(late), '401 UNAUTHENTICATED')
})

// Bites: the thumbprint in `refresh`; `#endStolen`, without which the second
// of two thieves learns that the session has ended.
t.test('INV-91: a stolen refresh token gives no token, and ends the session that it was of', async (t) => {
  const [victim, stranger] = await Promise.all([victimOf(), thief()])
  const { refreshToken } = victim
  const answers = [
    await refreshing(stranger, refreshToken),
    await refreshing(stranger, refreshToken),
    await refreshing(stranger, refreshToken, second),
    await refreshing(await thief(), refreshToken, second),
    await refreshing(stranger, randomBytes(32).toString('base64url')),
  ]
  for (const answer of answers) t.equal(codeOf(answer), '401 UNAUTHENTICATED')
  for (const { text } of answers) t.equal(text, answers[0]?.text, 'one that never was looks the same')
  t.equal(codeOf(await victim.call('GET', '/v1/me')), '401 SESSION_ENDED', 'its owner notices')
  t.equal(codeOf(await refreshing(victim, refreshToken)), '401 SESSION_ENDED')
  t.equal(
    codeOf(await attempt(server, 'GET', '/v1/me', { token: refreshToken })),
    '401 UNAUTHENTICATED',
    'as an access token',
  )
})

// Bites: `takeTicket`, which deletes the row; `callerOf` at redemption; the signature of the device
// under each statement.
t.test(
  'INV-91: a stolen ticket opens one live channel, whose bodies stay sealed and in which nothing is signed',
  async (t) => {
    const [victim, stranger] = await Promise.all([victimOf(), thief()])
    await operation.admit(victim, 'officer', ncp)
    await operation.openEpoch(coordinator)
    const needle = `sealed ${randomBytes(12).toString('hex')}`
    await operation.post(coordinator, { fields: { text: needle } })
    const { ticket } = await victim.must('POST', '/v1/live-tickets', {})
    t.equal((await refreshing(stranger, ticket)).status, 401, 'as a refresh token')
    t.equal((await attempt(server, 'GET', '/v1/me', { token: ticket })).status, 401, 'as an access token')
    const stolen = await openLive({ ...server, url: second.url }, ticket)
    await t.rejects(openLive(server, ticket), 'its owner finds it used, at the other process')
    const frames = await stolen.follow(operation.id)
    t.ok(frames.length > 0)
    t.notOk(JSON.stringify(frames).includes(needle))
    const posting = await operation.compose(victim, { signer: stranger })
    stolen.send({ type: 'post', ...posting.input })
    const answer = await stolen.first(({ type }) => type === 'refused' || type === 'accepted')
    t.match(
      answer,
      { type: 'refused', problem: { code: 'DEVICE_MISMATCH' } },
      'what another device signed is not taken',
    )
    await victim.must('DELETE', `/v1/sessions/${victim.session}`)
    await operation.openEpoch(coordinator)
    t.equal((await stolen.closed).code, 4401, 'and it ends with the session')
  },
)

// Bites: `recordProof`, which all processes share; `ath`; the token that is asked for beside.
t.test(
  'INV-91: a stolen DPoP proof is worth nothing alone, with another token, or again at another process',
  async (t) => {
    const [victim, other] = await Promise.all([victimOf(), victimOf()])
    const token = victim.accessToken
    const path = '/v1/me'
    const proof = await victim.proof('GET', path, token)
    for (const at of processes) {
      t.equal(codeOf(await attempt(at, 'GET', path, { proof })), '401 UNAUTHENTICATED', 'alone')
      const others = await attempt(at, 'GET', path, { proof, token: other.accessToken })
      t.equal(codeOf(others), '401 UNAUTHENTICATED', 'with a token of the thief’s own')
    }
    t.equal((await attempt(second, 'GET', path, { proof, token })).status, 200, 'with its token, once')
    for (const at of processes)
      t.equal(codeOf(await attempt(at, 'GET', path, { proof, token })), '401 UNAUTHENTICATED', 'and never again')
    const signingIn = await victim.proof('POST', '/v1/tokens')
    t.equal(
      (
        await attempt(server, 'POST', '/v1/tokens', {
          proof: signingIn,
          body: { refreshToken: randomBytes(32).toString('base64url') },
        })
      ).status,
      401,
    )
    const replayed = await attempt(second, 'POST', '/v1/tokens', {
      proof: signingIn,
      body: { refreshToken: victim.refreshToken },
    })
    t.equal(codeOf(replayed), '401 UNAUTHENTICATED', 'one that was used brings no other body in')
  },
)

async function enrolling({ invitation, certify, authenticate, tier, actor }: Invited, secret: string, at = server) {
  const { person, organization } = actor
  const stranger = await thief()
  const enrolment = await protocol.signEnrolment(stranger.device, certify, { invitation, person, organization, tier })
  return attempt(at, 'POST', '/v1/enrolments', { body: { invitation, authenticate, ...enrolment, passphrase: secret } })
}

// Bites: `used_at` and `expires_at` in #requireInvitation, read from the database that all
// processes share.
t.test('INV-91: a stolen invitation that was used, or has expired, lets nobody in at any process', async (t) => {
  const inviting = () => invite(ncp, { name: 'Invited', organization: organizations.kenya })
  const used = await inviting()
  await enrolInvited(used)
  const expired = await inviting()
  server.clock.advance(8 * 86_400_000)
  second.clock.advance(8 * 86_400_000)
  const late = await Promise.all(processes.map((at) => enrolling(expired, passphrase, at)))
  server.clock.advance(-8 * 86_400_000)
  second.clock.advance(-8 * 86_400_000)
  for (const answer of late) t.match(codeOf(answer), /INVITATION_INVALID$/, 'expired')
  for (const at of processes) t.match(codeOf(await enrolling(used, passphrase, at)), /INVITATION_INVALID$/, 'used')
})

// Bites: `knows` at enrolment.
t.test(
  'INV-91: a stolen invitation of somebody’s further device is worth nothing without what proves the person',
  async (t) => {
    const { name, organization, person } = ncp
    const further = await invite(ncp, { name, organization, tier: 'ncp', person })
    for (const at of processes)
      t.equal(codeOf(await enrolling(further, 'the thief’s own long passphrase', at)), '401 SIGN_IN_REFUSED')
    await enrolInvited(further)
  },
)

const hour = 3_600_000
const factorServer = startServer(t)
const platform = factorServer.then(({ clock }) => ({ clock: () => clock.now() }))
const factorAdministrator = factorServer.then(async (it) => administratorOf(t, it, { platform: await platform }))
let registered = 0

async function somebody(): Promise<Cordon> {
  const name = `Partner ${String(registered++)}`
  return (await partyOf(t, await factorAdministrator, { kind: 'partner', name, platform: await platform })).client
}

async function withTotp(client: Cordon) {
  const { clock } = await factorServer
  const { secret } = await client.factors.beginTotp()
  const totp = new TOTP({ secret, algorithm: 'SHA1', digits: 6, period: 30 })
  const codeNow = () => totp.generate({ timestamp: clock.now().getTime() })
  const recoveryCodes = await client.factors.confirmTotp(codeNow())
  clock.advance(30_000)
  return { codeNow, recoveryCodes }
}

/** A sign-in as somebody else, from the thief's own certified device and session. */
async function signInAs(victim: Cordon, by: Cordon, evidence: object): Promise<string> {
  const { clock } = await factorServer
  return code(
    by.transport.signIn(async (thumbprint) => ({
      proof: await protocol.signSignIn(by.self.device, victim.person, thumbprint, protocol.timestamp(clock.now())),
      ...evidence,
    })),
  )
}

// Bites: `provesDevice` and `bound` in signIn; the passphrase before the code in `prove`.
t.test('INV-91: a stolen TOTP code is worth nothing without the passphrase and the device', async (t) => {
  const [victim, stranger] = await Promise.all([somebody(), somebody()])
  const { codeNow } = await withTotp(victim)
  t.equal(
    await code(victim.signIn({ passphrase: codeNow(), code: codeNow() })),
    'SIGN_IN_REFUSED',
    'with the device alone',
  )
  t.equal(
    await signInAs(victim, stranger, { passphrase: 'a guess of some length', code: codeNow() }),
    'SIGN_IN_REFUSED',
  )
  t.equal(
    await code(victim.signIn({ passphrase: sdkPassphrase, code: codeNow() })),
    'accepted',
    'its owner can still use it',
  )
  const { clock } = await factorServer
  clock.advance(30_000)
  t.equal(
    await signInAs(victim, stranger, { passphrase: sdkPassphrase, code: codeNow() }),
    'SIGN_IN_REFUSED',
    'with the passphrase',
  )
  clock.advance(30_000)
  await withTotp(stranger)
  t.equal(
    await code(stranger.signIn({ passphrase: sdkPassphrase, code: codeNow() })),
    'SIGN_IN_REFUSED',
    'as one’s own',
  )
  t.equal(await code(victim.signIn({ passphrase: sdkPassphrase, code: codeNow() })), 'accepted')
})

// Bites: the person in `FactorKey.digest`; `bound` in signIn.
t.test(
  'INV-91: a stolen recovery code is worth nothing without the passphrase and the device, nor to another person',
  async (t) => {
    const [victim, stranger] = await Promise.all([somebody(), somebody()])
    const { recoveryCodes } = await withTotp(victim)
    const [stolen = '', spent = ''] = recoveryCodes
    await withTotp(stranger)
    t.equal(await code(stranger.signIn({ passphrase: sdkPassphrase, code: stolen })), 'SIGN_IN_REFUSED', 'as one’s own')
    t.equal(await signInAs(victim, stranger, { passphrase: 'a guess of some length', code: stolen }), 'SIGN_IN_REFUSED')
    t.equal(await code(victim.signIn({ passphrase: stolen, code: stolen })), 'SIGN_IN_REFUSED', 'with the device alone')
    t.equal((await victim.factors.list()).recoveryCodes, 10, 'none was spent by that')
    t.equal(
      await signInAs(victim, stranger, { passphrase: sdkPassphrase, code: spent }),
      'SIGN_IN_REFUSED',
      'with the passphrase',
    )
    t.equal(await code(victim.signIn({ passphrase: sdkPassphrase, code: stolen })), 'accepted')
  },
)

const dumpOf = <Row extends object>(at: { database: { superUrl: string } }, query: string, ...values: unknown[]) =>
  admin(at.database.superUrl, async (client) => (await client.query<Row>(query, values)).rows)

/** What somebody may try who reads bytes: as they are written, and their forms. */
const formsOf = (bytes: Buffer) => [bytes.toString('base64url'), bytes.toString('base64'), bytes.toString('hex')]

// Bites: that `hashSecret` is applied to what comes, and argon2 to the passphrase.
t.test('INV-92: hashes from a dump of the database are no tokens, tickets, invitations or passphrases', async (t) => {
  const victim = await victimOf()
  const waiting = await invite(ncp, { name: 'Waits', organization: organizations.kenya })
  await victim.must('POST', '/v1/live-tickets', {})
  const refresh = await dumpOf<{ hash: Buffer }>(
    server,
    'SELECT hash FROM refresh_token WHERE session_id = $1',
    victim.session,
  )
  t.equal(refresh.length, 1)
  for (const { hash } of refresh)
    for (const form of formsOf(hash))
      t.match(codeOf(await refreshing(victim, form)), /^40[01] /, 'a refresh token’s, with the session’s key')
  t.equal((await victim.call('GET', '/v1/me')).status, 200, 'and it ends nothing')
  const tickets = await dumpOf<{ hash: Buffer }>(
    server,
    'SELECT hash FROM live_ticket WHERE session_id = $1',
    victim.session,
  )
  t.equal(tickets.length, 1)
  for (const { hash } of tickets) await t.rejects(openLive(server, hash.toString('base64url')), 'a ticket’s')
  const [known] = await dumpOf<{ recognition: Buffer }>(
    server,
    'SELECT recognition FROM invitation WHERE id = $1',
    waiting.invitation,
  )
  const authenticate = known?.recognition.toString('base64url') ?? ''
  t.match(codeOf(await enrolling({ ...waiting, authenticate }, passphrase)), /INVITATION_INVALID$/, 'an invitation’s')
  const [credential] = await dumpOf<{ passphrase_hash: string }>(
    server,
    'SELECT passphrase_hash FROM credential WHERE person_id = $1',
    victim.person,
  )
  const passphrase_hash = credential?.passphrase_hash ?? ''
  t.match(passphrase_hash, /^\$argon2id\$/)
  for (const form of [passphrase_hash, passphrase_hash.split('$').at(-1) ?? ''])
    for (const at of processes) {
      const proof = await protocol.signSignIn(victim.device, victim.person, victim.thumbprint, now())
      const dpop = await victim.proof('POST', '/v1/sessions')
      const signedIn = await attempt(at, 'POST', '/v1/sessions', { proof: dpop, body: { proof, passphrase: form } })
      t.equal(codeOf(signedIn), '401 SIGN_IN_REFUSED', 'a passphrase’s, with the device')
    }
  await enrolInvited(waiting)
})

// Bites: that the certifying key is sealed to the inviter's device, and secrets of apps under a key
// that is not in the database.
t.test('INV-92: what is sealed in a dump of the database does not open', async (t) => {
  const waiting = await invite(ncp, { name: 'Waits', organization: organizations.kenya })
  const stranger = await thief()
  const keys = await dumpOf<{ device_id: string; sealed: string }>(
    server,
    'SELECT device_id, sealed FROM invitation_key WHERE invitation_id = $1',
    waiting.invitation,
  )
  t.equal(keys.length, 1)
  for (const { device_id: kid, sealed } of keys) {
    await t.rejects(protocol.openSealed('cordon-invitation+jwe', { kid }, stranger.device.sealKey, sealed))
    await t.resolves(
      protocol.openSealed('cordon-invitation+jwe', { kid }, ncp.device.sealKey, sealed),
      'the inviter’s device has it',
    )
  }
  const at = await factorServer
  const victim = await somebody()
  const { codeNow } = await withTotp(victim)
  const [totp] = await dumpOf<{ sealed_secret: Buffer }>(
    at,
    'SELECT sealed_secret FROM totp WHERE person_id = $1',
    victim.person,
  )
  const sealed = totp?.sealed_secret ?? Buffer.alloc(0)
  const thiefs = openFactorKey(join(temporaryDirectory(t), 'factor.key'), false)
  t.throws(() => thiefs.open(victim.person, sealed))
  const own = openFactorKey(join(at.directory, 'factor.key'), true)
  t.throws(() => own.open(freshId(), sealed), 'nor for another person, where rows are exchanged')
  t.equal(own.open(victim.person, sealed).length, 20)
  for (const bytes of [sealed, sealed.subarray(12, 32), sealed.subarray(0, 20)]) {
    const secret = new Secret({ buffer: new Uint8Array(bytes).buffer })
    const guess = new TOTP({ secret, digits: 6, period: 30 }).generate({ timestamp: at.clock.now().getTime() })
    if (guess !== codeNow())
      t.equal(await code(victim.signIn({ passphrase: sdkPassphrase, code: guess })), 'SIGN_IN_REFUSED')
  }
  t.equal(await code(victim.signIn({ passphrase: sdkPassphrase, code: codeNow() })), 'accepted')
})

// Bites: the signature under the public key of the passkey that is named, and its person.
t.test('INV-92: a passkey’s id and public key from a dump answer no challenge', async (t) => {
  const at = await factorServer
  const [victim, stranger] = await Promise.all([somebody(), somebody()])
  const [own, thiefs] = [new SoftwareAuthenticator(at.url), new SoftwareAuthenticator(at.url)]
  await victim.factors.addPasskey('key', own)
  await stranger.factors.addPasskey('key', thiefs)
  const { response } = (await own.get({ challenge: 'seen once' })) as { response: { userHandle: string } }
  const [row] = await dumpOf<{ id: string; public_key: Buffer }>(
    at,
    'SELECT id, public_key FROM passkey WHERE person_id = $1',
    victim.person,
  )
  const id = row?.id ?? ''
  const pretending = {
    create: () => Promise.reject(new Error('not asked for')),
    get: async (options: object) => {
      const answer = (await thiefs.get(options)) as { response: object }
      const { userHandle } = response
      return { ...answer, id, rawId: id, response: { ...answer.response, userHandle } }
    },
  }
  t.equal(await code(victim.signIn({ authenticator: pretending })), 'SIGN_IN_REFUSED', 'with the device')
  const signature = row?.public_key.toString('base64url')
  const named = {
    ...pretending,
    get: async (options: object) => {
      const answer = (await pretending.get(options)) as { response: object }
      return { ...answer, response: { ...answer.response, signature } }
    },
  }
  t.equal(await code(victim.signIn({ authenticator: named })), 'SIGN_IN_REFUSED', 'the public key as a signature')
  t.equal(await code(stranger.signIn({ authenticator: own })), 'SIGN_IN_REFUSED')
  t.equal(await code(victim.signIn({ authenticator: own })), 'accepted')
})

// Bites: `requireRecent`, counted from what the session itself proved.
t.test('INV-91: whoever has a whole session an hour later changes no factor with it', async (t) => {
  const { clock } = await factorServer
  const victim = await somebody()
  clock.advance(hour)
  t.equal(await code(victim.factors.setPassphrase('the thief’s own long passphrase')), 'STEP_UP_REQUIRED')
  t.equal(await code(victim.factors.stepUp({ passphrase: 'a guess of some length' })), 'SIGN_IN_REFUSED')
  t.equal(await code(victim.factors.beginTotp()), 'STEP_UP_REQUIRED')
})
