// What this holds: an account that nobody uses sleeps once its person was told 30, 10 and 3 days
// before, each once and in time, on however many servers; whoever signs in stays awake; who is
// needed stays awake; and whoever sleeps is out everywhere until woken. What makes it fail: a
// notice that is skipped after the service was down, a sleep that nobody was told of, a use of the
// account that does not count, two servers that do it twice.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { earliestSleep, nextStep, noticeDays, sleepsAfter, type SleepPlan } from '../src/identity/idleness/schedule.ts'
import { isProblem } from '../src/client/index.ts'
import { verifyAll } from './support/check-log.ts'
import { enrolWith, passphrase } from './support/actors.ts'
import { repository } from './support/architecture.ts'
import { admin } from './support/database.ts'
import { entriesSince, sizes } from './support/entries.ts'
import { day, idleScene, mailsTo, pass, review, setAddress, sleepsAt, subjects } from './support/idle.ts'
import { headerOf } from './support/mail-server.ts'
import { startServer, type TestServer } from './support/server.ts'

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )
const amina = 'amina.otieno@customs.example'
const willSleep = 'Your account will sleep unless you sign in'

const noticesIn = async (server: TestServer, person: string) =>
  (await entriesSince(server))
    .filter(({ kind, subject }) => kind === 'notice.given' && subject === person)
    .map(({ details }) => details)

const isAsleep = (server: TestServer, person: string) =>
  admin(server.database.superUrl, async (client) => {
    const { rows } = await client.query<{ asleep: boolean }>(
      'SELECT asleep_at IS NOT NULL AS asleep FROM person WHERE id = $1',
      [person],
    )
    return rows[0]?.asleep
  })

t.test('INV-107: whatever is missed, nobody sleeps without three notices in time since the last use', (t) => {
  const limit = 90 * day
  const event = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ what: fc.constant('later' as const), hours: fc.integer({ min: 1, max: 24 * 40 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        what: fc.constant('jump' as const),
        hours: fc.integer({ min: -24 * 900, max: 24 * 900 }),
      }),
    },
    { weight: 1, arbitrary: fc.record({ what: fc.constant('used' as const), hours: fc.constant(0) }) },
  )
  let slept = 0
  fc.assert(
    fc.property(fc.array(event, { minLength: 5, maxLength: 60 }), (events) => {
      let now = new Date('2026-01-01T00:00:00Z')
      let idleSince = now
      let plan: SleepPlan | undefined
      let told: { days: number; at: Date; sleepsAt: Date }[] = []
      for (const { what, hours } of events) {
        now = new Date(now.getTime() + hours * 3600_000)
        if (what === 'used') [idleSince, told] = [new Date(Math.max(now.getTime(), idleSince.getTime() + 1)), []]
        const next = nextStep({ idleSince, plan }, now, limit)
        if (next.act === 'notice') {
          const sleepsAt = sleepsAfter({ idleSince, plan }, next.days, now, limit)
          if (next.days === noticeDays[0]) told = []
          told.push({ days: next.days, at: now, sleepsAt })
          plan = { idleSince, days: next.days, sleepsAt, noticedAt: now }
        }
        if (next.act !== 'sleep') continue
        slept++
        const [thirty, ten, three] = told
        if (!thirty || !ten || !three || told.length !== 3) return false
        const apart = (one: Date, other: Date) => (other.getTime() - one.getTime()) / day
        return (
          told.map(({ days }) => days).join() === '30,10,3' &&
          apart(idleSince, now) >= 90 &&
          told.every(
            ({ at, days, sleepsAt }) => apart(at, now) >= days && apart(at, sleepsAt) >= days && sleepsAt <= now,
          ) &&
          earliestSleep({ idleSince, plan }, now, limit) <= now
        )
      }
      return true
    }),
    { numRuns: 2_000 },
  )
  t.ok(slept > 100, `${String(slept)} of them slept`)
  t.end()
})

t.test(
  'INV-107: who does not sign in is told 30, 10 and 3 days before, sleeps, and is out everywhere until woken',
  async (t) => {
    const { server, mail, officer, ncp, others, operation, organization } = await idleScene(t)
    await setAddress({ mail, server }, officer, amina)
    const began = server.clock.now()
    const told: number[] = []
    let asleepOn = 0
    const each = async (n: number) => {
      const mails = (await mailsTo(mail, amina)).filter((one) => headerOf(one, 'Subject') === willSleep)
      while (told.length < mails.length) told.push(n)
      if (asleepOn === 0 && (await isAsleep(server, officer.person))) asleepOn = n
    }
    await pass(59, { servers: [server], using: others, each })
    t.same(told, [], 'nothing before')
    const listed = async () =>
      (await ncp.directory.people(organization)).find(({ person }) => person === officer.person)
    t.equal((await listed())?.sleepsAt?.slice(0, 10), new Date(began.getTime() + 90 * day).toISOString().slice(0, 10))
    for (const one of others) await one.signIn({ passphrase })
    await pass(41, { servers: [server], using: others, each: (n) => each(59 + n) })
    t.same(told, [60, 80, 87])
    t.equal(asleepOn, 90)
    const mails = (await mailsTo(mail, amina)).slice(1)
    t.same(subjects(mails), [willSleep, willSleep, willSleep])
    for (const one of mails) {
      t.ok(Math.abs(sleepsAt(one).getTime() - began.getTime() - 90 * day) < 2 * 60_000, 'each names the same time')
      t.notMatch(one.raw, /Otieno,|Kenya|Operation|Test|T-1/, 'and nothing else')
    }
    t.match(
      await noticesIn(server, officer.person),
      [30, 10, 3].map((days) => ({ notice: 'sleep', days, outcome: 'mailed' })),
    )
    const entries = (await entriesSince(server)).filter(({ subject }) => subject === officer.person)
    for (const kind of ['member.slept', 'person.slept'])
      t.match(
        entries.filter((entry) => entry.kind === kind),
        [{ person: null, details: { reason: 'idle' } }],
        `${kind}, by the service`,
      )
    t.equal(await code(officer.signIn({ passphrase })), 'ACCOUNT_ASLEEP')
    t.match(await listed(), { asleep: true, sleepsAt: null })
    await ncp.signIn({ passphrase })
    t.equal(await code(ncp.operations.wake(operation, officer.person)), 'MEMBER_RULE', 'the account first')
    await ncp.directory.wake(officer.person, 'Back')
    await ncp.operations.wake(operation, officer.person)
    await review(server)
    t.equal(await isAsleep(server, officer.person), false, 'waking begins the time anew')
    const days = await listed()
    t.ok(new Date(days?.sleepsAt ?? 0).getTime() - server.clock.now().getTime() > 89 * day)
    t.equal(await code(officer.signIn({ passphrase })), 'accepted')
  },
)

t.test('INV-107: whoever uses the account stays awake, however late, and is told anew', async (t) => {
  const { server, mail, officer, others } = await idleScene(t)
  await setAddress({ mail, server }, officer, amina)
  const told: number[] = []
  const each = async (n: number) => {
    const mails = (await mailsTo(mail, amina)).filter((one) => headerOf(one, 'Subject') === willSleep)
    while (told.length < mails.length) told.push(n)
  }
  await pass(89, { servers: [server], using: others, each })
  t.same(told, [60, 80, 87])
  await officer.signIn({ passphrase })
  for (const one of others) await one.signIn({ passphrase })
  await pass(85, { servers: [server], using: others, each: (n) => each(89 + n) })
  t.same(told, [60, 80, 87, 89 + 60, 89 + 80])
  t.equal(await isAsleep(server, officer.person), false)
})

t.test('INV-108: two servers that do it at once tell everybody once, and do it once', async (t) => {
  const { server, mail, officer, others } = await idleScene(t)
  const second = await startServer(t, {
    beside: server,
    publicUrl: server.url,
    notices: { url: mail.url, from: 'cordon@service.example' },
  })
  await setAddress({ mail, server }, officer, amina)
  await pass(92, { servers: [server, second], using: others })
  t.equal((await mailsTo(mail, amina)).length, 1 + 3, 'the code and three notices')
  t.equal((await noticesIn(server, officer.person)).length, 3)
  const slept = (await entriesSince(server)).filter(
    ({ kind, subject }) => kind.endsWith('.slept') && subject === officer.person,
  )
  t.equal(slept.length, 2, 'in the directory and in the operation')
})

t.test(
  'INV-107: a service that was down for weeks begins with the first notice, and so does one whose clock jumped',
  async (t) => {
    const { server, mail, officer, others } = await idleScene(t)
    await setAddress({ mail, server }, officer, amina)
    server.clock.advance(1_000 * day)
    await review(server)
    server.clock.advance(-1_000 * day)
    await review(server)
    t.same(subjects(await mailsTo(mail, amina)).slice(1), [willSleep], 'the clock was wrong: one notice, no sleep')
    server.clock.advance(200 * day)
    for (const one of others) await one.signIn({ passphrase })
    const told: number[] = []
    let asleepOn = 0
    const known = (await mailsTo(mail, amina)).length
    await review(server)
    const each = async (n: number) => {
      while (told.length < (await mailsTo(mail, amina)).length - known) told.push(n)
      if (asleepOn === 0 && (await isAsleep(server, officer.person))) asleepOn = n
    }
    await each(0)
    await pass(32, { servers: [server], using: others, each })
    t.same(told, [0, 20, 27])
    t.equal(asleepOn, 30)
  },
)

t.test('INV-109: the last who coordinates and the last who administers stay awake, and it is said', async (t) => {
  const { server, administrator, coordinator, ncp, operation } = await idleScene(t)
  const before = await sizes(server)
  await pass(95, { servers: [server], using: [ncp] })
  t.equal(await isAsleep(server, coordinator.person), false)
  t.equal(await isAsleep(server, administrator.person), false)
  const alarms = async () => (await entriesSince(server, before)).filter(({ kind }) => kind === 'account.alarm')
  t.match(
    new Map((await alarms()).map(({ subject, details }) => [subject, details.reason])),
    new Map([
      [administrator.person, 'last-administrator'],
      [coordinator.person, 'last-coordinator'],
    ]),
  )
  t.equal((await alarms()).length, 2, 'once each')
  await administrator.signIn({ passphrase })
  const organizations = await administrator.directory.organizations()
  const unit = organizations.find(({ kind }) => kind === 'rilo')?.organization ?? ''
  t.match(
    (await administrator.directory.people(unit)).filter(({ person }) => person === coordinator.person),
    [{ asleep: false, needed: true }],
  )
  // Whoever is needed signs in to hand over, and is then idle like others.
  await coordinator.signIn({ passphrase })
  const platform = { clock: () => server.clock.now() }
  const second = await enrolWith(t, coordinator, { name: 'Second', organization: unit, tier: 'ncp', platform })
  await coordinator.operations.admit(operation, { person: second.person, organization: unit, role: 'coordinator' })
  await ncp.signIn({ passphrase })
  await pass(95, { servers: [server], using: [ncp, administrator, second] })
  t.equal(await isAsleep(server, coordinator.person), true)
  t.equal((await alarms()).length, 2)
})

t.test('INV-107: who cannot be told by mail is listed to those who answer for them, who are told', async (t) => {
  const { server, mail, officer, ncp, others, organization } = await idleScene(t)
  const desk = 'desk@customs.example'
  await setAddress({ mail, server }, ncp, desk)
  await pass(92, { servers: [server], using: others })
  t.match(
    await noticesIn(server, officer.person),
    [30, 10, 3].map((days) => ({ days, outcome: 'listed', reason: 'no-address' })),
  )
  t.same(
    subjects(await mailsTo(mail, desk)).slice(1),
    Array.from({ length: 3 }, () => 'Accounts that you look after will sleep'),
  )
  t.match(
    await noticesIn(server, ncp.person),
    Array.from({ length: 3 }, () => ({ notice: 'sleepers', accounts: 1 })),
  )
  t.equal(await isAsleep(server, officer.person), true)
  for (const one of await mailsTo(mail, desk)) t.notMatch(one.raw, /Amina|Otieno|Kenya/)
  t.equal((await ncp.directory.people(organization)).filter(({ asleep }) => asleep).length, 1)
})

t.test('INV-108: one changed value of a planned sleep is found, and so is a row removed or added', async (t) => {
  const { server, officer, administrator, others } = await idleScene(t, { altered: true })
  await pass(61, { servers: [server], using: others })
  t.same((await verifyAll(server)).discrepancies, [])
  const changes = [
    `UPDATE planned_sleep SET sleeps_at = sleeps_at - interval '1 microsecond'`,
    `UPDATE planned_sleep SET idle_since = idle_since - interval '1 day'`,
    `UPDATE planned_sleep SET noticed_at = noticed_at - interval '1 day'`,
    'UPDATE planned_sleep SET days = 3',
    'UPDATE planned_sleep SET kept_at = noticed_at',
    'DELETE FROM planned_sleep',
    `INSERT INTO planned_sleep SELECT '${administrator.person}', idle_since, 3, sleeps_at, noticed_at FROM planned_sleep`,
    `UPDATE person SET woken_at = registered_at WHERE id = '${officer.person}'`,
  ]
  for (const change of changes) {
    const { discrepancies } = await admin(server.database.superUrl, async (client) => {
      await client.query('CREATE TABLE was AS SELECT * FROM planned_sleep')
      t.ok((await client.query(change)).rowCount, change)
      const report = await verifyAll(server)
      await client.query('DELETE FROM planned_sleep')
      await client.query('INSERT INTO planned_sleep SELECT * FROM was')
      await client.query('UPDATE person SET woken_at = NULL')
      await client.query('DROP TABLE was')
      return report
    })
    t.ok(discrepancies.length > 0, change)
  }
  t.same((await verifyAll(server)).discrepancies, [])
})

t.test('who was woken before this version counts from there', async (t) => {
  const { server, officer, ncp } = await idleScene(t)
  await ncp.directory.suspend(officer.person, 'On leave')
  await ncp.directory.wake(officer.person, 'Back')
  await admin(server.database.superUrl, (client) => client.query('UPDATE person SET woken_at = NULL'))
  t.not((await verifyAll(server)).discrepancies.length, 0)
  const migration = await readFile(join(repository, 'migrations/0017_notices.sql'), 'utf8')
  const [statement = ''] = /^UPDATE person SET woken_at[^;]*;/m.exec(migration) ?? []
  await admin(server.database.ownerUrl, (client) => client.query(statement))
  t.same((await verifyAll(server)).discrepancies, [])
})
