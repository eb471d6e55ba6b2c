// What this holds: an auditor asks with one command each who read a message, who was a member at a
// time and what an organization did, and sees names also of an organization that has left; others
// see no more than their role shows, and each question is in the log.
// What makes it fail: readings that only their server is found by, members from the present rows,
// names of present members alone.
// Bites: `readingEntries`, `readingsWanted`, `pastMembers`, `namesOfOperation`.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { partyOf, takeIn } from './support/actors.ts'
import { joinWithDesk, seat, temporary } from './support/command.ts'
import { usualOperation } from './support/usual-operation.ts'

const directory = temporary(t)
const scene = await usualOperation(t)
const { administrator, coordinator, operation, server } = scene
const kenya = await joinWithDesk(t, directory, scene, { name: 'kenya', country: 'KE' })
const thailand = await partyOf(t, administrator, {
  kind: 'administration',
  name: 'Thai Customs',
  country: 'TH',
  keep: 'none',
})
await takeIn(coordinator, operation, thailand, 'ncp')
const office = await administrator.directory.registerOrganization({ kind: 'rilo', name: 'Audit office' })
const seated = await seat(t, directory, administrator, { name: 'Auditor', organization: office })
await takeIn(coordinator, operation, seated, 'auditor')
await seated.leave()
const auditor = seated.desk

const session = await coordinator.follow(operation)
const first = await session.post({ form: 'text', fields: { text: 'the first' } })
const second = await session.post({ form: 'text', fields: { text: 'the second' } })
const reader = await thailand.client.follow(operation)
await reader.markRead([first.message])
await kenya.must('read', String(second.index))
await sleep(300)
await server.consultation.flush()
const before = new Date().toISOString()
const justification = ['--justification', 'case 2026/17']

interface Readings {
  readonly posted: { readonly index: number }
  readonly readings: readonly { readonly person: string; readonly name: string; readonly how: string; index?: number }[]
}

t.test('who-read finds the readers of a message, by its number and by its id', async (t) => {
  const byNumber = await auditor.must<Readings>('audit', 'who-read', String(first.index))
  t.match(byNumber, {
    operation,
    message: first.message,
    posted: { index: first.index, organizationName: 'Coordination unit' },
    readings: [{ person: thailand.client.person, organizationName: 'Thai Customs', how: 'read' }],
  })
  t.equal(byNumber.readings.length, 1)
  t.same(await auditor.must('audit', 'who-read', first.message, ...justification), byNumber)
  const shown = await auditor.run(['audit', 'who-read', String(second.index)])
  t.match(shown.stdout, /Read by 1 person, times of .*\n\n.*kenya officer \(kenya\)/s)
  for (const line of shown.stdout.split('\n')) t.ok(line.length <= 80, line)
  t.comment(shown.stdout)

  const wrong: [string, RegExp][] = [
    ['0', /Entry 0 of this log posted no message/],
    ['999999', /Entry 999999 of this log posted no message/],
    ['nothing', /"nothing" is no message/],
    ['0198c9a2-0000-7000-8000-000000000000', /has no message 0198c9a2/],
  ]
  for (const [word, says] of wrong) {
    const done = await auditor.run(['audit', 'who-read', word])
    t.match(done.stderr, says, word)
    t.not(done.code, 0)
  }
})

t.test('a message is named by its number where its id is asked, and tables show the number', async (t) => {
  const query = ['audit', '--kind', 'message.*', 'messages.*', '--message']
  const [byNumber, own] = await Promise.all([
    auditor.run([...query, `#${String(first.index)}`]),
    kenya.run([...query, `…${first.message.slice(-8)}`]),
  ])
  const byId = await auditor.run([...query, first.message])
  const entry = new RegExp(`^${String(first.index)} +.*message\\.posted .* #${String(first.index)} `, 'm')
  t.match(byNumber.stdout, entry, byNumber.stderr)
  t.match(byId.stdout, entry)
  t.equal(own.code, 0, own.stderr)
  t.notMatch(byNumber.stdout.replaceAll(/\{.*/g, ''), first.message, 'no whole id stands in a column')
  const none = await auditor.run(['audit', '--message', '999999'])
  t.match(none, { code: 2, stderr: /Entry 999999 of this log posted no message/ })
  const named = await auditor.run([
    'audit',
    '--subject',
    'kenya officer',
    '--kind',
    'member.admitted',
    ...justification,
  ])
  t.match(named.stdout, /1 entry.*member\.admitted/s, named.stderr)
})

t.test('a sender sees who of the present members read a message; a stranger to it does not', async (t) => {
  const own = await kenya.run(['audit', 'who-read', String(first.index)])
  t.equal(own.code, 1, 'another organization sent it')
  const posted = await kenya.must<{ index: number; message: string }>('post', 'from Kenya')
  await reader.ready()
  await reader.markRead([posted.message])
  await sleep(300)
  await server.consultation.flush()
  const read = await kenya.must<Readings>('audit', 'who-read', String(posted.index))
  t.match(read.readings, [{ person: thailand.client.person, how: 'read' }])
})

t.test('readings are found by their reader and by its organization, and a person takes a justification', async (t) => {
  const ask = (...args: string[]) => auditor.run(['audit', ...args, '--json'])
  const indexes = (stdout: string) =>
    stdout
      .trimEnd()
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as { index: number; kind: string })
      .filter(({ kind }) => kind === 'messages.read')
  const person = ['--person', thailand.client.person ?? '']
  const refused = await ask(...person)
  t.equal(refused.code, 1)
  t.match(refused.stdout, /JUSTIFICATION_REQUIRED/)
  const of = indexes((await ask(...person, ...justification)).stdout)
  t.equal(of.length, 2)
  t.same(indexes((await ask('--organization', 'Thai Customs')).stdout), of)
  t.same(indexes((await ask('--organization', 'Coordination unit')).stdout), [], 'who read nothing')
})

interface Members {
  readonly size: number
  readonly state: string | null
  readonly members: readonly {
    readonly name: string
    readonly role: string
    readonly compartments: readonly string[]
  }[]
}

t.test('members says who was one at a time, also of an organization that has left', async (t) => {
  await coordinator.operations.removeOrganization(operation, thailand.organization)
  await until(() => coordinator.operations.members(operation).then((all) => all.length === 3))
  const at = (who: typeof auditor, time: string) => who.must<Members>('audit', 'members', '--at', time)
  const names = ({ members }: Members) => members.map(({ name }) => name).sort()
  const then = await at(auditor, before)
  t.same(names(then), ['Auditor', 'Coordination unit officer', 'Thai Customs officer', 'kenya officer'])
  t.match(
    then.members.find(({ name }) => name === 'kenya officer'),
    { role: 'ncp', compartments: [operation] },
  )
  const now = await at(auditor, new Date().toISOString())
  t.same(names(now), ['Auditor', 'Coordination unit officer', 'kenya officer'])
  t.ok(now.size > then.size)
  t.match(await at(auditor, '2020-01-01'), { size: 0, state: null, members: [] })
  t.same(names(await at(kenya, before)), ['kenya officer'], 'a contact point sees those of its organization')
  const shown = await auditor.run(['audit', 'members', '--at', before])
  t.match(shown.stdout, /4 members; active; .*\n\n.*Thai Customs +Thai Customs officer +ncp +all/s)
  for (const line of shown.stdout.split('\n')) t.ok(line.length <= 80, line)
  t.comment(shown.stdout)
  for (const [time, says] of [
    ['2199-01-01', /lies ahead/],
    ['2026-02-30', /There is no day 2026-02-30/],
  ] as const) {
    const done = await auditor.run(['audit', 'members', '--at', time])
    t.equal(done.code, 2)
    t.match(done.stderr, says)
  }
  const queries = await auditor.run(['audit', '--kind', 'log.queried', '--json'])
  const asked = queries.stdout.split('\n').filter((line) => line.includes('"view":"members"'))
  t.equal(asked.length, 5, 'each question is in the log')
})

t.test('names of people who have left are shown, to those who may ask about them', async (t) => {
  const theirs = ['audit', '--organization', 'Thai Customs', '--kind', 'feed.opened', 'device.*']
  const shown = await auditor.run(theirs)
  t.match(shown.stdout, /Thai Customs officer \(Thai Customs\)/)
  t.notMatch(shown.stdout, new RegExp(thailand.client.person ?? ''))
  const named = await auditor.run(['audit', '--person', 'thai customs officer', ...justification])
  t.equal(named.code, 0, named.stderr)
  t.equal((await auditor.run(['audit', '--person', 'thai customs officer'])).code, 1, 'without a justification')
  const other = await kenya.run(['audit', '--person', 'thai customs officer', ...justification])
  t.match(other.stdout, /: 0 entries, /, 'a contact point finds nothing of another organization')
})

t.test('activity counts what the people of an organization did, one that has left too', async (t) => {
  const shown = await auditor.run(['audit', 'activity', 'Thai Customs'])
  t.match(shown.stdout, /^Thai Customs in Operation Test.*\n1 person, times of .*\n\nThai Customs officer: \d+ acts, /)
  t.match(shown.stdout, /\n +messages\.read +2\n/)
  for (const line of shown.stdout.split('\n')) t.ok(line.length <= 80, line)
  t.comment(shown.stdout)
  const period = ['--from', '2020-01-01', '--to', '2020-12-31']
  const none = await auditor.must('audit', 'activity', 'Thai Customs', ...period)
  t.match(none, { organization: thailand.organization, name: 'Thai Customs', people: [] })
  t.equal((await kenya.run(['audit', 'activity', thailand.organization])).code, 1, 'of another organization')
})

t.test('-v shows whole details, and the directory is shown with names', async (t) => {
  const whole = await auditor.run(['audit', '-v', '--kind', 'messages.read', '--limit', '1'])
  t.match(whole.stdout, /"justifiedBy": "purpose"\n {2}}\n$/)
  t.match((await auditor.run(['audit', '--kind', 'messages.read'])).stdout, /…\n/)
  const platform = await seat(t, directory, administrator, {
    name: 'Auditor of the platform',
    organization: office,
    tier: 'auditor',
  })
  await platform.leave()
  const shown = await platform.desk.run(['audit', '--directory', '--kind', 'session.started'])
  t.match(shown.stdout, /Coordination unit officer/)
  t.comment(shown.stdout.split('\n').slice(0, 5).join('\n'))
})

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let n = 0; n < 100 && !(await holds()); n++) await sleep(50)
}
