import { transaction, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import type { Appended, Part } from '../log/index.ts'
import {
  ProtocolError,
  mayCertify,
  mayRevoke,
  readCertificate,
  readRevocation,
  verifyChain,
  verifyStatement,
  importVerifyKey,
  type Certificate,
  type DeviceId,
  type Revocation,
} from '../protocol/index.ts'
import { asActor, isAdministrator, type Actor, type IdentityDeps } from './deps.ts'
import { endedDrafts } from './sessions.ts'
import * as store from './store.ts'

/** Milliseconds. Nobody is vouched for longer than this at once: a year, and a month's grace for who renews early. */
export const longestValidity = 400 * 24 * 3600_000

/** The certificates above a device's own, up to the root, in that order. */
export async function chainAbove(tx: Tx, certificate: Certificate): Promise<Certificate[]> {
  const chain: Certificate[] = []
  let current = certificate
  while (current.issuer !== current.device && chain.length < 16) {
    const jws = (await store.newestCertificates(tx, [current.issuer])).get(current.issuer)
    if (jws === undefined) break
    current = await readCertificate(jws)
    chain.push(current)
  }
  return chain
}

/** Chains for several certificates at once, as compact JWS, keyed by the hash of the certificate they belong to. */
export async function chainsOf(tx: Tx, certificates: readonly string[]): Promise<Map<string, string[]>> {
  const known = new Map<string, Certificate>()
  const chains = new Map<string, string[]>()
  for (const jws of certificates) {
    const certificate = await readCertificate(jws)
    const chain: string[] = []
    let current = certificate
    while (current.issuer !== current.device && chain.length < 16) {
      let issuer = known.get(current.issuer)
      if (!issuer) {
        const found = (await store.newestCertificates(tx, [current.issuer])).get(current.issuer)
        if (found === undefined) break
        issuer = await readCertificate(found)
        known.set(issuer.device, issuer)
      }
      chain.push(issuer.jws)
      current = issuer
    }
    chains.set(certificate.hash, chain)
  }
  return chains
}

/** A certificate and those above it, nearest first; none where there is none. */
export async function withThoseAbove(tx: Tx, own: string | undefined): Promise<string[]> {
  if (own === undefined) return []
  const [above = []] = [...(await chainsOf(tx, [own])).values()]
  return [own, ...above]
}

/** The newest certificate of a device and those above it. */
export async function chainOfDevice(tx: Tx, device: string): Promise<string[]> {
  return withThoseAbove(tx, (await store.newestCertificates(tx, [device])).get(device))
}

/** Runs a check of the protocol and turns what it finds into the Problem that says so. */
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

/** Certifying and revoking devices. Both reach every operation of the person in the same transaction. */
export class Certificates {
  readonly #deps: IdentityDeps

  constructor(deps: IdentityDeps) {
    this.#deps = deps
  }

  /** Accepts a certificate that this actor's device issued for a device that waits for it. */
  async certify(actor: Actor, jws: string): Promise<{ device: DeviceId }> {
    const certificate = await checked('CERTIFICATE_INVALID', () => readCertificate(jws))
    if (certificate.issuer !== actor.device) throw new Problem('DEVICE_MISMATCH')
    if (actor.tier === null) throw new Problem('DEVICE_NOT_CERTIFIED')
    const appended = await transaction(this.#deps.db, async (tx) => {
      await this.#lockBoth(tx, certificate.person, actor.person)
      await this.#requireStanding(tx, actor)
      await this.#requireAwake(tx, certificate.person)
      const device = await this.#requireWaiting(tx, certificate)
      if (device === 'certified already') return undefined
      await this.#requireRight(tx, certificate)
      await store.setDeviceState(tx, certificate.device, 'certified')
      await store.markEnrolmentCertified(tx, certificate.device, this.#deps.clock())
      return this.record(tx, certificate, actor, 'enrolment')
    })
    appended?.afterCommit()
    return { device: certificate.device }
  }

  /**
   * Where the directory log holds these certificates, proven under a published checkpoint that has grown from the one that was seen. Whoever
   * has the hash of a certificate has the certificate; of others nothing is said.
   */
  async proofs(certificates: readonly string[], seen: number | undefined): Promise<CertificateProofs> {
    const { db, logs } = this.#deps
    const { directory } = logs
    const { places, leaves } = await transaction(db, async (tx) => {
      const size = (await logs.size(tx, directory)) ?? 0
      if (seen !== undefined && seen > size) throw new Problem('NOT_FOUND')
      const indexes = await store.entriesOfCertificates(tx, certificates)
      const entries = await logs.entriesAt(tx, directory, [...indexes.values()])
      return { places: [...indexes], leaves: new Map(entries.map(({ index, text }) => [index, text])) }
    })
    const last = Math.max(0, (seen ?? 0) - 1, ...places.map(([, index]) => index))
    const { size, note } = await logs.published(directory, last)
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

  async #lockBoth(tx: Tx, subject: string, actor: string): Promise<void> {
    for (const person of [...new Set([subject, actor])].sort()) {
      if (!(await store.lockPerson(tx, person))) throw new Problem('NOT_FOUND')
    }
  }

  /** Nobody vouches for somebody who has left or sleeps. */
  async #requireAwake(tx: Tx, person: string): Promise<void> {
    const [row] = await store.findPeople(tx, [person])
    if (!row || row.ended_at || row.asleep_at) throw new Problem('NOT_FOUND')
  }

  async #requireStanding(tx: Tx, actor: Actor): Promise<void> {
    const [standing] = await store.sessionsStanding(tx, [actor.session], this.#deps.clock())
    if (!standing?.alive) throw new Problem('SESSION_ENDED')
    if (standing.tier === null) throw new Problem('DEVICE_NOT_CERTIFIED')
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
    const until = new Date(certificate.expiresAt).getTime() - this.#deps.clock().getTime()
    if (prolongs || until > longestValidity) throw new Problem('CERTIFICATE_INVALID', { reason: 'VALIDITY' })
  }

  /** Stores a certificate and appends `device.certified` to the directory log and to each operation of its person. */
  async record(
    tx: Tx,
    certificate: Certificate,
    actor: Pick<Actor, 'person' | 'organization' | 'device'> & { readonly session?: string },
    reason: 'enrolment' | 'set-up' | 'renewal',
  ): Promise<Appended> {
    const { logs, operationsOf } = this.#deps
    const operations = await operationsOf(tx, [certificate.person])
    const draft = {
      kind: 'device.certified' as const,
      actor: asActor(actor),
      subject: certificate.device,
      digest: certificate.hash,
      details: { session: actor.session, outcome: 'accepted', reason },
      statement: certificate.jws,
    }
    const parts: Part[] = [logs.directory, ...operations].map((log) => ({ log, drafts: [draft] }))
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

  /** Revokes a device: its sessions end, its person's operations hear of it, epochs it could read become stale. */
  async revoke(actor: Actor, jws: string): Promise<void> {
    const revocation = await checked('STATEMENT_INVALID', () => readRevocation(jws))
    const appended = await transaction(this.#deps.db, (tx) => this.revokeWithin(tx, actor, revocation))
    appended?.afterCommit()
  }

  /** The same within a transaction that does more; undefined where the device was revoked before. */
  async revokeWithin(tx: Tx, actor: Actor, revocation: Revocation): Promise<Appended | undefined> {
    if (revocation.signer !== actor.device) throw new Problem('DEVICE_MISMATCH')
    const { logs, operationsOf, clock } = this.#deps
    const device = await store.findDevice(tx, revocation.device)
    if (!device) throw new Problem('NOT_FOUND')
    await this.#lockBoth(tx, device.person_id, actor.person)
    await this.#requireStanding(tx, actor)
    const current = await store.findDevice(tx, revocation.device)
    if (current?.state === 'revoked') return undefined
    await this.#requireRightToRevoke(tx, actor, revocation)
    await store.setDeviceState(tx, revocation.device, 'revoked')
    const ended = await store.endSessions(tx, { person: device.person_id, device: revocation.device }, clock())
    const operations = await operationsOf(tx, [device.person_id])
    const draft = {
      kind: 'device.revoked' as const,
      actor: asActor(actor),
      subject: revocation.device,
      digest: revocation.hash,
      details: { session: actor.session, outcome: 'accepted', reason: 'revoked' },
      statement: revocation.jws,
    }
    const parts: Part[] = operations.map((log) => ({ log, drafts: [draft] }))
    parts.push({ log: logs.directory, drafts: [draft, ...endedDrafts(ended, 'device-revoked', actor, '')] })
    const appended = await logs.appendWithin(tx, parts)
    await store.insertRevocation(tx, {
      hash: revocation.hash,
      device_id: revocation.device,
      signer_device_id: revocation.signer,
      jws: revocation.jws,
      compromised_at: revocation.compromisedAt === undefined ? null : new Date(revocation.compromisedAt),
      directory_index: appended.entries.get(logs.directory)?.[0]?.index ?? -1,
    })
    return appended
  }

  async #requireRightToRevoke(
    tx: Tx,
    actor: Actor,
    revocation: { device: DeviceId; signer: DeviceId; jws: string },
  ): Promise<void> {
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
    await checked('STATEMENT_INVALID', async () =>
      verifyStatement('cordon-revocation+jws', revocation.jws, await importVerifyKey(signer.keys.sign)),
    )
  }
}
