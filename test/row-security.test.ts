// What this holds: row-level security is a second line of its own. With `authorize` forced to allow
// everything, no row of another operation comes out of any door; and each role of the database is
// refused what it must not run.
// What makes it fail: a policy dropped, a request that enters an operation by its log, `sees` taken
// from the views.
import type pg from 'pg'
import t from 'tap'
import { busyService } from './support/busy-service.ts'
import { checkLog, verifyAll } from './support/check-log.ts'
import { admin } from './support/database.ts'
import { everybodyMay, patchedServer } from './support/patched.ts'
import { createOperation } from './support/wire-operation.ts'
import { freshId, newcomer } from './support/wire.ts'

t.test('INV-25: with every check of rights forced to allow, no row of another operation is returned', async (t) => {
  const create = await patchedServer(t, everybodyMay)
  const busy = await busyService(t, { create, altered: true })
  const { server, operation, administrator, compartment, messages } = busy
  const id = freshId()
  await administrator.must('POST', '/v1/organizations', {
    id,
    kind: 'administration',
    name: 'Elsewhere',
    country: 'NO',
  })
  const outsider = await newcomer(administrator, { name: 'Outsider', organization: id, tier: 'ncp' })
  const own = await createOperation(t, administrator, outsider)
  t.equal((await outsider.call('GET', own.path)).status, 200)

  // Whatever names something of the operation: ids of things and people, names, and texts of
  // statements and extracts.
  const view = await operation.view()
  const telling = [
    ...view.members.keys(),
    ...view.compartments.keys(),
    ...view.devices.keys(),
    ...Object.values(messages),
    ...[...view.compartments.values()].flatMap(({ epochs }) => epochs.map(({ digest }) => digest)),
    'Operation Pangolin',
    'wildlife',
    view.head ?? '',
  ].filter((text) => text !== operation.id && text !== '')
  const paths = [
    operation.path,
    ...['members', 'organizations', 'compartments', 'threads', 'figures', 'grants', 'grant-requests', 'import-key'].map(
      (name) => `${operation.path}/${name}`,
    ),
    `${operation.path}/grants?compartment=${compartment}`,
    `${operation.path}/organizations-named?name=kenya`,
    `${operation.path}/candidates?organization=${busy.ncpOfKenya.organization}`,
    ...Object.values(messages).flatMap((message) => [
      `${operation.path}/messages/${message}`,
      `${operation.path}/messages/${message}/receipts`,
    ]),
    `/v1/logs/${operation.id}/checkpoint`,
    `/v1/logs/${operation.id}/entries`,
    `/v1/logs/${operation.id}/inclusion?index=1&size=3`,
    `/v1/logs/${operation.id}/consistency?from=1&to=3`,
    '/v1/operations',
  ]
  let passed = 0
  for (const path of paths) {
    const answer = await outsider.call('GET', path)
    const told = telling.filter((text) => answer.text.includes(text) && !path.includes(text))
    t.same(told, [], `GET ${path} tells nothing`, { answer: answer.text.slice(0, 500) })
    if (answer.status < 400) passed++
    else t.equal(answer.status, 404, path)
  }
  t.ok(passed >= 3, 'the forced permission did let requests through to the database')
  const known = await outsider.call('POST', `${operation.path}/imports/known`, { ids: Object.values(messages) })
  t.same(known.body, { known: [] })
  const figures = await outsider.call('GET', `${operation.path}/figures`)
  t.match(figures.body, { seizures: 0, quantities: [] })

  const live = await outsider.live()
  const frames = await live.follow(operation.id)
  t.same(
    frames.filter(({ type }) => type === 'entry'),
    [],
    'nothing comes over the live channel',
  )
  live.close()
  t.equal((await busy.ncpOfKenya.call('GET', `${operation.path}/messages/${messages.warning}`)).status, 200)
  const { discrepancies } = await verifyAll(server)
  t.ok(
    discrepancies.some(({ log, what }) => log === operation.id && /no member/.test(what)),
    'and the verifier finds what such a server let somebody do who is no member',
  )
})

t.test('each role of the database is refused what it must not run', async (t) => {
  const busy = await busyService(t)
  const { server, operation, messages } = busy
  await server.close()
  const { url, superUrl } = server.database
  const denied = async (client: pg.Client, who: string, sentences: readonly string[]) => {
    for (const sentence of sentences) await t.rejects(client.query(sentence), { code: '42501' }, `${who}: ${sentence}`)
  }
  const statements = [
    'certificate',
    'revocation',
    'member_statement',
    'epoch',
    'epoch_grant',
    'message',
    'body',
    'extract',
  ]
  await admin(url, async (client) => {
    await client.query(`SELECT set_config('cordon.log', $1, false)`, [operation.id])
    const sentences = statements.flatMap((table) => [
      `UPDATE ${table} SET ${table === 'extract' ? 'content' : table === 'body' ? 'jwe' : table === 'epoch_grant' ? 'sealed' : 'jws'} = 'x'`,
      `DELETE FROM ${table}`,
      `TRUNCATE ${table} CASCADE`,
    ])
    await denied(client, 'service', [
      ...sentences,
      'DELETE FROM operation',
      'DELETE FROM thread',
      'DELETE FROM person',
      'DELETE FROM device',
      'UPDATE trust_root SET device_id = device_id',
      'CREATE TABLE mine ()',
      'DROP TABLE body',
      'ALTER TABLE body DISABLE ROW LEVEL SECURITY',
      'CREATE POLICY mine ON body USING (true)',
      'SET ROLE cordon_owner',
      'SET ROLE cordon_auditor',
      'SET ROLE cordon_eraser',
      'SET session_replication_role = replica',
      "COPY body TO PROGRAM 'true'",
    ])
  })
  // Nothing named: nothing shown. One's own person named: one's own operations.
  const operationTables = [
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
    'log',
    'log_entry',
  ]
  const rowsIn = async (client: pg.Client, table: string) =>
    Number((await client.query<{ n: string }>(`SELECT count(*) AS n FROM ${table}`)).rows[0]?.n)
  await admin(url, async (client) => {
    for (const table of operationTables) t.equal(await rowsIn(client, table), 0, `${table} without a person`)
    await client.query(`SELECT set_config('cordon.person', $1, false)`, [busy.administrator.person])
    for (const table of operationTables)
      t.equal(await rowsIn(client, table), 0, `${table} for somebody who is no member`)
    await client.query(`SELECT set_config('cordon.person', $1, false)`, [busy.ncpOfKenya.person])
    for (const table of operationTables) t.ok((await rowsIn(client, table)) > 0, `${table} for a member`)
    await client.query('SET ROLE cordon_figures')
    await denied(client, 'figures', [
      ...['body', 'epoch_grant', 'member', 'person', 'log_private', 'member_statement'].map(
        (table) => `SELECT 1 FROM ${table}`,
      ),
      'SELECT jws FROM message',
      'SELECT person_id FROM message',
      'SELECT salt FROM extract',
      'SELECT leaf FROM log_entry',
      'INSERT INTO extract VALUES (NULL)',
    ])
    t.ok((await rowsIn(client, 'message')) > 0)
    await client.query('RESET ROLE')
    await client.query(`SELECT set_config('cordon.person', $1, false)`, [busy.administrator.person])
    await client.query('SET ROLE cordon_figures')
    t.equal(await rowsIn(client, 'message'), 0, 'figures of somebody who is no member')
  })
  await admin(superUrl, async (client) => {
    await client.query('SET ROLE cordon_auditor')
    await denied(client, 'auditor', [
      ...['body', 'extract', 'epoch_grant', 'log_private', 'message', 'credential', 'invitation_key', 'session'].map(
        (table) => `SELECT 1 FROM ${table}`,
      ),
      'INSERT INTO message VALUES (NULL)',
      'UPDATE member SET role = role',
      'DELETE FROM log_private',
    ])
    t.ok((await rowsIn(client, 'audit_message_statement')) > 0, 'statements are there for an auditor')
    await client.query('RESET ROLE; SET ROLE cordon_eraser')
    await denied(
      client,
      'eraser',
      operationTables.flatMap((table) => [`SELECT 1 FROM ${table}`, `DELETE FROM ${table}`]),
    )
  })
  const { rows } = await admin(superUrl, (client) =>
    client.query<{ relname: string }>(
      `SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
       AND NOT (relrowsecurity AND relforcerowsecurity)`,
    ),
  )
  const open = new Set(rows.map(({ relname }) => relname))
  for (const table of [...operationTables, 'log_private', 'log_node', 'log_checkpoint', 'import_key'])
    t.notOk(open.has(table), `${table} has row-level security, forced`)
  t.ok(messages.text)
  await checkLog(server)
})
