import type { Role, State } from '../access.ts'
import type { HistoryRule } from '../protocol/index.ts'

/** An operation as the service describes it to this member. */
export interface OperationFacts {
  readonly operation: string
  readonly name: string
  readonly reference: string
  readonly state: State
  readonly timeZone: string
  /** The justification of a consultation where the member gives none. */
  readonly purpose: string
  readonly role: Role
  readonly history: HistoryRule
  readonly allHolds: readonly string[]
  readonly organization: string
  readonly joinedIndex: number
}
