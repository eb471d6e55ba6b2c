import type { Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { ProtocolError, changesOperation, type Receipt } from '../protocol/index.ts'
import type { AppendResult, CommittedEntry, EntryDraft, Part, Snapshots } from './act.ts'
import type { KeptSnapshot } from './group.ts'
import { BatchBuilder, unfit, type Batch, type Head } from './batch.ts'
import { enterLog, insertLog, lockLog, writeEntries, writeHead } from './store.ts'

export interface WithinDeps<S> {
  readonly snapshots: Snapshots<S>
  /**
   * The snapshots that earlier transactions left, by log: a transaction that appends takes its
   * snapshot out, and puts it back once it is committed.
   */
  readonly kept: Map<string, KeptSnapshot<S>>
  readonly clock: () => Date
  readonly random: (length: number) => Uint8Array
  /** Throws Problem LOG_READ_ONLY for a log that must not be continued. */
  requireWritable(log: string): void
  /** Hears of each batch once the caller has committed it. */
  committed(batch: Batch): Promise<(index: number) => Receipt>
  onError(what: string, error: unknown): void
}

/** The most operations whose snapshot is kept between two transactions. */
const mostKeptSnapshots = 200

/**
 * What was written to one log, and the snapshot of the operation with it; undefined for the
 * directory.
 */
interface WrittenLog<S> {
  readonly batch: Batch
  readonly snapshot: S | undefined
}

/**
 * Appends to several logs within a transaction of the caller, who has locked its own rows before.
 * An entry that has no place in an operation, as it is under the lock of its log, is refused like
 * every other act there, and the transaction with it.
 */
export async function appendWithin<S>(
  deps: WithinDeps<S>,
  tx: Tx,
  directory: string,
  parts: readonly Part[],
): Promise<AppendResult> {
  const byLog = Map.groupBy(parts, (part) => part.log)
  // All transactions use one order, the directory last, or two of them could wait for each other.
  const order = [...byLog.keys()].sort((a, b) => (a === directory ? 1 : b === directory ? -1 : a < b ? -1 : 1))
  const heads: Head[] = []
  for (const log of order) {
    deps.requireWritable(log)
    const head = await lockLog(tx, log)
    if (head === undefined) throw new Problem('NOT_FOUND')
    heads.push(head)
  }
  const written: WrittenLog<S>[] = []
  for (const head of heads) {
    const folds = head.log !== directory
    written.push(
      await write(deps, tx, head, byLog.get(head.log) ?? [], folds ? deps.kept.get(head.log) : undefined, folds),
    )
  }
  return appended(deps, written)
}

/** Makes the log of an operation with its first entries. */
export async function createLog<S>(
  deps: WithinDeps<S>,
  tx: Tx,
  log: string,
  operation: string | null,
  drafts: readonly EntryDraft[],
): Promise<AppendResult> {
  const first = operation === null ? 'log.started' : 'operation.created'
  if (drafts[0]?.kind !== first) throw new Error(`the first entry of this log must be ${first}`)
  const head = await insertLog(tx, log, operation, deps.clock())
  return appended(deps, [await write(deps, tx, head, [{ log, drafts }], undefined, operation !== null)])
}

async function write<S>(
  deps: WithinDeps<S>,
  tx: Tx,
  head: Head,
  parts: readonly Part[],
  kept: KeptSnapshot<S> | undefined,
  folds: boolean,
): Promise<WrittenLog<S>> {
  const { snapshots } = deps
  const placing = new BatchBuilder(head, deps.clock(), deps.random)
  await enterLog(tx, head.log)
  let snapshot: S | undefined
  for (const { drafts } of parts) {
    const made = typeof drafts === 'function' ? await drafts(placing.at, placing.nextIndex) : drafts
    const placed = placing.place(made)
    const changing = folds ? placed.filter(({ kind }) => changesOperation(kind)) : []
    if (changing.length === 0) continue
    if (snapshot === undefined) {
      // From here on the snapshot is changed: an act that comes meanwhile, or after a failure,
      // makes one of its own.
      deps.kept.delete(head.log)
      await enterLog(tx, head.log)
      const fresh = kept !== undefined && head.changedIndex <= kept.upTo
      snapshot = fresh ? kept.snapshot : await snapshots.advance(tx, head.log, kept?.snapshot, head.changedIndex)
    }
    for (const entry of changing) {
      const refused = entry.kind === 'operation.created' ? undefined : snapshots.judge(snapshot, entry)
      if (refused) throw refused
      snapshot = folded(snapshots, snapshot, entry)
    }
  }
  const batch = placing.finish()
  // A function that made the drafts may have entered another log.
  await enterLog(tx, head.log)
  await writeEntries(tx, batch)
  await writeHead(tx, batch)
  return { batch, snapshot }
}

function folded<S>(snapshots: Snapshots<S>, snapshot: S, entry: CommittedEntry): S {
  try {
    return snapshots.fold(snapshot, entry)
  } catch (error) {
    if (error instanceof ProtocolError) throw unfit(error)
    throw error
  }
}

function keep<S>({ kept }: WithinDeps<S>, { batch: { after }, snapshot }: WrittenLog<S>): void {
  if (snapshot === undefined) return
  if (kept.size >= mostKeptSnapshots) kept.clear()
  kept.set(after.log, { snapshot, upTo: after.edge.size - 1 })
}

function appended<S>(deps: WithinDeps<S>, written: readonly WrittenLog<S>[]): AppendResult {
  const batches = written.map(({ batch }) => batch)
  const told = new Map<string, Promise<(index: number) => Receipt>>()
  const tell = (batch: Batch) => {
    const { log } = batch.before
    const known = told.get(log) ?? deps.committed(batch)
    told.set(log, known)
    return known
  }
  return {
    entries: new Map(batches.map((batch) => [batch.before.log, batch.entries])),
    afterCommit: () => {
      for (const one of written) keep(deps, one)
      for (const batch of batches) {
        tell(batch).catch((error: unknown) =>
          deps.onError(`log ${batch.before.log}: what was committed was not told`, error),
        )
      }
    },
    receipt: async (log, i) => {
      const batch = batches.find((one) => one.before.log === log)
      const entry = batch?.entries[i]
      if (batch === undefined || entry === undefined) throw new RangeError(`log ${log} got no entry ${i}`)
      return (await tell(batch))(entry.index)
    },
  }
}
