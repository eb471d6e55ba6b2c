import t, { type Test } from 'tap'
import type { PostedMessage } from '../src/client/index.ts'
import { admin, privatePostgres } from './support/database.ts'
import { howMany, patience } from './support/counts.ts'
import { checkLogs, crowd, words } from './support/crowd.ts'
import { keyDirectory, serverProcess } from './support/processes.ts'

const clients = howMany(6, 20)
const kills = howMany(3, 20)
const atWork = 5

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/**
 * Lets everybody post until told to stop, while something dies at random times with enough acts in
 * flight.
 */
async function underFire(
  t: Test,
  what: string,
  die: (n: number, context: { serverKill: () => Promise<void>; databaseKill: () => Promise<void> }) => Promise<void>,
) {
  const postgres = await privatePostgres(t)
  const keys = keyDirectory(t)
  const databaseUrl = postgres.appUrl
  const servers = [await serverProcess(t, { databaseUrl, keys }), await serverProcess(t, { databaseUrl, keys })]
  const { operation, posters } = await crowd(t, servers, clients)
  const accepted: PostedMessage[] = []
  let inFlight = 0
  const round = { going: true }
  const posting = posters.map(async ({ session }, i) => {
    for (let n = 0; round.going; n++) {
      inFlight++
      try {
        accepted.push(await session.post(words(`${String(i)} says ${String(n)}`)))
      } finally {
        inFlight--
      }
    }
  })
  for (let n = 0; n < kills; n++) {
    const before = accepted.length
    for (let i = 0; i < 2_000 && accepted.length < before + clients; i++) await sleep(20)
    await sleep(Math.random() * 200)
    t.ok(inFlight >= atWork, `${String(inFlight)} acts were in flight at kill ${String(n + 1)}`)
    await die(n, {
      serverKill: async () => servers[n % servers.length]?.killAndRestart(),
      databaseKill: async () => {
        const pid = postgres.pid()
        if (pid !== undefined) process.kill(pid, 'SIGKILL')
        await sleep(500)
      },
    })
  }
  round.going = false
  await Promise.all(posting)
  const stored = await admin(postgres.superUrl, async (client) => {
    const { rows } = await client.query<{ id: string; log_index: number }>(
      'SELECT id, log_index::int FROM message WHERE operation_id = $1',
      [operation],
    )
    return new Map(rows.map(({ id, log_index }) => [id, log_index]))
  })
  const lost = accepted.filter(({ message, index }) => stored.get(message) !== index)
  t.equal(
    lost.length,
    0,
    `no acknowledged message of ${String(accepted.length)} was lost in ${String(kills)} kills of ${what}`,
  )
  t.equal(
    stored.size,
    new Set(accepted.map(({ message }) => message)).size,
    'and none was stored that nobody was told of',
  )
  for (const { session } of posters)
    t.strictSame(
      session.alarms.filter(({ code }) => code !== 'DISCONNECTED'),
      [],
    )
  await checkLogs(databaseUrl, keys)
}

t.test('a server that is killed under load loses nothing that it acknowledged', patience, (t) =>
  underFire(t, 'a server', (_n, { serverKill }) => serverKill()),
)

t.test('a Postgres that is killed under load loses nothing that was acknowledged', patience, (t) =>
  underFire(t, 'Postgres', (_n, { databaseKill }) => databaseKill()),
)
