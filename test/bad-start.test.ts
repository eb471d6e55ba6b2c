import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import type { OperationSession } from '../src/client/index.ts'
import { operationOn } from './support/actors.ts'
import { ended, freePort, serve, start, temporary, until, type Service } from './support/command.ts'
import { admin, emptyDatabase, testDatabase } from './support/database.ts'
import { keepOwnPostgres } from './support/postgres.ts'
import type { TestServer } from './support/server.ts'
import { freshId } from './support/wire.ts'

keepOwnPostgres()

// How the service starts, does not start, ends, and comes back. Each refusal says what to do, and
// ends with exit code 1.

type Owner = Parameters<typeof testDatabase>[0]
const refused = (owner: Owner, env: Record<string, string>, args: readonly string[] = ['serve', '--json']) =>
  ended(start(owner, args, env))

t.test('a port in use is named, and what to do', async (t) => {
  const { url } = await testDatabase(t)
  const occupant = createServer().listen(0, '127.0.0.1')
  await once(occupant, 'listening')
  t.teardown(async () => occupant.close())
  const { port } = occupant.address() as AddressInfo
  const done = await refused(t, { DATABASE_URL: url, DATA_DIRECTORY: temporary(t), PORT: String(port) })
  t.equal(done.code, 1)
  t.match(done.json, { error: { code: 'EADDRINUSE' } })
  t.match(done.stderr, `The port ${String(port)} of 127.0.0.1 is in use: choose another port (PORT of a service`)
})

t.test('a broken configuration is told whole, without its secrets', async (t) => {
  const done = await refused(t, {
    DATA_DIRECTORY: temporary(t),
    PORT: 'eighty',
    PUBLIC_URL: 'cordon.example/path',
    LOG_LEVEL: 'loud',
    DATABASE_URL: 'secret-that-is-no-url',
    DATABASE_CONNECTIONS: '0',
    DATABASE_OWNER_URL_FILE: '/nonexistent/owner',
  })
  t.equal(done.code, 1)
  const { error } = done.json as { error: { code: string; faults: string[] } }
  t.equal(error.code, 'CONFIGURATION')
  for (const name of [
    'PORT',
    'PUBLIC_URL',
    'LOG_LEVEL',
    'DATABASE_URL',
    'DATABASE_CONNECTIONS',
    'DATABASE_OWNER_URL',
  ]) {
    t.ok(
      error.faults.some((fault) => fault.startsWith(name)),
      name,
    )
    t.match(done.stderr, name)
  }
  t.notMatch(done.stderr + done.stdout, 'secret-that')
})

t.test('a database that cannot be reached is named, without its password', async (t) => {
  const port = await freePort()
  const env = {
    DATABASE_URL: `postgres://cordon_app:sesame@127.0.0.1:${String(port)}/cordon`,
    DATA_DIRECTORY: temporary(t),
  }
  const [serving, verifying] = await Promise.all([refused(t, env), refused(t, env, ['verify', '--json'])])
  for (const done of [serving, verifying]) {
    t.equal(done.code, 1)
    t.match(done.json, { error: { code: 'DATABASE_UNAVAILABLE' } })
    t.notMatch(done.stderr + done.stdout, 'sesame')
  }
  t.match(serving.stderr, `127.0.0.1:${String(port)}`)
})

t.test('a database that is newer than the program is refused; one that is older says how to migrate', async (t) => {
  const newer = await testDatabase(t)
  await admin(newer.superUrl, (client) =>
    client.query("INSERT INTO schema_migration (name, timestamp) VALUES ('9999_later.sql', now())"),
  )
  const older = await emptyDatabase(t)
  const directory = temporary(t)
  const [serving, verifying, migrating, early] = await Promise.all([
    refused(t, { DATABASE_URL: newer.url, DATA_DIRECTORY: directory }),
    refused(t, { DATABASE_URL: newer.url, DATA_DIRECTORY: directory }, ['verify', '--json']),
    refused(t, { DATABASE_OWNER_URL: newer.ownerUrl }, ['migrate', '--json']),
    refused(t, { DATABASE_URL: older.url, DATA_DIRECTORY: directory }),
  ])
  for (const done of [serving, verifying, migrating]) {
    t.equal(done.code, 1)
    t.match(done.json, { error: { code: 'DATABASE_NEWER', message: /9999_later/ } })
  }
  t.equal(early.code, 1)
  t.match(early.json, { error: { code: 'DATABASE_OLDER', message: /cordon migrate/ } })
  const migrated = await refused(t, { DATABASE_OWNER_URL: older.ownerUrl }, ['migrate', '--json'])
  t.equal(migrated.code, 0, migrated.stderr)
  const service = await serve(t, { DATABASE_URL: older.url, DATA_DIRECTORY: temporary(t) })
  t.match(service.setUpString, /^cordon-set-up:/)
  t.equal(await service.stop(), 0)
})

// Bites: requireRecentPostgres
t.test('a Postgres that is too old is named, and nothing is tried on it', async (t) => {
  const env = { DATABASE_OWNER_URL: await postgresOfVersion(t, 15), DATA_DIRECTORY: temporary(t) }
  const [migrating, serving] = await Promise.all([
    refused(t, env, ['migrate', '--json']),
    refused(t, { ...env, DATABASE_URL: env.DATABASE_OWNER_URL }),
  ])
  for (const done of [migrating, serving]) {
    t.equal(done.code, 1)
    t.match(done.json, { error: { code: 'POSTGRES_TOO_OLD', message: /is Postgres 15; 16 or later is needed/ } })
  }
})

/** Answers "15" to every question, in the protocol of Postgres (version 3.0). */
async function postgresOfVersion(owner: Owner, version: number): Promise<string> {
  const message = (type: string, body: Buffer) => {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(body.length + 4)
    return Buffer.concat([Buffer.from(type), length, body])
  }
  const ready = message('Z', Buffer.from('I'))
  const text = Buffer.from(String(version))
  const column = Buffer.concat([Buffer.from([0, 1]), Buffer.from('version\0'), Buffer.alloc(18)])
  const row = Buffer.concat([Buffer.from([0, 1, 0, 0, 0, text.length]), text])
  const answer = [message('T', column), message('D', row), message('C', Buffer.from('SELECT 1\0')), ready]
  const server = createServer((socket) => {
    socket.once('data', () => {
      socket.write(Buffer.concat([message('R', Buffer.alloc(4)), ready]))
      socket.on('data', (asked) => asked.toString('latin1', 0, 1) === 'Q' && socket.write(Buffer.concat(answer)))
    })
    socket.on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  owner.teardown(async () => server.close())
  return `postgres://somebody:sesame@127.0.0.1:${String((server.address() as AddressInfo).port)}/cordon`
}

/** A service as the SDK's scenes want one. */
const asServer = ({ address, setUpString }: Service) =>
  ({ url: address, setUpString: async () => setUpString ?? undefined }) as unknown as TestServer

const say = (session: OperationSession, text: string) => session.post({ form: 'text', fields: { text } })

async function verified(owner: Owner, env: Record<string, string>): Promise<unknown> {
  const done = await ended(start(owner, ['verify', '--json'], env))
  return done.json['verified'] ?? done.json
}

t.test('after kill -9 everything that was acknowledged is there; SIGTERM ends it cleanly', async (t) => {
  const env = { DATA_DIRECTORY: join(temporary(t), 'data'), PORT: String(await freePort()), LOG_HOST: 'cordon.test' }
  const first = await serve(t, env)
  const beside = await refused(t, { ...env, PORT: '0' })
  t.equal(beside.code, 1)
  t.match(beside.json, { error: { code: 'DATA_DIRECTORY_IN_USE', message: new RegExp(String(first.child.pid)) } })

  const { coordinator, operation } = await operationOn(t, asServer(first))
  const session = await coordinator.follow(operation)
  const acknowledged: string[] = []
  const posting = Promise.all(
    Array.from({ length: 40 }, async (_, n) => acknowledged.push((await say(session, `message ${String(n)}`)).message)),
  )
  await until('some are acknowledged', () => acknowledged.length >= 5)
  const before = [...acknowledged]
  await first.stop('SIGKILL')
  const second = await serve(t, env)
  t.match(second.setUpString, null, 'it has its root')
  await posting
  await until('all came back', () => session.messages.length === 40)
  const there = new Set(session.messages.map(({ id }) => id))
  t.same(
    before.filter((id) => !there.has(id)),
    [],
    'nothing that was acknowledged is lost',
  )
  t.equal(there.size, 40, 'and nothing is there twice')
  t.same(session.alarms, [])
  t.equal(await verified(t, env), true, 'beside the running service')

  await coordinator.close()
  // One press of Ctrl-C below npm arrives as two signals.
  second.child.kill('SIGTERM')
  t.equal(await second.stop('SIGINT'), 0)
  t.match(second.notes(), /^Stopping \(SIG(TERM|INT)\)…$/m)
  t.notMatch(second.notes(), 'Ended at once')
  t.notOk(existsSync(join(env.DATA_DIRECTORY, 'postgres', 'cluster', 'postmaster.pid')), 'its database has ended')
  t.equal(await verified(t, env), true, 'and once it has stopped')
})

// ---- a full disk: a small tmpfs that only the service sees, in a user and mount namespace

const mounted = (directory: string, size: string) => [
  'unshare',
  '--user',
  '--map-root-user',
  '--mount',
  'sh',
  '-c',
  `mount -t tmpfs -o size=${size},mode=700 tmpfs "$1" && shift && exec "$@"`,
  'sh',
  directory,
]

function whyNoMount(directory: string): string | false {
  const [program = '', ...args] = mounted(directory, '1m')
  const { status, error, stderr } = spawnSync(program, [...args, 'true'], { encoding: 'utf8' })
  return status === 0 ? false : `no tmpfs can be mounted here: ${error?.message ?? stderr.trim()}`
}

const place = temporary(t)
const skip = whyNoMount(place)

t.test('a disk that is full at start is named', { skip }, async (t) => {
  const directory = temporary(t)
  const child = start(t, ['serve', '--json'], { DATA_DIRECTORY: directory, PORT: '0' }, mounted(directory, '4m'))
  const done = await ended(child)
  t.equal(done.code, 1)
  t.match(done.stderr, /No space left on device|the disk is full/)
})

t.test('a disk that fills up costs no acknowledged message, and room brings it back', { skip }, async (t) => {
  const directory = temporary(t)
  const env = { DATA_DIRECTORY: join(directory, 'data') }
  const service = await serve(t, env, mounted(directory, '160m'))
  const inside = `/proc/${String(service.child.pid)}/root${directory}`
  const { coordinator, operation } = await operationOn(t, asServer(service))
  const session = await coordinator.follow(operation)
  await say(session, 'while there is room')
  const filler = join(inside, 'filler')
  fill(filler)

  const acknowledged: string[] = []
  const { id, problem } = await postUntilRefused(session, acknowledged)
  t.match(problem, {
    code: 'STORAGE_FULL',
    status: 507,
    advice: /free or add disk space.*repeat the request with its id/,
  })
  t.equal((await fetch(`${service.address}/livez`)).status, 200, 'it lives on')
  rmSync(filler)
  const { message } = await session.post({ ...long, id })
  t.equal(message, id, 'with room the same message is accepted')
  await until('all are there', () => session.messages.length === acknowledged.length + 2)
  const there = new Set(session.messages.map((one) => one.id))
  t.same(
    [...acknowledged, id].filter((one) => !there.has(one)),
    [],
    'nothing that was acknowledged is lost',
  )
  t.same(session.alarms, [])
  await coordinator.close()
  t.equal(await service.stop(), 0)
})

/** Writes a file until the disk takes no more. */
function fill(path: string): void {
  mkdirSync(join(path, '..'), { recursive: true })
  const file = openSync(path, 'w')
  try {
    for (const size of [1 << 20, 1 << 12]) {
      const block = Buffer.alloc(size)
      try {
        for (;;) writeSync(file, block)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      }
    }
  } finally {
    closeSync(file)
  }
}

const long = { form: 'text', fields: { text: 'No room for this. '.repeat(1000) } }

/** Posts one long message after the other until one is refused. */
async function postUntilRefused(session: OperationSession, acknowledged: string[]) {
  for (;;) {
    const id = freshId()
    try {
      acknowledged.push((await session.post({ ...long, id }, 20_000)).message)
    } catch (problem) {
      return { id, problem }
    }
  }
}
