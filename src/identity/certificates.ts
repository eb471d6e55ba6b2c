import { transaction, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { entriesAt, sizeOf, type AppendResult } from '../log/index.ts'
import {
  ProtocolError,
  mostClockDifferenceMs,
  mayCertify,
  mayRevoke,
  readCertificate,
  requireSealKey,
  readRevocation,
  verifyChain,
  verifySignature,
  importVerifyKey,
  type Certificate,
  type DeviceId,
  type Revocation,
} from '../protocol/index.ts'
import { actInDirectory, type DirectoryAct } from './directory-act.ts'
import { asActor, isAdministrator, type SignedInCaller, type IdentityDeps } from './deps.ts'
import { requireRecent } from './factors/service.ts'
import { endDevices } from './renewals/device-end.ts'
import { administratorsBeside, haveAdministrator, lockVouching, vouchedSince } from './renewals/store.ts'
import { endedDrafts } from './sessions.ts'
import * as store from './store.ts'
import { tellLogs } from './device-news.ts'

/** The longest time that a certificate holds: a year, and a month for persons who renew early. */
export const longestValidityMs = 400 * 24 * 3600_000

/**
 * Answers the certificates above a certificate, up to the root, in that order: as they stood when
 * the certificate was recorded, or as they are now where it is new.
 */
export async function chainAbove(tx: Tx, certificate: Certificate): Promise<Certificate[]> {
  const chain = (await chainsOf(tx, [certificate.jws])).get(certificate.hash) ?? []
  return Promise.all(chain.map(readCertificate))
}

/** The most certificates above a certificate: clients stop verifying after 16. */
const mostCertificatesAbove = 8

/** Refuses a certificate that was not issued now: clients go by the time of issue that it says. */
export function requireTimely({ issuedAt }: Certificate, now: Date): void {
  if (Math.abs(now.getTime() - new Date(issuedAt).getTime()) > mostClockDifferenceMs)
    throw new Problem('CERTIFICATE_INVALID', {
      reason: 'VALIDITY',
      detail: 'The certificate was not issued now: set the clock of the device that issues it.',
    })
}

interface Version {
  readonly index: number
  readonly certificate: Certificate
}

const mostCertificateLevels = 16

/**
 * Answers the certificates above each of several certificates as compact JWS, keyed by the hash of
 * the certificate that they belong to.
 */
export async function chainsOf(tx: Tx, certificates: readonly string[]): Promise<Map<string, string[]>> {
  const read = await Promise.all(certificates.map(readCertificate))
  const entered = await store.entriesOfCertificates(
    tx,
    read.map(({ hash }) => hash),
  )
  const versions = await versionsAbove(tx, read)
  const chains = new Map<string, string[]>()
  for (const certificate of read) {
    const upTo = entered.get(certificate.hash) ?? Infinity
    const chain: string[] = []
    let current = certificate
    while (current.issuer !== current.device && chain.length < mostCertificateLevels) {
      const issuer = versions.get(current.issuer)?.findLast(({ index }) => index <= upTo)?.certificate
      if (!issuer) break
      chain.push(issuer.jws)
      current = issuer
    }
    chains.set(certificate.hash, chain)
  }
  return chains
}

/**
 * Answers all certificates that the devices above these certificates ever had, in the order of the
 * directory.
 */
async function versionsAbove(tx: Tx, certificates: readonly Certificate[]): Promise<Map<string, Version[]>> {
  const versions = new Map<string, Version[]>()
  let wanted = [...new Set(certificates.map(({ issuer }) => issuer))]
  for (let depth = 0; depth < mostCertificateLevels && wanted.length > 0; depth++) {
    for (const device of wanted) versions.set(device, [])
    const above = new Set<DeviceId>()
    for (const { jws, index } of await store.certificatesOf(tx, wanted)) {
      const certificate = await readCertificate(jws)
      versions.get(certificate.device)?.push({ index, certificate })
      if (!versions.has(certificate.issuer)) above.add(certificate.issuer)
    }
    wanted = [...above]
  }
  return versions
}

/** Answers a certificate and those above it, nearest first; an empty list where there is none. */
export async function withThoseAbove(tx: Tx, own: string | undefined): Promise<string[]> {
  if (own === undefined) return []
  const [above = []] = [...(await chainsOf(tx, [own])).values()]
  return [own, ...above]
}

/** Answers the newest certificate of a device and those above it. */
export async function chainOfDevice(tx: Tx, device: string): Promise<string[]> {
  return withThoseAbove(tx, (await store.newestCertificates(tx, [device])).get(device))
}

/** Runs a check of the protocol and turns its ProtocolError into the Problem of that error. */
export async function checked<T>(
  code: 'CERTIFICATE_INVALID' | 'ENROLMENT_INVALID' | 'STATEMENT_INVALID',
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ProtocolError) throw new Problem(code, { reason: error.code, detail: error.message })
    throw error
  }
}

export interface CertificateProofs {
  readonly checkpoint: string
  readonly consistency?: string[]
  readonly proofs: { readonly certificate: string; readonly leaf: string; readonly proof: string[] }[]
}

/**
 * Certifies and revokes devices. Both acts reach every operation of the person in one transaction.
 */
export class CertificateService {
  readonly #deps: IdentityDeps

  constructor(deps: IdentityDeps) {
    this.#deps = deps
  }

  /** Accepts a certificate that the caller's device issued for a device that waits for it. */
  async certify(actor: SignedInCaller, jws: string): Promise<{ device: DeviceId }> {
    const certificate = await checked('CERTIFICATE_INVALID', async () => {
      const read = await readCertificate(jws)
      requireSealKey(read.keys.seal)
      return read
    })
    if (certificate.issuer !== actor.device) throw new Problem('DEVICE_MISMATCH')
    if (actor.tier === null) throw new Problem('DEVICE_NOT_CERTIFIED')
    const concerned = async (tx: Tx) => {
      await lockVouching(tx, 'with others')
      return [certificate.person]
    }
    await actInDirectory(this.#deps, actor, concerned, async ({ tx, by, now, told }) => {
      await this.#requireAwake(tx, certificate.person)
      const device = await this.#requireWaiting(tx, certificate)
      if (device === 'certified already') return
      await this.#requireRight(tx, certificate)
      await store.setDeviceState(tx, certificate.device, 'certified')
      await store.markEnrolmentCertified(tx, certificate.device, now)
      told(await this.record(tx, certificate, by, 'enrolment'))
    })
    return { device: certificate.device }
  }

  /**
   * Proves where the directory log holds these certificates, under a published checkpoint that has
   * grown from the checkpoint of size `seen`. A client that has the hash of a certificate has the
   * certificate; the answer says nothing of hashes that the log does not hold.
   */
  async proofs(certificates: readonly string[], seen: number | undefined): Promise<CertificateProofs> {
    const { db, logs } = this.#deps
    const { directory } = logs
    const { places, leaves } = await transaction(db, async (tx) => {
      const size = (await sizeOf(tx, directory)) ?? 0
      if (seen !== undefined && seen > size) throw new Problem('NOT_FOUND')
      const indexes = await store.entriesOfCertificates(tx, certificates)
      const entries = await entriesAt(tx, directory, [...indexes.values()])
      return { places: [...indexes], leaves: new Map(entries.map(({ index, text }) => [index, text])) }
    })
    const last = Math.max(0, (seen ?? 0) - 1, ...places.map(([, index]) => index))
    const { size, note } = await logs.covering(directory, last)
    const proofs = await logs.inclusions(
      directory,
      places.map(([, index]) => index),
      size,
    )
    const consistency = seen === undefined ? undefined : await logs.consistency(directory, seen, size)
    return {
      checkpoint: note,
      ...(consistency === undefined ? {} : { consistency }),
      proofs: places.map(([certificate, index], i) => ({
        certificate,
        leaf: leaves.get(index) ?? '',
        proof: proofs[i] ?? [],
      })),
    }
  }

  /** Refuses a person who has left or sleeps: no device vouches for them. */
  async #requireAwake(tx: Tx, person: string): Promise<void> {
    const [row] = await store.findPeople(tx, [person])
    if (!row || row.ended_at || row.asleep_at) throw new Problem('NOT_FOUND')
  }

  async #requireWaiting(tx: Tx, certificate: Certificate): Promise<'waiting' | 'certified already'> {
    const device = await store.findDevice(tx, certificate.device)
    const same = device?.seal_key === JSON.stringify(certificate.keys.seal) && device.person_id === certificate.person
    if (!device || !same) throw new Problem('NOT_FOUND')
    if (device.state === 'certified') return 'certified already'
    if (device.state !== 'waiting') throw new Problem('CERTIFICATE_INVALID', { reason: 'DEVICE_ENDED' })
    return 'waiting'
  }

  async #requireRight(tx: Tx, certificate: Certificate): Promise<void> {
    const root = await store.findTrustRoot(tx)
    const invitation = await store.invitationOfDevice(tx, certificate.device)
    const meant =
      invitation?.person_id === certificate.person &&
      invitation.organization_id === certificate.organization &&
      invitation.tier === certificate.tier &&
      invitation.revoked_at === null
    if (!root || !meant) throw new Problem('CERTIFICATE_INVALID', { reason: 'INVITATION' })
    const chain = await chainAbove(tx, certificate)
    const byDevice = new Map(chain.map((above) => [above.device, above]))
    await checked('CERTIFICATE_INVALID', () =>
      verifyChain(certificate, { root: root.device_id as DeviceId }, (device) => byDevice.get(device)),
    )
    const issuer = chain[0]
    if (!issuer || !(issuer.device === root.device_id || mayCertify(issuer, certificate))) {
      throw new Problem('CERTIFICATE_INVALID', { reason: 'ISSUER' })
    }
    const prolongs = issuer.person === certificate.person && certificate.expiresAt > issuer.expiresAt
    if (chain.length > mostCertificatesAbove) throw new Problem('CERTIFICATE_INVALID', { reason: 'DEPTH' })
    requireTimely(certificate, this.#deps.clock())
    const until = new Date(certificate.expiresAt).getTime() - this.#deps.clock().getTime()
    if (prolongs || until > longestValidityMs) throw new Problem('CERTIFICATE_INVALID', { reason: 'VALIDITY' })
  }

  /**
   * Stores a certificate and appends `device.certified` to the directory log and to each operation
   * of its person.
   */
  async record(
    tx: Tx,
    certificate: Certificate,
    actor: Pick<SignedInCaller, 'person' | 'organization' | 'device'> & { readonly session?: string },
    reason: 'enrolment' | 'set-up' | 'renewal',
  ): Promise<AppendResult> {
    const { logs } = this.#deps
    const draft = {
      kind: 'device.certified' as const,
      actor: asActor(actor),
      subject: certificate.device,
      digest: certificate.hash,
      details: { session: actor.session, outcome: 'accepted', reason },
      statement: { type: 'certificate' as const, value: certificate },
    }
    const parts = await tellLogs(tx, this.#deps, [{ person: certificate.person, draft }])
    const appended = await logs.appendWithin(tx, parts)
    const [entered] = appended.entries.get(logs.directory) ?? []
    if (!entered) throw new Error('the directory has an entry of it')
    await store.insertCertificate(tx, {
      hash: certificate.hash,
      device_id: certificate.device,
      issuer_device_id: certificate.issuer,
      person_id: certificate.person,
      organization_id: certificate.organization,
      tier: certificate.tier,
      jws: certificate.jws,
      expires_at: new Date(certificate.expiresAt),
      certified_at: entered.at,
      directory_index: entered.index,
    })
    return appended
  }

  /**
   * Revokes a device: its sessions end, the operations of its person hear of it, and epochs that it
   * could read become stale.
   */
  async revoke(actor: SignedInCaller, jws: string): Promise<void> {
    const revocation = await checked('STATEMENT_INVALID', () => readRevocation(jws))
    const concerned = (tx: Tx) => this.concernedBy(tx, revocation)
    await actInDirectory(this.#deps, actor, concerned, (act) => this.revokeWithin(act, revocation))
  }

  /**
   * Answers the people whose rows a revocation locks. Nobody vouches or renews while devices end
   * with the device that vouched for them: the new device would not be among them.
   */
  async concernedBy(tx: Tx, { device: id, compromisedAt }: Revocation): Promise<string[]> {
    if (compromisedAt !== undefined) await lockVouching(tx, 'alone')
    const device = await store.findDevice(tx, id)
    if (!device) throw new Problem('NOT_FOUND')
    const others = compromisedAt === undefined ? [] : await vouchedSince(tx, id, new Date(compromisedAt))
    return [device.person_id, ...others.map(({ person }) => person)]
  }

  /**
   * Revokes a device within an act that does more. Does nothing where the device was revoked
   * before, unless the statement says that it was compromised, or earlier than was known. The
   * devices that it vouched for since then end with it, and those that these vouched for.
   */
  async revokeWithin({ tx, by: actor, now, append }: DirectoryAct, revocation: Revocation): Promise<void> {
    if (revocation.signer !== actor.device) throw new Problem('DEVICE_MISMATCH')
    const { logs } = this.#deps
    const device = await store.findDevice(tx, revocation.device)
    const root = await store.findTrustRoot(tx)
    if (!device || device.id === root?.device_id) throw new Problem('NOT_FOUND')
    const since = this.#requireTimes(revocation, device.enrolled_at)
    const current = await store.findDevice(tx, revocation.device)
    const known = await store.findCompromiseTime(tx, revocation.device)
    const graver = since !== undefined && (known === undefined || since < known)
    if (current?.state === 'revoked' && !graver) return
    await this.#requireRightToRevoke(tx, actor, revocation)
    if (device.person_id !== actor.person || since !== undefined) await requireRecent(tx, actor, now)
    const falling = since === undefined ? [] : await vouchedSince(tx, device.id, since)
    await requireSurvivors(tx, actor, device.id, falling)
    await store.setDeviceState(tx, revocation.device, 'revoked')
    const ended = await store.endSessions(tx, { person: device.person_id, device: revocation.device }, now)
    const draft = {
      kind: 'device.revoked' as const,
      actor: asActor(actor),
      subject: revocation.device,
      digest: revocation.hash,
      details: { session: actor.session, outcome: 'accepted', reason: 'revoked' },
      statement: { type: 'revocation' as const, value: revocation },
    }
    const appended = await append([
      ...(await tellLogs(tx, this.#deps, [{ person: device.person_id, draft }])),
      { log: logs.directory, drafts: endedDrafts(ended, 'device-revoked', actor) },
      ...(await endDevices(tx, this.#deps, falling)),
    ])
    await store.insertRevocation(tx, {
      hash: revocation.hash,
      device_id: revocation.device,
      signer_device_id: revocation.signer,
      jws: revocation.jws,
      compromised_at: since ?? null,
      directory_index: appended.entries.get(logs.directory)?.[0]?.index ?? -1,
    })
  }

  /**
   * Checks that a revocation is stated now, about a time in the life of the device. Answers since
   * when the device was compromised; undefined where the statement does not say it.
   */
  #requireTimes({ at, compromisedAt }: Revocation, enrolledAt: Date): Date | undefined {
    const now = this.#deps.clock().getTime()
    const since = compromisedAt === undefined ? undefined : new Date(compromisedAt)
    const timely = Math.abs(now - new Date(at).getTime()) <= mostClockDifferenceMs
    const within =
      since === undefined ||
      (since.getTime() <= now + mostClockDifferenceMs && since.getTime() >= enrolledAt.getTime() - 24 * 3600_000)
    if (timely && within) return since
    throw new Problem('STATEMENT_INVALID', {
      reason: 'TIME',
      detail: 'A revocation is signed now, and a device is compromised since some time after it was enrolled.',
    })
  }

  async #requireRightToRevoke(tx: Tx, actor: SignedInCaller, revocation: Revocation): Promise<void> {
    const root = await store.findTrustRoot(tx)
    const certificates = await store.newestCertificates(tx, [revocation.device, revocation.signer])
    const signerJws = certificates.get(revocation.signer)
    const revokedJws = certificates.get(revocation.device)
    if (!root || signerJws === undefined) throw new Problem('DEVICE_NOT_CERTIFIED')
    const signer = await readCertificate(signerJws)
    if (revokedJws === undefined) {
      const invitation = await store.invitationOfDevice(tx, revocation.device)
      const related = invitation?.inviter_person_id === actor.person || invitation?.person_id === actor.person
      const vouches = actor.tier === 'ncp' && invitation?.organization_id === actor.organization
      if (!related && !vouches && !isAdministrator(actor)) throw new Problem('NOT_FOUND')
    } else if (!mayRevoke(signer, await readCertificate(revokedJws), { root: root.device_id as DeviceId })) {
      throw new Problem('NOT_FOUND')
    }
    await checked('STATEMENT_INVALID', async () => verifySignature(revocation, await importVerifyKey(signer.keys.sign)))
  }
}

/**
 * Refuses a revocation with which the device of its own caller would end, or the last
 * administrator: without an administrator nobody could be brought back.
 */
async function requireSurvivors(
  tx: Tx,
  actor: SignedInCaller,
  revoked: string,
  falling: readonly { readonly device: string }[],
): Promise<void> {
  const gone = [revoked, ...falling.map(({ device }) => device)]
  if (falling.some(({ device }) => device === actor.device))
    throw new Problem('FORBIDDEN', {
      detail:
        'This revocation would end the device that signs it. Ask a person whose device is above both devices to revoke.',
    })
  if ((await haveAdministrator(tx, gone)) && (await administratorsBeside(tx, gone)) === 0)
    throw new Problem('LAST_ADMINISTRATOR')
}
