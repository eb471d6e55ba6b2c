import type { Role, State } from '../access.ts'
import type { HistoryRule } from '../protocol/index.ts'
import { refuse } from './problem.ts'
import type { Transport } from './transport.ts'

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

/** The facts of an operation as they were fetched last. */
export class FetchedFacts {
  readonly #transport: Transport
  readonly #operation: string
  #fetched: OperationFacts | undefined
  #renewing = false
  #again = false

  constructor(transport: Transport, operation: string) {
    this.#transport = transport
    this.#operation = operation
  }

  /** Throws CLOSED before the first fetch. */
  get value(): OperationFacts {
    return this.#fetched ?? raiseClosed()
  }

  async fetch(): Promise<OperationFacts> {
    this.#fetched = await this.#transport.request<OperationFacts>('GET', `/v1/operations/${this.#operation}`)
    return this.#fetched
  }

  /** Fetches them after an entry has changed them: once more where a fetch is under way. */
  async renew(): Promise<void> {
    this.#again = true
    if (this.#renewing) return
    this.#renewing = true
    try {
      while (this.#again) {
        this.#again = false
        await this.fetch()
      }
    } finally {
      this.#renewing = false
    }
  }
}

function raiseClosed(): never {
  throw refuse('CLOSED', 'This operation is not open yet.')
}
