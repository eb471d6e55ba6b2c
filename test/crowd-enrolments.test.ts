// What this holds: 1,000 people of 160 organizations come in one run, each invited, enrolled,
// certified by the device that invited, and signed in; it says how many a second, and what they
// waited for. What makes it fail: somebody who is lost or certified twice, a log that does not
// verify.
import { availableParallelism } from 'node:os'
import t from 'tap'
import { Cordon, MemoryStore, isProblem, webPlatform } from '../src/client/index.ts'
import { passphrase, systemClock } from './support/actors.ts'
import { howMany, patience, whole } from './support/counts.ts'
import { checkLogs } from './support/crowd.ts'
import { admin, testDatabase } from './support/database.ts'
import { keyDirectory, serverProcess } from './support/processes.ts'
import { parentOf, processorTime, processorTimeWithChildren } from './support/processor-time.ts'

const organizations = howMany(4, 160)
const people = howMany(20, 1_000)
/** Organizations that are busy at the same time. */
const lanes = howMany(2, 8)

/** Whoever is told to come again comes again. */
async function patiently<T>(ask: () => Promise<T>, waited: { times: number }): Promise<T> {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (!isProblem(error) || (error.status !== 429 && error.status !== 503)) throw error
      waited.times++
      const seconds = typeof error.extra['retryAfter'] === 'number' ? error.extra['retryAfter'] : 1
      await new Promise((resolve) => setTimeout(resolve, seconds * 1_000))
    }
  }
}

t.test(`people of many organizations enrol in one run`, patience, async (t) => {
  const database = await testDatabase(t)
  const keys = keyDirectory(t)
  // Each organization comes from an address of its own, as it would.
  const settings = { TRUSTED_PROXIES: '127.0.0.1' }
  const server = await serverProcess(t, { databaseUrl: database.url, keys, settings })
  const clientFrom = (address: string) =>
    new Cordon({
      store: new MemoryStore(),
      platform: webPlatform(systemClock, {
        fetch: (url, init) => {
          const headers = new Headers(init.headers)
          headers.set('x-forwarded-for', address)
          return fetch(url, { ...init, headers })
        },
      }),
      keep: 'none',
    })
  const administrator = clientFrom('198.51.100.1')
  t.teardown(() => administrator.close())
  await administrator.initialize({
    server: server.url,
    setupString: server.setUpString ?? '',
    organization: { name: 'Secretariat' },
    person: { name: 'Administrator' },
    passphrase,
  })
  await administrator.signIn({ passphrase })

  const [postmaster = 0] = await admin(database.superUrl, async (client) => {
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    return rows.map(({ pid }) => parentOf(pid))
  })
  const measure = () => ({
    server: processorTime(server.pid),
    passphrases: processorTimeWithChildren(server.pid) - processorTime(server.pid),
    database: processorTimeWithChildren(postmaster),
    clients: processorTime(process.pid),
    at: performance.now(),
  })

  const waited = { times: 0 }
  const signedIn: string[] = []
  const enrol = async (inviter: Cordon, organization: string, address: string, tier: 'ncp' | 'person') => {
    const { text, person } = await patiently(
      () => inviter.directory.invite({ person: { name: `Person ${address}` }, organization, tier }),
      waited,
    )
    const client = clientFrom(address)
    await patiently(() => client.enrol({ invitation: text, passphrase }), waited)
    for (const outcome of await patiently(() => inviter.directory.certifyWaiting(), waited))
      if (outcome.refused) throw new Error(JSON.stringify(outcome))
    const me = await patiently(() => client.signIn({ passphrase }), waited)
    if (me.tier !== tier || me.person !== person) throw new Error(JSON.stringify(me))
    signedIn.push(person)
    return client
  }
  const busy = async (n: number) => {
    const address = `203.0.${String(n >> 8)}.${String(n & 255)}`
    const organization = await patiently(
      () =>
        administrator.directory.registerOrganization({ kind: 'administration', name: `C ${String(n)}`, country: 'XX' }),
      waited,
    )
    const ncp = await enrol(administrator, organization, address, 'ncp')
    // The first organizations have one more where it does not come out even.
    const own = Math.floor(people / organizations) + (n < people % organizations ? 1 : 0)
    for (let i = 1; i < own; i++) await (await enrol(ncp, organization, address, 'person')).close()
    await ncp.close()
    if (n % 16 === 0) t.comment(`${String(signedIn.length)} of ${String(people)}`)
  }
  const before = measure()
  const queue = Array.from({ length: organizations }, (_, n) => n)[Symbol.iterator]()
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      for (const n of queue) await busy(n)
    }),
  )
  const after = measure()

  t.equal(new Set(signedIn).size, people)
  const [counted] = await admin(database.superUrl, async (client) => {
    const { rows } = await client.query<{ devices: number; certificates: number; organizations: number }>(
      `SELECT count(*)::int AS devices, (SELECT count(DISTINCT device_id)::int FROM certificate) AS certificates,
        (SELECT count(DISTINCT organization_id)::int FROM person) AS organizations FROM device WHERE state = 'certified'`,
    )
    return rows
  })
  // The administrator and the secretariat beside them, and the certificate of the root.
  t.same(counted, { devices: people + 1, certificates: people + 2, organizations: organizations + 1 })
  await checkLogs(database.url, keys)

  const seconds = (after.at - before.at) / 1_000
  const cores = availableParallelism()
  const parts = {
    'passphrases (argon2id, one to enrol and one to sign in)': after.passphrases - before.passphrases,
    'the rest of the service': after.server - before.server,
    'the database': after.database - before.database,
    'the clients (keys, certificates, proofs)': after.clients - before.clients,
  }
  const all = Object.values(parts).reduce((sum, part) => sum + part, 0)
  t.comment(
    `${String(people)} people of ${String(organizations)} organizations in ${seconds.toFixed(1)} s: ${(people / seconds).toFixed(1)} a second; told to come again ${String(waited.times)} times`,
  )
  for (const [what, spent] of Object.entries(parts))
    t.comment(`  ${spent.toFixed(1)} s of processor time, ${((100 * spent) / all).toFixed(0)} %: ${what}`)
  const [bottleneck] = Object.entries(parts).reduce((most, part) => (part[1] > most[1] ? part : most))
  t.comment(
    `${((100 * all) / (cores * seconds)).toFixed(0)} % of ${String(cores)} processors were busy with it; most went into ${bottleneck}`,
  )
  if (whole) t.ok(seconds < 1_800, 'within half an hour')
})
