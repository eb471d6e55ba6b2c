import { mayHold, type Holder, type OrganizationKind, type Permission, type Role } from '../access.ts'
import type { Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import {
  asActor,
  findOrganizations,
  findPeople,
  liveCertificatesOf,
  queueNotices,
  serviceAccountsAmong,
} from '../identity/index.ts'
import type { Act, CommittedEntry, DecideContext, EntryDraft, Standing } from '../log/index.ts'
import {
  judgeMemberAct,
  memberVersion,
  readCertificate,
  type Certificate,
  type DeviceId,
  type MemberStatement,
  type OperationView,
  type OrganizationId,
  type PersonId,
} from '../protocol/index.ts'
import { authorizeIn, toProblem } from './authorize.ts'
import { tellOfSleepers } from './sleepers.ts'
import * as store from './store.ts'

/** Writes the rows that an accepted act stores besides its entries. */
export type Write = (tx: Tx, entries: readonly CommittedEntry[]) => Promise<void>

export async function writeAll(
  tx: Tx,
  rows: readonly { row: Write; entries: readonly CommittedEntry[] }[],
): Promise<void> {
  for (const { row, entries } of rows) await row(tx, entries)
}

export interface EntryPlace {
  /** Index of the first entry that the act made; absent where the act was stored before. */
  readonly index?: number
}

export const placed = (committed: readonly CommittedEntry[]): EntryPlace =>
  committed[0] ? { index: committed[0].index } : {}
export const repeated = { entries: [], rows: [], answer: (): EntryPlace => ({}) }
const indexOf = (entries: readonly CommittedEntry[]): number => entries[0]?.index ?? -1

type Context<I, L> = DecideContext<OperationView, I, L, Standing>

/**
 * Answers the certificate under which the caller signs in this operation; the statement must name
 * it.
 */
export function requireSigner(
  view: OperationView,
  actor: Standing,
  statement: { signer: DeviceId; crt: string },
): void {
  if (statement.signer !== actor.device) throw new Problem('DEVICE_MISMATCH')
  const certificate = view.devices.get(statement.signer)
  if (!certificate || certificate.person !== actor.person) throw new Problem('DEVICE_NOT_CERTIFIED')
  if (statement.crt !== certificate.hash) throw new Problem('CERTIFICATE_OUTDATED')
}

export interface MemberInput {
  readonly operation: string
  readonly statement: MemberStatement
  /** The permission that the route declared, so that no route does another route's act. */
  readonly permission: Permission
  readonly compartmentName?: string
  readonly reason?: string
}

export interface Newcomer {
  readonly organization: string
  readonly kind: OrganizationKind
  readonly holder: Holder
  readonly certificates: readonly Certificate[]
}

interface LoadedMembers {
  readonly stored: Map<string, string>
  readonly newcomers: Map<string, Newcomer>
}

const permissionOf = (statement: MemberStatement): Permission => {
  const { act } = statement
  switch (act.act) {
    case 'admit':
    case 'wake':
      return 'member.admit'
    case 'change-role':
      return 'member.change-role'
    case 'remove':
      return 'person' in act ? 'member.remove' : 'organization.remove'
    case 'create-compartment':
      return 'compartment.create'
    case 'add-to-compartment':
    case 'remove-from-compartment':
      return 'compartment.change-members'
    case 'advance':
      return 'operation.advance'
    case 'set-operation':
    case 'create-operation':
      return 'operation.update'
  }
}

/**
 * Answers the people whom a statement is about, where their devices and organization are needed to
 * decide.
 */
const subjectsOf = ({ statement: { act } }: MemberInput): string[] =>
  act.act === 'admit' || act.act === 'change-role' || act.act === 'wake' ? [act.person] : []

export async function loadNewcomers(tx: Tx, persons: readonly string[]): Promise<Map<string, Newcomer>> {
  if (persons.length === 0) return new Map()
  const people = (await findPeople(tx, persons)).filter(
    ({ ended_at, asleep_at }) => ended_at === null && asleep_at === null,
  )
  const organizations = new Map(
    (await findOrganizations(tx, [...new Set(people.map(({ organization_id }) => organization_id))]))
      .filter(({ ended_at }) => ended_at === null)
      .map((row) => [row.id, row.kind]),
  )
  const services = await serviceAccountsAmong(tx, persons)
  const certificates = Map.groupBy(await liveCertificatesOf(tx, persons), ({ person }) => person)
  const newcomers = new Map<string, Newcomer>()
  for (const { id, organization_id } of people) {
    const kind = organizations.get(organization_id)
    if (kind === undefined || services.get(id) === 'ended') continue
    const holder = services.has(id) ? 'service' : 'person'
    const live = await Promise.all((certificates.get(id) ?? []).map(({ jws }) => readCertificate(jws)))
    newcomers.set(id, { organization: organization_id, kind, holder, certificates: live })
  }
  return newcomers
}

/** Makes the entries that tell an operation which devices a newcomer has. */
export function certifiedDrafts(
  { session, ...by }: { person: string; organization: string; device: string; session: string },
  certificates: readonly Certificate[],
): EntryDraft[] {
  return certificates.map((certificate) => {
    return {
      kind: 'device.certified',
      actor: by,
      subject: certificate.device,
      digest: certificate.hash,
      details: { session, outcome: 'accepted', reason: 'admission' },
      statement: { type: 'certificate', value: certificate },
    }
  })
}

/**
 * The most compartments beside that of all. The service and every client look at each entry about a
 * member in every one of them.
 */
const mostCompartments = 200

/**
 * Every act by member statement: judged by the rule book that clients apply, then recorded with its
 * statement.
 */
export const memberAct: Act<OperationView, MemberInput, LoadedMembers, Write, EntryPlace> = {
  name: 'member act',
  persons: subjectsOf,
  key: ({ statement }) => statement.hash,
  async load(tx, view, inputs) {
    return {
      stored: await store.statementsByHash(
        tx,
        view.operation,
        inputs.map(({ statement }) => statement.hash),
      ),
      newcomers: await loadNewcomers(tx, [...new Set(inputs.flatMap(subjectsOf))]),
    }
  },
  decide(context) {
    const { snapshot: view, loaded, input, actor } = context
    const { statement, permission, operation } = input
    const { act, hash } = statement
    if (permissionOf(statement) !== permission || act.operation !== operation) throw new Problem('NOT_FOUND')
    const member = authorizeIn(view, actor, permission)
    if (loaded.stored.has(hash)) return repeated
    requireSigner(view, actor, statement)
    if (act.v !== memberVersion)
      throw new Problem('STATEMENT_INVALID', { detail: `A new statement has v ${String(memberVersion)}.` })
    const refusal = judgeMemberAct(view, member, act)
    if (refusal) throw toProblem(refusal)
    if (act.act === 'create-compartment' && view.compartments.size > mostCompartments)
      throw new Problem('TOO_MANY', { most: mostCompartments, detail: 'An operation can have no more compartments.' })
    const { entries, write } = enter(context)
    return { entries, rows: [storing(operation, statement, write)], answer: placed }
  },
  write: writeAll,
}

function storing(operation: string, statement: MemberStatement, write: Write): Write {
  return async (tx, entries) => {
    await store.insertStatement(tx, operation, statement.hash, statement.jws)
    await write(tx, entries)
  }
}

interface ActResult {
  entries: EntryDraft[]
  write: Write
}

/**
 * Makes an entry of this act: its statement, its digest, and `details` beside the details of every
 * act.
 */
type Draft = (
  kind: EntryDraft['kind'],
  subject: string,
  details: Record<string, unknown>,
  compartment?: string,
) => EntryDraft

interface MemberActContext extends Context<MemberInput, LoadedMembers> {
  readonly draft: Draft
}

type ActOf<K extends MemberStatement['act']['act']> = Extract<MemberStatement['act'], { readonly act: K }>

/** Makes the entries and rows of an accepted act. */
function enter(context: Context<MemberInput, LoadedMembers>): ActResult {
  const entering: MemberActContext = { ...context, draft: draftsOf(context) }
  const { act } = context.input.statement
  switch (act.act) {
    case 'create-operation':
      throw new Problem('NOT_FOUND')
    case 'set-operation':
      return enterRules(entering, act)
    case 'advance':
      return enterState(entering, act)
    case 'admit':
      return enterAdmission(entering, act)
    case 'change-role':
      return enterRole(entering, act)
    case 'wake':
      return enterWaking(entering, act)
    case 'remove':
      return 'person' in act ? enterRemoval(entering, act.person) : enterDeparture(entering, act.organization)
    case 'create-compartment':
      return enterCompartment(entering, act)
    case 'add-to-compartment':
      return enterCompartmentMember(entering, act)
    case 'remove-from-compartment':
      return enterCompartmentRemoval(entering, act)
  }
}

function draftsOf({ input, actor }: Context<MemberInput, LoadedMembers>): Draft {
  const { statement, reason = null } = input
  const hashes = { old: statement.act.previous, new: statement.hash }
  return (kind, subject, details, compartment) => {
    return {
      kind,
      actor: asActor(actor),
      subject,
      digest: statement.hash,
      details: { session: actor.session, hashes, reason, ...details },
      statement: { type: 'member', value: statement },
      ...(compartment === undefined ? {} : { compartment }),
    }
  }
}

function enterRules({ snapshot: view, input, draft }: MemberActContext, act: ActOf<'set-operation'>): ActResult {
  const old = { history: view.history, allHolds: view.allHolds }
  const details = { old, new: { history: act.history, allHolds: act.allHolds } }
  return { entries: [draft('operation.rules-set', input.operation, details)], write: async () => {} }
}

function enterState({ snapshot: view, input, actor, draft }: MemberActContext, { state }: ActOf<'advance'>): ActResult {
  return {
    entries: [draft('operation.advanced', state, { old: view.state, new: state })],
    write: async (tx, [entry]) => {
      await store.updateOperation(tx, input.operation, { state })
      if (entry) await queueNotices(tx, tellOfSleepers(view, state, actor.person), entry.at)
    },
  }
}

function enterAdmission({ loaded, input, actor, draft }: MemberActContext, act: ActOf<'admit'>): ActResult {
  const { person, organization, role } = act
  const newcomer = requireNewcomer(loaded.newcomers, person, organization, role)
  const by = { ...asActor(actor), session: actor.session }
  return {
    entries: [draft('member.admitted', person, { organization, role }), ...certifiedDrafts(by, newcomer.certificates)],
    write: (tx, entries) =>
      store.insertMember(tx, {
        operation_id: input.operation,
        person_id: person,
        organization_id: organization,
        role,
        joined_index: indexOf(entries),
      }),
  }
}

function enterRole({ snapshot: view, loaded, input, draft }: MemberActContext, act: ActOf<'change-role'>): ActResult {
  const { person, role } = act
  const member = view.member(person)
  requireNewcomer(loaded.newcomers, person, member?.organization ?? '', role)
  return {
    entries: [draft('member.role-changed', person, { old: member?.role, new: role })],
    write: (tx) => store.updateMember(tx, input.operation, person, { role }),
  }
}

function enterWaking({ loaded, input, draft }: MemberActContext, { person }: ActOf<'wake'>): ActResult {
  // The contact point of a person wakes the account first; a coordinator then wakes the membership.
  if (!loaded.newcomers.has(person)) throw new Problem('MEMBER_RULE', { detail: 'The account itself sleeps.' })
  return {
    entries: [draft('member.woken', person, {})],
    write: (tx) => store.updateMember(tx, input.operation, person, { asleep: false }),
  }
}

function enterRemoval({ snapshot: view, input, draft }: MemberActContext, person: PersonId): ActResult {
  return {
    entries: [draft('member.removed', person, { role: view.member(person)?.role })],
    write: (tx) => store.deleteMember(tx, input.operation, person),
  }
}

/**
 * Makes the entries of an organization that leaves: each of its members is removed, then the
 * organization itself.
 */
function enterDeparture({ snapshot: view, input, draft }: MemberActContext, organization: OrganizationId): ActResult {
  const gone = [...view.members.values()].filter((member) => member.organization === organization)
  const removals = gone.map(({ person, role }) =>
    draft('member.removed', person, { role, withOrganization: organization }),
  )
  return {
    entries: [...removals, draft('operation.organization-removed', organization, {})],
    write: async (tx) => {
      for (const { person } of gone) await store.deleteMember(tx, input.operation, person)
      await store.deleteOrganization(tx, input.operation, organization)
    },
  }
}

function enterCompartment({ input, actor, draft }: MemberActContext, act: ActOf<'create-compartment'>): ActResult {
  const { compartment, members } = act
  const name = input.compartmentName ?? ''
  return {
    entries: [draft('compartment.created', compartment, { name, members }, compartment)],
    write: (tx, entries) => {
      const row = { operation_id: input.operation, id: compartment, name, created_index: indexOf(entries) }
      return store.insertCompartment(tx, row, [actor.person, ...members])
    },
  }
}

function enterCompartmentMember({ input, draft }: MemberActContext, act: ActOf<'add-to-compartment'>): ActResult {
  const { compartment, person } = act
  return {
    entries: [draft('compartment.member-added', person, {}, compartment)],
    write: (tx, entries) => store.insertCompartmentMember(tx, input.operation, compartment, person, indexOf(entries)),
  }
}

function enterCompartmentRemoval({ input, draft }: MemberActContext, act: ActOf<'remove-from-compartment'>): ActResult {
  const { compartment, person } = act
  return {
    entries: [draft('compartment.member-removed', person, {}, compartment)],
    write: (tx) => store.deleteCompartmentMember(tx, input.operation, compartment, person),
  }
}

/**
 * Answers the person as the directory has it: of this organization, and of a kind that may hold the
 * role.
 */
export function requireNewcomer(
  newcomers: ReadonlyMap<string, Newcomer>,
  person: string,
  organization: string,
  role: Role,
): Newcomer {
  const newcomer = newcomers.get(person)
  if (!newcomer || newcomer.organization !== organization) throw new Problem('NOT_FOUND')
  const { kind, holder, certificates } = newcomer
  const rule = (detail: string) => new Problem('MEMBER_RULE', { detail })
  if (!mayHold(kind, role)) throw rule(`Nobody of an organization of the kind ${kind} can be ${role}.`)
  if (!mayHold(kind, role, holder)) throw rule(`A service account is officer at most, never ${role}.`)
  // Before its device is certified the log cannot show that it is none of the people whom its role
  // takes into the compartment of all.
  if (holder === 'service' && certificates.length === 0)
    throw rule('A service account can be admitted once its device is certified.')
  return newcomer
}

export interface OrganizationActInput {
  readonly operation: string
  readonly organization: string
  readonly reason?: string
}

/** Invites an organization: its people can be admitted from now on. */
export const admitOrganizationAct: Act<OperationView, OrganizationActInput, Set<string>, Write, EntryPlace> = {
  name: 'admit organization',
  async load(tx, _view, inputs) {
    const rows = await findOrganizations(
      tx,
      inputs.map(({ organization }) => organization),
    )
    return new Set(rows.filter(({ ended_at }) => ended_at === null).map(({ id }) => id))
  },
  decide({ snapshot: view, loaded, input, actor }) {
    authorizeIn(view, actor, 'organization.admit')
    if (!loaded.has(input.organization)) throw new Problem('NOT_FOUND')
    if ([...view.organizations].some((id) => id === input.organization)) return repeated
    const details = { session: actor.session, reason: input.reason ?? null }
    return {
      entries: [
        { kind: 'operation.organization-admitted', actor: asActor(actor), subject: input.organization, details },
      ],
      rows: [
        (tx, entries) =>
          store.insertOrganizations(tx, input.operation, [
            { organization: input.organization, index: indexOf(entries) },
          ]),
      ],
      answer: placed,
    }
  },
  write: writeAll,
}

export interface UpdateInput {
  readonly operation: string
  readonly name?: string
  readonly timeZone?: string
  readonly purpose?: string
  readonly reason?: string
}

type Changeable = Pick<store.OperationRow, 'name' | 'time_zone' | 'purpose'>

export const updateAct: Act<OperationView, UpdateInput, Changeable | undefined, Write, EntryPlace> = {
  name: 'update operation',
  // One act to a group, so that each entry says what it replaced.
  key: ({ operation }) => operation,
  load: (tx, view) => store.findOperation(tx, view.operation),
  decide({ snapshot: view, loaded, input, actor }) {
    authorizeIn(view, actor, 'operation.update')
    if (!loaded) throw new Problem('NOT_FOUND')
    const { name = loaded.name, timeZone = loaded.time_zone, purpose = loaded.purpose, reason = null } = input
    const wanted: Changeable = { name, time_zone: timeZone, purpose }
    const columns = (['name', 'time_zone', 'purpose'] as const).filter((column) => wanted[column] !== loaded[column])
    if (columns.length === 0) return repeated
    const only = (row: Changeable) => Object.fromEntries(columns.map((column) => [column, row[column]]))
    const change = only(wanted)
    const details = { session: actor.session, old: only(loaded), new: change, reason }
    return {
      entries: [{ kind: 'operation.updated', actor: asActor(actor), subject: input.operation, details }],
      rows: [(tx) => store.updateOperation(tx, input.operation, change)],
      answer: placed,
    }
  },
  write: writeAll,
}
