// What this holds: an organization's duty finds a contact point of it who can act, as long as there
// is one; who is away has a deputy for that time and no longer. What makes it fail: a deputy of
// another organization, one who is away, asleep or gone, two who stand in for each other, a period
// that goes on after its end, somebody else who arranges it, a changed row that nobody finds.
import fc from 'fast-check'
import t from 'tap'
import { isProblem, type Cordon } from '../src/client/index.ts'
import { whoIsOnDuty } from '../src/identity/duty/model.ts'
import { administratorOf, enrolWith, partyOf } from './support/actors.ts'
import { checkLog } from './support/check-log.ts'
import { startClientScene, type MakeClientScene } from './support/client-scenes.ts'
import { seat, temporary } from './support/command.ts'
import { admin } from './support/database.ts'
import { entriesSince, sizes } from './support/entries.ts'
import type { Owner } from './support/scenes.ts'
import { startServer } from './support/server.ts'

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )
const day = 24 * 3_600_000
const nobody = '018f0000-0000-7000-8000-000000000000'
const reason = 'Annual leave'

const makeContactPoints: MakeClientScene<
  'administrator' | 'wanjiru' | 'thai' | 'peter' | 'grace' | 'amina',
  { organization: string }
> = async (owner, server, as) => {
  const administrator = await administratorOf(owner, server, as('administrator'))
  const country = (name: string, of: string, options: ReturnType<typeof as>) =>
    partyOf(owner, administrator, { kind: 'administration', name, country: of, ...options })
  const { client: wanjiru, organization } = await country('Kenya', 'KE', as('wanjiru'))
  const { client: thai } = await country('Thailand', 'TH', as('thai'))
  const join = (name: string, tier: 'ncp' | 'person', options: ReturnType<typeof as>) =>
    enrolWith(owner, wanjiru, { name, organization, tier, ...options })
  const peter = await join('Peter', 'ncp', as('peter'))
  const grace = await join('Grace', 'ncp', as('grace'))
  const amina = await join('Amina', 'person', as('amina'))
  return { clients: { administrator, wanjiru, thai, peter, grace, amina }, made: { organization } }
}

/**
 * Three contact points and an officer of Kenya, and the contact point of Thailand, by the clock of
 * the server.
 */
async function scene(owner: Owner) {
  const { server, clients, made } = await startClientScene(owner, 'contact-points', makeContactPoints, {
    of: (_, on) => ({ platform: { clock: () => on.clock.now() } }),
  })
  const { administrator, wanjiru, thai, peter, grace, amina } = clients
  const { organization } = made
  const names = new Map([
    [wanjiru.person, 'Wanjiru'],
    [peter.person, 'Peter'],
    [grace.person, 'Grace'],
  ])
  const named = (one: { person: string }) => names.get(one.person) ?? '?'
  /** "Peter for Wanjiru", in the order of names. */
  const onDuty = async (asker: Cordon = administrator) =>
    (await asker.directory.duty(organization)).onDuty
      .map((one) => [named(one), ...one.standsInFor.map(named)].join(' for '))
      .sort()
  const at = (days: number) => new Date(server.clock.now().getTime() + days * day)
  const handOver = (from: Cordon, to: Cordon, period: { from?: Date; until?: Date } = {}, by = from) =>
    code(by.directory.handOverDuty(from.person, { deputy: to.person, ...period, reason }))
  return { server, administrator, organization, wanjiru, peter, grace, amina, thai, onDuty, at, handOver }
}

t.test('INV-110: for a leave, and only for it, the deputy is on duty instead', async (t) => {
  const { server, wanjiru, peter, organization, onDuty, at, handOver } = await scene(t)
  t.same(await onDuty(), ['Grace', 'Peter', 'Wanjiru'])
  const period = { from: at(1), until: at(3) }
  t.equal(await handOver(wanjiru, peter, period), 'accepted')
  t.same(await onDuty(), ['Grace', 'Peter', 'Wanjiru'], 'it has not begun')
  t.match((await peter.directory.duty(organization)).handOvers, [
    {
      person: wanjiru.person,
      deputy: { person: peter.person, name: 'Peter' },
      from: period.from.toISOString(),
      until: period.until.toISOString(),
    },
  ])
  const before = await sizes(server)
  server.clock.advance(day)
  t.same(await onDuty(), ['Grace', 'Peter for Wanjiru'])
  server.clock.advance(2 * day)
  t.same(await onDuty(), ['Grace', 'Peter', 'Wanjiru'], 'it is over by the clock alone')
  t.same((await wanjiru.directory.duty(organization)).handOvers, [])
  const entered = (await entriesSince(server, before)).filter(({ kind }) => kind.startsWith('duty.'))
  t.same(entered, [], 'and nobody has to enter that')
  t.equal(await code(wanjiru.directory.takeBackDuty(wanjiru.person)), 'accepted', 'there is nothing to take back')
})

t.test('INV-110: it ends with either of the two, and whoever can act is asked where nobody stands in', async (t) => {
  const { administrator, wanjiru, peter, grace, onDuty, handOver } = await scene(t)
  t.equal(await handOver(wanjiru, peter), 'accepted')
  t.same(await onDuty(), ['Grace', 'Peter for Wanjiru'])
  await grace.directory.suspend(peter.person, 'Why')
  t.same(await onDuty(), ['Grace'], 'a deputy who sleeps stands in no more: the others do')
  await administrator.directory.suspend(grace.person, 'Why')
  t.same(await onDuty(), ['Wanjiru'], 'better somebody on leave than nobody')
  await administrator.directory.wake(peter.person, 'Back')
  t.same(await onDuty(), ['Peter for Wanjiru'])
  await administrator.directory.suspend(wanjiru.person, 'Why')
  t.same(await onDuty(), ['Peter'], 'nobody stands in for whoever cannot come back by themselves')
  await administrator.directory.wake(wanjiru.person, 'Back')
  await administrator.directory.wake(grace.person, 'Back')
  await administrator.directory.revokeDevice(peter.device)
  t.same(await onDuty(), ['Grace'], 'nor does a deputy without a device')
  await administrator.directory.retire(peter.person, 'Left')
  t.same(await onDuty(), ['Grace'])
  await administrator.directory.retire(wanjiru.person, 'Left')
  await administrator.directory.retire(grace.person, 'Left')
  t.same(await onDuty(), [])
})

t.test(
  'INV-111: only contact points of the organization stand in, and only they and administrators say so',
  async (t) => {
    const { server, administrator, organization, wanjiru, peter, grace, amina, thai, onDuty, at, handOver } =
      await scene(t)
    t.equal(await handOver(wanjiru, peter, {}, amina), 'NOT_FOUND', 'an officer arranges nothing')
    t.equal(await handOver(wanjiru, peter, {}, thai), 'NOT_FOUND', 'nor does another organization')
    t.equal(await code(thai.directory.takeBackDuty(wanjiru.person)), 'NOT_FOUND')
    for (const outsider of [amina, thai])
      t.equal(await code(outsider.directory.duty(organization)), 'NOT_FOUND', 'nor look')
    const wrong = (deputy: string) => code(wanjiru.directory.handOverDuty(wanjiru.person, { deputy, reason }))
    for (const [who, deputy] of Object.entries({
      'an officer': amina.person,
      'another organization’s contact point': thai.person,
      'an administrator': administrator.person,
      oneself: wanjiru.person,
      nobody,
    }))
      t.equal(await wrong(deputy), 'DUTY_RULE', who)
    const answers = await Promise.all(
      [thai.person, nobody].map((deputy) =>
        wanjiru.directory.handOverDuty(wanjiru.person, { deputy, reason }).catch((error: unknown) => String(error)),
      ),
    )
    t.equal(answers[0], answers[1], 'who is somebody elsewhere and who does not exist get the same answer')
    t.equal(await handOver(amina, peter, {}, wanjiru), 'DUTY_RULE', 'an officer has no duty to hand over')
    t.equal(await code(administrator.directory.handOverDuty(nobody, { deputy: peter.person, reason })), 'NOT_FOUND')
    t.equal(await handOver(wanjiru, peter, { until: at(-1) }), 'VALIDATION', 'over already')
    t.equal(await handOver(wanjiru, peter, { from: at(3), until: at(2) }), 'VALIDATION', 'over before it begins')
    await wanjiru.directory.suspend(peter.person, 'Why')
    t.equal(await handOver(wanjiru, peter), 'DUTY_RULE', 'nobody asleep')
    t.equal(await handOver(peter, grace, {}, wanjiru), 'DUTY_RULE', 'nor for somebody asleep')
    t.same(await onDuty(), ['Grace', 'Wanjiru'], 'nothing of it counts')
    await wanjiru.directory.wake(peter.person, 'Back')

    const before = await sizes(server)
    t.equal(await handOver(wanjiru, peter, {}, grace), 'accepted', 'another contact point may')
    t.equal(await handOver(wanjiru, grace, { until: at(9) }, administrator), 'accepted', 'and an administrator')
    t.equal(await code(grace.directory.takeBackDuty(wanjiru.person)), 'accepted')
    t.same(await onDuty(), ['Grace', 'Peter', 'Wanjiru'])
    const entered = (await entriesSince(server, before)).filter(({ kind }) => kind.startsWith('duty.'))
    t.match(
      entered.map(({ kind, person, subject, details }) => [kind, person, subject, details.old, details.new]),
      [
        ['duty.handed-over', grace.person, wanjiru.person, null, { deputy: peter.person, until: null }],
        ['duty.handed-over', administrator.person, wanjiru.person, { deputy: peter.person }, { deputy: grace.person }],
        ['duty.taken-back', grace.person, wanjiru.person, { deputy: grace.person }, null],
      ],
    )
  },
)

t.test('INV-112: one step and no circle: nobody is named who is away in that time', async (t) => {
  const { wanjiru, peter, grace, onDuty, at, handOver } = await scene(t)
  const back = (...people: Cordon[]) => Promise.all(people.map((one) => grace.directory.takeBackDuty(one.person)))
  t.equal(await handOver(wanjiru, peter, { from: at(2), until: at(4) }), 'accepted')
  t.equal(await handOver(peter, wanjiru, { from: at(3), until: at(5) }), 'DUTY_RULE', 'not in a circle')
  t.equal(await handOver(peter, wanjiru, { from: at(4), until: at(5) }), 'accepted', 'one after the other is none')
  t.equal(await handOver(grace, wanjiru, { until: at(3) }), 'DUTY_RULE', 'nobody who is away for a part of it')
  t.equal(await handOver(grace, wanjiru), 'DUTY_RULE', 'nor without an end')
  await back(wanjiru, peter)

  t.equal(await handOver(wanjiru, peter), 'accepted')
  t.equal(await handOver(peter, grace), 'accepted', 'a deputy may go away too')
  t.same(await onDuty(), ['Grace for Peter'], 'and the first duty does not follow them: all others have it')
  await back(wanjiru, peter)
  for (let round = 0; round < 5; round++) {
    const outcomes = await Promise.all([handOver(wanjiru, peter), handOver(peter, wanjiru)])
    t.same(outcomes.sort(), ['DUTY_RULE', 'accepted'], 'of two who name each other at once one is refused')
    await back(wanjiru, peter)
  }
})

t.test('what is said again after a lost answer is entered once', async (t) => {
  const { server, wanjiru, peter, grace, at, handOver } = await scene(t)
  const before = await sizes(server)
  const leave = { from: at(1), until: at(2) }
  for (const period of [leave, leave]) t.equal(await handOver(wanjiru, peter, period), 'accepted')
  for (const period of [{}, {}]) t.equal(await handOver(grace, peter, period), 'accepted')
  for (let n = 0; n < 2; n++) await wanjiru.directory.takeBackDuty(wanjiru.person)
  const kinds = (await entriesSince(server, before)).map(({ kind }) => kind).filter((kind) => kind.startsWith('duty.'))
  t.same(kinds, ['duty.handed-over', 'duty.handed-over', 'duty.taken-back'])
})

t.test('INV-113: one changed column of who stands in is found, and so is a row removed or added', async (t) => {
  const { server, wanjiru, peter, grace, handOver } = await scene(t)
  t.equal(await handOver(wanjiru, peter), 'accepted')
  await server.close()
  await checkLog(server)
  const alter = (change: string) => admin(server.database.superUrl, (client) => client.query(change))
  await alter('CREATE SCHEMA beside; CREATE TABLE beside.kept AS SELECT * FROM deputy')
  for (const change of [
    `UPDATE deputy SET deputy_person_id = '${grace.person}'`,
    `UPDATE deputy SET person_id = '${grace.person}'`,
    `UPDATE deputy SET from_at = from_at + interval '1 microsecond'`,
    `UPDATE deputy SET until_at = '2099-01-01'`,
    'DELETE FROM deputy',
    `INSERT INTO deputy VALUES ('${peter.person}', '${wanjiru.person}', '2026-01-01')`,
  ]) {
    await alter(change)
    await t.rejects(checkLog(server), /deputy of [0-9a-f-]{36}: /, change)
    await alter('DELETE FROM deputy; INSERT INTO deputy SELECT * FROM beside.kept')
  }
})

t.test('INV-110: whatever is arranged, a duty finds somebody who can act', (t) => {
  const people = ['a', 'b', 'c', 'd', 'e'].map((person) => ({ person, name: person.toUpperCase() }))
  const id = fc.constantFrom(...people.map(({ person }) => person))
  const time = fc.integer({ min: 0, max: 9 }).map((n) => new Date(n))
  const handOver = fc.record({ person: id, deputy: id, from: time, until: fc.option(time, { nil: undefined }) })
  const handOvers = fc.uniqueArray(handOver, { selector: ({ person }) => person, maxLength: 5 })
  fc.assert(
    fc.property(fc.subarray(people), handOvers, time, (able, arranged, at) => {
      const found = whoIsOnDuty(able, arranged, at)
      const away = arranged.filter(({ from, until }) => from <= at && (until === undefined || at < until))
      const isAway = (person: string) => away.some((one) => one.person === person)
      const everybodyIs = able.every(({ person }) => isAway(person))
      if (!found.every(({ person }) => able.some((one) => one.person === person))) return false
      if ((found.length === 0) !== (able.length === 0)) return false
      if (!everybodyIs && found.some(({ person }) => isAway(person))) return false
      const pairs = found.flatMap(({ person, standsInFor }) => standsInFor.map((one) => `${one.person} ${person}`))
      const standsIn = ({ person, deputy }: { person: string; deputy: string }) =>
        able.some((one) => one.person === person) && found.some((one) => one.person === deputy)
      if (!everybodyIs && !away.filter(standsIn).every((one) => pairs.includes(`${one.person} ${one.deputy}`)))
        return false
      return pairs.every((pair) => away.some(({ person, deputy }) => pair === `${person} ${deputy}`))
    }),
    { numRuns: 1_000 },
  )
  t.end()
})

t.test('with the commands: a leave is arranged, seen in the list, and taken back', async (t) => {
  const administrator = await administratorOf(t, await startServer(t))
  const kenya = { kind: 'administration', name: 'Kenya', country: 'KE' } as const
  const organization = await administrator.directory.registerOrganization(kenya)
  const first = await seat(t, temporary(t), administrator, { name: 'Wanjiru Kamau', organization, tier: 'ncp' })
  const second = await enrolWith(t, first.client, { name: 'Peter Kariuki', organization, tier: 'ncp' })
  await enrolWith(t, first.client, { name: 'Amina Otieno', organization, tier: 'person' })
  await first.leave()
  const deputy = (...args: string[]) => first.desk.run(['person', 'deputy', ...args])
  t.match(await deputy('peter'), { code: 2, stderr: /Give the reason with --reason/ })
  const wrong = await deputy('amina', '--reason', reason)
  t.match(wrong, { code: 1, stderr: /The deputy must be another contact point of the organization who is awake\./ })
  const said = await deputy('peter', '--until', '2099-12-31', '--reason', reason)
  t.match(said, { code: 0, stdout: /Peter Kariuki stands in for Wanjiru Kamau, until Jan 1, 2100, 12:00\sAM\./ })
  const { stdout } = await first.desk.run(['person', 'list'])
  t.match(stdout, /Wanjiru Kamau +active +away until Jan 1, 2100, 12:00\sAM: Peter Kariuki stands in +/)
  t.match(stdout, /Peter Kariuki +active +on duty, also for Wanjiru Kamau +/)
  t.match(stdout, /Amina Otieno +active +(\d{4}-\d{2}-\d{2} +)?…[0-9a-f]{8}/, 'who is no contact point has no duty')
  t.match(await deputy('--back'), { code: 0, stdout: /Wanjiru Kamau is on duty again\./ })
  const { onDuty } = await second.directory.duty(organization)
  t.same(
    onDuty.map(({ name, standsInFor }) => [name, standsInFor.length]),
    [
      ['Peter Kariuki', 0],
      ['Wanjiru Kamau', 0],
    ],
  )
})
