import { writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { transaction } from '../src/db/index.ts'
import { openLogKey, entriesAfter } from '../src/log/index.ts'
import { openNote, openWitnessed, parseWitnessPolicy, type WitnessPolicy } from '../src/protocol/index.ts'
import { administratorOf } from './support/actors.ts'
import { ended, serve, start, until } from './support/command.ts'
import { admin, testDatabase } from './support/database.ts'
import { startServer } from './support/server.ts'
import { freshId, originHost, somebody, toyLog, verifyToy, type Toy } from './support/toy-log.ts'
import { heldBy, policyOf, policyText, startWitness, temporaryDirectory, type TestWitness } from './support/witness.ts'

type Owner = Parameters<typeof toyLog>[0]

const note = (text: string) => ({ id: freshId(), text })
const quick = { publishEveryMs: 20, sendEveryMs: 20, retryAfterMs: 50, retryAtMostMs: 200, answerWithinMs: 2_000 }

async function scene(owner: Owner, count: number, quorum: number) {
  const founder = somebody()
  const toy = await toyLog(owner, founder)
  const witnesses = await Promise.all(
    Array.from({ length: count }, (_, i) =>
      startWitness(owner, { host: originHost, key: toy.key, name: `w${String(i)}.example` }),
    ),
  )
  return { founder, toy, witnesses, policy: await policyOf(witnesses, quorum) }
}

async function eventually<T>(what: string, ask: () => Promise<T | undefined>): Promise<T> {
  for (const end = performance.now() + 20_000; performance.now() < end;) {
    const found = await ask()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`waited in vain until ${what}`)
}

type ToyServer = Awaited<ReturnType<Toy['server']>>

/** The final checkpoint of the toy's log once it has this size. */
const finalOf = (server: ToyServer, toy: Toy, policy: WitnessPolicy, size: number) =>
  eventually(`the final checkpoint has ${String(size)} entries`, async () => {
    const text = await server.logs.finalCheckpoint(toy.operation).catch((error: { code: string }) => {
      if (error.code === 'NOT_WITNESSED') return undefined
      throw error
    })
    if (text === undefined) return undefined
    const opened = await openWitnessed(text, toy.key.signers(`${originHost}/logs/${toy.operation}`), policy)
    return opened.size >= size ? { ...opened, text } : undefined
  })

/** Entries of the directory log about witnesses. */
async function entriesOf({ logs, db }: ToyServer, kind: string): Promise<Record<string, unknown>[]> {
  const entries = await transaction(db, (tx) => entriesAfter(tx, logs.directory, -1, 1_000))
  return entries.filter((entry) => entry.kind === kind).map(({ text }) => JSON.parse(text) as Record<string, unknown>)
}

t.test('what is published is cosigned by all, becomes final with a quorum, and the page says so', async (t) => {
  const { founder, toy, witnesses, policy } = await scene(t, 3, 2)
  const server = await toy.server({ witnesses: policy, limits: quick })
  for (let i = 0; i < 5; i++) await server.post(founder, note(`n${String(i)}`))
  const { size, text, cosignedAt } = await finalOf(server, toy, policy, 7)
  t.equal(size, 7)
  t.ok(Math.abs(cosignedAt - Date.now() / 1_000) < 60)
  await eventually('all three have', async () => {
    const page = await server.logs.witnesses(toy.operation)
    return page.witnesses.every((witness) => witness.size === 7) ? page : undefined
  })
  const page = await server.logs.witnesses(toy.operation)
  t.match(page, { size: 7, final: 7, quorum: true })
  t.same(
    page.witnesses.map(({ name, lag, lastFailure }) => [name, lag, lastFailure]),
    witnesses.map(({ name }) => [name, { entries: 0, seconds: 0 }, null]),
  )
  t.same(page.witnesses[0]?.keys, witnesses[0]?.verifierKeys)
  const whole = await server.logs.finalCheckpoint(toy.operation)
  t.ok(whole.length >= text.length)
  t.equal(
    (
      await openNote(
        whole,
        witnesses.flatMap(({ keys }) => keys),
      )
    ).signatures.length,
    6,
    'two lines of each',
  )
  for (const { url } of witnesses) t.equal((await heldBy(url, `${originHost}/logs/${toy.operation}`)).status, 200)

  const added = await entriesOf(server, 'witness.added')
  t.same(
    added.map(({ subject }) => subject),
    witnesses.map(({ name }) => name),
  )
  const fewer = await parseWitnessPolicy(policyText(witnesses.slice(1), 2))
  const next = await toy.server({ witnesses: fewer, limits: quick })
  t.same(
    (await entriesOf(next, 'witness.removed')).map(({ subject }) => subject),
    ['w0.example'],
  )
  t.equal((await entriesOf(next, 'witness.added')).length, 3, 'who stays is not entered again')
  await next.post(founder, note('later'))
  await finalOf(next, toy, fewer, 8)
  await server.logs.close()
  await next.logs.close()
  t.same((await verifyToy(toy)).discrepancies, [])
})

t.test('INV-51: a witness that is away, slow or wrong never stops a message', async (t) => {
  const { founder, toy, witnesses } = await scene(t, 2, 1)
  const [good, later] = witnesses as [TestWitness, TestWitness]
  const port = Number(new URL(later.url).port)
  await later.close()
  const [silent, wrong] = [await oddWitness(t, () => undefined), await oddWitness(t, () => 'what?')]
  const odd = await Promise.all(
    [silent, wrong].map(async (url, i) => {
      const { name, verifierKeys } = await startWitness(t, {
        host: originHost,
        key: toy.key,
        name: `odd${String(i)}.example`,
      })
      return { name, verifierKeys, url }
    }),
  )
  const policy = await parseWitnessPolicy(policyText([good, later, ...odd], 1))
  const said: string[] = []
  const began = performance.now()
  const server = await toy.server({
    witnesses: policy,
    limits: { ...quick, answerWithinMs: 1_000 },
    onError: (what) => said.push(what),
  })
  t.ok(performance.now() - began < 10_000, 'nor the start')
  t.ok(said.some((what) => /w1\.example.*cannot be reached: ECONNREFUSED/.test(what)))
  const times: number[] = []
  for (let i = 0; i < 100; i++) {
    const at = performance.now()
    await server.post(founder, note(`n${String(i)}`))
    times.push(performance.now() - at)
  }
  t.ok(
    Math.max(...times) < 900,
    `the slowest took ${Math.max(...times).toFixed(0)} ms, a witness is waited for a second`,
  )
  t.comment(`the slowest of 100 took ${Math.max(...times).toFixed(0)} ms`)
  await finalOf(server, toy, policy, 102)
  const before = await server.logs.witnesses(toy.operation)
  const failed = Object.fromEntries(
    before.witnesses.map(({ name, lastFailure }) => [name, lastFailure?.reason ?? 'none']),
  )
  t.equal(failed['w0.example'], 'none')
  t.match(failed['w1.example'], /cannot be reached/)
  t.match(failed['odd0.example'], /did not answer in time/)
  t.match(failed['odd1.example'], /did not sign|without right cosignatures/)
  t.equal(before.witnesses[1]?.lag.entries, 102)
  t.ok(said.length < 20, 'what stays wrong is said once')

  await startWitness(t, { host: originHost, key: toy.key, name: 'w1.example', directory: later.directory, port })
  await eventually('it has caught up', async () => {
    const { witnesses: states } = await server.logs.witnesses(toy.operation)
    return states[1]?.size === 102 && states[1].lastFailure === null ? states : undefined
  })
  await server.logs.close()
  t.same((await verifyToy(toy)).discrepancies, [])
})

/** Something at the address of a witness that says one thing to everything, or nothing. */
async function oddWitness(owner: Owner, says: () => string | undefined): Promise<string> {
  const server: Server = createServer((_request, response) => {
    const text = says()
    if (text !== undefined) response.end(text)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  owner.teardown(async () => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
}

t.test('two servers send to one witness, and neither is in the way of the other', async (t) => {
  const { founder, toy, policy } = await scene(t, 1, 1)
  const servers = await Promise.all([1, 2].map(() => toy.server({ witnesses: policy, limits: quick })))
  const [one, two] = servers as [ToyServer, ToyServer]
  for (let i = 0; i < 60; i++) await (i % 2 === 0 ? one : two).post(founder, note(`n${String(i)}`))
  for (const server of servers) await finalOf(server, toy, policy, 62)
  for (const server of servers) {
    t.same(await entriesOf(server, 'witness.refused'), [])
    await server.logs.close()
  }
  t.equal((await entriesOf(one, 'witness.added')).length, 1, 'entered once')
  t.same((await verifyToy(toy)).discrepancies, [])
})

/** Sets a log back to an earlier size, as a restored backup would. */
async function setBack(toy: Toy, size: number): Promise<void> {
  await admin(toy.database.superUrl, async (client) => {
    await client.query('SET session_replication_role = replica')
    for (const table of ['log_entry', 'log_private'])
      await client.query(`DELETE FROM ${table} WHERE log_id = $1 AND index >= $2`, [toy.operation, size])
    await client.query('UPDATE log SET size = $2 WHERE id = $1', [toy.operation, size])
  })
}

t.test('INV-52: a log behind or beside a witness is not continued, and says by how many entries', async (t) => {
  const { founder, toy, policy } = await scene(t, 2, 1)
  const before = await toy.server({ witnesses: policy, limits: quick })
  for (let i = 0; i < 5; i++) await before.post(founder, note(`n${String(i)}`))
  await finalOf(before, toy, policy, 7)
  await before.logs.close()
  await setBack(toy, 4)
  // Its own files are lost too: only the witnesses remember.
  const said: string[] = []
  const after = await toy.server({ witnesses: policy, limits: quick, onError: (what) => said.push(what) })
  await t.rejects(after.post(founder, note('x')), {
    code: 'LOG_READ_ONLY',
    extra: { missing: 3, published: 7, size: 4 },
  })
  t.ok(said.some((what) => what.includes('REFUSES THE LOG')))
  const refused = await entriesOf(after, 'witness.refused')
  t.ok(refused.length >= 1)
  t.match(refused[0], { subject: /w[01]\.example/, digest: /^[\w-]{43}$/ })
  await after.logs.close()

  await admin(toy.database.superUrl, async (client) => {
    await client.query('SET session_replication_role = replica')
    await client.query('UPDATE log SET size = 7 WHERE id = $1', [toy.operation])
    await client.query(
      `INSERT INTO log_entry (log_id, index, leaf, leaf_hash, kind, at, person_id, organization_id, device_id, compartment_id, subject)
       SELECT log_id, index + 3, leaf, sha256(leaf_hash), kind, at, person_id, organization_id, device_id, compartment_id, subject
       FROM log_entry WHERE log_id = $1 AND index >= 1`,
      [toy.operation],
    )
  })
  const beside = await toy.server({ witnesses: policy, limits: quick })
  await t.rejects(beside.post(founder, note('y')), { code: 'LOG_READ_ONLY', extra: { missing: 0, published: 7 } })
})

t.test('INV-52: a witness that was away at the start is compared with before anything is sent to it', async (t) => {
  const { founder, toy, witnesses, policy } = await scene(t, 1, 1)
  const [witness] = witnesses as [TestWitness]
  const before = await toy.server({ witnesses: policy, limits: quick })
  for (let i = 0; i < 5; i++) await before.post(founder, note(`n${String(i)}`))
  await finalOf(before, toy, policy, 7)
  await before.logs.close()
  await witness.close()
  await setBack(toy, 4)
  const said: string[] = []
  const after = await toy.server({ witnesses: policy, limits: quick, onError: (what) => said.push(what) })
  t.ok(
    said.some((what) => what.includes('cannot be reached')),
    'it is said',
  )
  const { directory, url } = witness
  await startWitness(t, {
    host: originHost,
    key: toy.key,
    name: 'w0.example',
    directory,
    port: Number(new URL(url).port),
  })
  await until('it is found out', () => said.some((what) => what.includes('REFUSES THE LOG')))
  await t.rejects(after.post(founder, note('x')), { code: 'LOG_READ_ONLY', extra: { missing: 3 } })
})

t.test('INV-53: one changed value of a cosignature is found, and a row removed, added or exchanged', async (t) => {
  const { founder, toy, policy } = await scene(t, 2, 2)
  const server = await toy.server({ witnesses: policy, limits: quick })
  for (let i = 0; i < 4; i++) {
    await server.post(founder, note(`n${String(i)}`))
    await finalOf(server, toy, policy, 3 + i)
  }
  await server.logs.close()
  t.same((await verifyToy(toy)).discrepancies, [])
  await admin(toy.database.superUrl, async (client) => {
    await client.query(
      `SET session_replication_role = replica; ALTER TABLE log_cosignature DROP CONSTRAINT log_cosignature_number_counts`,
    )
    await client.query('CREATE TABLE kept AS SELECT * FROM log_cosignature')
    const { rows } = await client.query<{ count: number }>('SELECT count(*)::int AS count FROM kept')
    t.ok((rows[0]?.count ?? 0) >= 8)
    const one = `ctid = (SELECT ctid FROM log_cosignature ORDER BY number LIMIT 1)`
    const flip = (at: number) =>
      `UPDATE log_cosignature SET lines = overlay(lines placing (CASE substr(lines, ${String(at)}, 1) WHEN 'A' THEN 'B' ELSE 'A' END) from ${String(at)} for 1) WHERE ${one}`
    const attacks = [
      ...[1, 5, 14, 20, 25, 60, 100, 132, 200, 1_000, 3_000].map(flip),
      `UPDATE log_cosignature SET lines = lines || chr(10) WHERE ${one}`,
      `UPDATE log_cosignature SET lines = lines || lines WHERE ${one}`,
      `UPDATE log_cosignature SET lines = split_part(lines, chr(10), 1) || chr(10) WHERE ${one}`,
      `UPDATE log_cosignature SET lines = '' WHERE ${one}`,
      `UPDATE log_cosignature SET size = size + 100 WHERE ${one}`,
      `UPDATE log_cosignature SET witness = 'w9.example' WHERE ${one}`,
      `UPDATE log_cosignature SET number = 1000 WHERE ${one}`,
      `UPDATE log_cosignature SET number = 0 WHERE ${one}`,
      `UPDATE log_cosignature SET number = -number WHERE ${one}`,
      `UPDATE log_cosignature SET log_id = '${freshId()}' WHERE ${one}`,
      `UPDATE log_cosignature SET number = 5000, log_id = (SELECT id FROM log WHERE operation_id IS NULL) WHERE log_id = '${toy.operation}' AND number = 1`,
      `DELETE FROM log_cosignature WHERE ${one}`,
      `DELETE FROM log_cosignature WHERE log_id = '${toy.operation}' AND number = 3`,
      `INSERT INTO log_cosignature SELECT log_id, witness, size + 1000, number + 1000, lines FROM log_cosignature WHERE ${one}`,
      `INSERT INTO log_cosignature SELECT log_id, 'w9.example', size, number + 1000, lines FROM log_cosignature WHERE ${one}`,
      `UPDATE log_cosignature mine SET lines = other.lines FROM log_cosignature other
       WHERE mine.log_id = '${toy.operation}' AND other.log_id = mine.log_id
         AND ((mine.number = 1 AND other.number = 3) OR (mine.number = 3 AND other.number = 1))`,
    ]
    for (const attack of attacks) {
      const { rowCount } = await client.query(attack)
      t.ok((rowCount ?? 0) > 0, 'something was changed')
      t.ok((await verifyToy(toy)).discrepancies.length > 0, attack.slice(0, 110))
      await client.query('TRUNCATE log_cosignature; INSERT INTO log_cosignature SELECT * FROM kept')
    }
    await client.query(
      `DELETE FROM log_private WHERE index = (SELECT min(index) FROM log_entry WHERE kind = 'witness.added')`,
    )
    t.ok((await verifyToy(toy)).discrepancies.length > 0, 'who the witnesses are')
  })
})

t.test(
  'INV-05, INV-06: nobody but a superuser changes a cosignature, and nobody reads one of a log they did not name',
  async (t) => {
    const { founder, toy, policy } = await scene(t, 1, 1)
    const server = await toy.server({ witnesses: policy, limits: quick })
    await server.post(founder, note('x'))
    await finalOf(server, toy, policy, 3)
    for (const url of [toy.database.url, toy.database.ownerUrl]) {
      await admin(url, async (client) => {
        await client.query(`SELECT set_config('cordon.log', $1, false)`, [toy.operation])
        for (const sentence of [
          'DELETE FROM log_cosignature',
          'TRUNCATE log_cosignature',
          `UPDATE log_cosignature SET lines = ''`,
        ])
          await t.rejects(client.query(sentence), { code: '42501' }, sentence)
      })
    }
    await admin(toy.database.url, async (client) => {
      t.equal((await client.query('SELECT 1 FROM log_cosignature')).rowCount, 0, 'without a named log')
      await client.query(`SELECT set_config('cordon.log', $1, false)`, [server.logs.directory])
      t.equal((await client.query('SELECT 1 FROM log_cosignature WHERE log_id = $1', [toy.operation])).rowCount, 0)
    })
    await admin(toy.database.superUrl, async (client) => {
      for (const role of ['cordon_figures', 'cordon_eraser']) {
        await client.query(`SET ROLE ${role}`)
        await t.rejects(client.query('SELECT 1 FROM log_cosignature'), { code: '42501' }, role)
        await client.query('RESET ROLE')
      }
      await client.query('SET ROLE cordon_auditor')
      t.ok(((await client.query('SELECT 1 FROM audit_cosignature')).rowCount ?? 0) > 0)
      await t.rejects(client.query('SELECT 1 FROM log_cosignature'), { code: '42501' })
      await t.rejects(client.query(`UPDATE log_cosignature SET lines = ''`), { code: '42501' })
    })
  },
)

t.test('members read the page and the final checkpoint over HTTP, others get nothing', async (t) => {
  const bare = await startServer(t)
  const administrator = await administratorOf(t, bare)
  const log = bare.logs.directory
  t.match(await administrator.transport.request('GET', `/v1/logs/${log}/witnesses`), { final: null, witnesses: [] })
  await t.rejects(administrator.transport.request('GET', `/v1/logs/${log}/final-checkpoint`), {
    code: 'NOT_WITNESSED',
    status: 409,
  })
  for (const path of ['witnesses', 'final-checkpoint']) {
    await t.rejects(administrator.transport.request('GET', `/v1/logs/${freshId()}/${path}`), { code: 'NOT_FOUND' })
    t.equal((await fetch(`${bare.url}/v1/logs/${log}/${path}`)).status, 401)
  }
})

t.test('the service takes its witnesses from a file, and refuses what is no policy', async (t) => {
  const { url, superUrl } = await testDatabase(t)
  const directory = temporaryDirectory(t)
  const key = openLogKey(join(directory, 'log.key'), false)
  const witness = await startWitness(t, { host: 'cordon.test', key })
  const env = { DATABASE_URL: url, DATA_DIRECTORY: directory, LOG_HOST: 'cordon.test', PORT: '0' }
  const file = join(directory, 'witnesses.policy')
  const faults: [string, RegExp][] = [
    ['quorum nobody', /Line 1 of the policy/],
    [policyText([witness], 1).replaceAll(witness.url, ''), /no URL for witness\.example/],
  ]
  for (const [text, sentence] of faults) {
    writeFileSync(file, text)
    const done = await ended(start(t, ['serve', '--json'], { ...env, WITNESSES_FILE: file }))
    t.equal(done.code, 1)
    t.match(done.json, { error: { code: 'CONFIGURATION', faults: [sentence] } })
  }
  writeFileSync(file, policyText([witness], 1))
  const service = await serve(t, { ...env, WITNESSES_FILE: file, WITNESS_QUORUM: '1' })
  await eventually('the directory log was cosigned', () =>
    admin(superUrl, async (client) => {
      const { rowCount } = await client.query('SELECT 1 FROM log_cosignature')
      return (rowCount ?? 0) > 0 ? true : undefined
    }),
  )
  t.equal(await service.stop(), 0)
  const verified = await ended(start(t, ['verify', '--json'], env))
  t.match(verified.json, { verified: true })
})
