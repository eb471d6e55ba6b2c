import t from 'tap'
import { transaction } from '../src/db/index.ts'
import { admin, withDatabase } from './support/database.ts'
import { keepOwnPostgres } from './support/postgres.ts'
import { asActor, freshId, somebody, toyLog, verifyToy } from './support/toy-log.ts'

keepOwnPostgres()

const tables = ['log', 'log_entry', 'log_private', 'log_node', 'log_checkpoint']

t.test('INV-05: nobody but a superuser changes or removes what is in a log', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server()
  await server.post(founder, { id: freshId(), text: 'x' })
  await server.logs.checkpoint(toy.operation)
  for (const [role, url] of [
    ['service', toy.database.url],
    ['owner', toy.database.ownerUrl],
  ] as const) {
    await admin(url, async (client) => {
      await client.query(`SELECT set_config('cordon.log', $1, false)`, [toy.operation])
      for (const table of tables) {
        const column = table === 'log' ? 'id' : 'log_id'
        for (const sentence of [`DELETE FROM ${table}`, `TRUNCATE ${table} CASCADE`]) {
          await t.rejects(client.query(sentence), { code: '42501' }, `${role}: ${sentence}`)
        }
        const update = client.query(`UPDATE ${table} SET ${column} = ${column}`)
        await t.rejects(update, { code: '42501' }, `${role}: UPDATE ${table}`)
      }
    })
  }
  await admin(toy.database.url, async (client) => {
    await client.query(`SELECT set_config('cordon.log', $1, false)`, [toy.operation])
    for (const set of [
      'size = size - 1',
      "last_at = last_at - interval '1 day'",
      'changed_index = changed_index - 1',
    ]) {
      await t.rejects(client.query(`UPDATE log SET ${set}`), { message: /only grows/ }, set)
    }
    for (const sentence of [
      'CREATE TABLE mine ()',
      'ALTER TABLE log_entry DISABLE TRIGGER ALL',
      'ALTER TABLE log_entry NO FORCE ROW LEVEL SECURITY',
      'DROP TABLE log_node',
      'SET ROLE cordon_owner',
      `SET session_replication_role = replica`,
    ]) {
      await t.rejects(client.query(sentence), { code: '42501' }, sentence)
    }
  })
  t.same((await verifyToy(toy)).discrepancies, [])
})

t.test('INV-06: a transaction sees the one log it named, whatever its statements ask for', async (t) => {
  const toy = await toyLog(t, somebody())
  const server = await toy.server()
  const founder = somebody()
  const other = freshId()
  await transaction(server.db, (tx) =>
    server.logs.create(tx, other, [
      { kind: 'operation.created', actor: asActor(founder), subject: other, details: { title: 'hidden' } },
    ]),
  )
  await server.logs.checkpoint(other)
  await server.logs.checkpoint(toy.operation)
  await admin(toy.database.url, async (client) => {
    const logs = async (table: string) => {
      const column = table === 'log' ? 'id' : 'log_id'
      const { rows } = await client.query<{ log: string }>(`SELECT DISTINCT ${column} AS log FROM ${table}`)
      return rows.map((row) => row.log)
    }
    for (const table of tables) t.same(await logs(table), [], `${table} without a named log`)
    await client.query(`SELECT set_config('cordon.log', $1, false)`, [toy.operation])
    for (const table of tables) {
      for (const log of await logs(table)) t.equal(log, toy.operation, table)
    }
    await t.rejects(
      client.query(`INSERT INTO log_checkpoint (log_id, size, note) VALUES ($1, 77, 'x')`, [other]),
      { code: '42501' },
      'nor writes another one',
    )
    const { rowCount } = await client.query('UPDATE log SET size = size + 1 WHERE id = $1', [other])
    t.equal(rowCount, 0)
  })
})

const plain = (table: string) => table.replaceAll('"', '')
const keptTables = `SELECT tgrelid::regclass::text AS name FROM pg_trigger WHERE tgfoid = 'refuse_change'::regproc GROUP BY 1 ORDER BY 1`

// Bites: each object that `keptObjects` in db/keeper.ts leaves with cordon_owner: its trigger,
// function, schema or database is changed here.
t.test('INV-05, INV-175: whoever migrates can neither change what stays nor get rid of what guards it', async (t) => {
  const toy = await toyLog(t, somebody())
  const server = await toy.server()
  await server.logs.checkpoint(toy.operation)
  await admin(toy.database.ownerUrl, async (client) => {
    const { rows } = await client.query<{ name: string }>(keptTables)
    const kept = rows.map(({ name }) => name)
    t.ok(kept.length >= 14, kept.join(' '))
    await client.query(`CREATE FUNCTION mine() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`)
    const refused = async (sentence: string) => {
      await client.query('BEGIN')
      await t.rejects(client.query(sentence), { code: '42501' }, sentence)
      await client.query('ROLLBACK')
    }
    for (const table of kept) {
      for (const sentence of [
        `ALTER TABLE ${table} DISABLE TRIGGER ALL`,
        `ALTER TABLE ${table} DISABLE TRIGGER ${plain(table)}_stays`,
        `DROP TRIGGER ${plain(table)}_stays ON ${table}`,
        `CREATE TRIGGER a_mine BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION mine()`,
        `CREATE RULE mine AS ON INSERT TO ${table} DO INSTEAD NOTHING`,
        `ALTER TABLE ${table} NO FORCE ROW LEVEL SECURITY`,
        `CREATE POLICY mine ON ${table} USING (true)`,
        `ALTER TABLE ${table} RENAME TO ${plain(table)}_before`,
        `ALTER TABLE ${table} OWNER TO cordon_owner`,
        `DROP TABLE ${table} CASCADE`,
        `TRUNCATE ${table} CASCADE`,
        `DELETE FROM ${table}`,
        `COMMENT ON TABLE ${table} IS 'x'`,
      ])
        await refused(sentence)
      await client.query(`GRANT ALL ON ${table} TO cordon_owner`)
      const { rows: rights } = await client.query<{ may: boolean }>(
        `SELECT has_table_privilege($1, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER') AS may`,
        [table],
      )
      t.same(rights, [{ may: false }], `what whoever migrates gives itself of ${table}`)
    }
    for (const sentence of [
      `CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`,
      `CREATE OR REPLACE FUNCTION refuse_shrinking() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
      'DROP FUNCTION refuse_change() CASCADE',
      'DROP FUNCTION refuse_shrinking() CASCADE',
      'DROP FUNCTION current_log() CASCADE',
      'ALTER FUNCTION all_logs() RENAME TO all_logs_before',
      'DROP FUNCTION all_log_rows()',
      'DROP FUNCTION all_cosignature_rows()',
      'DROP FUNCTION all_operation_rows()',
      `CREATE OR REPLACE VIEW audit_log AS SELECT id, operation_id, size, root, last_at FROM log LIMIT 0`,
      'DROP SCHEMA public CASCADE',
      'ALTER SCHEMA public RENAME TO before',
      'CREATE SCHEMA cordon_app',
      `ALTER DATABASE ${toy.database.name} OWNER TO cordon_owner`,
      `ALTER DATABASE ${toy.database.name} SET session_replication_role = replica`,
      'SET ROLE cordon_keeper',
      'SET SESSION AUTHORIZATION cordon_keeper',
      'GRANT cordon_keeper TO cordon_owner',
      'ALTER ROLE cordon_keeper LOGIN',
      'REASSIGN OWNED BY cordon_keeper TO cordon_owner',
      'DROP OWNED BY cordon_keeper CASCADE',
      'GRANT cordon_app TO cordon_owner',
      `ALTER ROLE cordon_app PASSWORD 'mine'`,
      'ALTER ROLE cordon_owner SUPERUSER',
      'SET session_replication_role = replica',
      'CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION mine()',
    ])
      await refused(sentence)
    await t.rejects(client.query(`DROP DATABASE ${toy.database.name} WITH (FORCE)`), /owner|currently open/)
    await client.query('DROP FUNCTION IF EXISTS mine')
  })
  t.same((await verifyToy(toy)).discrepancies, [])
})

t.test('an auditor reads, and writes nothing', async (t) => {
  const toy = await toyLog(t, somebody())
  await admin(withDatabase(toy.database.superUrl, toy.database.name), async (client) => {
    await client.query('SET ROLE cordon_auditor')
    const { rows } = await client.query<{ count: string }>('SELECT count(*) FROM audit_entry')
    t.ok(Number(rows[0]?.count) >= 3)
    for (const table of tables) await t.rejects(client.query(`SELECT 1 FROM ${table}`), { code: '42501' }, table)
    for (const sentence of [
      `INSERT INTO log_node VALUES ('${toy.operation}', 1, 0, '')`,
      `UPDATE log SET size = 0`,
      'DELETE FROM log_entry',
      `SELECT 1 FROM log FOR UPDATE`,
    ]) {
      await t.rejects(client.query(sentence), { code: '42501' }, sentence)
    }
    await client.query('RESET ROLE; SET ROLE cordon_eraser')
    for (const table of tables) await t.rejects(client.query(`SELECT 1 FROM ${table}`), { code: '42501' }, table)
    await client.query('RESET ROLE; SET ROLE cordon_figures')
    for (const table of tables) await t.rejects(client.query(`SELECT * FROM ${table}`), { code: '42501' }, table)
  })
})
