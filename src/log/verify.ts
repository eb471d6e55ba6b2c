import { sql } from 'kysely'
import { readSnapshot, type Database, type Tx } from '../db/index.ts'
import { noteKeysOf, openCheckpoint, originOf, type LogKeys, type NoteKey } from '../protocol/index.ts'
import type { Owner } from './owners.ts'
import { noRows, rowCounts } from './rows.ts'
import { allLogs, enterLog } from './store.ts'
import { LogVerification } from './verify-log.ts'
import { registeredWitnesses, type RegisteredWitnesses } from './witness-register.ts'

export interface LogSource {
  readonly db: Database
  /**
   * Public keys of the logs, from `log.key` or from a note that the operator made: never from the
   * database that is being judged.
   */
  readonly keys: LogKeys
  readonly originHost: string
  /** Checkpoints held outside the database (signed notes), which its logs must contain. */
  readonly held?: readonly { readonly log: string; readonly note: string }[]
}

export interface Discrepancy {
  readonly log: string
  /** The index of the entry, where the discrepancy is one entry's. */
  readonly index?: number
  readonly what: string
}

export interface VerifiedLog {
  readonly log: string
  readonly operation: string | null
  readonly size: number
  /** base64url, as recomputed from the leaves. */
  readonly root: string
}

export interface Report {
  readonly logs: readonly VerifiedLog[]
  readonly entries: number
  /**
   * The discrepancies in the order in which they were found; at most 1,000 are kept. Empty: every
   * row was checked and is right.
   */
  readonly discrepancies: readonly Discrepancy[]
}

export interface VerifyOptions {
  progress?(state: { readonly log: string; readonly done: number; readonly size: number }): void
  /** Verify this log alone. */
  readonly only?: string
}

const mostDiscrepancies = 1_000

/**
 * Verifies all logs of a database from their raw rows, in one snapshot, also while a server is
 * writing: leaves, columns, hashes, nodes, roots, details and published checkpoints here, and
 * through `owners` the rows that the entries are about.
 */
export function verifyLogs(source: LogSource, owners: readonly Owner[], options: VerifyOptions = {}): Promise<Report> {
  return readSnapshot(source.db, (tx) => verifyInSnapshot(tx, source, owners, options))
}

async function verifyInSnapshot(
  tx: Tx,
  source: LogSource,
  owners: readonly Owner[],
  options: VerifyOptions,
): Promise<Report> {
  await sql`SELECT set_config('statement_timeout', '0', true)`.execute(tx)
  const discrepancies: Discrepancy[] = []
  const find = (log: string) => (index: number | undefined, what: string) => {
    if (discrepancies.length < mostDiscrepancies)
      discrepancies.push(index === undefined ? { log, what } : { log, index, what })
  }
  const all = await allLogs(tx)
  const known = new Set(all.map((log) => log.id))
  const counts = await rowCounts(tx)
  for (const log of counts.keys()) if (!known.has(log)) find(log)(undefined, 'rows belong to a log that is not there')
  if (all.filter((log) => log.operation_id === null).length !== 1) {
    find('all')(undefined, 'there is not exactly one directory log')
  }

  const witnesses = await witnessesOf(tx, all, find)
  const logs: VerifiedLog[] = []
  let entries = 0
  for (const { id, operation_id: operation, size } of all) {
    if (options.only !== undefined && id !== options.only) continue
    await enterLog(tx, id)
    const keys = noteKeysOf(source.keys, originOf(source.originHost, id))
    const held = await openHeld(source, id, keys, find(id))
    const verification = new LogVerification(tx, { id, operation }, { log: keys, witnesses }, owners, find(id))
    const done = await verification.run(counts.get(id) ?? noRows, held, (done) =>
      options.progress?.({ log: id, done, size }),
    )
    entries += done
    logs.push({ log: id, operation, size: done, root: verification.root })
  }
  for (const owner of owners) {
    for await (const what of owner.strays?.(tx, known) ?? []) find('all')(undefined, what)
  }
  return { logs, entries, discrepancies }
}

async function witnessesOf(
  tx: Tx,
  logs: readonly { id: string; operation_id: string | null }[],
  find: (log: string) => (index: number | undefined, what: string) => void,
): Promise<RegisteredWitnesses> {
  const directory = logs.find((log) => log.operation_id === null)?.id
  if (directory === undefined) return new Map()
  await enterLog(tx, directory)
  return registeredWitnesses(tx, directory, find(directory))
}

async function openHeld(
  source: LogSource,
  log: string,
  keys: readonly NoteKey[],
  found: (index: number | undefined, what: string) => void,
): Promise<Map<number, Uint8Array>> {
  const held = new Map<number, Uint8Array>()
  for (const { log: of, note } of source.held ?? []) {
    if (of !== log) continue
    try {
      const { size, root } = await openCheckpoint(note, ...keys)
      held.set(size, root)
    } catch (error) {
      found(undefined, `a checkpoint held elsewhere cannot be opened: ${(error as Error).message}`)
    }
  }
  return held
}
