import type { ListedPermissions } from '../access.ts'
import type { Actor, Kind, Leaf, ReadStatement, Receipt } from '../protocol/index.ts'
import type { Problem } from '../errors.ts'
import type { Tx } from '../db/index.ts'

/**
 * Who asks to act: what the access token says. Locked and read again inside the transaction that
 * acts.
 */
export interface Caller {
  readonly session: string
  readonly person: string
  readonly organization: string
  readonly device: string
}

/**
 * Who acts, as the rows say it while they are locked: a session that stands, of a live device of a
 * live person.
 */
export interface Standing extends Caller {
  readonly tier: string
  /** What it may use below its role, where it is a service account. */
  readonly listed: ListedPermissions
}

/** An entry that an act wants to have. Index, time, seq and salt are the appender's to give. */
export interface EntryDraft {
  readonly kind: Kind
  readonly actor: Actor
  readonly compartment?: string
  /** The id or code of what the entry is about. */
  readonly subject: string
  /** SHA-256, base64url, of the statement or export that it commits to. */
  readonly digest?: string
  /** What may have to be erased: kept beside the leaf with a salt, the leaf commits to its hash. */
  readonly details?: Readonly<Record<string, unknown>>
  /**
   * The statement that it commits to, as it was read: what folds the entry into a snapshot needs
   * it. The log does not store it.
   */
  readonly statement?: ReadStatement
}

/** An entry with its place: in the log once the transaction commits. */
export interface CommittedEntry {
  readonly log: string
  readonly index: number
  readonly at: Date
  readonly kind: Kind
  readonly compartment?: string
  readonly seq?: number
  readonly leaf: Leaf
  /** The leaf as it is hashed. */
  readonly text: string
  readonly draft: EntryDraft
}

/**
 * What an act does if it is accepted. Rows are written only together with entries: no act without
 * its entry.
 */
export interface Decision<R, A> {
  readonly entries: readonly EntryDraft[]
  readonly rows: readonly R[]
  /** Called after the commit; `receipt(i)` is of the i-th entry of this decision. */
  answer(committed: readonly CommittedEntry[], receipt: (i: number) => Receipt): A
}

export interface DecideContext<S, I, L, P> {
  /**
   * The operation as all entries before `nextIndex` left it. Not to be changed: the appender folds
   * the drafts into it.
   */
  readonly snapshot: S
  /**
   * What `load` read for the whole group; `decide` may note in it what it accepted, for the inputs
   * that follow.
   */
  readonly loaded: L
  readonly input: I
  readonly actor: P
  /** The time that the entries will carry. */
  readonly at: Date
  /** The index that the first entry will have. */
  readonly nextIndex: number
}

/**
 * One kind of act on a log. `S` snapshot, `I` input, `L` what is loaded, `R` a row to write, `A`
 * the answer, `P` who acts: `Standing`, or null for acts of the server itself.
 *
 * All acts that arrive while a commit is under way go into the next transaction together: `load`
 * and `write` once for all inputs of this kind, `decide` for each in the order of arrival. A group
 * that fails is run again act by act, so `decide` and `load` may be called more than once for an
 * input and have no effects of their own.
 */
export interface Act<S, I, L, R, A, P = Standing> {
  readonly name: string
  /**
   * Inputs with the same key do not go into one group, so that the later one finds what the earlier
   * one stored.
   */
  key?(input: I): string
  /**
   * People beside the actor whose devices the act reads: their rows are locked with the actors',
   * before the log.
   */
  persons?(input: I): readonly string[]
  /**
   * Reads, set-wise, what deciding needs beyond the snapshot. Begun after the log is locked; uses
   * this Tx alone.
   */
  load(tx: Tx, snapshot: S, inputs: readonly I[]): Promise<L>
  /** Decides without waiting. A Problem, returned or thrown, takes out this input alone. */
  decide(context: DecideContext<S, I, L, P>): Decision<R, A> | Problem
  /**
   * Writes, set-wise, what the decisions want stored. Each row comes with the entries of its
   * decision.
   */
  write(tx: Tx, rows: readonly { readonly row: R; readonly entries: readonly CommittedEntry[] }[]): Promise<void>
  /**
   * Turns the violation of a named constraint by one input alone into the Problem that it means.
   */
  explain?(error: unknown, input: I): Problem | undefined
}

/** How the appender keeps what acts are decided against. */
export interface Snapshots<S> {
  /**
   * Brings a snapshot (none: from nothing) to what all entries up to and including `upTo` made it.
   * Reads with this Tx.
   */
  advance(tx: Tx, log: string, snapshot: S | undefined, upTo: number): Promise<S>
  /**
   * Refuses what comes from another log and has no place here: acts of this log are judged by
   * `decide`.
   */
  judge(snapshot: S, entry: CommittedEntry): Problem | undefined
  /**
   * Applies one entry of a kind for which `changesOperation` holds. May change the snapshot in
   * place.
   */
  fold(snapshot: S, entry: CommittedEntry): S
}

/** Entries of one log within a transaction that somebody else opened. */
export interface Part {
  readonly log: string
  /**
   * Either the drafts, or a function that makes them once all logs of the transaction are locked.
   */
  readonly drafts:
    readonly EntryDraft[] | ((at: Date, nextIndex: number) => readonly EntryDraft[] | Promise<readonly EntryDraft[]>)
}

/** What `appendWithin` and `create` leave to be done. */
export interface AppendResult {
  /** By log, the entries in their order. */
  readonly entries: ReadonlyMap<string, readonly CommittedEntry[]>
  /**
   * Call it once the transaction is committed, and only then: tells followers and has a checkpoint
   * published.
   */
  afterCommit(): void
  /**
   * Receipt of the i-th of these entries of a log: signs, so it is asked for only after the commit.
   */
  receipt(log: string, i: number): Promise<Receipt>
}

/** An entry as it is stored. */
export interface StoredEntry {
  readonly log: string
  readonly index: number
  readonly kind: Kind
  readonly at: Date
  readonly person: string | null
  readonly organization: string | null
  readonly device: string | null
  readonly compartment: string | null
  readonly seq: number | null
  /** The leaf as it is hashed. */
  readonly text: string
}
