// What this holds: the drill of the runbook. A backup is made while people post; the machine is
// lost; what was backed up is read at once, a newer copy brings back what is missing, and nothing
// that was acknowledged is lost. What is not a whole, verified copy of this service is not taken.
// Bites: `copyOut`, `requireWhole`, `copyIn`, `verifyCopy`, `requireContinued`, `requireNobody`.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, cp, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { isProblem, type Cordon } from '../src/client/index.ts'
import { operationOn, passphrase } from './support/actors.ts'
import { checkLog, logHost } from './support/check-log.ts'
import { ended, freePort, start, temporary } from './support/command.ts'
import { admin, emptyDatabase, testDatabase, type TestDatabase } from './support/database.ts'
import { keepOwnPostgres } from './support/postgres.ts'
import { startServer, temporaryDirectory } from './support/server.ts'

// A restored database is renamed and dropped beside the others.
keepOwnPostgres()

const text = (words: string) => ({ form: 'text', fields: { text: words } })

/** Runs a command on a database as its superuser, with the keys and checkpoints of a directory. */
const run = (t: Test, { database, directory }: Machine, ...args: string[]) =>
  ended(
    start(t, [...args, '--json'], {
      DATA_DIRECTORY: directory,
      DATABASE_OWNER_URL: database.superUrl,
      LOG_HOST: logHost,
    }),
  )

interface Machine {
  readonly database: TestDatabase
  readonly directory: string
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

/** Another machine, with the keys that were kept apart, and the newest checkpoints if left. */
async function machine(t: Test, from: string, checkpoints: 'kept' | 'lost'): Promise<Machine> {
  const directory = temporaryDirectory(t)
  for (const key of ['log.key', 'token.key', 'factor.key']) await copyFile(join(from, key), join(directory, key))
  if (checkpoints === 'kept')
    await cp(join(from, 'checkpoints'), join(directory, 'checkpoints'), { recursive: true, preserveTimestamps: true })
  return { database: await emptyDatabase(t), directory }
}

async function post(client: Cordon, operation: string, many: number): Promise<string[]> {
  const session = await client.follow(operation)
  const posted = Array.from({ length: many }, (_, n) => session.post(text(`Message ${String(n)}.`)))
  return (await Promise.all(posted)).map(({ message }) => message)
}

async function service(t: Test) {
  const [database, directory, port] = [await testDatabase(t), temporaryDirectory(t), await freePort()]
  const server = await startServer(t, { database, directory, port })
  const scene = await operationOn(t, server)
  return { ...scene, lost: { database, directory }, port }
}

t.test('INV-197: a backup that is made while people post is whole, and restored they go on', async (t) => {
  const { server, administrator, coordinator, operation, lost, port } = await service(t)
  const posting = post(coordinator, operation, 60)
  const backup = join(temporary(t), 'backup')
  const made = await run(t, lost, 'backup', backup)
  t.match(made.json, { verified: true, logs: [{ size: Number }, { size: Number }] })
  t.equal(made.code, 0, made.stderr)
  const ids = await posting
  for (const key of ['log.key', 'token.key', 'factor.key'])
    t.notOk(
      (await readdir(backup, { recursive: true })).some((file) => file.endsWith(key)),
      `${key} is not in it`,
    )
  const again = await run(t, lost, 'backup', backup)
  t.match(again.json, { error: { code: 'BACKUP_REFUSED' } }, 'a backup is never written over')
  await coordinator.close()
  await administrator.close()
  await server.close()

  const newest = join(temporary(t), 'newest')
  t.equal((await run(t, lost, 'backup', newest)).code, 0)
  const other = await machine(t, lost.directory, 'kept')
  const restored = await run(t, other, 'restore', newest)
  t.match(restored.json, { behind: [] }, restored.stderr)
  t.equal(restored.code, 0)
  const back = await startServer(t, { ...other, port })
  t.same(back.readOnly, [])
  const session = await coordinator.follow(operation)
  await session.ready(20_000)
  t.equal(await codeOf(session.post(text('As before.'), 20_000)), 'accepted')
  t.same(session.alarms, [])
  t.same(
    ids.filter((id) => session.message(id) === undefined),
    [],
  )
})

t.test('INV-198: an old backup is read at once, and a newer copy brings back all that was acknowledged', async (t) => {
  const { server, administrator, coordinator, operation, lost, port } = await service(t)
  const before = await post(coordinator, operation, 3)
  const old = join(temporary(t), 'old')
  t.equal((await run(t, lost, 'backup', old)).code, 0)
  const after = await post(coordinator, operation, 100)
  await server.logs.covering(operation, (await coordinator.follow(operation)).position)
  await coordinator.close()
  await server.close()
  const newer = join(temporary(t), 'newer')
  t.equal((await run(t, lost, 'backup', newer)).code, 0)

  const other = await machine(t, lost.directory, 'kept')
  const restored = await run(t, other, 'restore', old)
  t.equal(restored.code, 0, restored.stderr)
  const { behind } = restored.json as { behind: { log: string; size: number; published: number }[] }
  t.ok(behind.some(({ log, size, published }) => log === operation && published - size >= 100))
  const copy = await startServer(t, { ...other, port, altered: true })
  await administrator.signIn({ passphrase })
  t.equal(await codeOf(administrator.operations.list()), 'accepted', 'it is read at once')
  const ahead = await coordinator.follow(operation)
  t.equal(await codeOf(ahead.ready(10_000)), 'LOG_SET_BACK')
  const running = await run(t, other, 'restore', newer)
  t.match(running.json, { error: { code: 'BACKUP_REFUSED', message: /stop every server first/ } })
  await copy.close()

  const taken = await run(t, other, 'restore', newer)
  t.equal(taken.code, 0, taken.stderr)
  t.match(taken.json, { behind: [] })
  t.ok((taken.json as { entries: number }).entries >= 100)
  const back = await startServer(t, { ...other, port })
  t.same(back.readOnly, [])
  await ahead.events.once('caught-up')
  t.equal(await codeOf(ahead.post(text('As before.'), 20_000)), 'accepted')
  t.same(ahead.alarms, [])
  t.same(
    [...before, ...after].filter((id) => ahead.message(id) === undefined),
    [],
    'nothing acknowledged is lost',
  )
  const stale = await codeOf(administrator.operations.list())
  t.equal(stale, 'SESSION_ENDED', 'the session of the older copy has ended')
})

t.test('INV-197: the embedded database is backed up while its service runs, and after it was killed', async (t) => {
  const [first, second, port] = [temporary(t), temporary(t), await freePort()]
  const settings = { DATA_DIRECTORY: first, PORT: String(port), LOG_HOST: logHost }
  const serving = start(t, ['serve', '--json'], settings)
  await once(serving.stdout ?? serving, 'data')
  const backup = join(temporary(t), 'backup')
  const made = await ended(start(t, ['backup', backup, '--json'], settings))
  t.equal(made.code, 0, made.stderr)
  t.match(made.json, { verified: true, logs: [{ operation: null, size: 3 }] })
  const taken = await ended(start(t, ['restore', backup, '--json'], settings))
  t.match(
    taken.json,
    { error: { code: 'DATA_DIRECTORY_IN_USE' } },
    'a service that runs is not restored under its feet',
  )
  serving.kill('SIGKILL')
  await once(serving, 'exit')
  const newest = join(temporary(t), 'newest')
  t.equal((await ended(start(t, ['backup', newest, '--json'], settings))).code, 0)
  for (const key of ['log.key', 'token.key', 'factor.key']) await copyFile(join(first, key), join(second, key))
  const restored = await ended(start(t, ['restore', newest, '--json'], { ...settings, DATA_DIRECTORY: second }))
  t.equal(restored.code, 0, restored.stderr)
  t.match(restored.json, { entries: 3, behind: [] })
  t.ok((await readdir(join(second, 'checkpoints'))).length > 0, 'the newest checkpoints came with it')
  const verified = await ended(start(t, ['verify', '--json'], { ...settings, DATA_DIRECTORY: second }))
  t.match(verified.json, { verified: true, entries: 3 })
})

t.test('INV-198: the missing entries come from another database as well', async (t) => {
  const { server, coordinator, administrator, operation, lost } = await service(t)
  const old = join(temporary(t), 'old')
  t.equal((await run(t, lost, 'backup', old)).code, 0)
  const after = await post(coordinator, operation, 5)
  await coordinator.close()
  await administrator.close()
  await server.close()
  const other = await machine(t, lost.directory, 'kept')
  t.equal((await run(t, other, 'restore', old)).code, 0)
  const taken = await run(t, other, 'restore', lost.database.superUrl)
  t.match(taken.json, { behind: [] }, taken.stderr)
  t.same(
    (await readdir(other.directory)).filter((file) => file.startsWith('newer-copy')),
    [],
    'what was copied on the way is gone',
  )
  const stored = await admin(other.database.superUrl, async (client) =>
    (await client.query<{ id: string }>('SELECT id FROM message WHERE id = ANY($1)', [after])).rows.map(({ id }) => id),
  )
  t.equal(stored.length, after.length)
  await checkLog(other)
})

t.test('INV-199: what is not a whole and true copy of this service is not taken', async (t) => {
  const { server, coordinator, administrator, operation, lost } = await service(t)
  await post(coordinator, operation, 2)
  const old = join(temporary(t), 'old')
  t.equal((await run(t, lost, 'backup', old)).code, 0)
  await post(coordinator, operation, 2)
  await coordinator.close()
  await administrator.close()
  await server.close()
  const newer = join(temporary(t), 'newer')
  t.equal((await run(t, lost, 'backup', newer)).code, 0)
  const altered = async (name: string, alter: (directory: string) => Promise<void>) => {
    const directory = join(temporary(t), name)
    await cp(newer, directory, { recursive: true })
    await alter(directory)
    return directory
  }
  const sizes = (machine: Machine) =>
    admin(
      machine.database.superUrl,
      async (client) => (await client.query('SELECT id, size FROM log ORDER BY id')).rows,
    )

  const here = await machine(t, lost.directory, 'kept')
  t.equal((await run(t, here, 'restore', old)).code, 0)
  const unchanged = await sizes(here)
  const refuse = async (why: string, source: string, error: object) => {
    const refused = await run(t, here, 'restore', source)
    t.equal(refused.code, 1, why)
    t.match(refused.json, { error }, why)
    t.same(await sizes(here), unchanged, `${why}: nothing was taken`)
  }
  await refuse('no backup', temporary(t), { code: 'BACKUP_REFUSED' })
  await refuse(
    'a file that was changed',
    await altered('changed', async (directory) => {
      const file = join(directory, 'tables', 'log_entry.copy')
      const bytes = await readFile(file)
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
      await writeFile(file, bytes)
    }),
    { code: 'BACKUP_REFUSED', message: /log_entry\.copy is not the file/ },
  )
  await refuse(
    'a file that is missing',
    await altered('missing', async (directory) => writeFile(join(directory, 'tables', 'body.copy'), '')),
    { code: 'BACKUP_REFUSED' },
  )
  await refuse(
    'another schema',
    await altered('schema', async (directory) => {
      const file = join(directory, 'manifest.json')
      const manifest = JSON.parse(await readFile(file, 'utf8')) as { schema: string[] }
      manifest.schema.pop()
      await writeFile(file, JSON.stringify(manifest))
    }),
    { code: 'BACKUP_REFUSED', message: /restore with the program that made it/ },
  )

  // A database in which an entry was changed, copied without being verified: the manifest is right.
  const tampered = await machine(t, lost.directory, 'kept')
  t.equal((await run(t, tampered, 'restore', newer)).code, 0)
  await admin(tampered.database.superUrl, async (client) => {
    await client.query('SET session_replication_role = replica')
    await client.query(`UPDATE log_private SET salt = $1 WHERE log_id = $2 AND index = 1`, [randomBytes(32), operation])
  })
  const lies = join(temporary(t), 'lies')
  t.equal((await run(t, tampered, 'backup', lies, '--unverified')).code, 0)
  await refuse('a copy that does not verify', lies, { message: /^NOT verified/ })
  const verified = await run(t, tampered, 'backup', join(temporary(t), 'refused'))
  t.equal(verified.code, 1, 'nor is it backed up as verified')

  // A service of its own, with the keys of this one.
  const stranger = { ...(await machine(t, lost.directory, 'lost')), database: await testDatabase(t) }
  const another = await startServer(t, { ...stranger })
  await another.close()
  const strange = join(temporary(t), 'strange')
  t.equal((await run(t, stranger, 'backup', strange)).code, 0)
  await refuse('another service', strange, { code: 'BACKUP_REFUSED' })

  const forward = await run(t, here, 'restore', newer)
  t.equal(forward.code, 0, forward.stderr)
  const back = await run(t, here, 'restore', old)
  t.match(back.json, { error: { code: 'BACKUP_REFUSED', message: /and this database has/ } }, 'never back')
  await checkLog({ database: here.database, directory: here.directory })
})
