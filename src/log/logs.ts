import type { Database, Tx } from '../db/index.ts'
import type { Problem } from '../errors.ts'
import type { LogGap, Receipt, Tile, WitnessPolicy } from '../protocol/index.ts'
import type { Act, Caller, AppendResult, EntryDraft, Part, Snapshots, Standing } from './act.ts'
import type { EntriesPage, LogQuery } from './filters.ts'
import type { HearGrowth } from './growth.ts'
import type { LogKey } from './key.ts'
import type { FindReadings, Scope } from './queries.ts'
import type { WitnessLimits } from './witnesses.ts'
import type { ServerStart } from './server-start.ts'

/** What the log needs of other folders; the composition root provides it. */
export interface LogDeps<S> {
  readonly db: Database
  readonly clock: () => Date
  readonly random: (length: number) => Uint8Array
  readonly key: LogKey
  /** Host of the origins `<host>/logs/<id>`; fixed by the first start. */
  readonly originHost: string
  /** Directory, beside the key, of the newest published checkpoint of each log. */
  readonly checkpointDirectory: string
  /**
   * Takes FOR SHARE on the rows of the callers, ordered by person, and reads session, device and
   * person after it. Answers by session the caller who may go on, or the Problem (SESSION_ENDED)
   * that stops them. The rows of `persons` are locked with them.
   */
  lockActors(
    tx: Tx,
    actors: readonly Caller[],
    persons: readonly string[],
  ): Promise<ReadonlyMap<string, Standing | Problem>>
  readonly snapshots: Snapshots<S>
  /** Hears of each commit after it. */
  readonly publish: HearGrowth
  /** Hears failures that reach no caller. */
  onError(what: string, error: unknown): void
  /** Finds the entries that hold readings; without it, queries find none by its reader. */
  readonly findReadings?: FindReadings
  readonly limits?: Partial<LogLimits>
  /**
   * The witnesses that cosign published checkpoints, and the quorum that makes a checkpoint final;
   * none unless given.
   */
  readonly witnesses?: WitnessPolicy
}

export interface LogLimits extends WitnessLimits {
  /** The most acts that may wait for one log; one more is refused with OVERLOADED. */
  readonly queue: number
  /** The most acts in one transaction. */
  readonly group: number
  /**
   * Milliseconds after which acts whose commit remains unknown are refused with
   * DATABASE_UNAVAILABLE.
   */
  readonly giveUpAfterMs: number
  /** Milliseconds between two published checkpoints of one log. */
  readonly publishEveryMs: number
}

/**
 * A log that this server must not continue: the log lost, or changed, entries that were published.
 * `missing` is 0 where it has other content than the published one.
 */
export type ReadOnlyLog = LogGap

/** How far the witnesses of a log have come. */
export interface WitnessesPage {
  /** The size of the newest published checkpoint. */
  readonly size: number
  /** Size of the newest checkpoint with a quorum; null where there is none yet. */
  readonly final: number | null
  /** Whether the newest published checkpoint has its quorum. */
  readonly quorum: boolean
  readonly witnesses: WitnessProgress[]
}

export interface WitnessProgress {
  readonly name: string
  /** The verifier keys of the witness. */
  readonly keys: string[]
  readonly url: string | null
  /** The size that the witness cosigned last, and when it says that it did. */
  readonly size: number | null
  readonly cosignedAt: string | null
  /**
   * How far that size is behind the newest published one, and how long ago the witness cosigned;
   * `seconds` is null where it never did.
   */
  readonly lag: { readonly entries: number; readonly seconds: number | null }
  /**
   * The newest failure of this server at this witness, since the server started or last succeeded.
   */
  readonly lastFailure: { readonly at: string; readonly reason: string } | null
}

/** The logs of one server process. */
export interface Logs<S> {
  /** Id of the directory log. It is known after `start`. */
  readonly directory: string
  /**
   * Makes the directory log where there is none, and compares the key and each log with what was
   * published before. Throws Problem LOG_KEY where the logs belong to another key or host.
   */
  start(): Promise<{ readOnly: readonly ReadOnlyLog[] }>
  /**
   * Answers LOG_READ_ONLY where no act is possible: the directory log, or every log of an
   * operation, is not continued. Undefined otherwise.
   */
  whyNothingContinues(): Problem | undefined
  /**
   * Answers what keeps a log from being continued: its own gap, or that of another log that is
   * behind, since the whole database is then an older copy. Undefined where it is continued. Such a
   * log is read, and all acts that append are refused with LOG_READ_ONLY; what is read is recorded
   * once the log goes on.
   */
  gapOf(log: string): LogGap | undefined
  /** Lets queued acts finish, publishes the last checkpoints, and ends. */
  close(): Promise<void>

  /**
   * Hands an act of a person to the log's appender. Resolves after the commit; rejects with the
   * Problem that refused it.
   */
  append<I, L, R, A>(log: string, act: Act<S, I, L, R, A>, input: I, actor: Caller): Promise<A>
  /**
   * Hands an act of the server itself to the log's appender. Resolves after the commit; rejects
   * with the Problem that refused it.
   */
  append<I, L, R, A>(log: string, act: Act<S, I, L, R, A, null>, input: I, actor: null): Promise<A>
  /**
   * Appends within a transaction of the caller: locks the logs in the order of their ids, the
   * directory last.
   */
  appendWithin(tx: Tx, parts: readonly Part[]): Promise<AppendResult>
  /**
   * Makes the log of an operation (it has the operation's id) with its first entries; the first is
   * `operation.created`.
   */
  create(tx: Tx, operation: string, drafts: readonly EntryDraft[]): Promise<AppendResult>

  /**
   * Records in the directory that this server starts to serve; not where the directory itself must
   * not be continued.
   */
  enterStart(about: Pick<ServerStart, 'version' | 'configuration'>): Promise<void>
  /**
   * Answers the roots that a log had at these sizes, by size; leaves out sizes beyond its head.
   * Cached.
   */
  rootsAt(tx: Tx, log: string, sizes: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>>
  /** Answers the root at a size from the cache; undefined where it is not there. */
  knownRoot(log: string, size: number): Uint8Array | undefined
  rootAt(tx: Tx, log: string, size: number): Promise<Uint8Array | undefined>
  /**
   * Answers an inclusion proof, base64url. Problem NOT_FOUND where there is no such log or no such
   * index below that size.
   */
  inclusion(log: string, index: number, size: number): Promise<string[]>
  /** Answers a consistency proof, base64url. Problem NOT_FOUND where the log is smaller. */
  consistency(log: string, from: number, to: number): Promise<string[]>
  /** Answers the receipt of an entry that was committed earlier, in the tree as it is now. */
  receipt(log: string, index: number): Promise<Receipt>
  /**
   * Answers a tile or a bundle of entries, in bytes (C2SP tlog-tiles). Problem NOT_FOUND where the
   * log does not reach it.
   */
  tile(log: string, tile: Tile): Promise<Buffer>
  /**
   * Answers the proof of an entry under the checkpoint that `covering` answers (C2SP tlog-proof).
   * Problem NOT_FOUND beyond the end of the log.
   */
  proof(log: string, index: number): Promise<string>
  /**
   * Answers a published checkpoint whose log holds this entry: the newest final one, with the
   * cosignatures of its witnesses, where that one holds it, else the newest. Problem NOT_FOUND
   * beyond the end of the log.
   */
  covering(log: string, index: number): Promise<{ size: number; note: string }>
  /**
   * Answers inclusion proofs of several entries in the tree of one size, base64url, in their order.
   */
  inclusions(log: string, indexes: readonly number[], size: number): Promise<string[][]>
  /**
   * Answers one page of a log's entries, newest first; `scopeIn` decides in the transaction that
   * reads what the caller may see. See `queryLog`.
   */
  query(log: string, query: LogQuery, scopeIn: (tx: Tx) => Promise<Scope>): Promise<EntriesPage>
  /**
   * Answers the newest published checkpoint, as a signed note. Problem NOT_FOUND where there is no
   * such log.
   */
  checkpoint(log: string): Promise<string>
  /**
   * Answers the newest checkpoint with the quorum of its witnesses, a note with all its
   * cosignatures. Problem NOT_WITNESSED where there is none.
   */
  finalCheckpoint(log: string): Promise<string>
  /**
   * Answers the newest checkpoint with the quorum of its witnesses; undefined where there is none.
   */
  findFinal(log: string): Promise<{ size: number; note: string } | undefined>
  witnesses(log: string): Promise<WitnessesPage>
  /**
   * Answers the lines by which verifiers check this log's checkpoints (`<name>+<id>+<key>`):
   * Ed25519, ML-DSA-44.
   */
  verifierKeys(log: string): Promise<string[]>
}
