import type { Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import type { Receipt } from '../protocol/index.ts'
import type { Appended, EntryDraft, Part } from './act.ts'
import { Placing, type Batch, type Head } from './placing.ts'
import { enterLog, insertLog, lockLog, writeEntries, writeHead } from './store.ts'

export interface WithinDeps {
  readonly clock: () => Date
  readonly random: (length: number) => Uint8Array
  /** Problem LOG_READ_ONLY for a log that must not be continued. */
  requireWritable(log: string): void
  /** Hears of each batch once the caller has committed it. */
  committed(batch: Batch): Promise<(index: number) => Receipt>
  onError(what: string, error: unknown): void
}

/** Appends to several logs within a transaction of somebody else, who has locked its own rows before. */
export async function appendWithin(
  deps: WithinDeps,
  tx: Tx,
  directory: string,
  parts: readonly Part[],
): Promise<Appended> {
  const byLog = Map.groupBy(parts, (part) => part.log)
  // One order for everybody, the directory last, or two transactions could wait for each other.
  const order = [...byLog.keys()].sort((a, b) => (a === directory ? 1 : b === directory ? -1 : a < b ? -1 : 1))
  const heads: Head[] = []
  for (const log of order) {
    deps.requireWritable(log)
    const head = await lockLog(tx, log)
    if (head === undefined) throw new Problem('NOT_FOUND')
    heads.push(head)
  }
  const batches: Batch[] = []
  for (const head of heads) batches.push(await write(deps, tx, head, byLog.get(head.log) ?? []))
  return appended(deps, batches)
}

/** Makes the log of an operation with its first entries. */
export async function createLog(
  deps: WithinDeps,
  tx: Tx,
  log: string,
  operation: string | null,
  drafts: readonly EntryDraft[],
): Promise<Appended> {
  const first = operation === null ? 'log.started' : 'operation.created'
  if (drafts[0]?.kind !== first) throw new Error(`the first entry of this log must be ${first}`)
  const head = await insertLog(tx, log, operation, deps.clock())
  return appended(deps, [await write(deps, tx, head, [{ log, drafts }])])
}

async function write(deps: WithinDeps, tx: Tx, head: Head, parts: readonly Part[]): Promise<Batch> {
  const placing = new Placing(head, deps.clock(), deps.random)
  await enterLog(tx, head.log)
  for (const { drafts } of parts) {
    placing.place(typeof drafts === 'function' ? await drafts(placing.at, placing.nextIndex) : drafts)
  }
  const batch = placing.finish()
  // A function that made the drafts may have looked into another log.
  await enterLog(tx, head.log)
  await writeEntries(tx, batch)
  await writeHead(tx, batch)
  return batch
}

function appended(deps: WithinDeps, batches: readonly Batch[]): Appended {
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
