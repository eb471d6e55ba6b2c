import { transaction, type Database } from '../db/index.ts'
import { equalBytes } from '../protocol/index.ts'
import { Roots } from './proofs.ts'
import { allLogs, headOf } from './store.ts'

/** A log of a database, beside the same log of another copy. */
export interface ComparedLog {
  readonly log: string
  /** The number of entries in the older copy, and in the newer. */
  readonly size: number
  readonly newer: number
  /** Whether the newer copy begins with all entries of the older one (RFC 9162, 2.1). */
  readonly continues: boolean
}

/** Compares every log of one copy with another copy: by size and root, without reading entries. */
export async function compareLogs(older: Database, newer: Database): Promise<ComparedLog[]> {
  const compared: ComparedLog[] = []
  const roots = new Roots()
  for (const { id: log } of await allLogs(older)) {
    const head = await transaction(older, (tx) => headOf(tx, log))
    const other = await transaction(newer, (tx) => headOf(tx, log))
    const size = head?.size ?? 0
    const there = await transaction(newer, async (tx) => (await roots.at(tx, log, [size])).get(size))
    const continues = size === 0 || (there !== undefined && head !== undefined && equalBytes(there, head.root))
    compared.push({ log, size, newer: other?.size ?? 0, continues })
  }
  return compared
}
