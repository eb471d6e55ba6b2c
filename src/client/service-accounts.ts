import type { Permission } from '../access.ts'
import { signRevocation, timestamp, type DeviceId } from '../protocol/index.ts'
import type { Self } from './account.ts'
import type { Platform } from './platform.ts'
import { isProblem } from './problem.ts'
import type { Transport } from './transport.ts'

export interface ServiceAccountListed {
  readonly account: string
  readonly name: string
  readonly organization: { readonly id: string; readonly name: string }
  readonly permissions: readonly Permission[]
  /** Address ranges in CIDR notation. */
  readonly addresses: readonly string[]
  readonly expiresAt: string
  readonly state: 'invited' | 'waiting' | 'active' | 'revoked' | 'expired' | 'ended'
  readonly device: string | null
  /** The time of the last use, to the minute. */
  readonly lastUsed: { readonly at: string; readonly address: string } | null
}

export interface ServiceAccountsDeps {
  readonly platform: Platform
  readonly transport: Transport
  readonly self: () => Self
}

const mostAttempts = 3
/** The states in which the device of an account may still be live. */
const liveStates: readonly ServiceAccountListed['state'][] = ['waiting', 'active', 'expired']

/**
 * Service accounts, for the persons who answer for them: an NCP for those of the organization, an
 * administrator for all.
 */
export class ServiceAccounts {
  readonly #deps: ServiceAccountsDeps

  constructor(deps: ServiceAccountsDeps) {
    this.#deps = deps
  }

  /**
   * The service accounts of an organization. Without `organization`: those of the organization of
   * this person, and for an administrator all. Throws NOT_FOUND for other persons.
   */
  async list(organization?: string): Promise<ServiceAccountListed[]> {
    const query = organization === undefined ? '' : `?organization=${organization}`
    const path = `/v1/service-accounts${query}`
    return (await this.#deps.transport.request<{ serviceAccounts: ServiceAccountListed[] }>('GET', path))
      .serviceAccounts
  }

  /**
   * Stops an account at once and for good, with a revocation of its device that every client
   * checks. Throws NOT_FOUND.
   */
  async stop(account: string): Promise<void> {
    const { transport, platform, self } = this.#deps
    for (let attempt = 1; ; attempt++) {
      const known = (await this.list()).find((one) => one.account === account)
      const device = known && liveStates.includes(known.state) ? known.device : null
      const at = timestamp(platform.clock())
      const revocation = device ? { revocation: await signRevocation(self().device, device as DeviceId, at) } : {}
      try {
        await transport.request('POST', `/v1/service-accounts/${account}/stop`, revocation)
        return
      } catch (error) {
        // Since it was listed, the account has enrolled a device, or its time has ended.
        if (!isProblem(error, 'VALIDATION') || attempt === mostAttempts) throw error
      }
    }
  }
}
