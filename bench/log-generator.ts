import { createHash } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import pg from 'pg'
import type { EntryDraft } from '../src/log/index.ts'
import { BatchBuilder, type Batch, type Head } from '../src/log/batch.ts'
import { splitEdge } from '../src/log/store.ts'
import type { Kind } from '../src/protocol/index.ts'
import { bytea, copyInto, copyLine } from './copy.ts'

export interface Cause {
  readonly person: string
  readonly organization: string
  readonly device: string
}

export interface LogPlan {
  readonly log: string
  /** The members of the operation, who cause the entries. */
  readonly people: readonly Cause[]
  readonly server: string
  /** The number of entries of the finished log. */
  readonly size: number
  progress?(done: number, size: number): void
}

/**
 * The frequency of each kind, of a thousand: only kinds that have no other rows than their entry,
 * so that the log verifies.
 */
const shares: readonly (readonly [Kind, number])[] = [
  ['body.fetched', 420],
  ['attachment.stored', 200],
  ['feed.opened', 150],
  ['messages.delivered', 90],
  ['messages.read', 50],
  ['report.viewed', 40],
  ['records.imported', 29],
  ['log.queried', 20],
  ['access.refused', 1],
]
const compartmentCount = 40
export const commonWord = 'pangolin'
/** The word occurs in one of 50,000 entries. */
export const rareWord = 'narwhal'
const words = ['seizure', 'container', 'manifest', 'cigarettes', 'airport', 'review', 'complaint', 'shift', commonWord]
const entriesPerCommit = 128
const entriesPerCopy = 40_000
const fewestWithoutIndexes = 500_000

/**
 * The ids of compartments, messages and sessions of a generated log. They are made of numbers and
 * always the same.
 */
export function idOf(what: 'compartment' | 'message' | 'session', number: number): string {
  const hex = createHash('sha256')
    .update(`${what} ${String(number)}`)
    .digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-7${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/**
 * Appends entries to a log until it has its size: leaves, hashes, details, nodes, root and edge as
 * the appender makes them, written with COPY. Continues an interrupted log.
 */
export async function generateLog(superUrl: string, options: LogPlan): Promise<void> {
  const client = new pg.Client({ connectionString: superUrl })
  await client.connect()
  try {
    // The references between rows that are made together need no check. No other process appends
    // meanwhile.
    await client.query('SET session_replication_role = replica')
    await client.query("SET maintenance_work_mem = '512MB'")
    const { rows } = await client.query<{ size: string }>('SELECT size FROM log WHERE id = $1', [options.log])
    if (options.size - Number(rows[0]?.size) > fewestWithoutIndexes) await putIndexesAside(client)
    const made = new EntryMaker(options)
    let writing: Promise<unknown> = Promise.resolve()
    for (let head = await headOf(client, options.log); head.edge.size < options.size;) {
      const batches = await made.batches(head, Math.min(entriesPerCopy, options.size - head.edge.size))
      await writing
      head = (batches.at(-1) as Batch).after
      writing = write(client, batches)
      options.progress?.(head.edge.size, options.size)
    }
    await writing
    await bringIndexesBack(client)
    await client.query('RESET session_replication_role')
    await client.query('VACUUM (ANALYZE) log_entry')
    await client.query('VACUUM (ANALYZE) log_private')
    await client.query('VACUUM (ANALYZE) log_node')
  } finally {
    await client.end()
  }
}

class EntryMaker {
  readonly #options: LogPlan
  readonly #ids = new Map<string, string>()
  #state = 1

  constructor(options: LogPlan) {
    this.#options = options
  }

  /** Makes the next entries, a few for each commit, with a millisecond between commits. */
  async batches(head: Head, count: number): Promise<Batch[]> {
    const batches: Batch[] = []
    this.#state = head.edge.size + 1
    for (let made = 0; made < count; made += entriesPerCommit) {
      const before: Head = batches.at(-1)?.after ?? head
      const placing = new BatchBuilder(before, new Date(before.lastAt.getTime() + 1), (length) => this.#random(length))
      placing.place(Array.from({ length: Math.min(entriesPerCommit, count - made) }, () => this.#draft()))
      batches.push(placing.finish())
      // Lets the copying continue.
      if (batches.length % 64 === 0) await nextTurn()
    }
    return batches
  }

  #draft(): EntryDraft {
    const { people, server, log } = this.#options
    const kind = this.#kind()
    const { person, organization, device } = people[this.#upTo(people.length)] as Cause
    const ofServer = kind === 'messages.delivered' || kind === 'messages.read'
    const place = kind === 'body.fetched' || kind === 'attachment.stored'
    const message = this.#id('message', this.#upTo(50_000))
    return {
      kind,
      actor: ofServer ? { server } : { person, organization, device },
      ...(place ? { compartment: this.#id('compartment', this.#upTo(compartmentCount)) } : {}),
      subject: place ? message : log,
      details: ofServer
        ? { readers: [{ person, organization, device, from: 1, to: 9, count: 3 }] }
        : { session: this.#id('session', this.#upTo(5_000)), justification: this.#sentence() },
    }
  }

  #kind(): Kind {
    let at = this.#upTo(1_000)
    for (const [kind, share] of shares) if ((at -= share) < 0) return kind
    return 'body.fetched'
  }

  #sentence(): string {
    const said = Array.from({ length: 5 }, () => words[this.#upTo(words.length)])
    if (this.#upTo(50_000) === 0) said.push(rareWord)
    return said.join(' ')
  }

  #id(what: 'compartment' | 'message' | 'session', number: number): string {
    const name = `${what} ${String(number)}`
    const id = this.#ids.get(name) ?? idOf(what, number)
    this.#ids.set(name, id)
    return id
  }

  /** A whole number below a limit; the sequence is the same in every run (xorshift). */
  #upTo(limit: number): number {
    this.#state ^= this.#state << 13
    this.#state ^= this.#state >>> 17
    this.#state ^= this.#state << 5
    return (this.#state >>> 0) % limit
  }

  #random(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; at++) bytes[at] = this.#upTo(256)
    return bytes
  }
}

async function headOf(client: pg.Client, log: string): Promise<Head> {
  const { rows } = await client.query<{
    size: string
    edge: Buffer
    seqs: Record<string, number>
    changed_index: string
    last_at: Date
  }>('SELECT size, edge, seqs, changed_index, last_at FROM log WHERE id = $1', [log])
  const [row] = rows
  if (!row) throw new Error(`there is no log ${log}`)
  const size = Number(row.size)
  return {
    log,
    edge: { size, hashes: splitEdge(row.edge, size) },
    seqs: row.seqs,
    changedIndex: Number(row.changed_index),
    lastAt: row.last_at,
  }
}

async function write(client: pg.Client, batches: readonly Batch[]): Promise<void> {
  const entries: string[] = []
  const privates: string[] = []
  const nodes: string[] = []
  for (const { before, entries: placed, hashes, privates: hidden, growth } of batches) {
    const { log } = before
    for (const [i, { index, text, kind, leaf, compartment, seq }] of placed.entries()) {
      const who = 'server' in leaf.actor ? { person: null, organization: null, device: null } : leaf.actor
      entries.push(
        copyLine([
          log,
          index,
          text,
          bytea(hashes[i] as Uint8Array),
          kind,
          leaf.at,
          who.person,
          who.organization,
          who.device,
          compartment ?? null,
          seq ?? null,
          leaf.subject,
        ]),
      )
    }
    for (const { index, salt, details } of hidden) privates.push(copyLine([log, index, bytea(salt), details]))
    for (const { level, index, hash } of growth.nodes) nodes.push(copyLine([log, level / 8, index, bytea(hash)]))
  }
  const { after, growth } = batches.at(-1) as Batch
  await client.query('BEGIN')
  const { rows } = await client.query<{ size: string }>('SELECT size FROM log WHERE id = $1 FOR UPDATE', [after.log])
  if (Number(rows[0]?.size) !== batches[0]?.before.edge.size) throw new Error('another process appends to this log')
  const columns =
    'log_id, index, leaf, leaf_hash, kind, at, person_id, organization_id, device_id, compartment_id, seq, subject'
  await copyInto(client, `log_entry (${columns})`, entries)
  await copyInto(client, 'log_private (log_id, index, salt, details)', privates)
  await copyInto(client, 'log_node (log_id, level, index, hash)', nodes)
  await client.query(
    'UPDATE log SET size = $2, root = $3, edge = $4, seqs = $5, changed_index = $6, last_at = $7 WHERE id = $1',
    [
      after.log,
      after.edge.size,
      growth.root,
      Buffer.concat(after.edge.hashes),
      JSON.stringify(after.seqs),
      after.changedIndex,
      after.lastAt,
    ],
  )
  await client.query('COMMIT')
}

/**
 * Drops the indexes: building an index once is faster than adding row by row. The dropped indexes
 * are noted in this transaction, so that an interrupted run makes them again.
 */
async function putIndexesAside(client: pg.Client): Promise<void> {
  await client.query('BEGIN')
  await client.query('CREATE TABLE IF NOT EXISTS bench_index (name text PRIMARY KEY, definition text NOT NULL)')
  const { rows } = await client.query<{ name: string }>(
    `INSERT INTO bench_index SELECT indexname, indexdef FROM pg_indexes
     WHERE tablename = 'log_entry' AND indexname <> 'log_entry_pkey' ON CONFLICT DO NOTHING RETURNING name`,
  )
  for (const { name } of rows) await client.query(`DROP INDEX ${name}`)
  await client.query('COMMIT')
}

async function bringIndexesBack(client: pg.Client): Promise<void> {
  const { rows: aside } = await client.query("SELECT 1 FROM pg_class WHERE relname = 'bench_index'")
  if (aside.length === 0) return
  const { rows } = await client.query<{ definition: string }>('SELECT definition FROM bench_index')
  for (const { definition } of rows) await client.query(definition.replace(' INDEX ', ' INDEX IF NOT EXISTS '))
  await client.query('DROP TABLE bench_index')
}
