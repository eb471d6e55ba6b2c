import type { Role, State } from '../access.ts'
import {
  newId,
  memberVersion,
  signMemberStatement,
  timestamp,
  type CompartmentId,
  type HistoryRule,
  type MemberAct,
  type OperationId,
  type OperationView,
  type PersonId,
  type Plain,
} from '../protocol/index.ts'
import { certificateIn, requireCertificate } from './account.ts'
import type { Organization, PersonListed } from './directory-types.ts'
import type { OperationFacts } from './facts.ts'
import type { SessionDeps } from './session-context.ts'
import { OperationSession } from './operation-session.ts'
import { isProblem, refuse } from './problem.ts'

export interface OperationListed {
  readonly operation: string
  readonly name: string
  readonly reference: string
  readonly state: State
  readonly timeZone: string
  readonly role: Role
}

export interface MemberListed {
  readonly person: string
  readonly name: string
  readonly organization: string
  readonly role: Role
  readonly joinedIndex: number
  readonly asleep: boolean
}

export interface CompartmentListed {
  readonly compartment: string
  readonly name: string
  readonly epoch: number
  readonly stale: boolean
  readonly members: readonly string[]
}

export interface OperationInput {
  readonly name: string
  readonly reference: string
  /** IANA, such as Europe/Brussels. */
  readonly timeZone: string
  /**
   * The justification of consultations; the name and the reference of the operation if not given.
   */
  readonly purpose?: string
  /** The first coordinators, never the person who creates the operation. */
  readonly coordinators: readonly { readonly person: string; readonly organization: string }[]
  /** 'full' if not given. */
  readonly history?: HistoryRule
  readonly allHolds?: readonly ('partner' | 'observer')[]
}

/**
 * The further members of the compartment `all`, beside its four roles: one or both of two roles,
 * and service accounts by their ids.
 */
export type AllHolds = readonly string[]

export interface OperationsDeps extends Omit<SessionDeps, 'operation'> {
  /** Fetches the certificate of this device again. */
  readonly me: () => Promise<unknown>
}

type Unsigned = MemberAct extends infer A
  ? A extends MemberAct
    ? Plain<Omit<A, 'v' | 'operation' | 'previous' | 'at'>>
    : never
  : never

const mostAttempts = 8

/**
 * Operations and their members. This device signs each member act over the newest member statement
 * that it has verified; where another member was faster, it verifies that statement and signs
 * again.
 */
export class Operations {
  readonly #deps: OperationsDeps
  readonly #sessions = new Map<string, Promise<OperationSession>>()

  constructor(deps: OperationsDeps) {
    this.#deps = deps
  }

  /**
   * Fetches the signed statement and the sealed body of a message as the service has them, to hand
   * on beside its receipt. The log records the fetch. Throws NOT_FOUND, JUSTIFICATION_REQUIRED.
   */
  signedMessage(operation: string, message: string): Promise<{ statement: string; body: string }> {
    return this.#request('GET', `/${operation}/messages/${message}`)
  }

  #request<T>(method: 'GET' | 'POST' | 'PATCH', path: string, body?: object): Promise<T> {
    return this.#deps.transport.request<T>(method, `/v1/operations${path}`, body)
  }

  /**
   * Creates an operation and names its first coordinators. Answers its id. Throws
   * ADMINISTRATOR_ONLY, MEMBER_RULE.
   */
  async create(input: OperationInput): Promise<string> {
    const { platform, self, me } = this.#deps
    const operation = newId<OperationId>(platform.clock(), platform.random)
    const { name, reference, timeZone, purpose } = input
    const stated = purpose === undefined ? {} : { purpose }
    const create = async () => {
      const statement = await signMemberStatement(self().device, requireCertificate(self()).hash, {
        v: memberVersion,
        operation,
        previous: null,
        at: timestamp(platform.clock()),
        act: 'create-operation',
        history: input.history ?? 'full',
        allHolds: [...(input.allHolds ?? [])],
        coordinators: input.coordinators.map(({ person, organization }) => ({ person, organization })),
      })
      await this.#request('POST', '', { statement, name, reference, timeZone, ...stated })
    }
    try {
      await create()
    } catch (error) {
      if (!isProblem(error, 'CERTIFICATE_OUTDATED')) throw error
      await me()
      await create()
    }
    return operation
  }

  /** The operations of this person. */
  async list(): Promise<OperationListed[]> {
    return (await this.#request<{ operations: OperationListed[] }>('GET', '')).operations
  }

  show(operation: string): Promise<OperationFacts> {
    return this.#request('GET', `/${operation}`)
  }

  async members(operation: string): Promise<MemberListed[]> {
    return (await this.#request<{ members: MemberListed[] }>('GET', `/${operation}/members`)).members
  }

  async compartments(operation: string): Promise<CompartmentListed[]> {
    return (await this.#request<{ compartments: CompartmentListed[] }>('GET', `/${operation}/compartments`))
      .compartments
  }

  async organizations(operation: string): Promise<Organization[]> {
    const path = `/${operation}/organizations`
    return (await this.#request<{ organizations: Organization[] }>('GET', path)).organizations
  }

  /**
   * The organizations of the service that a name could mean, for a member who may admit
   * organizations: the name is that of the organization or, from three characters on, its
   * beginning. The log records the view with the name. Throws FORBIDDEN, OPERATION_STATE.
   */
  async organizationsNamed(operation: string, name: string): Promise<Organization[]> {
    const path = `/${operation}/organizations-named?name=${encodeURIComponent(name)}`
    return (await this.#request<{ organizations: Organization[] }>('GET', path)).organizations
  }

  /** The people of an organization of the operation who could be admitted. */
  async candidates(operation: string, organization: string): Promise<PersonListed[]> {
    const path = `/${operation}/candidates?organization=${organization}`
    return (await this.#request<{ people: PersonListed[] }>('GET', path)).people
  }

  /**
   * Moves the operation to another state. Throws OPERATION_STATE where that is not the next one.
   */
  async advance(operation: string, to: State, reason?: string): Promise<void> {
    const session = await this.follow(operation)
    await session.ready()
    const { state, statesSigned } = session.view
    if (state === to && statesSigned) return
    const beside = reason === undefined ? {} : { reason }
    return this.#act(operation, '/advance', () => ({ act: 'advance', state: to }), beside)
  }

  async update(operation: string, change: { name?: string; timeZone?: string; purpose?: string }): Promise<void> {
    await this.#request('PATCH', `/${operation}`, change)
  }

  async admitOrganization(operation: string, organization: string): Promise<void> {
    await this.#reached(operation, await this.#request('POST', `/${operation}/organizations`, { organization }))
  }

  /** Admits a person with a role. Throws FORBIDDEN, MEMBER_RULE, APPROVAL_NOT_AVAILABLE. */
  admit(operation: string, input: { person: string; organization: string; role: Role }): Promise<void> {
    return this.#act(operation, '/members', () => ({ act: 'admit', ...input }))
  }

  changeRole(operation: string, person: string, role: Role): Promise<void> {
    return this.#act(operation, `/members/${person}/role`, () => ({ act: 'change-role', person, role }))
  }

  remove(operation: string, person: string): Promise<void> {
    return this.#act(operation, `/members/${person}/removal`, () => ({ act: 'remove', person }))
  }

  /** Removes an organization and all its members. */
  removeOrganization(operation: string, organization: string): Promise<void> {
    return this.#act(operation, `/organizations/${organization}/removal`, () => ({ act: 'remove', organization }))
  }

  wake(operation: string, person: string): Promise<void> {
    return this.#act(operation, `/members/${person}/wake`, () => ({ act: 'wake', person }))
  }

  /** Creates a compartment with this person and the given members. Answers its id. */
  async createCompartment(operation: string, input: { name: string; members: readonly string[] }): Promise<string> {
    const { platform } = this.#deps
    const compartment = newId<CompartmentId>(platform.clock(), platform.random)
    const members = [...input.members]
    const make = () => ({ act: 'create-compartment' as const, compartment, members })
    await this.#act(operation, '/compartments', make, { name: input.name })
    return compartment
  }

  /**
   * Adds a member to a compartment. In the compartment `all`, to which roles give access, a service
   * account is added by listing it in the rules.
   */
  async addToCompartment(operation: string, compartment: string, person: string): Promise<void> {
    if (await this.#isListed(operation, compartment, person))
      return this.#changeListed(operation, (listed) => [...new Set([...listed, person])])
    const path = `/compartments/${compartment}/members`
    return this.#act(operation, path, () => ({ act: 'add-to-compartment', compartment, person }))
  }

  async removeFromCompartment(operation: string, compartment: string, person: string): Promise<void> {
    if (await this.#isListed(operation, compartment, person))
      return this.#changeListed(operation, (listed) => listed.filter((one) => one !== person))
    const path = `/compartments/${compartment}/members/${person}/removal`
    return this.#act(operation, path, () => ({ act: 'remove-from-compartment', compartment, person }))
  }

  /**
   * Whether the rules of the operation, and not a statement of the compartment, put this person
   * into the compartment.
   */
  async #isListed(operation: string, compartment: string, person: string): Promise<boolean> {
    if (compartment !== operation) return false
    const session = await this.follow(operation)
    await session.ready()
    return session.view.services.has(person as PersonId)
  }

  /**
   * Sets the rule of history and the further members of the compartment `all`. A rule that is not
   * given stays.
   */
  setRules(operation: string, rules: { history?: HistoryRule; allHolds?: AllHolds }): Promise<void> {
    return this.#act(operation, '/rules', (view) => ({
      act: 'set-operation',
      history: rules.history ?? view.history,
      allHolds: [...(rules.allHolds ?? view.allHolds)],
    }))
  }

  #changeListed(operation: string, change: (listed: AllHolds) => AllHolds): Promise<void> {
    return this.#act(operation, '/rules', ({ history, allHolds }) => {
      return { act: 'set-operation', history, allHolds: [...change(allHolds)] }
    })
  }

  async #act(
    operation: string,
    path: string,
    make: (view: OperationView) => Unsigned,
    beside: object = {},
  ): Promise<void> {
    const session = await this.follow(operation)
    const { self, platform } = this.#deps
    for (let attempt = 1; ; attempt++) {
      await session.ready()
      const { view, position } = session
      const act = make(view)
      const compartment = 'compartment' in act ? act.compartment : undefined
      const head = compartment === undefined ? view.head : view.compartments.get(compartment as CompartmentId)?.head
      const common = { v: memberVersion, operation, previous: head ?? null }
      const whole = { ...common, at: timestamp(platform.clock()), ...act } as MemberAct
      const statement = await signMemberStatement(self().device, certificateIn(self(), view), whole)
      await session.kept()
      try {
        await this.#reached(operation, await this.#request('POST', `/${operation}${path}`, { statement, ...beside }))
        return
      } catch (error) {
        if (!isProblem(error, 'MEMBERS_MOVED', 'CERTIFICATE_OUTDATED') || attempt >= mostAttempts) throw error
        const moved = await session.reached(position + 1, 2_000)
        if (!moved && isProblem(error, 'MEMBERS_MOVED') && attempt === 2) session.readAgain()
      }
    }
  }

  /**
   * Waits until this device has processed the entry of its own act, if it follows the operation.
   * Throws TIMED_OUT.
   */
  async #reached(operation: string, { index }: { index?: number }): Promise<void> {
    const session = await this.#sessions.get(operation)
    if (!session || index === undefined) return
    if (!(await session.reached(index)))
      throw refuse('TIMED_OUT', 'The service accepted this and did not show it in the log in time.', { index })
  }

  /**
   * Follows an operation. Answers the open session where there is one. Throws NOT_FOUND where this
   * person is no member.
   */
  follow(operation: string): Promise<OperationSession> {
    const open = this.#sessions.get(operation)
    if (open) return open
    const session = new OperationSession({ ...this.#deps, operation })
    const starting = session.start().then(() => session)
    this.#sessions.set(operation, starting)
    const forget = () => void (this.#sessions.get(operation) === starting && this.#sessions.delete(operation))
    starting.catch(forget)
    session.events.on('ended', forget)
    return starting
  }

  /** Ends the session of an operation. */
  async leave(operation: string): Promise<void> {
    const session = this.#sessions.get(operation)
    this.#sessions.delete(operation)
    await (await session)?.close()
  }

  async close(): Promise<void> {
    for (const operation of this.#sessions.keys()) await this.leave(operation)
  }
}
