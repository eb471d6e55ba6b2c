// What this holds: what happens above a device, in whatever order and however hostile, makes no
// entry that an honest client or the verifier cannot believe; and a revocation ends what it says it
// ends, once and at once. What makes it fail: chains that mix certificates of different times,
// renewals that race each other, times that nobody checks, a revocation that its readers cannot
// follow.
import t from 'tap'
import type { Cordon } from '../src/client/index.ts'
import { issueCertificate, signRevocation, timestamp } from '../src/protocol/index.ts'
import { newClient, opened, passphrase } from './support/actors.ts'
import { entriesSince, sizes } from './support/entries.ts'
import { readAfresh } from './support/fresh-reader.ts'
import { anew, bring, code, day, dueOf, renewing, text } from './support/renewing.ts'

type Scene = Awaited<ReturnType<typeof renewing>>

/** A post that everybody opens, also who reads the whole log for the first time. */
async function goesOn({ server, coordinator, operation }: Scene, ...readers: Cordon[]): Promise<string | undefined> {
  const session = await coordinator.follow(operation)
  const { message, index } = await session.post(text('It goes on.'))
  for (const reader of readers) await opened(reader, operation, message)
  const { alarms, failed, texts } = await readAfresh(coordinator, operation, index, () => server.clock.now())
  if (!texts.includes('It goes on.')) return `not read: ${failed ?? ''} ${JSON.stringify(alarms)}`
  const heard = [session, ...(await Promise.all(readers.map((one) => one.follow(operation))))].flatMap(
    (one) => one.alarms,
  )
  return [...alarms, ...heard].map(({ code, detail }) => `${code}: ${detail}`)[0]
}

t.test('INV-98: whoever may revoke a device need not be a member where it was one', async (t) => {
  const at = await renewing(t)
  const { administrator, operation, kenya, officer, enrolled } = at
  const second = await enrolled(administrator, 'Second administrator', 'administrator')
  const outside = await enrolled(kenya, 'Not in the operation', 'ncp')
  const others = await Promise.all(['Otieno', 'Wanjiru'].map((name) => enrolled(kenya, name, 'person')))
  for (const { person, organization } of others)
    await kenya.operations.admit(operation, { person, organization, role: 'officer' })
  const [otieno, wanjiru] = others
  await outside.directory.revokeAll(otieno?.person ?? '')
  await second.directory.revokeDevice(wanjiru?.device ?? '')
  t.equal(await goesOn(at, kenya, officer), undefined)
})

t.test(
  'INV-98: renewals in the order in which they are due leave every chain believable, for whoever reads it all',
  async (t) => {
    const at = await renewing(t)
    const { server, administrator, coordinator, operation, kenya, officer, enrolled, later } = at
    const outside = await enrolled(administrator, 'A', 'ncp')
    const above = await code(outside.me())
    t.equal(above, 'accepted')
    const a = await enrolled(kenya, 'A of Kenya', 'ncp')
    const b = await enrolled(a, 'B of Kenya', 'ncp')
    await kenya.operations.admit(operation, { person: b.person, organization: kenya.organization, role: 'ncp' })
    await later(310, administrator, coordinator, kenya, officer, a, b)
    // B from above, then A by B, who was certified by A.
    await kenya.renewals.renew(dueOf(await kenya.renewals.due(), b))
    await b.renewals.renew(dueOf(await b.renewals.due(), a))
    const c = await enrolled(a, 'C of Kenya', 'person')
    await b.operations.admit(operation, { person: c.person, organization: kenya.organization, role: 'officer' })
    t.equal(await goesOn(at, kenya, b, c), undefined)
    t.ok(server)
  },
)

t.test('INV-98: renewals at the same time close no circle, and none leads too deep', async (t) => {
  const at = await renewing(t)
  const { server, administrator, coordinator, kenya, officer, enrolled, later } = at
  const puppets = await Promise.all(Array.from({ length: 4 }, (_, n) => enrolled(kenya, `P${String(n)}`, 'ncp')))
  await later(310, administrator, coordinator, kenya, officer, ...puppets)
  const now = server.clock.now()
  const by = async (issuer: number, subject: number) => {
    const [from, to] = [puppets[issuer], puppets[subject]]
    if (!from || !to) throw new Error('a puppet')
    return bring(from, await anew(from.self.device, to, now))
  }
  t.same([await by(0, 1), await by(2, 3)], ['accepted', 'accepted'])
  const both = await Promise.all([by(1, 2), by(3, 0)])
  t.same(both.toSorted(), ['CERTIFICATE_INVALID', 'accepted'], 'one of two that would close it together')
  t.equal(await goesOn(at, kenya, officer), undefined)

  const ladder = [kenya]
  for (let depth = 0; depth < 6; depth++) {
    const top = ladder.at(-1)
    const next = top && (await code(enrolled(top, `Step ${String(depth)}`, 'ncp').then((one) => ladder.push(one))))
    if (next !== 'accepted') break
  }
  t.match(ladder.length, 7, 'people vouch for people')
  const deepest = ladder.at(-1)
  const renewed = deepest && (await bring(deepest, await anew(deepest.self.device, officer, now)))
  t.equal(renewed, 'CERTIFICATE_INVALID', 'and nobody is renewed from so far down')
})

t.test('INV-98: what is signed says now, and a compromise lies in the life of the device', async (t) => {
  const at = await renewing(t)
  const { server, administrator, kenya, officer, enrolled } = at
  const second = await enrolled(kenya, 'Second', 'ncp')
  const revoking = async (client: Cordon, device: string, at: Date | string, since?: Date | string) => {
    const text = (time: Date | string) => (typeof time === 'string' ? time : timestamp(time))
    const own = client.self.device
    const jws = await signRevocation(
      own,
      device as typeof own.id,
      text(at),
      since === undefined ? undefined : text(since),
    )
    return code(client.transport.request('POST', '/v1/revocations', { revocation: jws }))
  }
  const now = server.clock.now()
  const ago = (days: number) => new Date(now.getTime() - days * day)
  t.equal(await revoking(kenya, second.device, ago(400)), 'STATEMENT_INVALID', 'signed long ago')
  t.equal(await revoking(kenya, second.device, ago(-1)), 'STATEMENT_INVALID', 'signed tomorrow')
  t.equal(await revoking(kenya, second.device, now, ago(400)), 'STATEMENT_INVALID', 'before there was a device')
  t.equal(await revoking(kenya, second.device, now, ago(-1)), 'STATEMENT_INVALID', 'from tomorrow on')
  t.equal(await revoking(kenya, second.device, now, '0000-01-01T00:00:00.000Z'), 'STATEMENT_INVALID')
  const { text: invitation } = await kenya.directory.invite({
    person: { name: 'Early' },
    organization: kenya.organization,
    tier: 'person',
  })
  const newcomer = newClient(t, { platform: at.platform })
  await newcomer.enrol({ invitation, passphrase })
  const { keys } = newcomer.self.device
  for (const days of [-300, 300]) {
    const times = { issuedAt: timestamp(ago(days)), expiresAt: timestamp(ago(-350)) }
    const { organization } = at
    const certificate = await issueCertificate(kenya.self.device, {
      keys,
      person: newcomer.person,
      organization: organization,
      tier: 'person',
      ...times,
    })
    const certified = await code(kenya.transport.request('POST', '/v1/certificates', { certificate }))
    t.equal(certified, 'CERTIFICATE_INVALID', `issued ${String(days)} days ago`)
  }
  t.equal(await goesOn(at, kenya, officer), undefined)
  t.ok(administrator)
})

t.test('INV-97: a compromise is carried out in one step: nobody is admitted in between', async (t) => {
  const at = await renewing(t)
  const { server, administrator, coordinator, operation, kenya, officer, enrolled } = at
  server.clock.advance(2_000)
  const since = server.clock.now()
  const people = await Promise.all(Array.from({ length: 6 }, (_, n) => enrolled(kenya, `N${String(n)}`, 'person')))
  const watching = await coordinator.follow(operation)
  await watching.ready()
  const revoked = watching.events.once('entry', ({ kind }) => kind === 'device.revoked')
  const before = await sizes(server)
  const [admitted] = await Promise.all([
    revoked.then(async () => {
      const outcomes = people.map(({ person, organization }) =>
        code(coordinator.operations.admit(operation, { person, organization, role: 'officer' })),
      )
      return Promise.all(outcomes)
    }),
    administrator.directory.revokeDevice(kenya.device, since),
  ])
  t.equal(admitted.length, 6)
  const entries = await entriesSince(server, before)
  t.equal(entries.filter(({ kind, log }) => kind === 'device.expired' && log !== operation).length, 6)
  t.notOk(
    entries.some(({ kind, subject }) => kind === 'device.certified' && people.some(({ device }) => device === subject)),
  )
  t.equal(await goesOn(at, officer), undefined)
})

t.test(
  'INV-99: a revocation spares the root, whoever says it, and the last administrator, and asks for a recent proof',
  async (t) => {
    const at = await renewing(t)
    const { server, administrator, kenya, officer, enrolled, later } = at
    const { root } = administrator.self.account.pins
    t.notOk(
      (await administrator.devices()).some(({ device }) => device === root),
      'the root is nobody’s device',
    )
    t.equal(await code(administrator.directory.revokeDevice(root, server.clock.now())), 'NOT_FOUND')
    const beginning = new Date(server.clock.now().getTime() - 3_600_000)
    const second = await enrolled(administrator, 'Second', 'administrator')
    t.equal(await code(second.directory.revokeDevice(administrator.device, beginning)), 'FORBIDDEN', 'ends who says it')
    t.equal(await code(administrator.directory.revokeDevice(administrator.device)), 'accepted', 'one of two')
    t.equal(await code(second.directory.revokeDevice(second.device)), 'LAST_ADMINISTRATOR')
    await later(0, kenya)
    server.clock.advance(3_600_000)
    t.equal(await code(kenya.directory.revokeDevice(officer.device)), 'STEP_UP_REQUIRED', 'of somebody else')
    await kenya.factors.stepUp({ passphrase })
    t.equal(await code(kenya.directory.revokeDevice(officer.device)), 'accepted')
  },
)

t.test(
  'INV-97: that a device was compromised can be said later, and what fell with it does not come back by renewal',
  async (t) => {
    const at = await renewing(t)
    const { server, administrator, operation, coordinator, kenya, officer, enrolled, later } = at
    server.clock.advance(2_000)
    const since = server.clock.now()
    const puppet = await enrolled(kenya, 'Puppet', 'ncp')
    const through = await enrolled(puppet, 'Through', 'ncp')
    const further = await enrolled(kenya, 'Further', 'ncp')
    await kenya.directory.revokeDevice(kenya.device)
    t.equal(await code(puppet.me()), 'accepted', 'lost is not compromised')
    await administrator.directory.revokeDevice(kenya.device, since)
    for (const one of [puppet, further, through]) t.equal(await code(one.me()), 'SESSION_ENDED')
    const before = await sizes(server)
    await administrator.directory.revokeDevice(kenya.device, new Date(since.getTime() + 500))
    t.same(await entriesSince(server, before), [], 'the earliest time is known already')
    await later(310, administrator, coordinator, officer)
    const due = await administrator.renewals.due()
    for (const fallen of [further, through]) {
      t.notOk(due.some(({ device }) => device === fallen.device))
      const renewed = await anew(administrator.self.device, fallen, server.clock.now())
      t.equal(await bring(administrator, renewed), 'CERTIFICATE_INVALID')
    }
    t.equal(await code(further.signIn({ passphrase })), 'DEVICE_EXPIRED')
    t.equal(await goesOn(at, officer), undefined)
    t.ok(operation)
  },
)

t.test('INV-97: a lost device that had ended is revoked with the others before its person comes back', async (t) => {
  const { administrator, coordinator, server, kenya, officer, later } = await renewing(t)
  await later(360, administrator, coordinator, kenya)
  await administrator.renewals.renew(dueOf(await administrator.renewals.due(), kenya))
  server.clock.advance(10 * day)
  await server.identity.renewals.endOverdue()
  await kenya.signIn({ passphrase })
  const again = () =>
    code(
      kenya.directory.invite({
        person: { id: officer.person, name: 'Amina' },
        organization: kenya.organization,
        tier: 'person',
      }),
    )
  t.equal(await again(), 'DEVICES_LIVE', 'it could be renewed')
  t.equal(await kenya.directory.revokeAll(officer.person), 1)
  t.equal(await again(), 'accepted')
  t.notOk((await kenya.renewals.due()).some(({ device }) => device === officer.device))
})
