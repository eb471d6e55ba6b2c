import type { Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { changesOperation, type Receipt } from '../protocol/index.ts'
import type { Act, Caller, CommittedEntry, Decision, Snapshots, Standing } from './act.ts'
import { BatchBuilder, type Batch } from './batch.ts'
import { lockLog, writeEntries, writeHead } from './store.ts'

/**
 * An act that waits for its answer. Its `act` alone knows the types of what it loads, writes and
 * answers.
 */
export interface PendingAct<S> {
  readonly act: AnyAct<S>
  readonly input: unknown
  readonly actor: Caller | null
  /** Of two acts with one key, one waits for the next group. */
  readonly key: string | undefined
  resolve(answer: unknown): void
  reject(error: unknown): void
}

/**
 * An act whose types are forgotten: `append` has checked that act, input and caller belong
 * together.
 */
export type AnyAct<S> = Act<S, unknown, unknown, unknown, unknown, Standing | null>

export interface KeptSnapshot<S> {
  readonly snapshot: S
  /** The snapshot holds every entry up to this index. */
  readonly upTo: number
}

/** The outcome of one act of a group, which its caller hears once the group is committed. */
export type Outcome<S> =
  | { readonly waiting: PendingAct<S>; readonly error: unknown }
  | {
      readonly waiting: PendingAct<S>
      readonly decision: Decision<unknown, unknown>
      readonly committed: readonly CommittedEntry[]
    }

export interface GroupResult<S> {
  readonly outcomes: readonly Outcome<S>[]
  readonly batch: Batch
  readonly kept: KeptSnapshot<S>
}

export interface GroupDeps<S> {
  readonly clock: () => Date
  readonly random: (length: number) => Uint8Array
  lockActors(
    tx: Tx,
    actors: readonly Caller[],
    persons: readonly string[],
  ): Promise<ReadonlyMap<string, Standing | Problem>>
  readonly snapshots: Snapshots<S>
}

/**
 * Decides and writes a group of acts on one log within a transaction, in an order that every
 * transaction of the service keeps: rows of the callers, then the log's row, then the reads that
 * deciding needs. `built` hears of the batch before it is committed.
 */
export async function decideGroup<S>(
  deps: GroupDeps<S>,
  tx: Tx,
  log: string,
  group: readonly PendingAct<S>[],
  kept: KeptSnapshot<S> | undefined,
  built: (result: GroupResult<S>) => void,
): Promise<GroupResult<S>> {
  // These are sent at once, in this order, and wait for one answer. What deciding needs is read on
  // the word of the snapshot that was kept, which is nearly always still that of the log.
  const [standings, head, early] = await Promise.all([
    lockStandings(deps, tx, group),
    lockLog(tx, log),
    kept === undefined ? undefined : settled(loadAll(tx, kept.snapshot, group)),
  ])
  if (head === undefined) throw new Problem('NOT_FOUND')
  const fresh = kept !== undefined && head.changedIndex <= kept.upTo
  let snapshot = fresh ? kept.snapshot : await deps.snapshots.advance(tx, log, kept?.snapshot, head.changedIndex)

  const able: { waiting: PendingAct<S>; actor: Standing | null }[] = []
  const outcomes: Outcome<S>[] = []
  for (const waiting of group) {
    const actor = waiting.actor === null ? null : standings.get(waiting.actor.session)
    if (actor === undefined) outcomes.push({ waiting, error: new Problem('SESSION_ENDED') })
    else if (actor instanceof Problem) outcomes.push({ waiting, error: actor })
    else able.push({ waiting, actor })
  }

  const isOfAll = early !== undefined && fresh && able.length === group.length
  const loaded = await (isOfAll
    ? early.value()
    : loadAll(
        tx,
        snapshot,
        able.map(({ waiting }) => waiting),
      ))

  const placing = new BatchBuilder(head, deps.clock(), deps.random)
  const rows = new Map<AnyAct<S>, { row: unknown; entries: readonly CommittedEntry[] }[]>()
  for (const { waiting, actor } of able) {
    const { act, input } = waiting
    let decision: Decision<unknown, unknown>
    let committed: readonly CommittedEntry[]
    try {
      const { at, nextIndex } = placing
      const decided = act.decide({ snapshot, loaded: loaded.get(act), input, actor, at, nextIndex })
      if (decided instanceof Problem) throw decided
      if (decided.entries.length === 0 && decided.rows.length > 0) {
        throw new Error(`${act.name} would write rows without an entry`)
      }
      decision = decided
      committed = placing.place(decision.entries)
    } catch (error) {
      // Nothing of this act was placed: it alone is refused.
      outcomes.push({ waiting, error })
      continue
    }
    for (const entry of committed) if (changesOperation(entry.kind)) snapshot = deps.snapshots.fold(snapshot, entry)
    const written = rows.get(act) ?? []
    for (const row of decision.rows) written.push({ row, entries: committed })
    rows.set(act, written)
    outcomes.push({ waiting, decision, committed })
  }

  const batch = placing.finish()
  const result = { outcomes, batch, kept: { snapshot, upTo: batch.after.edge.size - 1 } }
  built(result)
  // Should an act swallow a failure, the COMMIT reveals it: Postgres answers it with ROLLBACK, and
  // the transaction fails.
  await Promise.all([writeEntries(tx, batch), writeRows(tx, rows), writeHead(tx, batch)])
  return result
}

/** Reads what the acts of a group need, act by act, at once. */
async function loadAll<S>(
  tx: Tx,
  snapshot: S,
  group: readonly PendingAct<S>[],
): Promise<ReadonlyMap<AnyAct<S>, unknown>> {
  const acts = [...Map.groupBy(group, ({ act }) => act)]
  return new Map(
    await Promise.all(
      acts.map(
        async ([act, of]) =>
          [
            act,
            await act.load(
              tx,
              snapshot,
              of.map(({ input }) => input),
            ),
          ] as const,
      ),
    ),
  )
}

/**
 * Writes what the decisions want stored, one act after the other: rows of one may refer to those of
 * another.
 */
async function writeRows<S>(
  tx: Tx,
  rows: ReadonlyMap<AnyAct<S>, readonly { row: unknown; entries: readonly CommittedEntry[] }[]>,
): Promise<void> {
  for (const [act, written] of rows) if (written.length > 0) await act.write(tx, written)
}

/** Waits for an outcome whose error counts only where the outcome is used. */
async function settled<T>(outcome: Promise<T>): Promise<{ value(): T }> {
  try {
    const value = await outcome
    return { value: () => value }
  } catch (error) {
    return {
      value() {
        throw error
      },
    }
  }
}

async function lockStandings<S>(
  deps: GroupDeps<S>,
  tx: Tx,
  group: readonly PendingAct<S>[],
): Promise<ReadonlyMap<string, Standing | Problem>> {
  const sessions = new Map<string, Caller>()
  for (const { actor } of group) if (actor !== null) sessions.set(actor.session, actor)
  const persons = group.flatMap(({ act, input }) => act.persons?.(input) ?? [])
  if (sessions.size === 0 && persons.length === 0) return new Map()
  // The order is fixed, so that two servers that lock rows of the same people never wait for each
  // other in a circle.
  const acting = [...sessions.values()].sort((a, b) => (a.person + a.session < b.person + b.session ? -1 : 1))
  return deps.lockActors(tx, acting, persons)
}

/** Answers each act of a group with its outcome. */
export function answerAll<S>(result: GroupResult<S>, receipt: (index: number) => Receipt): void {
  for (const outcome of result.outcomes) {
    if ('error' in outcome) {
      outcome.waiting.reject(outcome.error)
      continue
    }
    const { waiting, decision, committed } = outcome
    try {
      waiting.resolve(
        decision.answer(committed, (i) => {
          const entry = committed[i]
          if (entry === undefined) throw new RangeError(`${waiting.act.name} has no entry ${i}`)
          return receipt(entry.index)
        }),
      )
    } catch (error) {
      waiting.reject(error)
    }
  }
}
