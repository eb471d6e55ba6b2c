// What this holds: a certificate ends by an entry, and is renewed for the same keys by somebody
// else who may vouch for the person; what a compromised device vouched for ends with it. What makes
// it fail: a device that acts after its certificate ended, a renewal that somebody gave themselves
// or that has no right, a renewed device that has to begin anew, a revoked one that comes back.
import t from 'tap'
import type { Cordon, DueCertificate } from '../src/client/index.ts'
import {
  generateDeviceSecrets,
  issueCertificate,
  openDevice,
  readCertificate,
  timestamp,
} from '../src/protocol/index.ts'
import { newClient, opened, partyOf, passphrase, takeIn } from './support/actors.ts'
import { entriesSince, sizes } from './support/entries.ts'
import { anew, bring, code, day, dueOf as of, furtherOf, renewing as scene, text } from './support/renewing.ts'
import { startServer } from './support/server.ts'

t.test('INV-96: a certificate is renewed in time, and the device goes on as if nothing had been', async (t) => {
  const { server, administrator, operation, coordinator, kenya, officer, platform, later } = await scene(t)
  const early = await (await officer.follow(operation)).post(text('Under the first certificate.'))
  t.same(await kenya.renewals.due(), [], 'nothing is due in the first months')
  t.equal((await kenya.me()).renewalsDue, 0)
  await later(310, administrator, coordinator, kenya, officer)
  t.equal((await kenya.me()).renewalsDue, 1)
  t.equal((await officer.me()).renewalsDue, 0)
  t.equal(await code(officer.renewals.due()), 'NOT_FOUND')
  const session = await officer.follow(operation)
  await session.ready()
  const before = await sizes(server)
  const due = await kenya.renewals.due()
  t.same(
    due.map(({ person, tier, expired }) => [person.name, tier, expired]),
    [['Amina', 'person', false]],
    'one’s own is not among them',
  )
  const { expiresAt } = await kenya.renewals.renew(of(due, officer))
  t.equal(expiresAt.slice(0, 10), new Date(server.clock.now().getTime() + 365 * day).toISOString().slice(0, 10))
  const entries = (await entriesSince(server, before)).filter(({ kind }) => kind === 'device.certified')
  t.match(
    entries.map(({ subject, details }) => [subject, details.reason]),
    [
      [officer.device, 'renewal'],
      [officer.device, 'renewal'],
    ],
    'in the directory and in the operation',
  )
  const late = await session.post(text('Under the second.'))
  t.same(session.alarms, [])
  for (const reader of [coordinator, kenya]) {
    t.equal((await opened(reader, operation, early.message)).fields['text'], 'Under the first certificate.')
    const { fields, epoch } = await opened(reader, operation, late.message)
    t.same([fields['text'], epoch], ['Under the second.', 1], 'and no key is renewed')
  }
  const newcomer = await partyOf(t, administrator, { kind: 'administration', name: 'Peru', country: 'PE', platform })
  await takeIn(coordinator, operation, newcomer, 'ncp')
  for (const { message } of [early, late]) await opened(newcomer.client, operation, message)
  t.same((await newcomer.client.follow(operation)).alarms, [], 'who reads all of it from the beginning believes both')
  t.equal((await kenya.me()).renewalsDue, 0)
})

t.test(
  'INV-96: what is posted while the renewal is on its way goes out under one certificate or the other',
  async (t) => {
    const { server, administrator, operation, coordinator, kenya, officer, enrolled, later } = await scene(t)
    const second = await enrolled(kenya, 'Second', 'ncp')
    await kenya.operations.admit(operation, { person: second.person, organization: kenya.organization, role: 'ncp' })
    await later(310, administrator, coordinator, kenya, officer, second)
    const session = await officer.follow(operation)
    await session.ready()
    const due = of(await kenya.renewals.due(), officer)
    const posts = Array.from({ length: 20 }, (_, n) => session.post(text(`Number ${String(n)}`)))
    // Renewed by two at once: the later of the two certificates is the one in force.
    server.clock.advance(1)
    const both = await Promise.all([kenya, second].map((one) => code(one.renewals.renew(due))))
    t.ok(both.includes('accepted'), both.join())
    const posted = await Promise.all(posts)
    t.equal(new Set(posted.map(({ index }) => index)).size, 20)
    const reader = await coordinator.follow(operation)
    for (const { message } of posted) await opened(coordinator, operation, message)
    t.same([...session.alarms, ...reader.alarms], [])
    await officer.operations.createCompartment(operation, { name: 'Ports', members: [] }).catch(() => {})
    t.same(session.alarms, [])
  },
)

t.test(
  'INV-97: a certificate ends by an entry, on whichever server, once; and its device comes back renewed',
  async (t) => {
    const { server, administrator, root, operation, coordinator, kenya, officer, later } = await scene(t)
    const beside = await startServer(t, { beside: server })
    await later(364, administrator, coordinator, kenya, officer)
    beside.clock.advance(364 * day)
    await administrator.renewals.renewOwn(root)
    await administrator.renewals.renew(of(await administrator.renewals.due(), coordinator))
    const writing = await coordinator.follow(operation)
    await writing.ready()
    const reading = await officer.follow(operation)
    await opened(officer, operation, (await writing.post(text('While they were there.'))).message)
    const cut = reading.events.once('disconnected', ({ final }) => final !== undefined)
    for (const one of [server, beside]) one.clock.advance(day)
    t.equal(await code(officer.me()), 'accepted', 'not by the clock alone')
    const before = await sizes(server)
    await Promise.all([server, beside, server].map((one) => one.identity.renewals.endOverdue()))
    const entries = await entriesSince(server, before)
    t.same(
      entries
        .filter(({ kind }) => kind === 'device.expired')
        .map(({ subject, log }) => [subject, log === operation])
        .map(String)
        .toSorted(),
      [kenya, officer]
        .flatMap(({ device }) => [
          [device, false],
          [device, true],
        ])
        .map(String)
        .toSorted(),
      'one for each log',
    )
    t.equal((await cut).final?.code, 'SESSION_ENDED')
    for (const one of [kenya, officer]) {
      t.equal(await code(one.me()), 'SESSION_ENDED')
      t.equal(await code(one.signIn({ passphrase })), 'DEVICE_EXPIRED')
      t.equal(await code(one.signIn({ passphrase: 'not this one at all' })), 'SIGN_IN_REFUSED', 'told to nobody else')
    }
    const missed = await writing.post(text('While they were out.'))
    t.equal((await opened(coordinator, operation, missed.message)).epoch, 2, 'sealed without them')
    t.same(
      (await administrator.renewals.due())
        .map(({ device, expired }) => [device, expired])
        .map(String)
        .map(String)
        .toSorted(),
      [kenya, officer]
        .map(({ device }) => [device, true])
        .map(String)
        .map(String)
        .toSorted(),
    )
    await administrator.renewals.renew(of(await administrator.renewals.due(), kenya))
    await kenya.signIn({ passphrase })
    await kenya.renewals.renew(of(await kenya.renewals.due(), officer))
    await officer.signIn({ passphrase })
    for (const one of [kenya, officer]) {
      t.equal((await opened(one, operation, missed.message)).fields['text'], 'While they were out.')
      t.same((await one.follow(operation)).alarms, [])
    }
    await (await officer.follow(operation)).post(text('Back.'))
  },
)

t.test('INV-96: nobody renews without the right to, nor anything else than was there', async (t) => {
  const { server, administrator, root, operation, coordinator, kenya, officer, platform, enrolled, later } =
    await scene(t)
  const second = await enrolled(kenya, 'Second', 'ncp')
  const thailand = await partyOf(t, administrator, {
    kind: 'administration',
    name: 'Thailand',
    country: 'TH',
    platform,
  })
  const other = await enrolled(administrator, 'Other', 'administrator')
  await later(310, administrator, coordinator, kenya, officer, second, thailand.client, other)
  const now = server.clock.now()
  const by = (client: Cordon) => client.self.device
  const due = of(await kenya.renewals.due(), officer)
  const renew = async (client: Cordon, subject: Cordon, change = {}) =>
    bring(client, await anew(by(client), subject, now, change))
  const { keys } = await openDevice(await generateDeviceSecrets())
  const rooted = await openDevice(root)

  t.equal(await renew(kenya, kenya), 'CERTIFICATE_INVALID', 'one’s own')
  t.equal(await renew(officer, officer), 'CERTIFICATE_INVALID')
  t.equal(await renew(second, kenya), 'CERTIFICATE_INVALID', 'of who vouched for oneself')
  t.equal(await renew(other, administrator), 'CERTIFICATE_INVALID', 'a circle')
  t.equal(await code(second.renewals.renew(of(await second.renewals.due(), kenya))), 'CERTIFICATE_REFUSED')
  t.equal(await renew(officer, second), 'CERTIFICATE_INVALID', 'by somebody who vouches for nobody')
  t.equal(await renew(thailand.client, officer), 'NOT_FOUND', 'of another organization')
  t.equal(await renew(coordinator, officer), 'NOT_FOUND')
  t.equal(await renew(kenya, officer, { tier: 'ncp' }), 'NOT_FOUND', 'another tier')
  t.equal(await renew(kenya, officer, { person: second.person }), 'NOT_FOUND', 'another person')
  t.equal(await renew(kenya, officer, { keys }), 'NOT_FOUND', 'other keys')
  const sealed = { sign: officer.self.device.keys.sign, seal: keys.seal }
  t.equal(await renew(kenya, officer, { keys: sealed }), 'NOT_FOUND', 'another sealing key')
  t.equal(await renew(kenya, officer, { days: 401 }), 'CERTIFICATE_INVALID', 'for too long')
  t.equal(await renew(kenya, officer, { days: 40 }), 'CERTIFICATE_INVALID', 'shorter than before')
  t.equal(await bring(second, await anew(by(kenya), officer, now)), 'DEVICE_MISMATCH', 'for another device')
  t.equal(await bring(kenya, await anew(rooted, kenya, now)), 'DEVICE_MISMATCH', 'the root’s by an NCP')
  const forged = await openDevice(await generateDeviceSecrets())
  t.equal(await bring(administrator, await anew(forged, kenya, now)), 'DEVICE_MISMATCH', 'a root of one’s own')
  t.equal(await code(administrator.renewals.renewOwn(await generateDeviceSecrets())), 'CERTIFICATE_REFUSED')
  t.equal(
    await bring(kenya, `${await anew(by(kenya), officer, now)}x`),
    'CERTIFICATE_INVALID',
    'a signature that does not fit',
  )

  const other2 = of(await administrator.renewals.due(), thailand.client)
  const lies: [string, DueCertificate][] = [
    ['another device', { ...due, device: second.device }],
    ['another certificate', { ...due, certificate: other2.certificate, chain: other2.chain }],
    ['never certified', { ...due, certificate: await anew(by(kenya), officer, now, { keys }) }],
  ]
  for (const [what, lie] of lies)
    t.match(await code(kenya.renewals.renew(lie)), /^(CERTIFICATE_REFUSED|DEVICE_HIDDEN)$/, what)

  await kenya.directory.suspend(officer.person, 'Leave.')
  t.notOk(
    (await kenya.renewals.due()).some(({ device }) => device === officer.device),
    'nobody is asked for who sleeps',
  )
  t.equal(await renew(kenya, officer), 'NOT_FOUND')
  await kenya.directory.wake(officer.person, 'Back.')
  await kenya.directory.revokeDevice(second.device)
  t.equal(await renew(kenya, second), 'CERTIFICATE_INVALID', 'a device that was revoked')
  const certificate = await anew(by(kenya), officer, now)
  const before = await sizes(server)
  t.same([await bring(kenya, certificate), await bring(kenya, certificate)], ['accepted', 'accepted'])
  t.equal(
    (await entriesSince(server, before)).filter(({ kind }) => kind === 'device.certified').length,
    2,
    'twice is once, in the directory and in the operation',
  )
  t.equal(await bring(administrator, await anew(rooted, kenya, now)), 'accepted', 'the root’s by an administrator')
  t.ok(operation)
})

t.test('INV-96: a renewal alarms none of the person’s other devices, a device that is new does', async (t) => {
  const { server, administrator, operation, coordinator, kenya, officer, platform, later } = await scene(t)
  const alarmed = async () => {
    const session = await officer.follow(operation)
    await session.ready()
    return session.alarms.map(({ code: of }) => of)
  }
  const inTime = await furtherOf(t, officer, platform)
  const tooLate = await furtherOf(t, officer, platform)
  const renew = async (device: Cordon) => {
    const session = await officer.follow(operation)
    await session.ready()
    const came = session.events.once(
      'entry',
      ({ kind, subject }) => kind === 'device.certified' && subject === device.device,
    )
    await kenya.renewals.renew(of(await kenya.renewals.due(), device))
    await came
  }
  await later(310, administrator, coordinator, kenya, officer)
  await administrator.renewals.renew(of(await administrator.renewals.due(), kenya))
  await renew(officer)
  await renew(inTime)
  t.same(await alarmed(), [], 'in time')
  await later(56, kenya, officer)
  await server.identity.renewals.endOverdue()
  await renew(tooLate)
  t.same(await alarmed(), [], 'after it had ended')
  await inTime.signIn({ passphrase })
  await furtherOf(t, inTime, platform)
  t.same(await alarmed(), ['DEVICE_UNEXPECTED'], 'one that another device of the person vouched for')
})

t.test('INV-96: a further device ends with the one that vouched for it', async (t) => {
  const { server, officer, platform, later } = await scene(t)
  await later(100, officer)
  const further = await furtherOf(t, officer, platform)
  t.equal(further.self.certificate?.expiresAt, officer.self.certificate?.expiresAt)
  const third = await officer.directory.invite({
    person: { id: officer.person, name: 'Amina' },
    organization: officer.organization,
    tier: 'person',
  })
  const device = newClient(t, { platform })
  await device.enrol({ invitation: third.text, passphrase })
  const { keys } = device.self.device
  const { person, organization, tier } = await readCertificate(officer.self.certificate?.jws ?? '')
  const now = server.clock.now()
  const times = { issuedAt: timestamp(now), expiresAt: timestamp(new Date(now.getTime() + 300 * day)) }
  const certificate = await issueCertificate(officer.self.device, { keys, person, organization, tier, ...times })
  t.equal(await code(officer.transport.request('POST', '/v1/certificates', { certificate })), 'CERTIFICATE_INVALID')
})

t.test(
  'INV-97: what a compromised device vouched for since ends with it, and what it vouched for before stands',
  async (t) => {
    const { server, administrator, operation, kenya, officer, enrolled } = await scene(t)
    server.clock.advance(2_000)
    const compromised = server.clock.now()
    const since = await enrolled(kenya, 'Since', 'ncp')
    const through = await enrolled(since, 'Through', 'person')
    const renewing = await enrolled(kenya, 'Vouched again', 'person')
    await administrator.renewals.due()
    const again = await anew(administrator.self.device, renewing, new Date(server.clock.now().getTime() + 60_000))
    t.equal(await bring(administrator, again), 'CERTIFICATE_INVALID', 'administrators vouch for contact points')
    const before = await sizes(server)
    await administrator.directory.revokeDevice(kenya.device, compromised)
    const ended = (await entriesSince(server, before)).filter(({ kind }) => kind === 'device.expired')
    t.match(
      ended.map(({ subject, details }) => `${subject},${String(details.reason)}`).toSorted(),
      [since, through, renewing]
        .map(({ device }) => [device, 'issuer-compromised'])
        .map(String)
        .map(String)
        .toSorted(),
    )
    t.equal(await code(since.me()), 'SESSION_ENDED')
    t.equal(await code(officer.me()), 'accepted', 'certified before')
    t.equal(await code(through.me()), 'SESSION_ENDED', 'vouched for by what the compromised one vouched for')
    const { message } = await (await officer.follow(operation)).post(text('Still here.'))
    t.ok(message)
    const plain = await sizes(server)
    await administrator.directory.revokeDevice(since.device)
    t.notOk(
      (await entriesSince(server, plain)).some(({ kind }) => kind === 'device.expired'),
      'lost is not compromised',
    )
  },
)

t.test(
  'INV-96: a right holder, who sees only some of the log, believes what was signed under either certificate',
  async (t) => {
    const { administrator, operation, coordinator, kenya, officer, platform, later } = await scene(t)
    const company = await partyOf(t, administrator, { kind: 'right-holder', name: 'Company', platform })
    const early = await partyOf(t, administrator, { kind: 'right-holder', name: 'Early', platform })
    await takeIn(coordinator, operation, company, 'right-holder')
    await takeIn(coordinator, operation, early, 'right-holder')
    const compartment = await kenya.operations.createCompartment(operation, {
      name: 'Company',
      members: [officer.person, early.client.person],
    })
    const follow = () => officer.follow(operation)
    const posted = [await (await follow()).post({ ...text('First certificate.'), compartment })]
    await later(310, administrator, coordinator, kenya, officer, company.client, early.client)
    await (await early.client.follow(operation)).ready()
    await kenya.renewals.renew(of(await kenya.renewals.due(), officer))
    posted.push(await (await follow()).post({ ...text('Second certificate.'), compartment }))
    await kenya.operations.addToCompartment(operation, compartment, company.client.person)
    posted.push(await (await follow()).post({ ...text('Seen at once.'), compartment }))
    for (const one of [company.client, early.client]) {
      for (const { message } of posted) await opened(one, operation, message)
      t.same((await one.follow(operation)).alarms, [])
    }
    await coordinator.operations.remove(operation, officer.person)
    const again = newClient(t, { platform })
    const { text: invitation } = await company.client.directory.invite({
      person: { id: company.client.person, name: 'Company officer' },
      organization: company.organization,
      tier: 'ncp',
    })
    await again.enrol({ invitation, passphrase })
    await company.client.directory.certifyWaiting()
    await again.signIn({ passphrase })
    for (const { message } of posted) await opened(again, operation, message)
    t.same((await again.follow(operation)).alarms, [], 'nor where the sender has left meanwhile')
  },
)
