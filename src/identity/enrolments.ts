import { createHash } from 'node:crypto'
import { transaction, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import {
  digestOf,
  mayCertify,
  readCertificate,
  readEnrolment,
  requireSealKey,
  readSealed,
  recognitionOf,
  type EnrolmentPayload,
  type SignJwk,
} from '../protocol/index.ts'
import { checked } from './certificates.ts'
import { actInDirectory } from './directory-act.ts'
import { asActor, type SignedInCaller, type IdentityDeps } from './deps.ts'
import { requireRecent, type FactorEvidence, type FactorService } from './factors/service.ts'
import { requestOf, requireApproved } from './recoveries/service.ts'
import { insertRecovery } from './recoveries/store.ts'
import { isSignInKey } from './service-accounts/store.ts'
import { keepSignInKey, registerAccount, type TermsInput } from './service-accounts/terms.ts'
import * as store from './store.ts'
import { parseSecret, sameSecret } from './tokens.ts'

/** The door at which attempts to enrol are counted, apart from attempts to sign in on a device. */
const door = 'enrolments'
/** The most devices of one person: certified or waiting, and open invitations to one. */
const mostDevicesPerPerson = 20
/** The most invitations of one inviter that are unused, unrevoked and in time. */
const mostOpenInvitations = 1_000
const longestInvitationMs = 30 * 24 * 3600_000

export interface NewInvitationInput {
  readonly id: string
  readonly person: { readonly id: string; readonly name: string }
  readonly organization: string
  readonly tier: 'administrator' | 'ncp' | 'person' | 'service' | 'auditor'
  readonly recognition: string
  readonly sealed: readonly { readonly device: string; readonly jwe: string }[]
  readonly expiresAt: string
  /** The terms of a service account; absent for a person. */
  readonly service?: TermsInput
}

/**
 * The kind of person an invitation is for: a new one, one with a further device, or one who has
 * lost every device.
 */
type InvitationKind = 'new' | 'again' | 'recovered'

export interface DeviceEnrolmentInput extends FactorEvidence {
  readonly invitation: string
  readonly authenticate: string
  readonly statement: string
  readonly mac: string
  /** The public key of a service account, which brings no evidence. */
  readonly signInKey?: SignJwk
}

/** Invitations, and the enrolments of newcomers. */
export class EnrolmentService {
  readonly #deps: IdentityDeps

  readonly #factors: FactorService

  constructor(deps: IdentityDeps, factors: FactorService) {
    this.#deps = deps
    this.#factors = factors
  }

  /**
   * Invites a person, or a further device of a person. `mayCertify` decides by the caller's
   * certificate whom the caller may invite.
   */
  async invite(actor: SignedInCaller, input: NewInvitationInput): Promise<void> {
    const now = this.#deps.clock()
    const expiresAt = new Date(input.expiresAt)
    const recognition = parseSecret(input.recognition)
    if (!recognition || !(expiresAt > now) || expiresAt.getTime() - now.getTime() > longestInvitationMs) {
      throw new Problem('VALIDATION', {
        faults: [{ pointer: '/expiresAt', reason: 'An invitation lives for at most 30 days.' }],
      })
    }
    await actInDirectory(this.#deps, actor, [input.person.id], async ({ tx, by: actor, enter }) => {
      await this.#requireRightToInvite(tx, actor, input)
      await this.#requireOwnDevices(tx, actor, input)
      const invited = await this.#registerPerson(tx, actor, input, now)
      await requireRoomFor(tx, actor, input.person.id, now)
      if (invited === 'recovered') await requireRecent(tx, actor, now)
      const service = await registerAccount(tx, input, invited !== 'new', now)
      if (await store.lockInvitation(tx, input.id)) throw new Problem('ALREADY_EXISTS')
      await store.insertInvitation(
        tx,
        {
          id: input.id,
          person_id: input.person.id,
          organization_id: input.organization,
          tier: input.tier,
          recognition,
          inviter_person_id: actor.person,
          inviter_device_id: actor.device,
          expires_at: expiresAt,
          used_at: null,
          revoked_at: null,
        },
        input.sealed,
      )
      const request = invited === 'recovered' ? await this.#askForApproval(tx, input, now) : undefined
      const details = {
        session: actor.session,
        invitation: input.id,
        tier: input.tier,
        organization: input.organization,
        furtherDevice: invited === 'again',
        expiresAt: expiresAt.toISOString(),
        recognition: createHash('sha256').update(recognition).digest('base64url'),
        ...(invited === 'new' ? { name: input.person.name } : {}),
        ...(request === undefined ? {} : { recovery: request }),
        ...(service ? { service } : {}),
      }
      await enter({ kind: 'person.invited', actor: asActor(actor), subject: input.person.id, details })
    })
  }

  async #askForApproval(tx: Tx, input: NewInvitationInput, now: Date): Promise<string> {
    const { id: invitation, person, organization, tier, recognition } = input
    const request = await requestOf({ invitation, person: person.id, organization, tier, recognition })
    await insertRecovery(tx, invitation, request, now)
    return request
  }

  async #requireRightToInvite(tx: Tx, actor: SignedInCaller, input: NewInvitationInput): Promise<void> {
    const jws = (await store.newestCertificates(tx, [actor.device])).get(actor.device)
    if (jws === undefined || actor.tier === null) throw new Problem('DEVICE_NOT_CERTIFIED')
    const issuer = await readCertificate(jws)
    const wanted = { person: input.person.id, organization: input.organization, tier: input.tier } as Parameters<
      typeof mayCertify
    >[1]
    if (!mayCertify(issuer, wanted))
      throw new Problem('FORBIDDEN', { detail: 'Your device may not vouch for this person.' })
  }

  async #requireOwnDevices(tx: Tx, actor: SignedInCaller, input: NewInvitationInput): Promise<void> {
    const own = (await store.devicesOf(tx, actor.person))
      .filter(({ state }) => state === 'certified')
      .map(({ id }) => id)
    const fits = input.sealed.length > 0 && input.sealed.every(({ device }) => own.includes(device))
    if (!fits)
      throw new Problem('VALIDATION', {
        faults: [{ pointer: '/sealed', reason: 'Seal the certifying key to your own certified devices.' }],
      })
    await checked('STATEMENT_INVALID', async () => {
      for (const { device, jwe } of input.sealed) {
        const header = readSealed('cordon-invitation+jwe', jwe)
        if (header['kid'] !== device)
          throw new Problem('VALIDATION', {
            faults: [{ pointer: '/sealed', reason: 'A key is sealed to another device.' }],
          })
      }
    })
  }

  async #registerPerson(tx: Tx, actor: SignedInCaller, input: NewInvitationInput, now: Date): Promise<InvitationKind> {
    const [organization] = await store.findOrganizations(tx, [input.organization])
    if (!organization || organization.ended_at) throw new Problem('NOT_FOUND')
    const [person] = await store.findPeople(tx, [input.person.id])
    if (!person) {
      if (input.person.id === actor.person) throw new Problem('NOT_FOUND')
      await store.insertPerson(tx, {
        id: input.person.id,
        organization_id: input.organization,
        name: input.person.name,
        registered_at: now,
        ended_at: null,
      })
      return 'new'
    }
    if (person.organization_id !== input.organization || person.ended_at) throw new Problem('NOT_FOUND')
    if (person.id === actor.person) return 'again'
    const devices = await store.devicesOf(tx, person.id)
    const enrolledOnce = devices.some(({ state }) => state !== 'waiting')
    if (!enrolledOnce) return 'again'
    if (input.tier === 'service' || devices.some(({ state }) => state === 'certified' || state === 'expired'))
      throw new Problem('DEVICES_LIVE')
    return 'recovered'
  }

  async invitations(actor: SignedInCaller) {
    const rows = await transaction(this.#deps.db, (tx) => store.invitationsBy(tx, actor.person))
    return rows.map((row) => ({
      invitation: row.id,
      person: row.person_id,
      name: row.name,
      tier: row.tier,
      expiresAt: row.expires_at.toISOString(),
      approval: row.recovery_at === null ? null : row.approved_at === null ? 'missing' : 'given',
      state: row.revoked_at
        ? 'revoked'
        : row.used_at
          ? 'used'
          : row.expires_at <= this.#deps.clock()
            ? 'expired'
            : 'open',
    }))
  }

  async revokeInvitation(actor: SignedInCaller, id: string): Promise<void> {
    await actInDirectory(this.#deps, actor, [], async ({ tx, by, now, enter }) => {
      const invitation = await store.lockInvitation(tx, id)
      if (!invitation || invitation.inviter_person_id !== by.person) throw new Problem('NOT_FOUND')
      if (invitation.revoked_at) return
      await store.markInvitation(tx, id, { revoked_at: now })
      const details = { session: by.session }
      await enter({ kind: 'invitation.revoked', actor: asActor(by), subject: id, details })
    })
  }

  /**
   * Enrols a newcomer's device by its invitation, which works once; until the device is certified
   * it gets no key.
   */
  async enrol(input: DeviceEnrolmentInput) {
    const { db, logs, clock, passphrases } = this.#deps
    passphrases.requireRoom()
    const now = clock()
    const secret = parseSecret(input.authenticate)
    if (!secret) throw new Problem('INVITATION_INVALID')
    const recognition = parseSecret(await recognitionOf(secret))
    const peek = await transaction(db, (tx) => this.#requireInvitation(tx, input.invitation, recognition, now))
    const enrolment = await checked('ENROLMENT_INVALID', async () => {
      const read = await readEnrolment(input.statement)
      requireSealKey(read.seal)
      return read
    })
    requireIntended(enrolment, peek)
    const digest = await digestOf(input.statement)
    const recovered = await transaction(db, (tx) => requireApproved(tx, peek.id, now))
    const credential = await this.#credentialOf(peek, enrolment, input, { now, begins: recovered !== undefined })
    const result = await transaction(db, async (tx) => {
      const person = await store.lockPerson(tx, peek.person_id)
      const invitation = await this.#requireInvitation(tx, input.invitation, recognition, now)
      if (!person || person.ended_at || person.asleep_at) throw new Problem('INVITATION_INVALID')
      if ((await store.findDevice(tx, enrolment.device)) || (await isSignInKey(tx, enrolment.device)))
        throw new Problem('ENROLMENT_INVALID', { reason: 'DEVICE_KNOWN' })
      const approver = await requireApproved(tx, invitation.id, now)
      if (approver !== undefined) await this.#factors.forget(tx, person.id)
      await store.markInvitation(tx, invitation.id, { used_at: now })
      await store.insertDevice(tx, {
        id: enrolment.device,
        person_id: person.id,
        sign_key: JSON.stringify(enrolment.sign),
        seal_key: JSON.stringify(enrolment.seal),
        state: 'waiting',
        enrolled_at: now,
      })
      await store.insertEnrolment(tx, {
        invitation_id: invitation.id,
        device_id: enrolment.device,
        statement: input.statement,
        mac: input.mac,
        certified_at: null,
      })
      const actor = { person: person.id, organization: person.organization_id, device: enrolment.device }
      const recovery = approver === undefined ? { reason: 'invited' } : { reason: 'recovered', approvers: [approver] }
      const details = { invitation: invitation.id, mac: input.mac, outcome: 'waiting', ...recovery }
      const drafts = [{ kind: 'device.enrolled' as const, actor, subject: enrolment.device, digest, details }]
      await store.forgetAttempts(tx, { person: person.id, door })
      const set = credential && {
        kind: 'credential.set' as const,
        actor,
        subject: person.id,
        details: { ...(await credential.keep(tx)), outcome: 'accepted', reason: 'enrolment' },
      }
      const appended = await logs.appendWithin(tx, [{ log: logs.directory, drafts: set ? [...drafts, set] : drafts }])
      return { person, appended, inviter: await inviterOf(tx, invitation.inviter_person_id) }
    })
    const { appended, person, inviter } = result
    appended.afterCommit()
    return { person: person.id, organization: person.organization_id, name: person.name, inviter }
  }

  /**
   * Answers how the newcomer will sign in: `keep` stores it and answers what the entry says of it.
   * Undefined where the person has it already.
   */
  async #credentialOf(
    invitation: { person_id: string; organization_id: string; tier: string },
    { device }: EnrolmentPayload & { device: string },
    { signInKey, ...evidence }: DeviceEnrolmentInput,
    { now, begins }: { now: Date; begins: boolean },
  ): Promise<{ keep(tx: Tx): Promise<Record<string, string>> } | undefined> {
    const person = invitation.person_id
    const isService = invitation.tier === 'service'
    if (
      isService !== (signInKey !== undefined) ||
      (isService && (evidence.passphrase ?? evidence.passkey) !== undefined)
    )
      throw otherCredential(invitation.tier)
    if (signInKey) {
      return {
        keep: async (tx) => ({ factor: 'key', thumbprint: await keepSignInKey(tx, person, signInKey, device, now) }),
      }
    }
    const hash = await this.#proveOrBegin(invitation, evidence, { now, begins })
    if (hash === undefined) return undefined
    return {
      keep: (tx) => this.#factors.setFirst(tx, person, hash, now),
    }
  }

  /**
   * A person who has a factor proves it, for a further device too; a person who has none, or begins
   * again, sets a passphrase. Answers the hash of that passphrase; undefined where the person
   * proved a factor.
   */
  async #proveOrBegin(
    { person_id: person, organization_id: organization }: { person_id: string; organization_id: string },
    evidence: FactorEvidence,
    { now, begins }: { now: Date; begins: boolean },
  ): Promise<string | undefined> {
    const { known, names } = await transaction(this.#deps.db, async (tx) => ({
      known: await this.#factors.has(tx, person),
      names: await this.#factors.namesOf(tx, { person, organization }),
    }))
    if (begins || !known) return this.#factors.hashFirst(evidence.passphrase ?? '', names)
    if (!(await this.#factors.knows({ person, door }, evidence, now))) throw new Problem('SIGN_IN_REFUSED')
    return undefined
  }

  /**
   * Answers the invitation and locks it. One Problem answers for unknown, used, expired and revoked
   * invitations and for a wrong secret.
   */
  async #requireInvitation(tx: Tx, id: string, recognition: Uint8Array | undefined, now: Date) {
    const invitation = await store.lockInvitation(tx, id)
    const right =
      recognition !== undefined && invitation !== undefined && sameSecret(invitation.recognition, recognition)
    if (!right || invitation.used_at || invitation.revoked_at || invitation.expires_at <= now)
      throw new Problem('INVITATION_INVALID')
    return invitation
  }

  /**
   * Answers the enrolments that this caller's device can certify, with the sealed key by which the
   * device checks them.
   */
  async waiting(actor: SignedInCaller) {
    const rows = await transaction(this.#deps.db, (tx) => store.enrolmentsWaitingFor(tx, actor.device))
    return rows.map(({ personName, organizationName, person, organization, ...row }) => ({
      ...row,
      person: { id: person, name: personName },
      organization: { id: organization, name: organizationName },
    }))
  }
}

/**
 * Bounds the further devices that a person has or is invited to, and the open invitations that an
 * inviter has made.
 */
async function requireRoomFor(tx: Tx, inviter: SignedInCaller, person: string, now: Date): Promise<void> {
  const { devices, invitations, open } = await store.countBefore(tx, { person, inviter: inviter.person }, now)
  if (devices + invitations >= mostDevicesPerPerson)
    throw new Problem('TOO_MANY', {
      most: mostDevicesPerPerson,
      detail: 'A person can have no more devices and invitations.',
    })
  if (open >= mostOpenInvitations)
    throw new Problem('TOO_MANY', {
      most: mostOpenInvitations,
      detail: 'A person can have no more unused invitations.',
    })
}

const otherCredential = (tier: string) =>
  new Problem('VALIDATION', {
    faults: [
      tier === 'service'
        ? {
            in: 'body',
            pointer: '/signInKey',
            reason: 'is what a service account signs in with, instead of a passphrase',
          }
        : { in: 'body', pointer: '/passphrase', reason: 'is what a person signs in with' },
    ],
  })

/** Answers for whom a newcomer waits, in words. */
async function inviterOf(tx: Tx, id: string): Promise<{ name: string; organization: string }> {
  const [person] = await store.findPeople(tx, [id])
  const [organization] = person ? await store.findOrganizations(tx, [person.organization_id]) : []
  return { name: person?.name ?? '', organization: organization?.name ?? '' }
}

function requireIntended(
  enrolment: EnrolmentPayload,
  invitation: { id: string; person_id: string; organization_id: string; tier: string },
): void {
  const same =
    enrolment.invitation === invitation.id &&
    enrolment.person === invitation.person_id &&
    enrolment.organization === invitation.organization_id &&
    enrolment.tier === invitation.tier
  if (!same) throw new Problem('ENROLMENT_INVALID', { reason: 'INTENDED' })
}
