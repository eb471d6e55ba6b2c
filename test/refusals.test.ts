// What this holds: whoever is refused, at whichever door, is in the directory log soon after, once
// a minute, and no crowd of outsiders makes more of it than that.
// What makes it fail: a door that refuses without `refusals.note`, a memory without a bound, a stop
// that forgets.
import t from 'tap'
import { Problem } from '../src/errors.ts'
import * as protocol from '../src/protocol/index.ts'
import { admin } from './support/database.ts'
import { entriesSince, settle, sizes, type Entered } from './support/entries.ts'
import { handshake } from './support/handshake.ts'
import { everyRole } from './support/roles.ts'
import { startServer } from './support/server.ts'
import { createOperation, went } from './support/wire-operation.ts'
import {
  ask,
  codeOf,
  freshId,
  inDays,
  invite,
  newcomer,
  random,
  setUp,
  type Answer,
  type Frame,
  type WireActor,
} from './support/wire.ts'

const scene = await everyRole(t)
const { server, operation, byRole, administrator, organizations, shared, other } = scene
const { coordinator, ncp, officer, auditor } = byRole
const outsider = await newcomer(administrator, { name: 'Outsider', organization: organizations.thailand, tier: 'ncp' })

async function refusedBy(act: () => Promise<unknown>): Promise<Entered[]> {
  await settle(server)
  const before = await sizes(server)
  await act()
  await settle(server)
  return (await entriesSince(server, before)).filter(({ kind }) => kind === 'access.refused')
}

const http = (actor: WireActor, method: string, path: string, body?: unknown) => (): Promise<Answer> =>
  actor.call(method, path, body)

async function live(actor: WireActor, frame: object, answers = ['refused', 'ended']): Promise<void> {
  const channel = await actor.live()
  channel.send(frame)
  await channel.first((one: Frame) => answers.includes(one.type))
  channel.close()
  await channel.closed
}

const wrongSecret = async () => {
  const { actor, invitation, certify, tier } = await invite(ncp, { name: 'Guessed', organization: organizations.kenya })
  const { person, organization } = actor
  const enrolment = await protocol.signEnrolment(actor.device, certify, { invitation, person, organization, tier })
  const authenticate = protocol.base64url(random(32))
  return actor.call(
    'POST',
    '/v1/enrolments',
    { invitation, authenticate, ...enrolment, passphrase: 'thirteen slow snails in the garden' },
    { signedIn: false },
  )
}

const invitationElsewhere = async () => {
  const { authenticate } = await protocol.deriveInvitationKeys(random(16))
  return ncp.call('POST', '/v1/invitations', {
    id: freshId(),
    person: { id: freshId(), name: 'Of another country' },
    organization: organizations.thailand,
    tier: 'person',
    recognition: await protocol.recognitionOf(authenticate),
    sealed: [{ device: ncp.device.id, jwe: 'x.x.x.x.x' }],
    expiresAt: inDays(7),
  })
}

const path = operation.path
const anyGrant = { device: protocol.base64url(random(32)), epoch: 1, grant: 'x.x.x.x.x' }

/**
 * Each door: who is refused there (undefined: nobody who is known), with which code, and how it is
 * called in the entry.
 */
const doors: readonly [name: string, who: WireActor | undefined, what: string, act: () => Promise<unknown>][] = [
  [
    'what one may not see',
    outsider,
    `NOT_FOUND GET /v1/operations/:operation ${operation.id}`,
    http(outsider, 'GET', path),
  ],
  [
    'what a role may not',
    officer,
    `FORBIDDEN POST /v1/operations/:operation/advance ${operation.id} operation.advance`,
    () => operation.advance('reporting', officer),
  ],
  [
    'what a state does not allow',
    coordinator,
    `OPERATION_STATE POST /v1/operations/:operation/advance ${operation.id}`,
    () => operation.advance('closed', coordinator),
  ],
  ['the organizations', ncp, 'ADMINISTRATOR_ONLY GET /v1/organizations', http(ncp, 'GET', '/v1/organizations')],
  [
    'the log of others',
    outsider,
    `NOT_FOUND GET /v1/logs/:id/checkpoint ${operation.id}`,
    http(outsider, 'GET', `/v1/logs/${operation.id}/checkpoint`),
  ],
  ['an invitation into another organization', ncp, 'FORBIDDEN POST /v1/invitations', invitationElsewhere],
  [
    'nobody',
    undefined,
    'UNAUTHENTICATED GET /v1/operations/:operation ' + operation.id,
    () => ask(server.url + path, {}),
  ],
  [
    'a wrong passphrase',
    undefined,
    'SIGN_IN_REFUSED POST /v1/sessions',
    async () => officer.signIn('one guess among very many').catch(() => {}),
  ],
  ['an invitation with a wrong secret', undefined, 'INVITATION_INVALID POST /v1/enrolments', wrongSecret],
  [
    'a ticket that is none',
    undefined,
    'UNAUTHENTICATED GET /v1/live',
    async () => handshake(server, protocol.base64url(random(32))),
  ],
  [
    'a page of another origin',
    undefined,
    'ORIGIN_REFUSED GET /v1/live',
    async () => handshake(server, protocol.base64url(random(32)), 'https://evil.example'),
  ],
  [
    'the frame post',
    outsider,
    `NOT_FOUND live post ${operation.id}`,
    async () => live(outsider, { type: 'post', ...(await operation.compose(outsider)).input }),
  ],
  [
    'the frame post, by a role that may not',
    auditor,
    `FORBIDDEN live post ${operation.id} message.post`,
    async () => live(auditor, { type: 'post', ...(await operation.compose(auditor, { compartment: shared })).input }),
  ],
  [
    'the frame subscribe',
    outsider,
    `NOT_FOUND live subscribe ${operation.id}`,
    () => live(outsider, { type: 'subscribe', operation: operation.id, after: -1 }),
  ],
  [
    'the frame acknowledge',
    ncp,
    `NOT_FOUND live acknowledge ${operation.id}`,
    () => live(ncp, { type: 'acknowledge', operation: operation.id, upTo: 1 }),
  ],
  [
    'the frame grant',
    auditor,
    `FORBIDDEN live grant ${operation.id} grant.give`,
    () => live(auditor, { type: 'grant', operation: operation.id, compartment: shared, grants: [anyGrant] }),
  ],
  [
    'the frame grant-bad',
    ncp,
    `NOT_FOUND live grant-bad ${operation.id}`,
    () => live(ncp, { type: 'grant-bad', operation: operation.id, compartment: other, epoch: 1 }),
  ],
]

t.test('INV-64: at every door a refusal is entered, with whom, what and why', async (t) => {
  for (const [name, who, what, act] of doors) {
    const entries = await refusedBy(act)
    t.equal(entries.length, 1, `${name}: one entry`)
    const [entry] = entries
    t.same(entry?.details.refused, { [what]: 1 }, name)
    t.equal(entry?.log, server.logs.directory)
    t.equal(entry?.person, who?.person ?? null, name)
    t.equal(entry?.subject, who?.person ?? 'unknown', 'no address stands in the leaf')
    if (who === undefined) t.match(entry?.details, { network: '127.0.0.0/24' })
  }
})

t.test('INV-64: who ended on the way is entered too: a ticket and a frame of a session that is over', async (t) => {
  const gone = await newcomer(ncp, { name: 'Is gone', organization: organizations.kenya })
  const { ticket } = await gone.must('POST', '/v1/live-tickets', {})
  const channel = await gone.live()
  const end = (session: string) => gone.call('DELETE', `/v1/sessions/${session}`)
  const entries = await refusedBy(async () => {
    await end(gone.session)
    channel.send({ type: 'subscribe', operation: operation.id, after: -1 })
    await channel.closed
    t.equal(await handshake(server, ticket), 401)
    t.equal(codeOf(await gone.call('GET', '/v1/me')), '401 SESSION_ENDED')
  })
  const refused = entries.flatMap(({ details }) => Object.keys(details.refused))
  t.ok(refused.includes('SESSION_ENDED GET /v1/live'), 'the ticket')
  t.ok(refused.includes('SESSION_ENDED GET /v1/me'), 'the request')
})

t.test('mistakes are no refusals: nothing is entered for them', async (t) => {
  const entries = await refusedBy(async () => {
    t.equal((await coordinator.call('POST', `${path}/advance`, { too: 'active' })).status, 400)
    t.equal((await coordinator.call('GET', '/v1/nothing')).status, 404)
    t.equal((await coordinator.call('GET', `${path}/threads?limit=0`)).status, 400)
    const composed = went(await operation.post(coordinator, { compartment: shared }))
    t.equal((await coordinator.call('POST', `${path}/messages`, composed.input)).status, 201)
  })
  t.same(entries, [])
})

t.test('INV-64: one entry for each person and minute, and for each network where nobody is known', async (t) => {
  const fresh = await startServer(t)
  const { administrator: known } = await setUp(fresh)
  await settle(fresh)
  const before = await sizes(fresh)
  const { person, organization, session, device } = known
  const standing = { tier: 'administrator', deviceState: 'certified', verifiedAt: fresh.clock.now(), listed: null }
  const actor = { person, organization, session, device: device.id, ...standing }
  const refuse = (times: number) => {
    for (let n = 0; n < times; n++) {
      fresh.refusals.note(new Problem('NOT_FOUND'), { actor, address: '192.0.2.1' }, { where: 'GET /v1/me' })
      fresh.refusals.note(new Problem('UNAUTHENTICATED'), { address: `192.0.2.${n}` }, { where: 'GET /v1/me' })
    }
  }
  const counted = async () => {
    const entries = await entriesSince(fresh, before)
    const of = (who: string | null) =>
      entries.filter((entry) => entry.person === who).flatMap(({ details }) => Object.values(details.refused))
    return { known: of(person), unknown: of(null) }
  }
  const both = (...counts: number[]) => ({ known: counts, unknown: counts })
  refuse(5)
  await fresh.refusals.enterDue()
  t.same(await counted(), both(5), 'the first are entered soon')
  refuse(3)
  await fresh.refusals.enterDue()
  t.same(await counted(), both(5), 'those of the same minute wait')
  fresh.clock.advance(50_000)
  refuse(4)
  await fresh.refusals.enterDue()
  t.same(await counted(), both(5))
  fresh.clock.advance(10_000)
  await fresh.refusals.enterDue()
  t.same(await counted(), both(5, 7), 'and come together')
  refuse(1)
  await fresh.close()
  t.same(await counted(), both(5, 7, 1), 'a stop waits for no minute')
})

t.test(
  'INV-64: a thousand networks are told apart and the rest counted together, and none is lost at a stop',
  async (t) => {
    const fresh = await startServer(t, { logLevel: 'silent' })
    const { administrator: known } = await setUp(fresh)
    const before = await sizes(fresh)
    const problem = new Problem('UNAUTHENTICATED')
    for (let n = 0; n < 5_000; n++)
      fresh.refusals.note(problem, { address: `10.${n >> 8}.${n & 255}.7` }, { where: 'GET /v1/me' })
    for (let n = 0; n < 500; n++) fresh.refusals.note(problem, { address: '192.0.2.1' }, { where: `GET /v1/${n}` })
    t.equal(codeOf(await known.call('GET', `/v1/operations/${freshId()}`)), '404 NOT_FOUND')

    await admin(fresh.database.superUrl, (client) => client.query('REVOKE INSERT ON log_entry FROM cordon_app'))
    await fresh.refusals.flush()
    t.equal((await entriesSince(fresh, before)).length, 0, 'the database would not have them')
    await admin(fresh.database.superUrl, (client) => client.query('GRANT INSERT ON log_entry TO cordon_app'))

    await fresh.close()
    const entries = await entriesSince(fresh, before)
    t.ok(entries.length <= 1_001, `${entries.length} entries`)
    const counted = entries.flatMap(({ details }) => Object.values(details.refused as Record<string, number>))
    t.equal(
      counted.reduce((a, b) => a + b, 0),
      5_501,
      'every refusal is counted once',
    )
    const together = entries.find(({ subject }) => subject === 'others')
    t.ok(Object.keys(together?.details.refused ?? {}).length <= 101, 'and what is told apart is bounded')
  },
)

t.test('an operation of one’s own is untouched by refusals: they are in the directory alone', async (t) => {
  const own = await createOperation(t, administrator, coordinator)
  const before = (await sizes(server)).get(own.id)
  for (let n = 0; n < 10; n++) await outsider.call('GET', own.path)
  await settle(server)
  t.equal((await sizes(server)).get(own.id), before)
})
