// What this holds: /openapi.json says of each operation who may ask, what it answers and what it
// refuses; and for each code that can be provoked here there is a refusal that a running server
// answered, at a route that declares it.
import { randomBytes } from 'node:crypto'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import type { Static } from 'typebox'
import { problems } from '../src/problem-catalogue.ts'
import * as protocol from '../src/protocol/index.ts'
import {
  abridged,
  codesOf,
  openApiOf,
  operationsOf,
  readExamples,
  readFrameExamples,
  responseOf,
  templateOf,
  writeExamples,
  writeFrameExamples,
  writesExamples,
  type Page,
} from './support/api-examples.ts'
import { everyRole } from './support/roles.ts'
import { startServer } from './support/server.ts'
import { went } from './support/wire-operation.ts'
import {
  ask,
  freshId,
  heardWhoRead,
  invite,
  newcomer,
  now,
  passphrase,
  random,
  type Answer,
  type WireActor,
} from './support/wire.ts'

const scene = await everyRole(t)
const { server, operation, byRole, administrator, shared, messages, organizations, ncpOfThailand } = scene
const { coordinator, ncp, officer, auditor } = byRole
const path = operation.path
const page = await openApiOf(server)
const described = operationsOf(page)

t.test('each operation says who may ask, what it refuses, and what it answers', async (t) => {
  t.ok(described.length > 95)
  const ids = described.map(({ operation: { operationId } }) => operationId as string)
  t.equal(new Set(ids).size, ids.length, 'each has an id of its own')
  const tags = new Set((page.tags as { name: string }[]).map(({ name }) => name))
  for (const { path: at, method, operation: one } of described) {
    const name = `${method} ${at}`
    t.match(one.operationId, /^[a-z][A-Za-z]+$/, name)
    t.ok(one.tags.length === 1 && tags.has(one.tags[0]), `${name}: ${String(one.tags)}`)
    t.match(one.description, /^Access: `[a-z.-]+`\. Log: .+\./, name)
    const statuses = Object.keys(one.responses as object)
    t.ok(statuses.some((status) => status.startsWith('2')) && statuses.every((status) => /^\d{3}$/.test(status)), name)
    const isPublic = one.description.startsWith('Access: `public`')
    t.same(one.security, isPublic ? [] : [{ dpop: [] }], name)
    if (!isPublic) t.ok(codesOf(page, one).includes('UNAUTHENTICATED'), name)
    t.same(at.match(/\{[^}]*\}/g) ?? [], namesIn(one), `${name}: parameters`)
    for (const status of statuses.filter((each) => each >= '400')) {
      const { content, headers } = responseOf(page, one, Number(status))
      t.same(Object.keys(content as object), ['application/problem+json'], name)
      if (['429', '503'].includes(status)) t.ok(headers['Retry-After'], name)
      if (status === '401') t.ok(headers['WWW-Authenticate'], name)
    }
  }
  const text = JSON.stringify(page)
  t.equal(text.split('"A refusal (RFC 9457').length, 2, 'one schema of problems')
  t.notMatch(text, /"pattern":"[^"]*\\\\[pPdDwW]/, 'no class of characters that tools read differently')
})

function namesIn(one: Page): string[] {
  return (one.parameters as { in?: string; name: string }[])
    .filter((part) => part.in === 'path')
    .map(({ name }) => `{${name}}`)
}

t.test('the path of a tile is found with its slashes as they are, and encoded', async (t) => {
  const plain = await coordinator.call('GET', `/v1/logs/${operation.id}/tile/0/000.p/3`)
  const encoded = await coordinator.call('GET', `/v1/logs/${operation.id}/tile/0%2F000.p%2F3`)
  t.equal(plain.status, 200)
  t.equal(encoded.text, plain.text)
})

type Provoked = readonly [code: keyof typeof problems, act: () => Promise<Answer>]

const send = (method: string, url: string, init: { headers?: Record<string, string>; body?: string } = {}) => {
  const headers = { ...(init.body === undefined ? {} : { 'content-type': 'application/json' }), ...init.headers }
  return ask(server.url + url, { method, ...(init.body === undefined ? {} : { body: init.body }), headers })
}
const signInBody = async (secret: string) => ({
  proof: await protocol.signSignIn(officer.device, officer.person, officer.thumbprint, now()),
  passphrase: secret,
})
const postSession = async (secret: string) =>
  officer.call('POST', '/v1/sessions', await signInBody(secret), { signedIn: false })
const compose = async (change: object, input: object = {}, by: WireActor = coordinator) => {
  const composed = await operation.compose(by, { compartment: shared, ...change })
  return coordinator.call('POST', `${path}/messages`, { ...composed.input, ...input })
}
type Opening = Pick<Awaited<ReturnType<typeof operation.epoch>>, 'statement' | 'grants'>
const openEpoch = async (
  change: Parameters<typeof operation.epoch>[2],
  other: (body: Opening) => object = (body) => body,
) => {
  const { statement, grants } = await operation.epoch(coordinator, shared, change)
  return coordinator.call('POST', `${path}/epochs`, { statement, grants, ...other({ statement, grants }) })
}
const gone = async () => {
  const actor = await newcomer(ncp, { name: 'Leaves', organization: organizations.kenya })
  await actor.call('DELETE', `/v1/sessions/${actor.session}`)
  return actor.call('GET', '/v1/me')
}
const waiting = async () => {
  const { actor, invitation, authenticate, certify, tier } = await invite(ncp, {
    name: 'Waits',
    organization: organizations.kenya,
  })
  const { person, organization } = actor
  const enrolment = await protocol.signEnrolment(actor.device, certify, { invitation, person, organization, tier })
  await actor.must(
    'POST',
    '/v1/enrolments',
    { invitation, authenticate, ...enrolment, passphrase },
    { signedIn: false },
  )
  await actor.signIn()
  return actor
}
const enrol = async (change: object, secret = passphrase) => {
  const { actor, invitation, authenticate, certify, tier } = await invite(ncp, {
    name: 'Enrols',
    organization: organizations.kenya,
  })
  const { person, organization } = actor
  const enrolment = await protocol.signEnrolment(actor.device, certify, { invitation, person, organization, tier })
  const body = { invitation, authenticate, ...enrolment, passphrase: secret, ...change }
  return actor.call('POST', '/v1/enrolments', body, { signedIn: false })
}
const setUpAgain = async () => {
  const digest = protocol.base64url(random(32))
  const jws = { rootCertificate: 'x', rootStatement: 'x', enrolment: 'x', certificate: 'x' }
  const named = { organization: { id: freshId(), name: 'Another' }, person: { id: freshId(), name: 'Another' } }
  return send('POST', '/v1/setup', { body: JSON.stringify({ secret: digest, ...named, ...jws, passphrase }) })
}
const member = (act: object, by: WireActor = coordinator, compartment?: string) => operation.sign(by, act, compartment)

const provoked: readonly Provoked[] = [
  ['VALIDATION', () => coordinator.call('GET', `${path}/threads?limit=0`)],
  ['MALFORMED_JSON', () => send('POST', '/v1/sessions', { body: '{"proof":' })],
  [
    'UNSUPPORTED_MEDIA_TYPE',
    () => send('POST', '/v1/sessions', { headers: { 'content-encoding': 'gzip' }, body: 'x' }),
  ],
  ['TOO_LARGE', () => send('POST', '/v1/sessions', { body: `"${'x'.repeat(600_000)}"` })],
  ['UNAUTHENTICATED', () => send('GET', '/v1/me')],
  ['SESSION_ENDED', gone],
  ['DEVICE_NOT_CERTIFIED', async () => (await waiting()).call('GET', path)],
  ['FORBIDDEN', () => operation.advance('reporting', officer)],
  ['NOT_FOUND', () => coordinator.call('GET', `/v1/operations/${freshId()}`)],
  ['ADMINISTRATOR_ONLY', () => ncp.call('GET', '/v1/organizations')],
  ['OPERATION_STATE', () => operation.advance('closed')],
  ['MEMBER_RULE', () => operation.addTo(shared, ncp.person)],
  [
    'MEMBERS_MOVED',
    async () => {
      const statement = await member({ act: 'wake', person: ncp.person, previous: protocol.base64url(random(32)) })
      return coordinator.call('POST', `${path}/members/${ncp.person}/wake`, { statement })
    },
  ],
  [
    'DEVICE_MISMATCH',
    async () => {
      const statement = await member({ act: 'wake', person: ncp.person }, ncpOfThailand)
      return coordinator.call('POST', `${path}/members/${ncp.person}/wake`, { statement })
    },
  ],
  ['STATEMENT_INVALID', () => coordinator.call('POST', `${path}/rules`, { statement: 'x.y.z' })],
  [
    'APPROVAL_NOT_AVAILABLE',
    async () => {
      await operation.changeRole(ncpOfThailand.person, 'coordinator')
      return operation.changeRole(ncp.person, 'coordinator')
    },
  ],
  [
    'BODY_INVALID',
    async () => compose({}, { body: (await operation.compose(coordinator, { compartment: shared })).input.body }),
  ],
  ['EXTRACT_INVALID', () => compose({ form: 'seizure' }, { extract: '{}' })],
  ['SEEN_MISMATCH', () => compose({ payload: { seen: { size: 2, root: protocol.base64url(random(32)) } } })],
  ['MESSAGE_ID_REUSED', () => compose({ id: messages.text })],
  [
    'MEMBERS_BEHIND',
    () =>
      compose({
        payload: {
          members: { operation: protocol.base64url(random(32)), compartment: protocol.base64url(random(32)) },
        },
      }),
  ],
  ['EPOCH_FRESH', () => openEpoch({})],
  [
    'EPOCH_STALE',
    async () => {
      await operation.outdate(shared, ncpOfThailand)
      return compose({})
    },
  ],
  ['EPOCH_RECIPIENTS', () => openEpoch({ recipients: [coordinator.device.id] })],
  ['EPOCH_GRANTS', () => openEpoch({}, ({ grants }) => ({ grants: grants.slice(1) }))],
  [
    'EPOCH_NUMBER',
    async () => {
      const { statement, grants } = await operation.epoch(coordinator, shared)
      went(await operation.openEpoch(coordinator, shared))
      return coordinator.call('POST', `${path}/epochs`, { statement, grants })
    },
  ],
  [
    'EPOCH_UNKNOWN',
    async () => {
      const { input } = await operation.compose(coordinator, { compartment: shared })
      await operation.outdate(shared, ncpOfThailand)
      went(await operation.openEpoch(coordinator, shared))
      return coordinator.call('POST', `${path}/messages`, input)
    },
  ],
  [
    'GRANT_REFUSED',
    async () => {
      const { id: device } = auditor.device
      const key = operation.keys.get(`${shared}#1`) ?? new Uint8Array(32)
      const grant = await operation.seal(await operation.view(), device, shared, 1, key)
      return coordinator.call('POST', `${path}/grants`, { compartment: shared, grants: [{ device, epoch: 1, grant }] })
    },
  ],
  ['SET_UP_DONE', setUpAgain],
  ['SIGN_IN_REFUSED', () => postSession('one guess among very many')],
  ['PASSPHRASE_WEAK', () => enrol({}, 'password password')],
  ['INVITATION_INVALID', () => enrol({ authenticate: protocol.base64url(random(32)) })],
  ['ENROLMENT_INVALID', () => enrol({ statement: 'x.y.z' })],
  ['CERTIFICATE_INVALID', () => coordinator.call('POST', '/v1/certificates', { certificate: 'x.y.z' })],
  [
    'ALREADY_EXISTS',
    () => administrator.call('POST', '/v1/organizations', { id: organizations.kenya, kind: 'partner', name: 'Other' }),
  ],
  ['AUDITOR_ONLY', () => officer.call('GET', `/v1/logs/${server.logs.directory}/entries?kind=member.admitted`)],
  ['QUERY_TOO_WIDE', () => auditor.call('GET', `/v1/logs/${operation.id}/entries?text=port`)],
  ['JUSTIFICATION_REQUIRED', () => auditor.call('GET', `/v1/logs/${operation.id}/entries?person=${ncp.person}`)],
  [
    'EVIDENCE_EMPTY',
    () =>
      auditor.call('POST', `/v1/logs/${operation.id}/evidence`, {
        query: { kind: 'epoch.disputed' },
        justification: 'A question of the court',
        recipient: { name: 'Registrar', organization: 'The court' },
        legalBasis: 'Its order of today',
      }),
  ],
  ['NOT_WITNESSED', () => coordinator.call('GET', `/v1/logs/${operation.id}/final-checkpoint`)],
  ['NOTICES_OFF', () => officer.call('PUT', '/v1/notices/address', { address: 'officer@customs.example' })],
  ['NOTICE_CODE_WRONG', () => officer.call('POST', '/v1/notices/address/confirmation', { code: '12345678' })],
  ['FACTOR_NEEDED', () => officer.call('DELETE', '/v1/factors/passphrase')],
  [
    'CODE_WRONG',
    async () => {
      await officer.must('POST', '/v1/factors/totp', {})
      return officer.call('PUT', '/v1/factors/totp', { code: '000000' })
    },
  ],
  [
    'DUTY_RULE',
    () => ncp.call('PUT', `/v1/people/${ncp.person}/deputy`, { deputy: coordinator.person, reason: 'Leave' }),
  ],
]

/**
 * Refusals that belong to no operation of OpenAPI: of an address, and of the request for the live
 * channel.
 */
const outside: readonly Provoked[] = [
  ['BAD_REQUEST', () => send('GET', '/v1/notes/%ff')],
  ['METHOD_NOT_ALLOWED', () => send('DELETE', '/v1/me')],
  ['UPGRADE_REQUIRED', () => send('GET', '/v1/live')],
]

// Bites: `refusals` of the routes; src/http/openapi-examples.json (CORDON_EXAMPLES=write makes it
// anew).
t.test('what is refused is refused with a code that its operation describes, as its example shows', async (t) => {
  const templates = Object.keys(page.paths as object)
  const examples = readExamples().problems
  const made: Record<string, unknown> = {}
  const asked: { method: string; path: string }[] = []
  const { fetch } = globalThis
  globalThis.fetch = async (input, init) => {
    asked.push({ method: init?.method ?? 'GET', path: new URL(input instanceof Request ? input.url : input).pathname })
    return fetch(input, init)
  }
  t.teardown(() => void (globalThis.fetch = fetch))
  for (const [code, act] of [...provoked, ...outside]) {
    const { status, body, headers } = await act()
    t.match(body, { code, status, title: problems[code].title, advice: problems[code].advice }, code)
    t.equal(headers.get('content-type'), 'application/problem+json', code)
    made[code] = abridged(body)
    const last = asked.at(-1)
    const at = described.find((one) => one.method === last?.method && one.path === templateOf(templates, last.path))
    if (!outside.some(([one]) => one === code))
      t.ok(at && codesOf(page, at.operation).includes(code), `${code} is described`)
    if (!writesExamples)
      t.same(
        Object.keys(examples[code] ?? {}).sort(),
        Object.keys(body as object).sort(),
        `${code}: members of the example`,
      )
  }
  const few = await startServer(t, { quotas: { 'source-sign-in': 0 } })
  const body: unknown = (await ask(`${few.url}/v1/passkeys/questions`, { method: 'POST' })).body
  t.match(body, { code: 'TOO_MANY_REQUESTS' })
  made['TOO_MANY_REQUESTS'] = body
  if (writesExamples) writeExamples({ problems: made })
  t.same(Object.keys(readExamples().problems).sort(), Object.keys(made).sort(), 'no example is older than this')
})

// Bites: `recognise` of each access, and the hook that asks it.
t.test('every operation that is not public refuses whoever is not signed in, before anything else', async (t) => {
  for (const { path: template, method, operation: one } of described) {
    if (one.security.length === 0) continue
    const at = template.replaceAll(/\{[^}]+\}/g, freshId())
    const answer = await send(method, at, method === 'GET' ? {} : { body: '{}' })
    t.match(answer.body, { status: 401, code: 'UNAUTHENTICATED' }, `${method} ${template}`)
    t.equal(answer.headers.get('www-authenticate'), 'DPoP algs="Ed25519"')
    const forged = { authorization: `DPoP ${randomBytes(32).toString('base64url')}` }
    const refused = await send(method, at, { headers: forged, ...(method === 'GET' ? {} : { body: '{}' }) })
    t.match(refused.headers.get('www-authenticate'), /error="invalid_token"/)
  }
})

t.test('every operation that takes a body refuses one that is none, for somebody who is signed in', async (t) => {
  for (const { path: template, method, operation: one } of described) {
    if (one.requestBody === undefined) continue
    const at = template.replace('{operation}', operation.id).replaceAll(/\{[^}]+\}/g, freshId())
    const answer = await administrator.call(method, at, { nobody: 'knows this' })
    t.ok(codesOf(page, one).includes(String(answer.body.code)), `${method} ${template}: ${String(answer.body.code)}`)
  }
})

/**
 * Texts of answers whose length no rule bounds: what somebody wrote into an entry's details, and
 * what a witness answered.
 */
const withoutBound = /^(exportEvidence|listWitnesses\/witnesses\/(url|lastFailure\/reason)|queryLog\/entries\/details)/

t.test('every text of an answer has a bound, but those whose length no rule bounds', async (t) => {
  const found = described.flatMap(({ operation: one }) =>
    Object.values(one.responses as Record<string, Page>).flatMap(({ content }) =>
      Object.values((content ?? {}) as Record<string, Page>).flatMap(({ schema }) =>
        unboundedTexts(schema, one.operationId as string),
      ),
    ),
  )
  t.same(
    found.filter((at) => !withoutBound.test(at)),
    [],
  )
  t.ok(found.length > 0, 'and what has none is found')
})

function unboundedTexts(schema: Page, at: string): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const bounded = ['maxLength', 'enum', 'const', 'pattern'].some((name) => name in schema)
  const inner = Object.entries((schema.properties ?? {}) as object).flatMap(([name, one]) =>
    unboundedTexts(one, `${at}/${name}`),
  )
  const others = [schema.items, schema.additionalProperties, ...(schema.anyOf ?? [])] as Page[]
  const deeper = others.flatMap((one) => unboundedTexts(one, at))
  return [...(schema.type === 'string' && !bounded ? [at] : []), ...inner, ...deeper]
}

// Bites: src/protocol/server-frames.ts, and src/live/frame-examples.json (CORDON_EXAMPLES=write
// makes it anew).
t.test('frames are such as AsyncAPI says, and its examples were sent and received', async (t) => {
  const ajv = new Ajv2020({ strict: false })
  const made: Record<string, unknown[]> = {}
  const keep = (name: string, frame: unknown) => void (made[name] ??= [abridged(frame)])
  const live = await coordinator.live()
  const send = (frame: Page) => {
    keep(frame.messages === undefined ? frame.type : 'read', frame)
    t.ok(ajv.validate(protocol.ClientFrame, frame), `${String(frame.type)}: ${ajv.errorsText()}`)
    live.send(frame)
  }
  const answer = (type: string, from: number) => live.first((frame) => frame.type === type, 10_000, from)
  const to = { operation: operation.id }
  const rounds: [frame: Page, answers: string[]][] = [
    [{ type: 'ping' }, ['pong']],
    [{ type: 'subscribe', ...to, after: -1 }, ['entry', 'caught-up']],
    [{ type: 'post', ...(await operation.compose(coordinator, { compartment: shared })).input }, ['accepted']],
    [{ type: 'post', statement: 'x.y.z', body: 'x' }, ['refused']],
    [{ type: 'acknowledge', ...to, upTo: 3 }, []],
    [{ type: 'acknowledge', ...to, messages: [messages.text] }, ['receipts']],
    [{ type: 'unsubscribe', ...to }, ['ended']],
  ]
  for (const [frame, answers] of rounds) {
    const from = live.frames.length
    send(frame)
    for (const type of answers) await (type === 'receipts' ? heardWhoRead(server, live, from) : answer(type, from))
  }
  live.close()
  t.ok(live.frames.length > 20)
  for (const frame of live.frames) {
    const type = frame.type as keyof typeof protocol.serverFrames
    t.ok(ajv.validate(protocol.serverFrames[type], frame), `${type}: ${ajv.errorsText()}`)
    keep(type, frame)
  }
  if (writesExamples) writeFrameExamples(made)
  const examples = readFrameExamples()
  t.same(Object.keys(examples).sort(), Object.keys(made).sort(), 'no example is older than this')
})

type Described = {
  [K in keyof typeof protocol.serverFrames]: Static<(typeof protocol.serverFrames)[K]>
}[keyof typeof protocol.serverFrames]

t.test('what AsyncAPI says of frames is what the service sends, as the compiler compares them', async (t) => {
  const described: readonly protocol.ServerFrame[] = [] as readonly Described[]
  t.same(described, [])
})
