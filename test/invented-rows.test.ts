// What this holds: what somebody who writes to the database puts there, brings back or makes to
// live on is found by `cordon verify`, in every table that decides who acts or what was delivered.
// What makes it fail: an owner that does not look at a table, or looks at the rows that entries
// name and not at those that none does.
import t from 'tap'
import { busyService } from './support/busy-service.ts'
import { checkLog, openVerifier } from './support/check-log.ts'
import { admin } from './support/database.ts'
import { went } from './support/wire-operation.ts'
import { freshId, invite } from './support/wire.ts'

const busy = await busyService(t)
const { server, operation, administrator, ncpOfKenya, ncpOfThailand, officerOfKenya, messages } = busy
const revoked = await invite(ncpOfKenya, { name: 'Nobody', organization: ncpOfKenya.organization })
went(await ncpOfKenya.call('DELETE', `/v1/invitations/${revoked.invitation}`))
const before = officerOfKenya.session
await officerOfKenya.signIn()
went(await officerOfKenya.call('DELETE', `/v1/sessions/${before}`))
const unused = await invite(ncpOfKenya, { name: 'Not yet', organization: ncpOfKenya.organization })
for (const log of [operation.id, server.logs.directory]) await server.logs.checkpoint(log)
await server.close()
await checkLog(server)

const [kenya, thailand] = [ncpOfKenya.person, ncpOfThailand.person]
const quoted = (text: string) => `'${text}'`
const copyOf = (table: string, change: Readonly<Record<string, string>>, where: string) =>
  `INSERT INTO ${table} SELECT (jsonb_populate_record(${table}, '${JSON.stringify(change)}')).* FROM ${table} WHERE ${where} LIMIT 1`
const session = `id = ${quoted(ncpOfKenya.session)}`
const delivered = `operation_id = ${quoted(operation.id)} AND person_id = ${quoted(thailand)}`
const later = "+ interval '1 hour'"

const attacks: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  delivery: {
    'invented for somebody': copyOf(
      'delivery',
      { person_id: kenya, organization_id: ncpOfKenya.organization },
      delivered,
    ),
    'invented of more than was': copyOf('delivery', { up_to: '40' }, delivered),
    'moved to more than was': `UPDATE delivery SET up_to = up_to + 20 WHERE ${delivered}`,
    'dated back': `UPDATE delivery SET at = at - interval '1 day' WHERE ${delivered}`,
    'given to another organization': `UPDATE delivery SET organization_id = ${quoted(ncpOfKenya.organization)}`,
    'taken away': `DELETE FROM delivery`,
    'invented where no log is': copyOf('delivery', { operation_id: freshId() }, delivered),
  },
  message_read: {
    'invented for somebody': copyOf(
      'message_read',
      { person_id: kenya, organization_id: ncpOfKenya.organization },
      `message_id = ${quoted(messages.warning)}`,
    ),
    'invented of another message': copyOf('message_read', { message_id: messages.text }, 'true'),
    'dated back': `UPDATE message_read SET at = at - interval '1 day'`,
    'taken away': `DELETE FROM message_read`,
    'invented where no log is': copyOf('message_read', { operation_id: freshId() }, 'true'),
  },
  import_key: {
    'invented for another device': copyOf('import_key', { device_id: ncpOfThailand.device.id }, 'true'),
    'put in its place': `UPDATE import_key SET sealed = overlay(sealed placing 'x' from 9 for 1)`,
    'said to be of another': `UPDATE import_key SET sealed_by = ${quoted(ncpOfThailand.device.id)}`,
    'left unsigned': 'UPDATE import_key SET sealed_by = NULL',
    'taken away': 'DELETE FROM import_key',
  },
  session: {
    revived: `UPDATE session SET ended_at = NULL WHERE id = ${quoted(before)}`,
    'revived under a new name': copyOf('session', { id: freshId() }, session),
    'given to another key': `UPDATE session SET key_thumbprint = reverse(key_thumbprint) WHERE ${session}`,
    'given to another person': `UPDATE session SET person_id = ${quoted(administrator.person)} WHERE ${session}`,
    'given to another device': `UPDATE session SET device_id = ${quoted(administrator.device.id)} WHERE ${session}`,
    'made to last': `UPDATE session SET expires_at = expires_at ${later} WHERE ${session}`,
    'proven anew': `UPDATE session SET verified_at = verified_at ${later} WHERE ${session}`,
    'proven by something better': `UPDATE session SET proven_by = 'passkey' WHERE ${session}`,
    'made to know newer factors': `UPDATE session SET known_since = known_since ${later} WHERE ${session}`,
    'ended by nobody': `UPDATE session SET ended_at = now() WHERE ${session}`,
    'taken away': `DELETE FROM session WHERE ${session}`,
  },
  invitation: {
    'un-used again': 'UPDATE invitation SET used_at = NULL WHERE used_at IS NOT NULL',
    'un-revoked again': `UPDATE invitation SET revoked_at = NULL WHERE id = ${quoted(revoked.invitation)}`,
    'used by nobody': `UPDATE invitation SET used_at = now() WHERE id = ${quoted(unused.invitation)}`,
    'opened to another secret': `UPDATE invitation SET recognition = sha256('x') WHERE id = ${quoted(unused.invitation)}`,
    'made to last': `UPDATE invitation SET expires_at = expires_at ${later} WHERE id = ${quoted(unused.invitation)}`,
    'for a higher tier': `UPDATE invitation SET tier = 'administrator' WHERE id = ${quoted(unused.invitation)}`,
    'for somebody else': `UPDATE invitation SET person_id = ${quoted(kenya)} WHERE id = ${quoted(unused.invitation)}`,
    'from somebody else': `UPDATE invitation SET inviter_person_id = ${quoted(thailand)}`,
    invented: copyOf('invitation', { id: freshId() }, `id = ${quoted(unused.invitation)}`),
    'taken away': `DELETE FROM invitation WHERE id = ${quoted(unused.invitation)}`,
  },
  recovery: {
    invented: `INSERT INTO recovery VALUES (${quoted(unused.invitation)}, 'x', now(), ${quoted(thailand)}, now())`,
  },
  credential: {
    'invented for a program': `INSERT INTO credential (person_id, passphrase_hash, set_at) SELECT id, 'x', now() FROM person WHERE id NOT IN (SELECT person_id FROM credential)`,
    'set later than entered': `UPDATE credential SET set_at = set_at ${later} WHERE person_id = ${quoted(kenya)}`,
    'taken away': `DELETE FROM credential WHERE person_id = ${quoted(kenya)}`,
    'put in its place': `UPDATE credential SET passphrase_hash = reverse(passphrase_hash) WHERE person_id = ${quoted(kenya)}`,
    'made to hold alone': `UPDATE credential SET needs_second_factor = NOT needs_second_factor WHERE person_id = ${quoted(kenya)}`,
  },
  totp: {
    invented: `INSERT INTO totp (person_id, sealed_secret, set_at, confirmed_at) VALUES (${quoted(kenya)}, 'x', now(), now())`,
  },
  passkey: {
    invented: `INSERT INTO passkey (id, person_id, public_key, sign_count, name, added_at) VALUES ('x', ${quoted(kenya)}, 'x', 0, 'x', now())`,
  },
  set_up_secret: { invented: `INSERT INTO set_up_secret (hash) VALUES ('x')` },
}

/** By what a finding is known to be about a table. */
const about: Readonly<Record<keyof typeof attacks, RegExp>> = {
  delivery: /deliver/,
  message_read: / read |reading|message_read/,
  import_key: /import key/,
  session: /session/,
  invitation: /^invitation/,
  recovery: /^recovery/,
  credential: /passphrase|factor/,
  totp: /authenticator/,
  passkey: /passkeys/,
  set_up_secret: /set up/,
}

// One attack on each table at a time: what is found is known by its words.
t.test('INV-176: what is put into the database, brought back there or made to live on is found', async (t) => {
  const url = server.database.superUrl
  const verifier = await openVerifier(t, server, url)
  const all = Object.entries(attacks).map(([table, sentences]) => [table, Object.entries(sentences)] as const)
  const rounds = Math.max(...all.map(([, sentences]) => sentences.length))
  await admin(url, async (client) => {
    await client.query('SET session_replication_role = replica')
    for (const [table] of all) await client.query(`CREATE TABLE kept_${table} AS SELECT * FROM ${table}`)
    for (let n = 0; n < rounds; n++) {
      const now = all.flatMap(([table, sentences]) => sentences.slice(n, n + 1).map((one) => [table, ...one] as const))
      for (const [table, what, sentence] of now)
        t.ok((await client.query(sentence)).rowCount, `${table}, ${what}: it changes something`)
      const found = (await verifier()).discrepancies.map((one) => one.what)
      for (const [table, what] of now)
        t.ok(
          found.find((words) => about[table]?.test(words)),
          `${table}, ${what}`,
          { found },
        )
      for (const [table] of now)
        await client.query(`DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM kept_${table}`)
    }
    for (const [table] of all) await client.query(`DROP TABLE kept_${table}`)
  })
  t.same((await verifier()).discrepancies, [], 'and everything was put back')
})
