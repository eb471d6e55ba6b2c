// What this holds: an address is told nothing before its code came back, stands nowhere but sealed,
// and is shown to its person alone; no stranger is flooded; a notice goes out once whatever fails,
// and what cannot be given is neither lost nor counted as given. What makes it fail: a notice that
// is entered before it was taken over, a failure that is forgotten, an address in an entry, a code
// that can be guessed.
import t from 'tap'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { isProblem } from '../src/client/index.ts'
import { enrolWith, passphrase } from './support/actors.ts'
import { admin } from './support/database.ts'
import { entriesSince, sizes } from './support/entries.ts'
import { codeFor, day, idleScene, mailsTo, pass, review, setAddress, subjects } from './support/idle.ts'
import { headerOf, textOf } from './support/mail-server.ts'
import { needle, searchDatabase } from './support/needles.ts'
import { startServer, type TestServer } from './support/server.ts'

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )
const amina = 'amina.otieno@customs.example'
const minute = 60_000

const noticesIn = async (server: TestServer, person: string) =>
  (await entriesSince(server))
    .filter(({ kind, subject }) => kind === 'notice.given' && subject === person)
    .map(({ details }) => details)

t.test('INV-106: an address counts once its code came back, and no more after it is removed', async (t) => {
  const scene = await idleScene(t)
  const { server, mail, officer, ncp } = scene
  t.same(await officer.notices.show(), { address: null, waiting: null, sends: true })
  t.equal(await code(officer.notices.removeAddress()), 'NOT_FOUND')
  t.equal(await code(officer.notices.confirm('12345678')), 'NOTICE_CODE_WRONG', 'nothing waits')
  const before = await sizes(server)
  await officer.notices.setAddress(amina)
  t.match(await officer.notices.show(), { address: null, waiting: { address: amina } })
  const first = await codeFor(scene, amina)
  const [asked] = await mailsTo(mail, amina)
  t.match(asked && textOf(asked), /If it was not you, do nothing/)
  t.notMatch(asked?.raw, /Amina Otieno|Kenya|Operation/)
  t.equal(await code(ncp.notices.confirm(first)), 'NOTICE_CODE_WRONG', 'another person has nothing that waits')
  t.equal(await code(officer.notices.confirm('1234 567')), 'VALIDATION', 'no code, and no wrong one')
  await officer.notices.confirm(` ${first.slice(0, 4)}\u2011${first.slice(4)}`)
  t.equal(await code(officer.notices.confirm(first)), 'NOTICE_CODE_WRONG', 'once')
  t.match(await officer.notices.show(), { address: { address: amina }, waiting: null })
  t.match(await ncp.notices.show(), { address: null, waiting: null }, 'others do not see it')

  const other = 'a.otieno@elsewhere.example'
  await officer.notices.setAddress(other)
  t.match(
    await officer.notices.show(),
    { address: { address: amina }, waiting: { address: other } },
    'the old one holds',
  )
  await officer.notices.confirm(await codeFor(scene, other))
  t.match(await officer.notices.show(), { address: { address: other }, waiting: null })
  await officer.notices.removeAddress()
  t.same(await officer.notices.show(), { address: null, waiting: null, sends: true })
  const entries = (await entriesSince(server, before)).filter(({ kind }) => kind === 'notice.address-set')
  t.match(
    entries.map(({ subject, person, details }) => [subject, person, details.outcome, details.reason]),
    ['added', 'changed', 'removed'].map((reason) => [officer.person, officer.person, 'accepted', reason]),
  )
  t.notMatch(JSON.stringify(await entriesSince(server)), /otieno@|customs\.example/i)
})

t.test('INV-106: a code is not guessed, not used late, and not the one of before', async (t) => {
  const scene = await idleScene(t)
  const { server, officer } = scene
  await officer.notices.setAddress(amina)
  const first = await codeFor(scene, amina)
  const wrong = first === '00000000' ? '00000001' : '00000000'
  for (let n = 0; n < 5; n++) t.equal(await code(officer.notices.confirm(wrong)), 'NOTICE_CODE_WRONG')
  t.equal(
    await code(officer.notices.confirm(first)),
    'NOTICE_CODE_WRONG',
    'after five wrong ones not the right one either',
  )
  await officer.notices.setAddress(amina)
  const second = await codeFor(scene, amina)
  t.not(second, first)
  t.equal(await code(officer.notices.confirm(first)), 'NOTICE_CODE_WRONG', 'nor that of before')
  server.clock.advance(61 * minute)
  t.equal(await code(officer.notices.confirm(second)), 'NOTICE_CODE_WRONG', 'nor one that is late')
  t.match(await officer.notices.show(), { address: null, waiting: null })
})

t.test('INV-106: of many guesses at once no more than five are looked at', async (t) => {
  const scene = await idleScene(t)
  const { server, officer } = scene
  await officer.notices.setAddress(amina)
  const right = await codeFor(scene, amina)
  const guesses = Array.from({ length: 20 }, (_, n) => String(n).padStart(8, '9'))
  await Promise.all(guesses.filter((one) => one !== right).map((guess) => code(officer.notices.confirm(guess))))
  t.equal(await code(officer.notices.confirm(right)), 'NOTICE_CODE_WRONG')
  const { rows } = await admin(server.database.superUrl, (client) => client.query('SELECT tries FROM notice_address'))
  t.same(rows, [{ tries: 5 }])
})

t.test(
  'INV-106: who has not proven lately who they are changes no address, and nothing else is taken for one',
  async (t) => {
    const { server, officer, mail } = await idleScene(t)
    const put = (address: unknown) => code(officer.transport.request('PUT', '/v1/notices/address', { address }, false))
    for (const bad of [
      'a@b.example\r\nBcc: everybody@c.example',
      'a@b.example, c@d.example',
      'Amina <a@b.example>',
      'a@localhost',
      `${'ж'.repeat(60)}@b.example`,
      7,
      null,
      ['a@b.example'],
    ])
      t.equal(await put(bad), 'VALIDATION', JSON.stringify(bad))
    server.clock.advance(11 * minute)
    t.equal(await put(amina), 'STEP_UP_REQUIRED')
    t.equal(await code(officer.notices.removeAddress()), 'STEP_UP_REQUIRED')
    await officer.factors.stepUp({ passphrase })
    t.equal(await put(amina), 'accepted')
    await server.identity.outbox.deliver()
    t.equal((await mailsTo(mail, amina)).length, 1)
    t.equal(mail.mails.length, 1)
  },
)

t.test(
  'INV-106: no stranger is flooded: three codes a day for an address whoever asks, five for a person',
  async (t) => {
    const { server, mail, officer, ncp, administrator } = await idleScene(t)
    const outcomes: string[] = []
    for (const client of [officer, ncp, administrator, officer, ncp])
      outcomes.push(await code(client.notices.setAddress(amina)))
    t.same(outcomes, ['accepted', 'accepted', 'accepted', 'NOTICE_CODE_LIMIT', 'NOTICE_CODE_LIMIT'])
    t.equal(await code(officer.notices.setAddress(amina.toUpperCase())), 'NOTICE_CODE_LIMIT', 'however it is written')
    const others: string[] = []
    for (let n = 0; n < 6; n++) others.push(await code(officer.notices.setAddress(`stranger${String(n)}@b.example`)))
    t.same(others, [...Array.from({ length: 4 }, () => 'accepted'), 'NOTICE_CODE_LIMIT', 'NOTICE_CODE_LIMIT'])
    await server.identity.outbox.deliver()
    t.ok((await mailsTo(mail, amina)).length <= 3)
    const atOnce = await Promise.all(
      Array.from({ length: 8 }, () => code(administrator.notices.setAddress('crowd@b.example'))),
    )
    t.equal(atOnce.filter((one) => one === 'accepted').length, 3, 'also at once')
    server.clock.advance(day + minute)
    for (const client of [officer]) await client.signIn({ passphrase })
    t.equal(await code(officer.notices.setAddress(amina)), 'accepted', 'on another day again')
  },
)

t.test('INV-106: where no mail server is set nothing is sent, and it is said', async (t) => {
  const { server, officer } = await idleScene(t, { notices: undefined })
  t.match(await officer.notices.show(), { sends: false })
  t.equal(await code(officer.notices.setAddress(amina)), 'NOTICES_OFF')
  t.same(
    (await entriesSince(server)).filter(({ kind }) => kind.startsWith('notice.')),
    [],
  )
})

t.test(
  'INV-106: an address stands in no row, no entry and no line of the service, also where mailing fails; it goes with its person',
  async (t) => {
    const logged: Buffer[] = []
    const logTo = new Writable({
      write(chunk: Buffer, _encoding, done) {
        logged.push(Buffer.from(chunk))
        done()
      },
    })
    const scene = await idleScene(t, { logLevel: 'trace', logTo })
    const { server, mail, officer, ncp, others } = scene
    const planted = 'needle.7f3a9c41e2d8@customs.example'
    const needles = [needle('address', planted), needle('local part', planted.split('@')[0] ?? '')]
    await setAddress(scene, officer, planted)
    const sent = textOf((await mailsTo(mail, planted))[0] ?? { from: '', to: [], secure: false, raw: '' })
    t.match(sent, /\d{8}/)
    await pass(61, { servers: [server], using: others })
    for (const manner of ['no such mailbox', 'relays for nobody', 'try later'] as const) {
      await mail.behave(manner)
      server.clock.advance(7 * day)
      await review(server)
    }
    const { hits, searched } = await searchDatabase(server.database.superUrl, needles)
    t.same(hits, [])
    t.ok(searched > 300)
    const log = Buffer.concat(logged).toString()
    t.match(log, /a notice was not taken over/)
    t.notMatch(log, /needle\.7f3a9c41e2d8/)
    await ncp.signIn({ passphrase })
    await ncp.directory.retire(officer.person, 'Left')
    const { rows } = await admin(server.database.superUrl, (client) => client.query('SELECT * FROM notice_address'))
    t.same(rows, [])
  },
)

t.test('INV-108: a server that takes nothing is waited for, and nobody sleeps meanwhile', async (t) => {
  const scene = await idleScene(t, { logLevel: 'silent' })
  const { server, mail, officer, others } = scene
  await setAddress(scene, officer, amina)
  await pass(59, { servers: [server], using: others })
  await mail.stop()
  for (const one of others) await one.signIn({ passphrase })
  await pass(50, { servers: [server], using: others })
  t.same(await noticesIn(server, officer.person), [], 'what nobody took over was not given')
  t.match(
    await code(officer.notices.show()),
    /SESSION_ENDED|UNAUTHENTICATED/,
    'the session is over, and not the account',
  )
  await mail.restart()
  const given = server.clock.now()
  await pass(1, { servers: [server], using: others })
  t.match(await noticesIn(server, officer.person), [{ days: 30, outcome: 'mailed' }])
  const [{ sleepsAt }] = (await noticesIn(server, officer.person)) as [{ sleepsAt: string }]
  t.ok(new Date(sleepsAt).getTime() - given.getTime() >= 30 * day, 'and is as early as it would have been')
  t.equal(await code(officer.signIn({ passphrase })), 'accepted')
})

t.test('INV-108: what fails waits longer each time, and no attempt is made before', async (t) => {
  const scene = await idleScene(t, { logLevel: 'silent' })
  const { server, mail, officer } = scene
  await mail.behave('try later')
  const attempts = async () => {
    const { rows } = await admin(server.database.superUrl, (client) =>
      client.query<{ attempts: number }>('SELECT attempts FROM notice'),
    )
    return rows[0]?.attempts
  }
  await officer.notices.setAddress(amina)
  await server.identity.outbox.deliver()
  t.equal(await attempts(), 1)
  const seen: (number | undefined)[] = []
  for (let n = 0; n < 12; n++) {
    server.clock.advance(minute)
    await server.identity.outbox.deliver()
    seen.push(await attempts())
  }
  t.same(seen, [2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4])
  await mail.behave('takes')
  server.clock.advance(10 * minute)
  await officer.notices.confirm(await codeFor(scene, amina))
})

t.test(
  'INV-108: a mailbox that does not exist is not waited for: those who answer for the person are told',
  async (t) => {
    const scene = await idleScene(t)
    const { server, mail, officer, ncp, others } = scene
    const desk = 'desk@customs.example'
    await setAddress(scene, officer, amina)
    await setAddress(scene, ncp, desk)
    await mail.behave('no such mailbox')
    await pass(60, { servers: [server], using: others })
    t.match(await noticesIn(server, officer.person), [{ days: 30, outcome: 'listed', reason: 'address-refused' }])
    await mail.behave('takes')
    await pass(20, { servers: [server], using: others })
    t.match(
      await noticesIn(server, officer.person),
      [{ days: 30 }, { days: 10, outcome: 'mailed' }],
      'it is tried again',
    )
  },
)

t.test(
  'INV-108: a server that dies having taken a notice gets it again, as the same letter, and it is entered once',
  async (t) => {
    const scene = await idleScene(t, { logLevel: 'silent' })
    const { server, mail, officer, others } = scene
    await setAddress(scene, officer, amina)
    await pass(59, { servers: [server], using: others })
    await mail.behave('dies having taken')
    await pass(1, { servers: [server], using: others })
    await mail.gone()
    t.same(await noticesIn(server, officer.person), [])
    await mail.restart()
    server.clock.advance(2 * minute)
    await review(server)
    const notices = (await mailsTo(mail, amina)).slice(1)
    t.equal(notices.length, 2)
    t.equal(new Set(notices.map((one) => headerOf(one, 'Message-ID'))).size, 1, 'a reader can tell')
    t.equal((await noticesIn(server, officer.person)).length, 1)
  },
)

t.test('INV-108: a database that goes away while a notice is under way leaves it to be given', async (t) => {
  const scene = await idleScene(t, { logLevel: 'silent' })
  const { server, mail, officer, others } = scene
  await setAddress(scene, officer, amina)
  await pass(59, { servers: [server], using: others })
  server.clock.advance(day)
  await server.identity.idleness.review()
  await mail.behave('slow')
  const delivering = server.identity.outbox.deliver().then(
    () => 'given',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
  )
  while (mail.mails.length < 2) await sleep(10)
  await admin(server.database.superUrl, (client) =>
    client.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = $1`,
      [server.database.name],
    ),
  )
  t.equal(await delivering, 'DATABASE_UNAVAILABLE')
  t.same(await noticesIn(server, officer.person), [], 'it was taken over, and nobody entered it')
  await mail.behave('takes')
  await server.identity.outbox.deliver()
  const notices = (await mailsTo(mail, amina)).slice(1)
  t.equal(new Set(notices.map((one) => headerOf(one, 'Message-ID'))).size, 1)
  t.equal((await noticesIn(server, officer.person)).length, 1)
})

t.test('INV-108: a stop waits for a letter that is under way, and not for a server that is silent', async (t) => {
  for (const [manner, given] of [
    ['slow', 1],
    ['silent', 0],
  ] as const) {
    const scene = await idleScene(t, { logLevel: 'silent' })
    const { server, mail, officer, others } = scene
    await setAddress(scene, officer, amina)
    await pass(59, { servers: [server], using: others })
    server.clock.advance(day)
    await server.identity.idleness.review()
    await mail.behave(manner)
    server.identity.outbox.hurry()
    while (mail.mails.length < 2) await sleep(10)
    const began = Date.now()
    await server.close()
    t.ok(Date.now() - began < 10_000, manner)
    t.equal((await noticesIn(server, officer.person)).length, given, manner)
  }
})

t.test('INV-108: while one server gives a notice, another gives the next', async (t) => {
  const { server, mail, officer, ncp } = await idleScene(t)
  const second = await startServer(t, {
    beside: server,
    publicUrl: server.url,
    notices: { url: mail.url, from: 'cordon@service.example' },
  })
  await mail.behave('slow')
  await officer.notices.setAddress(amina)
  await ncp.notices.setAddress('desk@customs.example')
  await Promise.all([server, second].flatMap(({ identity }) => [identity.outbox.deliver(), identity.outbox.deliver()]))
  t.same((await mailsTo(mail, amina)).length, 1)
  t.same((await mailsTo(mail, 'desk@customs.example')).length, 1)
})

t.test(
  'INV-108: when an operation starts, those who may wake who sleeps in it are told how many, and nobody else',
  async (t) => {
    const scene = await idleScene(t)
    const { server, mail, coordinator, ncp, officer, administrator, organization, operation } = scene
    const platform = { clock: () => server.clock.now() }
    const address = {
      ncp: 'desk@customs.example',
      officer: amina,
      second: 'second@unit.example',
      coordinator: 'first@unit.example',
      administrator: 'administrator@service.example',
    }
    const unit = coordinator.organization
    const second = await enrolWith(t, coordinator, { name: 'Second', organization: unit, tier: 'ncp', platform })
    await coordinator.operations.admit(operation, { person: second.person, organization: unit, role: 'coordinator' })
    const another = await enrolWith(t, ncp, { name: 'Another', organization, tier: 'person', platform })
    await ncp.operations.admit(operation, { person: another.person, organization, role: 'officer' })
    for (const [client, to] of [
      [ncp, address.ncp],
      [officer, address.officer],
      [second, address.second],
      [coordinator, address.coordinator],
      [administrator, address.administrator],
    ] as const)
      await setAddress(scene, client, to)
    const needed = async () =>
      Object.fromEntries(
        await Promise.all(
          Object.entries(address).map(async ([who, to]) => [who, subjects(await mailsTo(mail, to)).slice(1)] as const),
        ),
      )
    await coordinator.operations.advance(operation, 'rehearsal')
    await review(server)
    const nobody = { ncp: [], officer: [], second: [], coordinator: [], administrator: [] }
    t.same(await needed(), nobody, 'nobody sleeps')
    await coordinator.operations.advance(operation, 'draft')
    await ncp.directory.suspend(another.person, 'On leave')
    await coordinator.operations.advance(operation, 'rehearsal')
    await review(server)
    const subject = 'Accounts that you look after sleep and may be needed'
    t.same(await needed(), { ...nobody, ncp: [subject], second: [subject] }, 'whoever moved it sees it in the answer')
    const [, told] = await mailsTo(mail, address.ncp)
    t.match(told && textOf(told), /You can wake one account/)
    t.notMatch(told?.raw, /Another|Kenya|Operation Test|T-1/)
    t.match(await noticesIn(server, ncp.person), [{ notice: 'needed', accounts: 1, outcome: 'mailed' }])
    await coordinator.operations.advance(operation, 'draft')
    await coordinator.operations.advance(operation, 'rehearsal')
    await review(server)
    t.same(await needed(), { ...nobody, ncp: [subject], second: [subject] }, 'to and fro writes no further mail')
    server.clock.advance(7 * 60 * minute)
    await coordinator.operations.advance(operation, 'active')
    await review(server)
    t.same((await needed())['ncp'], [subject, subject], 'when it becomes active again')
  },
)
