import t from 'tap'
import { transaction } from '../src/db/index.ts'
import { admin, withDatabase } from './support/database.ts'
import { asActor, freshId, somebody, toyLog, verifyToy } from './support/toy-log.ts'

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
        // The one table with rows that move: the owner's policies let it read them and no more.
        if (table === 'log' && role === 'owner') t.equal((await update).rowCount, 0)
        else await t.rejects(update, { code: '42501' }, `${role}: UPDATE ${table}`)
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

t.test('an auditor reads, and writes nothing', async (t) => {
  const toy = await toyLog(t, somebody())
  await admin(withDatabase(toy.database.superUrl, toy.database.name), async (client) => {
    await client.query('SET ROLE cordon_auditor')
    const { rows } = await client.query<{ count: string }>('SELECT count(*) FROM log_entry')
    t.ok(Number(rows[0]?.count) >= 3)
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
