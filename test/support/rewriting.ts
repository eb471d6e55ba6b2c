import { createHash } from 'node:crypto'
import type pg from 'pg'
import { hashLeaf, hasher } from '../../src/log/hashing.ts'
import { emptyEdge, grow, parseLeaf, serializeLeaf, type Leaf } from '../../src/protocol/index.ts'

/** An entry as a superuser finds it, with the details beside it. */
export interface RawEntry {
  readonly leaf: Leaf
  readonly salt: Buffer | null
  readonly details: string | null
}

export async function readLog(client: pg.Client, log: string): Promise<RawEntry[]> {
  const { rows } = await client.query<{ leaf: string; salt: Buffer | null; details: string | null }>(
    `SELECT leaf, salt, details FROM log_entry LEFT JOIN log_private USING (log_id, index) WHERE log_id = $1 ORDER BY index`,
    [log],
  )
  return rows.map(({ leaf, ...rest }) => ({ leaf: parseLeaf(leaf), ...rest }))
}

/** Gives the entries the indexes and seqs that belong to their places. */
export function renumber(entries: readonly RawEntry[]): RawEntry[] {
  const seqs = new Map<string, number>()
  return entries.map(({ leaf, ...rest }, index) => {
    if (leaf.seq === undefined || leaf.compartment === undefined) return { leaf: { ...leaf, index }, ...rest }
    const seq = (seqs.get(leaf.compartment) ?? 0) + 1
    seqs.set(leaf.compartment, seq)
    return { leaf: { ...leaf, index, seq }, ...rest }
  })
}

/**
 * Writes a log as if these had always been its entries, as well as somebody can who has every right
 * in the database and not the log's key: leaves, columns, hashes, nodes, root, edge. Checkpoints
 * that the new log contradicts are taken away; new ones cannot be signed.
 */
export async function rewriteLog(client: pg.Client, log: string, entries: readonly RawEntry[]): Promise<void> {
  const before = await client.query<{ leaf: string }>('SELECT leaf FROM log_entry WHERE log_id = $1 ORDER BY index', [
    log,
  ])
  const texts = entries.map(({ leaf }) => serializeLeaf(leaf))
  const same = texts.findIndex((text, i) => text !== before.rows[i]?.leaf)
  const kept = same < 0 ? Math.min(texts.length, before.rows.length) : same
  const hashes = texts.map(hashLeaf)
  const growth = grow(hasher, emptyEdge, hashes)
  const seqs: Record<string, number> = {}
  let changed = -1
  for (const { leaf } of entries) {
    if (leaf.compartment !== undefined && leaf.seq !== undefined) seqs[leaf.compartment] = leaf.seq
    if (/^(operation|member|device|compartment|epoch)\./.test(leaf.kind)) changed = leaf.index
  }
  await client.query('BEGIN')
  for (const table of ['log_private', 'log_entry', 'log_node'])
    await client.query(`DELETE FROM ${table} WHERE log_id = $1`, [log])
  await client.query('DELETE FROM log_checkpoint WHERE log_id = $1 AND size > $2', [log, kept])
  const rows = entries.map(({ leaf }, i) => {
    const actor = 'server' in leaf.actor ? undefined : leaf.actor
    return {
      index: leaf.index,
      leaf: texts[i],
      leaf_hash: `\\x${Buffer.from(hashes[i] ?? []).toString('hex')}`,
      kind: leaf.kind,
      at: leaf.at,
      person_id: actor?.person ?? null,
      organization_id: actor?.organization ?? null,
      device_id: actor?.device ?? null,
      compartment_id: leaf.compartment ?? null,
      seq: leaf.seq ?? null,
      subject: leaf.subject,
    }
  })
  const insert = (table: string, values: readonly object[]) =>
    client.query(
      `INSERT INTO ${table} SELECT (jsonb_populate_record(NULL::${table}, each || jsonb_build_object('log_id', $1::text))).*
       FROM jsonb_array_elements($2::jsonb) AS each`,
      [log, JSON.stringify(values)],
    )
  await insert('log_entry', rows)
  const hidden = entries.flatMap(({ leaf, salt, details }) =>
    salt === null ? [] : [{ index: leaf.index, salt: `\\x${salt.toString('hex')}`, details }],
  )
  await insert('log_private', hidden)
  const nodes = growth.nodes.map(({ level, index, hash }) => ({
    level: level / 8,
    index,
    hash: `\\x${Buffer.from(hash).toString('hex')}`,
  }))
  await insert('log_node', nodes)
  await client.query(
    'UPDATE log SET size = $2, root = $3, edge = $4, seqs = $5, changed_index = $6, last_at = $7 WHERE id = $1',
    [
      log,
      entries.length,
      growth.root,
      Buffer.concat(growth.edge.hashes),
      JSON.stringify(seqs),
      changed,
      entries.at(-1)?.leaf.at,
    ],
  )
  await client.query('COMMIT')
}

/** Details under a fresh salt, and what the leaf must say of them. */
export function hide(details: string, salt: Buffer): { salt: Buffer; details: string; private: string } {
  return { salt, details, private: createHash('sha256').update(salt).update(details).digest('base64url') }
}
