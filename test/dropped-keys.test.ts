// What this holds: rows that foreign keys kept apart until migration 0026 are found by the
// verifier, and row security asks the cheap policy first.
// What makes it fail: a check of the verifier that relied on one of those keys; a policy whose name
// sorts after `of_log`.
import type pg from 'pg'
import t from 'tap'
import { checkLog, verifyAll } from './support/check-log.ts'
import { opened, partyOf, takeIn } from './support/actors.ts'
import { text } from './support/altered-operation.ts'
import { admin } from './support/database.ts'
import { usualOperation } from './support/usual-operation.ts'
import { freshId } from './support/wire.ts'

/** An operation with a message, its answer, and somebody who has read both. */
async function usedOperation(owner: Parameters<typeof usualOperation>[0]) {
  const scene = await usualOperation(owner)
  const { administrator, coordinator, operation } = scene
  const kenya = await partyOf(owner, administrator, { kind: 'administration', name: 'Customs of Kenya', country: 'KE' })
  await takeIn(coordinator, operation, kenya, 'ncp')
  const leading = await coordinator.follow(operation)
  await leading.ready()
  const writing = await kenya.client.follow(operation)
  await writing.ready()
  const { message } = await leading.post(text('Look at container 7.'))
  const asked = await opened(kenya.client, operation, message)
  await writing.reply(asked, text('It is empty.'))
  await writing.markRead([message])
  const isRead = async () => {
    await scene.server.consultation.flush()
    const query = 'SELECT 1 FROM message_read'
    return (await admin(scene.server.database.superUrl, (client) => client.query(query))).rowCount === 1
  }
  for (let tries = 0; !(await isRead()); tries++) if (tries > 100) throw new Error('nobody has read it')
  return scene
}

t.test('what a dropped key forbade is found', async (t) => {
  const { server, operation } = await usedOperation(t)
  await server.close()
  await checkLog(server)
  const other = freshId()
  const copy = (table: string, change: object, where = `operation_id = '${operation}'`) =>
    `INSERT INTO ${table} SELECT (jsonb_populate_record(r, '${JSON.stringify(change)}')).* FROM ${table} r WHERE ${where} LIMIT 1`
  /** The key, what plants its violation, and what the verifier says. */
  const planted: [string, string, RegExp][] = [
    ['body_message_fkey', copy('body', { message_id: other }), /bodies where/],
    ['body_message_fkey', copy('body', { operation_id: other }), /body/],
    ['extract_message_fkey', `INSERT INTO extract VALUES ('${operation}', '${other}', 's', 'c')`, /extracts where/],
    ['extract_message_fkey', `INSERT INTO extract VALUES ('${other}', '${other}', 's', 'c')`, /extract/],
    ['message_thread_fkey', `DELETE FROM thread`, /thread/],
    ['message_operation_fkey', copy('message', { operation_id: other }), /message/],
    ['message_refers_to_fkey', `DELETE FROM message WHERE refers_to IS NULL`, /refers|its message/],
    ['message_read_message_fkey', `DELETE FROM message WHERE refers_to IS NULL`, /1 readings of messages/],
    ['message_read_message_fkey', copy('message_read', { message_id: other }), /reading/],
    ['message_read_message_fkey', copy('message_read', { operation_id: other }), /message_read|reading/],
    [
      'log_private_has_entry',
      `INSERT INTO log_private SELECT log_id, index + 100000, salt, details FROM log_private WHERE log_id = '${operation}' LIMIT 1`,
      /private|details/,
    ],
    [
      'log_private_has_entry',
      `INSERT INTO log_private SELECT '${other}', index, salt, details FROM log_private WHERE log_id = '${operation}' LIMIT 1`,
      /private|details|log/,
    ],
    ['log_entry_has_log', copy('log_entry', { log_id: other }, `log_id = '${operation}'`), /log/],
  ]
  for (const [key, sql, expected] of planted) {
    const found = await within(server.database.superUrl, sql, async () => (await verifyAll(server)).discrepancies)
    t.ok(found.length > 0, `${key}: ${sql.slice(0, 60)}`)
    t.match(found.map(({ what }) => what).join('\n'), expected, `${key}: ${sql.slice(0, 60)}`)
  }
  await checkLog(server)
})

t.test('row security compares ids before it asks for the operations of a person', async (t) => {
  const { server, operation } = await usualOperation(t)
  const tables = new Map([
    ['log', 'id'],
    ['log_entry', 'log_id'],
    ['log_private', 'log_id'],
    ['member', 'operation_id'],
    ['message', 'operation_id'],
    ['body', 'operation_id'],
  ])
  /**
   * Whether a plan compares with the log of the transaction before it asks for the operations of
   * the person.
   */
  const comparesFirst = (table: string, column: string) =>
    admin(server.database.url, async (client) => {
      const explain = `EXPLAIN SELECT * FROM ${table} WHERE ${column} = '${operation}'`
      const plan = (await client.query<{ 'QUERY PLAN': string }>(explain)).rows.map((row) => row['QUERY PLAN'])
      const filter = plan.find((line) => line.includes('Filter:') && line.includes('SubPlan')) ?? ''
      t.match(filter, /cordon\.log/, `${table} has both policies`)
      return filter.indexOf('cordon.log') < filter.indexOf('SubPlan')
    })
  for (const [table, column] of tables) t.equal(await comparesFirst(table, column), true, table)
  await admin(server.database.superUrl, (client) =>
    client.query('ALTER POLICY among_operations_of_person ON message RENAME TO of_person'),
  )
  t.equal(await comparesFirst('message', 'operation_id'), false, 'under the name that it had it comes first')
})

/**
 * Does something while rows are planted, then puts back every row of the tables that it may have
 * changed.
 */
async function within<T>(superUrl: string, sql: string, work: () => Promise<T>): Promise<T> {
  return admin(superUrl, async (client: pg.Client) => {
    const tables = ['body', 'extract', 'thread', 'message', 'message_read', 'log_private', 'log_entry']
    for (const table of tables) await client.query(`CREATE TABLE kept_${table} AS SELECT * FROM ${table}`)
    try {
      const { rowCount } = await client.query(sql)
      if (rowCount === 0) throw new Error(`nothing was planted by ${sql}`)
      return await work()
    } finally {
      for (const table of tables) {
        await client.query(`DELETE FROM ${table}`)
        await client.query(`INSERT INTO ${table} SELECT * FROM kept_${table}`)
        await client.query(`DROP TABLE kept_${table}`)
      }
    }
  })
}
