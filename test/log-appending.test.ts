import t, { type Test as Tap } from 'tap'
import { sql } from 'kysely'
import { transaction } from '../src/db/index.ts'
import { fromBase64url, leafHash, openCheckpoint, parseLeaf, verifyInclusion } from '../src/protocol/index.ts'
import {
  asActor,
  freshId,
  makePostNote,
  originHost,
  somebody,
  toyLog,
  verifyToy,
  type Answer,
  type Toy,
} from './support/toy-log.ts'
import { entriesAfter } from '../src/log/index.ts'

const note = (text: string) => ({ id: freshId(), text })

async function checkLog(t: Tap, toy: Toy): Promise<void> {
  const report = await verifyToy(toy)
  t.same(report.discrepancies, [], 'the log verifies')
  t.same((await verifyToy(toy, toy.database.url)).discrepancies, [], 'also as the service sees it')
}

async function provesItsPlace(toy: Toy, { index, receipt }: Answer): Promise<boolean> {
  const name = `${originHost}/logs/${toy.operation}`
  const { size, root } = await openCheckpoint(receipt.checkpoint, toy.key.signers(name)[0])
  const proof = receipt.proof.map(fromBase64url)
  return receipt.index === index && verifyInclusion(await leafHash(receipt.leaf), index, size, proof, root)
}

t.test('INV-01: twenty people at once on two servers: one order, nothing lost, nothing doubled', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const servers = [await toy.server(), await toy.server()] as const
  const people = Array.from({ length: 20 }, somebody)
  await Promise.all(people.map((person) => servers[0].admit(founder, person.person)))
  const answers = await Promise.all(
    people.flatMap((person, i) =>
      Array.from({ length: 20 }, (_, j) => servers[(i + j) % 2 === 0 ? 0 : 1].post(person, note(`${i} says ${j}`))),
    ),
  )
  const indexes = answers.map((answer) => answer.index).sort((a, b) => a - b)
  t.same(
    indexes,
    Array.from({ length: 400 }, (_, i) => 22 + i),
    'contiguous, each index once',
  )
  for (const answer of answers) t.ok(await provesItsPlace(toy, answer))
  const stored = await transaction(servers[0].db, (tx) => entriesAfter(tx, toy.operation, 21, 500))
  t.same(
    stored.map((entry) => parseLeaf(entry.text).seq),
    Array.from({ length: 400 }, (_, i) => i + 1),
  )
  await checkLog(t, toy)
})

t.test('acts that arrive together are committed together', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server()
  await server.post(founder, note('first'))
  const before = server.published.length
  await Promise.all(Array.from({ length: 100 }, (_, i) => server.post(founder, note(`n${i}`))))
  t.ok(server.published.length - before <= 2, 'in one or two transactions')
  await checkLog(t, toy)
})

t.test('INV-07: a bad act hurts only itself', async (t) => {
  const founder = somebody()
  const outsider = somebody()
  const ended = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server()
  await server.admit(founder, ended.person)
  server.ended.add(ended.session)
  const twice = note('twice')
  const [good, ...rest] = await Promise.allSettled([
    server.post(founder, note('good')),
    server.post(founder, note('refused')),
    server.post(founder, note('bug')),
    server.post(founder, note('too long')),
    server.post(founder, note('rows without entry')),
    server.post(outsider, note('from outside')),
    server.post(ended, note('too late')),
    server.post(founder, note('good')),
    server.post(founder, twice),
    server.post(founder, { ...twice, text: 'other' }),
    server.post(founder, twice),
  ])
  t.match(good, { status: 'fulfilled' })
  const codes = rest.map((one) =>
    one.status === 'fulfilled' ? 'ok' : ((one.reason as { code?: string }).code ?? (one.reason as Error).name),
  )
  t.same(codes, [
    'FORBIDDEN',
    'TypeError',
    'LEAF',
    'Error',
    'NOT_FOUND',
    'SESSION_ENDED',
    'VALIDATION',
    'ok',
    'MESSAGE_ID_REUSED',
    'ok',
  ])
  const { rows } = await sql<{ count: number }>`SELECT count(*) FROM toy_note`.execute(server.db.kysely)
  t.match(rows, [{ count: 2 }])
  await checkLog(t, toy)
})

t.test('the same id again gets its first place, with a receipt that holds', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const [one, two] = [await toy.server(), await toy.server()]
  const same = note('same')
  const first = await one.post(founder, same)
  await one.post(founder, note('in between'))
  const [a, b] = await Promise.all([one.post(founder, same), two.post(founder, same)])
  t.equal(a.index, first.index)
  t.equal(b.index, first.index)
  t.ok(await provesItsPlace(toy, a))
  t.ok(await provesItsPlace(toy, b))
  await t.rejects(two.post(founder, { ...same, text: 'changed' }), { code: 'MESSAGE_ID_REUSED' })
  await checkLog(t, toy)
})

t.test('INV-02: what was removed at an index does not act after it, on no server', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const [one, two] = [await toy.server(), await toy.server()]
  for (let round = 0; round < 10; round++) {
    const officer = somebody()
    await one.admit(founder, officer.person)
    const posts = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? one : two).post(officer, note(`${round} ${i}`)))
    const removal = await two.remove(founder, officer.person)
    for (const post of await Promise.allSettled(posts)) {
      if (post.status === 'fulfilled') t.ok(post.value.index < removal.index)
      else t.match(post.reason, { code: 'NOT_FOUND' })
    }
    await t.rejects(one.post(officer, note(`${round} late`)), { code: 'NOT_FOUND' })
  }
  await checkLog(t, toy)
})

t.test('a failed group does not leave its members behind', async (t) => {
  const founder = somebody()
  const officer = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server()
  const failing = makePostNote(() => server.logs, { write: () => Promise.reject(new Error('disk on fire')) })
  const [admitted, failed] = await Promise.allSettled([
    server.admit(founder, officer.person),
    server.logs.append(toy.operation, failing, note('x'), founder),
  ])
  t.match(admitted, { status: 'fulfilled' })
  t.match(failed, { status: 'rejected', reason: { message: 'disk on fire' } })
  t.match(await server.post(officer, note('admitted all the same')), { index: 3 })
  await checkLog(t, toy)
})

t.test('an act that swallows a failure of the database is not answered as done', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server()
  const careless = makePostNote(() => server.logs, {
    write: async (tx) => {
      await sql`SELECT 1 / 0`.execute(tx).catch(() => {})
    },
  })
  await t.rejects(server.logs.append(toy.operation, careless, note('x'), founder))
  t.match(await server.post(founder, note('y')), { index: 2 })
  await checkLog(t, toy)
})

t.test('a full queue refuses at once', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server({ limits: { queue: 5 } })
  const results = await Promise.allSettled(Array.from({ length: 9 }, (_, i) => server.post(founder, note(`${i}`))))
  t.equal(results.filter((one) => one.status === 'fulfilled').length, 5)
  for (const one of results) if (one.status === 'rejected') t.match(one.reason, { code: 'OVERLOADED' })
  await checkLog(t, toy)
})

t.test('a log that does not exist is not found, and a closed server takes nothing more', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server()
  const post = makePostNote(() => server.logs)
  await t.rejects(server.logs.append(freshId(), post, note('x'), founder), { code: 'NOT_FOUND' })
  await t.rejects(server.logs.inclusion(freshId(), 0, 1), { code: 'NOT_FOUND' })
  await t.rejects(server.logs.consistency(toy.operation, 0, 3), { code: 'NOT_FOUND' })
  await t.rejects(server.logs.inclusion(toy.operation, 2, 2), { code: 'NOT_FOUND' })
  await t.rejects(server.logs.receipt(toy.operation, 2), { code: 'NOT_FOUND' })
  await t.rejects(server.logs.checkpoint(freshId()), { code: 'NOT_FOUND' })
  await server.logs.close()
  await t.rejects(server.post(founder, note('x')), { code: 'OVERLOADED' })
})

t.test('several logs in one transaction, among posts: no deadlock, all or nothing', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server()
  const actor = asActor(founder)
  const end = (fail: boolean) =>
    transaction(server.db, async (tx) => {
      const appended = await server.logs.appendWithin(tx, [
        {
          log: server.logs.directory,
          drafts: [{ kind: 'session.ended', actor, subject: founder.session, details: { why: 'left' } }],
        },
        { log: toy.operation, drafts: () => [{ kind: 'member.ended', actor, subject: founder.person }] },
      ])
      if (fail) throw new Error('changed my mind')
      return appended
    })
  const posts = Array.from({ length: 40 }, (_, i) => server.post(founder, note(`n${i}`)))
  const ends = Array.from({ length: 20 }, (_, i) => end(i % 2 === 1))
  const ended = await Promise.allSettled(ends)
  await Promise.all(posts)
  t.equal(ended.filter((one) => one.status === 'fulfilled').length, 10)
  const [first] = ended
  if (first?.status === 'fulfilled') {
    first.value.afterCommit()
    const entry = first.value.entries.get(toy.operation)?.[0]
    t.ok(await provesItsPlace(toy, { index: entry?.index ?? -1, receipt: await first.value.receipt(toy.operation, 0) }))
  }
  await t.rejects(
    transaction(server.db, (tx) => server.logs.appendWithin(tx, [{ log: freshId(), drafts: [] }])),
    { code: 'NOT_FOUND' },
  )
  await t.rejects(
    transaction(server.db, (tx) => server.logs.create(tx, freshId(), [{ kind: 'member.ended', actor, subject: 'x' }])),
    { message: /operation.created/ },
  )
  await checkLog(t, toy)
})
