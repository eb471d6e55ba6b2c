// What this holds: sections C and D of the attacks that must fail (sign-in, tokens, invitations,
// input, audit). Each test says which check, removed, makes it succeed.
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SignJWT, exportJWK, generateKeyPair, type JWTHeaderParameters } from 'jose'
import t from 'tap'
import { openTokenKey } from '../src/identity/index.ts'
import * as protocol from '../src/protocol/index.ts'
import { checkLog } from './support/check-log.ts'
import { admin } from './support/database.ts'
import { everyRole } from './support/roles.ts'
import { sampleFields, went } from './support/wire-operation.ts'
import {
  WireActor,
  ask,
  codeOf,
  enrolInvited,
  freshId,
  invite,
  newcomer,
  now,
  passphrase,
  type Answer,
} from './support/wire.ts'

const scene = await everyRole(t)
const { operation, byRole, administrator, messages, organizations, server } = scene
const { ncp, coordinator } = byRole

const signingIn = async (
  actor: WireActor,
  secret: unknown,
  change: { person?: string; device?: protocol.Device } = {},
) => {
  const device = change.device ?? actor.device
  const proof = await protocol.signSignIn(device, change.person ?? actor.person, actor.thumbprint, now())
  return actor.call('POST', '/v1/sessions', { proof, passphrase: secret }, { signedIn: false })
}

// Bites: `passphrases.verify` in signIn and in enrol; `provesDevice`.
t.test('C1: a wrong passphrase opens no door, and all that is wrong looks the same', async (t) => {
  const stranger = await new WireActor(server, 'Stranger').prepare()
  const answers: Record<string, Answer> = {
    'a wrong passphrase': await signingIn(ncp, 'a wrong passphrase of a good length'),
    'one with a space more': await signingIn(ncp, `${passphrase} `),
    'somebody who does not exist': await signingIn(ncp, passphrase, { person: freshId() }),
    'somebody else’s person': await signingIn(ncp, passphrase, { person: coordinator.person }),
    'a device that does not exist': await signingIn(ncp, passphrase, { device: stranger.device }),
    'another person’s device': await signingIn(ncp, passphrase, { device: coordinator.device }),
  }
  for (const [what, answer] of Object.entries(answers)) {
    t.equal(codeOf(answer), '401 SIGN_IN_REFUSED', what)
    t.equal(answer.text, answers['a wrong passphrase']?.text, `${what}: the same words`)
  }
  const further = await invite(ncp, { name: ncp.name, organization: ncp.organization, tier: 'ncp', person: ncp.person })
  const { certify, authenticate, invitation, actor } = further
  const { person, organization } = actor
  const enrolment = await protocol.signEnrolment(actor.device, certify, {
    invitation,
    person,
    organization,
    tier: 'ncp',
  })
  const wrong = { invitation, authenticate, ...enrolment, passphrase: 'a wrong passphrase of a good length' }
  t.equal(codeOf(await actor.call('POST', '/v1/enrolments', wrong)), '401 SIGN_IN_REFUSED', 'nor a further device')
  await enrolInvited(further)
})

// Bites: the body schemas (no coercion).
t.test('C2: credentials are texts of a certain shape, and nothing else', async (t) => {
  const proof = await protocol.signSignIn(ncp.device, ncp.person, ncp.thumbprint, now())
  const odd: unknown[] = [{ $ne: '' }, [passphrase], '', null, 7, true, { toString: 'x' }, 'x'.repeat(1024 * 1024)]
  for (const value of odd) {
    for (const [path, body] of [
      ['/v1/sessions', { proof, passphrase: value }],
      ['/v1/sessions', { proof: value, passphrase }],
      ['/v1/tokens', { refreshToken: value }],
    ] as const) {
      const answer = await ncp.call('POST', path, body, { signedIn: false })
      t.match(
        codeOf(answer),
        /^(400 VALIDATION|413 TOO_LARGE|401 (SIGN_IN_REFUSED|UNAUTHENTICATED))$/,
        `${path} with ${typeof value}`,
      )
    }
  }
})

// Bites: `alive` in sessionsStanding (state of the device), asked for at every door.
t.test('C3: with its device a person’s tokens end, the old ones too', async (t) => {
  const officer = await newcomer(ncp, { name: 'Leaves', organization: organizations.kenya })
  went(await operation.admit(officer, 'officer', ncp))
  const { ticket } = await officer.must('POST', '/v1/live-tickets', {})
  const revocation = await protocol.signRevocation(ncp.device, officer.device.id, now())
  went(await ncp.call('POST', '/v1/revocations', { revocation }))
  t.equal(codeOf(await officer.call('GET', operation.path)), '401 SESSION_ENDED', 'the access token')
  const refresh = await officer.call('POST', '/v1/tokens', { refreshToken: officer.refreshToken }, { signedIn: false })
  t.equal(refresh.status, 401, 'the refresh token')
  t.equal(codeOf(await signingIn(officer, passphrase)), '401 SIGN_IN_REFUSED', 'the passphrase on that device')
  t.ok(ticket)
  const demoted = await newcomer(ncp, { name: 'Loses a role', organization: organizations.kenya })
  went(await operation.admit(demoted, 'ncp', ncp))
  went(await operation.changeRole(demoted.person, 'officer', ncp))
  const candidate = await scene.candidate(organizations.kenya)
  t.equal(
    codeOf(await operation.admit(candidate, 'officer', demoted)),
    '403 FORBIDDEN',
    'a role that was taken counts at once',
  )
  went(await operation.openEpoch(coordinator))
})

// Bites: `used_at`, `revoked_at`, `expires_at` and `right` in #requireInvitation.
t.test('C7: an invitation works once, in time, until it is revoked, with its own secret', async (t) => {
  const inviting = () => invite(ncp, { name: 'Newcomer', organization: organizations.kenya })
  const enrolling = async (one: Awaited<ReturnType<typeof inviting>>, change: object = {}) => {
    const actor = await new WireActor(server, 'again').prepare()
    const { invitation, certify, authenticate, tier } = one
    const { person, organization } = one.actor
    const enrolment = await protocol.signEnrolment(actor.device, certify, { invitation, person, organization, tier })
    return actor.call(
      'POST',
      '/v1/enrolments',
      { invitation, authenticate, ...enrolment, passphrase, ...change },
      { signedIn: false },
    )
  }
  const used = await inviting()
  await enrolInvited(used)
  const revoked = await inviting()
  went(await ncp.call('DELETE', `/v1/invitations/${revoked.invitation}`))
  const wrong = await inviting()
  const answers: Record<string, Answer> = {
    used: await enrolling(used),
    revoked: await enrolling(revoked),
    'another secret': await enrolling(wrong, { authenticate: randomBytes(32).toString('base64url') }),
    'no such invitation': await enrolling(wrong, { invitation: freshId() }),
  }
  const expiring = await inviting()
  const twice = await inviting()
  const both = await Promise.all([enrolling(twice), enrolling(twice), enrolling(twice)])
  t.equal(both.filter(({ status }) => status === 201).length, 1, 'of several at once one comes in')
  t.equal(both.filter(({ status }) => status === 404).length, 2)
  t.equal(
    codeOf(await coordinator.call('DELETE', `/v1/invitations/${wrong.invitation}`)),
    '404 NOT_FOUND',
    'revoked by another',
  )
  server.clock.advance(8 * 24 * 3600_000)
  answers['expired'] = await enrolling(expiring)
  server.clock.advance(-8 * 24 * 3600_000)
  for (const [what, answer] of Object.entries(answers)) {
    t.match(codeOf(answer), /INVITATION_INVALID$/, what)
    t.equal(answer.text, answers['used']?.text, `${what}: the same words`)
  }
})

// Bites: algorithms, typ, issuer, requiredClaims and maxTokenAge in verifyAccessToken; jti and ath
// in verifyProof.
t.test('C12: no token or proof but the very one is taken', async (t) => {
  const path = '/v1/me'
  const [head = '', body = '', signature = ''] = ncp.accessToken.split('.')
  const claims = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>
  const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as JWTHeaderParameters
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const { sign: own } = await openTokenKey(join(server.directory, 'token.key'))
  const publicKey = await readFile(join(server.directory, 'token.key'), 'utf8')
  const signed = (change: Record<string, unknown>, headers: Record<string, unknown> = {}) =>
    new SignJWT({ ...claims, ...change }).setProtectedHeader({ ...header, ...headers }).sign(own)
  const attempt = async (token: string, proof?: string) =>
    ask(server.url + path, {
      headers: { authorization: `DPoP ${token}`, dpop: proof ?? (await ncp.proof('GET', path, token)) },
    })
  t.equal(
    (await attempt(await signed({}))).status,
    200,
    'the same claims under the same key: what follows fails for its own reason',
  )
  const foreign = await generateKeyPair('Ed25519', { extractable: true })
  const foreignJwk = await exportJWK(foreign.publicKey)
  const hmac = (secret: string) =>
    createHmac('sha256', secret)
      .update(`${encode({ ...header, alg: 'HS256' })}.${body}`)
      .digest('base64url')
  const tokens: Record<string, string> = {
    'alg none': `${encode({ ...header, alg: 'none' })}.${body}.`,
    'alg none with the signature': `${encode({ ...header, alg: 'none' })}.${body}.${signature}`,
    'HS256 under the public key': `${encode({ ...header, alg: 'HS256' })}.${body}.${hmac((JSON.parse(publicKey) as { x: string }).x)}`,
    'another key': await new SignJWT(claims).setProtectedHeader(header).sign(foreign.privateKey),
    'another key, brought along': await new SignJWT(claims)
      .setProtectedHeader({ ...header, jwk: foreignJwk })
      .sign(foreign.privateKey),
    'another key, to be fetched': await new SignJWT(claims)
      .setProtectedHeader({ ...header, jku: 'https://evil.example/jwks', kid: '../../dev/null' })
      .sign(foreign.privateKey),
    'another type': await signed({}, { typ: 'JWT' }),
    'another audience': await signed({ aud: 'https://evil.example' }),
    'another issuer': await signed({ iss: 'https://evil.example' }),
    'no end': await signed({ exp: undefined }),
    'an end in the past': await signed({ exp: 1 }),
    'a beginning too long ago': await signed({
      iat: Math.floor(Date.now() / 1000) - 3600,
      exp: Math.floor(Date.now() / 1000) + 60,
    }),
    'another person': await signed({ sub: coordinator.person }),
    'another device': await signed({ dev: coordinator.device.id }),
    'another session': await signed({ sid: coordinator.session }),
    'another session key': await signed({ cnf: { jkt: coordinator.thumbprint } }),
    'a refresh token': ncp.refreshToken,
    'a changed signature': `${head}.${body}.${signature.slice(0, -4)}AAAA`,
    nothing: '',
  }
  for (const [what, token] of Object.entries(tokens)) t.equal((await attempt(token)).status, 401, `token: ${what}`)

  const jwk = ncp.jwk
  const ath = createHash('sha256').update(ncp.accessToken).digest('base64url')
  const proof = (change: Record<string, unknown>, headers: Record<string, unknown> = {}, key = ncp.key) => {
    const payload = {
      htm: 'GET',
      htu: server.url + path,
      jti: freshId(),
      ath,
      iat: Math.floor(Date.now() / 1000),
      ...change,
    }
    return new SignJWT(payload).setProtectedHeader({ alg: 'Ed25519', typ: 'dpop+jwt', jwk, ...headers }).sign(key)
  }
  t.equal((await attempt(ncp.accessToken, await proof({}))).status, 200)
  const seen = await proof({})
  t.equal((await attempt(ncp.accessToken, seen)).status, 200)
  const proofs: Record<string, string> = {
    'seen before': seen,
    'another method': await proof({ htm: 'POST' }),
    'another address': await proof({ htu: `${server.url}/v1/sessions` }),
    'another host': await proof({ htu: `https://evil.example${path}` }),
    'no token': await proof({ ath: undefined }),
    'another token': await proof({ ath: createHash('sha256').update('x').digest('base64url') }),
    'of an hour ago': await proof({ iat: Math.floor(Date.now() / 1000) - 3600 }),
    'of tomorrow': await proof({ iat: Math.floor(Date.now() / 1000) + 86_400 }),
    'no id': await proof({ jti: undefined }),
    'another type': await proof({}, { typ: 'JWT' }),
    'another key': await proof({}, { jwk: foreignJwk }, foreign.privateKey),
    'a signature of another key': await proof({}, {}, foreign.privateKey),
    'alg none': `${encode({ alg: 'none', typ: 'dpop+jwt', jwk })}.${(await proof({})).split('.')[1]}.`,
    nothing: '',
  }
  for (const [what, one] of Object.entries(proofs))
    t.equal((await attempt(ncp.accessToken, one)).status, 401, `proof: ${what}`)
  const bearer = await ask(server.url + path, { headers: { authorization: `Bearer ${ncp.accessToken}` } })
  t.equal(bearer.status, 401, 'as a bearer')
  t.equal((await ask(`${server.url}${path}?access_token=${ncp.accessToken}`, {})).status, 401, 'in the address')
})

// Bites: `readStatement` (alg, typ, names of the header), `checkBody`, `verifySignature`.
t.test('C12: statements and bodies are of one form, and signed by whom they name', async (t) => {
  const { input, id } = await operation.compose(ncp)
  const [head = '', body = '', signature = ''] = input.statement.split('.')
  const header = JSON.parse(Buffer.from(head, 'base64url').toString()) as Record<string, unknown>
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const path = `${operation.path}/messages`
  const post = async (statement: string, rest: object = {}) =>
    codeOf(await ncp.call('POST', path, { ...input, ...rest, statement }))
  const other = await operation.compose(ncp, { signer: coordinator })
  const statements: Record<string, string> = {
    'alg none': `${encode({ ...header, alg: 'none' })}.${body}.${signature}`,
    'alg HS256': `${encode({ ...header, alg: 'HS256' })}.${body}.${signature}`,
    'another type': `${encode({ ...header, typ: 'cordon-epoch+jws' })}.${body}.${signature}`,
    'a key of its own': `${encode({ ...header, jwk: ncp.jwk })}.${body}.${signature}`,
    'a critical extension': `${encode({ ...header, crit: ['b64'], b64: false })}.${body}.${signature}`,
    'white space in it': `${head}.${Buffer.from(`${Buffer.from(body, 'base64url').toString()} `).toString('base64url')}.${signature}`,
    'no signature': `${head}.${body}.`,
    'another signature': `${head}.${body}.${Buffer.alloc(64).toString('base64url')}`,
    'bits left over': `${head}.${body}.${signature.slice(0, -1)}${signature.endsWith('B') ? 'C' : 'B'}`,
    'something else altogether': 'x.y.z',
  }
  for (const [what, statement] of Object.entries(statements)) t.match(await post(statement), /^400 /, what)
  t.match(await post(other.input.statement), /^403 DEVICE_MISMATCH/, 'somebody else’s')
  const [jweHead = '', ...jweRest] = input.body.split('.')
  const jwe = JSON.parse(Buffer.from(jweHead, 'base64url').toString()) as Record<string, unknown>
  for (const change of [
    { zip: 'DEF' },
    { alg: 'PBES2-HS256+A128KW', p2c: 1e9 },
    { kid: `${operation.id}#9` },
    { mid: freshId() },
    { dev: coordinator.device.id },
  ]) {
    const changed = [encode({ ...jwe, ...change }), ...jweRest].join('.')
    t.match(await post(input.statement, { body: changed }), /^400 BODY_INVALID/, JSON.stringify(Object.keys(change)))
    const { payload } = await protocol.readMessageStatement(input.statement)
    const resigned = await protocol.signMessageStatement(ncp.device, ncp.crt, {
      ...payload,
      body: await protocol.describeBody(changed),
    })
    t.match(
      await post(resigned, { body: changed }),
      /^400 BODY_INVALID/,
      `${Object.keys(change).join()}, and named in the statement`,
    )
  }
  t.equal(codeOf(await ncp.call('GET', `${operation.path}/messages/${id}`)), '404 NOT_FOUND', 'none of it was stored')
  went(await ncp.call('POST', path, input))
})

// Bites: the content type parser and the limits of the edge, `limits` in the protocol.
t.test('D2, D3: input of another type, size or depth is refused and costs nothing', async (t) => {
  const path = '/v1/sessions'
  const send = (contentType: string, body: string) =>
    ask(server.url + path, { method: 'POST', headers: { 'content-type': contentType }, body })
  const good = JSON.stringify({ proof: 'x', passphrase })
  for (const type of [
    'application/json\t; x',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'application/jsonx',
    '*/*',
  ])
    t.equal((await send(type, good)).status >= 400, true, type)
  for (const body of [
    '['.repeat(500_000),
    `{"proof":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)},"passphrase":"x"}`,
    `{"__proto__":{"admin":true},"proof":"x","passphrase":"x"}`,
    `{"constructor":{"prototype":{"admin":true}},"proof":"x","passphrase":"x"}`,
    `{"proof":"x","proof":"y","passphrase":1e400}`,
    'x'.repeat(10 * 1024 * 1024),
  ]) {
    const answer = await send('application/json', body).catch(() => undefined)
    t.ok(
      answer === undefined || (answer.status >= 400 && answer.status < 500),
      `${body.slice(0, 20)}…: ${answer?.status}`,
    )
  }
  t.equal(({} as Record<string, unknown>)['admin'], undefined)
  const long = await ask(`${server.url}/v1/operations/${'a'.repeat(7_000)}`, {})
  t.ok(long.status >= 400 && long.status < 500)
  const many = Array.from({ length: 1001 }, () => freshId())
  t.equal(codeOf(await ncp.call('POST', `${operation.path}/imports/known`, { ids: many })), '400 VALIDATION')
  const big = await operation.compose(ncp, { fields: { text: 'x'.repeat(250_000) } })
  t.match(codeOf(await ncp.call('POST', `${operation.path}/messages`, big.input)), /^4/, 'a body over its limit')
  for (const query of ['limit=0', 'limit=201', 'limit=1e3', 'after=-1', 'after=x', 'limit[]=1', 'unknown=1'])
    t.equal(codeOf(await ncp.call('GET', `${operation.path}/threads?${query}`)), '400 VALIDATION', query)
  t.equal((await ask(`${server.url}/livez`, {})).status, 200)
})

// Bites: `Name` (no control characters), the patterns of ids in paths, the headers of helmet.
t.test('D6: names and paths are data, wherever they turn up', async (t) => {
  for (const name of ['\u001b[2J\u001b[31mred', 'a\u0000b', 'a\nb', ''])
    t.equal(
      codeOf(await administrator.call('POST', '/v1/organizations', { id: freshId(), kind: 'partner', name })),
      '400 VALIDATION',
      JSON.stringify(name),
    )
  const name = '=HYPERLINK("x")<script>alert(1)</script>\'; DROP TABLE log; --'
  const id = freshId()
  went(await administrator.call('POST', '/v1/organizations', { id, kind: 'partner', name }))
  const listed = await administrator.call('GET', '/v1/organizations')
  t.match(listed.headers.get('content-type'), /^application\/json/)
  t.equal(listed.headers.get('x-content-type-options'), 'nosniff')
  t.ok(
    listed.body.organizations.some((one: { name: string }) => one.name === name),
    'it is what it was',
  )
  for (const path of [
    '/v1/logs/..%2f..%2f..%2fetc%2fpasswd/checkpoint',
    '/v1/logs/%2e%2e/checkpoint',
    '/v1/operations/%00',
    '/docs/..%2f..%2fpackage.json',
    '/v1/../../package.json',
  ])
    t.match(String((await ncp.call('GET', path)).status), /^40[04]$/, path)
  const odd = went(
    await operation.post(ncp, { fields: { text: sampleFields.text.text }, subject: '<b>\u202e\u001b[31m' }),
  )
  t.equal(
    (await ncp.call('GET', `${operation.path}/messages/${odd.id}`)).headers.get('x-content-type-options'),
    'nosniff',
  )
})

// Bites: the entries that Messages.fetch, Reports.figures, Directory.#viewed and #subscribe append
// before they answer.
t.test('D8: whatever was looked at has its entry', async (t) => {
  const entries = async (kind: string, person: string) =>
    admin(server.database.superUrl, async (client) => {
      const { rows } = await client.query<{ n: string }>(
        'SELECT count(*) AS n FROM log_entry WHERE kind = $1 AND person_id = $2',
        [kind, person],
      )
      return Number(rows[0]?.n)
    })
  const looking: [string, WireActor, () => Promise<unknown>][] = [
    ['body.fetched', ncp, () => ncp.must('GET', `${operation.path}/messages/${messages.text}`)],
    ['report.viewed', ncp, () => ncp.must('GET', `${operation.path}/figures`)],
    ['directory.viewed', administrator, () => administrator.must('GET', '/v1/organizations')],
    ['directory.viewed', ncp, () => ncp.must('GET', `/v1/organizations/${ncp.organization}/people`)],
    ['feed.opened', ncp, async () => (await ncp.live()).follow(operation.id)],
  ]
  for (const [kind, actor, look] of looking) {
    const before = await entries(kind, actor.person)
    await look()
    t.equal(await entries(kind, actor.person), before + 1, kind)
  }
  await server.consultation.flush()
  const delivered = await admin(server.database.superUrl, async (client) => {
    const { rows } = await client.query<{ details: string }>(
      `SELECT p.details FROM log_entry e JOIN log_private p USING (log_id, index) WHERE e.kind = 'messages.delivered'`,
    )
    return rows.map(({ details }) => details)
  })
  t.ok(
    delivered.some((details) => details.includes(ncp.device.id)),
    'and so has what was sent to a device',
  )
  const fetched = await entries('body.fetched', coordinator.person)
  t.equal(codeOf(await coordinator.call('GET', `${operation.path}/messages/${messages.inOther}`)), '404 NOT_FOUND')
  t.equal(await entries('body.fetched', coordinator.person), fetched, 'what was refused was not looked at')
  await server.refusals.flush()
  await checkLog(server)
})
