// What this holds: every route and every frame of a client says what it enters, enters that, and
// nothing else.
// What makes it fail: a route without a record, an act whose `append` was forgotten, a kind that is
// not declared, a detail that the duty asks for and an entry lacks.
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import t from 'tap'
import * as protocol from '../src/protocol/index.ts'
import { frameDuties } from '../src/live/index.ts'
import {
  abridged,
  openApiOf,
  operationsOf,
  readExamples,
  recordExchanges,
  responseOf,
  templateOf,
  writeExamples,
  writesExamples,
} from './support/api-examples.ts'
import { entriesSince, settle, sizes, type Entered } from './support/entries.ts'
import { certificateDuties } from './support/certificate-duties.ts'
import { factorDuties } from './support/factor-duties.ts'
import { mailSink, noticeDuties } from './support/notice-duties.ts'
import { everyRole } from './support/roles.ts'
import { startServer } from './support/server.ts'
import { createOperation, went } from './support/wire-operation.ts'
import {
  ask,
  codeOf,
  enrolInvited,
  freshId,
  inDays,
  invite,
  newcomer,
  now,
  passphrase,
  setUp,
  type Answer,
  type Frame,
} from './support/wire.ts'

const sink = mailSink()
const scene = await everyRole(t, { server: { notices: sink } })
// What made the scene is not in it: whether this process or an earlier one made it is no matter.
const exchanges = recordExchanges()
const { server, operation, byRole, administrator, messages, shared, organizations } = scene
const { coordinator, ncp, officer } = byRole
const path = operation.path
const service = {
  name: 'A program',
  organization: organizations.kenya,
  tier: 'service',
  service: { permissions: ['operation.read'], addresses: ['0.0.0.0/0'], expiresAt: inDays(9) },
} as const

/** Whatever this makes of entries, with all that was only noted in memory. */
async function entered(act: () => Promise<unknown>): Promise<Entered[]> {
  await settle(server)
  const before = await sizes(server)
  await act()
  await settle(server)
  return entriesSince(server, before)
}

const because = { reason: 'A reason' }
type Measure = (act: () => Promise<Answer>) => Promise<Answer>

const reply = {
  compartment: shared,
  thread: messages.textThread,
  refersTo: { message: messages.text, as: 'reply' },
} as const

const sealedImportKey = async (device: string, pub: string) =>
  protocol.sealTo('cordon-import+jwe', { kid: device }, await protocol.importSealPublicKey(pub), new Uint8Array(32))

const somebody = () => newcomer(administrator, { name: 'Somebody', organization: organizations.kenya, tier: 'ncp' })

async function officerOfShared(): Promise<string> {
  const person = await scene.member(organizations.kenya, 'officer')
  went(await operation.addTo(shared, person))
  return person
}

async function signedInMember(organization: string) {
  const actor = await newcomer(administrator, { name: 'Member', organization, tier: 'ncp' })
  went(await operation.admit(actor, 'ncp'))
  return actor
}

/** Somebody who has lost the only device and is invited again: what waits to be approved. */
async function recovering() {
  const { person, device } = await signedInMember(organizations.kenya)
  const revocation = await protocol.signRevocation(administrator.device, device.id, now())
  await administrator.must('POST', '/v1/revocations', { revocation })
  const { invitation } = await invite(administrator, {
    name: 'Again',
    organization: organizations.kenya,
    tier: 'ncp',
    person,
  })
  const recovery = `/v1/recoveries/${invitation}`
  const { request } = (await scene.ncpOfThailand.must('GET', recovery)) as { request: string }
  return { invitation, path: recovery, request }
}

const plain = (url: string) => (measured: Measure) => measured(() => ask(server.url + url, {}))
const get =
  (url: string, actor = coordinator) =>
  (measured: Measure) =>
    measured(() => actor.call('GET', url))

/**
 * How to make each route do what it is for, once for each kind that it writes; what comes before
 * `measured` does not count.
 */
const exercises: Readonly<Record<string, (measured: Measure) => Promise<unknown>>> = {
  'GET /livez': plain('/livez'),
  'GET /readyz': plain('/readyz'),
  'GET /version': plain('/version'),
  'GET /openapi.json': plain('/openapi.json'),
  'GET /asyncapi.json': plain('/asyncapi.json'),
  'GET /passkey': plain('/passkey'),
  'GET /passkey.js': plain('/passkey.js'),
  'GET /passkey.css': plain('/passkey.css'),
  'GET /v1/server': plain('/v1/server'),
  'POST /v1/enrolments': async (measured) => {
    const invited = await invite(administrator, { name: 'Enrols', organization: organizations.kenya, tier: 'ncp' })
    await measured(async () => {
      await enrolInvited(invited)
      return { status: 201 } as Answer
    })
  },
  'POST /v1/sessions': (measured) =>
    measured(async () => {
      await officer.signIn()
      return { status: 201 } as Answer
    }),
  ...factorDuties(server, somebody),
  ...noticeDuties(server, sink, somebody),
  'GET /v1/people/:person/devices': get(`/v1/people/${officer.person}/devices`, administrator),
  'GET /v1/people/:person/retirement': get(`/v1/people/${officer.person}/retirement`, administrator),
  'GET /v1/organizations/:organization/departure': get(
    `/v1/organizations/${organizations.kenya}/departure`,
    administrator,
  ),
  'GET /v1/organizations/:organization/duty': get(`/v1/organizations/${organizations.kenya}/duty`, ncp),
  'PUT /v1/people/:person/deputy': async (measured) => {
    const { person } = await signedInMember(organizations.kenya)
    const input = { deputy: person, until: inDays(9), ...because }
    await measured(() => ncp.call('PUT', `/v1/people/${ncp.person}/deputy`, input))
  },
  'DELETE /v1/people/:person/deputy': (measured) =>
    measured(() => ncp.call('DELETE', `/v1/people/${ncp.person}/deputy`)),
  'GET /v1/recoveries/:invitation': async (measured) => {
    const { invitation } = await recovering()
    await measured(() => scene.ncpOfThailand.call('GET', `/v1/recoveries/${invitation}`))
  },
  'PUT /v1/recoveries/:invitation/approval': async (measured) => {
    const { path: recovery, request } = await recovering()
    await measured(() => scene.ncpOfThailand.call('PUT', `${recovery}/approval`, { request }))
  },
  'POST /v1/people/:person/retirement': async (measured) => {
    const leaver = await signedInMember(organizations.kenya)
    const { person } = leaver
    await invite(leaver, { name: 'Waits', organization: organizations.kenya, tier: 'person' })
    await measured(() => administrator.call('POST', `/v1/people/${person}/retirement`, because))
  },
  'PUT /v1/people/:person/suspension': async (measured) => {
    const { person } = await signedInMember(organizations.kenya)
    await measured(() => administrator.call('PUT', `/v1/people/${person}/suspension`, because))
  },
  'POST /v1/people/:person/waking': async (measured) => {
    const { person } = await signedInMember(organizations.kenya)
    await administrator.must('PUT', `/v1/people/${person}/suspension`, because)
    await measured(() => administrator.call('POST', `/v1/people/${person}/waking`, because))
  },
  'POST /v1/organizations/:organization/departure': async (measured) => {
    const organization = await scene.organization(true)
    await invite(await signedInMember(organization), { name: 'Waits', organization, tier: 'person' })
    await measured(() => administrator.call('POST', `/v1/organizations/${organization}/departure`, because))
  },
  'POST /v1/service-sessions': async (measured) => {
    const machine = await newcomer(ncp, service)
    await measured(async () => {
      await machine.signInService()
      return { status: 201 } as Answer
    })
  },
  'GET /v1/service-accounts': get('/v1/service-accounts', ncp),
  'POST /v1/service-accounts/:account/stop': async (measured) => {
    const machine = await newcomer(ncp, service)
    const stop = (account: string, body: object) => ncp.call('POST', `/v1/service-accounts/${account}/stop`, body)
    const revocation = await protocol.signRevocation(ncp.device, machine.device.id, now())
    await measured(() => stop(machine.person, { revocation }))
    const { actor } = await invite(ncp, service)
    await measured(() => stop(actor.person, {}))
  },
  'GET /v1/sessions': get('/v1/sessions'),
  'DELETE /v1/sessions/:session': async (measured) => {
    const { session } = officer
    await officer.signIn()
    await measured(() => officer.call('DELETE', `/v1/sessions/${session}`))
  },
  'POST /v1/live-tickets': (measured) => measured(() => coordinator.call('POST', '/v1/live-tickets', {})),
  'GET /v1/live': async (measured) => {
    await measured(async () => {
      const live = await coordinator.live()
      live.close()
      await live.closed
      return { status: 101 } as Answer
    })
  },
  'GET /v1/me': get('/v1/me'),
  'GET /v1/devices': get('/v1/devices'),
  'POST /v1/invitations': (measured) =>
    measured(async () => {
      await invite(administrator, { name: 'Invited', organization: organizations.kenya, tier: 'ncp' })
      return { status: 201 } as Answer
    }),
  'GET /v1/invitations': get('/v1/invitations', administrator),
  'DELETE /v1/invitations/:invitation': async (measured) => {
    const { invitation } = await invite(ncp, { name: 'Not after all', organization: organizations.kenya })
    await measured(() => ncp.call('DELETE', `/v1/invitations/${invitation}`))
  },
  'GET /v1/enrolments': get('/v1/enrolments', administrator),
  ...certificateDuties(ncp),
  'POST /v1/organizations': (measured) =>
    measured(() => administrator.call('POST', '/v1/organizations', { id: freshId(), kind: 'partner', name: 'New' })),
  'GET /v1/organizations': get('/v1/organizations', administrator),
  'GET /v1/organizations/:organization/people': get(`/v1/organizations/${organizations.kenya}/people`, ncp),
  'POST /v1/operations': (measured) =>
    measured(async () => {
      await createOperation(t, administrator, coordinator)
      return { status: 201 } as Answer
    }),
  'GET /v1/operations': get('/v1/operations'),
  'GET /v1/operations/:operation': get(path),
  'PATCH /v1/operations/:operation': (measured) =>
    measured(() => coordinator.call('PATCH', path, { purpose: 'Pangolins', reason: 'It had none' })),
  'POST /v1/operations/:operation/advance': async (measured) => {
    const another = await createOperation(t, administrator, coordinator)
    await measured(() => another.advance('rehearsal'))
  },
  'GET /v1/operations/:operation/organizations': get(`${path}/organizations`),
  'POST /v1/operations/:operation/organizations': async (measured) => {
    const organization = await scene.organization(false)
    await measured(() => operation.admitOrganization(organization))
  },
  'GET /v1/operations/:operation/organizations-named': get(`${path}/organizations-named?name=administration`),
  'GET /v1/operations/:operation/candidates': get(`${path}/candidates?organization=${organizations.kenya}`),
  'GET /v1/operations/:operation/members': get(`${path}/members`),
  'GET /v1/operations/:operation/past-members': (measured) =>
    measured(() => coordinator.call('GET', `${path}/past-members?at=${server.clock.now().toISOString()}`)),
  'POST /v1/operations/:operation/members': async (measured) => {
    const person = await newcomer(ncp, { name: 'Is admitted', organization: organizations.kenya })
    await measured(() => operation.admit(person, 'officer'))
  },
  'POST /v1/operations/:operation/members/:person/role': async (measured) => {
    const person = await scene.member(organizations.kenya, 'officer')
    await measured(() => operation.changeRole(person, 'ncp'))
  },
  'POST /v1/operations/:operation/members/:person/removal': async (measured) => {
    const person = await scene.member(organizations.kenya, 'officer')
    await measured(() => operation.remove(person))
  },
  'POST /v1/operations/:operation/members/:person/wake': async (measured) => {
    const statement = await operation.sign(coordinator, { act: 'wake', person: ncp.person })
    await measured(() => coordinator.call('POST', `${path}/members/${ncp.person}/wake`, { statement }))
  },
  'POST /v1/operations/:operation/rules': (measured) =>
    measured(() => operation.setRules({ history: 'full', allHolds: ['partner', 'observer'] })),
  'POST /v1/operations/:operation/organizations/:organization/removal': async (measured) => {
    const organization = await scene.organization(true)
    went(await operation.admit(await scene.candidate(organization), 'officer'))
    const statement = await operation.sign(coordinator, { act: 'remove', organization })
    await measured(() => coordinator.call('POST', `${path}/organizations/${organization}/removal`, { statement }))
  },
  'GET /v1/operations/:operation/compartments': get(`${path}/compartments`),
  'POST /v1/operations/:operation/compartments': (measured) =>
    measured(() => operation.createCompartment(coordinator, [])),
  'POST /v1/operations/:operation/compartments/:compartment/members': async (measured) => {
    const person = await scene.member(organizations.kenya, 'officer')
    await measured(() => operation.addTo(shared, person))
  },
  'POST /v1/operations/:operation/compartments/:compartment/members/:person/removal': async (measured) => {
    const person = await officerOfShared()
    await measured(() => operation.removeFrom(shared, person))
  },
  'POST /v1/operations/:operation/epochs': async (measured) => {
    await operation.outdate(shared, scene.ncpOfThailand)
    const { statement, grants, key, number } = await operation.epoch(coordinator, shared)
    await measured(() => coordinator.call('POST', `${path}/epochs`, { statement, grants }))
    operation.keys.set(`${shared}#${number}`, key)
  },
  'GET /v1/operations/:operation/grants': get(`${path}/grants`),
  'POST /v1/operations/:operation/grants': async (measured) => {
    const grants = await grantsFor()
    await measured(() => coordinator.call('POST', `${path}/grants`, { compartment: shared, grants }))
  },
  'GET /v1/operations/:operation/grant-requests': get(`${path}/grant-requests`),
  'POST /v1/operations/:operation/disputes': async (measured) => {
    await renew()
    const { number } = await currentEpoch()
    await measured(() => ncp.call('POST', `${path}/disputes`, { compartment: shared, epoch: number }))
  },
  'POST /v1/operations/:operation/messages': async (measured) => {
    await renew()
    const composed = await operation.compose(coordinator, reply)
    await measured(() => coordinator.call('POST', `${path}/messages`, composed.input))
    for (const as of ['correction', 'withdrawal'] as const) {
      const next = await operation.compose(coordinator, { ...reply, refersTo: { message: composed.id, as } })
      await measured(() => coordinator.call('POST', `${path}/messages`, next.input))
    }
  },
  'GET /v1/operations/:operation/messages/:message': get(`${path}/messages/${messages.text}`),
  'GET /v1/operations/:operation/messages/:message/receipts': get(`${path}/messages/${messages.text}/receipts`),
  'GET /v1/operations/:operation/threads': get(`${path}/threads`),
  'POST /v1/operations/:operation/imports/known': (measured) =>
    measured(() => ncp.call('POST', `${path}/imports/known`, { ids: [messages.text] })),
  'POST /v1/operations/:operation/imports': (measured) => {
    const digest = protocol.base64url(new Uint8Array(32))
    const ended = { mapping: digest, file: digest, rows: 3, imported: 2, already: 1, corrected: 0 }
    return measured(() => ncp.call('POST', `${path}/imports`, ended))
  },
  'GET /v1/operations/:operation/import-key': get(`${path}/import-key`, ncp),
  'PUT /v1/operations/:operation/import-key': async (measured) => {
    const sealed = await sealedImportKey(ncp.device.id, ncp.device.keys.seal.pub)
    await measured(() => ncp.call('PUT', `${path}/import-key`, { keys: [{ device: ncp.device.id, sealed }] }))
  },
  'GET /v1/operations/:operation/figures': get(`${path}/figures`),
  'GET /v1/logs/:id/checkpoint': get(`/v1/logs/${operation.id}/checkpoint`),
  'GET /v1/logs/:id/inclusion': get(`/v1/logs/${operation.id}/inclusion?index=1&size=3`),
  'GET /v1/logs/:id/proof/:index': async (measured) => {
    // A proof is under a published checkpoint, which has to reach the entry.
    await server.logs.checkpoint(operation.id)
    await measured(() => coordinator.call('GET', `/v1/logs/${operation.id}/proof/1`))
  },
  'GET /v1/logs/:id/tile/*': async (measured) => {
    await get(`/v1/logs/${operation.id}/tile/0/000.p/3`)(async (act) => {
      t.same(kindsOf(await entered(act)), [], 'a tile of hashes writes nothing')
      return { status: 200 } as Answer
    })
    await get(`/v1/logs/${operation.id}/tile/entries/000.p/3`, byRole.auditor)(measured)
  },
  'GET /v1/logs/:id/entries': get(`/v1/logs/${operation.id}/entries`, byRole.auditor),
  'POST /v1/logs/:log/evidence': async (measured) => {
    await server.logs.checkpoint(operation.id)
    await measured(() =>
      byRole.auditor.call('POST', `/v1/logs/${operation.id}/evidence`, {
        query: { kind: 'operation.created' },
        justification: 'A question of the court',
        recipient: { name: 'Registrar', organization: 'The court', country: 'KE' },
        legalBasis: 'Its order of today',
      }),
    )
  },
  'GET /v1/logs/:id/final-checkpoint': (measured) =>
    measured(async () => {
      const answer = await coordinator.call('GET', `/v1/logs/${operation.id}/final-checkpoint`)
      t.equal(
        codeOf(answer),
        '409 NOT_WITNESSED',
        'this service has no witnesses, and asking writes nothing either way',
      )
      return { ...answer, status: 200 }
    }),
  'GET /v1/logs/:id/witnesses': get(`/v1/logs/${operation.id}/witnesses`),
  'GET /v1/logs/:id/consistency': get(`/v1/logs/${operation.id}/consistency?from=1&to=3`),
}

/** Routes that are exercised apart, by a test of their own below. */
const apart = new Set(['POST /v1/setup', 'POST /v1/tokens'])

async function currentEpoch() {
  const epoch = (await operation.view()).currentEpoch(shared as protocol.CompartmentId)
  if (!epoch) throw new Error('the shared compartment has an epoch')
  return epoch
}

async function renew(): Promise<void> {
  for (const compartment of [operation.id, shared])
    if (await operation.isStale(compartment)) went(await operation.openEpoch(coordinator, compartment))
}

/** What gives the right holder's device the key of the first epoch again. */
async function grantsFor() {
  const { device } = byRole['right-holder']
  const key = operation.keys.get(`${shared}#1`) ?? new Uint8Array(32)
  const grant = await operation.seal(await operation.view(), device.id, shared, 1, key)
  return [{ device: device.id, epoch: 1, grant }]
}

const kindsOf = (entries: readonly Entered[]) => [...new Set(entries.map(({ kind }) => kind))].sort()
const declaredKinds = (record: unknown) => (Array.isArray(record) ? record.map(String).sort() : [])

t.test('INV-61: every route says what it enters, and every one is exercised here', async (t) => {
  const routes = server.app.declared.filter(({ method }) => method !== 'HEAD')
  t.same(
    routes.map(({ method, url }) => `${method} ${url}`).sort(),
    [...Object.keys(exercises), ...apart].sort(),
    'the routes that exist are those that are exercised',
  )
  t.ok(routes.length > 45)
  for (const { method, url, record } of server.app.declared.filter((route) => route.method === 'HEAD')) {
    const twin = routes.find((route) => route.method === 'GET' && route.url === url)
    t.same(record, twin?.record, `${method} ${url} enters what its GET does`)
  }
})

t.test('INV-61: what a route says it enters is what it enters, once each, and nothing else', async (t) => {
  for (const { method, url, record } of server.app.declared) {
    const exercise = exercises[`${method} ${url}`]
    if (exercise === undefined) continue
    const written: Entered[] = []
    await exercise(async (act) => {
      let answer: Answer | undefined
      const entries = await entered(async () => (answer = await act()))
      if (answer === undefined || answer.status >= 400) t.fail(`${method} ${url} was refused`, { answer: answer?.text })
      written.push(...entries)
      return answer as Answer
    })
    t.same(kindsOf(written), declaredKinds(record), `${method} ${url}`)
  }
})

t.test('making the root is entered, and so are its organization and its first person', async (t) => {
  const fresh = await startServer(t)
  const before = await sizes(fresh)
  await setUp(fresh)
  const kinds = kindsOf(await entriesSince(fresh, before))
  const { record } = fresh.app.declared.find(({ url }) => url === '/v1/setup') ?? {}
  t.same(
    kinds.filter((kind) => kind !== 'session.started'),
    declaredKinds(record),
  )
})

t.test('a stolen refresh token ends its session, with an entry; a token in order writes none', async (t) => {
  const { refreshToken } = officer
  t.same(kindsOf(await entered(() => officer.refresh())), [], 'in order')
  server.clock.advance(40_000)
  const entries = await entered(() => officer.call('POST', '/v1/tokens', { refreshToken }, { signedIn: false }))
  t.same(kindsOf(entries), ['access.refused', 'session.ended'])
  const [ended] = entries.filter(({ kind }) => kind === 'session.ended')
  t.match(ended?.details, { outcome: 'ended', reason: 'refresh-token-reused' })
  await officer.signIn()
})

t.test('INV-61: every frame says what it enters, and enters that', async (t) => {
  const literals = protocol.ClientFrame.anyOf.map(({ properties }) => properties.type.const)
  t.same([...new Set(literals)].sort(), Object.keys(frameDuties).sort(), 'each frame has its duty')
  await renew()
  const live = await coordinator.live()
  const written = new Map<string, Entered[]>()
  const says = async (frame: Frame, answered: (one: Frame) => boolean) => {
    const entries = await entered(async () => {
      const before = live.frames.length
      live.send(frame)
      await live.first(answered, 5_000, before)
    })
    written.set(frame.type, [...(written.get(frame.type) ?? []), ...entries])
  }
  const answeredBy = (type: string) => (frame: Frame) => frame.type === type
  /**
   * A frame that is not answered when it is accepted: what it does is done when a later one is
   * answered.
   */
  const silently = async (frame: Frame, matches: (entry: Entered) => boolean) => {
    const entries = await entered(async () => {
      live.send(frame)
      for (let n = 0; n < 100; n++) {
        await settle(server)
        if ((await entriesSince(server, beforeSilence)).some(matches)) return
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    })
    written.set(frame.type, [...(written.get(frame.type) ?? []), ...entries])
  }

  await says({ type: 'ping' }, answeredBy('pong'))
  const composed = await operation.compose(coordinator, reply)
  await says({ type: 'post', ...composed.input }, answeredBy('accepted'))
  for (const as of ['correction', 'withdrawal'] as const) {
    const next = await operation.compose(coordinator, { ...reply, refersTo: { message: composed.id, as } })
    await says({ type: 'post', ...next.input }, answeredBy('accepted'))
  }
  await says({ type: 'subscribe', operation: operation.id, after: -1 }, answeredBy('caught-up'))
  const beforeSilence = await sizes(server)
  const head = Math.max(...live.frames.filter(({ index }) => index !== undefined).map(({ index }) => Number(index)))
  await silently(
    { type: 'acknowledge', operation: operation.id, upTo: head },
    ({ kind }) => kind === 'messages.delivered',
  )
  await silently(
    { type: 'acknowledge', operation: operation.id, messages: [messages.text] },
    ({ kind }) => kind === 'messages.read',
  )
  await silently(
    { type: 'grant', operation: operation.id, compartment: shared, grants: await grantsFor() },
    ({ kind }) => kind === 'history.granted',
  )
  // Whoever opened an epoch does not complain about it.
  await operation.outdate(shared, scene.ncpOfThailand)
  went(await operation.openEpoch(ncp, shared))
  const { number } = await currentEpoch()
  await silently(
    { type: 'grant-bad', operation: operation.id, compartment: shared, epoch: number },
    ({ kind }) => kind === 'epoch.disputed',
  )
  await says({ type: 'unsubscribe', operation: operation.id }, answeredBy('ended'))
  live.close()
  for (const [frame, duty] of Object.entries(frameDuties))
    t.same(kindsOf(written.get(frame) ?? []), declaredKinds(duty), frame)
})

t.test('INV-62: entries carry what the duty of their kind asks for', async (t) => {
  await settle(server)
  const all = await entriesSince(server)
  const of = (kind: string) => all.filter((entry) => entry.kind === kind)
  const purpose = /Pangolins|Operation \(OP-1\)/
  const why = { justification: purpose, justifiedBy: 'purpose' }
  const session = /^[0-9a-f-]{36}$/
  const hash = /^[\w-]{43}$/
  const hashes = { old: hash, new: hash }
  /** Of each kind, what each of its entries must hold. */
  const asked: Readonly<Record<string, { details: object }>> = {
    'message.posted': { details: { session, channel: /^(http|live)$/ } },
    'message.corrected': { details: { session, hashes, reason: 'correction' } },
    'message.withdrawn': { details: { session, hashes, reason: 'withdrawal' } },
    'records.imported': { details: { session, channel: 'http', file: hash, mapping: hash, rows: Number } },
    'records.key-stored': { details: { session, channel: 'http', recipients: [{ device: hash, sha256: hash }] } },
    'operation.created': { details: { session, hashes: { old: null, new: hash }, name: String, reason: 'creation' } },
    'operation.updated': {
      details: { session, old: { purpose: null }, new: { purpose: 'Pangolins' }, reason: 'It had none' },
    },
    'operation.rules-set': { details: { session, hashes, old: { history: String }, new: { history: String } } },
    'operation.advanced': { details: { session, old: String, new: String } },
    'operation.organization-admitted': { details: { session } },
    'operation.organization-removed': { details: { session, hashes } },
    'member.admitted': { details: { session, hashes: { new: hash }, role: String, organization: session } },
    'member.role-changed': { details: { session, hashes, old: 'officer', new: 'ncp' } },
    'member.removed': { details: { session, hashes, role: String } },
    'member.woken': { details: { session, hashes } },
    'compartment.created': { details: { session, hashes: { old: null, new: hash } } },
    'compartment.member-added': { details: { session, hashes } },
    'compartment.member-removed': { details: { session, hashes } },
    'epoch.opened': { details: { session, hashes: { new: hash }, reason: String, grants: Object } },
    'epoch.disputed': { details: { session, hash, reason: 'grant-bad' } },
    'feed.opened': { details: { session, channel: /^(http|live)$/, ...why } },
    'messages.delivered': { details: { channel: 'live', readers: Array, acknowledged: Array, ...why } },
    'messages.read': { details: { channel: 'live', readers: Array, ...why } },
    'body.fetched': { details: { session, channel: 'http', from: Number, to: Number, count: 1, ...why } },
    'report.viewed': { details: { session, channel: 'http', edition: String, ...why } },
    'directory.viewed': { details: { session, count: Number, justification: String, justifiedBy: 'purpose' } },
    'history.granted': {
      details: {
        session,
        recipients: [{ device: hash, person: session, organization: session }],
        legalBasis: { purpose, history: 'full' },
        approvers: [],
      },
    },
    'log.queried': { details: { session, query: Object, ...why } },
    'export.made': {
      details: {
        session,
        recipient: { organization: String },
        approvers: [],
      },
    },
    'session.started': { details: { outcome: 'accepted', reason: /^(passphrase(\+recovery-code)?|private_key_jwt)$/ } },
    'session.ended': { details: { outcome: 'ended', reason: String } },
    'session.stepped-up': { details: { outcome: 'accepted', reason: 'passphrase' } },
    'credential.set': {
      details: {
        outcome: 'accepted',
        reason: /^(set-up|enrolment|added|changed|removed)$/,
        factor: /^(passphrase|totp|recovery-codes|passkey|key)$/,
      },
    },
    'notice.address-set': { details: { session, outcome: 'accepted', reason: /^(added|removed)$/ } },
    'service.ended': { details: { session, outcome: 'ended', reason: 'stopped' } },
    'device.enrolled': { details: { outcome: 'waiting', reason: 'invited', invitation: session } },
    'device.certified': { details: { outcome: 'accepted', reason: /^(set-up|enrolment|admission|renewal)$/ } },
    'device.expired': { details: { outcome: 'ended', reason: /^(expired|issuer-compromised)$/ } },
    'device.revoked': { details: { session, outcome: 'accepted', reason: 'revoked' } },
    'access.refused': { details: { outcome: 'refused', refused: Object } },
    'organization.registered': { details: { kind: String, name: String } },
    'organization.updated': { details: { session, reason: 'A reason', ended: true, people: 2 } },
    'person.registered': { details: { name: String, reason: 'set-up' } },
    'person.ended': { details: { session, reason: 'A reason' } },
    'person.slept': { details: { session, reason: 'A reason' } },
    'person.woken': { details: { session, reason: 'A reason' } },
    'member.ended': { details: { reason: 'A reason' } },
    'member.slept': { details: { reason: 'A reason' } },
    'person.invited': { details: { session, invitation: session, tier: String } },
    'invitation.revoked': { details: { session } },
    'approval.given': { details: { session, act: 'recover', outcome: 'accepted', reason: 'approved' } },
    'duty.handed-over': {
      details: { session, old: null, new: { deputy: session, from: String, until: String }, reason: 'A reason' },
    },
    'duty.taken-back': { details: { session, old: { deputy: session }, new: null, reason: 'taken-back' } },
    'server.started': { details: { outcome: 'accepted', reason: 'started', version: String, readOnly: [] } },
    'configuration.changed': { details: { outcome: 'accepted', reason: 'first-start', settings: Object } },
  }
  t.same(
    kindsOf(all).filter((kind) => kind !== 'log.started' && asked[kind] === undefined),
    [],
    'of each kind that is written here it is known what it must carry',
  )
  for (const [kind, { details }] of Object.entries(asked)) {
    const entries = of(kind)
    t.not(entries.length, 0, `${kind} has been written`)
    for (const entry of entries) t.match(entry.details, details, kind)
  }
  const corrected = of('message.corrected').at(-1)
  t.equal(corrected?.details.hashes.new, corrected?.digest, 'the new hash is the one the leaf carries')
  t.ok(
    of('message.posted').some(({ digest }) => digest === corrected?.details.hashes.old),
    'the old hash is that of the message that was corrected',
  )
  t.match(
    of('export.made').map(({ details }) => [details.recipient, details.legalBasis]),
    [
      [{ name: 'Registrar', organization: 'The court', country: 'KE' }, 'Its order of today'],
      [{ person: byRole.auditor.person, organization: byRole.auditor.organization, country: null }, { purpose }],
    ],
    'to whom it goes: whom the asker names, or the asker',
  )
  const granted = of('history.granted')[0]?.details.recipients[0]
  t.equal(granted?.person, byRole['right-holder'].person)
  t.ok('country' in granted, 'a recipient has a country, or none')
  for (const { readers } of of('messages.delivered').map(({ details }) => details))
    for (const reader of readers)
      t.match(reader, { person: session, device: hash, from: Number, to: Number, count: Number })
})

t.test('INV-62: looking singly at an operation that is closed is justified by whoever looks', async (t) => {
  const past = await createOperation(t, administrator, coordinator, { purpose: 'Ivory on the coast' })
  went(await past.advance('rehearsal'))
  went(await past.advance('active'))
  went(await past.openEpoch(coordinator))
  const { id } = went(await past.post(coordinator))
  const looks = [`${past.path}/messages/${id}`, `${past.path}/figures`]
  const justificationsOf = (entries: readonly Entered[]) =>
    entries.map(({ kind, details }) => `${kind} ${details.justifiedBy}: ${details.justification}`)
  const open = await entered(async () => {
    for (const look of looks) went(await coordinator.call('GET', look))
  })
  t.same(justificationsOf(open), [
    'body.fetched purpose: Ivory on the coast',
    'report.viewed purpose: Ivory on the coast',
  ])
  went(await past.advance('reporting'))
  went(await past.advance('closed'))
  for (const look of looks) {
    const refused = await coordinator.call('GET', look)
    t.match(refused.body, { status: 400, code: 'JUSTIFICATION_REQUIRED' }, look)
  }
  const why = '?justification=An%20appeal%20of%20November'
  const closed = await entered(async () => {
    for (const look of looks) went(await coordinator.call('GET', look + why))
  })
  t.same(justificationsOf(closed), [
    'body.fetched asker: An appeal of November',
    'report.viewed asker: An appeal of November',
  ])
  t.equal((await coordinator.call('GET', `${looks[0]}?justification=`)).status, 400, 'an empty one is none')
  t.equal((await coordinator.call('GET', `${past.path}/threads`)).status, 200, 'the list of threads is not asked for')
})

t.test('a start is entered, and a configuration that is another', async (t) => {
  const fresh = await startServer(t)
  const first = await entriesSince(fresh)
  t.same(kindsOf(first), ['configuration.changed', 'log.started', 'server.started'])
  const startAgain = async (allowedOrigins: string[]) => {
    const before = await sizes(fresh)
    const again = await startServer(t, { beside: fresh, allowedOrigins })
    await again.close()
    return entriesSince(fresh, before)
  }
  t.same(kindsOf(await startAgain([])), ['server.started'], 'the same configuration is no change')
  const changed = await startAgain(['https://b.example', 'https://a.example'])
  t.same(kindsOf(changed), ['configuration.changed', 'server.started'])
  const [change] = changed.filter(({ kind }) => kind === 'configuration.changed')
  const old = first.find(({ kind }) => kind === 'configuration.changed')?.digest
  t.match(change?.details, { reason: 'changed', hashes: { old, new: change?.digest } })
  t.same(kindsOf(await startAgain(['https://a.example', 'https://b.example'])), ['server.started'], 'in another order')
  const details = JSON.stringify((await entriesSince(fresh)).map((entry) => entry.details))
  for (const secret of [fresh.database.url, new URL(fresh.database.url).password, passphrase])
    t.notOk(details.includes(secret), 'no secret stands in it')
})

// Bites: the schemas of answers in src/**/routes.ts, and src/http/openapi-examples.json
// (CORDON_EXAMPLES=write makes it anew).
t.test('each route is answered as OpenAPI says, and the example there is of that kind', async (t) => {
  const page = await openApiOf(server)
  const templates = Object.keys(page.paths as object)
  const ajv = formats.default(new Ajv2020({ strict: false }))
  const examples = readExamples().operations
  const made: typeof examples = {}
  for (const { path: template, method, operation: described } of operationsOf(page)) {
    const id = described.operationId as string
    const went = exchanges.find(
      (one) => one.method === method && one.status < 300 && templateOf(templates, one.path) === template,
    )
    // This service has no witnesses; test/witness-server.test.ts asks one that has.
    if (id === 'readFinalCheckpoint') continue
    if (went === undefined) {
      t.fail(`${method} ${template} went nowhere`)
      continue
    }
    const { request, status, type, answer } = went
    const media = responseOf(page, described, status)?.content?.[type]
    if (answer === undefined) t.notOk(responseOf(page, described, status)?.content, `${id}: nothing is answered`)
    else t.ok(media, `${id}: ${String(status)} ${type} is described`)
    if (type === 'application/json') t.ok(ajv.validate(media.schema, answer), `${id}: ${ajv.errorsText()}`)
    const binary = type === 'application/octet-stream'
    made[id] = {
      ...(request === undefined ? {} : { request: abridged(request) }),
      status,
      ...(answer === undefined || binary ? {} : { answer: abridged(answer) }),
    }
    if (writesExamples) continue
    const example = examples[id]
    t.equal(example?.status, status, `${id}: status of the example`)
    t.same(membersOf(example?.answer), membersOf(made[id]?.answer), `${id}: members of the example`)
    t.same(membersOf(example?.request), membersOf(made[id]?.request), `${id}: members of its request`)
  }
  if (writesExamples) writeExamples({ operations: made })
})

function membersOf(value: unknown): string[] {
  return typeof value === 'object' && value !== null ? Object.keys(value).sort() : [typeof value]
}
