import { serviceRoles } from '../access.ts'
import { mayRevoke, verifyChain, type Certificate, type Pin, type VerifyKeys } from './certificate.ts'
import { ProtocolError, demand } from './errors.ts'
import type { CompartmentId, DeviceId } from './ids.ts'
import { judgeMemberAct, judgePermission } from './judge.ts'
import { verifyStatement } from './jws.ts'
import type { MemberStatement } from './members.ts'
import type { EpochStatement } from './epoch.ts'
import type { Member, OperationView, ViewEntry } from './operation-view.ts'

/** What a client trusts when it believes an entry: its pin, and the certificates that it has verified up to it. */
export interface Trust {
  readonly pin: Pin
  readonly keys: VerifyKeys
  /** Certificates of issuers outside the operation, verified before they are put here. */
  readonly issuers: Map<DeviceId, Certificate>
  /** The same by their hashes, with those that have been renewed since: what a partial view is shown may have been signed under either. */
  readonly signers: Map<string, Certificate>
}

/**
 * Checks an entry against everything before it: signatures, chains of certificates, and whether its signer had the
 * right, so that a server can neither add a reader nor speak for anybody. Call it before `view.apply(entry)`.
 */
export async function verifyEntry(view: OperationView, entry: ViewEntry, trust: Trust): Promise<void> {
  const statement = entry.statement
  if (!statement) return
  switch (statement.type) {
    case 'certificate': {
      const { tier, person } = statement.value
      const role = view.member(person)?.role
      const withinCeiling = tier !== 'service' || role === undefined || serviceRoles.includes(role)
      demand(withinCeiling, 'UNENTITLED', 'A service account is officer at most.')
      // The chain that came with it is the one that stood then.
      return verifyChain(statement.value, trust.pin, (device) => trust.issuers.get(device) ?? view.devices.get(device))
    }
    case 'revocation': {
      const signer = requireCertificate(view, trust, statement.value.signer)
      await verifyStatement('cordon-revocation+jws', statement.value.jws, await trust.keys.of(signer))
      const revoked = view.devices.get(statement.value.device)
      if (revoked)
        demand(mayRevoke(signer, revoked, trust.pin), 'REVOCATION', 'The signer of this revocation had no right to it.')
      return
    }
    case 'member':
      return verifyMember(view, entry, statement.value, trust)
    case 'epoch':
      return verifyEpoch(view, statement.value, trust)
  }
}

export function findCertificate(view: OperationView, trust: Trust, device: DeviceId): Certificate | undefined {
  return view.devices.get(device) ?? trust.issuers.get(device)
}

function requireCertificate(view: OperationView, trust: Trust, device: DeviceId): Certificate {
  const certificate = findCertificate(view, trust, device)
  demand(certificate, 'SIGNER', 'The log does not show the device that signed this.')
  return certificate
}

/**
 * The member behind a live device of the view, and its certificate. A partial view does not show everybody: there a certificate
 * that leads up to the pinned root has to do, and `member` is undefined.
 */
function requireSigner(
  view: OperationView,
  trust: Trust,
  device: DeviceId,
  crt: string,
): { certificate: Certificate; member: Member | undefined } {
  const certificate = (view.partial ? trust.signers.get(crt) : undefined) ?? view.devices.get(device)
  demand(certificate?.device === device, 'SIGNER', 'The log does not show the device that signed this.')
  demand(crt === certificate.hash, 'SIGNER', 'The statement names another certificate of its device.')
  const member = view.member(certificate.person)
  if (!member && view.partial) return { certificate, member }
  demand(
    member && member.organization === certificate.organization,
    'SIGNER',
    'The signer was no member at this point.',
  )
  return { certificate, member }
}

async function verifyMember(
  view: OperationView,
  entry: ViewEntry,
  statement: MemberStatement,
  trust: Trust,
): Promise<void> {
  const { act } = statement
  if (act.act === 'create-operation') {
    const signer = requireCertificate(view, trust, statement.signer)
    await verifyStatement('cordon-member+jws', statement.jws, await trust.keys.of(signer))
    const entitled = signer.tier === 'administrator' || signer.device === trust.pin.root
    demand(entitled, 'SIGNER', 'Only an administrator creates an operation.')
    const names = act.coordinators.some(({ person }) => person === signer.person)
    demand(!names, 'SIGNER', 'An operation never names the person who creates it.')
    return
  }
  if (view.chain.has(statement.hash)) return
  const { certificate, member } = requireSigner(view, trust, statement.signer, statement.crt)
  await verifyStatement('cordon-member+jws', statement.jws, await trust.keys.of(certificate))
  const refusal = member && judgeMemberAct(view, member, act)
  if (!refusal) return
  // What a partial view does not show cannot be judged in it, except what the signer's role says by itself.
  if (view.partial && refusal.code !== 'FORBIDDEN') return
  throw new ProtocolError('UNENTITLED', `Entry ${String(entry.index)}: ${refusal.message}`)
}

async function verifyEpoch(view: OperationView, statement: EpochStatement, trust: Trust): Promise<void> {
  const { payload } = statement
  const compartment = payload.compartment as CompartmentId
  const { certificate, member } = requireSigner(view, trust, statement.signer, statement.crt)
  await verifyStatement('cordon-epoch+jws', statement.jws, await trust.keys.of(certificate))
  // Those who left are not shown in a partial view: whoever seals there compares the recipients when it seals.
  if (view.partial || !member) return
  const refusal = judgePermission(view, member, 'epoch.open')
  demand(
    !refusal && view.isIn(member.person, compartment),
    'UNENTITLED',
    'The signer of this epoch had no right to open it.',
  )
  const expected = view.recipients(compartment)
  demand(
    expected.length === payload.recipients.length && expected.every((device, i) => device === payload.recipients[i]),
    'EPOCH_RECIPIENTS',
    'The recipients of this epoch are not the devices of its members.',
  )
  const heads = view.heads(compartment)
  const current = heads.operation === payload.members.operation && heads.compartment === payload.members.compartment
  demand(current, 'EPOCH_HEADS', 'This epoch was opened by somebody who did not know the newest members.')
}
