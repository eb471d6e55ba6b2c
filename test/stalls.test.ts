// What this holds: a service that stands still and goes on costs its clients time and nothing else:
// no alarm, no message, no session.
// What makes it fail: a proof that is checked against another checkpoint than it was made for, a
// refresh token that counts as stolen because its answer was lost, a proof that grew old on the
// way, a message that is given up, a promise that nobody takes.
//
// All clocks here run twenty times as fast, the service's as well, and so do the timers of the
// clients: a stall of 90 seconds takes 4.5.
import t, { type Test } from 'tap'
import { isProblem, type Platform } from '../src/client/index.ts'
import { newId } from '../src/protocol/index.ts'
import { howMany, patience, whole } from './support/counts.ts'
import { checkLogs, crowd, words, type Poster } from './support/crowd.ts'
import { admin, testDatabase } from './support/database.ts'
import { keyDirectory, serverProcess } from './support/processes.ts'

const faster = 20
const services = howMany(1, 4)
const stalls = howMany(20, 250)
const posters = howMany(3, 5)
/**
 * Milliseconds, by the clocks here: the shortest and the longest; in npm test every seventh alone
 * is as long as that.
 */
const [shortest, short, longest] = [1_000, 25_000, 90_000]

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds / faster))
const begin = Date.now()
const clock = () => new Date(begin + (Date.now() - begin) * faster)
const fastDate = `
  const Real = Date
  const now = () => ${String(begin)} + (Real.now() - ${String(begin)}) * ${String(faster)}
  globalThis.Date = class extends Real {
    constructor(...given) { given.length === 0 ? super(now()) : super(...given) }
    static now() { return now() }
  }`

/** What a client of it does and what becomes of it. */
class Watched {
  readonly poster: Poster
  readonly said: string[] = []
  readonly faults: unknown[] = []
  #going = true
  inFlight = 0

  constructor(poster: Poster) {
    this.poster = poster
    poster.session.events.on('disconnected', ({ final }) => final && this.faults.push(final))
    poster.session.events.on('refused', ({ problem }) => this.faults.push(problem))
    poster.session.events.on('ended', (ended) => this.faults.push(ended))
  }

  /** Posts until it is told to stop. What takes too long goes on being sent. */
  async post(): Promise<void> {
    while (this.#going) {
      const id = newId(clock(), (length) => crypto.getRandomValues(new Uint8Array(length)))
      this.said.push(id)
      this.inFlight++
      await this.poster.session.post({ ...words(id), id }).catch((error: unknown) => this.#note(error, 'TIMED_OUT'))
      this.inFlight--
      await sleep(2_000)
    }
  }

  async refresh(): Promise<void> {
    await this.poster.client.transport.refresh().catch((error: unknown) => this.#note(error, 'NETWORK'))
  }

  #note(error: unknown, allowed: string): void {
    if (!isProblem(error, allowed)) this.faults.push(error)
  }

  stop(): void {
    this.#going = false
  }
}

async function standingStill(t: Test, n: number): Promise<void> {
  const database = await testDatabase(t)
  const keys = keyDirectory(t)
  const settings = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(fastDate)}` }
  const server = await serverProcess(t, { databaseUrl: database.url, keys, settings })
  let timers = 1
  const changes: Partial<Platform> = {
    clock,
    elapsed: () => performance.now() * faster,
    // What gives up by a timer of its own does so as much sooner.
    fetch: (url, init) => {
      const own = init.signal ? [init.signal] : []
      return fetch(url, { ...init, signal: AbortSignal.any([...own, AbortSignal.timeout(60_000 / timers)]) })
    },
    after: (milliseconds, run) => {
      const timer = setTimeout(run, milliseconds / timers)
      return () => clearTimeout(timer)
    },
  }
  const { operation, posters: all, leading } = await crowd(t, [server], posters, changes)
  timers = faster
  const watched = all.map((poster) => new Watched(poster))
  const posting = watched.map((one) => one.post())
  let [flying, refreshes] = [0, 0]
  for (let stall = 0; stall < stalls; stall++) {
    await sleep(Math.random() * 10_000)
    const refreshing = watched.filter(() => Math.random() < 0.4).map((one) => one.refresh())
    if (Math.random() < 0.5) await sleep(Math.random() * 200)
    if (watched.some(({ inFlight }) => inFlight > 0)) flying++
    refreshes += refreshing.length
    const upTo = whole || stall % 7 === 6 ? longest : short
    await server.stall((shortest + Math.random() * (upTo - shortest)) / faster)
    if (Math.random() < 0.7) await Promise.all(refreshing)
  }
  for (const one of watched) one.stop()
  await Promise.all(posting)
  const said = watched.flatMap((one) => one.said)
  const stored = () =>
    admin(database.superUrl, async (client) => {
      const query = 'SELECT id, log_index::int FROM message WHERE operation_id = $1 ORDER BY log_index'
      return (await client.query<{ id: string; log_index: number }>(query, [operation])).rows
    })
  for (let i = 0; i < 200 && (await stored()).length < said.length; i++) await sleep(2_000)
  const rows = await stored()
  const what = `service ${String(n)}, ${String(stalls)} stalls, ${String(said.length)} messages, ${String(refreshes)} refreshes`
  t.same(rows.map(({ id }) => id).sort(), [...said].sort(), `${what}: each message is there, once`)
  t.ok(flying > stalls / 4, `${what}: posts were in flight at ${String(flying)}`)
  t.ok(refreshes > stalls / 4, `${what}: and tokens were exchanged`)
  const last = rows.at(-1)?.log_index ?? 0
  for (const { poster, faults } of watched) {
    t.same(faults, [], `${what}: nothing was refused, nothing ended`)
    t.same(poster.session.alarms, [], `${what}: no alarm`)
    t.equal(await poster.session.reached(last, 120_000), true)
    await t.resolves(poster.session.ready(), `${what}: it goes on`)
    await t.resolves(poster.session.checkSeen())
    t.same(poster.session.alarms, [], `${what}: no alarm of what others had seen`)
    t.equal(new Set(poster.opened).size, said.length, `${what}: everybody opened everything`)
    await t.resolves(poster.client.me(), `${what}: the session lives`)
  }
  t.same(leading.alarms, [])
  await checkLogs(database.url, keys)
}

t.test(
  'INV-161: a service that stands still raises no alarm, loses nothing and ends no session',
  patience,
  async (t) => {
    await Promise.all(Array.from({ length: services }, (_, n) => standingStill(t, n)))
  },
)
