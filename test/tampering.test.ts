import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import t, { type Test } from 'tap'
import { openDatabase, transaction, type Database } from '../src/db/index.ts'
import { verifyLogs, sizeOf } from '../src/log/index.ts'
import { howMany, patience } from './support/counts.ts'
import { admin } from './support/database.ts'
import { hide, readLog, renumber, rewriteLog, type RawEntry } from './support/rewriting.ts'
import { asActor, freshId, originHost, somebody, toyLog, type Toy, type ToyServer } from './support/toy-log.ts'

const each = howMany(10, 1_000)
const cleanRuns = howMany(20, 1_000)

type Held = { log: string; note: string }[]

/**
 * What a verifier holds who was never in the database: the keys of the log, and the last checkpoint
 * that witnesses saw of each log.
 */
interface Outsider {
  readonly db: Database
  readonly toy: Toy
  readonly held: Held
}

async function findings({ db, toy, held }: Outsider, { witnessed = true } = {}): Promise<string[]> {
  const source = { db, keys: toy.key.publicKeys, originHost, ...(witnessed ? { held } : {}) }
  const { discrepancies } = await verifyLogs(source, [])
  return discrepancies.map(({ what, index }) => `${String(index ?? '')} ${what}`)
}

const random = (below: number) => randomBytes(4).readUInt32BE() % below
const pick = <T>(from: readonly T[]): T => from[random(from.length)] as T

/** Some entries of any kind, by anybody, with and without details, in and outside compartments. */
async function someEntries(server: ToyServer, log: string, compartments: readonly string[]): Promise<void> {
  const people = [somebody(), somebody(), somebody()]
  const drafts = Array.from({ length: 1 + random(6) }, () => ({
    kind: pick(['message.posted', 'feed.opened', 'report.viewed', 'member.admitted', 'epoch.opened'] as const),
    actor: random(5) === 0 ? { server: originHost } : asActor(pick(people)),
    subject: freshId(),
    ...(random(2) === 0 ? { digest: randomBytes(32).toString('base64url') } : {}),
    ...(random(2) === 0 ? { details: { note: randomBytes(random(40)).toString('base64url') } } : {}),
  })).map((draft) => (/^(message|epoch)/.test(draft.kind) ? { ...draft, compartment: pick(compartments) } : draft))
  const appended = await transaction(server.db, (tx) => server.logs.appendWithin(tx, [{ log, drafts }]))
  appended.afterCommit()
}

async function scene(owner: Parameters<typeof toyLog>[0], batches: number) {
  const toy = await toyLog(owner, somebody())
  const server = await toy.server({ limits: { publishEveryMs: 0 } })
  const compartments = [freshId(), freshId()]
  const grow = async () => {
    await someEntries(server, toy.operation, compartments)
    await someEntries(server, server.logs.directory, compartments)
    if (random(3) === 0) await server.logs.checkpoint(toy.operation)
  }
  for (let i = 0; i < batches; i++) await grow()
  const logs = [toy.operation, server.logs.directory]
  /** Of all that is there: a publication that is under way may be of less. */
  const checkpoints = (): Promise<Held> =>
    Promise.all(
      logs.map(async (log) => {
        const size = await transaction(server.db, (tx) => sizeOf(tx, log))
        return { log, note: (await server.logs.covering(log, (size ?? 0) - 1)).note }
      }),
    )
  const db = openDatabase({ connectionString: toy.database.superUrl, onError: () => {} })
  owner.teardown(() => db.close())
  return { toy, server, grow, logs, checkpoints, db }
}

t.test(`no false alarm in ${String(cleanRuns)} clean runs`, patience, async (t) => {
  const alarms: string[] = []
  const perLog = 100
  for (let begun = 0; begun < cleanRuns; begun += perLog) {
    const { toy, grow, checkpoints, db } = await scene(t, 1)
    for (let i = 0; i < Math.min(perLog, cleanRuns - begun); i++) {
      await grow()
      alarms.push(...(await findings({ db, toy, held: await checkpoints() })))
    }
  }
  t.strictSame(alarms, [])
  t.comment(`${String(cleanRuns)} clean runs, ${String(alarms.length)} false alarms`)
})

/**
 * Changes the entries as somebody would who wants the log to say something else; undefined where
 * chance chose nothing.
 */
type Attack = (entries: readonly RawEntry[]) => RawEntry[] | undefined

const attacks: Readonly<Record<string, Attack>> = {
  'row delete': (entries) => {
    const at = 1 + random(entries.length - 1)
    return renumber([...entries.slice(0, at), ...entries.slice(at + 1)])
  },
  swap: (entries) => {
    const [a, b] = [1 + random(entries.length - 1), 1 + random(entries.length - 1)]
    const [first, second] = [entries[a], entries[b]]
    if (!first || !second || a === b) return undefined
    // What happened changes places; the times stay in order.
    const swapped = [...entries]
    swapped[a] = { ...second, leaf: { ...second.leaf, at: first.leaf.at } }
    swapped[b] = { ...first, leaf: { ...first.leaf, at: second.leaf.at } }
    return renumber(swapped)
  },
  insert: (entries) => {
    // Before the last one: what is put behind it is no rewriting, and stands in no checkpoint yet.
    const at = 1 + random(entries.length - 1)
    const model = pick(entries.slice(1))
    const { salt, details, private: digest } = hide('{"note":"it was always there"}', randomBytes(32))
    const leaf = {
      ...model.leaf,
      at: entries[at]?.leaf.at ?? model.leaf.at,
      subject: freshId(),
      private: digest,
    }
    return renumber([...entries.slice(0, at), { leaf, salt, details }, ...entries.slice(at)])
  },
  'back-date': (entries) => {
    const at = 1 + random(entries.length - 1)
    const [before, entry] = [entries[at - 1], entries[at]]
    if (!before || !entry || before.leaf.at === entry.leaf.at) return undefined
    return entries.map((one, i) => (i === at ? { ...one, leaf: { ...one.leaf, at: before.leaf.at } } : one))
  },
  truncation: (entries) => entries.slice(0, 1 + random(entries.length - 1)),
}

/** The same attacks by somebody in a hurry, who changes rows and repairs nothing. */
const hasty: Readonly<Record<string, string>> = {
  'row delete': 'DELETE FROM log_entry WHERE log_id = $1 AND index = $2',
  swap: `UPDATE log_entry AS mine SET leaf = other.leaf FROM log_entry AS other
         WHERE mine.log_id = $1 AND other.log_id = $1 AND mine.index IN ($2::bigint, $2 - 1) AND other.index = 2 * $2::bigint - 1 - mine.index`,
  insert: `INSERT INTO log_entry (log_id, index, leaf, leaf_hash, kind, at, person_id, organization_id, device_id, compartment_id, subject)
           SELECT log_id, index + 100000, leaf, leaf_hash, kind, at, person_id, organization_id, device_id, compartment_id, subject
           FROM log_entry WHERE log_id = $1 AND index = $2`,
  'back-date': `UPDATE log_entry SET at = at - interval '1 millisecond' WHERE log_id = $1 AND index = $2`,
  truncation: 'DELETE FROM log_entry WHERE log_id = $1 AND index >= $2',
}

const restore = 'restore of an older backup'

t.test(
  'INV-33: who holds only the keys and the last witnessed checkpoint finds every rewritten log',
  patience,
  async (t) => {
    const names = [...Object.keys(attacks), restore]
    const lanes = howMany(1, 3)
    await Promise.all(
      Array.from({ length: lanes }, (_, lane) =>
        attackWith(
          t,
          names.filter((_, i) => i % lanes === lane),
        ),
      ),
    )
  },
)

/** A log of its own, rewritten in each of these ways, and put back each time. */
async function attackWith(t: Test, names: readonly string[]): Promise<void> {
  const { toy, server, logs, checkpoints, db } = await scene(t, 60)
  const held = await checkpoints()
  await server.logs.close()
  const outsider = { db, toy, held }
  t.strictSame(await findings(outsider), [], 'clean before')
  await admin(toy.database.superUrl, async (client) => {
    await client.query('SET session_replication_role = replica')
    const tables = ['log', 'log_entry', 'log_private', 'log_node', 'log_checkpoint']
    for (const table of tables) await client.query(`CREATE TABLE kept_${table} AS SELECT * FROM ${table}`)
    let times = 0
    const putBack = async () => {
      await client.query('BEGIN')
      for (const table of tables)
        await client.query(`DELETE FROM ${table}; INSERT INTO ${table} SELECT * FROM kept_${table}`)
      await client.query('COMMIT')
      // Nobody else clears away what was deleted, and what is read next would have to go past it.
      if (++times % 20 === 0) await client.query(`VACUUM ${tables.join(', ')}`)
    }
    const entries = new Map<string, RawEntry[]>()
    for (const log of logs) entries.set(log, await readLog(client, log))
    const rewrite = { client, outsider, logs, entries, putBack }
    for (const name of names) {
      const attack = attacks[name]
      if (attack === undefined) await restoreOlder(t, rewrite)
      else await rewriteIn(t, rewrite, name, attack)
    }
    t.strictSame(await findings(outsider), [], 'clean after')
  })
}

interface Rewrite {
  readonly client: pg.Client
  readonly outsider: Outsider
  readonly logs: readonly string[]
  readonly entries: ReadonlyMap<string, RawEntry[]>
  readonly putBack: () => Promise<void>
}

async function rewriteIn(
  t: Test,
  { client, outsider, logs, entries, putBack }: Rewrite,
  name: string,
  attack: Attack,
): Promise<void> {
  const missed: string[] = []
  let invisibleInside = 0
  for (let done = 0; done < each; done++) {
    const log = pick(logs)
    const before = entries.get(log) ?? []
    const thorough = done % 2 === 0
    if (thorough) {
      let after: RawEntry[] | undefined
      while (after === undefined) after = attack(before)
      await rewriteLog(client, log, after)
      if ((await findings(outsider, { witnessed: false })).length === 0) invisibleInside++
    } else {
      await tamperWith(client, hasty[name] ?? '', log, 1 + random(before.length - 1))
    }
    if ((await findings(outsider)).length === 0) missed.push(`${thorough ? 'thorough' : 'hasty'} ${log}`)
    await putBack()
  }
  t.strictSame(missed, [], `${name}: ${String(each - missed.length)} of ${String(each)} found`)
  t.equal(
    invisibleInside,
    Math.ceil(each / 2),
    `${name}: of what was done thoroughly the database itself shows nothing, the checkpoint does`,
  )
}

/** Every log as it was at one moment in the past. */
async function restoreOlder(t: Test, { client, outsider, entries, putBack }: Rewrite): Promise<void> {
  const missed: string[] = []
  let invisibleInside = 0
  const all = [...entries.values()].flat().map(({ leaf }) => leaf.at)
  const newest = all.toSorted().at(-1) ?? ''
  const moments = all
    .toSorted()
    .slice(10)
    .filter((at) => at < newest)
  for (let done = 0; done < each; done++) {
    const moment = pick(moments)
    for (const [log, before] of entries) {
      const older = before.filter(({ leaf }) => leaf.at <= moment)
      await rewriteLog(client, log, older.length === 0 ? before.slice(0, 1) : older)
    }
    const seen = await findings(outsider)
    if (!seen.some((what) => /of them are missing/.test(what))) missed.push(moment)
    if ((await findings(outsider, { witnessed: false })).length === 0) invisibleInside++
    await putBack()
  }
  t.strictSame(
    missed,
    [],
    `${restore}: ${String(each - missed.length)} of ${String(each)} found, with the number of missing entries`,
  )
  t.equal(invisibleInside, each, 'a restored backup is whole in itself: only who remembers finds it out')
}

async function tamperWith(client: pg.Client, sentence: string, log: string, index: number): Promise<void> {
  const { rowCount } = await client.query(sentence, [log, index])
  if (rowCount === 0) throw new Error(`nothing was changed by: ${sentence}`)
}
