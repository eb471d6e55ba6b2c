import { readCommitted, type Database, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { timestamp } from '../protocol/index.ts'
import type { AppendResult, CommittedEntry, EntryDraft, Part } from './act.ts'
import { BatchBuilder } from './batch.ts'
import type { GroupDeps, KeptSnapshot, PendingAct } from './group.ts'
import { isReading, type KeptReading, type KeptReadings } from './kept-readings.ts'
import { lockLog } from './store.ts'

interface ReadingDeps<S> extends GroupDeps<S> {
  readonly db: Database
  readonly kept: KeptReadings
}

/**
 * Decides acts that only read on logs that are not continued: under the rights that the copy holds,
 * as on any other log. Their entries are kept aside, and the log stays as it is.
 */
export class ReadingActs<S> {
  readonly #deps: ReadingDeps<S>
  /** By log. Logs that are not continued do not change. */
  readonly #snapshots = new Map<string, KeptSnapshot<S>>()

  constructor(deps: ReadingDeps<S>) {
    this.#deps = deps
  }

  /** Answers as the act does. The index of each entry is that of the newest entry of the log. */
  async take(log: string, { act, input, actor }: Pick<PendingAct<S>, 'act' | 'input' | 'actor'>): Promise<unknown> {
    const { db, kept, clock } = this.#deps
    const { answer, drafts } = await db.run(readCommitted, (tx) => this.#decide(tx, log, { act, input, actor }))
    await kept.keep(readingsOf(log, drafts, clock()))
    return answer()
  }

  async #decide(tx: Tx, log: string, { act, input, actor }: Pick<PendingAct<S>, 'act' | 'input' | 'actor'>) {
    const { clock, random, snapshots } = this.#deps
    const standing = actor === null ? null : (await this.#deps.lockActors(tx, [actor], [])).get(actor.session)
    if (standing === undefined) throw new Problem('SESSION_ENDED')
    if (standing instanceof Problem) throw standing
    const head = await lockLog(tx, log)
    if (head === undefined) throw new Problem('NOT_FOUND')
    const known = this.#snapshots.get(log)
    const snapshot =
      known !== undefined && known.upTo >= head.changedIndex
        ? known.snapshot
        : await snapshots.advance(tx, log, undefined, head.changedIndex)
    this.#snapshots.set(log, { snapshot, upTo: head.edge.size - 1 })
    const loaded: unknown = await act.load(tx, snapshot, [input])
    const placing = new BatchBuilder(head, clock(), random)
    const { at, nextIndex } = placing
    const decided = act.decide({ snapshot, loaded, input, actor: standing, at, nextIndex })
    if (decided instanceof Problem) throw decided
    const last = head.edge.size - 1
    const placed = placing.place(decided.entries).map((entry): CommittedEntry => ({ ...entry, index: last }))
    const noReceipt = () => {
      throw new RangeError(`${act.name} has no receipt on a log that is not continued`)
    }
    return { answer: () => decided.answer(placed, noReceipt), drafts: decided.entries }
  }
}

/**
 * Keeps entries of a transaction of the caller aside, where all of them only say that somebody
 * read. Answers false, and keeps none, where one says more.
 */
export async function keepParts(
  { kept, clock }: { readonly kept: KeptReadings; readonly clock: () => Date },
  parts: readonly Part[],
): Promise<AppendResult | false> {
  const readings: KeptReading[] = []
  for (const { log, drafts } of parts) {
    const now = clock()
    const made = typeof drafts === 'function' ? await drafts(now, 0) : drafts
    if (!made.every(isReading)) return false
    readings.push(...readingsOf(log, made, now))
  }
  await kept.keep(readings)
  return {
    entries: new Map(parts.map(({ log }) => [log, []])),
    afterCommit: () => {},
    receipt: () => Promise.reject(new RangeError('what was kept aside has no receipt')),
  }
}

function readingsOf(log: string, drafts: readonly EntryDraft[], at: Date): KeptReading[] {
  return drafts.map(({ kind, actor, subject, digest, details }) => ({
    log,
    at: timestamp(at),
    kind,
    actor,
    subject,
    ...(digest === undefined ? {} : { digest }),
    ...(details === undefined ? {} : { details }),
  }))
}
