import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import { sql } from 'kysely'
import {
  errorCode,
  isConnectionError,
  isRetryable,
  readCommitted,
  toDatabaseProblem,
  type Database,
  type Tx,
} from '../db/index.ts'
import { Problem } from '../errors.ts'
import { ProtocolError, equalBytes, type Receipt } from '../protocol/index.ts'
import {
  answerAll,
  decideGroup,
  type GroupDeps,
  type GroupResult,
  type KeptSnapshot,
  type PendingAct,
} from './group.ts'
import type { LogLimits } from './logs.ts'
import { unfit, type Batch } from './batch.ts'
import { leafHashes, lockLog } from './store.ts'

export interface AppenderDeps<S> extends GroupDeps<S> {
  readonly db: Database
  readonly limits: LogLimits
  /** Hears of each batch after its commit; answers the function that makes its receipts. */
  committed(batch: Batch): Promise<(index: number) => Receipt>
  onError(what: string, error: unknown): void
}

/**
 * Appends to one log on this server. Acts that arrive while a commit is under way wait and go into
 * the next one together. Other servers append as well; the lock of the log's row decides which is
 * next.
 */
export class Appender<S> {
  readonly #deps: AppenderDeps<S>
  readonly #log: string
  #queue: PendingAct<S>[] = []
  #running: Promise<void> | undefined
  #kept: KeptSnapshot<S> | undefined
  /** True while the database does not answer: new acts are then refused at once. */
  #away = false

  constructor(deps: AppenderDeps<S>, log: string) {
    this.#deps = deps
    this.#log = log
  }

  submit(waiting: PendingAct<S>): void {
    if (this.#away) return waiting.reject(new Problem('DATABASE_UNAVAILABLE'))
    if (this.#queue.length >= this.#deps.limits.queue) return waiting.reject(new Problem('OVERLOADED'))
    this.#queue.push(waiting)
    this.#running ??= this.#run()
  }

  /** Resolves when no act waits any more. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #run(): Promise<void> {
    // Acts that arrive in one turn of the event loop go into one group.
    await nextTurn()
    while (this.#queue.length > 0) {
      const group = this.#takeGroup()
      try {
        await this.#commit(group, performance.now() + this.#deps.limits.giveUpAfterMs)
      } catch (error) {
        for (const waiting of group) waiting.reject(error)
      }
    }
    this.#running = undefined
  }

  #takeGroup(): PendingAct<S>[] {
    const group: PendingAct<S>[] = []
    const rest: PendingAct<S>[] = []
    const keys = new Set<string>()
    for (const waiting of this.#queue) {
      const { key } = waiting
      if (group.length >= this.#deps.limits.group || (key !== undefined && keys.has(key))) {
        rest.push(waiting)
        continue
      }
      if (key !== undefined) keys.add(key)
      group.push(waiting)
    }
    this.#queue = rest
    return group
  }

  /** Commits a group and answers it, with as many attempts as fit before the deadline. */
  async #commit(group: readonly PendingAct<S>[], deadline: number): Promise<void> {
    for (;;) {
      const result = await this.#attempt(group, deadline)
      if (result === 'again') continue
      if (result === 'one by one') for (const waiting of group) await this.#commit([waiting], deadline)
      else if (result !== 'answered') await this.#answer(result)
      return
    }
  }

  /**
   * Makes one attempt. A group that fails is tried again; or, where one of its acts is bad, it is
   * run act by act so that each act hurts only itself. The answers are given outside of the
   * attempt: a failure there must not append a second time.
   */
  async #attempt(
    group: readonly PendingAct<S>[],
    deadline: number,
  ): Promise<GroupResult<S> | 'again' | 'one by one' | 'answered'> {
    let built: GroupResult<S> | undefined
    const kept = this.#kept
    this.#kept = undefined
    try {
      const result = await this.#deps.db.run(readCommitted, (tx) =>
        decideGroup(this.#deps, tx, this.#log, group, kept, (result) => (built = result)),
      )
      this.#kept = result.kept
      return result
    } catch (error) {
      const timely = performance.now() < deadline
      if (isRetryable(error) && timely) return 'again'
      if (isConnectionError(error)) {
        const fate = await this.#fateOf(built?.batch, deadline)
        if (fate === 'committed' && built !== undefined) return built
        if (fate === 'lost' && timely) return 'again'
        this.#giveUp(group, error)
        return 'answered'
      }
      if (group.length > 1 && !isOfTheDatabase(error)) return 'one by one'
      for (const waiting of group) waiting.reject(explain(waiting, error))
      return 'answered'
    }
  }

  async #answer(result: GroupResult<S>): Promise<void> {
    const receipt = await this.#deps.committed(result.batch)
    answerAll(result, receipt)
  }

  /**
   * Answers whether a batch is in the log although the connection ended before its commit was
   * answered. The lost transaction holds the log's row until it has ended either way, so a
   * transaction that gets the row lock sees its outcome. A batch is recognised by all its leaf
   * hashes in their places: no other batch can have exactly these entries at these indexes.
   */
  async #fateOf(batch: Batch | undefined, deadline: number): Promise<'committed' | 'lost' | 'unknown'> {
    try {
      for (let wait = 25; ; wait = Math.min(wait * 2, 500)) {
        try {
          return await this.#deps.db.run(readCommitted, (tx) => this.#lookFor(tx, batch, deadline))
        } catch (error) {
          const passing = isConnectionError(error) || isRetryable(error) || errorCode(error) === '55P03'
          if (!passing) throw error
          if (performance.now() + wait > deadline) return 'unknown'
          // One broken connection means little; a database that does not come back at once is away.
          if (wait >= 100) this.#away = true
          await pause(wait)
        }
      }
    } finally {
      this.#away = false
    }
  }

  async #lookFor(tx: Tx, batch: Batch | undefined, deadline: number): Promise<'committed' | 'lost'> {
    const left = Math.max(1, Math.ceil(deadline - performance.now()))
    await sql`SELECT set_config('lock_timeout', ${String(left)}, true)`.execute(tx)
    await lockLog(tx, this.#log)
    if (batch === undefined || batch.hashes.length === 0) return 'lost'
    const stored = await leafHashes(tx, this.#log, batch.before.edge.size, batch.hashes.length)
    const same =
      stored.length === batch.hashes.length &&
      stored.every((hash, i) => equalBytes(hash, batch.hashes[i] as Uint8Array))
    return same ? 'committed' : 'lost'
  }

  /**
   * Refuses a group whose outcome is unknown; a caller who repeats with the ids of the group finds
   * out. Acts that wait were never tried.
   */
  #giveUp(group: readonly PendingAct<S>[], cause: unknown): void {
    this.#deps.onError(`log ${this.#log}: ${group.length} acts were given up, the database does not answer`, cause)
    const waiting = this.#queue
    this.#queue = []
    for (const one of [...group, ...waiting]) one.reject(new Problem('DATABASE_UNAVAILABLE', { cause }))
  }
}

/**
 * Whether an error hits every act alike, such as a full disk, a shutdown or a time-out: to run the
 * acts one by one would only make it worse.
 */
function isOfTheDatabase(error: unknown): boolean {
  const code = errorCode(error) ?? ''
  return /^(53|57|58|XX)/.test(code) || code === '55P03'
}

function explain<S>(waiting: PendingAct<S>, error: unknown): unknown {
  if (error instanceof Problem) return error
  if (error instanceof ProtocolError) return unfit(error)
  const meant = waiting.act.explain?.(error, waiting.input)
  if (meant !== undefined) return meant
  const code = errorCode(error)
  if (code === '57014' || code === '55P03') return new Problem('DATABASE_UNAVAILABLE', { cause: error })
  return toDatabaseProblem(error)
}
