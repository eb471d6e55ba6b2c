import type { OrganizationKind } from '../access.ts'
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
import type {
  CertifyOutcome,
  DepartureEffects,
  DutyRoster,
  HandOverRequest,
  InvitationRequest,
  InvitationListed,
  NewInvitation,
  Organization,
  OwnDevice,
  PersonListed,
  RecoveryRequest,
  ServiceInvitationRequest,
} from './directory-types.ts'
import type { Platform } from './platform.ts'
import { isProblem } from './problem.ts'
import type { Transparency } from './transparency.ts'
import type { Transport } from './transport.ts'

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

/** Organizations, people, invitations and certificates. */
export class Directory {
  readonly #deps: DirectoryDeps

  constructor(deps: DirectoryDeps) {
    this.#deps = deps
  }

  #newId<Id extends string>(): Id {
    return newId<Id>(this.#deps.platform.clock(), this.#deps.platform.random)
  }

  /**
   * Registers an organization; answers its id. `onSimilar` gets the organizations whose names look
   * like this name, if there are any: a person should look at them. Throws ADMINISTRATOR_ONLY;
   * NAME_TAKEN where another organization has the name.
   */
  async registerOrganization(
    input: { kind: OrganizationKind; name: string; country?: string; region?: string; id?: string },
    onSimilar?: (similar: readonly { readonly organization: string; readonly name: string }[]) => void,
  ): Promise<string> {
    const id = input.id ?? this.#newId<OrganizationId>()
    const { similar } = await this.#deps.transport.request<{ similar: { organization: string; name: string }[] }>(
      'POST',
      '/v1/organizations',
      { ...input, id },
    )
    if (similar.length > 0) onSimilar?.(similar)
    return id
  }

  /** All organizations. Throws ADMINISTRATOR_ONLY. */
  async organizations(): Promise<Organization[]> {
    const answer = await this.#deps.transport.request<{ organizations: Organization[] }>('GET', '/v1/organizations')
    return answer.organizations
  }

  /** The people of an organization, for administrators and for the NCPs of that organization. */
  async people(organization: string): Promise<PersonListed[]> {
    const path = `/v1/organizations/${organization}/people`
    return (await this.#deps.transport.request<{ people: PersonListed[] }>('GET', path)).people
  }

  /**
   * Invites a person, or a further device of this person. The key that certifies the newcomer is
   * sealed to the certified devices of this person, so that only they can vouch. Throws FORBIDDEN
   * where this person may not vouch for such a newcomer.
   */
  invite(input: InvitationRequest): Promise<NewInvitation> {
    return this.#invite(input)
  }

  /**
   * Invites a service account: a program with a device and a sign-in key of its own. Its
   * permissions are settled with the invitation and never change. Throws FORBIDDEN where this
   * person is neither an NCP of the organization nor an administrator.
   */
  inviteService({
    name,
    permissions,
    addresses,
    expiresAt,
    ...input
  }: ServiceInvitationRequest): Promise<NewInvitation> {
    const service = { permissions, addresses, expiresAt: timestamp(expiresAt) }
    return this.#invite({ ...input, person: { name }, tier: 'service' }, service)
  }

  async #invite(
    input: Omit<InvitationRequest, 'tier'> & { readonly tier: Tier },
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
   * The certified devices of this person, each proven up to the pinned root and held by the
   * directory log. The list of the service alone is not believed.
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

  /**
   * The certificate of a device of this person. Throws `ProtocolError` INVITATION_SIGNER where the
   * device belongs to another person.
   */
  async #requireOwn(device: DeviceId): Promise<Certificate> {
    const own = requireCertificate(this.#deps.self())
    const found = own.device === device ? own : (await this.#ownCertified()).find((one) => one.device === device)
    demand(found, 'INVITATION_SIGNER', 'No device of this person signed the invitation that the service shows.')
    return found
  }

  /** The invitations that this person made. */
  async invitations(): Promise<InvitationListed[]> {
    const answer = await this.#deps.transport.request<{ invitations: InvitationListed[] }>('GET', '/v1/invitations')
    return answer.invitations
  }

  async revokeInvitation(invitation: string): Promise<void> {
    await this.#deps.transport.request('DELETE', `/v1/invitations/${invitation}`)
  }

  /**
   * Certifies the newcomers that wait for this device: each must have held the invitation and must
   * be the person whom the inviter meant. Answers an outcome for each; a refused newcomer gets no
   * certificate, and its outcome has the reason.
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
    // Sealing needs a public key alone, so that any caller could have sealed this. The signature of
    // this person is what binds.
    await verifySignature({ jws }, await verifyKeys.of(await this.#requireOwn(inviter)))
    const { sign, seal } = await checkEnrolment(fromBase64url(certify), enrolment, { ...intended, invitation })
    const own = requireCertificate(this.#deps.self())
    const times = certificateTimes(this.#deps.platform.clock())
    // A further device of this person ends with the device that vouches for it: a person cannot
    // prolong their own certificates.
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

  /** The devices of this person, as the service lists them. */
  async devices(): Promise<OwnDevice[]> {
    const { transport, self } = this.#deps
    const { devices } = await transport.request<{ devices: Omit<OwnDevice, 'current'>[] }>('GET', '/v1/devices')
    const { id } = self().device
    return devices.map((device) => ({ ...device, current: device.device === id }))
  }

  /**
   * Retires a person for good: the person leaves every operation, and all sessions end. An NCP may
   * retire people of the own organization, an administrator any person. The log records the reason.
   * Throws NOT_FOUND for others, STEP_UP_REQUIRED where the last proof of identity is too old.
   */
  async retire(person: string, reason: string): Promise<void> {
    await this.#deps.transport.request('POST', `/v1/people/${person}/retirement`, { reason })
  }

  /**
   * Suspends a person until `wake`: all sessions end, nothing is lost. Rights and errors are those
   * of `retire`.
   */
  async suspend(person: string, reason: string): Promise<void> {
    await this.#deps.transport.request('PUT', `/v1/people/${person}/suspension`, { reason })
  }

  /**
   * Lets a suspended or sleeping person sign in again. In each operation a member wakes the person
   * with `Operations.wake`.
   */
  async wake(person: string, reason: string): Promise<void> {
    await this.#deps.transport.request('POST', `/v1/people/${person}/waking`, { reason })
  }

  /**
   * The duty roster of an organization now, for administrators and for the NCPs of that
   * organization.
   */
  duty(organization: string): Promise<DutyRoster> {
    return this.#deps.transport.request('GET', `/v1/organizations/${organization}/duty`)
  }

  /**
   * Lets another contact point of the organization, the deputy, stand in for `person`, who may be
   * the caller. Throws DUTY_RULE where one of the two is no contact point who can act, or where the
   * deputy is away in that time; NOT_FOUND where the caller is neither an NCP of the organization
   * nor an administrator.
   */
  async handOverDuty(person: string, { deputy, from, until, reason }: HandOverRequest): Promise<void> {
    await this.#deps.transport.request('PUT', `/v1/people/${person}/deputy`, {
      deputy,
      ...(from === undefined ? {} : { from: timestamp(from) }),
      ...(until === undefined ? {} : { until: timestamp(until) }),
      reason,
    })
  }

  /** Ends the hand-over of a contact point, or cancels it before it begins. */
  async takeBackDuty(person: string): Promise<void> {
    await this.#deps.transport.request('DELETE', `/v1/people/${person}/deputy`)
  }

  /** The effects of retiring a person of the own organization, or of stopping a service account. */
  atStake(person: string): Promise<DepartureEffects> {
    return this.#deps.transport.request('GET', `/v1/people/${person}/retirement`)
  }

  /** The effects of the departure of an organization. Throws ADMINISTRATOR_ONLY. */
  atStakeIn(organization: string): Promise<DepartureEffects> {
    return this.#deps.transport.request('GET', `/v1/organizations/${organization}/departure`)
  }

  /**
   * Ends an organization: its people leave with it. Answers how many people left. Throws
   * ADMINISTRATOR_ONLY, STEP_UP_REQUIRED.
   */
  async endOrganization(organization: string, reason: string): Promise<number> {
    const path = `/v1/organizations/${organization}/departure`
    return (await this.#deps.transport.request<{ people: number }>('POST', path, { reason })).people
  }

  /**
   * Revokes every live device of a person of the own organization who lost them. Answers how many
   * devices it revoked. A later invitation for the person then needs the approval of a second
   * person.
   */
  async revokeAll(person: string, compromisedAt?: Date): Promise<number> {
    type Listed = { readonly device: string; readonly state: string; readonly enrolledAt: string }
    const path = `/v1/people/${person}/devices`
    const { devices } = await this.#deps.transport.request<{ devices: Listed[] }>('GET', path)
    // A device whose certificate has ended could be renewed, so that it is revoked as well.
    const live = devices.filter(({ state }) => state !== 'revoked' || compromisedAt !== undefined)
    for (const { device, enrolledAt } of live) {
      const enrolled = new Date(enrolledAt)
      const since = compromisedAt !== undefined && compromisedAt < enrolled ? enrolled : compromisedAt
      await this.revokeDevice(device, since)
    }
    return live.length
  }

  /**
   * A request that a person who lost every device may come back, for the second person who approves
   * it. Contact points and administrators who know the id of the invitation may read it.
   */
  recovery(invitation: string): Promise<RecoveryRequest> {
    return this.#deps.transport.request('GET', `/v1/recoveries/${invitation}`)
  }

  /**
   * Approves the request that was read with `recovery`. Throws FORBIDDEN for the organizations that
   * the request concerns, APPROVAL_MISSING where the time is over, STEP_UP_REQUIRED.
   */
  async approveRecovery({ invitation, request }: Pick<RecoveryRequest, 'invitation' | 'request'>): Promise<void> {
    await this.#deps.transport.request('PUT', `/v1/recoveries/${invitation}/approval`, { request })
  }

  /**
   * Revokes a device: its sessions end, and the epochs whose keys it holds become stale.
   * `compromisedAt` is the time since which the device is not to be believed, where it is known.
   */
  async revokeDevice(device: string, compromisedAt?: Date): Promise<void> {
    const { transport, self, platform } = this.#deps
    const at = timestamp(platform.clock())
    const since = compromisedAt === undefined ? undefined : timestamp(compromisedAt)
    const revocation = await signRevocation(self().device, device as DeviceId, at, since)
    await transport.request('POST', '/v1/revocations', { revocation })
  }
}
