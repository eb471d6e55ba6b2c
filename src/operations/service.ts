import type { Permission } from '../access.ts'
import { reading, type Database } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { comparingForm, isTimeZone } from '../forms/index.ts'
import {
  type VerifyKeyCache,
  actInDirectory,
  allOrganizations,
  asActor,
  checked,
  findOrganizations,
  findPeople,
  justifiedBy,
  newestCertificates,
  peopleOf,
  viewOfOrganization,
  viewedDraft,
  type SignedInCaller,
  type Administrator,
  type CertifiedCaller,
} from '../identity/index.ts'
import type { EntryDraft, Logs } from '../log/index.ts'
import {
  checkGrantHeader,
  digestOf,
  memberVersion,
  readEpochStatement,
  readMemberStatement,
  verifySignature,
  type CompartmentId,
  type DeviceId,
  type MemberStatement,
  type OperationView,
  type PersonId,
} from '../protocol/index.ts'
import {
  admitOrganizationAct,
  certifiedDrafts,
  loadNewcomers,
  requireNewcomer,
  memberAct,
  updateAct,
  type EntryPlace,
  type UpdateInput,
} from './acts.ts'
import type { EntitledCaller } from './access.ts'
import { authorize } from './authorize.ts'
import { disputeAct, giveGrantsAct, mayHoldKey, openEpochAct, type GrantDigests } from './epoch-acts.ts'
import * as store from './store.ts'
import type { Views } from './views.ts'
import { sharesCompartment } from './visibility.ts'

/** The fewest characters of the beginning of a name that finds an organization. */
const fewestOfABeginning = 3
/** The most organizations that one name finds. */
const mostNamed = 20

export interface OperationServiceDeps {
  readonly db: Database
  readonly logs: Logs<OperationView>
  readonly clock: () => Date
  readonly views: Views
  readonly keys: VerifyKeyCache
}

export interface CreateInput {
  readonly statement: string
  readonly name: string
  readonly reference: string
  readonly timeZone: string
  readonly purpose?: string
}

/** Closed user groups: makes them, and does every act that changes who is in them. */
export class OperationService {
  readonly #deps: OperationServiceDeps

  constructor(deps: OperationServiceDeps) {
    this.#deps = deps
  }

  /** Creates an operation for an administrator, who names its first coordinators, never itself. */
  async create(actor: Administrator, input: CreateInput): Promise<{ operation: string }> {
    requireTimeZone(input.timeZone)
    const statement = await this.#readMember(input.statement)
    const { act } = statement
    if (act.act !== 'create-operation' || act.previous !== null || act.v !== memberVersion) {
      const detail = 'An operation begins with create-operation of version 2, which names no statement before it.'
      throw new Problem('STATEMENT_INVALID', { reason: 'ACT', detail })
    }
    if (statement.signer !== actor.device) throw new Problem('DEVICE_MISMATCH')
    const persons: string[] = act.coordinators.map(({ person }) => person)
    if (persons.includes(actor.person) || new Set(persons).size !== persons.length) {
      throw new Problem('MEMBER_RULE', {
        detail: 'An operation names each coordinator once, and never the person who creates it.',
      })
    }
    const { logs } = this.#deps
    await actInDirectory(this.#deps, actor, persons, async ({ tx, by, now, told }) => {
      const own = (await newestCertificates(tx, [actor.device])).get(actor.device)
      if (own === undefined) throw new Problem('DEVICE_NOT_CERTIFIED')
      if ((await digestOf(own)) !== statement.crt) throw new Problem('CERTIFICATE_OUTDATED')
      await store.enterOperation(tx, act.operation)
      const existing = await store.findOperation(tx, act.operation)
      if (existing) {
        if ((await store.statementsByHash(tx, act.operation, [statement.hash])).size === 0)
          throw new Problem('ALREADY_EXISTS')
        return
      }
      const newcomers = await loadNewcomers(tx, persons)
      const drafts = this.#creationDrafts(by, statement, newcomers, input)
      const created = await logs.create(tx, act.operation, drafts)
      const entries = created.entries.get(act.operation) ?? []
      await store.insertOperation(tx, {
        id: act.operation,
        name: input.name,
        reference: input.reference,
        time_zone: input.timeZone,
        purpose: input.purpose ?? null,
        state: 'draft',
        created_at: entries[0]?.at ?? now,
      })
      await store.insertStatement(tx, act.operation, statement.hash, statement.jws)
      const organizations = [...new Set(act.coordinators.map(({ organization }) => organization))]
      await store.insertOrganizations(
        tx,
        act.operation,
        organizations.map((organization) => ({ organization, index: 0 })),
      )
      for (const entry of entries) {
        if (entry.kind !== 'member.admitted') continue
        const coordinator = act.coordinators.find(({ person }) => person === entry.leaf.subject)
        if (!coordinator) continue
        await store.insertMember(tx, {
          operation_id: act.operation,
          person_id: coordinator.person,
          organization_id: coordinator.organization,
          role: 'coordinator',
          joined_index: entry.index,
        })
      }
      told(created)
    })
    return { operation: act.operation }
  }

  #creationDrafts(
    actor: SignedInCaller,
    statement: MemberStatement,
    newcomers: Awaited<ReturnType<typeof loadNewcomers>>,
    input: CreateInput,
  ): EntryDraft[] {
    const { act, hash } = statement
    if (act.act !== 'create-operation') return []
    const by = asActor(actor)
    const { name, reference, timeZone, purpose } = input
    const hashes = { old: null, new: hash }
    const make = (kind: EntryDraft['kind'], subject: string, details: Record<string, unknown>): EntryDraft => {
      const recorded = { session: actor.session, hashes, reason: 'creation', ...details }
      return {
        kind,
        actor: by,
        subject,
        digest: hash,
        details: recorded,
        statement: { type: 'member', value: statement },
      }
    }
    const drafts = [make('operation.created', act.operation, { name, reference, timeZone, purpose })]
    for (const { person, organization } of act.coordinators) {
      const newcomer = requireNewcomer(newcomers, person, organization, 'coordinator')
      drafts.push(make('member.admitted', person, { organization, role: 'coordinator' }))
      drafts.push(...certifiedDrafts({ ...by, session: actor.session }, newcomer.certificates))
    }
    return drafts
  }

  async #readMember(jws: string): Promise<MemberStatement> {
    return checked('STATEMENT_INVALID', async () => {
      const statement = await readMemberStatement(jws)
      await verifySignature(statement, await this.#deps.keys.of(statement.signer))
      return statement
    })
  }

  /** Does an act by member statement; `permission` is the one that its route declares. */
  async actOnMembers(
    { actor, membership: { operation } }: EntitledCaller,
    permission: Permission,
    { statement: jws, name, reason }: { statement: string; name?: string; reason?: string },
  ): Promise<EntryPlace> {
    const statement = await this.#readMember(jws)
    const input = {
      operation,
      statement,
      permission,
      ...(name === undefined ? {} : { compartmentName: name }),
      ...(reason === undefined ? {} : { reason }),
    }
    return this.#deps.logs.append(operation, memberAct, input, actor)
  }

  async admitOrganization(
    { actor, membership: { operation } }: EntitledCaller,
    admitted: { organization: string; reason?: string },
  ): Promise<EntryPlace> {
    return this.#deps.logs.append(operation, admitOrganizationAct, { operation, ...admitted }, actor)
  }

  async update(
    { actor, membership: { operation } }: EntitledCaller,
    change: Omit<UpdateInput, 'operation'>,
  ): Promise<EntryPlace> {
    if (change.timeZone !== undefined) requireTimeZone(change.timeZone)
    return this.#deps.logs.append(operation, updateAct, { operation, ...change }, actor)
  }

  async openEpoch(
    { actor, membership: { operation } }: EntitledCaller,
    jws: string,
    grants: readonly { device: string; grant: string }[],
  ): Promise<EntryPlace> {
    const statement = await checked('STATEMENT_INVALID', async () => {
      const read = await readEpochStatement(jws)
      await verifySignature(read, await this.#deps.keys.of(read.signer))
      return read
    })
    const { compartment, epoch } = statement.payload
    const digests: Record<string, string> = {}
    await checked('STATEMENT_INVALID', async () => {
      for (const { device, grant } of grants) {
        checkGrantHeader(grant, device as DeviceId, compartment, epoch)
        digests[device] = await digestOf(grant)
      }
    })
    return this.#deps.logs.append(operation, openEpochAct, { operation, statement, grants, digests }, actor)
  }

  async giveGrants(
    { actor, membership: { operation } }: EntitledCaller,
    compartment: string,
    grants: readonly { device: string; epoch: number; grant: string }[],
  ): Promise<EntryPlace> {
    const digests: Record<string, string> = {}
    await checked('STATEMENT_INVALID', async () => {
      for (const { device, epoch, grant } of grants) {
        checkGrantHeader(grant, device as DeviceId, compartment, epoch)
        digests[`${device}#${String(epoch)}`] = await digestOf(grant)
      }
    })
    const input = { operation, compartment, grants, digests: digests satisfies GrantDigests }
    return this.#deps.logs.append(operation, giveGrantsAct, input, actor)
  }

  async dispute(
    { actor, membership: { operation } }: EntitledCaller,
    compartment: string,
    epoch: number,
  ): Promise<EntryPlace> {
    return this.#deps.logs.append(operation, disputeAct, { operation, compartment, epoch }, actor)
  }

  /**
   * Checks a permission for acts that come over the live channel; routes declare it by their
   * access.
   */
  async entitle(actor: CertifiedCaller, operation: string, permission: Permission): Promise<EntitledCaller> {
    return { actor, membership: await reading(this.#deps.db, (tx) => authorize(tx, actor, operation, permission)) }
  }

  /**
   * Throws NOT_FOUND unless the person is a member; called before an act reaches the log, so that
   * no outsider feels its lock.
   */
  async requireMember(actor: SignedInCaller, operation: string): Promise<void> {
    const { db, views } = this.#deps
    if (views.remembers(operation, actor.person)) return
    await reading(db, async (tx) => {
      await authorize(tx, actor, operation, 'operation.read')
      await views.current(tx, operation)
    })
  }

  async list(actor: SignedInCaller) {
    return reading(this.#deps.db, async (tx) => {
      await store.enterAsPerson(tx, actor.person)
      const rows = await store.membershipsOf(tx, actor.person)
      return rows.map(({ id, name, reference, state, time_zone, role }) => ({
        operation: id,
        name,
        reference,
        state,
        timeZone: time_zone,
        role,
      }))
    })
  }

  async show(actor: SignedInCaller, operation: string) {
    return reading(this.#deps.db, async (tx) => {
      const { row, role, joinedIndex, organization } = await authorize(tx, actor, operation, 'operation.read')
      const view = await this.#deps.views.current(tx, operation)
      return {
        operation,
        name: row.name,
        reference: row.reference,
        state: row.state,
        timeZone: row.time_zone,
        purpose: store.purposeOf(row),
        history: view.history,
        allHolds: [...view.allHolds],
        role,
        organization,
        joinedIndex,
        head: view.head ?? null,
      }
    })
  }

  /**
   * Answers the members that the caller sees: a right holder sees those with whom it shares a
   * compartment.
   */
  async members(actor: SignedInCaller, operation: string) {
    return reading(this.#deps.db, async (tx) => {
      const { role, person } = await authorize(tx, actor, operation, 'member.list')
      const view = await this.#deps.views.current(tx, operation)
      const rows = (await store.membersOf(tx, operation)).filter(
        (row) => role !== 'right-holder' || sharesCompartment(view, person, row.person_id as PersonId),
      )
      const names = new Map(
        (
          await findPeople(
            tx,
            rows.map((row) => row.person_id),
          )
        ).map(({ id, name }) => [id, name]),
      )
      return rows.map((row) => ({
        person: row.person_id,
        name: names.get(row.person_id) ?? '',
        organization: row.organization_id,
        role: row.role,
        joinedIndex: row.joined_index,
        asleep: row.asleep,
      }))
    })
  }

  async organizations(actor: SignedInCaller, operation: string) {
    return reading(this.#deps.db, async (tx) => {
      const { role, person, organization } = await authorize(tx, actor, operation, 'member.list')
      const view = await this.#deps.views.current(tx, operation)
      const all = await store.organizationsOf(tx, operation)
      const shared = new Set(
        [...view.members.values()]
          .filter((member) => sharesCompartment(view, person, member.person))
          .map((member) => member.organization as string),
      )
      const visible = role === 'right-holder' ? all.filter((id) => id === organization || shared.has(id)) : all
      return (await findOrganizations(tx, visible)).map(viewOfOrganization)
    })
  }

  /**
   * Answers to who may admit organizations those of the service that a name could mean: it is their
   * name, or, from three characters on, its beginning. The view is recorded with the name.
   */
  async organizationsNamed(actor: SignedInCaller, operation: string, name: string, justification?: string) {
    return actInDirectory(this.#deps, actor, [], async ({ tx, by, enter }) => {
      const member = await authorize(tx, actor, operation, 'organization.admit')
      const wanted = comparingForm(name)
      const isMeant = (form: string) =>
        form === wanted || (wanted.length >= fewestOfABeginning && form.startsWith(wanted))
      const all = (await allOrganizations(tx)).map(viewOfOrganization)
      const found = all.filter((one) => !one.ended && isMeant(comparingForm(one.name))).slice(0, mostNamed)
      const why = justifiedBy(justification, store.purposeOf(member.row))
      await enter(viewedDraft(by, 'organizations', { operation, name, count: found.length, ...why }))
      return found
    })
  }

  /**
   * Answers the people who could be admitted: of an invited organization to coordinators, of its
   * own organization to an NCP.
   */
  async candidates(actor: SignedInCaller, operation: string, organization: string, justification?: string) {
    return actInDirectory(this.#deps, actor, [], async ({ tx, by, enter }) => {
      const member = await authorize(tx, actor, operation, 'member.admit')
      const own = member.role !== 'coordinator'
      const invited = (await store.organizationsOf(tx, operation)).includes(organization)
      if (!invited || (own && organization !== member.organization)) throw new Problem('NOT_FOUND')
      const people = await peopleOf(tx, organization)
      const why = justifiedBy(justification, store.purposeOf(member.row))
      await enter(viewedDraft(by, organization, { operation, count: people.length, ...why }))
      return people
    })
  }

  async compartments(actor: SignedInCaller, operation: string) {
    return reading(this.#deps.db, async (tx) => {
      const { person, role } = await authorize(tx, actor, operation, 'compartment.list')
      const view = await this.#deps.views.current(tx, operation)
      const names = new Map((await store.compartmentsOf(tx, operation)).map(({ id, name }) => [id, name]))
      const everything = role === 'coordinator' || role === 'auditor'
      return [...view.compartments.values()]
        .filter(({ id }) => everything || view.isIn(person, id))
        .map(({ id, epochs, stale }) => ({
          compartment: id,
          name: names.get(id) ?? 'all',
          epoch: epochs.length,
          stale,
          members: [...view.members.keys()].filter((member) => view.isIn(member, id)),
        }))
    })
  }

  async grants(actor: SignedInCaller, operation: string, compartment?: string) {
    return reading(this.#deps.db, async (tx) => {
      await authorize(tx, actor, operation, 'message.read')
      const view = await this.#deps.views.current(tx, operation)
      const rows = await store.grantsFor(tx, operation, actor.device, compartment)
      return rows
        .filter(({ compartment: id, epoch }) => {
          const opened = view.epoch(id as CompartmentId, epoch)
          return opened && mayHoldKey(view, actor.device as DeviceId, id as CompartmentId, opened.openedIndex)
        })
        .map(({ compartment: id, epoch, sealed }) => ({ compartment: id, epoch, grant: sealed }))
    })
  }

  /**
   * Answers the devices that lack keys which they may have and which the caller could give, by
   * compartment.
   */
  async grantRequests(
    actor: SignedInCaller,
    operation: string,
  ): Promise<{ compartment: string; device: string; epochs: number[] }[]> {
    return reading(this.#deps.db, async (tx) => {
      const { person } = await authorize(tx, actor, operation, 'grant.give')
      const view = await this.#deps.views.current(tx, operation)
      const compartments = view.compartmentsOf(person)
      const devices = [...new Set(compartments.flatMap((id) => view.recipients(id)))]
      const given = new Set(
        (await store.grantedEpochs(tx, operation, devices)).map(
          (row) => `${row.device} ${row.compartment} ${String(row.epoch)}`,
        ),
      )
      const requests: { compartment: string; device: string; epochs: number[] }[] = []
      for (const compartment of compartments) {
        const { epochs } = view.compartments.get(compartment) ?? { epochs: [] }
        for (const device of view.recipients(compartment)) {
          if (device === actor.device) continue
          const lacking = epochs
            .filter(
              ({ number, openedIndex }) =>
                mayHoldKey(view, device, compartment, openedIndex) &&
                !given.has(`${device} ${compartment} ${String(number)}`),
            )
            .map(({ number }) => number)
          if (lacking.length > 0) requests.push({ compartment, device, epochs: lacking })
        }
      }
      return requests
    })
  }
}

function requireTimeZone(timeZone: string): void {
  if (!isTimeZone(timeZone)) {
    throw new Problem('VALIDATION', {
      faults: [{ in: 'body', pointer: '/timeZone', reason: 'is no IANA time zone, such as Europe/Brussels' }],
    })
  }
}
