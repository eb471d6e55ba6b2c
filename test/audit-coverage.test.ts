// What this holds: of a random history by people of all roles, over HTTP and over the live channel,
// each accepted message, delivery, fetch, query, refusal and administrative act has exactly its
// entries, and no entry lacks its act.
// What makes it fail: one `append` less or one more, anywhere; a delivery that is counted twice; a
// refusal that is lost.
import t from 'tap'
import { kinds, type Kind } from '../src/protocol/index.ts'
import { checkLog } from './support/check-log.ts'
import { chance, seed } from './support/chance.ts'
import { howMany, patience } from './support/counts.ts'
import { entriesSince, settle, sizes } from './support/entries.ts'
import { History, outsiderOf } from './support/history.ts'
import { everyRole } from './support/roles.ts'

const acts = howMany(200, 5_000)

t.test('INV-65: each act has exactly its entries, and each entry its act', patience, async (t) => {
  const scene = await everyRole(t)
  const { server } = scene
  const history = new History(scene, await outsiderOf(scene), chance(seed))
  await history.begin()
  await settle(server)
  const before = await sizes(server)
  const began = Date.now()
  await history.follow()
  for (let n = 0; n < acts; n++) await history.step()
  await history.end()

  const { ledger } = history
  let entries = await entriesSince(server, before)
  let faults: string[] = ['not compared yet']
  // What was read is entered once the service has looked who may: it has said nothing when it is
  // done.
  for (let n = 0; n < 50 && faults.length > 0; n++) {
    await settle(server)
    entries = await entriesSince(server, before)
    faults = ledger.compare(entries)
    if (faults.length > 0) await new Promise((resolve) => setTimeout(resolve, 100))
  }
  t.same(faults.slice(0, 20), [], `${faults.length} differences; CORDON_TEST_SEED=${seed} does it again`)

  const seconds = (Date.now() - began) / 1000
  const { entries: single, refusals, deliveries, readings } = ledger.totals
  // Chance may choose that nobody reads.
  for (const [kind, happened] of [
    ['messages.delivered', deliveries],
    ['messages.read', readings],
  ] as const) {
    const of = entries.filter((entry) => entry.kind === kind)
    t.equal(of.length > 0, happened > 0, `${kind} is written where it happened`)
    t.ok(of.length <= seconds / 10 + 52, `${of.length} entries of ${kind} in ${Math.round(seconds)} s`)
  }
  const written = new Set<Kind>(entries.map(({ kind }) => kind))
  const outcomes = { accepted: 0, refused: 0, mistaken: 0 }
  for (const [name, times] of ledger.acts) {
    const outcome = name.split(' ').at(-1) as keyof typeof outcomes
    outcomes[outcome] += times
  }
  for (const [outcome, times] of Object.entries(outcomes)) t.ok(times > 0, `${times} acts were ${outcome}`)
  await checkLog(server)
  t.comment(
    `seed ${seed}: ${acts} steps, ${outcomes.accepted} acts accepted, ${outcomes.refused} refused, ${outcomes.mistaken} mistaken; ` +
      `${single} entries of single acts, ${refusals} refusals, ${deliveries} deliveries and ${readings} readings accounted for in ` +
      `${entries.length} entries of ${written.size} of ${kinds.length} kinds, ${Math.round(seconds)} s`,
  )
})

t.test('INV-65: the comparison sees one entry too few and one too many', async (t) => {
  const scene = await everyRole(t)
  const { server } = scene
  const history = new History(scene, await outsiderOf(scene), chance(7))
  await history.begin()
  await settle(server)
  const before = await sizes(server)
  await history.follow()
  for (let n = 0; n < 30; n++) await history.step()
  await history.end()
  const { ledger } = history
  let entries = await entriesSince(server, before)
  for (let n = 0; n < 50; n++) {
    await settle(server)
    entries = await entriesSince(server, before)
    if (ledger.compare(entries).length === 0) break
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  t.same(ledger.compare(entries), [])
  for (const [n, entry] of entries.entries()) {
    // Of what is gathered, two entries may say the same.
    const gathered = entry.kind.startsWith('messages.')
    const only = entries.filter(({ kind }) => kind === entry.kind).length === 1
    if (!gathered || only) t.not(ledger.compare(entries.toSpliced(n, 1)).length, 0, `without ${entry.kind}`)
    if (!gathered) t.not(ledger.compare([...entries, entry]).length, 0, `with ${entry.kind} twice`)
  }
})
