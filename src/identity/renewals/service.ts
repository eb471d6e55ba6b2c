import { transaction, type Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import { mayCertify, readCertificate, verifyChain, type Certificate, type DeviceId } from '../../protocol/index.ts'
import {
  chainAbove,
  chainsOf,
  checked,
  longestValidityMs,
  requireTimely,
  type CertificateService,
} from '../certificates.ts'
import { actInDirectory } from '../directory-act.ts'
import { isAdministrator, type SignedInCaller, type IdentityDeps } from '../deps.ts'
import { findDevice, findPeople, findTrustRoot, lockPerson, newestCertificates, setDeviceState } from '../store.ts'
import { justifiedBy, viewedDraft } from '../justification.ts'
import { endDevices } from './device-end.ts'
import * as store from './store.ts'

const dayMs = 24 * 3600_000
/** How long before its end a certificate is due. */
const dueWithinMs = 60 * dayMs
/**
 * The most certificates above a renewed certificate: its device can still vouch for others
 * (`mostCertificatesAbove`).
 */
const mostCertificatesAboveRenewed = 6

export interface DueView {
  readonly device: string
  readonly person: { readonly id: string; readonly name: string }
  readonly organization: { readonly id: string; readonly name: string }
  readonly tier: string
  readonly expiresAt: string
  readonly expired: boolean
  readonly certificate: string
  /** The certificates above the certificate, nearest first. */
  readonly chain: string[]
}

/**
 * Certificates end by an entry, and another person who may vouch renews them, for the keys that
 * they have (decision 0037). No person renews their own certificate, and no device renews a
 * certificate in its own chain: chains stay chains.
 */
export class RenewalService {
  readonly #deps: IdentityDeps
  readonly #certificates: CertificateService

  constructor(deps: IdentityDeps, certificates: CertificateService) {
    this.#deps = deps
    this.#certificates = certificates
  }

  /**
   * Answers the certificates that this NCP (of their organization) or administrator (of all) is
   * asked to renew. The view is recorded.
   */
  async due(actor: SignedInCaller, justification?: string): Promise<DueView[]> {
    if (!renews(actor)) throw new Problem('NOT_FOUND')
    return actInDirectory(this.#deps, actor, [], async ({ tx, by, now, enter }) => {
      const part = duePart(by, now)
      const found = await store.dueCertificates(tx, part)
      const chains = await chainsOf(
        tx,
        found.map(({ certificate }) => certificate),
      )
      const due = await Promise.all(
        found.map(async (one) => viewOf(one, chains.get((await readCertificate(one.certificate)).hash) ?? [])),
      )
      const why = justifiedBy(justification, 'renewing certificates')
      await enter(viewedDraft(by, part.organization ?? 'certificates', { count: due.length, ...why }))
      return due
    })
  }

  /**
   * Accepts a certificate that renews another: the caller's device issued it, or the root did and
   * an administrator brings it. A client may send a certificate again.
   */
  async renew(actor: SignedInCaller, jws: string): Promise<{ device: DeviceId; expiresAt: string }> {
    const renewed = await checked('CERTIFICATE_INVALID', () => readCertificate(jws))
    if (actor.tier === null) throw new Problem('DEVICE_NOT_CERTIFIED')
    const concerned = async (tx: Tx) => {
      await store.lockVouching(tx, 'alone')
      return [renewed.person]
    }
    await actInDirectory(this.#deps, actor, concerned, async ({ tx, by, told }) => {
      await this.#requireReach(tx, by, renewed)
      const current = await this.#requireRenewable(tx, renewed)
      if (current.jws === renewed.jws) return
      this.#requireTimes(renewed, current)
      await this.#requireRight(tx, renewed)
      await setDeviceState(tx, renewed.device, 'certified')
      told(await this.#certificates.record(tx, renewed, by, 'renewal'))
    })
    return { device: renewed.device, expiresAt: renewed.expiresAt }
  }

  /**
   * Ends devices whose certificate has run out, and devices that a compromised device vouched for;
   * any number of servers may run this at once.
   */
  async endOverdue(): Promise<void> {
    const { db, clock } = this.#deps
    const ending = await transaction(db, (tx) => store.endingDevices(tx, clock()))
    for (const { device, person } of ending) {
      const appended = await transaction(db, async (tx) => {
        await lockPerson(tx, person)
        const [still] = await store.endingDevices(tx, clock(), device)
        return still && this.#deps.logs.appendWithin(tx, await endDevices(tx, this.#deps, [still]))
      })
      appended?.afterCommit()
    }
  }

  /**
   * Refuses a renewal that is not of a certificate which the caller's device issued; an
   * administrator may also bring one of the root. NOT_FOUND for an NCP outside its organization.
   */
  async #requireReach(tx: Tx, actor: SignedInCaller, renewed: Certificate): Promise<void> {
    if (renewed.organization !== actor.organization && !isAdministrator(actor)) throw new Problem('NOT_FOUND')
    if (renewed.issuer === actor.device) return
    const root = await findTrustRoot(tx)
    if (!isAdministrator(actor) || renewed.issuer !== root?.device_id) throw new Problem('DEVICE_MISMATCH')
  }

  async #requireRenewable(tx: Tx, renewed: Certificate): Promise<Certificate> {
    const [person] = await findPeople(tx, [renewed.person])
    const device = await findDevice(tx, renewed.device)
    const jws = (await newestCertificates(tx, [renewed.device])).get(renewed.device)
    if (!person || person.ended_at || person.asleep_at || !device || jws === undefined) throw new Problem('NOT_FOUND')
    const current = await readCertificate(jws)
    const same =
      current.person === renewed.person &&
      current.organization === renewed.organization &&
      current.tier === renewed.tier &&
      device.seal_key === JSON.stringify(renewed.keys.seal)
    if (!same) throw new Problem('NOT_FOUND')
    const root = await findTrustRoot(tx)
    const inUse = device.state === 'certified' || device.state === 'expired'
    if (!inUse || device.id === root?.device_id) throw refused('DEVICE_ENDED', 'This device was revoked.')
    if (await store.isDoomed(tx, renewed.device))
      throw refused('COMPROMISED', 'A compromised device vouched for this device: invite its person again.')
    if (renewed.tier === 'service') throw refused('SERVICE', 'An account of a program ends with its terms.')
    return current
  }

  #requireTimes(renewed: Certificate, current: Certificate): void {
    const until = new Date(renewed.expiresAt).getTime()
    const now = this.#deps.clock().getTime()
    if (new Date(current.expiresAt).getTime() - now > dueWithinMs)
      throw refused('NOT_DUE', 'A certificate is renewed within 60 days before its end, or after it.')
    if (until <= new Date(current.expiresAt).getTime() || until - now > longestValidityMs)
      throw refused(
        'VALIDITY',
        'A renewed certificate must end later than the certificate before it, and within 400 days from now.',
      )
    requireTimely(renewed, this.#deps.clock())
  }

  async #requireRight(tx: Tx, renewed: Certificate): Promise<void> {
    const root = await findTrustRoot(tx)
    const chain = await chainAbove(tx, renewed)
    if (chain.some(({ device }) => device === renewed.device))
      throw refused('CIRCLE', 'This device vouched, itself or through others, for the device that would renew it.')
    if (chain.length > mostCertificatesAboveRenewed)
      throw refused('DEPTH', 'A person nearer to the root must renew this device.')
    const byDevice = new Map(chain.map((above) => [above.device, above]))
    await checked('CERTIFICATE_INVALID', () =>
      verifyChain(renewed, { root: root?.device_id as DeviceId }, (device) => byDevice.get(device)),
    )
    const issuer = chain[0]
    const entitled = issuer && (issuer.device === root?.device_id || mayCertify(issuer, renewed))
    if (!entitled) throw refused('ISSUER', 'The device that issued this certificate had no right to.')
    if (issuer.device !== root?.device_id && issuer.person === renewed.person)
      throw refused('OWN', 'Another person must renew the certificates of a person.')
  }
}

/**
 * Whether a caller renews for others: contact points for their organization, administrators for
 * all.
 */
export function renews(actor: SignedInCaller): boolean {
  return actor.tier === 'ncp' || isAdministrator(actor)
}

/** Answers the filter of the certificates that a caller is asked to renew. */
export function duePart(actor: SignedInCaller, now: Date): Parameters<typeof store.dueCertificates>[1] {
  const organization = isAdministrator(actor) ? undefined : actor.organization
  return { before: new Date(now.getTime() + dueWithinMs), organization, except: actor.person }
}

function refused(reason: string, detail: string): Problem {
  return new Problem('CERTIFICATE_INVALID', { reason, detail })
}

function viewOf(due: store.DueCertificateRow, chain: string[]): DueView {
  const { device, person, name, organization, organizationName, tier, expiresAt, expired, certificate } = due
  return {
    device,
    person: { id: person, name },
    organization: { id: organization, name: organizationName },
    tier,
    expiresAt: expiresAt.toISOString(),
    expired,
    certificate,
    chain,
  }
}
