import type { SignedInCaller } from '../identity/index.ts'
import type { PersonId } from '../protocol/index.ts'
import type { FrameOutbox } from './outbox.ts'

/** One device that follows one operation. */
export interface Subscription {
  readonly operation: string
  readonly actor: SignedInCaller
  readonly person: PersonId
  readonly outbox: FrameOutbox
  /** Index of the last entry that was considered for this reader. */
  position: number
  /** True between the request and the moment from which the follower itself sends. */
  catchingUp: boolean
  over: boolean
  /** Called when the subscription ends from this side. */
  readonly ended: () => void
}
