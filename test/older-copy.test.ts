// What this holds: a service that was put back to an older copy is read by its members, under the
// rights of that copy, and does nothing else: every act that would be entered is refused with the
// gap. What is read is recorded once the newest state is back, and everybody goes on.
// Bites: `StoppedLogs.why`, `ReadingActs.take`, `KeptReadings.keep`, `endReadingSessions`,
// `momentOf`, `OperationSession.#end`.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isProblem, type Cordon } from '../src/client/index.ts'
import { operationOn, partyOf, passphrase, takeIn } from './support/actors.ts'
import { checkLog } from './support/check-log.ts'
import { freePort } from './support/command.ts'
import { admin, copyOfDatabase, testDatabase } from './support/database.ts'
import { startServer, temporaryDirectory } from './support/server.ts'

const text = (words: string) => ({ form: 'text', fields: { text: words } })

const refusalOf = (promise: Promise<unknown>) =>
  promise.then(
    () => ({ code: 'accepted', extra: {} as Readonly<Record<string, unknown>> }),
    (error: unknown) => (isProblem(error) ? error : { code: String(error), extra: {} }),
  )

const codeOf = async (promise: Promise<unknown>) => (await refusalOf(promise)).code

const sizesIn = (url: string) =>
  admin(url, async (client) => {
    const { rows } = await client.query<{ id: string; size: string }>('SELECT id, size::text FROM log ORDER BY id')
    return Object.fromEntries(rows.map(({ id, size }) => [id, Number(size)]))
  })

const leavesOf = (url: string, log: string, kind: string) =>
  admin(url, async (client) => {
    const asked = `SELECT p.details FROM log_entry e JOIN log_private p USING (log_id, index) WHERE log_id = $1 AND kind = $2 ORDER BY index`
    return (await client.query<{ details: string }>(asked, [log, kind])).rows.map(({ details }) => details)
  })

/** An operation of which a backup was taken before the last messages, and both states of it. */
async function setBack(t: Test) {
  const [database, directory, port] = [await testDatabase(t), temporaryDirectory(t), await freePort()]
  const where = { directory, port, altered: true }
  const first = await startServer(t, { database, ...where })
  const scene = await operationOn(t, first)
  const { administrator, coordinator, operation } = scene
  const kenya = await partyOf(t, administrator, { kind: 'administration', name: 'Kenya', country: 'KE' })
  await takeIn(coordinator, operation, kenya, 'officer')
  const early = await coordinator.follow(operation)
  const posted = await early.post(text('In the backup.'))
  await closeAll(administrator, coordinator, kenya.client)
  await first.close()
  const backup = await copyOfDatabase(t, database)

  const second = await startServer(t, { database, ...where })
  const late = await coordinator.follow(operation)
  for (let n = 0; n < 5; n++) await late.post(text(`Not in the backup: ${String(n)}.`))
  await second.logs.covering(operation, late.position)
  await coordinator.close()
  await second.close()
  return { ...scene, database, backup, where, kenya, posted, members: [administrator, coordinator, kenya.client] }
}

async function closeAll(...clients: readonly Cordon[]): Promise<void> {
  for (const client of clients) await client.close()
}

t.test('INV-195: an older copy is read, names the gap, and takes no act', async (t) => {
  const { backup, where, kenya, administrator, coordinator, operation, posted } = await setBack(t)
  const before = await sizesIn(backup.superUrl)
  const copy = await startServer(t, { database: backup, ...where })
  t.same(copy.readOnly.map(({ log }) => log).sort(), [operation, copy.logs.directory].sort())
  const gap = copy.readOnly.find(({ log }) => log === operation)
  const size = before[operation] ?? 0
  t.match(gap, { size, missing: (gap?.published ?? 0) - size, since: /^20/, until: /^20/ })
  t.ok((gap?.missing ?? 0) >= 5)
  t.ok((gap?.since ?? '') < (gap?.until ?? ''))

  const { client } = kenya
  await client.signIn({ passphrase })
  const session = await client.follow(operation)
  await session.ready(20_000)
  t.same(session.gap, gap, 'the reader is told')
  t.equal(session.status, 'live')
  t.same(
    session.messages.map(({ id }) => id),
    [posted.message],
  )
  t.equal((await client.operations.members(operation)).length, 2)
  const stored = await client.transport.request<{ index: number }>(
    'GET',
    `/v1/operations/${operation}/messages/${posted.message}`,
  )
  t.ok(stored.index < size)
  await client.transport.request('GET', `/v1/operations/${operation}/figures`)
  await session.markRead([posted.message])
  t.same(session.alarms, [], 'a reader who saw no more is not alarmed')

  const refused = await refusalOf(session.post(text('Nobody takes this.'), 20_000))
  t.match(refused, { code: 'LOG_READ_ONLY', extra: gap })
  t.match((refused as { detail?: string }).detail, /entries \d+ to \d+, after 20.+ and before 20/)
  t.equal(await codeOf(administrator.signIn({ passphrase })), 'accepted', 'who comes now reads')
  const acts: [string, () => Promise<unknown>][] = [
    [
      'invite',
      () => administrator.directory.invite({ person: { name: 'X' }, organization: kenya.organization, tier: 'ncp' }),
    ],
    [
      'register',
      () => administrator.directory.registerOrganization({ kind: 'administration', name: 'Ghana', country: 'GH' }),
    ],
    [
      'create',
      () =>
        administrator.operations.create({
          name: 'Another',
          reference: 'T-2',
          timeZone: 'UTC',
          coordinators: [{ person: coordinator.person, organization: coordinator.organization }],
          history: 'full',
        }),
    ],
    ['revoke', () => client.directory.revokeDevice(client.device)],
  ]
  for (const [name, act] of acts) t.equal(await codeOf(act()), 'LOG_READ_ONLY', name)
  await closeAll(client, administrator)
  await copy.close()
  t.same(await sizesIn(backup.superUrl), before, 'no log has moved')
})

t.test('INV-196: once the newest state is back everybody goes on, and what was read is recorded', async (t) => {
  const { database, backup, where, kenya, coordinator, operation, posted, members } = await setBack(t)
  const copy = await startServer(t, { database: backup, ...where })
  const ahead = await coordinator.follow(operation)
  t.equal(await codeOf(ahead.ready(10_000)), 'LOG_SET_BACK', 'who saw more is told')
  const { client } = kenya
  await client.signIn({ passphrase })
  const reading = await client.follow(operation)
  await reading.ready(20_000)
  await reading.markRead([posted.message])
  const sessionOnCopy = client.transport.session
  await copy.close()
  t.match(await readFile(join(where.directory, 'checkpoints.readings'), 'utf8'), /"kind":"feed\.opened"/)

  const back = await startServer(t, { database, ...where, altered: false })
  t.same(back.readOnly, [])
  await ahead.events.once('caught-up')
  t.equal(await codeOf(ahead.post(text('As before.'), 20_000)), 'accepted', 'by itself')
  t.same(ahead.alarms, [], 'nothing is altered, and nobody is alarmed')
  t.equal(ahead.status, 'live')
  t.equal(ahead.gap, undefined)
  const [entered = ''] = await leavesOf(database.superUrl, operation, 'readings.kept')
  const kinds = (JSON.parse(entered) as { readings: { kind: string }[] }).readings.map(({ kind }) => kind)
  for (const kind of ['feed.opened', 'messages.delivered', 'messages.read']) t.ok(kinds.includes(kind), kind)
  const [started = ''] = await leavesOf(database.superUrl, back.logs.directory, 'readings.kept')
  t.match(started, new RegExp(`"kind":"session.started".*${String(sessionOnCopy)}`))
  await t.rejects(readFile(join(where.directory, 'checkpoints.readings')), { code: 'ENOENT' })

  const alter = (reading: boolean) =>
    admin(database.superUrl, (by) =>
      by.query('UPDATE session SET reading = $1 WHERE id = $2', [reading, coordinator.transport.session]),
    )
  await alter(true)
  t.equal(await codeOf(coordinator.operations.list()), 'SESSION_ENDED', 'such a session counts on a copy alone')
  await alter(false)
  t.equal(await codeOf(coordinator.operations.list()), 'accepted')
  await closeAll(...members)
  await back.close()
  await checkLog({ database, directory: where.directory })
})
