import { isPermission, type Permission } from '../access.ts'
import { reading, type Database } from '../db/index.ts'
import type { Access, IncomingRequest } from '../http/index.ts'
import type { Accesses, CertifiedCaller } from '../identity/index.ts'
import { isUuid } from '../protocol/index.ts'
import { authorize, type Membership } from './authorize.ts'
import type { OperationService } from './service.ts'

/**
 * A caller who may do something in an operation, as its rows said when the request came. An act in
 * its log decides once more under the lock.
 */
export interface EntitledCaller {
  readonly actor: CertifiedCaller
  readonly membership: Membership
}

/** Who may call the routes of an operation, which their addresses name as `:operation`. */
export interface OperationAccesses {
  /** The access of members with this permission. */
  to(permission: Permission): Access<EntitledCaller>
  /**
   * The access of members, whose permission the service checks later: a repeated request gets its
   * first answer, whatever the member may do now.
   */
  memberTo(permission: Permission): Access<CertifiedCaller>
}

export function operationAccesses(
  db: Database,
  accesses: Accesses,
  operations: Pick<OperationService, 'requireMember'>,
): OperationAccesses {
  const refusals = ['NOT_FOUND', 'FORBIDDEN', 'OPERATION_STATE'] as const
  const made = new Map<Permission, Access<EntitledCaller>>()
  const to = (permission: Permission): Access<EntitledCaller> =>
    accesses.certified(
      named(permission),
      async (actor, request) => {
        const operation = operationOf(request)
        if (operation === undefined) return undefined
        return { actor, membership: await reading(db, (tx) => authorize(tx, actor, operation, permission)) }
      },
      refusals,
    )
  return {
    to(permission) {
      const access = made.get(permission) ?? to(permission)
      made.set(permission, access)
      return access
    },
    memberTo: (permission) =>
      accesses.certified(
        named(permission),
        async (actor, request) => {
          const operation = operationOf(request)
          if (operation === undefined) return undefined
          await operations.requireMember(actor, operation)
          return actor
        },
        refusals,
      ),
  }
}

/**
 * Answers a permission that exists: a misspelt one must keep the service from starting, not a
 * request from being answered.
 */
function named(permission: Permission): Permission {
  if (!isPermission(permission)) throw new RangeError(`no such permission: ${String(permission)}`)
  return permission
}

/**
 * Answers the id of the operation in the address; undefined for a text that is no id, which the
 * schema of the route refuses.
 */
function operationOf({ params }: IncomingRequest): string | undefined {
  const { operation } = params as { operation?: unknown }
  return isUuid(operation) ? operation : undefined
}
