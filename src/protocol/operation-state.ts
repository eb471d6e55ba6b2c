import type { Role } from '../access.ts'
import type { CompartmentId, DeviceId, OrganizationId, PersonId } from './ids.ts'

/** A member of an operation as the statements say it. */
export interface Member {
  readonly person: PersonId
  readonly organization: OrganizationId
  readonly role: Role
  /** Index of the entry that admitted the person. */
  readonly joinedIndex: number
  readonly asleep: boolean
}

export interface EpochState {
  readonly number: number
  readonly commitment: string
  readonly recipients: readonly DeviceId[]
  readonly openedIndex: number
  readonly signer: DeviceId
  /** The digest of the statement that opened it. */
  readonly digest: string
  /**
   * It was opened by somebody who had no right to, or for others than the members: nothing is
   * sealed or opened with it.
   */
  readonly refused?: true
}

export interface CompartmentState {
  readonly id: CompartmentId
  /** Who is in it and since which index; for `all` this is computed from roles and stays empty. */
  readonly members: Map<PersonId, number>
  /**
   * Since which index each person who may hold its keys has been in it without a break; also of
   * `all`.
   */
  readonly since: Map<PersonId, number>
  head: string | undefined
  /** The newest of its statements that is believed. */
  believed: string | undefined
  /** Which statements are in the compartment's chain, by hash. */
  readonly chain: Set<string>
  readonly epochs: EpochState[]
  stale: boolean
  staleBecause: 'member-left' | 'member-joined' | 'state-changed' | 'disputed' | undefined
  readonly disputedBy: Set<DeviceId>
}

export type HistoryRule = 'full' | 'from-joining'
