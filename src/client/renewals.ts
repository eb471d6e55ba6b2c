import {
  ProtocolError,
  demand,
  issueCertificate,
  mayCertify,
  openDevice,
  type Certificate,
  type DeviceSecrets,
} from '../protocol/index.ts'
import { requireCertificate, type Self } from './account.ts'
import { proveTogether } from './certificates.ts'
import { certificateTimes } from './enrolment.ts'
import type { Platform } from './platform.ts'
import { refuse } from './problem.ts'
import type { Transparency } from './transparency.ts'
import type { Transport } from './transport.ts'

/** A certificate that ends within 60 days, or has ended. */
export interface DueCertificate {
  readonly device: string
  readonly person: { readonly id: string; readonly name: string }
  readonly organization: { readonly id: string; readonly name: string }
  readonly tier: string
  readonly expiresAt: string
  readonly expired: boolean
  readonly certificate: string
  /** The certificates above it, the nearest first. */
  readonly chain: readonly string[]
}

/**
 * Renews certificates of other people: for the keys and the person of the old one, for one year
 * from now.
 */
export class Renewals {
  readonly #deps: RenewalsDeps

  constructor(deps: RenewalsDeps) {
    this.#deps = deps
  }

  /**
   * The certificates that end soon, the earliest first: of the organization of an NCP, and all for
   * an administrator. Throws NOT_FOUND for other persons.
   */
  async due(): Promise<DueCertificate[]> {
    // The certificate of this device may have been renewed since it signed in, with another
    // certificate above it.
    await this.#deps.me()
    return (await this.#deps.transport.request<{ due: DueCertificate[] }>('GET', '/v1/renewals')).due
  }

  /**
   * Renews a certificate. Believes what the service shows of it only as far as it is proven: the
   * certificate must lead up to the pinned root, and the directory log must hold it. Throws
   * CERTIFICATE_REFUSED otherwise, and where this device may not renew it; CERTIFICATE_INVALID of
   * the service.
   */
  async renew({ device, certificate, chain }: DueCertificate): Promise<{ readonly expiresAt: string }> {
    const { self, transparency } = this.#deps
    const { account, chain: above, device: own } = self()
    const issuer = requireCertificate(self())
    let current: Certificate | undefined
    try {
      ;[current] = await proveTogether([certificate, ...chain], account.pins.root)
      demand(current?.device === device, 'RENEWAL', 'The certificate is of another device.')
      const circle = above.some((one) => one.device === device) || issuer.device === device
      demand(!circle, 'RENEWAL', 'Your device was vouched for by this device: a device above both has to renew it.')
      const entitled = issuer.person !== current.person && mayCertify(issuer, current)
      demand(entitled, 'RENEWAL', 'Your device may not vouch for this person.')
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      throw refuse('CERTIFICATE_REFUSED', error.message, { device }, error)
    }
    await transparency.require([current])
    return this.#bring(await issueCertificate(own, this.#anew(current)))
  }

  /**
   * Renews the certificate of this device, which is an administrator's, with the private key of the
   * root.
   */
  async renewOwn(root: DeviceSecrets): Promise<{ readonly expiresAt: string }> {
    const { self } = this.#deps
    const issuer = await openDevice(root)
    if (issuer.id !== self().account.pins.root)
      throw refuse('CERTIFICATE_REFUSED', 'This is not the key of the root that this device has pinned.')
    return this.#bring(await issueCertificate(issuer, this.#anew(requireCertificate(self()))))
  }

  #anew({ keys, person, organization, tier }: Certificate) {
    return { keys, person, organization, tier, ...certificateTimes(this.#deps.platform.clock()) }
  }

  #bring(certificate: string): Promise<{ readonly expiresAt: string }> {
    return this.#deps.transport.request('POST', '/v1/renewals', { certificate })
  }
}

export interface RenewalsDeps {
  readonly platform: Platform
  readonly transport: Transport
  readonly transparency: Transparency
  readonly self: () => Self
  /** Fetches the certificate of this device again. */
  readonly me: () => Promise<unknown>
}
