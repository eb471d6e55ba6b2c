import type { Role, State } from '../access.ts'
import { revokedSince, type Certificate, type Revocation } from './certificate.ts'
import { ProtocolError, demand } from './errors.ts'
import type { CompartmentId, DeviceId, OperationId, OrganizationId, PersonId } from './ids.ts'
import type { Heads, MemberAct, MemberStatement } from './members.ts'
import { requireEntry, statementOf } from './entry-rules.ts'
import type { CompartmentState, EpochState, HistoryRule, Member } from './operation-state.ts'
import { Rights, rightTo } from './rights.ts'
import { bringsNewcomers, noteSince } from './since.ts'
import { statementTypeOf, type ViewEntry } from './view-entry.ts'

const rolesInAll: readonly Role[] = ['coordinator', 'analyst', 'ncp', 'officer']

/**
 * The members of an operation, of its compartments and the recipients of its epochs, folded from
 * the entries of its log in their order. Server, client and verifier use this one fold. It checks
 * chains and numbers; `verifyEntry` and `judge` check signatures and rights before an entry is
 * applied.
 */
export class OperationView {
  readonly operation: OperationId
  /** The index of the newest entry that was applied; -1 at the beginning. */
  position = -1
  state: State = 'draft'
  /**
   * The version of the statement that created the operation. Statements of an earlier version are
   * not believed in it.
   */
  version: 1 | 2 = 1
  /**
   * Whether a state counts only where a coordinator signed it: from the first signed state on, or
   * from the beginning.
   */
  statesSigned = false
  history: HistoryRule = 'full'
  /** The further members of the compartment `all`: roles, and service accounts by their ids. */
  allHolds: readonly string[] = []
  /** The hash of the newest statement of the operation's chain. */
  head: string | undefined
  /** The hashes of the statements in the operation's chain, as far as they were seen. */
  readonly chain = new Set<string>()
  readonly organizations = new Set<OrganizationId>()
  readonly members = new Map<PersonId, Member>()
  /** The persons who ever had a certificate of a service account here. */
  readonly services = new Set<PersonId>()
  /** The live, certified devices of members. */
  readonly devices = new Map<DeviceId, Certificate>()
  readonly compartments = new Map<CompartmentId, CompartmentState>()
  /** The revocation of each revoked device; of several, the one that reaches back furthest. */
  readonly revocations = new Map<DeviceId, Revocation>()
  /**
   * The sealing key of every device that was ever shown: a device keeps its sealing key for ever.
   */
  readonly seals = new Map<DeviceId, string>()
  /** For each right, the index of the entry that gave it and of the entry that took it. */
  readonly rights = new Rights()
  /** The hash of the newest believed statement of the operation's chain. */
  believed: string | undefined
  #refusing = false
  /** The members who took another coordinator out of that role. */
  readonly unseated = new Set<PersonId>()
  /**
   * Whether the view is partial: a right holder sees only some of the statements, so that the chain
   * of the operation may have holes.
   */
  readonly partial: boolean

  constructor(operation: OperationId, options: { partial?: boolean } = {}) {
    this.operation = operation
    this.partial = options.partial ?? false
    this.#addCompartment(this.all)
  }

  /** The id of the compartment `all`, which is that of the operation. */
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

  /** The index from which on the person has been in the compartment without a break. */
  joinedCompartmentAt(person: PersonId, compartment: CompartmentId): number | undefined {
    return this.compartments.get(compartment)?.since.get(person)
  }

  /**
   * The index from which on a person may read a compartment and hold its keys: 0, or since the
   * person joined, by the rule of history. Undefined where the person is not in the compartment.
   */
  readsFrom(person: PersonId, compartment: CompartmentId): number | undefined {
    const joined = this.joinedCompartmentAt(person, compartment)
    return joined !== undefined && this.history === 'full' ? 0 : joined
  }

  /** Whether a person is in a compartment as a reader, who may hold its keys while awake. */
  reads(person: PersonId, compartment: CompartmentId): boolean {
    return this.isIn(person, compartment) && this.members.get(person)?.role !== 'auditor'
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

  /** The devices that may hold the key of a compartment now, sorted. */
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
    if (!member || member.asleep || certificate.organization !== member.organization) return false
    return this.reads(certificate.person, compartment)
  }

  /**
   * Applies the next entry. Throws `ProtocolError`, and changes nothing, where the entry breaks the
   * order of the log. An entry that changes nothing in the view only moves the position.
   */
  apply(entry: ViewEntry): void {
    requireEntry(this, entry)
    const before = this.#affected(entry)
    this.#change(entry)
    this.position = entry.index
    noteSince(this, entry)
    for (const [compartment, devices] of before) this.#markStale(entry, compartment, devices)
  }

  /**
   * Goes past an entry that is not believed: rights that it gives are not given, rights that it
   * takes are taken. Where its signer signed it (`authentic`), the statements after it still follow
   * it.
   */
  refuse(entry: ViewEntry, authentic: boolean): void {
    demand(entry.index > this.position, 'VIEW_ORDER', 'Entries are applied in the order of the log.')
    const before = this.#affected(entry)
    this.#refusing = true
    if (entry.kind === 'device.revoked') this.#endDevice(entry.subject as DeviceId, entry.index)
    if (authentic && follows(this, entry)) this.#takeOnly(entry)
    this.position = entry.index
    noteSince(this, entry)
    for (const [compartment, devices] of before) this.#markStale(entry, compartment, devices)
    this.#refusing = false
  }

  /**
   * Applies an entry of the log, or goes past it where it cannot be believed. Answers why it
   * cannot.
   */
  take(entry: ViewEntry): ProtocolError | undefined {
    try {
      this.apply(entry)
      return undefined
    } catch (error) {
      if (!(error instanceof ProtocolError) || breaksOrder(error)) throw error
      this.refuse(entry, true)
      return error
    }
  }

  /**
   * The devices of the person of an entry in each compartment, to find out afterwards which are
   * gone.
   */
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
    if ([...before].some((device) => !this.isRecipient(device, id)))
      this.#stale(compartment, 'member-left', entry.index)
    if (bringsNewcomers(this, entry, compartment)) this.#stale(compartment, 'member-joined', entry.index)
  }

  #stale(compartment: CompartmentState, because: CompartmentState['staleBecause'], index: number): void {
    if (!compartment.stale) compartment.staleBecause = because
    compartment.stale = true
    this.#take(rightTo.sealWith(compartment.id), index)
  }

  #change(entry: ViewEntry): void {
    switch (statementTypeOf(entry)) {
      case 'member':
        return this.#changeMembers(entry)
      case 'certificate':
        return this.#certify(entry)
      case 'revocation':
        return this.#revoke(statementOf(entry, 'revocation'), entry.index)
      case 'epoch':
        return this.#openEpoch(entry)
      case undefined:
    }
    switch (entry.kind) {
      case 'operation.advanced':
        return this.#advance(entry.subject as State, entry.index)
      case 'operation.organization-admitted':
        this.organizations.add(entry.subject as OrganizationId)
        return
      case 'member.ended':
        return this.#remove(entry.subject as PersonId, entry.index)
      case 'member.slept':
        this.#take(rightTo.beAwake(entry.subject), entry.index)
        return this.#set(entry, { asleep: true })
      case 'device.expired':
        return this.#endDevice(entry.subject as DeviceId, entry.index)
      case 'epoch.disputed':
        return this.#dispute(entry)
    }
  }

  #changeMembers(entry: ViewEntry): void {
    const { act } = this.#chained(entry)
    const subject = entry.subject as PersonId
    switch (act.act) {
      case 'create-operation':
        if (entry.kind === 'member.admitted') return this.#admit(entry, act)
        this.version = act.v
        this.statesSigned = act.v === 2
        for (const { organization } of act.coordinators) this.organizations.add(organization)
        return this.#setRules(act)
      case 'set-operation':
        return this.#setRules(act)
      case 'advance':
        this.statesSigned = true
        return this.#advance(act.state, entry.index)
      case 'admit':
        return this.#admit(entry, act)
      case 'change-role':
        if (act.role !== 'coordinator') this.#noteUnseated(entry)
        return this.#set(entry, { role: act.role })
      case 'wake':
        this.rights.give(rightTo.beAwake(subject), entry.index)
        return this.#set(entry, { asleep: false })
      case 'remove':
        if (entry.kind === 'member.removed') {
          this.#noteUnseated(entry)
          return this.#remove(subject, entry.index)
        }
        this.organizations.delete(entry.subject as OrganizationId)
        return
      case 'create-compartment':
      case 'add-to-compartment':
      case 'remove-from-compartment':
        return this.#changeCompartment(entry, act)
    }
  }

  /** Applies a refused statement of a member: it stands in its chain, and takes rights. */
  #takeOnly(entry: ViewEntry): void {
    if (entry.statement?.type === 'epoch') {
      this.#openEpoch(entry, { refused: true })
      const compartment = this.compartments.get(entry.compartment as CompartmentId)
      if (compartment) this.#stale(compartment, 'disputed', entry.index)
      return
    }
    if (entry.statement?.type !== 'member') return
    const { act } = this.#chained(entry)
    if (act.act === 'remove' && entry.kind === 'member.removed') this.#remove(entry.subject as PersonId, entry.index)
    if (act.act === 'remove-from-compartment') this.#changeCompartment(entry, act)
  }

  /**
   * Puts the statement of an entry at the end of its chain. One statement may stand behind several
   * entries in a row.
   */
  #chained(entry: ViewEntry): MemberStatement {
    const statement = statementOf(entry, 'member')
    const chained = entry.kind.startsWith('compartment.')
      ? (this.compartments.get(entry.compartment as CompartmentId) ??
        this.#addCompartment(entry.compartment as CompartmentId))
      : this
    chained.head = statement.hash
    if (!this.#refusing) chained.believed = statement.hash
    chained.chain.add(statement.hash)
    return statement
  }

  #take(right: string, index: number): void {
    this.rights.take(right, index, !this.#refusing)
  }

  #setRules({ history, allHolds }: { readonly history: HistoryRule; readonly allHolds: readonly string[] }): void {
    this.history = history
    this.allHolds = allHolds
  }

  #admit(entry: ViewEntry, act: Extract<MemberAct, { act: 'admit' | 'create-operation' }>): void {
    const person = entry.subject as PersonId
    const named = act.act === 'admit' ? act : act.coordinators.find((coordinator) => coordinator.person === person)
    this.rights.give(rightTo.belong(person), entry.index)
    this.rights.give(rightTo.beAwake(person), entry.index)
    this.members.set(person, {
      person,
      organization: (named?.organization ?? '') as OrganizationId,
      role: act.act === 'admit' ? act.role : 'coordinator',
      joinedIndex: entry.index,
      asleep: false,
    })
  }

  #set({ subject }: ViewEntry, change: Partial<Member>): void {
    const member = this.members.get(subject as PersonId)
    if (member) this.members.set(member.person, { ...member, ...change })
  }

  #noteUnseated({ subject, statement }: ViewEntry): void {
    const by = statement?.type === 'member' ? this.devices.get(statement.value.signer)?.person : undefined
    if (by !== undefined && by !== subject && this.members.get(subject as PersonId)?.role === 'coordinator')
      this.unseated.add(by)
  }

  #remove(person: PersonId, index: number): void {
    this.members.delete(person)
    this.#take(rightTo.belong(person), index)
    // The log no longer records which devices of a former member end. A member who returns brings
    // the live ones again.
    for (const { device } of this.devicesOf(person)) this.#endDevice(device, index)
    for (const { id, members } of this.compartments.values()) {
      if (members.delete(person)) this.#take(rightTo.beIn(id, person), index)
    }
  }

  /** Adds a device of a member. A certificate of a person who is no member changes nothing. */
  #certify(entry: ViewEntry): void {
    const certificate = statementOf(entry, 'certificate')
    const { device, person, tier, keys } = certificate
    this.seals.set(device, keys.seal.pub)
    if (tier === 'service') this.services.add(person)
    if (!this.members.has(person) && !this.partial) return
    this.devices.set(device, certificate)
    this.rights.give(rightTo.count(device), entry.index)
  }

  #revoke(revocation: Revocation, index: number): void {
    const known = this.revocations.get(revocation.device)
    if (!known || revokedSince(revocation) < revokedSince(known)) this.revocations.set(revocation.device, revocation)
    this.#endDevice(revocation.device, index)
  }

  #endDevice(device: DeviceId, index: number): void {
    this.devices.delete(device)
    this.#take(rightTo.count(device), index)
  }

  #advance(to: State, index: number): void {
    const leavesRehearsal = this.state === 'rehearsal' && to !== 'rehearsal'
    this.state = to
    if (!leavesRehearsal) return
    for (const compartment of this.compartments.values()) {
      if (compartment.epochs.length > 0) this.#stale(compartment, 'state-changed', index)
    }
  }

  #addCompartment(id: CompartmentId): CompartmentState {
    const compartment: CompartmentState = {
      id,
      members: new Map(),
      since: new Map(),
      head: undefined,
      believed: undefined,
      chain: new Set(),
      epochs: [],
      stale: false,
      staleBecause: undefined,
      disputedBy: new Set(),
    }
    this.compartments.set(id, compartment)
    return compartment
  }

  #changeCompartment(entry: ViewEntry, act: Extract<MemberAct, { compartment: string }>): void {
    const { members } = this.compartments.get(act.compartment) as CompartmentState
    const put = (person: string) => {
      members.set(person as PersonId, entry.index)
      this.rights.give(rightTo.beIn(act.compartment, person), entry.index)
    }
    switch (act.act) {
      case 'create-compartment': {
        // The device that opened the epoch may have ended since, and is then not shown to a later
        // reader.
        const signer = statementOf(entry, 'member').signer
        const creator = (entry.signer ?? this.devices.get(signer))?.person
        if (creator) put(creator)
        return act.members.forEach(put)
      }
      case 'add-to-compartment':
        return put(act.person)
      case 'remove-from-compartment':
        members.delete(act.person)
        this.#take(rightTo.beIn(act.compartment, act.person), entry.index)
    }
  }

  #openEpoch(entry: ViewEntry, mark: { readonly refused?: true } = {}): void {
    const { payload, signer, hash } = statementOf(entry, 'epoch')
    const compartment = this.compartments.get(payload.compartment) as CompartmentState
    compartment.epochs.push({
      number: payload.epoch,
      commitment: payload.commitment,
      recipients: payload.recipients,
      openedIndex: entry.index,
      signer,
      digest: hash,
      ...mark,
    })
    compartment.stale = false
    compartment.staleBecause = undefined
    compartment.disputedBy.clear()
    this.rights.give(rightTo.sealWith(compartment.id), entry.index)
  }

  /** Notes a recipient for whom the grant did not open; two persons make the epoch stale. */
  #dispute(entry: ViewEntry): void {
    const compartment = this.compartments.get(entry.compartment as CompartmentId)
    if (!compartment || entry.device === undefined) return
    compartment.disputedBy.add(entry.device)
    if (compartment.disputedBy.size >= 2) this.#stale(compartment, 'disputed', entry.index)
  }
}

/** Whether an entry is the next of its chain, whatever else is wrong with it. */
function follows(view: OperationView, entry: ViewEntry): boolean {
  try {
    requireEntry(view, entry)
    return true
  } catch (error) {
    if (error instanceof ProtocolError) return false
    throw error
  }
}

/**
 * Whether an error means that an entry is missing before this one: no later entry can then be
 * judged.
 */
export function breaksOrder({ code }: ProtocolError): boolean {
  return ['MEMBERS_HIDDEN', 'MEMBERS_CHAIN', 'EPOCH_HIDDEN', 'VIEW_ORDER'].includes(code)
}
