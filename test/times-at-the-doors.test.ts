// What this holds: a time that a person typed, or that a program sent, is understood as it was
// meant or refused at every door: the command, the SDK, and the service.
// What makes it fail: a door that takes a time that has passed for a deadline, that reads a day on
// the clock of the machine, or that hands a year to the database which it does not know.
import t, { type Test } from 'tap'
import { isProblem } from '../src/client/index.ts'
import { joinWithDesk, temporary, until, type Desk } from './support/command.ts'
import { everyRole } from './support/roles.ts'
import { usualOperation } from './support/usual-operation.ts'
import { codeOf } from './support/wire.ts'

// Bites: `readTime`, asked by `readQuery`, and the years of `TimeSchema`.
t.test('the service refuses years that no clock of an operation shows', async (t) => {
  const { operation, byRole } = await everyRole(t)
  const { auditor, ncp, coordinator } = byRole
  for (const [name, at] of [
    ['from', '0000-01-01T00:00:00.000Z'],
    ['to', '0000-01-01T00:00:00.000Z'],
    ['from', '0001-01-01T00:00:00.000Z'],
    ['from', '1899-12-31T23:59:59.999Z'],
    ['to', '2200-01-01T00:00:00.000Z'],
    ['to', '9999-12-31T23:59:59.999Z'],
    ['from', '2026-02-30T00:00:00.000Z'],
    ['from', '2026-02-28T24:00:00.000Z'],
    ['from', '2026-02-28T23:59:60.000Z'],
  ]) {
    const asked = new URLSearchParams([[name ?? '', at ?? '']]).toString()
    const answer = await auditor.call('GET', `/v1/logs/${operation.id}/entries?${asked}`)
    t.equal(codeOf(answer), '400 VALIDATION', asked)
  }
  const fine = await auditor.call(
    'GET',
    `/v1/logs/${operation.id}/entries?from=1900-01-01T00:00:00.000Z&to=2199-12-31T23:59:59.999Z`,
  )
  t.equal(fine.status, 200)
  const { entries } = fine.body as { entries: { leaf: string }[] }
  for (const period of [
    'from=1900-01-01T00:00:00Z&to=2199-12-31t23:59:59z',
    'from=1900-01-01T05:30:00%2B05:30&to=2199-12-31T23:59:59.123456789-00:00',
  ]) {
    const answer = await auditor.call('GET', `/v1/logs/${operation.id}/entries?${period}`)
    t.equal(answer.body.entries.length, entries.length + 1, period)
    entries.push(entries[0] ?? { leaf: '' })
  }
  const turned = 'from=2026-03-01T01:00:00%2B02:00&to=2026-02-28T23:00:00Z'
  t.equal(codeOf(await auditor.call('GET', `/v1/logs/${operation.id}/entries?${turned}`)), '400 VALIDATION')
  for (const at of ['0000-01-01T00:00:00.000Z', '2399-01-01T00:00:00.000Z', '2016-12-31T23:59:60Z']) {
    const body = { deputy: coordinator.person, from: at, until: at, reason: 'Away' }
    const answer = await ncp.call('PUT', `/v1/people/${ncp.person}/deputy`, body)
    t.equal(codeOf(answer), '400 VALIDATION', at)
  }
})

// Bites: `isAhead`, which the service asks before it takes a message.
t.test('the service refuses a time for replies that has passed when the message was sent', async (t) => {
  const { operation, byRole } = await everyRole(t)
  const { ncp } = byRole
  const sentAt = new Date().toISOString()
  for (const replyBy of ['1900-01-01T00:00:00.000Z', new Date(Date.parse(sentAt) - 1).toISOString(), sentAt]) {
    const answer = await operation.post(ncp, { payload: { sentAt, replyBy } })
    t.equal(codeOf(answer), '400 STATEMENT_INVALID', replyBy)
    t.match(answer.body, { reason: 'REPLY_BY' })
  }
  for (const replyBy of ['0000-01-01T00:00:00.000Z', '2200-01-01T00:00:00.000Z', '2099-02-30T00:00:00.000Z'])
    t.match((await operation.post(ncp, { payload: { sentAt, replyBy } })).body, { reason: 'TIME' }, replyBy)
  const answer = await operation.post(ncp, { payload: { sentAt, replyBy: '2199-12-31T23:59:59.999Z' } })
  t.equal(answer.status, 201)
})

// Bites: `requireDeadlineAhead` and the deadline in `requireStatable`.
t.test('the SDK refuses a time for replies that has passed, before anything is sealed', async (t) => {
  const { coordinator, operation } = await usualOperation(t)
  const session = await coordinator.follow(operation)
  const text = { form: 'text', fields: { text: 'Answer, please.' } }
  const untyped = ['2026-12-05', 1_796_464_800_000].map((value) => value as unknown as Date)
  const passed = [new Date(0), new Date(Date.now() - 1_000)]
  for (const replyBy of [...passed, new Date('2200-01-01T00:00:00Z'), new Date(Number.NaN), ...untyped]) {
    const refused = await session.post({ ...text, replyBy }).catch((error: unknown) => error)
    t.ok(isProblem(refused, 'FIELDS_INVALID'), String(replyBy))
    t.match(refused, { extra: { faults: [{ pointer: '/replyBy' }] } })
  }
  await t.resolves(session.post({ ...text, replyBy: new Date(Date.now() + 60_000) }))
})

t.test('the command reads times on the clocks of the operation, and says back what it understood', async (t) => {
  const scene = await usualOperation(t)
  await scene.coordinator.operations.update(scene.operation, { timeZone: 'Europe/Brussels' })
  const desk = await joinWithDesk(t, temporary(t), scene, { name: 'kenya', country: 'KE' })
  const session = await scene.coordinator.follow(scene.operation)
  const dueOf = async (...words: string[]) => {
    const done = await desk.run(['post', 'Answer, please.', ...words, '--json'], { TZ: 'Pacific/Kiritimati' })
    t.equal(done.code, 0, done.stderr)
    const id = String(done.json['message'])
    await until('the message is read', () => session.messages.some((one) => one.id === id))
    return { due: session.messages.find((one) => one.id === id)?.replyBy, said: done.stderr }
  }
  const summer = await dueOf('--reply-by', '2098-07-05 10:00')
  t.equal(summer.due, '2098-07-05T08:00:00.000Z')
  t.match(summer.said, /due by Saturday 2098-07-05 10:00, Europe\/Brussels \(UTC\+02:00\)/)
  t.equal((await dueOf('--reply-by', '2098-12-05')).due, '2098-12-05T22:59:59.999Z', 'a day means its end')
  t.equal((await dueOf('--reply-by', '2098-12-05T10:00:00+05:30')).due, '2098-12-05T04:30:00.000Z')
  const before = session.messages.length
  await refuses(t, desk, ['post', 'x', '--reply-by', '2020-01-01'], /has passed/)
  await refuses(t, desk, ['post', 'x', '--reply-by', '2098-10-26 02:30'], /twice. Give 2098-10-26T02:30.*\+02:00 or/)
  await refuses(t, desk, ['post', 'x', '--reply-by', '2098-03-30 02:30'], /straight to 2098-03-30 03:00/)
  t.equal(session.messages.length, before)
  const audit = await desk.run(['audit', '--from', '2026-10-25 02:30', '--to', '2026-10-25 02:30', '--json'])
  t.equal(audit.code, 0, audit.stderr)
  t.match(audit.stderr, /from Sunday 2026-10-25 02:30, .*UTC\+02:00\) up to Sunday 2026-10-25 02:30, .*UTC\+01:00/)
})

async function refuses(t: Test, desk: Desk, args: readonly string[], says: RegExp): Promise<void> {
  const done = await desk.run(args)
  t.equal(done.code, 2, args.join(' '))
  t.match(done.stderr, says)
}
