import fc from 'fast-check'
import type pg from 'pg'
import t from 'tap'
import type { Report } from '../src/log/index.ts'
import { busyService, type BusyService } from './support/busy-service.ts'
import { checkLog, openVerifier, verifyAll } from './support/check-log.ts'
import { howMany, patience } from './support/counts.ts'
import { admin, withDatabase } from './support/database.ts'
import { freshId, setUp } from './support/wire.ts'
import { startServer } from './support/server.ts'

/** Every table whose rows the logs commit to, or that repeats what they say. */
const tables = [
  'log',
  'log_entry',
  'log_private',
  'log_node',
  'log_checkpoint',
  'organization',
  'person',
  'trust_root',
  'device',
  'certificate',
  'revocation',
  'enrolment',
  'operation',
  'operation_organization',
  'member',
  'compartment',
  'compartment_member',
  'member_statement',
  'epoch',
  'epoch_grant',
  'thread',
  'message',
  'body',
  'extract',
  'delivery',
  'message_read',
  'import_key',
  'session',
  'invitation',
]

/**
 * The other tables: what is found of them, and by which test, or why no entry could vouch for them.
 */
const elsewhere = new Map([
  ['log_cosignature', 'verified: `witness-server.test.ts`'],
  ['service_account', 'verified but for its last use: `service-accounts.test.ts`'],
  ['deputy', 'verified: `deputies.test.ts`'],
  ['planned_sleep', 'verified: `idle-accounts.test.ts`'],
  ['recovery', 'verified: `recovery.test.ts`'],
  ['credential', 'verified but for the very moment: `invented-rows.test.ts`'],
  ['totp', 'verified once it is confirmed, but for the steps that were taken: `invented-rows.test.ts`'],
  ['passkey', 'verified but for its name and its use: `invented-rows.test.ts`'],
  ['recovery_code', 'secrets that go as they are used, which is no entry of their own'],
  ['refresh_token', 'a hash that works with the key of its session alone, and that key is verified'],
  ['invitation_key', 'sealed to the inviter, who believes only what it signed itself'],
  ['set_up_secret', 'none once the service is set up: `invented-rows.test.ts`'],
  ['notice', 'what is still to be sent; what was given is in the directory log'],
  ['notice_address', 'sealed; that it was set is in the directory log'],
  ['notice_code', 'lives for an hour and may be lost'],
  ['live_ticket', 'lives for 30 seconds and may be lost'],
  ['dpop_proof', 'lives for two minutes and may be lost'],
  ['sign_in_failure', 'lives for 15 minutes and may be lost'],
  ['passkey_challenge', 'lives for five minutes and may be lost'],
  ['rate_limit', 'lives for a minute and may be lost'],
  ['schema_migration', 'what the database was migrated to'],
  ['schema_migration_lock', 'who migrates'],
])

/** Columns that no entry commits to. A log, statement or body row has none. */
const unverified = new Map([
  ['trust_root.only_row', 'it can hold true alone, and says nothing'],
  ['organization.registered_at', 'for display; the entry organization.registered has the time that counts'],
  ['person.registered_at', 'for display; the entry person.invited or person.registered has the time that counts'],
  ['device.enrolled_at', 'for display; the entry device.enrolled has the time that counts'],
  ['enrolment.certified_at', 'only whether it is set counts; the entry device.certified has the time'],
  [
    'invitation.used_at',
    'only whether it is set counts: `invented-rows.test.ts`; the entry device.enrolled has the time',
  ],
  ['invitation.revoked_at', 'only whether it is set counts; the entry invitation.revoked has the time'],
  ['session.ended_at', 'only whether it is set counts: `invented-rows.test.ts`; the entry session.ended has the time'],
  ['session.verified_at', 'no later than the entry of the proof: `invented-rows.test.ts`'],
  ['session.known_since', 'no later than the entry that began it: `invented-rows.test.ts`'],
  ['session.proven_passkey', 'which of the passkeys; that it was one is verified with proven_by'],
  ['session.started_at', 'for display; the entry session.started has the time that counts'],
  ['session.refreshed_at', 'moves with each renewal, which is no entry'],
  ['session.address', 'for its person to see'],
  ['session.agent', 'for its person to see'],
])

interface Column {
  readonly table: string
  readonly column: string
  readonly type: string
  readonly nullable: boolean
}

/**
 * Enough entries for the tree to have nodes above its leaves; then the server is stopped, so that
 * nothing else writes.
 */
async function stoppedService(owner: Parameters<typeof busyService>[0]): Promise<BusyService> {
  const busy = await busyService(owner)
  const { administrator, server } = busy
  await Promise.all(Array.from({ length: 220 }, () => administrator.must('GET', '/v1/organizations')))
  await server.logs.checkpoint(server.logs.directory)
  await server.close()
  return busy
}

let stopped: Promise<BusyService> | undefined
/** One for all tests that put back what they changed. */
const service = () => (stopped ??= stoppedService(t))

/** Whoever tampers has all rights: no trigger, no foreign key and no check holds them. */
async function tamper<T>(superUrl: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  return admin(superUrl, async (client) => {
    const { rows } = await client.query<{ sentence: string }>(
      `SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname) AS sentence
       FROM pg_constraint WHERE contype = 'c' AND conrelid::regclass::text = ANY($1)`,
      [tables],
    )
    for (const { sentence } of rows) await client.query(sentence)
    await client.query('SET session_replication_role = replica')
    return work(client)
  })
}

/**
 * Copies of the stopped service's database beside it, so that several changes are looked for at
 * once.
 */
async function lanesOf(owner: Parameters<typeof busyService>[0], { server }: BusyService): Promise<string[]> {
  const { name, superUrl } = server.database
  const copies = Array.from({ length: howMany(0, 2) }, (_, i) => `${name}_lane_${String(i)}`)
  const elsewhere = withDatabase(superUrl, 'postgres')
  await admin(elsewhere, async (client) => {
    // Connections that were closed may take a moment to be gone, and nobody else may look at what
    // is copied.
    await client.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [name])
    for (const copy of copies) await client.query(`CREATE DATABASE ${copy} TEMPLATE ${name} OWNER cordon_owner`)
  })
  owner.teardown(() =>
    admin(elsewhere, async (client) => {
      for (const copy of copies) await client.query(`DROP DATABASE ${copy} WITH (FORCE)`)
    }),
  )
  return [superUrl, ...copies.map((copy) => withDatabase(superUrl, copy))]
}

async function columnsOf(client: pg.Client): Promise<Column[]> {
  const { rows } = await client.query<Column>(
    `SELECT table_name AS table, column_name AS column, data_type AS type, is_nullable = 'YES' AS nullable
     FROM information_schema.columns WHERE table_schema = 'public' AND table_name = ANY($1) ORDER BY 1, 2`,
    [tables],
  )
  return rows
}

/** Another value of the same type, as little different as can be. */
function bend(type: string, value: string | null, at: number, nullable: boolean): string | null {
  if (value === null && type.startsWith('timestamp')) return '2026-01-01T00:00:00.000Z'
  if (value === null) return type === 'uuid' ? freshId() : type === 'text' ? 'x' : '0'
  if (nullable && at % 5 === 0) return null
  const place = at % Math.max(1, value.length)
  const replace = (character: string) => value.slice(0, place) + character + value.slice(place + 1)
  switch (type) {
    case 'uuid':
      return value.replace(/[0-9a-f]$/, (digit) => (digit === '0' ? '1' : '0'))
    case 'bytea': {
      const hex = 2 + (place % Math.max(1, value.length - 2))
      return value.slice(0, hex) + (value[hex] === '0' ? '1' : '0') + value.slice(hex + 1)
    }
    case 'bigint':
    case 'integer':
    case 'smallint':
      return String(Number(value) + (at % 2 === 0 ? 1 : -1))
    case 'boolean':
      return value === 'true' ? 'false' : 'true'
    case 'jsonb':
      return value === '{}' ? '{"x": 1}' : value.replace(/\d+\}$/, (n) => `${n.slice(0, -1)}.0}`)
    case 'text':
      return value === '' ? 'x' : replace(value[place] === 'a' ? 'b' : 'a')
    default:
      throw new Error(`no way to bend a ${type}`)
  }
}

const isUnique = (error: unknown) => (error as { code?: string }).code === '23505'

t.test('a service on which everything happened verifies, as each role that may look', async (t) => {
  const { server, operation, root } = await busyService(t)
  const report = await checkLog(server)
  t.equal(report.logs.length, 2)
  t.ok(report.entries > 60)
  t.ok(report.logs.some(({ operation: id }) => id === operation.id))
  const { ownerUrl, superUrl } = server.database
  for (const url of [ownerUrl, superUrl]) t.same((await verifyAll(server, { url })).discrepancies, [])
  t.same((await verifyAll(server, { root: root.id })).discrepancies, [])
  const other = await verifyAll(server, { root: operation.coordinator.device.id })
  t.ok(other.discrepancies.length > 0, 'another root than the pinned one is found')
})

t.test('a service on which nothing happened verifies', async (t) => {
  const server = await startServer(t)
  await checkLog(server)
  await setUp(server)
  await checkLog(server)
})

t.test('INV-176: of each table it is decided what the verifier finds', async (t) => {
  const { rows } = await admin((await service()).server.database.superUrl, (client) =>
    client.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1`,
    ),
  )
  t.same(
    rows.map(({ name }) => name),
    [...tables, ...elsewhere.keys()].sort(),
  )
})

t.test('INV-23: one changed value in any column of a log, statement or body row is found', patience, async (t) => {
  const busy = await service()
  await checkLog(busy.server)
  const undetected: string[] = []
  let changes = 0
  const check = async (
    lane: { verifier: () => Promise<Report>; client: pg.Client },
    { table, column, type, nullable }: Column,
    at: number,
  ) => {
    const { client, verifier } = lane
    const { rows: counted } = await client.query<{ count: string }>(`SELECT count(*) FROM ${table}`)
    const { rows } = await client.query<{ ctid: string; value: string | null }>(
      `SELECT ctid, ${column}::text AS value FROM ${table} ORDER BY ${table}::text OFFSET $1 LIMIT 1`,
      [at % Number(counted[0]?.count)],
    )
    const row = rows[0]
    if (!row) throw new Error(`there is no row in ${table}`)
    // A microsecond, which entries do not even have.
    const time = type.startsWith('timestamp') && row.value !== null
    const bent = time ? row.value : bend(type, row.value, at, nullable)
    const set = time ? `$2::${type} + interval '1 microsecond'` : `$2::${type}`
    let changed: pg.QueryResult<{ ctid: string }>
    try {
      changed = await client.query(`UPDATE ${table} SET ${column} = ${set} WHERE ctid = $1 RETURNING ctid`, [
        row.ctid,
        bent,
      ])
    } catch (error) {
      // A unique index and NOT NULL refuse even a superuser.
      if (isUnique(error)) return
      throw error
    }
    changes++
    const { discrepancies } = await verifier()
    if (discrepancies.length === 0) undetected.push(`${table}.${column}: ${row.value} -> ${bent}`)
    await client.query(`UPDATE ${table} SET ${column} = $2::${type} WHERE ctid = $1`, [
      changed.rows[0]?.ctid,
      row.value,
    ])
  }
  const urls = await lanesOf(t, busy)
  const columns = await tamper(busy.server.database.superUrl, columnsOf)
  const verified = columns.filter(({ table, column }) => !unverified.has(`${table}.${column}`))
  t.ok(verified.length > 100)
  const wanted = howMany(verified.length, 10_000)
  let next = 0
  await Promise.all(
    urls.map((url) =>
      tamper(url, async (client) => {
        const verifier = await openVerifier(t, busy.server, url)
        // Some changes nobody can make; they do not count, so that in the bounded run each column
        // has its one turn.
        while (howMany(next, changes) < wanted) {
          const column = verified[next++ % verified.length] as Column
          await check({ verifier, client }, column, fc.sample(fc.nat(), 1)[0] ?? 0)
        }
      }),
    ),
  )
  t.same(undetected, [])
  t.ok(changes >= wanted * 0.8)
  t.comment(
    `${String(changes - undetected.length)} of ${String(changes)} changed values found, in ${String(verified.length)} columns`,
  )
  for (const url of urls)
    t.same((await verifyAll(busy.server, { url })).discrepancies, [], 'and everything was put back')
})

t.test('a row removed, added or exchanged is found, in each table', async (t) => {
  const busy = await service()
  const verifier = await openVerifier(t, busy.server, busy.server.database.superUrl)
  await tamper(busy.server.database.superUrl, async (client) => {
    const columns = Map.groupBy(await columnsOf(client), ({ table }) => table)
    const { rows: keys } = await client.query<{ table: string; column: string }>(
      `SELECT c.conrelid::regclass::text AS table, a.attname AS column
       FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)
       WHERE c.contype = 'p' AND c.conrelid::regclass::text = ANY($1)`,
      [tables],
    )
    const keysOf = Map.groupBy(keys, ({ table }) => table)
    for (const table of tables) await client.query(`CREATE TABLE kept_${table} AS SELECT * FROM ${table}`)
    const attack = async (name: string, table: string, sentences: readonly string[]) => {
      let changed = 0
      try {
        for (const sentence of sentences) changed += (await client.query(sentence)).rowCount ?? 0
      } catch (error) {
        if (!isUnique(error)) throw error
        changed = 0
      }
      if (changed > 0) {
        const { discrepancies } = await verifier()
        t.ok(discrepancies.length > 0, `${table}: ${name}`, { sentences })
      }
      await client.query(`DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM kept_${table}`)
      return changed > 0
    }
    for (const table of tables) {
      const all = (columns.get(table) ?? []).map(({ column }) => column)
      const key = (keysOf.get(table) ?? []).map(({ column }) => column)
      // The newest checkpoint is in the file beside the key; from the table it can be lost in a
      // crash.
      const newest =
        table === 'log_checkpoint'
          ? 'WHERE EXISTS (SELECT FROM log_checkpoint later WHERE later.log_id = log_checkpoint.log_id AND later.size > log_checkpoint.size)'
          : ''
      const one = `ctid = (SELECT ctid FROM ${table} ${newest} ORDER BY ${table}::text LIMIT 1)`
      t.ok(await attack('removed', table, [`DELETE FROM ${table} WHERE ${one}`]))
      const last = key.at(-1) ?? ''
      const type = columns.get(table)?.find(({ column }) => column === last)?.type ?? ''
      const other = type === 'uuid' ? `'${freshId()}'` : type === 'text' ? `${last} || 'x'` : `${last} + 100000`
      if (type !== 'boolean') {
        const values = all.map((column) => (column === last ? `(${other})::${type}` : column)).join(', ')
        await attack('added', table, [
          `INSERT INTO ${table} (${all.join(', ')}) SELECT ${values} FROM ${table} WHERE ${one}`,
        ])
      }
      const rest = all.filter((column) => !key.includes(column))
      if (rest.length === 0) continue
      // The contents of the first and the last row change places; their keys stay.
      const swapped = rest.map((column) => `${column} = other.${column}`).join(', ')
      const ends = `SELECT (array_agg(ctid ORDER BY ${table}::text))[1] AS a, (array_agg(ctid ORDER BY ${table}::text DESC))[1] AS b FROM ${table}`
      await attack('exchanged', table, [
        `UPDATE ${table} AS mine SET ${swapped} FROM ${table} AS other, (${ends}) AS pair
         WHERE pair.a <> pair.b AND ((mine.ctid = pair.a AND other.ctid = pair.b) OR (mine.ctid = pair.b AND other.ctid = pair.a))
           AND (${rest.map((column) => `mine.${column} IS DISTINCT FROM other.${column}`).join(' OR ')})`,
      ])
    }
  })
  t.same((await verifyAll(busy.server)).discrepancies, [])
})
