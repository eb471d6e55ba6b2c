import { CompiledQuery, sql } from 'kysely'
import type { Database, Tx } from '../db/index.ts'
import { emptyEdge, hashBytes, subtreesOf, type HashReader, type Kind, type Run } from '../protocol/index.ts'
import type { CommittedEntry, StoredEntry } from './act.ts'
import { hasher } from './hashing.ts'
import type { Batch, Head, Private } from './batch.ts'

// A statement of Postgres takes at most 65,535 parameters.
const mostParameters = 60_000
const insertTexts = new Map<string, string>()

/** Enters a log: from here on the transaction sees this log and no other (row-level security). */
export async function enterLog(tx: Tx, log: string): Promise<void> {
  await sql`SELECT set_config('cordon.log', ${log}, true)`.execute(tx)
}

/**
 * Enters a log and locks its row, so that what follows happens in the log's order. Undefined where
 * there is no such log.
 */
export async function lockLog(tx: Tx, log: string): Promise<Head | undefined> {
  const [, row] = await Promise.all([
    enterLog(tx, log),
    // Its id never changes: rows that refer to it, such as checkpoints, need not wait for this.
    tx.selectFrom('log').selectAll().where('id', '=', log).forNoKeyUpdate().executeTakeFirst(),
  ])
  if (row === undefined) return undefined
  return {
    log,
    edge: { size: row.size, hashes: splitEdge(row.edge, row.size) },
    seqs: row.seqs,
    changedIndex: row.changed_index,
    lastAt: row.last_at,
  }
}

/** Makes the row of a log without entries and enters it. `operation` null: the directory. */
export async function insertLog(tx: Tx, log: string, operation: string | null, at: Date): Promise<Head> {
  await enterLog(tx, log)
  const edge = new Uint8Array(0)
  await tx
    .insertInto('log')
    .values({
      id: log,
      operation_id: operation,
      size: 0,
      root: hasher.empty,
      edge,
      seqs: '{}',
      changed_index: -1,
      last_at: at,
    })
    .execute()
  return { log, edge: emptyEdge, seqs: {}, changedIndex: -1, lastAt: at }
}

/** Answers the leaf of the newest entry of a kind, in the log that the transaction has entered. */
export async function newestLeafOfKind(
  tx: Tx,
  log: string,
  kind: 'configuration.changed',
): Promise<string | undefined> {
  // The kind stands in the text: a parameter would keep the index of this kind out of a prepared
  // plan.
  const { rows } = await sql<{ leaf: string }>`
    SELECT leaf FROM log_entry WHERE log_id = ${log} AND kind = ${sql.lit(kind)} ORDER BY index DESC LIMIT 1`.execute(
    tx,
  )
  return rows[0]?.leaf
}

/**
 * Writes the entries of a batch and the rows that belong to them. The transaction must have entered
 * and locked the log.
 */
export async function writeEntries(tx: Tx, batch: Batch): Promise<void> {
  const { before, entries, hashes, privates, growth } = batch
  if (entries.length === 0) return
  await Promise.all([
    insertRows(
      tx,
      'log_entry',
      entryColumns,
      entries.map((entry, i) => entryRow(entry, hashes[i] as Uint8Array)),
    ),
    insertRows(
      tx,
      'log_private',
      ['log_id', 'index', 'salt', 'details'],
      privates.map((p) => privateRow(before.log, p)),
    ),
    insertRows(
      tx,
      'log_node',
      ['log_id', 'level', 'index', 'hash'],
      growth.nodes.map(({ level, index, hash }) => [before.log, level / 8, index, hash]),
    ),
  ])
}

/** Moves the log's row to the end of a batch. */
export async function writeHead(tx: Tx, batch: Batch): Promise<void> {
  const { before, after, growth } = batch
  if (after.edge.size === before.edge.size) return
  await tx
    .updateTable('log')
    .set({
      size: after.edge.size,
      root: growth.root,
      edge: Buffer.concat(after.edge.hashes),
      seqs: JSON.stringify(after.seqs),
      changed_index: after.changedIndex,
      last_at: after.lastAt,
    })
    .where('id', '=', before.log)
    .execute()
}

const entryColumns = [
  'log_id',
  'index',
  'leaf',
  'leaf_hash',
  'kind',
  'at',
  'person_id',
  'organization_id',
  'device_id',
  'compartment_id',
  'seq',
  'subject',
]

function entryRow({ log, index, text, kind, at, leaf, compartment, seq }: CommittedEntry, hash: Uint8Array): unknown[] {
  const { person, organization, device } =
    'server' in leaf.actor ? { person: null, organization: null, device: null } : leaf.actor
  return [
    log,
    index,
    text,
    hash,
    kind,
    at,
    person,
    organization,
    device,
    compartment ?? null,
    seq ?? null,
    leaf.subject,
  ]
}

function privateRow(log: string, { index, salt, details }: Private): unknown[] {
  return [log, index, salt, details]
}

/**
 * Inserts rows with one multi-row INSERT per 60,000 values. The text for a number of rows is made
 * once: to build it costs more than to run it.
 */
async function insertRows(
  tx: Tx,
  table: string,
  columns: readonly string[],
  rows: readonly unknown[][],
): Promise<void> {
  const rowsPerStatement = Math.floor(mostParameters / columns.length)
  for (let first = 0; first < rows.length; first += rowsPerStatement) {
    const part = rows.slice(first, first + rowsPerStatement)
    await tx.executeQuery(CompiledQuery.raw(insertText(table, columns, part.length), part.flat()))
  }
}

function insertText(table: string, columns: readonly string[], rows: number): string {
  const name = `${table} ${rows}`
  let text = insertTexts.get(name)
  if (text === undefined) {
    let parameter = 0
    const row = () => `(${columns.map(() => `$${++parameter}`).join(',')})`
    text = `INSERT INTO ${table} (${columns.join(',')}) VALUES ${Array.from({ length: rows }, row).join(',')}`
    if (insertTexts.size > 1_000) insertTexts.clear()
    insertTexts.set(name, text)
  }
  return text
}

/** Answers hashes of leaves as they are stored, from an index on. */
export async function leafHashes(tx: Tx, log: string, first: number, count: number): Promise<Uint8Array[]> {
  const rows = await tx
    .selectFrom('log_entry')
    .select('leaf_hash')
    .where('log_id', '=', log)
    .where('index', '>=', first)
    .where('index', '<', first + count)
    .orderBy('index')
    .execute()
  return rows.map((row) => row.leaf_hash)
}

/** Answers leaves as they were hashed, from an index on. */
export async function leavesAt(tx: Tx, log: string, first: number, count: number): Promise<string[]> {
  const rows = await tx
    .selectFrom('log_entry')
    .select('leaf')
    .where('log_id', '=', log)
    .where('index', '>=', first)
    .where('index', '<', first + count)
    .orderBy('index')
    .execute()
  return rows.map((row) => row.leaf)
}

/**
 * Makes the reader of hashes of the tree of a log that the transaction has entered: one statement,
 * one row for each run. OFFSET 0 has Postgres look up each run, where it might otherwise read a
 * whole table to join it.
 */
export function hashReader(tx: Tx, log: string): HashReader {
  return async (runs) => {
    const placed = runs.map((run, place) => ({ run, place }))
    const leaves = placed.filter(({ run }) => run.level === 0)
    const nodes = placed.filter(({ run }) => run.level > 0)
    const parts = [
      ...(leaves.length === 0
        ? []
        : [runsOf(leaves, sql`SELECT index, leaf_hash AS hash FROM log_entry WHERE log_id = ${log}`)]),
      ...(nodes.length === 0
        ? []
        : [
            runsOf(
              nodes,
              sql`SELECT index, hash FROM log_node WHERE log_id = ${log} AND log_node.level = wanted.level`,
            ),
          ]),
    ]
    const found = runs.map((): Uint8Array[] => [])
    if (parts.length === 0) return found
    const { rows } = await sql<{
      place: number
      hashes: Uint8Array | null
    }>`${sql.join(parts, sql` UNION ALL `)}`.execute(tx)
    for (const { place, hashes } of rows) found[place] = hashesIn(hashes ?? new Uint8Array(0))
    return found
  }
}

function runsOf(wanted: readonly { run: Run; place: number }[], hashes: ReturnType<typeof sql>) {
  const values = wanted.map(
    ({ run, place }) =>
      sql`(${place}::int, ${run.level / 8}::smallint, ${run.first}::bigint, ${run.first + run.count}::bigint)`,
  )
  return sql`
    SELECT place, hashes FROM (VALUES ${sql.join(values)}) AS wanted (place, level, first, past) CROSS JOIN LATERAL (
      SELECT string_agg(hash, ''::bytea ORDER BY index) AS hashes FROM (
        ${hashes} AND index >= first AND index < past ORDER BY index OFFSET 0
      ) AS run
    ) AS found`
}

function hashesIn(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length / hashBytes }, (_, i) => bytes.subarray(i * hashBytes, (i + 1) * hashBytes))
}

/**
 * Whether row-level security shows this transaction the log: as the one it entered, or as one of
 * its person's operations.
 */
export async function seesLog(tx: Tx, log: string): Promise<boolean> {
  return (await tx.selectFrom('log').select('id').where('id', '=', log).executeTakeFirst()) !== undefined
}

/**
 * Answers the size of a log that row-level security shows this transaction; undefined where it
 * shows none.
 */
export async function visibleSize(tx: Tx, log: string): Promise<number | undefined> {
  return (await tx.selectFrom('log').select('size').where('id', '=', log).executeTakeFirst())?.size
}

export async function sizeOf(tx: Tx, log: string): Promise<number | undefined> {
  const [, row] = await Promise.all([
    enterLog(tx, log),
    tx.selectFrom('log').select('size').where('id', '=', log).executeTakeFirst(),
  ])
  return row?.size
}

/** `last_at`: the time of the newest entry. */
export async function headOf(
  tx: Tx,
  log: string,
): Promise<{ size: number; root: Uint8Array; last_at: Date } | undefined> {
  const [, row] = await Promise.all([
    enterLog(tx, log),
    tx.selectFrom('log').select(['size', 'root', 'last_at']).where('id', '=', log).executeTakeFirst(),
  ])
  return row
}

function entries(tx: Tx, log: string) {
  return tx
    .selectFrom('log_entry')
    .select(['index', 'kind', 'at', 'person_id', 'organization_id', 'device_id', 'compartment_id', 'seq', 'leaf'])
    .where('log_id', '=', log)
    .orderBy('index')
}

export async function entriesAfter(tx: Tx, log: string, after: number, limit: number): Promise<StoredEntry[]> {
  const [, rows] = await Promise.all([
    enterLog(tx, log),
    entries(tx, log).where('index', '>', after).limit(limit).execute(),
  ])
  return rows.map((row) => storedEntry(log, row))
}

/**
 * Answers the entries that change the operation. Reads over the index log_entry_changes, whose
 * condition stands here word for word.
 */
export async function changesBetween(tx: Tx, log: string, after: number, upTo: number): Promise<StoredEntry[]> {
  if (upTo <= after) return []
  const rows = await entries(tx, log)
    .where('index', '>', after)
    .where('index', '<=', upTo)
    .where(sql<boolean>`kind ~ '^(operation|member|device|compartment|epoch)\\.'`)
    .execute()
  return rows.map((row) => storedEntry(log, row))
}

export async function entriesAt(tx: Tx, log: string, indexes: readonly number[]): Promise<StoredEntry[]> {
  if (indexes.length === 0) return []
  const rows = await entries(tx, log)
    .where(sql<boolean>`index = ANY(${[...indexes]}::bigint[])`)
    .execute()
  return rows.map((row) => storedEntry(log, row))
}

/** Answers which of these ids are the subject of an entry of this kind. */
export async function subjectsAmong(tx: Tx, log: string, kind: Kind, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set()
  const { rows } = await sql<{ subject: string }>`
    SELECT DISTINCT subject FROM log_entry
    WHERE log_id = ${log} AND kind = ${kind} AND subject = ANY(${[...ids]}::text[])`.execute(tx)
  return new Set(rows.map(({ subject }) => subject))
}

type EntryRow = Awaited<ReturnType<ReturnType<typeof entries>['execute']>>[number]

function storedEntry(log: string, row: EntryRow): StoredEntry {
  return {
    log,
    index: row.index,
    kind: row.kind as Kind,
    at: row.at,
    person: row.person_id,
    organization: row.organization_id,
    device: row.device_id,
    compartment: row.compartment_id,
    seq: row.seq,
    text: row.leaf,
  }
}

/** Answers all logs. */
export async function allLogs(db: Database | Tx): Promise<{ id: string; operation_id: string | null; size: number }[]> {
  const on = 'kysely' in db ? db.kysely : db
  const { rows } = await sql<{
    id: string
    operation_id: string | null
    size: number
  }>`SELECT * FROM all_logs()`.execute(on)
  return rows
}

/** Whether an entry was ever appended in this database: then the log's key must exist too. */
export async function hasLogs(db: Database): Promise<boolean> {
  return (await allLogs(db)).length > 0
}

/** Answers the newest published checkpoint. The transaction must have entered the log. */
export async function newestCheckpoint(tx: Tx, log: string): Promise<{ size: number; note: string } | undefined> {
  return tx
    .selectFrom('log_checkpoint')
    .select(['size', 'note'])
    .where('log_id', '=', log)
    .orderBy('size', 'desc')
    .limit(1)
    .executeTakeFirst()
}

export async function insertCheckpoint(
  tx: Tx,
  log: string,
  checkpoint: { size: number; note: string },
  previous: number | null,
): Promise<void> {
  const { size, note } = checkpoint
  await tx.insertInto('log_checkpoint').values({ log_id: log, size, note, previous_size: previous }).execute()
}

/**
 * Locks the publishing of a log: of all servers, one at a time publishes a checkpoint, and the log
 * itself goes on meanwhile.
 */
export async function lockPublishing(tx: Tx, log: string): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(hashtextextended(${`checkpoint ${log}`}, 0))`.execute(tx)
}

export function splitEdge(edge: Uint8Array, size: number): Uint8Array[] {
  return hashesIn(edge).slice(0, subtreesOf({ from: 0, to: size }).length)
}
