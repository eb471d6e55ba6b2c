import type { ListedPermissions } from '../access.ts'
import type { Database, Tx } from '../db/index.ts'
import type { PublicAddress } from '../http/index.ts'
import type { Caller, Logs } from '../log/index.ts'
import type { Random } from '../protocol/index.ts'
import type { Passphrases } from './passphrase.ts'
import type { TokenKey } from './tokens.ts'

/**
 * What identity needs; the rungs above provide `operationsOf`, `membersAmong` and `takeMembers`.
 */
export interface IdentityDeps {
  readonly db: Database
  readonly logs: Pick<
    Logs<unknown>,
    'appendWithin' | 'gapOf' | 'consistency' | 'directory' | 'inclusions' | 'covering' | 'verifierKeys'
  >
  readonly clock: () => Date
  readonly random: Random
  readonly tokenKey: TokenKey
  readonly passphrases: Passphrases
  readonly address: PublicAddress
  /**
   * Answers the operations in which these people are members. It misses none of a person whose row
   * is locked.
   */
  readonly operationsOf: (tx: Tx, persons: readonly string[]) => Promise<string[]>
  /**
   * Answers which of these people are members of an operation. Under the lock of the operation's
   * log the answer stays true.
   */
  readonly membersAmong: (tx: Tx, operation: string, persons: readonly string[]) => Promise<ReadonlySet<string>>
  /**
   * Takes these people out of an operation's rows, or lets them sleep there; answers those who were
   * members (and awake).
   */
  readonly takeMembers: (
    tx: Tx,
    operation: string,
    persons: readonly string[],
    change: 'ended' | 'slept',
  ) => Promise<string[]>
  /** Days without use after which an account sleeps. */
  readonly sleepAfterDays: number
  /** The name of this service in entries that it causes. */
  readonly server: string
}

/** A caller who is signed in, as the database said when the request came. */
export interface SignedInCaller extends Caller {
  /** The tier of the device's certificate; null until the device is certified. */
  readonly tier: string | null
  readonly deviceState: string
  /** When the person last proved who they are in this session. */
  readonly verifiedAt: Date
  /** What a service account may use below its role; null for a person. */
  readonly listed: ListedPermissions
}

/**
 * Answers whether this caller acts for the platform: a certified device of the tier administrator.
 */
export function isAdministrator<A extends SignedInCaller>(actor: A): actor is A & { readonly tier: 'administrator' } {
  return actor.tier === 'administrator'
}

/** Answers whether this caller audits the platform: a certified device of the tier auditor. */
export function isPlatformAuditor(actor: SignedInCaller): boolean {
  return actor.tier === 'auditor'
}

/** Answers the cause of an entry as entries name it. */
export function asActor({ person, organization, device }: Omit<Caller, 'session'>): {
  person: string
  organization: string
  device: string
} {
  return { person, organization, device }
}

/** When sessions are looked at, and whether the directory log is that of an older copy then. */
export interface Moment {
  readonly now: Date
  /** Sessions that only read count here alone. */
  readonly onCopy: boolean
}

export function momentOf({ logs }: Pick<IdentityDeps, 'logs'>, now: Date): Moment {
  return { now, onCopy: logs.gapOf(logs.directory) !== undefined }
}
