import type { OrganizationKind } from '../access.ts'
import { transaction, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { comparingForm } from '../forms/index.ts'
import type { EntryDraft } from '../log/index.ts'
import {
  base64url,
  readCertificate,
  readEnrolment,
  requireSealKey,
  verifyChain,
  verifyRootStatement,
  type Certificate,
  type DeviceId,
} from '../protocol/index.ts'
import type { CertificateService } from './certificates.ts'
import { chainAbove, checked } from './certificates.ts'
import type { Administrator } from './access.ts'
import { actInDirectory } from './directory-act.ts'
import { asActor, isAdministrator, type SignedInCaller, type IdentityDeps } from './deps.ts'
import type { FactorService } from './factors/service.ts'
import { insertOrganization } from './people/store.ts'
import { duePart, renews } from './renewals/service.ts'
import { dueCertificates } from './renewals/store.ts'
import { justifiedBy, viewedDraft } from './justification.ts'
import { sleepTimes } from './idleness/idleness.ts'
import { lookingLike } from './similar-names.ts'
import * as store from './store.ts'
import { hashSecret, sameSecret } from './tokens.ts'

export interface NewOrganizationInput {
  readonly id: string
  readonly kind: OrganizationKind
  readonly name: string
  readonly country?: string
  readonly region?: string
}

export interface SetUpInput {
  readonly secret: string
  readonly organization: { readonly id: string; readonly name: string; readonly country?: string }
  readonly rootCertificate: string
  readonly rootStatement: string
  readonly person: { readonly id: string; readonly name: string }
  readonly enrolment: string
  readonly certificate: string
  readonly passphrase: string
}

export interface PersonView {
  readonly person: string
  readonly name: string
  readonly certified: boolean
  readonly asleep: boolean
  /** Whether the account is that of a program. */
  readonly service: boolean
  /**
   * When the account sleeps at the earliest if its person does not use it; null where it does not
   * sleep.
   */
  readonly sleepsAt: string | null
  /**
   * True where the account would sleep, but is the last that could lead an operation or the
   * service.
   */
  readonly needed: boolean
}

export interface OrganizationView {
  organization: string
  kind: OrganizationKind
  name: string
  country: string | null
  region: string | null
  /** Whether the organization has left. */
  ended: boolean
}

/** Organizations and people, the root, and what a person may know about themselves. */
export class DirectoryService {
  readonly #deps: IdentityDeps
  readonly #certificates: CertificateService

  readonly #factors: FactorService

  constructor(deps: IdentityDeps, certificates: CertificateService, factors: FactorService) {
    this.#deps = deps
    this.#factors = factors
    this.#certificates = certificates
  }

  /**
   * Makes a new set-up secret, to be shown once, on a database without a root; undefined where
   * there is a root.
   */
  async newSetUpSecret(): Promise<string | undefined> {
    const secret = base64url(this.#deps.random(32))
    return transaction(this.#deps.db, async (tx) => {
      if (await store.findTrustRoot(tx)) return undefined
      await store.replaceSetUpSecret(tx, hashSecret(secret))
      return secret
    })
  }

  async root(): Promise<string | undefined> {
    return (await transaction(this.#deps.db, store.findTrustRoot))?.device_id
  }

  /** Makes the root, the secretariat and the first administrator; succeeds once. */
  async setUp(input: SetUpInput): Promise<void> {
    const { db, clock, logs } = this.#deps
    const now = clock()
    await transaction(db, (tx) => requireSetUpSecret(tx, input.secret))
    const { root, administrator, enrolment, successor } = await checked('CERTIFICATE_INVALID', () => readSetUp(input))
    const hash = await this.#factors.hashFirst(input.passphrase, [input.person.name, input.organization.name])
    const appended = await transaction(db, async (tx) => {
      await requireSetUpSecret(tx, input.secret)
      await store.dropSetUpSecret(tx)
      await insertFirst(tx, input, { root, administrator }, now)
      const passphrase = await this.#factors.setFirst(tx, input.person.id, hash, now)
      const actor = { person: input.person.id, organization: input.organization.id, device: enrolment.device }
      const first = await logs.appendWithin(tx, [
        { log: logs.directory, drafts: firstDrafts(input, actor, passphrase) },
      ])
      await store.insertTrustRoot(tx, {
        device_id: root.device,
        successor_device_id: successor,
        statement: input.rootStatement,
        set_up_at: first.entries.get(logs.directory)?.[0]?.at ?? now,
      })
      const rooted = await this.#certificates.record(tx, root, actor, 'set-up')
      const vouched = await this.#certificates.record(tx, administrator, actor, 'set-up')
      return [first, rooted, vouched]
    })
    for (const part of appended) part.afterCommit()
  }

  /**
   * Registers an organization once. Answers the organizations whose names look like its name.
   * NAME_TAKEN where another one has the name.
   */
  async registerOrganization(
    actor: Administrator,
    input: NewOrganizationInput,
  ): Promise<{ organization: string; name: string }[]> {
    if (input.kind === 'administration' && input.country === undefined) {
      throw new Problem('VALIDATION', {
        faults: [
          { in: 'body', pointer: '/country', reason: 'is missing: an administration is named by its ISO 3166-1 code' },
        ],
      })
    }
    return actInDirectory(this.#deps, actor, [], async ({ tx, by, now, enter }) => {
      const all = await store.allOrganizations(tx)
      const known = all.find(({ id }) => id === input.id)
      const others = all.filter((one) => one !== known)
      const similar = lookingLike(input.name, others).map(({ id, name }) => ({ organization: id, name }))
      if (known) {
        const same = known.kind === input.kind && known.name === input.name && known.country === (input.country ?? null)
        if (!same) throw new Problem('ALREADY_EXISTS')
        return similar
      }
      const form = comparingForm(input.name)
      const taken = others.find(({ name }) => comparingForm(name) === form)
      if (taken) throw new Problem('NAME_TAKEN', { organization: taken.id, name: taken.name })
      await insertOrganization(tx, {
        id: input.id,
        kind: input.kind,
        name: input.name,
        country: input.country ?? null,
        region: input.region ?? null,
        registered_at: now,
        ended_at: null,
      })
      const { kind, name, country, region } = input
      const details = { session: by.session, kind, name, country, region }
      await enter({ kind: 'organization.registered', actor: asActor(by), subject: input.id, details })
      return similar
    })
  }

  /** Answers all organizations to an administrator; the view is recorded. */
  async organizations(actor: Administrator, justification?: string): Promise<OrganizationView[]> {
    return this.#viewed(actor, 'organizations', justification, async (tx) =>
      (await store.allOrganizations(tx)).map(viewOfOrganization),
    )
  }

  /**
   * Answers the people of an organization to administrators and to its own NCPs; the view is
   * recorded.
   */
  async people(actor: SignedInCaller, organization: string, justification?: string): Promise<PersonView[]> {
    const own = actor.tier === 'ncp' && actor.organization === organization
    if (!own && !isAdministrator(actor)) throw new Problem('NOT_FOUND')
    const { clock, sleepAfterDays } = this.#deps
    return this.#viewed(actor, organization, justification, async (tx) => {
      const times = await sleepTimes(tx, organization, clock(), sleepAfterDays)
      return (await store.peopleOf(tx, organization)).map((one) => {
        const { sleepsAt, needed = false } = times.get(one.person) ?? {}
        return { ...one, sleepsAt: sleepsAt?.toISOString() ?? null, needed }
      })
    })
  }

  async #viewed<T extends readonly unknown[]>(
    actor: SignedInCaller,
    subject: string,
    justification: string | undefined,
    read: (tx: Tx) => Promise<T>,
  ): Promise<T> {
    return actInDirectory(this.#deps, actor, [], async ({ tx, by, enter }) => {
      const result = await read(tx)
      const why = justifiedBy(justification, 'keeping the directory')
      await enter(viewedDraft(by, subject, { count: result.length, ...why }))
      return result
    })
  }

  async me(actor: SignedInCaller) {
    return transaction(this.#deps.db, async (tx) => {
      const [person] = await store.findPeople(tx, [actor.person])
      const [organization] = await store.findOrganizations(tx, [actor.organization])
      const jws =
        actor.tier === null ? undefined : (await store.newestCertificates(tx, [actor.device])).get(actor.device)
      const chain = jws === undefined ? [] : await chainAbove(tx, await readCertificate(jws))
      return {
        person: actor.person,
        name: person?.name ?? '',
        organization: actor.organization,
        organizationName: organization?.name ?? '',
        organizationKind: organization?.kind ?? '',
        device: actor.device,
        tier: actor.tier,
        certificate: jws ?? null,
        chain: chain.map((certificate) => certificate.jws),
        administrator: isAdministrator(actor),
        renewalsDue: renews(actor) ? (await dueCertificates(tx, duePart(actor, this.#deps.clock()))).length : 0,
        listed: actor.listed && [...actor.listed],
      }
    })
  }

  async devices(actor: SignedInCaller) {
    return transaction(this.#deps.db, async (tx) => {
      const devices = await store.devicesOf(tx, actor.person)
      const certificates = await store.newestCertificates(
        tx,
        devices.map(({ id }) => id),
      )
      return devices.map(({ id, state, enrolled_at }) => ({
        device: id,
        state,
        enrolledAt: enrolled_at.toISOString(),
        certificate: certificates.get(id) ?? null,
      }))
    })
  }
}

export function viewOfOrganization(row: Awaited<ReturnType<typeof store.allOrganizations>>[number]): OrganizationView {
  const { id: organization, kind, name, country, region, ended_at } = row
  return { organization, kind, name, country, region, ended: ended_at !== null }
}

async function requireSetUpSecret(tx: Tx, secret: string): Promise<void> {
  if (await store.findTrustRoot(tx)) throw new Problem('SET_UP_DONE')
  const expected = await store.findSetUpSecret(tx)
  if (!expected || !sameSecret(expected, hashSecret(secret))) throw new Problem('SET_UP_SECRET')
}

/**
 * Reads the certificates of a set-up: the root vouches for itself and for the administrator's first
 * device, both of one person of one organization.
 */
async function readSetUp(input: SetUpInput) {
  const root = await readCertificate(input.rootCertificate)
  const administrator = await readCertificate(input.certificate)
  const enrolment = await readEnrolment(input.enrolment)
  for (const { seal } of [root.keys, administrator.keys]) requireSealKey(seal)
  const pin = { root: root.device }
  const { successor } = await verifyRootStatement(input.rootStatement, pin)
  const find = (device: DeviceId) => (device === root.device ? root : undefined)
  await verifyChain(root, pin, find)
  await verifyChain(administrator, pin, find)
  const fits = [root, administrator].every(
    ({ person, organization, tier }) =>
      person === input.person.id && organization === input.organization.id && tier === 'administrator',
  )
  const enrols = enrolment.device === administrator.device && enrolment.seal.pub === administrator.keys.seal.pub
  if (!fits || !enrols || root.device === administrator.device)
    throw new Problem('CERTIFICATE_INVALID', { reason: 'SET_UP' })
  return { root, administrator, enrolment, successor }
}

/**
 * Inserts the rows of the secretariat, its first administrator, the root and the administrator's
 * device.
 */
async function insertFirst(
  tx: Tx,
  { organization, person }: SetUpInput,
  { root, administrator }: { readonly root: Certificate; readonly administrator: Certificate },
  now: Date,
): Promise<void> {
  await insertOrganization(tx, {
    id: organization.id,
    kind: 'secretariat',
    name: organization.name,
    country: organization.country ?? null,
    region: null,
    registered_at: now,
    ended_at: null,
  })
  await store.insertPerson(tx, {
    id: person.id,
    organization_id: organization.id,
    name: person.name,
    registered_at: now,
    ended_at: null,
  })
  for (const certificate of [root, administrator]) {
    await store.insertDevice(tx, {
      id: certificate.device,
      person_id: certificate.person,
      sign_key: JSON.stringify(certificate.keys.sign),
      seal_key: JSON.stringify(certificate.keys.seal),
      // The root only signs: it lies in a safe, holds no session and receives no key.
      state: certificate === root ? 'expired' : 'certified',
      enrolled_at: now,
    })
  }
}

function firstDrafts(
  { organization, person }: SetUpInput,
  actor: EntryDraft['actor'],
  passphrase: Record<string, string>,
): EntryDraft[] {
  const { name, country } = organization
  const reason = 'set-up'
  return [
    {
      kind: 'organization.registered',
      actor,
      subject: organization.id,
      details: { kind: 'secretariat', name, country, reason },
    },
    {
      kind: 'person.registered',
      actor,
      subject: person.id,
      details: { name: person.name, organization: organization.id, reason },
    },
    {
      kind: 'credential.set',
      actor,
      subject: person.id,
      details: { ...passphrase, outcome: 'accepted', reason },
    },
  ]
}
