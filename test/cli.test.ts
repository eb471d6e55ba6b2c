import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Desk, ended, serve, start, temporary, until } from './support/command.ts'

// The whole journey of an operation with the real command, on a real service with its embedded
// database. The end verifies every log.

const directory = temporary(t)
const at = (name: string) => join(directory, name)
const desk = (name: string) => new Desk(t, directory, name)
const administrator = desk('administrator')
const coordinator = desk('coordinator')
const kenya = desk('kenya')
const data = { DATA_DIRECTORY: at('data'), LOG_HOST: 'cordon.test' }

interface Posted {
  readonly index: number
  readonly message: string
}

const subject = 'Scales in timber'
const seizure = {
  country: 'KE',
  date: '2026-11-20',
  items: [{ category: 'wildlife/pangolin/scales', quantity: '1234.5', unit: 'KGM' }],
}

const noWayBack = /is in rehearsal and will be active\. There is no way back\.\n.*say --yes/s

t.test('from an empty service to verified figures', async (t) => {
  const service = await serve(t, data)
  const setUp = service.setUpString ?? ''
  let organization = ''

  t.test('init makes the root, and keeps its secrets in two files', async (t) => {
    const init = ['--organization', 'Secretariat', '--name', 'Ana Silva', '--root-file', at('root.json')]
    const damaged = await administrator.run(['init', setUp.slice(0, -4), ...init, '--json'])
    t.equal(damaged.code, 1)
    t.throws(() => statSync(at('root.json')), 'no secret is left of what was refused')
    const done = await administrator.run(['init', ...init, '--json'], {}, `${setUp}\n`)
    t.equal(done.code, 0, 'the string comes on standard input')
    const made = done.json as { rootFile: string; successorFile: string }
    for (const file of [made.rootFile, made.successorFile]) {
      t.equal(statSync(file).mode & 0o777, 0o600)
      t.match(JSON.parse(readFileSync(file, 'utf8')), { sign: { d: String }, seal: Object })
    }
    t.not(readFileSync(made.rootFile, 'utf8'), readFileSync(made.successorFile, 'utf8'))
  })

  t.test('invited people enrol, wait, and are certified by any command of who invited them', async (t) => {
    await administrator.must('organization', 'add', 'secretariat', 'Coordination unit')
    const add = ['organization', 'add', 'administration', 'Kenya Revenue Authority', '--country', 'ke']
    organization = (await administrator.must<{ organization: string }>(...add)).organization
    const invite = async (name: string, to: string) =>
      (await administrator.must<{ text: string }>('invite', name, '--organization', to, '--tier', 'ncp')).text
    const untold = await administrator.run(['invite', 'Jonas Weber', '--organization', 'coord'])
    t.equal(untold.code, 2)
    t.match(untold.stderr, /^Say --tier for a person of another organization: ncp for its contact point/)
    const enrolling = coordinator.start(['enrol', await invite('Jonas Weber', 'coord'), '--json'])
    const waits = ended(enrolling)
    let said = ''
    enrolling.stderr?.on('data', (chunk) => (said += String(chunk)))
    await until('the newcomer waits', () => said.includes('Ana Silva (Secretariat) has to use cordon once'))
    const invitation = await invite('Wanjiru Kamau', 'Kenya Revenue Authority')
    t.match((await waits).json, { certified: true }, 'certified by the command that invited the next one')
    const empty = await kenya.run(['enrol', '--no-wait'])
    t.equal(empty.code, 2)
    t.match(empty.stderr, /^The invitation is missing: run this on a terminal, or give it on standard input/)
    const enrolled = await kenya.run(['enrol', '-', '--no-wait', '--json'], {}, `${invitation}\n`)
    t.match(enrolled.json, { certified: false })
  })

  t.test('an operation is created, has members and becomes active', async (t) => {
    const create = ['operation', 'create', 'Operation Horizon', '--reference', 'HORIZON']
    const led = ['--time-zone', 'Africa/Nairobi', '--coordinator', 'Coordination unit/Jonas Weber']
    const created = await administrator.run([...create, ...led])
    t.match(created.stderr, /Certified: Wanjiru Kamau \(Kenya Revenue Authority\)/)
    t.match(created.stdout, /Its coordinators are Jonas Weber; you are not in it\./)
    const unknown = await coordinator.run(['operation', 'admit', 'Atlantis Customs'])
    t.match(unknown, { code: 1, stderr: /No organization of the service is called "Atlantis Customs"/ })
    t.match(await coordinator.must('operation', 'admit', 'kenya rev', 'wanjiru', '--role', 'ncp'), { organization })
    await coordinator.must('operation', 'advance', 'rehearsal')
    t.match((await coordinator.run(['operation', 'advance', 'active'])).stderr, noWayBack)
    await coordinator.must('operation', 'advance', 'active', '--yes')
    const shown = await kenya.run(['operation', 'show', '--operation', 'hori'])
    t.match(shown.stdout, /Wanjiru Kamau +ncp/)
  })

  t.test('a message is posted, read, answered and found', async (t) => {
    const { index } = await coordinator.must<Posted>(
      'post',
      'All pangolins.',
      '--subject',
      subject,
      '--precedence',
      'priority',
    )
    const list = await kenya.run(['read'])
    t.match(list.stdout, /1 unread message\. Times in Africa\/Nairobi\./)
    t.match(list.stdout, new RegExp(`${String(index)} +new +${subject} +text +priority +AMBER +Coordination unit`))
    const none = { threads: [], of: 0, unread: 1 }
    t.match(await kenya.must('read', '--urgent'), none)
    t.match(await kenya.must('read', '--from', 'kenya', '--form', 'text'), none)
    t.match(await kenya.must('read', '--since', '2026-01-01', '--from', 'coord', '--unread'), { of: 1 })
    const one = await kenya.run(['read', String(index)])
    t.match(one.stdout, /Coordination unit, Jonas Weber/)
    t.match(one.stdout, / {2}All pangolins\./)
    await kenya.must('post', 'Naïve question about the harbour.', '--reply-to', String(index))
    const threads = [{ number: index, messages: 2, unread: 1 }]
    t.match(await coordinator.must('read'), { unread: 1, threads })
    const found = [{ from: 'Kenya Revenue Authority' }]
    t.match(await coordinator.must('search', 'NAIVE', 'harbour'), { of: 1, found })
    t.match(await kenya.must('read'), { unread: 0 }, 'what was shown is read')
  })

  t.test('figures of reader and service agree; each log verifies, by a member and beside the service', async (t) => {
    writeFileSync(at('seizure.json'), `// of the night shift\n${JSON.stringify(seizure).slice(0, -1)},}`)
    await kenya.must('post', '--form', 'seizure', '--fields', at('seizure.json'))
    const figures = { seizures: 1, totals: [{ unit: 'KGM', quantity: '1234.5' }] }
    t.match(await coordinator.must('figures'), { agree: true, reader: figures, server: figures })
    const [shown, member, beside] = await Promise.all([
      coordinator.run(['figures']),
      kenya.must('verify', '--server'),
      ended(start(t, ['verify', '--json'], data)),
    ])
    t.match(shown.stdout, /Pangolins \(CITES I\) › Scales +1,234\.5 +kilogram/)
    t.match(member, { verified: true, receipts: 2, discrepancies: [] })
    t.equal(beside.code, 0, beside.stderr)
    t.match(beside.json, { verified: true, logs: { length: 2 } })
  })

  t.test('the log is queried: as a table, as JSON Lines and as CSV', async (t) => {
    const messages = ['audit', '--kind', 'message.*', 'epoch.opened']
    const [shown, json] = await Promise.all([
      coordinator.run(messages),
      kenya.run([...messages, '--json', '--limit', '1']),
    ])
    const csv = await coordinator.run([...messages, '--csv', '--from', '2026-01-01'])
    t.match(shown.stdout, /4 entries, newest first, times of Africa\/Nairobi/)
    t.match(shown.stdout, /message\.posted +Wanjiru Kamau \(Kenya Revenue Authority\)/)
    const [line = '', ...more] = json.stdout.trimEnd().split('\n')
    t.same(more, [])
    const { check, ...entry } = JSON.parse(line) as Record<string, unknown> & { check: { leaf: string } }
    t.match(entry, { kind: 'message.posted', details: Object })
    t.match(JSON.parse(check.leaf), { index: entry['index'] })
    t.match(csv.stdout, /^\uFEFF"entry","at","local time","kind",/)
    t.equal(csv.stdout.trimEnd().split('\n').length, 5)
    const wrong: [string, string[], RegExp, number][] = [
      ['a kind that is none', ['--kind', 'no.such'], /no kind of entry "no.such"; there is log\.\*, /, 2],
      ['words in all there is', ['--text', 'harbour'], /Add from \(and to\), or person/, 1],
      ['somebody else without a reason', ['--person', 'wanjiru'], /Say in justification why you look/, 1],
      ['somebody who is not there', ['--person', 'nobody'], /There is no person "nobody" here/, 1],
      ['a day that is none', ['--from', '2026-02-30'], /There is no day 2026-02-30/, 2],
      ['two forms at once', ['--csv', '--json'], /Choose one of --csv and --json/, 2],
      ['the directory', ['--directory'], /auditor of the platform/, 1],
    ]
    for (const [what, args, says, code] of wrong) {
      const done = await coordinator.run(['audit', ...args])
      t.match(done.stderr + done.stdout, says, what)
      t.equal(done.code, code, what)
    }
    const why = ['--person', 'wanjiru', '--justification', 'complaint 17', '--to', '2099-12-31']
    t.match((await coordinator.run(['audit', ...why])).stdout, /Wanjiru Kamau/)
  })

  t.test('without the service: what was opened is found, and the database verifies', async (t) => {
    t.equal(await service.stop(), 0)
    const [searched, stopped] = await Promise.all([
      kenya.must('search', 'pangolins'),
      ended(start(t, ['verify'], data)),
    ])
    t.match(searched, { of: 2 }, 'in a text, and as the parent of a commodity')
    t.equal(stopped.code, 0)
    t.match(stopped.stdout, /Verified: \d+ entries in 2 logs, every row recomputed, 2 checkpoints/)
  })
})
