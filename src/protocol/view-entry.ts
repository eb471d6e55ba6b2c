import { readCertificate, readRevocation, type Certificate, type Revocation } from './certificate.ts'
import { readEpochStatement, type EpochStatement } from './epoch.ts'
import { ProtocolError } from './errors.ts'
import type { Leaf } from './entry.ts'
import type { DeviceId } from './ids.ts'
import { readMemberStatement, type MemberStatement } from './members.ts'

/**
 * What one entry says to this view: the leaf's fields and, where it has one, its statement, read
 * but not yet verified.
 */
export interface ViewEntry {
  readonly index: number
  readonly kind: string
  readonly subject: string
  readonly compartment?: string
  readonly digest?: string
  readonly device?: DeviceId
  readonly statement?: ReadStatement
  /**
   * The certificate of who signed the statement, where a view does not show that device any more.
   */
  readonly signer?: Certificate
}

export type ReadStatement =
  | { readonly type: 'member'; readonly value: MemberStatement }
  | { readonly type: 'epoch'; readonly value: EpochStatement }
  | { readonly type: 'certificate'; readonly value: Certificate }
  | { readonly type: 'revocation'; readonly value: Revocation }

export interface StatementValues {
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
    /^(operation\.created|operation\.rules-set|operation\.advanced|operation\.organization-removed|member\.(admitted|role-changed|removed|woken)|compartment\.(created|member-added|member-removed))$/,
    'member',
  ],
]

/**
 * Which kind of statement an entry commits to; undefined where no statement is behind it. Logs of
 * before have entries `operation.advanced` that nobody signed: they have no digest.
 */
export function statementTypeOf({
  kind,
  digest,
}: Pick<ViewEntry, 'kind' | 'digest'>): ReadStatement['type'] | undefined {
  if (kind === 'operation.advanced' && digest === undefined) return undefined
  return statementTypes.find(([pattern]) => pattern.test(kind))?.[1]
}

/** A leaf with its statement, ready to be applied to a view. */
export function toViewEntry(leaf: Leaf, statement?: ReadStatement): ViewEntry {
  const { index, kind, subject, compartment, digest, actor } = leaf
  return {
    index,
    kind,
    subject,
    ...(compartment === undefined ? {} : { compartment }),
    ...(digest === undefined ? {} : { digest }),
    ...('device' in actor ? { device: actor.device as DeviceId } : {}),
    ...(statement === undefined ? {} : { statement }),
  }
}

/** Reads the statement that belongs to an entry, without checking its signature. */
export async function readViewStatement(
  entry: Pick<ViewEntry, 'kind' | 'digest'>,
  jws: string,
): Promise<ReadStatement> {
  switch (statementTypeOf(entry)) {
    case 'member':
      return { type: 'member', value: await readMemberStatement(jws) }
    case 'epoch':
      return { type: 'epoch', value: await readEpochStatement(jws) }
    case 'certificate':
      return { type: 'certificate', value: await readCertificate(jws) }
    case 'revocation':
      return { type: 'revocation', value: await readRevocation(jws) }
    case undefined:
      throw new ProtocolError('VIEW', `An entry of the kind ${entry.kind} carries no statement.`)
  }
}
