import type { OrganizationKind, Permission } from '../access.ts'
import {
  ProtocolError,
  base64url,
  checkEnrolment,
  demand,
  deriveInvitationKeys,
  formatInvitation,
  fromBase64url,
  fromUtf8,
  importSealPublicKey,
  issueCertificate,
  makeInvitationSecret,
  newId,
  openSealed,
  readIntention,
  recognitionOf,
  sealTo,
  signIntention,
  signRevocation,
  timestamp,
  utf8,
  verifySignature,
  type Certificate,
  type DeviceId,
  type InvitationId,
  type OrganizationId,
  type PersonId,
  type Tier,
} from '../protocol/index.ts'
import { requireCertificate, type Self } from './account.ts'
import { proveChain, readCertificateOnce, verifyKeys } from './certificates.ts'
import { certificateTimes } from './enrolment.ts'
import type { Platform } from './platform.ts'
import { isProblem } from './problem.ts'
import type { Transparency } from './transparency.ts'
import type { Transport } from './transport.ts'

export interface Organization {
  readonly organization: string
  readonly kind: OrganizationKind
  readonly name: string
  readonly country: string | null
  readonly region: string | null
  /** Whether it has left. */
  readonly ended: boolean
}

/** What goes with people who leave. */
export interface DepartureEffects {
  readonly people: readonly { readonly person: string; readonly name: string }[]
  readonly devices: number
  readonly operations: number
}

export interface PersonListed {
  readonly person: string
  readonly name: string
  readonly certified: boolean
  readonly asleep: boolean
  /** Whether it is a program. */
  readonly service: boolean
  /** When the account sleeps at the earliest if nobody uses it; null where it does not. */
  readonly sleepsAt: string | null
  /** It would sleep, but it is the last that could lead an operation or the service. */
  readonly needed: boolean
}

interface Party {
  readonly person: string
  readonly name: string
}

/**
 * Which contact points of an organization are on duty, each with those they stand in for, and what
 * is arranged.
 */
export interface DutyRoster {
  readonly onDuty: readonly (Party & { readonly standsInFor: readonly Party[] })[]
  readonly handOvers: readonly (Party & {
    readonly deputy: Party
    readonly from: string
    /** Null until it is taken back. */
    readonly until: string | null
  })[]
}

export interface HandOverInput {
  readonly deputy: string
  /** Now, if not given or past. */
  readonly from?: Date
  /** Until it is taken back, if not given. */
  readonly until?: Date
  readonly reason: string
}

export interface RecoveryRequest {
  readonly invitation: string
  /** Hash of exactly what is asked. */
  readonly request: string
  readonly requestedAt: string
  readonly approvableUntil: string
  readonly state: 'open' | 'approved' | 'expired'
  readonly tier: string
  readonly person: { readonly id: string; readonly name: string }
  readonly organization: { readonly id: string; readonly name: string }
  readonly requester: { readonly id: string; readonly name: string }
}

export interface OwnDevice {
  readonly device: string
  readonly state: 'waiting' | 'certified' | 'revoked' | 'expired'
  readonly enrolledAt: string
  readonly certificate: string | null
  readonly current: boolean
}

export interface NewInvitation {
  readonly invitation: string
  readonly person: string
  /** The string to hand over: shown once, kept nowhere. */
  readonly text: string
  readonly expiresAt: string
}

export interface InvitationListed {
  readonly invitation: string
  readonly person: string
  readonly name: string
  readonly tier: string
  readonly expiresAt: string
  /** Of a second person, where somebody lost every device; null where none is needed. */
  readonly approval: 'missing' | 'given' | null
  readonly state: 'open' | 'used' | 'revoked' | 'expired'
}

export interface InvitationInput {
  /**
   * A name for a new person, or the id of one who is known and has no device yet, or one's own id
   * for a further device.
   */
  readonly person: { readonly name: string } | { readonly id: string; readonly name: string }
  readonly organization: string
  readonly tier: Exclude<Tier, 'service'>
  /** Hours; 168 if not given, at most 720. */
  readonly hours?: number
}

/** What a service account may be used for, from where and until when. */
export interface ServiceInvitationInput extends Omit<InvitationInput, 'person' | 'tier'> {
  readonly name: string
  readonly permissions: readonly Permission[]
  /** Ranges in CIDR notation. */
  readonly addresses: readonly string[]
  /** At most 366 days ahead. */
  readonly expiresAt: Date
}

/** A newcomer who was certified, or refused with the reason. */
export interface CertifyOutcome {
  readonly person: { readonly id: string; readonly name: string }
  readonly organization: { readonly id: string; readonly name: string }
  readonly device: string
  readonly refused?: { readonly code: string; readonly message: string }
}

interface WaitingEnrolment {
  readonly invitation: string
  readonly person: { readonly id: string; readonly name: string }
  readonly organization: { readonly id: string; readonly name: string }
  readonly tier: string
  readonly device: string
  readonly statement: string
  readonly mac: string
  readonly sealed: string
}

export interface DirectoryDeps {
  readonly platform: Platform
  readonly transport: Transport
  readonly transparency: Transparency
  readonly self: () => Self
}

/** Organizations, invitations and certificates. */
export class Directory {
  readonly #deps: DirectoryDeps

  constructor(deps: DirectoryDeps) {
    this.#deps = deps
  }

  #newId<Id extends string>(): Id {
    return newId<Id>(this.#deps.platform.clock(), this.#deps.platform.random)
  }

  /** Registers an organization; answers its id. ADMINISTRATOR_ONLY. */
  async registerOrganization(input: {
    kind: OrganizationKind
    name: string
    country?: string
    region?: string
    id?: string
  }): Promise<string> {
    const id = input.id ?? this.#newId<OrganizationId>()
    await this.#deps.transport.request('POST', '/v1/organizations', { ...input, id })
    return id
  }

  /** All organizations. ADMINISTRATOR_ONLY. */
  async organizations(): Promise<Organization[]> {
    const answer = await this.#deps.transport.request<{ organizations: Organization[] }>('GET', '/v1/organizations')
    return answer.organizations
  }

  /** People of an organization, for administrators and its own NCPs. */
  async people(organization: string): Promise<PersonListed[]> {
    const path = `/v1/organizations/${organization}/people`
    return (await this.#deps.transport.request<{ people: PersonListed[] }>('GET', path)).people
  }

  /**
   * Invites a person, or a further device. The key by which the newcomer is certified is sealed to
   * this person's own certified devices, so that only they can vouch. FORBIDDEN where one may not
   * vouch for such a person.
   */
  invite(input: InvitationInput): Promise<NewInvitation> {
    return this.#invite(input)
  }

  /**
   * Invites a service account: a program with a device and a sign-in key of its own. What it may do
   * is settled with this and stays. FORBIDDEN for whoever is no NCP of the organization and no
   * administrator.
   */
  inviteService({ name, permissions, addresses, expiresAt, ...input }: ServiceInvitationInput): Promise<NewInvitation> {
    const service = { permissions, addresses, expiresAt: timestamp(expiresAt) }
    return this.#invite({ ...input, person: { name }, tier: 'service' }, service)
  }

  async #invite(
    input: Omit<InvitationInput, 'tier'> & { readonly tier: Tier },
    service?: { readonly expiresAt: string },
  ): Promise<NewInvitation> {
    const { platform, transport, self } = this.#deps
    const { account, device: inviter } = self()
    const secret = makeInvitationSecret(platform.random)
    const { authenticate, certify } = await deriveInvitationKeys(secret)
    const invitation = this.#newId<InvitationId>()
    const person = ('id' in input.person ? input.person.id : this.#newId<PersonId>()) as PersonId
    const organization = input.organization as OrganizationId
    const { tier } = input
    const until = service === undefined ? {} : { expiresAt: service.expiresAt }
    const intended = { certify: base64url(certify), invitation, person, organization, tier, ...until }
    const kept = await signIntention(inviter, intended)
    const sealed = await Promise.all(
      (await this.#ownCertified()).map(async ({ device, keys }) => ({
        device,
        jwe: await sealTo(
          'cordon-invitation+jwe',
          { kid: device, inv: invitation },
          await importSealPublicKey(keys.seal.pub),
          utf8(kept),
        ),
      })),
    )
    const expiresAt = timestamp(new Date(platform.clock().getTime() + (input.hours ?? 168) * 3600_000))
    await transport.request('POST', '/v1/invitations', {
      id: invitation,
      person: { id: person, name: input.person.name },
      organization,
      tier,
      recognition: await recognitionOf(authenticate),
      sealed,
      expiresAt,
      ...(service === undefined ? {} : { service }),
    })
    const { server, pins } = account
    const text = formatInvitation({ server, root: pins.root, invitation, person, organization, tier, secret })
    return { invitation, person, text, expiresAt }
  }

  /**
   * One's own certified devices, each proven up to the pinned root and held by the directory log:
   * the service's list alone is not believed.
   */
  async #ownCertified(): Promise<Certificate[]> {
    const self = this.#deps.self()
    const own = requireCertificate(self)
    const others: Certificate[] = []
    for (const { certificate, state } of await this.devices()) {
      if (certificate !== null && state === 'certified') others.push(await readCertificateOnce(certificate))
    }
    const known = new Map([...others, ...self.chain, own].map((certificate) => [certificate.device, certificate]))
    const proven = [own]
    for (const other of others) {
      if (other.device === own.device || other.person !== own.person) continue
      try {
        await proveChain(other, self.account.pins.root, (device) => known.get(device))
        proven.push(other)
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error
      }
    }
    await this.#deps.transparency.require(proven.slice(1))
    return proven
  }

  /** The certificate of a device of one's own; INVITATION_SIGNER where this is none. */
  async #requireOwn(device: DeviceId): Promise<Certificate> {
    const own = requireCertificate(this.#deps.self())
    const found = own.device === device ? own : (await this.#ownCertified()).find((one) => one.device === device)
    demand(found, 'INVITATION_SIGNER', 'No device of this person signed what the service shows of the invitation.')
    return found
  }

  /** What this person has invited. */
  async invitations(): Promise<InvitationListed[]> {
    const answer = await this.#deps.transport.request<{ invitations: InvitationListed[] }>('GET', '/v1/invitations')
    return answer.invitations
  }

  async revokeInvitation(invitation: string): Promise<void> {
    await this.#deps.transport.request('DELETE', `/v1/invitations/${invitation}`)
  }

  /**
   * Certifies the newcomers that wait for this device: whoever held the invitation and is the very
   * person that was meant. Each outcome says whom; a refused one names why, and nothing is issued
   * for it.
   */
  async certifyWaiting(): Promise<CertifyOutcome[]> {
    const { transport, self } = this.#deps
    if (!self().certificate) return []
    const { enrolments } = await transport.request<{ enrolments: WaitingEnrolment[] }>('GET', '/v1/enrolments')
    const outcomes: CertifyOutcome[] = []
    for (const enrolment of enrolments) {
      const { person, organization, device } = enrolment
      try {
        await transport.request('POST', '/v1/certificates', { certificate: await this.#issue(enrolment) })
        outcomes.push({ person, organization, device })
      } catch (error) {
        if (!(error instanceof ProtocolError) && !isProblem(error)) throw error
        outcomes.push({ person, organization, device, refused: { code: error.code, message: error.message } })
      }
    }
    return outcomes
  }

  async #issue(enrolment: WaitingEnrolment): Promise<string> {
    const { device } = this.#deps.self()
    const { invitation } = enrolment
    const opened = await openSealed(
      'cordon-invitation+jwe',
      { kid: device.id, inv: invitation },
      device.sealKey,
      enrolment.sealed,
    )
    const { certify, inviter, jws, ...intended } = readIntention(fromUtf8(opened))
    // Whoever knows a public key can seal to it: what binds is that this person signed it.
    await verifySignature({ jws }, await verifyKeys.of(await this.#requireOwn(inviter)))
    const { sign, seal } = await checkEnrolment(fromBase64url(certify), enrolment, { ...intended, invitation })
    const own = requireCertificate(this.#deps.self())
    const times = certificateTimes(this.#deps.platform.clock())
    // A further device of one's own ends with the one that vouches for it: nobody prolongs
    // themselves.
    const ends = [times.expiresAt, intended.expiresAt, intended.person === own.person ? own.expiresAt : undefined]
    return issueCertificate(device, {
      keys: { sign, seal },
      person: intended.person,
      organization: intended.organization,
      tier: intended.tier,
      issuedAt: times.issuedAt,
      expiresAt: ends.filter((end) => end !== undefined).toSorted()[0] ?? times.expiresAt,
    })
  }

  /** One's own devices, as the service lists them. */
  async devices(): Promise<OwnDevice[]> {
    const { transport, self } = this.#deps
    const { devices } = await transport.request<{ devices: Omit<OwnDevice, 'current'>[] }>('GET', '/v1/devices')
    const { id } = self().device
    return devices.map((device) => ({ ...device, current: device.device === id }))
  }

  /**
   * Somebody of one's own organization leaves for good (an NCP; of any, an administrator): out of
   * every operation, all sessions ended. NOT_FOUND for others, STEP_UP_REQUIRED where the proof of
   * who one is is too old. The reason is entered in the log.
   */
  async retire(person: string, reason: string): Promise<void> {
    await this.#deps.transport.request('POST', `/v1/people/${person}/retirement`, { reason })
  }

  /** The same until `wake`: nothing is lost. */
  async suspend(person: string, reason: string): Promise<void> {
    await this.#deps.transport.request('PUT', `/v1/people/${person}/suspension`, { reason })
  }

  /** The person can sign in again; in each operation `Operations.wake` takes them back. */
  async wake(person: string, reason: string): Promise<void> {
    await this.#deps.transport.request('POST', `/v1/people/${person}/waking`, { reason })
  }

  /** Who is on duty for an organization now, for administrators and its own NCPs. */
  duty(organization: string): Promise<DutyRoster> {
    return this.#deps.transport.request('GET', `/v1/organizations/${organization}/duty`)
  }

  /**
   * Lets another contact point of the organization stand in for this one, who may be oneself.
   * DUTY_RULE where one of the two is no contact point who can act, or the deputy is away in that
   * time; NOT_FOUND for whoever is no NCP of the organization and no administrator.
   */
  async handOverDuty(person: string, { deputy, from, until, reason }: HandOverInput): Promise<void> {
    await this.#deps.transport.request('PUT', `/v1/people/${person}/deputy`, {
      deputy,
      ...(from === undefined ? {} : { from: timestamp(from) }),
      ...(until === undefined ? {} : { until: timestamp(until) }),
      reason,
    })
  }

  /** This contact point is on duty again, or does not go away after all. */
  async takeBackDuty(person: string): Promise<void> {
    await this.#deps.transport.request('DELETE', `/v1/people/${person}/deputy`)
  }

  /**
   * What would go with one of one's own people, or with a program, before it is retired or stopped.
   */
  atStake(person: string): Promise<DepartureEffects> {
    return this.#deps.transport.request('GET', `/v1/people/${person}/retirement`)
  }

  /** What would go with an organization. ADMINISTRATOR_ONLY. */
  atStakeIn(organization: string): Promise<DepartureEffects> {
    return this.#deps.transport.request('GET', `/v1/organizations/${organization}/departure`)
  }

  /**
   * An organization leaves, and its people with it; answers how many. ADMINISTRATOR_ONLY,
   * STEP_UP_REQUIRED.
   */
  async endOrganization(organization: string, reason: string): Promise<number> {
    const path = `/v1/organizations/${organization}/departure`
    return (await this.#deps.transport.request<{ people: number }>('POST', path, { reason })).people
  }

  /**
   * Revokes every live device of somebody of one's own who has lost them; answers how many. An
   * invitation for the person then asks for the approval of a second person.
   */
  async revokeAll(person: string, compromisedAt?: Date): Promise<number> {
    type Listed = { readonly device: string; readonly state: string; readonly enrolledAt: string }
    const path = `/v1/people/${person}/devices`
    const { devices } = await this.#deps.transport.request<{ devices: Listed[] }>('GET', path)
    // One whose certificate has ended could be renewed.
    const live = devices.filter(({ state }) => state !== 'revoked' || compromisedAt !== undefined)
    for (const { device, enrolledAt } of live) {
      const enrolled = new Date(enrolledAt)
      const since = compromisedAt !== undefined && compromisedAt < enrolled ? enrolled : compromisedAt
      await this.revokeDevice(device, since)
    }
    return live.length
  }

  /**
   * What is asked of a second person: that somebody who lost every device comes back. For contact
   * points and administrators who were told the invitation's id.
   */
  recovery(invitation: string): Promise<RecoveryRequest> {
    return this.#deps.transport.request('GET', `/v1/recoveries/${invitation}`)
  }

  /**
   * Approves exactly what was shown. FORBIDDEN for the organizations concerned, APPROVAL_MISSING
   * too late, STEP_UP_REQUIRED.
   */
  async approveRecovery({ invitation, request }: Pick<RecoveryRequest, 'invitation' | 'request'>): Promise<void> {
    await this.#deps.transport.request('PUT', `/v1/recoveries/${invitation}/approval`, { request })
  }

  /**
   * Revokes a device: its sessions end and the epochs it could read become stale. `compromisedAt`
   * where it is known.
   */
  async revokeDevice(device: string, compromisedAt?: Date): Promise<void> {
    const { transport, self, platform } = this.#deps
    const at = timestamp(platform.clock())
    const since = compromisedAt === undefined ? undefined : timestamp(compromisedAt)
    const revocation = await signRevocation(self().device, device as DeviceId, at, since)
    await transport.request('POST', '/v1/revocations', { revocation })
  }
}
