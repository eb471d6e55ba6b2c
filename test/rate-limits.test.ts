// What this holds: how often somebody may ask, by account and by source, is said in every answer,
// is the same on every server, and costs no request a question to the database; the SDK waits and
// goes on by itself.
import t from 'tap'
import { createRateStore, openDatabase, type RateCount } from '../src/db/index.ts'
import { RateLimits, quotas, sourceOf, type Quotas } from '../src/http/index.ts'
import { Cordon, MemoryStore, webPlatform } from '../src/client/index.ts'
import { passphrase } from './support/actors.ts'
import { testDatabase } from './support/database.ts'
import { startAMinute } from './support/rates.ts'
import { startServer } from './support/server.ts'
import { WireActor, ask, codeOf, setUp } from './support/wire.ts'

const minute = 60_000

/** Counters with a clock and a store that a test holds in its hands. */
function counting(given: { quotas?: Partial<Quotas>; add?: (counts: readonly RateCount[]) => Promise<number[]> } = {}) {
  let now = 1_800_000_000_000
  const told: (readonly RateCount[])[] = []
  const errors: unknown[] = []
  const rates = new RateLimits({
    store: {
      add: async (counts) => {
        told.push(counts)
        return given.add ? given.add(counts) : counts.map(({ requests }) => requests)
      },
    },
    clock: () => new Date(now),
    onError: (_, error) => errors.push(error),
    quotas: given.quotas ?? {},
  })
  return { rates, told, errors, advance: (milliseconds: number) => (now += milliseconds) }
}

t.test('an address stands for its subscriber: IPv4 for itself, IPv6 with its /64', async (t) => {
  const cases = [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:0:1:aaaa:bbbb:cccc:dddd', '2001:db8:0:1::/64'],
    ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
    ['2001:DB8:0000:0001::1', '2001:db8:0:1::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:0:2::1', '2001:db8:0:2::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ] as const
  for (const [address, source] of cases) t.equal(sourceOf(address), source, address)
})

t.test('INV-74: a quota is used up by whoever asks, for the rest of the minute, and by nobody else', async (t) => {
  const { rates, advance } = counting({ quotas: { source: 3 } })
  const asked = () => rates.take('source', 'a')
  t.match(asked(), { remaining: 2, refused: false, quota: 3, window: 60 })
  asked()
  t.match(asked(), { remaining: 0, refused: false })
  t.match(asked(), { remaining: 0, refused: true })
  t.match(rates.take('source', 'b'), { remaining: 2, refused: false })
  t.match(rates.take('source-token', 'a'), { refused: false }, 'nor at another door')
  const { reset } = asked()
  t.ok(reset > 0 && reset <= 60)
  advance(reset * 1000)
  t.match(asked(), { remaining: 2, refused: false }, 'and then it is whole again')
})

// Bites: `tell` for each request in place of the timer.
t.test('INV-74: a thousand requests are told in one statement, and what is refused in none', async (t) => {
  const { rates, told } = counting({ quotas: { source: 40 } })
  for (let i = 0; i < 1_000; i++) rates.take('source', `192.0.2.${i % 20}`)
  t.equal(told.length, 0, 'no request waits for the store')
  await Promise.all([rates.tell(), rates.tell()])
  t.equal(told.length, 1)
  t.equal(told[0]?.length, 20)
  t.ok(told[0]?.every(({ requests }) => requests === 40))
  for (let i = 0; i < 100; i++) t.ok(rates.take('source', '192.0.2.1').refused)
  await rates.tell()
  t.equal(told.length, 1)
})

// Bites: `requests = totals` in #tell; ON CONFLICT … DO UPDATE in the store.
t.test('INV-74: several servers share one quota', async (t) => {
  const database = await testDatabase(t)
  const db = openDatabase({ connectionString: database.url, onError: () => {} })
  t.teardown(() => db.close())
  const store = createRateStore(db)
  const clock = () => new Date('2026-11-22T12:00:10Z')
  const onError = (what: string, error: unknown) => t.fail(`${what}: ${String(error)}`)
  const servers = Array.from({ length: 3 }, () => new RateLimits({ store, clock, onError, quotas: { source: 100 } }))
  let admitted = 0
  for (let round = 0; round < 100; round++) {
    for (const one of servers) if (!one.take('source', 'a').refused) admitted++
    await Promise.all(servers.map((one) => one.tell()))
  }
  t.ok(admitted >= 100 && admitted <= 102, `${admitted} of a hundred: each knew of the others but for the last moment`)
  for (const one of servers) t.ok(one.take('source', 'a').refused)
  const { rows } = await db.pool.query('SELECT requests FROM rate_limit')
  t.same(rows, [{ requests: admitted }])
  await store.forget(new Date('2026-11-22T12:02:00Z'))
  t.equal((await db.pool.query('SELECT FROM rate_limit')).rowCount, 0, 'and what is over is let go')
})

// Bites: the catch in #tell.
t.test('INV-84: while the store fails, each server counts by itself: neither shut nor open', async (t) => {
  let away = true
  const { rates, told, errors, advance } = counting({
    quotas: { source: 10 },
    add: async (counts) => {
      if (away) throw new Error('away')
      return counts.map(({ requests }) => requests)
    },
  })
  const crowd = () => Array.from({ length: 15 }, () => rates.take('source', 'a')).filter(({ refused }) => !refused)
  t.equal(crowd().length, 10)
  await rates.tell()
  await rates.tell()
  t.equal(errors.length, 1, 'said once in a while, not ten times a second')
  t.equal(crowd().length, 0, 'what was counted still counts')
  away = false
  advance(5_000)
  await rates.tell()
  t.equal(told.at(-1)?.[0]?.requests, 10, 'and is told when the store is back')
})

t.test('INV-84: no network, and no block of them, takes the room in which others are counted', async (t) => {
  const { rates } = counting({ quotas: { source: 5, 'account-writing': 5 } })
  const six = (n: number, m: number) => `2001:db8:${n.toString(16)}:${m.toString(16)}::/64`
  for (let i = 0; i < 50_000; i++) rates.take('source', six(Math.floor(i / 1_000), i % 1_000))
  for (let i = 0; i < 50_000; i++) rates.take('source', `198.51.${Math.floor(i / 250) % 200}.${i % 250}`)
  const one = rates.take('source', '192.0.2.1')
  t.match(one, { refused: false, remaining: 4 }, 'who comes from elsewhere has a quota of its own')
  t.ok(rates.take('source', six(7, 999)).refused, 'the crowd has one together')
  t.ok(rates.take('source', six(60_000, 1)).refused, 'and its block')
  t.match(rates.take('account-writing', 'somebody'), { refused: false, remaining: 4 }, 'accounts are counted apart')
})

t.test('INV-84: what is remembered is bounded: a flood of addresses is counted together', async (t) => {
  const { rates } = counting({ quotas: { source: 5 } })
  for (let i = 0; i < 50_000; i++) rates.take('source', `net ${i}`)
  const late = Array.from({ length: 20 }, (_, i) => rates.take('source', `late ${i}`))
  t.equal(late.filter(({ refused }) => !refused).length, 5)
  t.notOk(rates.take('source', 'net 7').refused, 'who came before has a quota of its own')
})

t.test('INV-74: answers say what is left, and 429 when to come again', async (t) => {
  const server = await startServer(t, { quotas: { 'source-token': 3, 'account-reading': 4 } })
  const { administrator } = await setUp(server)
  startAMinute(server)
  const fields = ({ headers }: { headers: Headers }) => [headers.get('ratelimit-policy'), headers.get('ratelimit')]
  const token = () =>
    ask(`${server.url}/v1/tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ refreshToken: 'x'.repeat(43) }),
    })
  const [policy, left] = fields(await token())
  t.equal(policy, `"source";q=${quotas.source};w=60, "source-token";q=3;w=60`)
  t.match(left, /^"source";r=\d+;t=\d+, "source-token";r=2;t=\d+$/)
  await token()
  await token()
  const refused = await token()
  t.equal(codeOf(refused), '429 TOO_MANY_REQUESTS')
  t.match(refused.body, { quota: 'source-token' })
  t.match(refused.headers.get('retry-after'), /^([1-9]|[1-5]\d|60)$/)
  t.equal(refused.headers.get('content-type'), 'application/problem+json')
  t.equal((await administrator.call('GET', '/v1/me')).status, 200, 'other doors stay open')
  const answers = []
  for (let i = 0; i < 4; i++) answers.push(codeOf(await administrator.call('GET', '/v1/me')))
  t.equal(answers.at(-1), '429 TOO_MANY_REQUESTS', 'the account has a quota for reading')
  const partner = { id: administrator.person, kind: 'partner', name: 'Partner' }
  t.equal((await administrator.call('POST', '/v1/organizations', partner)).status, 201, 'and another one for the rest')
  const stranger = await new WireActor(server, 'Stranger').prepare()
  t.equal(codeOf(await stranger.call('GET', '/v1/me')), '401 UNAUTHENTICATED')
  for (let i = 0; i < 5; i++) t.equal((await ask(`${server.url}/livez`, {})).headers.get('ratelimit'), null)
})

t.test('INV-85: the SDK waits as long as it is told, and goes on by itself', async (t) => {
  const server = await startServer(t, { quotas: { 'account-writing': 2, 'source-sign-in': 1 } })
  startAMinute(server)
  const waits: number[] = []
  const platform = webPlatform(() => server.clock.now(), {
    after: (milliseconds, run) => {
      // How long an answer may take: it comes.
      if ([30_000, 60_000].includes(milliseconds)) return () => {}
      waits.push(milliseconds)
      server.clock.advance(milliseconds)
      setImmediate(run)
      return () => {}
    },
  })
  const administrator = new Cordon({ store: new MemoryStore(), platform })
  t.teardown(() => administrator.close())
  await administrator.initialize({
    server: server.url,
    setupString: (await server.setUpString()) ?? '',
    organization: { name: 'Secretariat' },
    person: { name: 'Administrator' },
    passphrase,
  })
  startAMinute(server)
  await administrator.signIn({ passphrase })
  await administrator.signOut()
  await administrator.signIn({ passphrase })
  t.ok(
    waits.some((wait) => wait >= 1_000),
    'a second sign-in within the minute waited',
  )
  waits.length = 0
  for (const name of ['Kenya', 'Thailand', 'Belgium', 'Brazil'])
    await administrator.directory.registerOrganization({ kind: 'partner', name })
  t.ok(
    waits.some((wait) => wait >= 1_000),
    'and so did what was too much for one minute',
  )
  t.ok(waits.every((wait) => wait <= minute + 5_000))
})
