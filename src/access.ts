/**
 * Who may do what, and when, and who sees which entries: three tables and the rules beside them.
 * They are pure, so that a client can tell beforehand what it may do.
 */

export const roles = [
  'coordinator',
  'analyst',
  'ncp',
  'officer',
  'partner',
  'right-holder',
  'observer',
  'auditor',
] as const

export type Role = (typeof roles)[number]

/** The states of an operation in the order it passes through them. */
export const states = ['draft', 'rehearsal', 'active', 'reporting', 'closed', 'archived'] as const

export type State = (typeof states)[number]

export type Grant = 'yes' | 'own' | 'self' | 'totals' | 'no'

type RoleRow = readonly [Grant, Grant, Grant, Grant, Grant, Grant, Grant, Grant]

// Columns: coordinator, analyst, ncp, officer, partner, right-holder, observer, auditor.
const grantsByRole = {
  'operation.read': ['yes', 'yes', 'yes', 'yes', 'yes', 'own', 'yes', 'yes'],
  'operation.update': ['yes', 'no', 'no', 'no', 'no', 'no', 'no', 'no'],
  'operation.advance': ['yes', 'no', 'no', 'no', 'no', 'no', 'no', 'no'],
  'organization.admit': ['yes', 'no', 'no', 'no', 'no', 'no', 'no', 'no'],
  'organization.remove': ['yes', 'no', 'no', 'no', 'no', 'no', 'no', 'no'],
  'member.list': ['yes', 'yes', 'yes', 'yes', 'yes', 'own', 'yes', 'yes'],
  'member.admit': ['yes', 'no', 'own', 'no', 'no', 'no', 'no', 'no'],
  'member.change-role': ['yes', 'no', 'own', 'no', 'no', 'no', 'no', 'no'],
  'member.remove': ['yes', 'no', 'own', 'no', 'no', 'no', 'no', 'no'],
  'compartment.list': ['yes', 'own', 'own', 'own', 'own', 'own', 'own', 'yes'],
  'compartment.create': ['yes', 'yes', 'yes', 'no', 'no', 'no', 'no', 'no'],
  'compartment.change-members': ['own', 'own', 'own', 'no', 'no', 'no', 'no', 'no'],
  'epoch.open': ['own', 'own', 'own', 'own', 'own', 'no', 'no', 'no'],
  'grant.give': ['own', 'own', 'own', 'own', 'own', 'self', 'self', 'no'],
  'thread.open': ['own', 'own', 'own', 'own', 'own', 'no', 'no', 'no'],
  'message.read': ['own', 'own', 'own', 'own', 'own', 'own', 'own', 'no'],
  'message.post': ['own', 'own', 'own', 'own', 'own', 'own', 'no', 'no'],
  'message.correct': ['own', 'own', 'own', 'own', 'own', 'own', 'no', 'no'],
  'message.withdraw': ['own', 'own', 'own', 'own', 'own', 'own', 'no', 'no'],
  'attachment.upload': ['own', 'own', 'own', 'own', 'own', 'own', 'no', 'no'],
  'attachment.open': ['own', 'own', 'own', 'own', 'own', 'own', 'own', 'no'],
  'warning.issue': ['own', 'own', 'own', 'own', 'own', 'no', 'no', 'no'],
  'warning.assign': ['yes', 'own', 'own', 'no', 'no', 'no', 'no', 'no'],
  'warning.answer': ['own', 'own', 'own', 'own', 'own', 'no', 'no', 'no'],
  'seizure.report': ['own', 'no', 'own', 'own', 'no', 'no', 'no', 'no'],
  'nil.report': ['no', 'no', 'own', 'own', 'no', 'no', 'no', 'no'],
  'bulletin.publish': ['own', 'own', 'no', 'no', 'no', 'no', 'no', 'no'],
  'form.define': ['yes', 'no', 'no', 'no', 'no', 'no', 'no', 'no'],
  'library.publish': ['own', 'own', 'own', 'no', 'own', 'no', 'no', 'no'],
  'contact.list': ['yes', 'yes', 'yes', 'yes', 'yes', 'own', 'yes', 'yes'],
  'records.import': ['own', 'own', 'own', 'own', 'no', 'no', 'no', 'no'],
  'report.view': ['yes', 'yes', 'yes', 'yes', 'totals', 'no', 'totals', 'yes'],
  'report.export': ['yes', 'yes', 'own', 'no', 'no', 'no', 'no', 'no'],
  'sitrep.publish': ['yes', 'yes', 'no', 'no', 'no', 'no', 'no', 'no'],
  'log.query': ['yes', 'no', 'own', 'own', 'own', 'own', 'own', 'yes'],
  'log.verify': ['yes', 'yes', 'yes', 'yes', 'yes', 'yes', 'yes', 'yes'],
  'log.export': ['no', 'no', 'no', 'no', 'no', 'no', 'no', 'yes'],
  'disclosure.request': ['yes', 'no', 'no', 'no', 'no', 'no', 'no', 'yes'],
  'disclosure.approve': ['yes', 'no', 'yes', 'no', 'no', 'no', 'no', 'no'],
  'erasure.request': ['yes', 'no', 'no', 'no', 'no', 'no', 'no', 'no'],
  'erasure.approve': ['yes', 'no', 'yes', 'no', 'no', 'no', 'no', 'no'],
  'approval.give': ['yes', 'no', 'yes', 'no', 'no', 'no', 'no', 'no'],
  'operation.destroy': ['yes', 'no', 'no', 'no', 'no', 'no', 'no', 'no'],
} as const satisfies Record<string, RoleRow>

export type Permission = keyof typeof grantsByRole

type StateRow = readonly [boolean, boolean, boolean, boolean, boolean, boolean]

// Columns: draft, rehearsal, active, reporting, closed, archived.
const openInState: Record<Permission, StateRow> = {
  'operation.read': [true, true, true, true, true, true],
  'operation.update': [true, true, true, true, false, false],
  'operation.advance': [true, true, true, true, true, false],
  'organization.admit': [true, true, true, false, false, false],
  'organization.remove': [true, true, true, true, true, false],
  'member.list': [true, true, true, true, true, true],
  'member.admit': [true, true, true, true, false, false],
  'member.change-role': [true, true, true, true, false, false],
  'member.remove': [true, true, true, true, true, false],
  'compartment.list': [true, true, true, true, true, false],
  'compartment.create': [true, true, true, true, false, false],
  'compartment.change-members': [true, true, true, true, false, false],
  'epoch.open': [true, true, true, true, false, false],
  'grant.give': [true, true, true, true, true, false],
  'thread.open': [false, true, true, true, false, false],
  'message.read': [false, true, true, true, true, false],
  'message.post': [false, true, true, true, false, false],
  'message.correct': [false, true, true, true, false, false],
  'message.withdraw': [false, true, true, true, false, false],
  'attachment.upload': [false, true, true, true, false, false],
  'attachment.open': [false, true, true, true, true, false],
  'warning.issue': [false, true, true, false, false, false],
  'warning.assign': [false, true, true, true, false, false],
  'warning.answer': [false, true, true, true, false, false],
  'seizure.report': [false, true, true, true, false, false],
  'nil.report': [false, true, true, true, false, false],
  'bulletin.publish': [false, true, true, true, false, false],
  'form.define': [true, true, true, false, false, false],
  'library.publish': [false, true, true, true, false, false],
  'contact.list': [true, true, true, true, true, false],
  'records.import': [false, true, true, true, false, false],
  'report.view': [false, true, true, true, true, true],
  'report.export': [false, true, true, true, true, true],
  'sitrep.publish': [false, true, true, true, false, false],
  'log.query': [true, true, true, true, true, true],
  'log.verify': [true, true, true, true, true, true],
  'log.export': [true, true, true, true, true, true],
  'disclosure.request': [false, true, true, true, true, true],
  'disclosure.approve': [false, true, true, true, true, true],
  'erasure.request': [false, false, true, true, true, true],
  'erasure.approve': [false, false, true, true, true, true],
  'approval.give': [true, true, true, true, true, true],
  'operation.destroy': [false, false, false, false, false, true],
}

export const permissions = Object.keys(grantsByRole) as readonly Permission[]

const permissionSet: ReadonlySet<string> = new Set(permissions)

export function isPermission(value: unknown): value is Permission {
  return typeof value === 'string' && permissionSet.has(value)
}

export function isRole(value: unknown): value is Role {
  return (roles as readonly unknown[]).includes(value)
}

export function isState(value: unknown): value is State {
  return (states as readonly unknown[]).includes(value)
}

export interface Verdict {
  /**
   * The grant of the role. For `own`, `self` and `totals` the caller must also check what access.md
   * says of them.
   */
  readonly role: Grant
  /** Whether the state of the operation permits it. */
  readonly state: boolean
  /**
   * Whether role and state both permit it. For `own`, `self` or `totals` this is necessary and not
   * sufficient.
   */
  readonly allowed: boolean
}

/**
 * Whether a role may use a permission while the operation is in a state. Throws RangeError for a
 * role, a permission or a state that does not exist: a misspelt rule must not become a rule that
 * never matches.
 */
export function may(role: Role, permission: Permission, state: State): Verdict {
  const column = roles.indexOf(role)
  const stage = states.indexOf(state)
  if (!isPermission(permission)) throw new RangeError(`no such permission: ${String(permission)}`)
  const grant = grantsByRole[permission][column]
  const open = openInState[permission][stage]
  if (grant === undefined) throw new RangeError(`no such role: ${String(role)}`)
  if (open === undefined) throw new RangeError(`no such state: ${String(state)}`)
  return { role: grant, state: open, allowed: grant !== 'no' && open }
}

export type Sight = 'yes' | 'compartment' | 'no'

type SightRow = readonly [Sight, Sight, Sight, Sight, Sight, Sight, Sight, Sight]

// Columns as above. A pattern ends in `.*`, which stands for one further word.
const sightOfKinds: Readonly<Record<string, SightRow>> = {
  'operation.*': ['yes', 'yes', 'yes', 'yes', 'yes', 'no', 'yes', 'yes'],
  'member.*': ['yes', 'yes', 'yes', 'yes', 'yes', 'compartment', 'yes', 'yes'],
  'device.*': ['yes', 'yes', 'yes', 'yes', 'yes', 'compartment', 'yes', 'yes'],
  'compartment.*': [
    'yes',
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'yes',
  ],
  'epoch.*': [
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'yes',
  ],
  'message.*': [
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'yes',
  ],
  'attachment.stored': [
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'compartment',
    'yes',
  ],
  'form.*': ['yes', 'yes', 'yes', 'yes', 'yes', 'compartment', 'yes', 'yes'],
  'warning.*': ['yes', 'compartment', 'compartment', 'compartment', 'compartment', 'no', 'compartment', 'yes'],
  'feed.opened': ['no', 'no', 'no', 'no', 'no', 'no', 'no', 'yes'],
  'messages.*': ['no', 'no', 'no', 'no', 'no', 'no', 'no', 'yes'],
  'body.*': ['no', 'no', 'no', 'no', 'no', 'no', 'no', 'yes'],
  'attachment.opened': ['no', 'no', 'no', 'no', 'no', 'no', 'no', 'yes'],
  'report.*': ['yes', 'yes', 'yes', 'yes', 'no', 'no', 'no', 'yes'],
  'export.*': ['yes', 'no', 'no', 'no', 'no', 'no', 'no', 'yes'],
  'history.granted': ['yes', 'compartment', 'compartment', 'compartment', 'compartment', 'no', 'compartment', 'yes'],
  'records.imported': ['yes', 'yes', 'yes', 'no', 'no', 'no', 'no', 'yes'],
  'log.*': ['yes', 'no', 'no', 'no', 'no', 'no', 'no', 'yes'],
  'access.refused': ['no', 'no', 'no', 'no', 'no', 'no', 'no', 'yes'],
  'account.alarm': ['yes', 'no', 'no', 'no', 'no', 'no', 'no', 'yes'],
}

const auditorsOnly: SightRow = ['no', 'no', 'no', 'no', 'no', 'no', 'no', 'yes']

/**
 * Whether a role sees entries of a kind: always, in its compartments, or never. An exact row counts
 * before a pattern.
 */
export function seesKind(role: Role, kind: string): Sight {
  const row = sightRow(kind) ?? sightRow(`${kind.slice(0, kind.lastIndexOf('.') + 1)}*`) ?? auditorsOnly
  const sight = row[roles.indexOf(role)]
  if (sight === undefined) throw new RangeError(`no such role: ${String(role)}`)
  return sight
}

function sightRow(kind: string): SightRow | undefined {
  return Object.hasOwn(sightOfKinds, kind) ? sightOfKinds[kind] : undefined
}

/** The roles that people of a kind of organization may hold. */
export const organizationKinds = {
  secretariat: ['coordinator', 'analyst', 'observer', 'auditor'],
  administration: ['coordinator', 'ncp', 'officer', 'observer'],
  rilo: ['coordinator', 'analyst', 'observer', 'auditor'],
  partner: ['partner', 'observer'],
  'right-holder': ['right-holder'],
} as const satisfies Record<string, readonly Role[]>

export type OrganizationKind = keyof typeof organizationKinds

/** The holder of a role: a person, or a service account. */
export type Holder = 'person' | 'service'

/**
 * The roles that a service account may have: officer, and the roles that may do nothing that an
 * officer may not.
 */
export const serviceRoles: readonly Role[] = ['officer', 'right-holder', 'observer']

/** Whether a person or a service account of such an organization may hold the role. */
export function mayHold(kind: OrganizationKind, role: Role, holder: Holder = 'person'): boolean {
  const withinCeiling = holder === 'person' || serviceRoles.includes(role)
  return withinCeiling && (organizationKinds[kind] as readonly Role[]).includes(role)
}

/**
 * The permissions in the list of a service account, below its role; null for a person, whose role
 * alone decides.
 */
export type ListedPermissions = readonly Permission[] | null

export function isListed(listed: ListedPermissions, permission: Permission): boolean {
  return listed === null || listed.includes(permission)
}

/**
 * Whether the list of a service account may have a permission: an officer must be able to have it.
 */
export function mayBeListed(permission: Permission): boolean {
  return grantsByRole[permission][roles.indexOf('officer')] !== 'no'
}

/**
 * The roles that the holder of a role may give, change or take, and to whom: any member, or people
 * of the own organization.
 */
export interface GrantableRoles {
  readonly scope: 'any' | 'own' | 'none'
  readonly roles: readonly Role[]
}

/**
 * The roles that a role may grant. `to` is a person, or a service account, which an NCP makes an
 * officer only. No member grants to themselves: the caller checks that.
 */
export function rolesGrantableBy(role: Role, to: Holder = 'person'): GrantableRoles {
  if (role === 'coordinator') return { scope: 'any', roles: to === 'service' ? serviceRoles : roles }
  if (role === 'ncp') return { scope: 'own', roles: to === 'service' ? ['officer'] : ['ncp', 'officer'] }
  return { scope: 'none', roles: [] }
}

/**
 * The states to which an operation may move: one step forward, and back from rehearsal to draft.
 */
export function nextStates(state: State): readonly State[] {
  const next = states[states.indexOf(state) + 1]
  const forward: State[] = next === undefined || !isState(state) ? [] : [next]
  return state === 'rehearsal' ? [...forward, 'draft'] : forward
}
