import { may, nextStates, rolesGrantableBy, type Holder, type Permission, type Role, type State } from '../access.ts'
import type { CompartmentId, OrganizationId, PersonId } from './ids.ts'
import type { MemberAct } from './members.ts'
import type { Member } from './operation-state.ts'
import type { OperationView } from './operation-view.ts'

/**
 * The reason for which an act on an operation is refused. The codes are those of the problems of
 * the service.
 */
export interface Refusal {
  readonly code:
    'NOT_FOUND' | 'FORBIDDEN' | 'OPERATION_STATE' | 'MEMBERS_MOVED' | 'MEMBER_RULE' | 'APPROVAL_NOT_AVAILABLE'
  readonly permission?: Permission
  /** Says more than the code, for a program. */
  readonly reason?: 'ASLEEP'
  readonly message: string
}

const rule = (message: string): Refusal => ({ code: 'MEMBER_RULE', message })
const moved: Refusal = {
  code: 'MEMBERS_MOVED',
  message: 'Another member statement came first: read it, then sign again.',
}
const absent: Refusal = { code: 'NOT_FOUND', message: 'There is no such thing here.' }

const holderOf = (view: OperationView, person: PersonId): Holder => (view.services.has(person) ? 'service' : 'person')

/** The refusal of every act of a member who sleeps in the operation. */
export function refuseSleeper(permission: Permission): Refusal {
  const message = 'You sleep in this operation until a member who may admit there wakes you.'
  return { code: 'FORBIDDEN', reason: 'ASLEEP', permission, message }
}

/**
 * Judges whether a member may use a permission now. The caller still has to check what access.md
 * says of `own`, `self` and `totals`.
 */
export function judgePermission(view: OperationView, member: Member, permission: Permission): Refusal | undefined {
  if (member.asleep) return refuseSleeper(permission)
  const verdict = may(member.role, permission, view.state)
  if (verdict.role === 'no')
    return { code: 'FORBIDDEN', permission, message: `Your role here does not include ${permission}.` }
  if (!verdict.state && !view.partial) {
    return {
      code: 'OPERATION_STATE',
      permission,
      message: `The operation is ${view.state}: ${permission} is not open in this state.`,
    }
  }
  return undefined
}

const forbidden = (permission: Permission, message: string): Refusal => ({ code: 'FORBIDDEN', permission, message })

/**
 * Judges whether this member may do this member act at this point of the log, by the rules of
 * `access.md`. The server uses it before it appends, every client before it believes.
 */
export function judgeMemberAct(view: OperationView, signer: Member, act: MemberAct): Refusal | undefined {
  if (act.operation !== view.operation) return absent
  switch (act.act) {
    case 'create-operation':
      return rule('This operation exists already.')
    case 'set-operation':
      return judgePermission(view, signer, 'operation.update') ?? behind(view, act)
    case 'advance':
      return judgePermission(view, signer, 'operation.advance') ?? judgeAdvance(view, act.state) ?? behind(view, act)
    case 'admit':
      return (
        judgeAdmit(view, signer, act.person, act.organization, act.role) ??
        needsSecondPerson(view, signer, act) ??
        behind(view, act)
      )
    case 'change-role':
      return (
        judgeChangeRole(view, signer, act.person, act.role) ?? needsSecondPerson(view, signer, act) ?? behind(view, act)
      )
    case 'wake':
      return judgeReach(view, signer, 'member.admit', act.person) ?? behind(view, act)
    case 'remove':
      return (
        ('person' in act
          ? judgeRemove(view, signer, act.person)
          : judgeRemoveOrganization(view, signer, act.organization)) ?? behind(view, act)
      )
    case 'create-compartment':
      return judgeCreateCompartment(view, signer, act.compartment, act.members, act.previous)
    case 'add-to-compartment':
    case 'remove-from-compartment':
      return judgeChangeCompartment(view, signer, act)
  }
}

/**
 * Judges a state: it must be the next one, or the present one, which is then confirmed. Archiving
 * takes two people.
 */
function judgeAdvance(view: OperationView, to: State): Refusal | undefined {
  if (view.partial || to === view.state) return undefined
  if (!nextStates(view.state).includes(to))
    return { code: 'OPERATION_STATE', message: `An operation that is ${view.state} does not become ${to}.` }
  if (to !== 'archived') return undefined
  const message = 'Archiving an operation takes two people, and approvals are not available yet.'
  return { code: 'APPROVAL_NOT_AVAILABLE', message }
}

function behind(view: OperationView, act: MemberAct): Refusal | undefined {
  return act.previous === (view.head ?? null) || view.partial ? undefined : moved
}

/**
 * Judges the reach `own` of the permissions member.*: an NCP acts on NCPs and officers of the own
 * organization.
 */
function judgeReach(
  view: OperationView,
  signer: Member,
  permission: Permission,
  person: PersonId,
): Refusal | undefined {
  const refused = judgePermission(view, signer, permission)
  if (refused) return refused
  const target = view.member(person)
  if (!target) return absent
  const reach = rolesGrantableBy(signer.role)
  if (reach.scope === 'own' && target.organization !== signer.organization) {
    return forbidden(permission, 'An NCP acts on people of its own organization only.')
  }
  if (!reach.roles.includes(target.role))
    return forbidden(permission, `Your role does not act on members who are ${target.role}.`)
  return undefined
}

function judgeAdmit(
  view: OperationView,
  signer: Member,
  person: PersonId,
  organization: OrganizationId,
  role: Role,
): Refusal | undefined {
  const refused = judgePermission(view, signer, 'member.admit')
  if (refused) return refused
  if (person === signer.person) return forbidden('member.admit', 'You cannot add yourself.')
  const reach = rolesGrantableBy(signer.role, holderOf(view, person))
  if (reach.scope === 'own' && organization !== signer.organization) {
    return forbidden('member.admit', 'An NCP admits people of its own organization only.')
  }
  if (!reach.roles.includes(role)) return forbidden('member.admit', `Your role does not admit anybody as ${role}.`)
  if (view.member(person)) return rule('This person is a member already.')
  if (!view.organizations.has(organization) && !view.partial)
    return rule('Invite the organization into the operation first.')
  return undefined
}

/**
 * Whether an act needs a second person. Making a coordinator or an auditor does, once the operation
 * has two coordinators. A member who took a coordinator out of that role needs a second person
 * however many are left: otherwise one person could reduce two coordinators to one and replace the
 * other (decision 0050).
 */
function needsSecondPerson(
  view: OperationView,
  signer: Member,
  { role, v }: Extract<MemberAct, { role: Role }>,
): Refusal | undefined {
  if (role !== 'coordinator' && role !== 'auditor') return undefined
  const unseated = v > 1 && view.unseated.has(signer.person)
  if (coordinators(view) < 2 && !unseated) return undefined
  return {
    code: 'APPROVAL_NOT_AVAILABLE',
    message: `Making a member ${role} takes two people of different organizations, and approvals are not available yet.`,
  }
}

const coordinators = (view: OperationView) =>
  [...view.members.values()].filter(({ role }) => role === 'coordinator').length

const isLastCoordinator = (view: OperationView, person: PersonId) =>
  view.member(person)?.role === 'coordinator' && coordinators(view) === 1

function judgeChangeRole(view: OperationView, signer: Member, person: PersonId, role: Role): Refusal | undefined {
  const refused = judgeReach(view, signer, 'member.change-role', person)
  if (refused) return refused
  if (person === signer.person) return forbidden('member.change-role', 'You cannot change your own role.')
  if (!rolesGrantableBy(signer.role, holderOf(view, person)).roles.includes(role)) {
    return forbidden('member.change-role', `Your role does not make anybody ${role}.`)
  }
  if (view.member(person)?.role === role) return rule('The member has this role already.')
  return isLastCoordinator(view, person) ? rule('The last coordinator stays coordinator.') : undefined
}

function judgeRemove(view: OperationView, signer: Member, person: PersonId): Refusal | undefined {
  const refused = judgeReach(view, signer, 'member.remove', person)
  if (refused) return refused
  return isLastCoordinator(view, person) ? rule('The last coordinator cannot be removed.') : undefined
}

function judgeRemoveOrganization(
  view: OperationView,
  signer: Member,
  organization: OrganizationId,
): Refusal | undefined {
  const refused = judgePermission(view, signer, 'organization.remove')
  if (refused) return refused
  if (!view.organizations.has(organization) && !view.partial) return absent
  const remaining = [...view.members.values()].some(
    (member) => member.role === 'coordinator' && member.organization !== organization,
  )
  return remaining || view.partial ? undefined : rule('The last coordinator cannot be removed.')
}

function judgeCreateCompartment(
  view: OperationView,
  signer: Member,
  compartment: CompartmentId,
  members: readonly PersonId[],
  previous: string | null,
): Refusal | undefined {
  const refused = judgePermission(view, signer, 'compartment.create')
  if (refused) return refused
  if (view.compartments.has(compartment)) return rule('This compartment exists already.')
  if (previous !== null) return moved
  if (members.includes(signer.person)) return rule('The creator is the first member and is not named again.')
  for (const person of members) {
    const unfit = judgeFit(view, person)
    if (unfit) return unfit
  }
  return undefined
}

function judgeFit(view: OperationView, person: PersonId): Refusal | undefined {
  const member = view.member(person)
  if (!member) return rule('Only members of the operation can be in a compartment.')
  return member.role === 'auditor'
    ? rule('Auditors see acts, never content: they belong to no compartment.')
    : undefined
}

function judgeChangeCompartment(
  view: OperationView,
  signer: Member,
  act: Extract<MemberAct, { act: 'add-to-compartment' | 'remove-from-compartment' }>,
): Refusal | undefined {
  const compartment = act.compartment
  const person = act.person
  if (compartment === view.all) return rule('Who is in the compartment of all follows from the roles.')
  if (!view.isIn(signer.person, compartment)) return absent
  const refused = judgePermission(view, signer, 'compartment.change-members')
  if (refused) return refused
  if (act.act === 'add-to-compartment') {
    if (person === signer.person) return forbidden('compartment.change-members', 'You cannot add yourself.')
    const unfit = judgeFit(view, person)
    if (unfit) return unfit
    if (view.isIn(person, compartment)) return rule('This member is in the compartment already.')
  } else if (!view.isIn(person, compartment)) {
    return absent
  }
  return act.previous === (view.compartments.get(compartment)?.head ?? null) ? undefined : moved
}
