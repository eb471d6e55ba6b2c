// What this holds: no one entry, whoever signed it, stops an operation for everybody, and what is
// unsigned or misplaced changes nothing that is sealed or signed. What makes it fail:
// `asProtocolError` in MessageOpener.open answering ProtocolErrors alone; `requireSealKey`,
// `standsAfter`, `requireInOperationChain` or `requireBareEntry` demanding nothing;
// `ViewEntry.signer` left out.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { Cordon, MemoryStore, webPlatform } from '../src/client/index.ts'
import { FileStore } from '../src/client/node/index.ts'
import {
  base64url,
  deriveInvitationKeys,
  digestOf,
  fromBase64url,
  generateDeviceSecrets,
  issueCertificate,
  openDevice,
  parseInvitation,
  requireSealKey,
  signEnrolment,
  signMemberStatement,
  standsAfter,
  utf8,
  type CompartmentId,
  type Device,
  type MemberAct,
  type Plain,
  type PersonId,
} from '../src/protocol/index.ts'
import { opened, partyOf, passphrase, systemClock, takeIn } from './support/actors.ts'
import { alarmOf, alteredOperations, code, text } from './support/altered-operation.ts'
import { kindOf } from './support/altered.ts'
import { checkLog } from './support/check-log.ts'
import { codeOf, rewritten, showAct } from './support/forging.ts'
import { postBytes } from './support/rubbish.ts'
import { usualOperation } from './support/usual-operation.ts'

const newOperation = alteredOperations(t)

const rubbish: readonly [string, Uint8Array][] = [
  ['no JSON', utf8('this is no JSON')],
  ['a list', utf8('[1,2,3]')],
  ['bytes that are no text', Uint8Array.of(0xff, 0xfe, 0x00, 0xc0)],
  ['nothing', new Uint8Array(0)],
  [
    'nested 20,000 deep',
    utf8(`{"form":"text","fields":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)},"attachments":[],"pad":""}`),
  ],
  ['fields that are no object', utf8('{"form":"text","fields":null,"attachments":[],"pad":""}')],
  ['fields of another form', utf8('{"form":"text","fields":{"text":{"deeper":["x"]}},"attachments":[],"pad":""}')],
  ['half of a surrogate pair', utf8('{"form":"text","fields":{"text":"\\ud800"},"attachments":[],"pad":""}')],
]

t.test(
  'INV-118: a body that nobody can read is set aside, and everything after it is read, now and after a restart',
  async (t) => {
    const { server, administrator, coordinator, operation } = await usualOperation(t)
    const store = new MemoryStore()
    const hostile = await partyOf(t, administrator, { kind: 'administration', name: 'Kenya', country: 'KE', store })
    await takeIn(coordinator, operation, hostile, 'ncp')
    const place = await mkdtemp(join(tmpdir(), 'cordon-'))
    t.teardown(() => rm(place, { recursive: true }))
    const file = await FileStore.open(join(place, 'store'), 'a store of fifteen characters')
    const reader = await partyOf(t, administrator, { kind: 'administration', name: 'Peru', country: 'PE', store: file })
    await takeIn(coordinator, operation, reader, 'ncp')
    const session = await reader.client.follow(operation)
    await (await coordinator.follow(operation)).post(text('First.'))
    const refused: string[] = []
    for (const [what, bytes] of rubbish) {
      refused.push((await postBytes({ client: hostile.client, store }, operation, bytes)).id)
      const { message } = await (await coordinator.follow(operation)).post(text(`After ${what}.`))
      t.ok(await opened(reader.client, operation, message), what)
    }
    const shown = refused.filter((id) => session.message(id) !== undefined)
    t.ok(shown.length <= 2, 'what is text of another form is shown with a mark, the rest is not')
    const aside = session.aside.map(({ message }) => message)
    for (const id of refused)
      t.ok(aside.includes(id) || shown.includes(id), 'each is either shown or set aside with a reason')
    for (const { detail } of session.aside) t.match(detail, /\w+ .+\./, 'the reason is a sentence')
    await reader.client.close()
    await file.close()

    const again = new Cordon({
      store: await FileStore.open(join(place, 'store'), 'a store of fifteen characters'),
      platform: webPlatform(systemClock),
    })
    t.teardown(() => again.close())
    await again.load()
    const later = await again.follow(operation)
    await later.ready()
    t.same(
      later.aside.map(({ message }) => message),
      aside,
      'it is still said after a restart',
    )
    const posted = await later.post(text('Everybody goes on.'))
    t.ok(await opened(coordinator, operation, posted.message))
    await checkLog(server)
  },
)

const spoiled: readonly [string, (pub: Uint8Array) => void][] = [
  ['1,216 bytes of 0xFF', (pub) => pub.fill(0xff)],
  ['one coefficient beyond the modulus', (pub) => pub.set([0x01, 0x0d], 0)],
  ['an X25519 key of nought', (pub) => pub.fill(0, 1184)],
  [
    'an X25519 key of small order with its highest bit set',
    (pub) => {
      pub.fill(0, 1184)
      pub.set([1], 1184)
      pub.set([0x80], 1215)
    },
  ],
]

t.test('INV-118: a key that nothing can be sealed to is certified for nobody', async (t) => {
  const { kenya, coordinator, operation, server } = await newOperation()
  const session = await kenya.follow(operation)
  await session.ready()
  for (const [what, spoil] of spoiled) {
    const device = await openDevice(await generateDeviceSecrets())
    const pub = fromBase64url(device.keys.seal.pub)
    spoil(pub)
    const hostile: Device = {
      ...device,
      keys: { sign: device.keys.sign, seal: { ...device.keys.seal, pub: base64url(pub) } },
    }
    t.throws(() => requireSealKey(hostile.keys.seal), { code: 'KEY' }, what)
    const { text: invitation } = await kenya.directory.invite({
      person: { id: kenya.person, name: 'Kenya' },
      organization: kenya.organization,
      tier: 'ncp',
    })
    const { invitation: id, secret } = parseInvitation(invitation)
    const { authenticate, certify } = await deriveInvitationKeys(secret)
    const request = { invitation: id, person: kenya.person, organization: kenya.organization, tier: 'ncp' as const }
    const enrolment = await signEnrolment(hostile, certify, request)
    const body = { ...enrolment, invitation: id, authenticate: base64url(authenticate), passphrase }
    t.equal(await codeOf(kenya.transport.request('POST', '/v1/enrolments', body)), 'ENROLMENT_INVALID', what)
  }
  const posted = await session.post(text('Epochs are opened as ever.'))
  t.ok(await opened(coordinator, operation, posted.message))
  t.ok(server)
})

t.test('INV-118: two clocks that are off by five minutes each leave a certificate that everybody believes', (t) => {
  const at = (minutes: number) => new Date(Date.UTC(2026, 10, 29, 12, minutes)).toISOString()
  t.ok(standsAfter({ at: at(0) }, { issuedAt: at(10) }), 'the issuer fast, the revoker slow')
  t.ok(standsAfter({ at: at(0) }, { issuedAt: at(-5) }))
  t.notOk(standsAfter({ at: at(0) }, { issuedAt: at(11) }))
  t.notOk(standsAfter({ at: at(60), compromisedAt: at(0) }, { issuedAt: at(11) }), 'the time of the compromise counts')
  t.end()
})

t.test('INV-118: a coordinator removes whoever came in by a certificate that nobody believes', async (t) => {
  const { altered, coordinator, kenya, thailand, operation } = await newOperation()
  await coordinator.operations.changeRole(operation, kenya.person, 'officer')
  const session = await kenya.follow(operation)
  await session.ready()
  // Kenya is shown the revocation of the device that certified Thailand's, and then a device by it
  // that is dated later.
  const forged = await openDevice(await generateDeviceSecrets())
  const issuedAt = new Date(Date.now() + 11 * 60_000).toISOString()
  const certificate = await issueCertificate(thailand.self.device, {
    keys: forged.keys,
    person: thailand.person,
    organization: thailand.organization,
    tier: 'ncp',
    issuedAt,
    expiresAt: new Date(Date.now() + 86_400_000).toISOString(),
  })
  const digest = await digestOf(certificate)
  altered.frame = (frame) =>
    kindOf(frame) === 'operation.updated'
      ? rewritten(frame, { kind: 'device.certified', subject: forged.id, digest }, { statement: certificate })
      : frame
  await thailand.directory.revokeDevice(thailand.device)
  await coordinator.operations.update(operation, { name: 'Another name' })
  t.equal((await alarmOf(kenya, operation, 'ENTRY_REFUSED')).reason, 'CERTIFICATE_CHAIN')
  altered.frame = (frame) => frame
  await coordinator.operations.remove(operation, thailand.person)
  while (session.view.member(thailand.person as PersonId)) await sleep(20)
  const posted = await session.post(text('Gone.'))
  t.ok(await opened(coordinator, operation, posted.message))
})

t.test('INV-118: half of a surrogate pair is taken in no name, at no door', async (t) => {
  const { administrator, coordinator, operation, kenya, server } = await newOperation()
  const half = 'Half of \ud83d a pair'
  const doors: readonly (() => Promise<unknown>)[] = [
    () => coordinator.operations.update(operation, { name: half }),
    () => coordinator.operations.createCompartment(operation, { name: half, members: [] }),
    () => administrator.directory.registerOrganization({ kind: 'partner', name: half }),
    () => kenya.directory.invite({ person: { name: half }, organization: kenya.organization, tier: 'person' }),
  ]
  for (const door of doors) t.equal(await codeOf(door()), 'MALFORMED_JSON')
  await coordinator.operations.update(operation, { name: 'A whole \u{1f40d}' })
  await checkLog(server)
})

t.test('INV-118: a right holder reads on after the device that made its compartment has ended', async (t) => {
  const { server, administrator, coordinator, operation } = await usualOperation(t)
  const firm = await partyOf(t, administrator, { kind: 'right-holder', name: 'A firm' })
  await takeIn(coordinator, operation, firm, 'right-holder')
  const ncp = await partyOf(t, administrator, { kind: 'administration', name: 'Kenya', country: 'KE' })
  await takeIn(coordinator, operation, ncp, 'ncp')
  const { person } = ncp.client
  const compartment = await ncp.client.operations.createCompartment(operation, {
    name: 'Firm',
    members: [firm.client.person],
  })
  const second = await enrolFurther(t, ncp.client)
  await ncp.client.close()
  await second.directory.revokeDevice(ncp.client.device)
  const session = await firm.client.follow(operation)
  await session.ready()
  t.ok(session.view.isIn(person as PersonId, compartment as CompartmentId), 'whoever made the compartment is in it')
  const { message } = await (await second.follow(operation)).post({ ...text('From the second device.'), compartment })
  t.ok(await opened(firm.client, operation, message))
  const asked = session.message(message)
  if (!asked) throw new Error('the message was opened')
  const answer = await session.reply(asked, text('Read.'))
  t.ok(await opened(second, operation, answer.message))
  t.same(session.alarms, [])
  await checkLog(server)
})

/** A further device of somebody, certified by the first. */
async function enrolFurther(owner: Parameters<typeof partyOf>[0], first: Cordon): Promise<Cordon> {
  const { text: invitation } = await first.directory.invite({
    person: { id: first.person, name: 'Kenya' },
    organization: first.organization,
    tier: 'ncp',
  })
  const further = new Cordon({ store: new MemoryStore(), platform: webPlatform(systemClock) })
  owner.teardown(() => further.close())
  await further.enrol({ invitation, passphrase })
  await first.directory.certifyWaiting()
  await further.signIn({ passphrase })
  return further
}

t.test('INV-119: an operation begins once, wherever and by whomever a second creation is shown', async (t) => {
  for (const previous of ['newest', 'null'] as const) {
    const { altered, administrator, coordinator, kenya, thailand, operation } = await newOperation()
    const session = await kenya.follow(operation)
    await session.ready()
    const act: Plain<MemberAct> = {
      v: 2,
      operation,
      previous: previous === 'null' ? null : (session.view.head ?? null),
      at: new Date().toISOString(),
      act: 'create-operation',
      history: 'full',
      allHolds: [],
      coordinators: [{ person: thailand.person, organization: thailand.organization }],
    }
    const { device, certificate, chain } = administrator.self
    const statement = await signMemberStatement(device, certificate?.hash ?? '', act)
    const beside = { statement, chain: [certificate, ...chain].map((one) => one?.jws ?? '') }
    const digest = await digestOf(statement)
    let told = false
    altered.frame = (frame) => {
      if (told || kindOf(frame) !== 'operation.updated') return frame
      told = true
      return rewritten(frame, { kind: 'member.admitted', subject: thailand.person, digest }, beside)
    }
    await coordinator.operations.update(operation, { name: `Another name, ${previous}` })
    const alarm = await alarmOf(kenya, operation, 'ENTRY_REFUSED')
    t.equal(alarm.reason, 'MEMBERS_BEGIN', previous)
    t.equal(session.view.member(thailand.person as PersonId)?.role, 'ncp', 'nobody became coordinator by it')
    const posted = await session.post(text('Going on.'))
    t.ok(await opened(coordinator, operation, posted.message))
  }
})

t.test('INV-119: a state that no coordinator signed changes nothing that is signed', async (t) => {
  const { altered, coordinator, kenya, thailand, operation } = await newOperation()
  const session = await kenya.follow(operation)
  await session.ready()
  for (const subject of ['rehearsal', 'reporting', 'draft']) {
    let told = false
    altered.frame = (frame) => {
      if (told || kindOf(frame) !== 'operation.updated') return frame
      told = true
      const { private: _, digest: _digest, ...leaf } = JSON.parse(frame['leaf'] as string) as Record<string, unknown>
      return { ...frame, leaf: JSON.stringify({ ...leaf, kind: 'operation.advanced', subject }) }
    }
    await coordinator.operations.update(operation, { name: `Called ${subject}` })
    while (!session.aside.some(({ reason, index }) => reason === 'STATE_UNSIGNED' && index === session.position))
      await sleep(20)
    t.equal(session.view.state, 'active', subject)
  }
  // Nor one that somebody signed who may not.
  const { device, certificate } = thailand.self
  await showAct(
    { altered, coordinator, kenya, operation, session } as never,
    device,
    certificate?.hash ?? '',
    { act: 'advance', state: 'reporting' },
    'operation.advanced',
    'reporting',
  )
  t.equal((await alarmOf(kenya, operation, 'ENTRY_REFUSED')).code, 'ENTRY_REFUSED')
  t.equal(session.view.state, 'active')
  session.readAgain()
  await session.events.once('caught-up')
  const { message } = await session.post(text('No exercise.'))
  t.equal((await opened(coordinator, operation, message)).exercise, false)
})

t.test('INV-119: whether a message is an exercise is what the state says, whatever it says of itself', async (t) => {
  const { administrator, coordinator, operation } = await usualOperation(t)
  const store = new MemoryStore()
  const sender = await partyOf(t, administrator, { kind: 'administration', name: 'Kenya', country: 'KE', store })
  await takeIn(coordinator, operation, sender, 'ncp')
  await (await coordinator.follow(operation)).post(text('First.'))
  const bytes = utf8('{"form":"text","fields":{"text":"x"},"attachments":[],"pad":""}')
  t.equal(
    await code(postBytes({ client: sender.client, store }, operation, bytes, { exercise: true })),
    'OPERATION_STATE',
  )
  t.equal(await code(postBytes({ client: sender.client, store }, operation, bytes)), 'accepted')
})
