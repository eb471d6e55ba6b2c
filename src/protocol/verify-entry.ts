import { mayRevoke, verifyChain, type Certificate, type Pin, type Revocation, type VerifyKeys } from './certificate.ts'
import { ProtocolError, demand } from './errors.ts'
import type { DeviceId } from './ids.ts'
import { judgeMemberAct, judgePermission } from './judge.ts'
import { verifySignature } from './jws.ts'
import type { MemberStatement } from './members.ts'
import type { EpochStatement } from './epoch.ts'
import type { Member } from './operation-state.ts'
import type { OperationView } from './operation-view.ts'
import type { ViewEntry } from './view-entry.ts'

/**
 * The trust of a client: its pinned root, and the certificates that it has verified up to the root.
 */
export interface Trust {
  readonly pin: Pin
  readonly keys: VerifyKeys
  /**
   * Certificates of issuers outside the operation. The caller has verified each before it puts it
   * here.
   */
  readonly issuers: Map<DeviceId, Certificate>
  /**
   * The certificates by hash, also those that have been renewed since: a partial view may be shown
   * statements under either.
   */
  readonly signers: Map<string, Certificate>
}

/**
 * Verifies an entry against everything before it: signatures, chains of certificates, and the right
 * of the signer. A server can therefore neither add a reader nor speak for a person. The caller
 * calls it before `view.apply(entry)`. Throws `ProtocolError`.
 */
export async function verifyEntry(view: OperationView, entry: ViewEntry, trust: Trust): Promise<void> {
  await authenticateEntry(view, entry, trust)
  judgeEntry(view, entry, trust)
}

/**
 * Verifies that the named signer signed the statement of an entry, and that the signature of that
 * signer counts. Throws `ProtocolError`.
 */
export async function authenticateEntry(view: OperationView, entry: ViewEntry, trust: Trust): Promise<void> {
  const statement = entry.statement
  switch (statement?.type) {
    case undefined:
      return
    case 'certificate':
      // The chain that came with the entry is the one of that time.
      return verifyChain(statement.value, trust.pin, (device) => trust.issuers.get(device) ?? view.devices.get(device))
    case 'revocation': {
      const signer = requireCertificate(view, trust, statement.value.signer)
      await verifySignature(statement.value, await trust.keys.of(signer))
      return
    }
    case 'member': {
      const { act, signer, crt, hash } = statement.value
      if (act.act !== 'create-operation' && view.chain.has(hash)) return
      const certificate =
        act.act === 'create-operation'
          ? requireCertificate(view, trust, signer)
          : requireSigner(view, trust, signer, crt).certificate
      await verifySignature(statement.value, await trust.keys.of(certificate))
      return
    }
    case 'epoch': {
      const { signer, crt } = statement.value
      const { certificate } = requireSigner(view, trust, signer, crt)
      await verifySignature(statement.value, await trust.keys.of(certificate))
    }
  }
}

/**
 * Verifies that the signer of the statement of an entry had the right to it at this point of the
 * log. Throws `ProtocolError`.
 */
export function judgeEntry(view: OperationView, entry: ViewEntry, trust: Trust): void {
  const statement = entry.statement
  if (statement?.type === 'revocation') judgeRevocation(view, statement.value, trust)
  if (statement?.type === 'member') judgeMember(view, entry, statement.value, trust)
  if (statement?.type === 'epoch') judgeEpoch(view, statement.value, trust)
}

function findCertificate(view: OperationView, trust: Trust, device: DeviceId): Certificate | undefined {
  return view.devices.get(device) ?? trust.issuers.get(device)
}

function requireCertificate(view: OperationView, trust: Trust, device: DeviceId): Certificate {
  const certificate = findCertificate(view, trust, device)
  demand(certificate, 'SIGNER', 'The log does not show the device that signed this.')
  return certificate
}

/**
 * The member behind a live device of the view, and its certificate. A partial view does not show
 * every member: a certificate that leads up to the pinned root then suffices, and `member` is
 * undefined.
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

function judgeRevocation(view: OperationView, { signer, device }: Revocation, trust: Trust): void {
  const revoked = view.devices.get(device)
  if (!revoked) return
  const entitled = mayRevoke(requireCertificate(view, trust, signer), revoked, trust.pin)
  demand(entitled, 'REVOCATION', 'The signer of this revocation had no right to it.')
}

function judgeMember(view: OperationView, entry: ViewEntry, statement: MemberStatement, trust: Trust): void {
  const { act } = statement
  if (act.act === 'create-operation') {
    const signer = requireCertificate(view, trust, statement.signer)
    const entitled = signer.tier === 'administrator' || signer.device === trust.pin.root
    demand(entitled, 'SIGNER', 'Only an administrator creates an operation.')
    const names = act.coordinators.some(({ person }) => person === signer.person)
    demand(!names, 'SIGNER', 'An operation never names the person who creates it.')
    return
  }
  if (view.chain.has(statement.hash)) return
  const { member } = requireSigner(view, trust, statement.signer, statement.crt)
  const refusal = member && judgeMemberAct(view, member, act)
  if (!refusal) return
  // A partial view can judge only what the role of the signer decides by itself.
  if (view.partial && refusal.code !== 'FORBIDDEN') return
  // An act that does not follow the newest statement shows that a statement is missing.
  const code = refusal.code === 'MEMBERS_MOVED' ? 'MEMBERS_CHAIN' : 'UNENTITLED'
  throw new ProtocolError(code, `Entry ${String(entry.index)}: ${refusal.message}`)
}

function judgeEpoch(view: OperationView, statement: EpochStatement, trust: Trust): void {
  const { payload } = statement
  const compartment = payload.compartment
  const { member } = requireSigner(view, trust, statement.signer, statement.crt)
  // A partial view does not show members who have left: it compares the recipients when it seals.
  if (view.partial || !member) return
  const refusal = judgePermission(view, member, 'epoch.open')
  const entitled = !refusal && view.isIn(member.person, compartment)
  demand(entitled, 'UNENTITLED', 'The signer of this epoch had no right to open it.')
  const expected = view.recipients(compartment)
  demand(
    expected.length === payload.recipients.length && expected.every((device, i) => device === payload.recipients[i]),
    'EPOCH_RECIPIENTS',
    'The recipients of this epoch are not the devices of its members.',
  )
  const heads = view.heads(compartment)
  const current = heads.operation === payload.members.operation && heads.compartment === payload.members.compartment
  demand(current, 'EPOCH_HEADS', 'The member who opened this epoch did not know the newest members.')
}
