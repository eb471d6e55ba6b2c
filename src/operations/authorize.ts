import { isListed, may, type Permission, type Role, type State } from '../access.ts'
import type { Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import type { SignedInCaller } from '../identity/index.ts'
import type { Standing } from '../log/index.ts'
import {
  definedMembers,
  judgePermission,
  refuseSleeper,
  type Member,
  type OperationView,
  type PersonId,
  type Refusal,
} from '../protocol/index.ts'
import { enterAsPerson, membershipsOf, type MembershipRow } from './store.ts'

declare const authorized: unique symbol

/**
 * Proof that a caller may do something in an operation. Only `authorize` makes one, so a function
 * that takes it cannot be reached around `authorize`.
 */
export interface Membership {
  readonly [authorized]: true
  readonly person: PersonId
  readonly organization: string
  readonly role: Role
  readonly joinedIndex: number
  readonly operation: string
  readonly state: State
  readonly row: MembershipRow
}

/** Answers the Problem that a refusal of the rule book means. NOT_FOUND never says more. */
export function toProblem({ code, permission, reason, message }: Refusal): Problem {
  if (code === 'NOT_FOUND') return new Problem('NOT_FOUND')
  return new Problem(code, { detail: message, ...definedMembers({ permission, reason }) })
}

/**
 * Answers the membership of a person with this permission. Throws the Problem that `access.md`
 * says: 404 for a caller who is no member, 403 where the role lacks it, 409 where the state does
 * not allow it. `own`, `self` and `totals` still limit the caller.
 */
export async function authorize(
  tx: Tx,
  actor: SignedInCaller,
  operation: string,
  permission: Permission,
): Promise<Membership> {
  const [, [row]] = await Promise.all([enterAsPerson(tx, actor.person), membershipsOf(tx, actor.person, operation)])
  if (!row || row.organization_id !== actor.organization) throw new Problem('NOT_FOUND')
  const verdict = may(row.role, permission, row.state)
  if (row.asleep) throw toProblem(refuseSleeper(permission))
  if (verdict.role === 'no') throw new Problem('FORBIDDEN', { permission })
  requireListed(actor, permission)
  if (!verdict.state) throw new Problem('OPERATION_STATE', { permission, state: row.state })
  return {
    person: actor.person as PersonId,
    organization: row.organization_id,
    role: row.role,
    joinedIndex: row.joined_index,
    operation,
    state: row.state,
    row,
  } as Membership
}

/**
 * Decides the permission under the log's lock, against the members as the log has them; answers the
 * member, or throws the Problem that refuses it.
 */
export function authorizeIn(view: OperationView, actor: Standing, permission: Permission): Member {
  const member = view.member(actor.person as PersonId)
  if (!member || member.organization !== actor.organization) throw new Problem('NOT_FOUND')
  const refusal = judgePermission(view, member, permission)
  if (refusal?.code === 'FORBIDDEN') throw toProblem(refusal)
  requireListed(actor, permission)
  if (refusal) throw toProblem(refusal)
  return member
}

/**
 * Refuses a service account to which the permission is not listed: it needs both its role and its
 * list.
 */
function requireListed({ listed }: Pick<Standing, 'listed'>, permission: Permission): void {
  if (!isListed(listed, permission))
    throw new Problem('FORBIDDEN', { permission, detail: `${permission} is not listed for this service account.` })
}
