import { setTimeout as pause } from 'node:timers/promises'
import type pg from 'pg'
import t, { type Test as Tap } from 'tap'
import { databaseOn, openDatabase } from '../src/db/index.ts'
import { fromBase64url, leafHash, openCheckpoint, verifyInclusion } from '../src/protocol/index.ts'
import { admin } from './support/database.ts'
import { keepOwnPostgres } from './support/postgres.ts'
import { freshId, originHost, somebody, toyLog, verifyToy, type Answer, type Toy } from './support/toy-log.ts'

keepOwnPostgres()

const note = (text: string) => ({ id: freshId(), text })

type Moment = 'before commit' | 'after commit'

/**
 * A database whose connection breaks at the next COMMITs: before Postgres hears of them, or after
 * it has carried them out.
 */
function breaking(url: string) {
  const plain = openDatabase({ connectionString: url, onError: () => {} })
  const plan: Moment[] = []
  let broken = 0
  const connect = async (): Promise<pg.PoolClient> => {
    const client = await plain.pool.connect()
    return new Proxy(client, {
      get(target, name) {
        if (name !== 'query') {
          const value: unknown = Reflect.get(target, name)
          return typeof value === 'function' ? (value as () => unknown).bind(target) : value
        }
        return async (...query: Parameters<typeof client.query>) => {
          const [first] = query as unknown[]
          const text = typeof first === 'string' ? first : (first as { text?: string }).text
          const moment = /^\s*commit/i.test(text ?? '') ? plan.shift() : undefined
          if (moment === undefined) return target.query(...query)
          broken++
          if (moment === 'after commit') await (target.query(...query) as unknown as Promise<unknown>)
          ;(target as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
          throw new Error('Connection terminated unexpectedly')
        }
      },
    })
  }
  const pool = { connect, end: () => plain.pool.end() }
  const db = databaseOn(pool as unknown as pg.Pool, url)
  return { db, breakAt: (...moments: Moment[]) => plan.push(...moments), broken: () => broken }
}

async function provesItsPlace(toy: Toy, { index, receipt }: Answer): Promise<boolean> {
  const name = `${originHost}/logs/${toy.operation}`
  const { size, root } = await openCheckpoint(receipt.checkpoint, toy.key.signers(name)[0])
  return verifyInclusion(await leafHash(receipt.leaf), index, size, receipt.proof.map(fromBase64url), root)
}

async function checkLog(t: Tap, toy: Toy): Promise<void> {
  t.same((await verifyToy(toy)).discrepancies, [], 'the log verifies')
}

for (const moment of ['before commit', 'after commit'] as const) {
  t.test(`INV-04: the connection breaks ${moment}: every act is answered and stored once`, async (t) => {
    const founder = somebody()
    const toy = await toyLog(t, founder)
    const faulty = breaking(toy.database.url)
    const server = await toy.server({ db: faulty.db, limits: { publishEveryMs: 3_600_000 } })
    await server.post(founder, note('before'))
    faulty.breakAt(moment)
    const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => server.post(founder, note(`n${i}`))))
    t.equal(faulty.broken(), 1, 'it did break')
    t.same(
      answers.map((answer) => answer.index),
      Array.from({ length: 20 }, (_, i) => 3 + i),
    )
    for (const answer of answers) t.ok(await provesItsPlace(toy, answer))
    t.equal((await server.post(founder, note('after'))).index, 23)
    await checkLog(t, toy)
  })

  t.test(`the connection breaks ${moment} while another server goes on`, async (t) => {
    const founder = somebody()
    const toy = await toyLog(t, founder)
    const faulty = breaking(toy.database.url)
    const [one, two] = [await toy.server({ db: faulty.db, limits: { publishEveryMs: 3_600_000 } }), await toy.server()]
    const answers: Promise<Answer>[] = []
    for (let round = 0; round < 10; round++) {
      faulty.breakAt(moment)
      for (let i = 0; i < 5; i++) answers.push((i % 2 === 0 ? one : two).post(founder, note(`${round} ${i}`)))
      await Promise.all(answers)
    }
    const indexes = (await Promise.all(answers)).map((answer) => answer.index).sort((a, b) => a - b)
    t.same(
      indexes,
      Array.from({ length: 50 }, (_, i) => 2 + i),
      'none lost, none doubled',
    )
    t.ok(faulty.broken() >= 10)
    await checkLog(t, toy)
  })
}

t.test('it breaks again and again, then not any more', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const faulty = breaking(toy.database.url)
  const server = await toy.server({ db: faulty.db, limits: { publishEveryMs: 3_600_000 } })
  faulty.breakAt('before commit', 'before commit', 'after commit', 'after commit')
  const answers = await Promise.all([server.post(founder, note('a')), server.post(founder, note('b'))])
  t.same(
    answers.map((answer) => answer.index).sort((a, b) => a - b),
    [2, 3],
  )
  t.equal(faulty.broken(), 4)
  await checkLog(t, toy)
})

t.test('connections that Postgres ends under way cost time, never an entry', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server()
  const end = () =>
    admin(toy.database.superUrl, (client) =>
      client.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'cordon' AND pid <> pg_backend_pid()`,
      ),
    )
  // As clients do: what was not acknowledged is repeated with its id.
  const insist = async (one: { id: string; text: string }): Promise<Answer> => {
    try {
      return await server.post(founder, one)
    } catch (error) {
      if ((error as { code?: string }).code !== 'DATABASE_UNAVAILABLE') throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
      return insist(one)
    }
  }
  const answers: Promise<Answer>[] = []
  for (let round = 0; round < 15; round++) {
    for (let i = 0; i < 10; i++) answers.push(insist(note(`${round} ${i}`)))
    await end()
  }
  const indexes = (await Promise.all(answers)).map((answer) => answer.index).sort((a, b) => a - b)
  t.same(
    indexes,
    Array.from({ length: 150 }, (_, i) => 2 + i),
  )
  await checkLog(t, toy)
})

t.test('a database that stays away: refused in time, at once while it is known, and recovers by itself', async (t) => {
  const founder = somebody()
  const toy = await toyLog(t, founder)
  const server = await toy.server({ limits: { giveUpAfterMs: 3_000 } })
  await server.post(founder, note('before'))
  const block = (allow: boolean) =>
    admin(toy.database.superUrl, async (client) => {
      await client.query(`ALTER ROLE cordon_app CONNECTION LIMIT ${allow ? -1 : 0}`)
      if (!allow) {
        await client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'cordon_app'")
      }
    })
  await block(false)
  const lost = note('lost')
  const first = server.post(founder, lost)
  const given = { up: false }
  first.catch(() => (given.up = true))
  // Whoever comes before the database is known to be away waits with the first; from then on nobody
  // does.
  let refused: unknown
  while (!given.up && refused === undefined) {
    const meanwhile = server.post(founder, note('meanwhile')).catch((error: unknown) => error)
    refused = await Promise.race([meanwhile, pause(50)])
  }
  t.match(refused, { code: 'DATABASE_UNAVAILABLE' })
  t.notOk(given.up, 'refused at once, while the first still waited')
  await t.rejects(first, { code: 'DATABASE_UNAVAILABLE' })
  await block(true)
  t.equal((await server.post(founder, lost)).index, 3)
  await checkLog(t, toy)
})
