import t from 'tap'
import { admin, testDatabase } from './support/database.ts'
import { howMany, patience } from './support/counts.ts'
import { checkLogs, crowd, words } from './support/crowd.ts'
import { keyDirectory, serverProcess } from './support/processes.ts'

const clients = 20
const each = howMany(6, 100)

t.test(
  '20 members post at once on two servers: one order for all, nothing lost, nothing doubled',
  patience,
  async (t) => {
    const database = await testDatabase(t)
    const keys = keyDirectory(t)
    const servers = [
      await serverProcess(t, { databaseUrl: database.url, keys }),
      await serverProcess(t, { databaseUrl: database.url, keys }),
    ]
    const { operation, posters } = await crowd(t, servers, clients)
    const accepted = await Promise.all(
      posters.flatMap(({ session }, i) =>
        Array.from({ length: each }, (_, n) => session.post(words(`${String(i)} says ${String(n)}`))),
      ),
    )
    t.equal(accepted.length, clients * each)
    const expected = accepted.toSorted((a, b) => a.index - b.index).map(({ message }) => message)
    t.equal(new Set(expected).size, clients * each, 'each message has a place of its own')
    const last = Math.max(...accepted.map(({ index }) => index))
    for (const poster of posters) {
      t.ok(await poster.session.reached(last, patience.timeout))
      // Past the entry, and then opened: bodies are opened after their entries are believed.
      for (let i = 0; i < 1_000 && poster.opened.length < expected.length; i++) await sleep(100)
      t.strictSame(poster.opened, expected, 'every reader has them in the order of the log')
      t.strictSame(poster.session.alarms, [])
    }
    const [counted] = await admin(database.superUrl, async (client) => {
      const { rows } = await client.query<{ entries: number; highest: number; messages: number }>(
        `SELECT count(*)::int AS entries, max(index)::int AS highest, (SELECT count(*)::int FROM message) AS messages FROM log_entry WHERE log_id = $1`,
        [operation],
      )
      return rows
    })
    t.equal(counted?.entries, (counted?.highest ?? 0) + 1, 'indexes are contiguous')
    t.equal(counted?.messages, clients * each)
    await checkLogs(database.url, keys)
  },
)

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
