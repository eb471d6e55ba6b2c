import {
  VerifyKeys,
  digestOf,
  mayRevoke,
  readCertificate,
  readEnrolment,
  readRevocation,
  verifyChain,
  verifyRootStatement,
  verifySignature,
  type Certificate,
  type DeviceId,
  type Leaf,
  type Pin,
} from '../../protocol/index.ts'
import { microsecondText, type Details, type Findings } from '../../log/index.ts'
import type { RawCertificate, RawDevice, RawRevocation, RawTrustRoot } from './store.ts'

interface RecordedEnrolment {
  readonly digest: string | undefined
  readonly person: string | undefined
  readonly details: Details
}

/**
 * What the entries of the directory have said so far of devices; grows with their number, not with
 * that of the entries.
 */
export class DirectoryFold {
  readonly #pin: Pin
  readonly #certificates = new Map<string, Certificate>()
  readonly #revoked = new Set<string>()
  readonly #expired = new Set<string>()
  readonly #enrolled = new Map<string, RecordedEnrolment>()
  readonly #keys = new VerifyKeys()
  #startedAt: string | undefined

  constructor(pin: Pin) {
    this.#pin = pin
  }

  async certificate(row: RawCertificate, leaf: Leaf): Promise<Findings> {
    const certificate = await readCertificate(row.jws)
    const faults = differences(row, {
      hash: certificate.hash,
      device_id: certificate.device,
      issuer_device_id: certificate.issuer,
      person_id: certificate.person,
      organization_id: certificate.organization,
      tier: certificate.tier,
      expires_at: microsecondText(certificate.expiresAt),
      certified_at: microsecondText(leaf.at),
    })
    if (leaf.digest !== certificate.hash) faults.push('its certificate is not the one that its leaf commits to')
    if (leaf.subject !== certificate.device) faults.push('its certificate is for another device')
    if (this.#revoked.has(certificate.device)) faults.push('its certificate is for a device that was revoked')
    if (this.#revoked.has(certificate.issuer)) faults.push('its certificate was issued by a device that was revoked')
    const byIssuer = 'device' in leaf.actor && leaf.actor.device === certificate.issuer
    if (!byIssuer && certificate.issuer !== this.#pin.root)
      faults.push('its certificate was recorded by a person who is not its issuer')
    await verifyChain(certificate, this.#pin, (device) => this.#certificates.get(device))
    this.#certificates.set(certificate.device, certificate)
    this.#expired.delete(certificate.device)
    return faults
  }

  async revocation(row: RawRevocation, leaf: Leaf): Promise<Findings> {
    const revocation = await readRevocation(row.jws)
    const faults = differences(row, {
      hash: revocation.hash,
      device_id: revocation.device,
      signer_device_id: revocation.signer,
      compromised_at: revocation.compromisedAt === undefined ? null : microsecondText(revocation.compromisedAt),
    })
    if (leaf.digest !== revocation.hash) faults.push('its revocation is not the one that its leaf commits to')
    if (leaf.subject !== revocation.device) faults.push('its revocation names another device')
    const signer = this.#certificates.get(revocation.signer)
    const revoked = this.#certificates.get(revocation.device)
    if (!signer || this.#revoked.has(signer.device)) faults.push('its revocation was signed by a device without right')
    else {
      await verifySignature(revocation, await this.#keys.of(signer))
      if (revoked && !mayRevoke(signer, revoked, this.#pin)) faults.push('the signer of its revocation had no right to')
    }
    this.#revoked.add(revocation.device)
    return faults
  }

  follow(leaf: Leaf, details: Details): void {
    if (leaf.kind === 'organization.registered') this.#startedAt ??= leaf.at
    if (leaf.kind === 'device.expired') this.#expired.add(leaf.subject)
    if (leaf.kind !== 'device.enrolled') return
    const person = 'person' in leaf.actor ? leaf.actor.person : undefined
    this.#enrolled.set(leaf.subject, { digest: leaf.digest, person, details })
  }

  async device(row: RawDevice): Promise<Findings> {
    const faults: string[] = []
    const certificate = this.#certificates.get(row.id)
    const entered = this.#enrolled.get(row.id)
    if (row.person_id === null) return ['it is enrolled and has no row of its own']
    if (!certificate && !entered) return ['no entry of the directory knows it']
    const state = this.#stateOf(row.id)
    if (row.state !== state) faults.push(`its row says ${row.state} where its entries make it ${state}`)
    if (row.person_id !== (certificate?.person ?? entered?.person)) faults.push('its row names another person')
    if (certificate) {
      if (row.sign_key !== JSON.stringify(certificate.keys.sign))
        faults.push('its signing key is not the certified one')
      if (row.seal_key !== JSON.stringify(certificate.keys.seal))
        faults.push('its sealing key is not the certified one')
    }
    if (!entered) {
      if (row.statement !== null) faults.push('its enrolment has no entry')
      return faults
    }
    if (row.statement === null) return [...faults, 'its enrolment is missing']
    const enrolment = await readEnrolment(row.statement)
    if ((await digestOf(row.statement)) !== entered.digest) faults.push('its enrolment is not the recorded one')
    if (enrolment.device !== row.id || enrolment.person !== row.person_id || enrolment.invitation !== row.invitation_id)
      faults.push('its enrolment is for something else')
    if (row.sign_key !== JSON.stringify(enrolment.sign) || row.seal_key !== JSON.stringify(enrolment.seal))
      faults.push('its keys are not those that it enrolled with')
    if (entered.details?.['invitation'] !== row.invitation_id || entered.details['mac'] !== row.mac)
      faults.push('its enrolment has another invitation or proof than its entry says')
    if (row.certified !== (certificate !== undefined)) faults.push('its enrolment is certified where the device is not')
    return faults
  }

  #stateOf(device: string): string {
    // The root only vouches: it is never in use.
    if (device === this.#pin.root) return 'expired'
    if (this.#revoked.has(device)) return 'revoked'
    if (this.#expired.has(device)) return 'expired'
    return this.#certificates.has(device) ? 'certified' : 'waiting'
  }

  /**
   * Answers the devices that entries know of; the verifier removes each one whose row it has seen.
   */
  devices(): Set<string> {
    return new Set([...this.#certificates.keys(), ...this.#enrolled.keys()])
  }

  async root(row: RawTrustRoot): Promise<Findings> {
    const { root, successor } = await verifyRootStatement(row.statement, this.#pin)
    return differences(row, {
      device_id: root,
      successor_device_id: successor,
      set_up_at: this.#startedAt === undefined ? '' : microsecondText(this.#startedAt),
    })
  }
}

/** Answers which columns of a row differ from the expected values, a sentence each. */
export function differences<R extends object>(row: R, expected: Partial<R>): string[] {
  return Object.entries(expected)
    .filter(([column, value]) => row[column as keyof R] !== value)
    .map(([column]) => `its ${column} is not what was signed or entered`)
}

export const noRoot = { root: '' as DeviceId }
