import { chmod, readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { openLogKey, entriesAfter } from '../src/log/index.ts'
import {
  digestOf,
  openCheckpoint,
  parseCheckpoint,
  parseLeaf,
  parseLogKeys,
  verifyConsistency,
  fromBase64url,
} from '../src/protocol/index.ts'
import { transaction } from '../src/db/index.ts'
import { admin } from './support/database.ts'
import { freshId, originHost, somebody, temporary, toyLog, verifyToy, type Toy } from './support/toy-log.ts'

const note = (text: string) => ({ id: freshId(), text })

/** Sets a log back to an earlier size, as a restored backup would. */
async function setBack(toy: Toy, size: number): Promise<void> {
  await admin(toy.database.superUrl, async (client) => {
    await client.query('SET session_replication_role = replica')
    for (const table of ['log_entry', 'log_private']) {
      await client.query(`DELETE FROM ${table} WHERE log_id = $1 AND index >= $2`, [toy.operation, size])
    }
    await client.query('UPDATE log SET size = $2 WHERE id = $1', [toy.operation, size])
  })
}

t.test('the key is made once, for its owner alone, and never made anew over a log', async (t) => {
  const directory = await temporary(t)
  const file = join(directory, 'deeper', 'log.key')
  t.throws(() => openLogKey(file, true), { code: 'LOG_KEY' }, 'a log, and no key')
  const key = openLogKey(file, false)
  t.equal((await stat(file)).mode & 0o777, 0o600)
  t.same(openLogKey(file, true).publicKeys, key.publicKeys, 'read again')
  t.same(openLogKey(file, false).publicKeys, key.publicKeys)
  await writeFile(file, 'not a key')
  t.throws(() => openLogKey(file, true), { code: 'LOG_KEY' })
  t.throws(() => openLogKey(file, false), { code: 'LOG_KEY' }, 'a broken key is not replaced')
  await writeFile(file, '')
  t.throws(() => openLogKey(file, false), { code: 'LOG_KEY' })
  if (process.getuid?.() !== 0) {
    await chmod(file, 0)
    t.throws(() => openLogKey(file, false), { code: 'LOG_KEY' })
  }
})

t.test('a database belongs to the key and the host it was started with', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server()
  const [first] = await transaction(server.db, (tx) => entriesAfter(tx, server.logs.directory, -1, 1))
  const leaf = parseLeaf(first?.text ?? '')
  const [ed25519, mlDsa44] = await server.logs.verifierKeys(server.logs.directory)
  t.equal(leaf.subject, ed25519)
  t.equal(leaf.digest, await digestOf(mlDsa44 ?? ''))
  const { origin, keys } = await parseLogKeys([leaf.subject, mlDsa44 ?? ''])
  t.same(keys, toy.key.publicKeys)
  t.equal(origin, `${originHost}/logs/${server.logs.directory}`)
  const other = openLogKey(join(await temporary(t), 'log.key'), false)
  await t.rejects(toy.server({ key: other }), { code: 'LOG_KEY' })
  await t.rejects(toy.server({ originHost: 'elsewhere.example' }), { code: 'LOG_NAME', detail: new RegExp(originHost) })
  await t.rejects(toy.server({ key: other, originHost: 'elsewhere.example' }), { code: 'LOG_KEY' })
})

t.test(
  'INV-22: checkpoints are published rarely, each larger, never two of a size, on disk before they are handed out',
  async (t) => {
    const founder = somebody()
    const toy = await toyLog(t, founder)
    const checkpointDirectory = await temporary(t)
    const [one, two] = [
      await toy.server({ checkpointDirectory, limits: { publishEveryMs: 50 } }),
      await toy.server({ limits: { publishEveryMs: 50 } }),
    ]
    const name = `${originHost}/logs/${toy.operation}`
    const keys = toy.key.signers(name)
    let last: { size: number; root: Uint8Array } = { size: 0, root: new Uint8Array(0) }
    const notes = new Map<number, string>()
    for (let i = 0; i < 60; i++) {
      await (i % 2 === 0 ? one : two).post(founder, note(`n${i}`))
      const text = await one.logs.checkpoint(toy.operation)
      const { size, root } = await openCheckpoint(text, ...keys)
      t.equal(notes.get(size) ?? text, text, 'one checkpoint of a size')
      notes.set(size, text)
      t.ok(size >= last.size)
      const filed = await openCheckpoint(await readFile(join(checkpointDirectory, toy.operation), 'utf8'), ...keys)
      t.ok(filed.size >= size, 'it is on disk')
      if (last.size > 0 && size > last.size) {
        const proof = await two.logs.consistency(toy.operation, last.size, size)
        t.ok(await verifyConsistency(last.size, size, last.root, root, proof.map(fromBase64url)))
      }
      last = { size, root }
    }
    t.ok(notes.size < 60, 'not one for each commit')
    await one.logs.close()
    await two.logs.close()
    t.same(
      (await readdir(checkpointDirectory)).filter((file) => file.endsWith('.next')),
      [],
    )
    t.same((await verifyToy(toy)).discrepancies, [])
  },
)

t.test('INV-08: a log that lost what was published is not continued, and says by how many entries', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const checkpointDirectory = await temporary(t)
  const before = await toy.server({ checkpointDirectory })
  for (let i = 0; i < 5; i++) await before.post(founder, note(`n${i}`))
  await before.logs.close()
  const filed = await readFile(join(checkpointDirectory, toy.operation), 'utf8')
  t.equal(parseCheckpoint(filed.slice(0, filed.indexOf('\n\n') + 1)).size, 7, 'the last one was published at the end')

  await setBack(toy, 4)
  const after = await toy.server({ checkpointDirectory })
  await t.rejects(after.post(founder, note('x')), {
    code: 'LOG_READ_ONLY',
    extra: { missing: 3, published: 7, size: 4 },
  })
  await t.rejects(
    transaction(after.db, (tx) =>
      after.logs.appendWithin(tx, [
        { log: toy.operation, drafts: [{ kind: 'member.ended', actor: { server: 's' }, subject: founder.person }] },
      ]),
    ),
    { code: 'LOG_READ_ONLY' },
  )
  t.equal((await transaction(after.db, (tx) => entriesAfter(tx, toy.operation, -1, 10))).length, 4, 'it is read')
  const { readOnly } = await after.logs.start()
  t.match(readOnly, [{ log: toy.operation, missing: 3 }])
})

t.test('a log with another content than was published is not continued', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const checkpointDirectory = await temporary(t)
  const before = await toy.server({ checkpointDirectory })
  await before.post(founder, note('a'))
  await before.logs.close()
  await admin(toy.database.superUrl, (client) =>
    client.query(`UPDATE log_entry SET leaf_hash = sha256('x') WHERE log_id = $1 AND index = 1`, [toy.operation]),
  )
  const after = await toy.server({ checkpointDirectory })
  await t.rejects(after.post(founder, note('b')), { code: 'LOG_READ_ONLY', extra: { missing: 0 } })
})

t.test('a checkpoint file that is not ours, or a database that was emptied, stops the start', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const checkpointDirectory = await temporary(t)
  await writeFile(join(checkpointDirectory, toy.operation), 'x')
  await t.rejects(toy.server({ checkpointDirectory }), { code: 'LOG_KEY' })
  const elsewhere = await temporary(t)
  const server = await toy.server({ checkpointDirectory: elsewhere })
  await server.logs.checkpoint(server.logs.directory)
  await admin(toy.database.superUrl, (client) => client.query('TRUNCATE log, log_entry, log_private CASCADE'))
  await t.rejects(toy.server({ checkpointDirectory: elsewhere }), { code: 'LOG_READ_ONLY' })
})

t.test('two servers that start at once on an empty database make one directory', async (t) => {
  const toy = await toyLog(t, somebody())
  await admin(toy.database.superUrl, (client) => client.query('TRUNCATE log, log_entry, log_private CASCADE'))
  const servers = await Promise.all(Array.from({ length: 4 }, () => toy.server()))
  t.equal(new Set(servers.map((server) => server.logs.directory)).size, 1)
  t.same((await verifyToy(toy)).discrepancies, [])
})
