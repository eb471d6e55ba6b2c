import { readCertificate, readRevocation, type Certificate, type Revocation } from './certificate.ts'
import { readEpochStatement, type EpochStatement } from './epoch.ts'
import { ProtocolError } from './errors.ts'
import type { Leaf } from './entry.ts'
import type { DeviceId } from './ids.ts'
import { readMemberStatement, type MemberStatement } from './members.ts'

/**
 * An entry as a view reads it: the members of the leaf and, where it has one, its statement, which
 * was read and not verified.
 */
export interface ViewEntry {
  readonly index: number
  readonly kind: string
  readonly subject: string
  readonly compartment?: string
  readonly digest?: string
  readonly device?: DeviceId
  readonly statement?: ReadStatement
  /** The certificate of the signer, where the view no longer shows that device. */
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
 * The type of the statement to which an entry commits; undefined where it commits to none. Earlier
 * logs have unsigned entries `operation.advanced`, which have no digest.
 */
export function statementTypeOf({
  kind,
  digest,
}: Pick<ViewEntry, 'kind' | 'digest'>): ReadStatement['type'] | undefined {
  if (kind === 'operation.advanced' && digest === undefined) return undefined
  return statementTypes.find(([pattern]) => pattern.test(kind))?.[1]
}

/** The view entry of a leaf and its statement. */
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

/** Reads the statement of an entry without checking its signature. Throws `ProtocolError`. */
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
