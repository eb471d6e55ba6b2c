import type { Role } from '../access.ts'
import type { CompartmentId, DeviceId, OrganizationId, PersonId } from './ids.ts'

/** A member of an operation, as the statements describe it. */
export interface Member {
  readonly person: PersonId
  readonly organization: OrganizationId
  readonly role: Role
  /** The index of the entry that admitted the person. */
  readonly joinedIndex: number
  readonly asleep: boolean
}

export interface EpochState {
  readonly number: number
  readonly commitment: string
  readonly recipients: readonly DeviceId[]
  readonly openedIndex: number
  readonly signer: DeviceId
  /** The digest of the statement that opened the epoch. */
  readonly digest: string
  /**
   * Whether the epoch was opened by a member who had no right to it, or for other devices than
   * those of the members. Nothing is sealed or opened with its key.
   */
  readonly refused?: true
}

export interface CompartmentState {
  readonly id: CompartmentId
  /**
   * The members of the compartment, and since which index each is in it. For `all` the roles
   * decide, and the map stays empty.
   */
  readonly members: Map<PersonId, number>
  /**
   * Since which index each person who may hold the keys has been in the compartment without a
   * break; also for `all`.
   */
  readonly since: Map<PersonId, number>
  head: string | undefined
  /** The hash of the newest believed statement of the chain. */
  believed: string | undefined
  /** The hashes of the statements in the chain of the compartment. */
  readonly chain: Set<string>
  readonly epochs: EpochState[]
  stale: boolean
  staleBecause: 'member-left' | 'member-joined' | 'state-changed' | 'disputed' | undefined
  readonly disputedBy: Set<DeviceId>
}

export type HistoryRule = 'full' | 'from-joining'
