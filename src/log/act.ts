import type { ListedPermissions } from '../access.ts'
import type { Actor, Kind, Leaf, ReadStatement, Receipt } from '../protocol/index.ts'
import type { Problem } from '../errors.ts'
import type { Tx } from '../db/index.ts'

/**
 * The caller of an act, as the access token names them. The transaction of the act locks the rows
 * and reads them again.
 */
export interface Caller {
  readonly session: string
  readonly person: string
  readonly organization: string
  readonly device: string
}

/**
 * A caller as the rows say it while they are locked: a session that has not ended, of a live device
 * of a live person.
 */
export interface Standing extends Caller {
  readonly tier: string
  /** What a service account may use below its role; null for a person. */
  readonly listed: ListedPermissions
}

/** An entry that an act is to record. The appender gives index, time, seq and salt. */
export interface EntryDraft {
  readonly kind: Kind
  readonly actor: Actor
  readonly compartment?: string
  /** The id or code of the thing that the entry is about. */
  readonly subject: string
  /** SHA-256, base64url, of the statement or export that the entry commits to. */
  readonly digest?: string
  /**
   * Details that may have to be erased: they are kept beside the leaf with a salt, and the leaf
   * commits to their hash.
   */
  readonly details?: Readonly<Record<string, unknown>>
  /**
   * The statement that the entry commits to, as it was read, with which a snapshot folds the entry.
   * The log does not store it.
   */
  readonly statement?: ReadStatement
  /** The message that the entry is about, for readers who are there. The log does not store it. */
  readonly message?: MessageTexts
}

/**
 * A message as its sender sent it: the compact JWS, the compact JWE, and the extract with its salt.
 */
export interface MessageTexts {
  readonly statement: string
  readonly body: string
  readonly extract?: string
  readonly salt?: string
}

/** An entry with its place: it is in the log once the transaction commits. */
export interface CommittedEntry {
  readonly log: string
  readonly index: number
  readonly at: Date
  readonly kind: Kind
  readonly compartment?: string
  readonly seq?: number
  readonly leaf: Leaf
  /** The text of the leaf, which is hashed. */
  readonly text: string
  readonly draft: EntryDraft
}

/**
 * What an act does if it is accepted. It writes rows only together with entries: no act without its
 * entry.
 */
export interface Decision<R, A> {
  readonly entries: readonly EntryDraft[]
  readonly rows: readonly R[]
  /**
   * Makes the answer after the commit; `receipt(i)` answers the receipt of the i-th entry of this
   * decision.
   */
  answer(committed: readonly CommittedEntry[], receipt: (i: number) => Receipt): A
}

export interface DecideContext<S, I, L, P> {
  /**
   * The operation as all entries before `nextIndex` left it. `decide` must not change it: the
   * appender folds the drafts into it.
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
 * One kind of act on a log. `S` is the snapshot, `I` the input, `L` what is loaded, `R` a row to
 * write, `A` the answer, and `P` the caller: `Standing`, or null for acts of the server itself.
 *
 * All acts that arrive while a commit is under way go into the next transaction together: `load`
 * and `write` run once for all inputs of this kind, `decide` runs for each in the order of arrival.
 * A group that fails is run again act by act, so `decide` and `load` may be called more than once
 * for an input and have no effects of their own.
 */
export interface Act<S, I, L, R, A, P = Standing> {
  readonly name: string
  /**
   * Answers the key of an input. Two inputs with one key do not go into one group, so that the
   * later input finds what the earlier one stored.
   */
  key?(input: I): string
  /**
   * Whether this input only reads: it is then possible on a log that is not continued, and its
   * entries are kept aside. Without it, the act is refused there.
   */
  reads?(input: I): boolean
  /**
   * Answers the people beside the caller whose devices the act reads: their rows are locked with
   * the callers' rows, before the log.
   */
  persons?(input: I): readonly string[]
  /**
   * Reads, for all inputs at once, what deciding needs beyond the snapshot. It begins after the log
   * is locked, and uses this Tx alone.
   */
  load(tx: Tx, snapshot: S, inputs: readonly I[]): Promise<L>
  /** Decides without waiting. A Problem, returned or thrown, refuses this input alone. */
  decide(context: DecideContext<S, I, L, P>): Decision<R, A> | Problem
  /**
   * Writes, for all decisions at once, the rows that they want stored. Each row comes with the
   * entries of its decision.
   */
  write(tx: Tx, rows: readonly { readonly row: R; readonly entries: readonly CommittedEntry[] }[]): Promise<void>
  /**
   * Turns the violation of a named constraint by one input alone into the Problem that it means.
   */
  explain?(error: unknown, input: I): Problem | undefined
}

/** How the appender keeps the snapshots against which acts are decided. */
export interface Snapshots<S> {
  /**
   * Brings a snapshot (undefined: a new one) to the entries up to and including `upTo`. Reads with
   * this Tx.
   */
  advance(tx: Tx, log: string, snapshot: S | undefined, upTo: number): Promise<S>
  /**
   * Answers the Problem of an entry that comes from another log and has no place here; undefined
   * where it has one. `decide` judges the acts of this log.
   */
  judge(snapshot: S, entry: CommittedEntry): Problem | undefined
  /**
   * Applies one entry of a kind for which `changesOperation` holds. It may change the snapshot in
   * place.
   */
  fold(snapshot: S, entry: CommittedEntry): S
}

/** Entries of one log within a transaction of the caller. */
export interface Part {
  readonly log: string
  /** The drafts, or a function that makes them once all logs of the transaction are locked. */
  readonly drafts:
    readonly EntryDraft[] | ((at: Date, nextIndex: number) => readonly EntryDraft[] | Promise<readonly EntryDraft[]>)
}

/** What `appendWithin` and `create` leave to do. */
export interface AppendResult {
  /** The entries of each log in their order, by log. */
  readonly entries: ReadonlyMap<string, readonly CommittedEntry[]>
  /**
   * Tells followers and has a checkpoint published. The caller calls it after the commit, and only
   * then.
   */
  afterCommit(): void
  /**
   * Answers the receipt of the i-th of these entries of a log. It signs, so it is called only after
   * the commit.
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
  /** The text of the leaf, which is hashed. */
  readonly text: string
}
