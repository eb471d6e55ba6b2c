import { transaction, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import {
  base64url,
  digestOf,
  equalBytes,
  formatLogKeys,
  hostOf,
  newId,
  originOf,
  parseLeaf,
  timestamp,
  type Leaf,
  type LogGap,
  type Receipt,
  type WitnessPolicy,
} from '../protocol/index.ts'
import type { Act, Caller, EntryDraft, Standing } from './act.ts'
import { Appender, type AppenderDeps } from './appender.ts'
import { Checkpoints } from './checkpoints.ts'
import { KeptReadings, keptDrafts } from './kept-readings.ts'
import type { LogDeps, LogLimits, Logs, ReadOnlyLog } from './logs.ts'
import type { Batch } from './batch.ts'
import { consistency, inclusion, inclusions, receiptOf, Roots, tlogProof } from './proofs.ts'
import { queryLog } from './queries.ts'
import { allLogs, enterLog, entriesAt, headOf, newestCheckpoint, subjectsAmong } from './store.ts'
import { ReadingActs, keepParts } from './reading-act.ts'
import { startDrafts } from './server-start.ts'
import { StoppedLogs } from './stopped-logs.ts'
import { readTile } from './tiles.ts'
import { appendWithin, createLog, type WithinDeps } from './append-within.ts'
import { changesOfWitnesses } from './witness-register.ts'
import { Witnesses } from './witnesses.ts'

const usualLimits: LogLimits = {
  queue: 2_000,
  group: 256,
  giveUpAfterMs: 10_000,
  publishEveryMs: 1_000,
  sendEveryMs: 1_000,
  answerWithinMs: 5_000,
  retryAfterMs: 1_000,
  retryAtMostMs: 300_000,
}

/**
 * Makes the logs of one server process. The caller calls `start` before anything else, and `close`
 * at the end.
 */
export function createLogs<S>(deps: LogDeps<S>): Logs<S> {
  return new LogService(deps)
}

class LogService<S> implements Logs<S> {
  readonly #deps: LogDeps<S>
  readonly #limits: LogLimits
  readonly #checkpoints: Checkpoints
  readonly #witnesses: Witnesses | undefined
  readonly #roots = new Roots()
  readonly #appenders = new Map<string, Appender<S>>()
  readonly #appenderDeps: AppenderDeps<S>
  readonly #withinDeps: WithinDeps<S>
  readonly #stopped = new StoppedLogs()
  readonly #kept: KeptReadings
  readonly #readingActs: ReadingActs<S>
  /** Logs of operations that this server knows of. */
  readonly #operations = new Set<string>()
  #directory: string | undefined
  #closed = false

  constructor(deps: LogDeps<S>) {
    this.#deps = deps
    this.#limits = { ...usualLimits, ...deps.limits }
    const { db, key, originHost, checkpointDirectory, clock, random } = deps
    const onError = (what: string, error: unknown) => deps.onError(what, error)
    const committed = (batch: Batch) => this.#committed(batch)
    this.#checkpoints = new Checkpoints({
      db,
      key,
      originHost,
      directory: checkpointDirectory,
      publishEveryMs: this.#limits.publishEveryMs,
      isStopped: (log) => this.#stopped.gapOf(log) !== undefined,
      published: (log, checkpoint) => this.#witnesses?.published(log, checkpoint),
      onError,
    })
    this.#witnesses = deps.witnesses && this.#openWitnesses(deps.witnesses)
    this.#kept = new KeptReadings(`${checkpointDirectory}.readings`)
    this.#appenderDeps = {
      db,
      clock,
      random,
      limits: this.#limits,
      lockActors: (tx, actors, persons) => deps.lockActors(tx, actors, persons),
      snapshots: deps.snapshots,
      committed,
      onError,
    }
    this.#readingActs = new ReadingActs({ ...this.#appenderDeps, kept: this.#kept })
    this.#withinDeps = {
      snapshots: deps.snapshots,
      kept: new Map(),
      clock,
      random,
      committed,
      onError,
      requireWritable: (log) => this.#requireWritable(log),
    }
  }

  get directory(): string {
    if (this.#directory === undefined) throw new Error('the logs were not started')
    return this.#directory
  }

  async start(): Promise<{ readOnly: readonly ReadOnlyLog[] }> {
    let logs = await allLogs(this.#deps.db)
    if (!logs.some((log) => log.operation_id === null)) {
      if (logs.length > 0) throw new Problem('LOG_KEY', { detail: 'the database has logs, and no directory log' })
      await this.#requireNothingPublished()
      await this.#makeDirectory()
      logs = await allLogs(this.#deps.db)
    }
    const directory = logs.find((log) => log.operation_id === null)
    if (directory === undefined) throw new Error('the directory log was not made')
    this.#directory = directory.id
    this.#stopped.knowDirectory(directory.id)
    for (const { id, operation_id: operation } of logs) if (operation !== null) this.#operations.add(id)
    await this.#requireOwnKey(directory.id)
    await this.#compareWithPublished(new Map(logs.map((log) => [log.id, log.size])))
    await this.#enterWitnesses()
    await this.#witnesses?.start(logs.map((log) => log.id))
    await this.#enterKept()
    return { readOnly: this.#stopped.list() }
  }

  enterStart: Logs<S>['enterStart'] = async (about) => {
    if (this.#stopped.gapOf(this.directory) !== undefined) return
    const starting = { ...about, server: this.#deps.originHost, readOnly: this.#stopped.list().map(({ log }) => log) }
    const appended = await transaction(this.#deps.db, (tx) =>
      this.appendWithin(tx, [{ log: this.directory, drafts: () => startDrafts(tx, this.directory, starting) }]),
    )
    appended.afterCommit()
  }

  whyNothingContinues(): Problem | undefined {
    const operations = [...this.#operations]
    const stopped = operations.length > 0 && operations.every((log) => this.#stopped.gapOf(log) !== undefined)
    const log = this.#stopped.gapOf(this.directory) !== undefined ? this.directory : stopped ? operations[0] : undefined
    return log === undefined ? undefined : this.#stopped.why(log)
  }

  gapOf: Logs<S>['gapOf'] = (log) => this.#stopped.gapOf(log)

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#appenders.values()].map((appender) => appender.idle()))
    await this.#checkpoints.close()
    await this.#witnesses?.close()
  }

  append<I, L, R, A, P extends Standing | null>(
    log: string,
    act: Act<S, I, L, R, A, P>,
    input: I,
    actor: Caller | null,
  ): Promise<A> {
    return new Promise<A>((resolve, reject) => {
      if (this.#closed) return reject(new Problem('OVERLOADED', { detail: 'the service is stopping' }))
      const stopped = this.#stopped.why(log)
      if (stopped !== undefined) {
        if (act.reads?.(input) !== true || !this.#stopped.isReadable(log)) reject(stopped)
        else this.#readingActs.take(log, { act, input, actor }).then((answer) => resolve(answer as A), reject)
        return
      }
      const key = act.key?.(input)
      this.#appender(log).submit({
        act,
        input,
        actor,
        key: key === undefined ? undefined : `${act.name} ${key}`,
        resolve,
        reject,
      })
    })
  }

  appendWithin: Logs<S>['appendWithin'] = async (tx, parts) => {
    const stopped = parts.map(({ log }) => this.#stopped.why(log)).find((why) => why !== undefined)
    if (stopped === undefined) return appendWithin(this.#withinDeps, tx, this.directory, parts)
    const readable = parts.every(({ log }) => this.#stopped.isReadable(log))
    const kept = readable && (await keepParts({ kept: this.#kept, clock: this.#deps.clock }, parts))
    if (kept === false) throw stopped
    return kept
  }

  create: Logs<S>['create'] = async (tx, operation, drafts) => {
    this.#requireWritable(this.directory)
    return createLog(this.#withinDeps, tx, operation, operation, drafts)
  }

  rootsAt: Logs<S>['rootsAt'] = (tx, log, sizes) => this.#roots.at(tx, log, sizes)

  knownRoot: Logs<S>['knownRoot'] = (log, size) => this.#roots.known(log, size)

  rootAt: Logs<S>['rootAt'] = async (tx, log, size) => (await this.#roots.at(tx, log, [size])).get(size)

  inclusion: Logs<S>['inclusion'] = (log, index, size) => inclusion(this.#deps.db, log, index, size)

  consistency: Logs<S>['consistency'] = (log, from, to) => consistency(this.#deps.db, log, from, to)

  receipt: Logs<S>['receipt'] = (log, index) => receiptOf(this.#deps.db, this.#checkpoints, log, index)

  tile: Logs<S>['tile'] = (log, tile) => readTile(this.#deps.db, log, tile)

  proof: Logs<S>['proof'] = async (log, index) => tlogProof(this.#deps.db, log, index, await this.covering(log, index))

  query: Logs<S>['query'] = (log, query, scopeIn) =>
    queryLog(this.#deps.db, log, query, scopeIn, this.#deps.findReadings)

  covering: Logs<S>['covering'] = async (log, index) => {
    const final = await this.findFinal(log)
    return final !== undefined && final.size > index ? final : this.#checkpoints.covering(log, index)
  }

  inclusions: Logs<S>['inclusions'] = (log, indexes, size) => inclusions(this.#deps.db, log, indexes, size)

  checkpoint: Logs<S>['checkpoint'] = (log) => this.#checkpoints.newest(log)

  finalCheckpoint: Logs<S>['finalCheckpoint'] = async (log) => {
    const final = await this.findFinal(log)
    if (final === undefined) throw new Problem('NOT_WITNESSED')
    return final.note
  }

  findFinal: Logs<S>['findFinal'] = async (log) => this.#witnesses?.final(log)

  witnesses: Logs<S>['witnesses'] = async (log) => {
    if (this.#witnesses !== undefined) return this.#witnesses.page(log)
    const head = await transaction(this.#deps.db, async (tx) => {
      await enterLog(tx, log)
      return newestCheckpoint(tx, log)
    })
    return { size: head?.size ?? 0, final: null, quorum: false, witnesses: [] }
  }

  verifierKeys: Logs<S>['verifierKeys'] = (log) =>
    formatLogKeys(this.#deps.key.publicKeys, originOf(this.#deps.originHost, log))

  #appender(log: string): Appender<S> {
    let appender = this.#appenders.get(log)
    if (appender === undefined) this.#appenders.set(log, (appender = new Appender(this.#appenderDeps, log)))
    return appender
  }

  /**
   * Runs after a commit: followers hear of it, a checkpoint becomes due, and receipts can be made
   * without reading anything.
   */
  async #committed(batch: Batch): Promise<(index: number) => Receipt> {
    const { log } = batch.before
    const { size } = batch.after.edge
    const { root } = batch.growth
    if (batch.entries.length === 0) {
      return () => {
        throw new RangeError('nothing was appended')
      }
    }
    if (log !== this.#directory) this.#operations.add(log)
    this.#roots.remember(log, size, root)
    this.#deps.publish(log, size, batch.entries)
    this.#checkpoints.grown(log)
    const checkpoint = await this.#checkpoints.signForReceipts({ log, size, root })
    return (index) => {
      const entry = batch.entries[index - batch.before.edge.size]
      if (entry === undefined) throw new RangeError(`entry ${index} was not appended here`)
      return { leaf: entry.text, index, proof: batch.growth.inclusion(index).map(base64url), checkpoint }
    }
  }

  #openWitnesses(policy: WitnessPolicy): Witnesses {
    const { db, key, originHost, clock, random } = this.#deps
    return new Witnesses({
      db,
      policy,
      originHost,
      keysOf: (origin) => key.signers(origin),
      clock,
      random,
      limits: this.#limits,
      consistency: (log, from, to) => this.consistency(log, from, to),
      rootAt: (log, size) => transaction(db, (tx) => this.rootAt(tx, log, size)),
      diverged: (gap) => this.#stopped.add(gap),
      enter: (draft) => this.#enterFinding(draft),
      onError: (what, error) => this.#deps.onError(what, error),
    })
  }

  /**
   * Records in the directory log which programs are the witnesses, before any of their cosignatures
   * is stored.
   */
  #enterWitnesses(): Promise<void> {
    const { witnesses, originHost } = this.#deps
    return this.#enter((tx) => changesOfWitnesses(tx, this.directory, witnesses?.witnesses ?? [], originHost))
  }

  /**
   * Records what a witness found, where the directory itself lacks nothing: also in an older copy,
   * whose finding must not be lost with it.
   */
  async #enterFinding(draft: EntryDraft): Promise<void> {
    const { directory } = this
    if (this.#stopped.has(directory)) return
    const part = { log: directory, drafts: [draft] }
    const deps = { ...this.#withinDeps, requireWritable: () => {} }
    const made = await transaction(this.#deps.db, (tx) => appendWithin(deps, tx, directory, [part]))
    made.afterCommit()
  }

  /**
   * Records an act of this server in the directory log. A directory that must not be continued
   * takes no entry: the start reported that already.
   */
  async #enter(drafts: (tx: Tx) => Promise<EntryDraft[]>): Promise<void> {
    if (this.#stopped.gapOf(this.directory) !== undefined) return
    const part = (tx: Tx) => ({ log: this.directory, drafts: () => drafts(tx) })
    const made = await transaction(this.#deps.db, (tx) => this.appendWithin(tx, [part(tx)]))
    made.afterCommit()
  }

  /** Enters what was read while a log was not continued, for the logs that go on. */
  async #enterKept(): Promise<void> {
    const kept = await this.#kept.list()
    const rest = kept.filter(({ log }) => this.#stopped.gapOf(log) !== undefined)
    if (rest.length === kept.length) return
    const due = Map.groupBy(
      kept.filter(({ log }) => this.#stopped.gapOf(log) === undefined),
      ({ log }) => log,
    )
    for (const [log, readings] of due) {
      const drafts = keptDrafts(readings, this.#deps.originHost)
      const subjects = drafts.map(({ subject }) => subject)
      const made = await transaction(this.#deps.db, async (tx) => {
        await enterLog(tx, log)
        const entered = await subjectsAmong(tx, log, 'readings.kept', subjects)
        const lacking = drafts.filter(({ subject }) => !entered.has(subject))
        return this.appendWithin(tx, [{ log, drafts: lacking }])
      })
      made.afterCommit()
    }
    await this.#kept.replace(rest)
  }

  #requireWritable(log: string): void {
    const problem = this.#stopped.why(log)
    if (problem !== undefined) throw problem
  }

  /**
   * Refuses to start where checkpoints were published: a database that was emptied must not begin
   * again as if nothing had been promised.
   */
  async #requireNothingPublished(): Promise<void> {
    const filed = await this.#checkpoints.filed()
    if (filed.size === 0) return
    const lost = [...filed].map(([log, { size }]) => `${log} (${size} entries)`)
    throw new Problem('LOG_READ_ONLY', {
      detail: `the database is empty, and this server published ${lost.join(', ')}`,
    })
  }

  async #makeDirectory(): Promise<void> {
    const { db, clock, random, originHost } = this.#deps
    const id = newId<string>(clock(), random)
    const named = await this.#ownKeys(id)
    try {
      const made = await transaction(db, (tx) =>
        createLog(this.#withinDeps, tx, id, null, [{ kind: 'log.started', actor: { server: originHost }, ...named }]),
      )
      made.afterCommit()
    } catch (error) {
      // Two servers start at once on an empty database: one of them makes the directory.
      const logs = await allLogs(db)
      if (!logs.some((log) => log.operation_id === null)) throw error
    }
  }

  /**
   * Answers how the first entry of the directory names the keys: Ed25519 as a line, ML-DSA-44,
   * which is long, by its digest.
   */
  #ownKeys(directory: string): Promise<{ subject: string; digest: string }> {
    return this.#keysAs(originOf(this.#deps.originHost, directory))
  }

  async #keysAs(origin: string): Promise<{ subject: string; digest: string }> {
    const [subject = '', mlDsa44 = ''] = await formatLogKeys(this.#deps.key.publicKeys, origin)
    return { subject, digest: await digestOf(mlDsa44) }
  }

  /**
   * The host under which the first entry of the directory names the keys of this server; undefined
   * where it names other keys.
   */
  async #ownHostIn(first: Leaf | undefined): Promise<string | undefined> {
    const [name = ''] = first?.subject.split('+') ?? []
    const host = hostOf(name)
    if (first === undefined || host === undefined) return undefined
    const { subject, digest } = await this.#keysAs(name)
    return subject === first.subject && digest === first.digest ? host : undefined
  }

  /** Refuses keys or a host other than those that the first entry of the directory names. */
  async #requireOwnKey(directory: string): Promise<void> {
    const [first] = await transaction(this.#deps.db, async (tx) => {
      await enterLog(tx, directory)
      return entriesAt(tx, directory, [0])
    })
    const own = await this.#ownKeys(directory)
    const named = first === undefined ? undefined : parseLeaf(first.text)
    if (named?.subject === own.subject && named.digest === own.digest) return
    const host = await this.#ownHostIn(named)
    if (host !== undefined)
      throw new Problem('LOG_NAME', {
        detail: `the logs of this database were started as logs of ${host}, and this server would call them logs of ${this.#deps.originHost}`,
      })
    throw new Problem('LOG_KEY', {
      detail: `the logs of this database were started as ${named?.subject ?? 'nothing'}, this server has ${own.subject}${named?.subject === own.subject ? ' with another ML-DSA-44 key' : ''}`,
    })
  }

  async #compareWithPublished(sizes: ReadonlyMap<string, number>): Promise<void> {
    for (const [log, { size: published, root, filedAt }] of await this.#checkpoints.filed()) {
      const size = sizes.get(log) ?? 0
      if (size < published) {
        this.#stopped.add(await this.#gapTo(log, published, size, filedAt))
        continue
      }
      const own = await transaction(this.#deps.db, (tx) => this.rootAt(tx, log, published))
      if (own === undefined || !equalBytes(own, root)) this.#stopped.add(await this.#gapTo(log, published, published))
    }
  }

  /** `until`: when the newest of the missing entries had been published, where that is known. */
  async #gapTo(log: string, published: number, size: number, until?: Date): Promise<LogGap> {
    const head = await transaction(this.#deps.db, (tx) => headOf(tx, log))
    return {
      log,
      published,
      size,
      missing: published - size,
      since: head === undefined ? null : timestamp(head.last_at),
      until: until === undefined ? null : timestamp(until),
    }
  }
}
