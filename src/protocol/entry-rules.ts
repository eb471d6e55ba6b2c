import { nextStates, serviceRoles, type State } from '../access.ts'
import { standsAfter, type Certificate } from './certificate.ts'
import { ProtocolError, demand } from './errors.ts'
import type { CompartmentId, PersonId } from './ids.ts'
import { requireSealKey } from './keys.ts'
import type { MemberAct, MemberStatement } from './members.ts'
import type { OperationView } from './operation-view.ts'
import { statementTypeOf, type ReadStatement, type StatementValues, type ViewEntry } from './view-entry.ts'

/**
 * Demands what the order of a log demands of an entry, whichever device signed it: it commits to
 * its statement; the statement agrees with the entry and follows the one before it; a device or a
 * state may come here. The service checks it before it appends, clients and the verifier before
 * they believe. Throws `ProtocolError`.
 */
export function requireEntry(view: OperationView, entry: ViewEntry): void {
  demand(entry.index > view.position, 'VIEW_ORDER', 'Entries are applied in the order of the log.')
  const type = statementTypeOf(entry)
  switch (type) {
    case 'member':
      return requireMemberEntry(view, entry, statementOf(entry, type))
    case 'certificate':
      return requireCertificateEntry(view, entry, statementOf(entry, type))
    case 'revocation':
      return demand(statementOf(entry, type).device === entry.subject, 'VIEW', 'The revocation names another device.')
    case 'epoch':
      return requireEpochEntry(view, entry)
    case undefined:
      return requireBareEntry(view, entry)
  }
}

/**
 * The statement to which an entry commits. Throws VIEW, VIEW_DIGEST where the entry has another one
 * or none.
 */
export function statementOf<T extends ReadStatement['type']>(entry: ViewEntry, type: T): StatementValues[T] {
  const { statement, kind, digest } = entry
  demand(statement?.type === type, 'VIEW', `An entry of the kind ${kind} needs its ${type} statement.`)
  demand(statement.value.hash === digest, 'VIEW_DIGEST', 'The entry commits to another statement.')
  return statement.value as StatementValues[T]
}

/**
 * Whether an act makes several entries of one statement: creating an operation and removing an
 * organization do.
 */
function makesMany(act: MemberAct): boolean {
  return act.act === 'create-operation' || (act.act === 'remove' && 'organization' in act)
}

function requireMemberEntry(view: OperationView, entry: ViewEntry, statement: MemberStatement): void {
  const { act } = statement
  demand(act.operation === view.operation, 'VIEW', 'This statement belongs to another operation.')
  demand(act.v >= view.version, 'MEMBERS_VERSION', 'This operation has no statements of so old a version.')
  demand(says(view, entry, act), 'VIEW', 'The statement does not agree with its entry.')
  const changes = act.act === 'change-role' || act.act === 'wake'
  demand(!changes || view.member(entry.subject as PersonId), 'VIEW', 'The entry names a person who is no member.')
  if (entry.kind.startsWith('compartment.')) requireInCompartmentChain(view, entry, act)
  else requireInOperationChain(view, statement)
}

/** Whether a statement agrees with its entry. */
function says(view: OperationView, entry: ViewEntry, act: MemberAct): boolean {
  const { kind, subject, index } = entry
  switch (act.act) {
    case 'create-operation':
      if (kind === 'member.admitted') return act.coordinators.some(({ person }) => person === subject)
      return kind === 'operation.created' && index === 0
    case 'set-operation':
      return kind === 'operation.rules-set'
    case 'advance':
      return kind === 'operation.advanced' && act.state === subject
    case 'admit':
      return kind === 'member.admitted' && act.person === subject
    case 'change-role':
      return kind === 'member.role-changed' && act.person === subject
    case 'wake':
      return kind === 'member.woken' && act.person === subject
    case 'remove': {
      if ('person' in act) return kind === 'member.removed' && act.person === subject
      if (kind === 'operation.organization-removed') return act.organization === subject
      const member = view.member(subject as PersonId)
      const fits = member ? member.organization === act.organization : view.partial
      return kind === 'member.removed' && fits
    }
    case 'create-compartment':
      return kind === 'compartment.created' && act.compartment === entry.compartment
    case 'add-to-compartment':
      return kind === 'compartment.member-added' && act.compartment === entry.compartment && act.person === subject
    case 'remove-from-compartment':
      return kind === 'compartment.member-removed' && act.compartment === entry.compartment && act.person === subject
  }
}

/**
 * Demands that an operation begins once, and that every other statement follows the newest and
 * stands behind one act.
 */
function requireInOperationChain(view: OperationView, { act, hash }: MemberStatement): void {
  const again = hash === view.head && makesMany(act)
  if (again) return
  demand(!view.chain.has(hash), 'MEMBERS_REPEATED', 'A member statement stands behind one act, and no later one.')
  if (act.act === 'create-operation') {
    const begins = view.chain.size === 0 && act.previous === null
    return demand(begins, 'MEMBERS_BEGIN', 'An operation begins once, with its creation.')
  }
  const follows = act.previous !== null && (act.previous === view.head || view.partial)
  demand(follows, 'MEMBERS_CHAIN', 'A member statement does not follow the one before it: an entry is missing.')
}

function requireInCompartmentChain(view: OperationView, entry: ViewEntry, act: MemberAct): void {
  const known = view.compartments.get(entry.compartment as CompartmentId)
  demand(act.previous === (known?.head ?? null), 'MEMBERS_CHAIN', 'A statement of this compartment is missing.')
}

/**
 * Demands what the log demands of a certificate in its place, beside the chain that vouches for it.
 */
function requireCertificateEntry(view: OperationView, entry: ViewEntry, certificate: Certificate): void {
  const { device, issuer, person, tier, keys } = certificate
  demand(device === entry.subject, 'VIEW', 'The certificate is for another device.')
  demand(!view.revocations.has(device), 'DEVICE_REVOKED', 'A device that was revoked does not come back.')
  const seal = view.seals.get(device)
  demand(seal === undefined || seal === keys.seal.pub, 'SEAL_CHANGED', 'A device keeps its sealing key for ever.')
  requireSealKey(keys.seal)
  const role = view.member(person)?.role
  const withinCeiling = tier !== 'service' || role === undefined || serviceRoles.includes(role)
  demand(withinCeiling, 'UNENTITLED', 'A service account is officer at most.')
  const revocation = view.revocations.get(issuer)
  const stands = revocation === undefined || standsAfter(revocation, certificate)
  demand(stands, 'CERTIFICATE_CHAIN', 'This certificate was issued by a device that had been revoked.')
}

function requireEpochEntry(view: OperationView, entry: ViewEntry): void {
  const { payload } = statementOf(entry, 'epoch')
  const compartment = view.compartments.get(payload.compartment)
  const known = compartment && payload.compartment === entry.compartment && payload.operation === view.operation
  demand(known, 'VIEW', 'This epoch belongs to an unknown compartment.')
  const next = compartment.epochs.length + 1
  if (payload.epoch > next) throw new ProtocolError('EPOCH_HIDDEN', 'An epoch is missing: its number does not follow.')
  demand(payload.epoch === next, 'EPOCH_NUMBER', 'There is an epoch of this number already.')
}

/**
 * Demands what the log demands of an entry without a signature: such an entry takes away, or
 * informs.
 */
function requireBareEntry(view: OperationView, { kind, subject }: ViewEntry): void {
  if (kind === 'operation.advanced') {
    demand(!view.statesSigned, 'STATE_UNSIGNED', 'The state of this operation is signed by a coordinator.')
    const next = nextStates(view.state).includes(subject as State)
    demand(next, 'OPERATION_STATE', `An operation that is ${view.state} does not become ${subject}.`)
  }
}
