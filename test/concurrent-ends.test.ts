// What this holds: whoever begins (a device that is certified or renewed, a person who is admitted
// or woken) while they end (removed, revoked, expired, retired), on two servers and in either
// order, leaves in every operation exactly the devices that may read there. What makes it fail:
// operations of a person that are read before the lock of their log, and a view that keeps devices
// of who is no member.
import t, { type Test } from 'tap'
import type pg from 'pg'
import { openDatabase, transaction } from '../src/db/index.ts'
import { Problem } from '../src/errors.ts'
import type { EntryDraft } from '../src/log/index.ts'
import {
  digestOf,
  issueCertificate,
  readCertificate,
  signRevocation,
  type DeviceId,
  type Tier,
} from '../src/protocol/index.ts'
import { howMany, patience } from './support/counts.ts'
import { admin } from './support/database.ts'
import { startServer, type TestServer } from './support/server.ts'
import { createOperation, went, type WireOperation } from './support/wire-operation.ts'
import {
  enrolInvited,
  freshId,
  inDays,
  invite,
  newcomer,
  now,
  setUp,
  type Answer,
  type WireActor,
} from './support/wire.ts'

const begins = ['certify', 'renew', 'admit', 'wake'] as const
const ends = ['remove', 'revoke', 'expire'] as const
/** By what somebody is removed. */
const removals = ['person', 'organization', 'retired'] as const

interface Round {
  readonly begin: (typeof begins)[number]
  readonly end: (typeof ends)[number]
  readonly removal: (typeof removals)[number]
  readonly endFirst: boolean
}

interface Scene {
  readonly servers: readonly [TestServer, TestServer]
  readonly client: pg.Client
  /** On the first server. */
  readonly administrator: WireActor
  readonly coordinator: WireActor
  /** On the second one. */
  readonly ncp: WireActor
  readonly operation: WireOperation
}

const pairs = howMany(24, 200)

t.test(
  `INV-130: ${String(pairs)} that begin and end at once, on two servers, leave no device that may not read`,
  patience,
  async (t) => {
    const first = await startServer(t)
    const second = await startServer(t, { beside: first })
    const { administrator } = await setUp(first)
    const [unit, kenya] = [freshId(), freshId()]
    await administrator.must('POST', '/v1/organizations', { id: unit, kind: 'rilo', name: 'Unit' })
    const customs = { id: kenya, kind: 'administration', name: 'Kenya', country: 'KE' }
    await administrator.must('POST', '/v1/organizations', customs)
    const coordinator = await newcomer(administrator, { name: 'Coordinator', organization: unit, tier: 'ncp' })
    const ncp = await newcomer(administrator, { name: 'NCP', organization: kenya, tier: 'ncp' })
    ncp.server = second
    await ncp.signIn()
    const operation = await createOperation(t, administrator, coordinator)
    went(await operation.admitOrganization(kenya))
    went(await operation.admit(ncp, 'ncp'))
    went(await operation.openEpoch(coordinator))
    await admin(first.database.superUrl, async (client) => {
      const scene: Scene = { servers: [first, second], client, administrator, coordinator, ncp, operation }
      for (let n = 0; n < pairs; n++) {
        const round: Round = {
          begin: begins[n % 4] ?? 'certify',
          end: ends[Math.floor(n / 4) % 3] ?? 'remove',
          removal: removals[Math.floor(n / 12) % 3] ?? 'person',
          endFirst: Math.floor(n / 12) % 2 === 0,
        }
        if (n % 20 === 0) for (const actor of [administrator, coordinator, ncp]) await actor.signIn()
        await play(t, scene, round)
      }
    })
  },
)

t.test('INV-130: what the directory tells an operation is judged and folded there like every act', async (t) => {
  const server = await startServer(t)
  const { administrator } = await setUp(server)
  const unit = freshId()
  await administrator.must('POST', '/v1/organizations', { id: unit, kind: 'rilo', name: 'Unit' })
  const coordinator = await newcomer(administrator, { name: 'Coordinator', organization: unit, tier: 'ncp' })
  const further = await newcomer(coordinator, {
    name: 'Coordinator',
    organization: unit,
    tier: 'ncp',
    person: coordinator.person,
  })
  const stranger = await newcomer(administrator, { name: 'Stranger', organization: unit, tier: 'ncp' })
  const operation = await createOperation(t, administrator, coordinator)
  went(await revoke(administrator, further.device.id))
  const db = openDatabase({ connectionString: server.database.url, onError: () => {} })
  t.teardown(() => db.close())
  const before = (await operation.view()).position
  const tell = async (draft: EntryDraft) =>
    transaction(db, (tx) => server.logs.appendWithin(tx, [{ log: operation.id, drafts: [draft] }])).then(
      () => 'told',
      (error: unknown) => (error instanceof Problem ? error.code : String(error)),
    )
  const certified = async ({ device, certificate }: WireActor): Promise<EntryDraft> => ({
    kind: 'device.certified',
    actor: { server: 'cordon.test' },
    subject: device.id,
    digest: await digestOf(certificate),
    statement: { type: 'certificate', value: await readCertificate(certificate) },
  })
  t.equal(await tell(await certified(stranger)), 'NOT_FOUND', 'a device of nobody here')
  t.equal(await tell(await certified(further)), 'STATEMENT_INVALID', 'a device that was revoked')
  t.equal(await tell({ ...(await certified(coordinator)), subject: further.device.id }), 'STATEMENT_INVALID')
  for (const kind of ['member.ended', 'member.slept'] as const)
    t.equal(await tell({ kind, actor: { server: 'cordon.test' }, subject: stranger.person }), 'NOT_FOUND', kind)
  t.equal((await operation.view()).position, before, 'nothing of it was entered')
})

async function play(t: Test, scene: Scene, round: Round): Promise<void> {
  const { servers, client, administrator, coordinator, ncp, operation } = scene
  const said = `${round.begin} against ${round.end} ${round.end === 'remove' ? round.removal : ''} ${round.endFirst ? 'first' : 'second'}`
  const until = round.end === 'expire' ? new Date(Date.now() + 50).toISOString() : inDays(30)
  const officer = await enrolled(ncp, { name: 'Officer', until })
  if (round.begin !== 'admit') went(await operation.admit(officer, 'officer', ncp))
  const begin = await ready(scene, round, officer, until)
  const end = await ending(scene, round, officer)
  const acts = round.endFirst ? [end, begin] : [begin, end]

  await client.query('BEGIN')
  await client.query('SELECT FROM log WHERE id = $1 FOR UPDATE', [operation.id])
  const under: Promise<Answer | void>[] = []
  for (const act of acts) {
    under.push(act())
    await waiting(client, under.length)
  }
  await client.query('COMMIT')
  const codes = (await Promise.all(under)).map((answer) => (answer ? answer.status : 204))
  t.ok(
    codes.every((status) => status < 500),
    `${said}: ${codes.join(' ')}`,
  )
  await compare(t, scene, said)

  // Whoever comes back brings the devices that are live, and no other.
  const revoking = await rows(
    client,
    "SELECT id FROM device WHERE person_id = $1 AND state = 'certified'",
    officer.person,
  )
  const gone = revoking.at(-1)
  if (gone !== undefined) went(await revoke(administrator, gone))
  if (!(await operation.view()).member(ncp.person as never)) {
    went(await operation.admitOrganization(ncp.organization))
    went(await operation.admit(ncp, 'ncp'))
  }
  const back = await operation.admit(officer, 'officer')
  await compare(t, scene, `${said}, back again (${String(back.status)})`)
  if (await operation.isStale()) {
    went(await operation.openEpoch(coordinator))
    await compare(t, scene, `${said}, in the next epoch`, true)
  }
  t.ok(servers.length === 2)
}

/**
 * The recipients are the certified devices of members who are awake, as the rows of people and
 * devices have it: all of them, and no other.
 */
async function compare(t: Test, { client, operation }: Scene, said: string, epoch = false): Promise<void> {
  const entitled = await rows(
    client,
    `SELECT d.id FROM member m JOIN person p ON p.id = m.person_id JOIN device d ON d.person_id = p.id
     WHERE m.operation_id = $1 AND NOT m.asleep AND p.ended_at IS NULL AND d.state = 'certified'`,
    operation.id,
  )
  const view = await operation.view()
  const named = epoch ? view.currentEpoch(view.all)?.recipients : view.recipients(view.all)
  t.strictSame([...(named ?? [])].toSorted(), entitled.toSorted(), said)
}

async function rows(client: pg.Client, text: string, value: string): Promise<string[]> {
  return (await client.query<{ id: string }>(text, [value])).rows.map(({ id }) => id)
}

/** Until so many wait for a lock, or for a moment where fewer come that far. */
async function waiting(client: pg.Client, count: number): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const { rows: found } = await client.query<{ n: number }>(
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    if ((found[0]?.n ?? 0) >= count) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Somebody with a certificate that ends at a time, signed in where their inviter is. */
async function enrolled(
  inviter: WireActor,
  { name, until, person, tier = 'person' }: { name: string; until: string; person?: string; tier?: Tier },
): Promise<WireActor> {
  const { organization } = inviter
  const invited = await invite(inviter, { name, organization, tier, ...(person === undefined ? {} : { person }) })
  await enrolInvited(invited)
  const { actor } = invited
  await inviter.must('POST', '/v1/certificates', { certificate: await certificateOf(inviter, actor, until) })
  await actor.signIn()
  await actor.learnCertificate()
  return actor
}

function certificateOf(issuer: WireActor, { device, person, organization }: WireActor, until: string): Promise<string> {
  const issuedAt = new Date(Date.now() - 60_000).toISOString()
  const who = { person, organization } as unknown as Pick<
    Parameters<typeof issueCertificate>[1],
    'person' | 'organization'
  >
  return issueCertificate(issuer.device, { keys: device.keys, ...who, tier: 'person', issuedAt, expiresAt: until })
}

/** What is about to begin, prepared up to its one request, on the second server. */
async function ready(
  scene: Scene,
  { begin }: Round,
  officer: WireActor,
  until: string,
): Promise<() => Promise<Answer>> {
  const { ncp, operation, administrator } = scene
  switch (begin) {
    case 'certify': {
      const further = await invite(officer, { ...officer, name: 'Officer', tier: 'person' })
      await enrolInvited(further)
      const certificate = await certificateOf(officer, further.actor, until)
      return () => officer.call('POST', '/v1/certificates', { certificate })
    }
    case 'renew': {
      const certificate = await certificateOf(ncp, officer, inDays(300))
      return () => ncp.call('POST', '/v1/renewals', { certificate })
    }
    case 'admit': {
      const { person, organization } = officer
      const statement = await operation.sign(ncp, { act: 'admit', person, organization, role: 'officer' })
      return () => ncp.call('POST', `${operation.path}/members`, { statement })
    }
    case 'wake': {
      const reason = { reason: 'leave' }
      await administrator.must('PUT', `/v1/people/${officer.person}/suspension`, reason)
      await administrator.must('POST', `/v1/people/${officer.person}/waking`, reason)
      const statement = await operation.sign(ncp, { act: 'wake', person: officer.person })
      return () => ncp.call('POST', `${operation.path}/members/${officer.person}/wake`, { statement })
    }
  }
}

/** What is about to end it, on the first server. */
async function ending(
  scene: Scene,
  { end, removal, begin }: Round,
  officer: WireActor,
): Promise<() => Promise<Answer | void>> {
  const { servers, administrator, coordinator, operation } = scene
  switch (end) {
    case 'revoke':
      return () => revoke(administrator, officer.device.id)
    case 'expire':
      return () => servers[0].identity.renewals.endOverdue()
    case 'remove': {
      if (removal === 'retired')
        return () => administrator.call('POST', `/v1/people/${officer.person}/retirement`, { reason: 'left' })
      const whole = removal === 'organization' || begin === 'admit'
      const named = whole ? { organization: officer.organization } : { person: officer.person }
      const statement = await operation.sign(coordinator, { act: 'remove', ...named })
      const path = whole ? `organizations/${officer.organization}` : `members/${officer.person}`
      return () => coordinator.call('POST', `${operation.path}/${path}/removal`, { statement })
    }
  }
}

async function revoke(by: WireActor, device: string): Promise<Answer> {
  const revocation = await signRevocation(by.device, device as DeviceId, now())
  return by.call('POST', '/v1/revocations', { revocation })
}
