import { spawn } from 'node:child_process'
import { readFileSync, statSync } from 'node:fs'
import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { sql } from 'kysely'
import t from 'tap'
import {
  answers,
  checkDurability,
  createNotifier,
  isConnectionError,
  listen,
  isKept,
  migrate,
  migrationDirectory,
  notifiedLogs,
  openDatabase,
  requireServable,
  schemaVersion,
  startEmbedded,
  transaction,
  violatedConstraint,
  type Database,
  type Tx,
} from '../src/db/index.ts'
import { Problem } from '../src/errors.ts'
import { admin, emptyDatabase, privatePostgres, testDatabase, withDatabase } from './support/database.ts'
import { patchedFile } from './support/patched.ts'
import { keepOwnPostgres } from './support/postgres.ts'

keepOwnPostgres()

type Test = Pick<typeof t, 'teardown'>

function open(t: Test, connectionString: string): Database {
  const db = openDatabase({ connectionString, onError: () => {}, connectTimeoutMs: 1_000 })
  t.teardown(() => db.close())
  return db
}

// A process that has ended stays listed until its parent asks for it.
function lives(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

async function until(what: () => boolean | Promise<boolean>, patience = 10_000): Promise<boolean> {
  for (let waited = 0; waited < patience; waited += 10) {
    if (await what()) return true
    await sleep(10)
  }
  return false
}

t.test('a migrated database can be served from, by cordon_app alone', async (t) => {
  const { url, ownerUrl, superUrl } = await testDatabase(t)
  await requireServable(open(t, url))
  await t.rejects(requireServable(open(t, superUrl)), { code: 'DATABASE_ROLE' })
  await t.rejects(requireServable(open(t, ownerUrl)), { code: 'DATABASE_ROLE' })
})

t.test('cordon_app has no DDL and no way to become another role', async (t) => {
  const { url, name } = await testDatabase(t)
  const forbidden = [
    'CREATE TABLE mine (a int)',
    'CREATE SCHEMA mine',
    'CREATE TEMPORARY TABLE mine (a int)',
    'DROP TABLE schema_migration',
    "INSERT INTO schema_migration VALUES ('x', 'y')",
    'DELETE FROM schema_migration',
    'TRUNCATE schema_migration',
    'ALTER TABLE schema_migration ADD COLUMN x int',
    'SET ROLE cordon_owner',
    'SET ROLE cordon_eraser',
    'CREATE ROLE another',
    'GRANT cordon_owner TO cordon_app',
    `ALTER DATABASE ${name} SET fsync = off`,
    "COPY (SELECT 1) TO PROGRAM 'true'",
  ]
  await admin(url, async (client) => {
    for (const statement of forbidden) await t.rejects(client.query(statement), { code: /^(42|55)/ }, statement)
    await client.query('SET ROLE cordon_figures')
    await t.rejects(
      client.query('SELECT * FROM schema_migration'),
      { code: '42501' },
      'figures see what they are granted',
    )
  })
})

t.test('an empty database is migrated once, by two who start at the same time', async (t) => {
  const { url, ownerUrl } = await emptyDatabase(t)
  await t.rejects(requireServable(open(t, url)), { code: 'DATABASE_OLDER' })
  const [first, second] = await Promise.all([migrate(ownerUrl), migrate(ownerUrl)])
  t.equal([...first.applied, ...second.applied].filter((name) => name === '0001_roles.sql').length, 1)
  t.same((await migrate(ownerUrl)).applied, [])
  const db = open(t, url)
  t.match(await schemaVersion(db), { state: 'current', unknown: [] })
  await requireServable(db)
})

/**
 * Owners of what is in a database: of tables whose rows stay, of the others, of functions that
 * guard, and of the database.
 */
const ownersIn = (url: string) =>
  admin(url, async (client) => {
    const { rows } = await client.query<{ what: string; owners: string[] }>(
      `SELECT CASE WHEN relkind = 'v' OR oid IN (SELECT tgrelid FROM pg_trigger WHERE tgfoid = 'refuse_change'::regproc)
          THEN 'kept' ELSE 'others' END AS what, array_agg(DISTINCT relowner::regrole::text) AS owners
       FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') GROUP BY 1
       UNION ALL SELECT 'guards', array_agg(DISTINCT proowner::regrole::text) FROM pg_proc
         WHERE proname ~ '^(refuse_|all_)|^current_log$' AND pronamespace = 'public'::regnamespace
       UNION ALL SELECT 'database', array_agg(datdba::regrole::text) FROM pg_database WHERE datname = current_database()
       UNION ALL SELECT 'schema', array_agg(nspowner::regrole::text) FROM pg_namespace WHERE nspname = 'public'`,
    )
    return Object.fromEntries(rows.map(({ what, owners }) => [what, owners]))
  })
const keptAsItShould = {
  kept: ['cordon_keeper'],
  guards: ['cordon_keeper'],
  others: ['cordon_owner'],
  database: ['cordon_keeper'],
  schema: ['pg_database_owner'],
}

t.test(
  'INV-175: what stays belongs to cordon_keeper once a superuser migrates, the rest to cordon_owner',
  async (t) => {
    const { superUrl, ownerUrl, url } = await emptyDatabase(t)
    t.equal((await migrate(ownerUrl)).kept, false, 'whoever owns it cannot hand it over')
    t.same((await ownersIn(superUrl))['kept'], ['cordon_owner'])
    t.equal(await isKept(open(t, url).kysely), false)
    // As where cordon_owner made the role itself.
    await admin(superUrl, (client) => client.query('GRANT cordon_keeper TO cordon_owner WITH ADMIN TRUE'))
    t.same(await migrate(superUrl), { applied: [], kept: true }, 'an old database is kept by its next migration')
    t.same(await ownersIn(superUrl), keptAsItShould)
    t.equal(await isKept(open(t, url).kysely), true)
    await requireServable(open(t, url))
    t.same(await migrate(ownerUrl), { applied: [], kept: true })
  },
)

t.test('INV-175: a migration of what is kept takes whoever may become its keeper, and is kept again', async (t) => {
  const { superUrl, ownerUrl } = await testDatabase(t)
  await admin(superUrl, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace`,
    )
    for (const { name } of rows) await client.query(`DROP VIEW ${name}`)
    // What 0026 drops is there to be dropped: it asks for no more than the names.
    const dropping = await readFile(join(migrationDirectory, '0026_keys_that_the_log_keeps.sql'), 'utf8')
    for (const [, table, name] of dropping.matchAll(/^ALTER TABLE (\w+) DROP CONSTRAINT (\w+);$/gm))
      await client.query(`ALTER TABLE ${table} ADD CONSTRAINT ${name} CHECK (true)`)
    await client.query('ALTER TABLE organization DROP COLUMN name_form')
    await client.query('DROP INDEX message_read_by_person, message_read_by_organization')
    await client.query('ALTER TABLE session DROP COLUMN reading')
    await client.query(`DELETE FROM schema_migration WHERE name >= '0024'`)
  })
  await t.rejects(migrate(ownerUrl), { code: 'DATABASE_ROLE', detail: /cordon_keeper/ })
  const { applied, kept } = await migrate(superUrl)
  t.match(applied, ['0024_auditor_views.sql'])
  t.equal(kept, true)
  t.same(await ownersIn(superUrl), keptAsItShould)
  // Not a superuser, and may become both: the database is its keeper's already.
  await admin(superUrl, async (client) => {
    await client.query(`CREATE ROLE migrating LOGIN PASSWORD 'migrating' IN ROLE cordon_owner, cordon_keeper`)
    await client.query(`ALTER TABLE log_entry OWNER TO cordon_owner`)
  })
  const asMigrating = new URL(ownerUrl)
  asMigrating.username = 'migrating'
  asMigrating.password = 'migrating'
  t.same(await migrate(asMigrating.href), { applied: [], kept: true })
  t.same(await ownersIn(superUrl), keptAsItShould)
})

t.test('a database that is newer than the program is refused', async (t) => {
  const { url, ownerUrl, superUrl } = await testDatabase(t)
  await admin(superUrl, (client) =>
    client.query("INSERT INTO schema_migration VALUES ('9999_future.sql', now()::text)"),
  )
  await t.rejects(requireServable(open(t, url)), { code: 'DATABASE_NEWER', detail: /9999_future/ })
  await t.rejects(migrate(ownerUrl), { code: 'DATABASE_NEWER' })
})

t.test('a migration that fails leaves nothing behind', async (t) => {
  const { ownerUrl, superUrl } = await emptyDatabase(t)
  await admin(superUrl, (client) => client.query('CREATE TABLE log (in_the_way int)'))
  await t.rejects(migrate(ownerUrl))
  await admin(superUrl, async (client) => {
    const { rows } = await client.query(
      "SELECT to_regclass('log_entry') AS entry, (SELECT count(*)::int FROM schema_migration) AS done",
    )
    t.same(rows, [{ entry: null, done: 0 }])
  })
})

t.test('settings that lose acknowledged commits are refused by name', async (t) => {
  const { url, superUrl, name } = await testDatabase(t)
  await checkDurability(open(t, url))
  await admin(superUrl, (client) => client.query(`ALTER DATABASE ${name} SET synchronous_commit = off`))
  await t.rejects(checkDurability(open(t, url)), {
    code: 'DATABASE_UNSAFE',
    extra: { settings: ['synchronous_commit'] },
  })
})

t.test('a Postgres without fsync, full pages or synchronous commits is not served from', async (t) => {
  for (const setting of ['fsync', 'full_page_writes', 'synchronous_commit']) {
    const patch = { file: 'db/embedded.ts', find: `${setting}: 'on'`, replace: `${setting}: 'off'` }
    const launcher = (await import(await patchedFile(t, [patch], 'db/index.ts'))) as {
      startEmbedded: typeof startEmbedded
    }
    const postgres = await privatePostgres(t, undefined, launcher.startEmbedded)
    await t.rejects(requireServable(open(t, postgres.appUrl)), {
      code: 'DATABASE_UNSAFE',
      extra: { settings: [setting] },
    })
    await postgres.stop()
  }
})

t.test('a database that cannot be reached is named, without its password', async (t) => {
  const { url } = await testDatabase(t)
  const closed = 'postgres://cordon_app:hunter2@127.0.0.1:1/cordon'
  const cases: [string, RegExp][] = [
    [closed, /cordon at 127\.0\.0\.1:1 as cordon_app/],
    [withDatabase(url, 'nowhere'), /nowhere.*does not exist/],
    [url.replace(/:[^:@]+@/, ':hunter2@'), /password authentication failed/],
    [closed.replace('127.0.0.1:1', 'localhost/x?host=/nowhere&').replace('&/cordon', ''), /\/nowhere/],
  ]
  for (const [string, expected] of cases) {
    const db = open(t, string)
    const error = await requireServable(db).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    t.ok(error instanceof Problem)
    t.match(error, { code: 'DATABASE_UNAVAILABLE', detail: expected })
    t.notMatch((error as Problem).message, /hunter2/)
    t.notOk(await answers(db))
  }
})

t.test('values come back as what they are', async (t) => {
  const { url } = await testDatabase(t)
  const db = open(t, url)
  const { rows } = await sql<Record<string, unknown>>`
    SELECT 9007199254740991::bigint AS big, ARRAY[1, NULL]::bigint[] AS bigs, '\\x00ff'::bytea AS bytes, 1.10::numeric AS decimal,
           '2026-03-29'::date AS day, '2026-03-29T01:30:00.123Z'::timestamptz AS at, '{"a": 1}'::jsonb AS document`.execute(
    db.kysely,
  )
  t.same(rows[0], {
    big: Number.MAX_SAFE_INTEGER,
    bigs: [1, null],
    bytes: Buffer.from([0, 255]),
    decimal: '1.10',
    day: '2026-03-29',
    at: new Date('2026-03-29T01:30:00.123Z'),
    document: { a: 1 },
  })
  await t.rejects(sql`SELECT 9007199254740993::bigint`.execute(db.kysely), RangeError, 'rather fails than rounds')
})

t.test('a transaction that fails writes nothing, and says why in its own words', async (t) => {
  const { superUrl } = await testDatabase(t)
  const db = open(t, superUrl)
  await sql`CREATE TABLE thing (id int CONSTRAINT thing_id_positive CHECK (id > 0))`.execute(db.kysely)
  const failed = await transaction(db, async (tx) => {
    await sql`INSERT INTO thing VALUES (1)`.execute(tx)
    await sql`INSERT INTO thing VALUES (-1)`.execute(tx)
  }).catch((error: unknown) => error)
  t.equal(violatedConstraint(failed), 'thing_id_positive')
  t.notOk(isConnectionError(failed))
  t.equal(violatedConstraint(new Error('other')), undefined)
  t.same((await sql`SELECT * FROM thing`.execute(db.kysely)).rows, [])
})

// Bites: src/db/pipeline.ts, `isPlanOutdated`.
t.test('a table that changes under a running service costs one statement, not the service', async (t) => {
  const { superUrl } = await testDatabase(t)
  const db = open(t, superUrl)
  await sql`CREATE TABLE thing (id int)`.execute(db.kysely)
  await sql`INSERT INTO thing VALUES (1)`.execute(db.kysely)
  const read = () => transaction(db, async (tx) => (await sql`SELECT * FROM thing WHERE id = ${1}`.execute(tx)).rows)
  for (let n = 0; n < 5; n++) t.same(await read(), [{ id: 1 }])
  await admin(superUrl, (client) => client.query('ALTER TABLE thing ADD COLUMN name text'))
  await t.rejects(read(), { code: 'DATABASE_UNAVAILABLE' }, 'to be repeated')
  t.same(await read(), [{ id: 1, name: null }])
})

t.test('statements that are sent at once run in their order, and fail together', async (t) => {
  const { superUrl } = await testDatabase(t)
  const db = open(t, superUrl)
  await sql`CREATE TABLE thing (id int CONSTRAINT thing_id_positive CHECK (id > 0))`.execute(db.kysely)
  const insert = (tx: Tx, id: number) => sql`INSERT INTO thing VALUES (${id})`.execute(tx)
  const count = async (tx: Tx) =>
    (await sql<{ count: number }>`SELECT count(*)::int AS count FROM thing WHERE id > ${0}`.execute(tx)).rows[0]?.count
  const counts = await transaction(db, (tx) => Promise.all([insert(tx, 1), count(tx), insert(tx, 2), count(tx)]))
  t.same([counts[1], counts[3]], [1, 2])
  const failed = await transaction(db, (tx) => Promise.all([insert(tx, 3), insert(tx, -1), insert(tx, 4)])).catch(
    (error: unknown) => error,
  )
  t.equal(violatedConstraint(failed), 'thing_id_positive', 'the cause, not what failed because of it')
  const nested = await transaction(db, async (tx) => {
    const heardLate = insert(tx, -1)
      .finally(() => {})
      .finally(() => {})
    const sent = Promise.all([heardLate, count(tx)])
    // Both answers are there before either is read.
    process.nextTick(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100))
    await sent
  }).catch((error: unknown) => error)
  t.equal(violatedConstraint(nested), 'thing_id_positive', 'also where it is heard later than the others')
  t.equal(await transaction(db, count), 2)
})

t.test('a failure that nobody looked at fails the transaction', async (t) => {
  const { superUrl } = await testDatabase(t)
  const db = open(t, superUrl)
  await sql`CREATE TABLE thing (id int PRIMARY KEY)`.execute(db.kysely)
  const swallowed = transaction(db, async (tx) => {
    await sql`INSERT INTO thing VALUES (1)`.execute(tx)
    await sql`INSERT INTO thing VALUES (1)`.execute(tx).catch(() => {})
  })
  await t.rejects(swallowed, { name: 'AbortedTransactionError' })
})

// Bites: src/db/pipeline.ts, `runTransaction`.
t.test('a statement after the end of its transaction is refused, not run beside it', async (t) => {
  const { superUrl } = await testDatabase(t)
  const db = open(t, superUrl)
  let kept: Tx | undefined
  await transaction(db, async (tx) => void (kept = tx))
  await t.rejects(sql`SELECT 1`.execute(kept as Tx), /after the end/)
})

t.test('connections that end, idle or in a transaction, become problems and not the end of the process', async (t) => {
  const { url, superUrl, name } = await testDatabase(t)
  const db = open(t, url)
  const killAll = () =>
    admin(superUrl, (client) =>
      client.query(
        'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()',
        [name],
      ),
    )
  t.ok(await answers(db))
  await killAll()
  t.ok(await until(() => answers(db)), 'an idle connection is replaced')
  const held = transaction(db, async (tx) => {
    await sql`SELECT 1`.execute(tx)
    await killAll()
    // Between two statements nobody waits for this connection: its end must not be an unhandled
    // event.
    await sleep(50)
    await sql`SELECT 1`.execute(tx)
  })
  await t.rejects(held, { code: 'DATABASE_UNAVAILABLE' })
  const cut = t.rejects(
    transaction(db, (tx) => sql`SELECT pg_sleep(10)`.execute(tx)),
    { code: 'DATABASE_UNAVAILABLE' },
  )
  await sleep(100)
  await killAll()
  await cut
  t.ok(await answers(db))
})

t.test('Postgres killed under load comes back by itself with all that was acknowledged', async (t) => {
  const said: string[] = []
  const server = await privatePostgres(t, (sentence) => said.push(sentence))
  const db = open(t, server.superUrl)
  await sql`CREATE TABLE acknowledged (number int PRIMARY KEY)`.execute(db.kysely)
  const acknowledged: number[] = []
  let number = 0
  const load = { running: true }
  const writers = Array.from({ length: 8 }, async () => {
    while (load.running) {
      const mine = ++number
      await transaction(db, (tx) => sql`INSERT INTO acknowledged VALUES (${mine})`.execute(tx)).then(
        () => acknowledged.push(mine),
        (error: unknown) => {
          if (!(error instanceof Problem)) throw error
          return sleep(5)
        },
      )
    }
  })
  for (let kill = 0; kill < 3; kill++) {
    const before = acknowledged.length
    t.ok(await until(() => acknowledged.length > before + 20))
    const pid = server.pid()
    if (pid === undefined) throw new Error('no postmaster')
    process.kill(pid, 'SIGKILL')
    t.ok(await until(() => server.pid() !== undefined && server.pid() !== pid), 'it is started again')
  }
  t.ok(await until(() => answers(db)))
  load.running = false
  await Promise.all(writers)
  const { rows } = await sql<{ number: number }>`SELECT number FROM acknowledged`.execute(db.kysely)
  const stored = new Set(rows.map((row) => row.number))
  t.same(
    acknowledged.filter((mine) => !stored.has(mine)),
    [],
    'none is lost',
  )
  t.equal(said.filter((sentence) => /ended unexpectedly/.test(sentence)).length, 3)
})

t.test('the embedded database keeps its secrets to itself and its directory to one process', async (t) => {
  const server = await privatePostgres(t)
  await t.rejects(startEmbedded({ directory: server.directory, log: () => {} }), { code: 'DATA_DIRECTORY_IN_USE' })
  await admin(server.superUrl, async (client) => {
    await t.rejects(client.query("SELECT 'needle-value'::int"))
    const { rows } = await client.query(
      "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit', 'listen_addresses', 'data_checksums') ORDER BY name",
    )
    t.same(rows, [
      { name: 'data_checksums', setting: 'on' },
      { name: 'fsync', setting: 'on' },
      { name: 'full_page_writes', setting: 'on' },
      { name: 'listen_addresses', setting: '' },
      { name: 'synchronous_commit', setting: 'on' },
    ])
  })
  for (const file of ['postgres.password', 'cordon_owner.password', 'cordon_app.password', 'postgres.log']) {
    t.equal(statSync(join(server.directory, file)).mode & 0o077, 0, file)
  }
  const log = await readFile(join(server.directory, 'postgres.log'), 'utf8')
  t.notMatch(log, /SELECT/, 'no statement reaches its log')
})

t.test('a directory whose path is too long for a socket is served on the loopback', async (t) => {
  const directory = join(t.testdir(), 'a'.repeat(90))
  const server = await startEmbedded({ directory, log: () => {} })
  t.match(server.appUrl, /@127\.0\.0\.1:\d+\/cordon$/)
  try {
    await migrate(server.superUrl)
    const db = openDatabase({ connectionString: server.appUrl, onError: () => {} })
    await requireServable(db)
    await db.close()
  } finally {
    await server.stop()
  }
})

t.test('a service that is killed leaves no database behind, and the next one finds all', async (t) => {
  const directory = join(t.testdir(), 'postgres')
  const module = new URL('../src/db/index.ts', import.meta.url).href
  const program = `const { startEmbedded } = await import(${JSON.stringify(module)})
    const server = await startEmbedded({ directory: ${JSON.stringify(directory)}, log: () => {} })
    console.log(server.pid()); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const pid = Number(await new Promise((resolve) => child.stdout.once('data', resolve)))
  t.ok(lives(pid))
  child.kill('SIGKILL')
  const server = await startEmbedded({ directory, log: () => {} })
  t.notOk(lives(pid), 'the one left behind has ended')
  t.not(server.pid(), pid)
  await server.stop()
  await server.stop()
})

t.test('files of another Postgres, or files that were damaged, are refused with what to do', async (t) => {
  const server = await privatePostgres(t)
  await server.stop()
  const version = join(server.directory, 'cluster', 'PG_VERSION')
  const right = await readFile(version, 'utf8')
  await writeFile(version, '12\n')
  await t.rejects(startEmbedded({ directory: server.directory, log: () => {} }), {
    code: 'EMBEDDED_DATABASE',
    detail: /Postgres 12/,
  })
  await writeFile(version, right)
  await rm(join(server.directory, 'cluster', 'global', 'pg_control'))
  await t.rejects(startEmbedded({ directory: server.directory, log: () => {} }), {
    code: 'EMBEDDED_DATABASE',
    detail: /ended at once/,
  })
  await chmod(server.directory, 0o700)
})

t.test('LISTEN comes back after its connection was cut, and tells to read again', async (t) => {
  const { url, superUrl } = await testDatabase(t)
  const heard: string[] = []
  let connected = 0
  const listener = listen(
    url,
    'cordon_log',
    (payload) => heard.push(...notifiedLogs(payload)),
    () => connected++,
    () => {},
  )
  t.teardown(() => listener.close())
  await listener.ready
  t.equal(connected, 1)
  const notifier = createNotifier(url, 'cordon_log', { everyMs: 5 })
  t.teardown(() => notifier.close())
  notifier.notify('a')
  t.ok(await until(() => heard.includes('a')))
  await admin(superUrl, (client) =>
    client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name IN ('cordon listen', 'cordon notify')",
    ),
  )
  t.ok(await until(() => connected === 2), 'it listens again')
  notifier.notify('b')
  t.ok(await until(() => heard.includes('b')))
})

// Bites: `onError` of src/db/listen.ts.
t.test('why nobody can listen is said, and nothing is said of a listener that was closed', async (t) => {
  const { url } = await testDatabase(t)
  const faults: unknown[] = []
  const wrong = new URL(url)
  wrong.pathname = '/no-such-database'
  const listener = listen(
    wrong.href,
    'cordon_log',
    () => {},
    () => t.fail('it listens'),
    (error) => faults.push(error),
  )
  t.ok(await until(() => faults.length > 0))
  t.match(faults[0], { code: '3D000' })
  await listener.close()
  const before = faults.length
  await new Promise((resolve) => setTimeout(resolve, 200))
  t.equal(faults.length, before)
})

t.test('a thousand hints within a moment are a few notifications, and none of their logs is missed', async (t) => {
  const { url } = await testDatabase(t)
  const payloads: string[] = []
  const listener = listen(
    url,
    'cordon_log',
    (payload) => payloads.push(payload),
    () => {},
    (error) => t.fail(String(error)),
  )
  t.teardown(() => listener.close())
  await listener.ready
  const notifier = createNotifier(url, 'cordon_log', { everyMs: 5 })
  for (let hint = 0; hint < 1_000; hint++) notifier.notify(`log-${hint % 300}`)
  await notifier.close()
  notifier.notify('after closing')
  t.ok(await until(() => new Set(payloads.flatMap(notifiedLogs)).size === 300))
  t.ok(payloads.length <= 4, `${payloads.length} notifications`)
})
