import type { Role, State } from '../access.ts'
import { readCertificate, readRevocation, type Certificate, type Revocation } from './certificate.ts'
import { readEpochStatement, type EpochStatement } from './epoch.ts'
import { ProtocolError, demand } from './errors.ts'
import type { CompartmentId, DeviceId, OperationId, OrganizationId, PersonId } from './ids.ts'
import { readMemberStatement, type Heads, type MemberStatement } from './members.ts'

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
}

export interface CompartmentState {
  readonly id: CompartmentId
  /** Who is in it and since which index; for `all` this is computed from roles and stays empty. */
  readonly members: Map<PersonId, number>
  head: string | undefined
  /** Which statements are in the compartment's chain, by hash. */
  readonly chain: Set<string>
  readonly epochs: EpochState[]
  stale: boolean
  staleBecause: 'member-left' | 'member-joined' | 'state-changed' | 'disputed' | undefined
  readonly disputedBy: Set<DeviceId>
}

export type HistoryRule = 'full' | 'from-joining'

/** What one entry says to this view: the leaf's fields and, where it has one, its statement, read but not yet verified. */
export interface ViewEntry {
  readonly index: number
  readonly kind: string
  readonly subject: string
  readonly compartment?: string
  readonly digest?: string
  readonly device?: DeviceId
  readonly statement?: ReadStatement
}

export type ReadStatement =
  | { readonly type: 'member'; readonly value: MemberStatement }
  | { readonly type: 'epoch'; readonly value: EpochStatement }
  | { readonly type: 'certificate'; readonly value: Certificate }
  | { readonly type: 'revocation'; readonly value: Revocation }

interface StatementValues {
  member: MemberStatement
  epoch: EpochStatement
  certificate: Certificate
  revocation: Revocation
}

const statementTypes: readonly [RegExp, ReadStatement['type']][] = [
  [/^device\.certified$/, 'certificate'],
  [/^device\.revoked$/, 'revocation'],
  [/^epoch\.opened$/, 'epoch'],
  [
    /^(operation\.created|operation\.rules-set|operation\.organization-removed|member\.(admitted|role-changed|removed|woken)|compartment\.(created|member-added|member-removed))$/,
    'member',
  ],
]

/** Which kind of statement an entry of this kind commits to; undefined for those that change nobody's membership by statement. */
export function statementTypeOf(kind: string): ReadStatement['type'] | undefined {
  return statementTypes.find(([pattern]) => pattern.test(kind))?.[1]
}

/** Reads the statement that belongs to an entry, without checking its signature. */
export async function readViewStatement(kind: string, jws: string): Promise<ReadStatement> {
  switch (statementTypeOf(kind)) {
    case 'member':
      return { type: 'member', value: await readMemberStatement(jws) }
    case 'epoch':
      return { type: 'epoch', value: await readEpochStatement(jws) }
    case 'certificate':
      return { type: 'certificate', value: await readCertificate(jws) }
    case 'revocation':
      return { type: 'revocation', value: await readRevocation(jws) }
    case undefined:
      throw new ProtocolError('VIEW', `Entries of the kind ${kind} carry no statement.`)
  }
}

/** Creating an operation and removing an organization make several entries of one statement; every other statement makes one. */
function makesMany({ act }: MemberStatement): boolean {
  return act.act === 'create-operation' || (act.act === 'remove' && 'organization' in act)
}

const rolesInAll: readonly Role[] = ['coordinator', 'analyst', 'ncp', 'officer']

/**
 * Who is in an operation, in its compartments and among the recipients of its epochs, folded from the entries of its
 * log in their order. Server, client and verifier use this same fold; it trusts the order it is given and checks
 * chains and numbers, while signatures and rights are checked by `verifyEntry` and `judge` before an entry is applied.
 */
export class OperationView {
  readonly operation: OperationId
  /** Index of the newest entry that was applied; -1 at the beginning. */
  position = -1
  state: State = 'draft'
  history: HistoryRule = 'full'
  /** Roles, and service accounts by their ids. */
  allHolds: readonly string[] = []
  /** Hash of the newest statement of the operation's chain. */
  head: string | undefined
  /** Which of the statements seen are in the operation's chain, by hash. */
  readonly chain = new Set<string>()
  readonly organizations = new Set<OrganizationId>()
  readonly members = new Map<PersonId, Member>()
  /** Those who ever had a certificate of a service account here. */
  readonly services = new Set<PersonId>()
  /** Live, certified devices of members. */
  readonly devices = new Map<DeviceId, Certificate>()
  readonly compartments = new Map<CompartmentId, CompartmentState>()
  readonly #revoked = new Set<DeviceId>()
  /** A right holder sees only some of the statements; its view accepts holes in the operation's chain. */
  readonly partial: boolean

  constructor(operation: OperationId, options: { partial?: boolean } = {}) {
    this.operation = operation
    this.partial = options.partial ?? false
    this.#addCompartment(this.all)
  }

  /** The compartment `all` has the id of the operation. */
  get all(): CompartmentId {
    return this.operation as string as CompartmentId
  }

  member(person: PersonId): Member | undefined {
    return this.members.get(person)
  }

  isIn(person: PersonId, compartment: CompartmentId): boolean {
    const member = this.members.get(person)
    if (!member) return false
    if (compartment !== this.all) return this.compartments.get(compartment)?.members.has(person) ?? false
    const byRole = rolesInAll.includes(member.role) || this.allHolds.includes(member.role)
    return byRole && (!this.services.has(person) || this.allHolds.includes(person))
  }

  /** From which index on the person belongs to the compartment without a break. */
  joinedCompartmentAt(person: PersonId, compartment: CompartmentId): number | undefined {
    if (!this.isIn(person, compartment)) return undefined
    const joined = this.members.get(person)?.joinedIndex ?? 0
    return compartment === this.all
      ? joined
      : Math.max(joined, this.compartments.get(compartment)?.members.get(person) ?? 0)
  }

  compartmentsOf(person: PersonId): CompartmentId[] {
    return [...this.compartments.keys()].filter((id) => this.isIn(person, id))
  }

  currentEpoch(compartment: CompartmentId): EpochState | undefined {
    return this.compartments.get(compartment)?.epochs.at(-1)
  }

  epoch(compartment: CompartmentId, number: number): EpochState | undefined {
    return this.compartments.get(compartment)?.epochs[number - 1]
  }

  /** The newest heads of the chains that a statement about this compartment must name. */
  heads(compartment: CompartmentId): Heads {
    demand(this.head !== undefined, 'VIEW', 'This view has not seen the operation yet.')
    const head = this.compartments.get(compartment)?.head
    return head === undefined ? { operation: this.head } : { operation: this.head, compartment: head }
  }

  /** The exact set of devices that may hold the key of a compartment now, sorted. */
  recipients(compartment: CompartmentId): DeviceId[] {
    const ids: DeviceId[] = []
    for (const [id, certificate] of this.devices) if (this.#holds(certificate, compartment)) ids.push(id)
    return ids.sort()
  }

  isRecipient(device: DeviceId, compartment: CompartmentId): boolean {
    const certificate = this.devices.get(device)
    return certificate !== undefined && this.#holds(certificate, compartment)
  }

  devicesOf(person: PersonId): Certificate[] {
    return [...this.devices.values()].filter((certificate) => certificate.person === person)
  }

  #holds(certificate: Certificate, compartment: CompartmentId): boolean {
    const member = this.members.get(certificate.person)
    if (!member || member.asleep || member.role === 'auditor') return false
    if (certificate.organization !== member.organization) return false
    return this.isIn(certificate.person, compartment)
  }

  /** Applies the next entry. Entries that change nothing here only move the position. */
  apply(entry: ViewEntry): void {
    demand(entry.index > this.position, 'VIEW_ORDER', 'Entries are applied in the order of the log.')
    const before = this.#affected(entry)
    this.#change(entry)
    this.position = entry.index
    for (const [compartment, devices] of before) this.#markStale(entry, compartment, devices)
  }

  /** The devices of the entry's person in each compartment, to see afterwards who is gone. */
  #affected(entry: ViewEntry): Map<CompartmentId, Set<DeviceId>> {
    const before = new Map<CompartmentId, Set<DeviceId>>()
    if (!/^(member|device|compartment)\.|^operation\.rules-set$/.test(entry.kind)) return before
    for (const id of this.compartments.keys()) {
      if (entry.kind.startsWith('compartment.') && id !== entry.compartment) continue
      before.set(id, new Set(this.#touched(entry).filter((device) => this.isRecipient(device, id))))
    }
    return before
  }

  #touched(entry: ViewEntry): DeviceId[] {
    if (entry.kind === 'operation.rules-set') return [...this.devices.keys()]
    if (entry.kind.startsWith('device.')) return [entry.subject as DeviceId]
    return this.devicesOf(entry.subject as PersonId).map((certificate) => certificate.device)
  }

  #markStale(entry: ViewEntry, id: CompartmentId, before: Set<DeviceId>): void {
    const compartment = this.compartments.get(id)
    if (!compartment || compartment.epochs.length === 0) return
    if ([...before].some((device) => !this.isRecipient(device, id))) this.#stale(compartment, 'member-left')
    const joins = entry.kind === 'member.admitted' || entry.kind === 'compartment.member-added'
    if (joins && this.history === 'from-joining' && this.isIn(entry.subject as PersonId, id))
      this.#stale(compartment, 'member-joined')
  }

  #stale(compartment: CompartmentState, because: CompartmentState['staleBecause']): void {
    if (!compartment.stale) compartment.staleBecause = because
    compartment.stale = true
  }

  #change(entry: ViewEntry): void {
    switch (entry.kind) {
      case 'operation.created': {
        const { act } = this.#operationStatement(entry)
        demand(act.act === 'create-operation', 'VIEW', 'An operation begins with its creation.')
        this.history = act.history
        this.allHolds = act.allHolds
        for (const { organization } of act.coordinators) this.organizations.add(organization as OrganizationId)
        return
      }
      case 'operation.rules-set': {
        const { act } = this.#operationStatement(entry)
        demand(act.act === 'set-operation', 'VIEW', 'Rules are set by a statement that says so.')
        this.history = act.history
        this.allHolds = act.allHolds
        return
      }
      case 'operation.advanced':
        return this.#advance(entry.subject as State)
      case 'operation.organization-admitted':
        this.organizations.add(entry.subject as OrganizationId)
        return
      case 'operation.organization-removed': {
        const { act } = this.#operationStatement(entry)
        const names = act.act === 'remove' && 'organization' in act && act.organization === entry.subject
        demand(names, 'VIEW', 'The statement removes another organization.')
        this.organizations.delete(entry.subject as OrganizationId)
        return
      }
      case 'member.admitted':
        return this.#admit(entry)
      case 'member.role-changed': {
        const { act } = this.#operationStatement(entry)
        demand(act.act === 'change-role' && act.person === entry.subject, 'VIEW', 'The statement changes another role.')
        this.#set(entry, { role: act.role })
        return
      }
      case 'member.removed': {
        const { act } = this.#operationStatement(entry)
        const names = act.act === 'remove' && ('person' in act ? act.person : undefined)
        const whole =
          act.act === 'remove' &&
          'organization' in act &&
          act.organization === this.members.get(entry.subject as PersonId)?.organization
        demand(names === entry.subject || whole || this.partial, 'VIEW', 'The statement removes somebody else.')
        return this.#remove(entry.subject as PersonId)
      }
      case 'member.ended':
        return this.#remove(entry.subject as PersonId)
      case 'member.slept':
        return this.#set(entry, { asleep: true })
      case 'member.woken': {
        const { act } = this.#operationStatement(entry)
        demand(act.act === 'wake' && act.person === entry.subject, 'VIEW', 'The statement wakes somebody else.')
        return this.#set(entry, { asleep: false })
      }
      case 'device.certified': {
        const certificate = this.#statement(entry, 'certificate')
        demand(certificate.device === entry.subject, 'VIEW', 'The certificate is for another device.')
        demand(!this.#revoked.has(certificate.device), 'VIEW', 'A device that was revoked does not come back.')
        this.devices.set(certificate.device, certificate)
        if (certificate.tier === 'service') this.services.add(certificate.person)
        return
      }
      case 'device.revoked': {
        const revocation = this.#statement(entry, 'revocation')
        demand(revocation.device === entry.subject, 'VIEW', 'The revocation names another device.')
        this.#revoked.add(entry.subject as DeviceId)
        this.devices.delete(entry.subject as DeviceId)
        return
      }
      case 'device.expired':
        this.devices.delete(entry.subject as DeviceId)
        return
      case 'compartment.created':
      case 'compartment.member-added':
      case 'compartment.member-removed':
        return this.#changeCompartment(entry)
      case 'epoch.opened':
        return this.#openEpoch(entry)
      case 'epoch.disputed':
        return this.#dispute(entry)
      default:
        return
    }
  }

  #statement<T extends ReadStatement['type']>(entry: ViewEntry, type: T): StatementValues[T] {
    const statement = entry.statement
    demand(statement?.type === type, 'VIEW', `An entry of the kind ${entry.kind} needs its ${type} statement.`)
    demand(
      statement.value.hash === entry.digest,
      'VIEW_DIGEST',
      'The statement is not the one that the entry commits to.',
    )
    return statement.value as StatementValues[T]
  }

  /** A statement of the operation's chain; one statement may stand behind several entries in a row. */
  #operationStatement(entry: ViewEntry): MemberStatement {
    const statement = this.#statement(entry, 'member')
    demand(statement.act.operation === this.operation, 'VIEW', 'This statement belongs to another operation.')
    if (statement.hash === this.head && makesMany(statement)) return statement
    const follows = statement.act.previous === (this.head ?? null)
    demand(
      follows || this.partial,
      'MEMBERS_CHAIN',
      'A member statement does not follow the one before it: an entry is missing.',
    )
    this.head = statement.hash
    this.chain.add(statement.hash)
    return statement
  }

  #admit(entry: ViewEntry): void {
    const { act } = this.#operationStatement(entry)
    const person = entry.subject as PersonId
    let admitted: { organization: string; role: Role } | undefined
    if (act.act === 'admit' && act.person === person) admitted = act
    if (act.act === 'create-operation') {
      const named = act.coordinators.find((coordinator) => coordinator.person === person)
      if (named) admitted = { organization: named.organization, role: 'coordinator' }
    }
    demand(admitted, 'VIEW', 'The statement admits somebody else.')
    const { organization, role } = admitted
    this.members.set(person, {
      person,
      organization: organization as OrganizationId,
      role,
      joinedIndex: entry.index,
      asleep: false,
    })
  }

  #set(entry: ViewEntry, change: Partial<Member>): void {
    const member = this.members.get(entry.subject as PersonId)
    demand(member !== undefined, 'VIEW', 'The entry names somebody who is no member.')
    this.members.set(member.person, { ...member, ...change })
  }

  #remove(person: PersonId): void {
    this.members.delete(person)
    // Of somebody who is no member the log no longer hears which devices end: who comes back brings the live ones again.
    for (const { device } of this.devicesOf(person)) this.devices.delete(device)
    for (const compartment of this.compartments.values()) compartment.members.delete(person)
  }

  #advance(to: State): void {
    const leavesRehearsal = this.state === 'rehearsal'
    this.state = to
    if (!leavesRehearsal) return
    for (const compartment of this.compartments.values()) {
      if (compartment.epochs.length > 0) this.#stale(compartment, 'state-changed')
    }
  }

  #addCompartment(id: CompartmentId): CompartmentState {
    const compartment: CompartmentState = {
      id,
      members: new Map(),
      head: undefined,
      chain: new Set(),
      epochs: [],
      stale: false,
      staleBecause: undefined,
      disputedBy: new Set(),
    }
    this.compartments.set(id, compartment)
    return compartment
  }

  #changeCompartment(entry: ViewEntry): void {
    const { act, hash } = this.#statement(entry, 'member')
    const id = entry.compartment as CompartmentId
    demand(
      'compartment' in act && act.compartment === id && act.operation === this.operation,
      'VIEW',
      'This statement belongs elsewhere.',
    )
    const known = this.compartments.get(id)
    demand(act.previous === (known?.head ?? null), 'MEMBERS_CHAIN', 'A statement of this compartment is missing.')
    const compartment = known ?? this.#addCompartment(id)
    compartment.head = hash
    compartment.chain.add(hash)
    switch (act.act) {
      case 'create-compartment': {
        const creator =
          entry.statement?.type === 'member' ? this.devices.get(entry.statement.value.signer)?.person : undefined
        if (creator) compartment.members.set(creator, entry.index)
        for (const person of act.members) compartment.members.set(person as PersonId, entry.index)
        return
      }
      case 'add-to-compartment':
        compartment.members.set(act.person as PersonId, entry.index)
        return
      case 'remove-from-compartment':
        compartment.members.delete(act.person as PersonId)
    }
  }

  #openEpoch(entry: ViewEntry): void {
    const { payload, signer, hash } = this.#statement(entry, 'epoch')
    const compartment = this.compartments.get(payload.compartment as CompartmentId)
    demand(
      compartment && payload.compartment === entry.compartment,
      'VIEW',
      'This epoch belongs to an unknown compartment.',
    )
    demand(payload.epoch === compartment.epochs.length + 1, 'VIEW', 'An epoch is missing: its number does not follow.')
    compartment.epochs.push({
      number: payload.epoch,
      commitment: payload.commitment,
      recipients: payload.recipients as DeviceId[],
      openedIndex: entry.index,
      signer,
      digest: hash,
    })
    compartment.stale = false
    compartment.staleBecause = undefined
    compartment.disputedBy.clear()
  }

  /** A recipient whose grant did not open; two of them make the epoch stale. */
  #dispute(entry: ViewEntry): void {
    const compartment = this.compartments.get(entry.compartment as CompartmentId)
    if (!compartment || entry.device === undefined) return
    compartment.disputedBy.add(entry.device)
    if (compartment.disputedBy.size >= 2) this.#stale(compartment, 'disputed')
  }
}
