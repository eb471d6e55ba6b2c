import type { ListedPermissions } from '../access.ts'
import type { Database, Tx } from '../db/index.ts'
import type { PublicAddress } from '../http/index.ts'
import type { Caller, Logs } from '../log/index.ts'
import type { Random } from '../protocol/index.ts'
import type { Passphrases } from './passphrase.ts'
import type { TokenKey } from './tokens.ts'

/** What identity needs; `affected` and `endDevice` are answered by the rungs above. */
export interface IdentityDeps {
  readonly db: Database
  readonly logs: Pick<
    Logs<unknown>,
    'appendWithin' | 'consistency' | 'directory' | 'inclusions' | 'covering' | 'verifierKeys'
  >
  readonly clock: () => Date
  readonly random: Random
  readonly tokenKey: TokenKey
  readonly passphrases: Passphrases
  readonly address: PublicAddress
  /**
   * The operations in which these people are members: of somebody whose row is locked it misses
   * none.
   */
  readonly operationsOf: (tx: Tx, persons: readonly string[]) => Promise<string[]>
  /** Who of them is a member of an operation. Asked under the lock of its log it stays so. */
  readonly membersAmong: (tx: Tx, operation: string, persons: readonly string[]) => Promise<ReadonlySet<string>>
  /**
   * Takes these people out of an operation's rows, or lets them sleep there; answers who was a
   * member (and awake).
   */
  readonly takeMembers: (
    tx: Tx,
    operation: string,
    persons: readonly string[],
    change: 'ended' | 'slept',
  ) => Promise<string[]>
  /** Days without use after which an account sleeps. */
  readonly sleepAfterDays: number
  /** How entries name this service as their cause. */
  readonly server: string
}

/** Somebody who is signed in, as the database said when the request came. */
export interface SignedInCaller extends Caller {
  /** Null until the device is certified. */
  readonly tier: string | null
  readonly deviceState: string
  /** When the person last proved who they are in this session. */
  readonly verifiedAt: Date
  /** What it may use below its role, where it is a service account. */
  readonly listed: ListedPermissions
}

/** Whether this actor acts for the platform: a certified device of the tier administrator. */
export function isAdministrator<A extends SignedInCaller>(actor: A): actor is A & { readonly tier: 'administrator' } {
  return actor.tier === 'administrator'
}

/** Whether this actor audits the platform: a certified device of the tier auditor. */
export function isPlatformAuditor(actor: SignedInCaller): boolean {
  return actor.tier === 'auditor'
}

/** Who an entry names as its cause. */
export function asActor({ person, organization, device }: Omit<Caller, 'session'>): {
  person: string
  organization: string
  device: string
} {
  return { person, organization, device }
}
