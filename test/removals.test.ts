import t from 'tap'
import { isProblem } from '../src/client/index.ts'
import { admin, testDatabase } from './support/database.ts'
import { howMany, patience } from './support/counts.ts'
import { checkLogs, crowd, watch, words, type Poster } from './support/crowd.ts'
import { keyDirectory, serverProcess } from './support/processes.ts'

const clients = howMany(6, 20)
const removals = howMany(6, 200)
const victims = 5
const quietMs = 60

// Bites: without the membership check under the log's lock (authorizeIn in messages/post.ts)
// messages land after the removal; with a follower that keeps its members (live/follower.ts, #send)
// entries go on to whoever was removed.
t.test(
  `a member removed at an entry gets and posts nothing after it: ${String(removals)} removals against ${String(clients)} posting members on two servers`,
  patience,
  async (t) => {
    const database = await testDatabase(t)
    const keys = keyDirectory(t)
    const servers = [
      await serverProcess(t, { databaseUrl: database.url, keys }),
      await serverProcess(t, { databaseUrl: database.url, keys }),
    ]
    const { coordinator, leading, operation, posters } = await crowd(t, servers, clients)
    const removedAt = new Map<string, number>()
    leading.events.on('entry', ({ kind, subject, index }) => {
      if (kind === 'member.removed') removedAt.set(subject, index)
    })
    const round = { going: true, accepted: 0 }
    const refused = new Map<string, number>()
    const posting = posters.map(async (poster, i) => {
      for (let n = 0; round.going; n++) {
        try {
          await poster.session.post(words(`${String(i)} says ${String(n)}`), 20_000)
          round.accepted++
        } catch (error) {
          const code = isProblem(error) ? error.code : String(error)
          refused.set(code, (refused.get(code) ?? 0) + 1)
          await sleep(20)
        }
        await sleep(10)
      }
    })

    let violations = 0
    for (let n = 0; n < removals; n++) {
      const victim = posters[n % victims] as Poster
      const before = round.accepted
      const ended = victim.session.events.once('ended')
      removedAt.delete(victim.client.person)
      await coordinator.operations.remove(operation, victim.client.person)
      while (!removedAt.has(victim.client.person)) await sleep(5)
      const index = removedAt.get(victim.client.person) ?? 0
      await ended
      const target = round.accepted + 3
      for (let i = 0; i < 100 && round.accepted < target; i++) await sleep(quietMs / 4)
      if (victim.received.some((received) => received > index)) violations++
      t.ok(round.accepted > before, 'others went on posting')
      await coordinator.operations.admit(operation, {
        person: victim.client.person,
        organization: victim.organization,
        role: 'ncp',
      })
      await victim.client.operations.leave(operation)
      victim.received.length = 0
      victim.session = await victim.client.follow(operation)
      watch(victim)
      await victim.session.ready()
    }
    round.going = false
    await Promise.all(posting)
    t.equal(violations, 0, 'nothing was delivered after a removal')

    // What the log says: no message of a person between the entry that removed it and the one that
    // admitted it again.
    const after = await admin(database.superUrl, async (client) => {
      const { rows } = await client.query<{ n: number }>(
        `SELECT count(*)::int AS n FROM message m WHERE (
         SELECT e.kind FROM log_entry e
         WHERE e.log_id = m.operation_id AND e.index < m.log_index AND e.kind IN ('member.admitted', 'member.removed')
           AND e.leaf::json ->> 'subject' = m.person_id::text
         ORDER BY e.index DESC LIMIT 1) <> 'member.admitted'`,
      )
      return rows[0]?.n
    })
    t.equal(after, 0, 'nothing was accepted after a removal')
    t.comment(`${String(round.accepted)} accepted; refused: ${JSON.stringify(Object.fromEntries(refused))}`)
    for (const { session } of posters.slice(victims)) t.strictSame(session.alarms, [])
    await checkLogs(database.url, keys)
  },
)

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
