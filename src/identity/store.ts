import type { Insertable, Selectable } from 'kysely'
import { sql } from 'kysely'
import type { Permission } from '../access.ts'
import type { DB, Tx } from '../db/index.ts'
import type { Moment } from './deps.ts'

export type PersonRow = Selectable<DB['person']>

/** Locks the row of a person. The row stands for everything that can act in the person's name. */
export async function lockPerson(tx: Tx, person: string): Promise<PersonRow | undefined> {
  return tx.selectFrom('person').selectAll().where('id', '=', person).forUpdate().executeTakeFirst()
}

/**
 * Locks people FOR SHARE in the order of their ids, so that no two transactions block each other.
 */
export async function sharePersons(tx: Tx, persons: readonly string[]): Promise<void> {
  await sql`SELECT id FROM person WHERE id = ANY(${[...persons]}::uuid[]) ORDER BY id FOR SHARE`.execute(tx)
}

export interface SessionStanding {
  session: string
  person: string
  organization: string
  device: string
  thumbprint: string
  tier: string | null
  deviceState: string
  verifiedAt: Date
  /** True where only its sleep keeps the account from acting. */
  asleep: boolean
  alive: boolean
  /**
   * The permissions that are listed for a service account, and the addresses that it may be used
   * from; null for a person.
   */
  permissions: Permission[] | null
  addresses: string[] | null
  /** The time that ends the session, or the service account, by itself. */
  expiresAt: Date
}

/** Answers sessions with the state of their device, person and organization, as they are now. */
export async function sessionsStanding(tx: Tx, ids: readonly string[], moment: Moment): Promise<SessionStanding[]> {
  const { rows } = await sql<SessionStanding>`
    SELECT s.id AS session, p.id AS person, p.organization_id AS organization, d.id AS device,
      s.key_thumbprint AS thumbprint, s.verified_at AS "verifiedAt", d.state AS "deviceState",
      (SELECT c.tier FROM certificate c WHERE c.device_id = d.id AND d.state = 'certified'
        ORDER BY c.directory_index DESC LIMIT 1) AS tier,
      (p.asleep_at IS NOT NULL AND p.ended_at IS NULL AND o.ended_at IS NULL) AS asleep,
      a.permissions::json AS permissions, a.addresses::json AS addresses,
      LEAST(s.expires_at, a.expires_at) AS "expiresAt",
      (s.ended_at IS NULL AND s.expires_at > ${moment.now} AND (NOT s.reading OR ${moment.onCopy}) AND p.ended_at IS NULL AND p.asleep_at IS NULL AND o.ended_at IS NULL
        AND d.state IN ('waiting', 'certified')
        AND (a.person_id IS NULL OR (a.ended_at IS NULL AND a.expires_at > ${moment.now}))) AS alive
    FROM session s JOIN person p ON p.id = s.person_id JOIN organization o ON o.id = p.organization_id
      JOIN device d ON d.id = s.device_id LEFT JOIN service_account a ON a.person_id = p.id
    WHERE s.id = ANY(${[...ids]}::uuid[])`.execute(tx)
  return rows
}

export async function findTrustRoot(tx: Tx): Promise<Selectable<DB['trust_root']> | undefined> {
  return tx.selectFrom('trust_root').selectAll().executeTakeFirst()
}

export async function insertTrustRoot(tx: Tx, row: Insertable<DB['trust_root']>): Promise<void> {
  await tx.insertInto('trust_root').values(row).execute()
}

export async function findSetUpSecret(tx: Tx): Promise<Uint8Array | undefined> {
  return (await tx.selectFrom('set_up_secret').select('hash').executeTakeFirst())?.hash
}

export async function replaceSetUpSecret(tx: Tx, hash: Uint8Array): Promise<void> {
  await tx.deleteFrom('set_up_secret').execute()
  await tx.insertInto('set_up_secret').values({ hash }).execute()
}

export async function dropSetUpSecret(tx: Tx): Promise<void> {
  await tx.deleteFrom('set_up_secret').execute()
}

export async function findOrganizations(tx: Tx, ids: readonly string[]): Promise<Selectable<DB['organization']>[]> {
  if (ids.length === 0) return []
  return tx.selectFrom('organization').selectAll().where('id', 'in', ids).orderBy('name').execute()
}

export async function allOrganizations(tx: Tx): Promise<Selectable<DB['organization']>[]> {
  return tx.selectFrom('organization').selectAll().orderBy('kind').orderBy('name').execute()
}

export async function findPeople(tx: Tx, ids: readonly string[]): Promise<Selectable<DB['person']>[]> {
  if (ids.length === 0) return []
  return tx.selectFrom('person').selectAll().where('id', 'in', ids).execute()
}

export async function peopleOf(
  tx: Tx,
  organization: string,
): Promise<{ person: string; name: string; certified: boolean; asleep: boolean; service: boolean }[]> {
  const { rows } = await sql<{ person: string; name: string; certified: boolean; asleep: boolean; service: boolean }>`
    SELECT p.id AS person, p.name, p.asleep_at IS NOT NULL AS asleep,
      EXISTS (SELECT FROM service_account a WHERE a.person_id = p.id) AS service,
      EXISTS (SELECT FROM device d WHERE d.person_id = p.id AND d.state = 'certified') AS certified
    FROM person p WHERE p.organization_id = ${organization} AND p.ended_at IS NULL ORDER BY p.name, p.id`.execute(tx)
  return rows
}

export async function insertPerson(tx: Tx, row: Insertable<DB['person']>): Promise<void> {
  await tx.insertInto('person').values(row).execute()
}

export async function insertDevice(tx: Tx, row: Insertable<DB['device']>): Promise<void> {
  await tx.insertInto('device').values(row).execute()
}

export async function findDevice(tx: Tx, device: string): Promise<Selectable<DB['device']> | undefined> {
  return tx.selectFrom('device').selectAll().where('id', '=', device).executeTakeFirst()
}

export async function devicesOf(tx: Tx, person: string): Promise<Selectable<DB['device']>[]> {
  return (
    tx
      .selectFrom('device')
      .selectAll()
      .where('person_id', '=', person)
      // The root vouches; no person uses it or may end it.
      .where('id', 'not in', (eb) => eb.selectFrom('trust_root').select('device_id'))
      .orderBy('enrolled_at')
      .execute()
  )
}

export async function setDeviceState(tx: Tx, device: string, state: DB['device']['state']): Promise<void> {
  await tx.updateTable('device').set({ state }).where('id', '=', device).execute()
}

export async function insertCertificate(tx: Tx, row: Insertable<DB['certificate']>): Promise<void> {
  await tx.insertInto('certificate').values(row).execute()
}

/** Answers the newest certificate of each of these devices, whatever the state of the device. */
export async function newestCertificates(tx: Tx, devices: readonly string[]): Promise<Map<string, string>> {
  if (devices.length === 0) return new Map()
  const rows = await tx
    .selectFrom('certificate')
    .distinctOn('device_id')
    .select(['device_id', 'jws'])
    .where('device_id', 'in', devices)
    .orderBy('device_id')
    .orderBy('directory_index', 'desc')
    .execute()
  return new Map(rows.map((row) => [row.device_id, row.jws]))
}

/** Answers the earliest compromise of a device that a revocation states; undefined without one. */
export async function findCompromiseTime(tx: Tx, device: string): Promise<Date | undefined> {
  const row = await tx
    .selectFrom('revocation')
    .select((eb) => eb.fn.min('compromised_at').as('since'))
    .where('device_id', '=', device)
    .executeTakeFirst()
  return row?.since ?? undefined
}

/** Answers all certificates that these devices ever had, in the order of the directory. */
export async function certificatesOf(tx: Tx, devices: readonly string[]): Promise<{ jws: string; index: number }[]> {
  return tx
    .selectFrom('certificate')
    .select(['jws', 'directory_index as index'])
    .where('device_id', 'in', devices)
    .orderBy('directory_index')
    .execute()
}

/** Answers the certificates in force of the live devices of these people. */
export async function liveCertificatesOf(
  tx: Tx,
  persons: readonly string[],
): Promise<{ person: string; device: string; jws: string; hash: string }[]> {
  if (persons.length === 0) return []
  return tx
    .selectFrom('certificate')
    .innerJoin('device', 'device.id', 'certificate.device_id')
    .distinctOn('certificate.device_id')
    .select(['device.person_id as person', 'device.id as device', 'certificate.jws', 'certificate.hash'])
    .where('device.person_id', 'in', persons)
    .where('device.state', '=', 'certified')
    .orderBy('certificate.device_id')
    .orderBy('certificate.directory_index', 'desc')
    .execute()
}

/**
 * Answers the index in the directory log at which each of these certificates was recorded, by hash.
 */
export async function entriesOfCertificates(tx: Tx, hashes: readonly string[]): Promise<Map<string, number>> {
  if (hashes.length === 0) return new Map()
  const rows = await tx
    .selectFrom('certificate')
    .select(['hash', 'directory_index'])
    .where('hash', 'in', hashes)
    .execute()
  return new Map(rows.map((row) => [row.hash, row.directory_index]))
}

export async function certificatesByHash(tx: Tx, hashes: readonly string[]): Promise<Map<string, string>> {
  if (hashes.length === 0) return new Map()
  const rows = await tx.selectFrom('certificate').select(['hash', 'jws']).where('hash', 'in', hashes).execute()
  return new Map(rows.map((row) => [row.hash, row.jws]))
}

export async function revocationsByHash(tx: Tx, hashes: readonly string[]): Promise<Map<string, string>> {
  if (hashes.length === 0) return new Map()
  const rows = await tx.selectFrom('revocation').select(['hash', 'jws']).where('hash', 'in', hashes).execute()
  return new Map(rows.map((row) => [row.hash, row.jws]))
}

export async function insertRevocation(tx: Tx, row: Insertable<DB['revocation']>): Promise<void> {
  await tx.insertInto('revocation').values(row).execute()
}

export async function insertInvitation(
  tx: Tx,
  row: Insertable<DB['invitation']>,
  keys: readonly { device: string; jwe: string }[],
): Promise<void> {
  await tx.insertInto('invitation').values(row).execute()
  const rows = keys.map(({ device, jwe }) => ({ invitation_id: row.id, device_id: device, sealed: jwe }))
  await tx.insertInto('invitation_key').values(rows).execute()
}

export async function lockInvitation(tx: Tx, id: string): Promise<Selectable<DB['invitation']> | undefined> {
  return tx.selectFrom('invitation').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

export async function invitationsBy(
  tx: Tx,
  person: string,
): Promise<(Selectable<DB['invitation']> & { name: string; recovery_at: Date | null; approved_at: Date | null })[]> {
  return tx
    .selectFrom('invitation')
    .innerJoin('person', 'person.id', 'invitation.person_id')
    .leftJoin('recovery', 'recovery.invitation_id', 'invitation.id')
    .selectAll('invitation')
    .select(['person.name', 'recovery.requested_at as recovery_at', 'recovery.approved_at'])
    .where('inviter_person_id', '=', person)
    .orderBy('invitation.id')
    .execute()
}

export async function markInvitation(
  tx: Tx,
  id: string,
  change: { used_at: Date } | { revoked_at: Date },
): Promise<void> {
  await tx.updateTable('invitation').set(change).where('id', '=', id).execute()
}

/** Revokes the open invitations of these people and for them; answers their ids. */
export async function revokeInvitations(tx: Tx, people: readonly string[], at: Date): Promise<string[]> {
  if (people.length === 0) return []
  const rows = await tx
    .updateTable('invitation')
    .set({ revoked_at: at })
    .where((eb) => eb.or([eb('person_id', 'in', people), eb('inviter_person_id', 'in', people)]))
    .where('used_at', 'is', null)
    .where('revoked_at', 'is', null)
    .returning('id')
    .execute()
  return rows.map(({ id }) => id).sort()
}

/**
 * Answers how many devices a person has, certified or waiting, how many open invitations to one,
 * and how many open ones this inviter made.
 */
export async function countBefore(
  tx: Tx,
  { person, inviter }: { readonly person: string; readonly inviter: string },
  now: Date,
): Promise<{ devices: number; invitations: number; open: number }> {
  const open = sql`used_at IS NULL AND revoked_at IS NULL AND expires_at > ${now}`
  const { rows } = await sql<{ devices: number; invitations: number; open: number }>`
    SELECT (SELECT count(*)::int FROM device WHERE person_id = ${person} AND state IN ('certified', 'waiting')) AS devices,
      (SELECT count(*)::int FROM invitation WHERE person_id = ${person} AND ${open}) AS invitations,
      (SELECT count(*)::int FROM invitation WHERE inviter_person_id = ${inviter} AND ${open}) AS open`.execute(tx)
  return rows[0] ?? { devices: 0, invitations: 0, open: 0 }
}

export async function insertEnrolment(tx: Tx, row: Insertable<DB['enrolment']>): Promise<void> {
  await tx.insertInto('enrolment').values(row).execute()
}

export interface WaitingEnrolment {
  invitation: string
  person: string
  personName: string
  organization: string
  organizationName: string
  tier: string
  device: string
  statement: string
  mac: string
  sealed: string
}

/** Answers the enrolments that wait for a certificate from this device's person. */
export async function enrolmentsWaitingFor(tx: Tx, inviterDevice: string): Promise<WaitingEnrolment[]> {
  return tx
    .selectFrom('enrolment')
    .innerJoin('invitation', 'invitation.id', 'enrolment.invitation_id')
    .innerJoin('invitation_key', 'invitation_key.invitation_id', 'invitation.id')
    .innerJoin('person', 'person.id', 'invitation.person_id')
    .innerJoin('organization', 'organization.id', 'person.organization_id')
    .innerJoin('device', 'device.id', 'enrolment.device_id')
    .select([
      'invitation.id as invitation',
      'person.id as person',
      'person.name as personName',
      'organization.id as organization',
      'organization.name as organizationName',
      'invitation.tier',
      'enrolment.device_id as device',
      'enrolment.statement',
      'enrolment.mac',
      'invitation_key.sealed',
    ])
    .where('invitation_key.device_id', '=', inviterDevice)
    .where('enrolment.certified_at', 'is', null)
    .where('person.ended_at', 'is', null)
    .where('person.asleep_at', 'is', null)
    .where('device.state', '=', 'waiting')
    .orderBy('invitation.id')
    .execute()
}

/**
 * Answers the invitation of a device, with its inviter and tier; undefined for the first
 * administrator's device.
 */
export async function invitationOfDevice(tx: Tx, device: string): Promise<Selectable<DB['invitation']> | undefined> {
  return tx
    .selectFrom('enrolment')
    .innerJoin('invitation', 'invitation.id', 'enrolment.invitation_id')
    .selectAll('invitation')
    .where('enrolment.device_id', '=', device)
    .executeTakeFirst()
}

export async function markEnrolmentCertified(tx: Tx, device: string, at: Date): Promise<void> {
  await tx.updateTable('enrolment').set({ certified_at: at }).where('device_id', '=', device).execute()
}

/**
 * The address that a request came from, and the name that the client gave itself: its person may
 * see them, and no rule decides by them.
 */
export interface Source {
  readonly address: string
  readonly agent: string
}

export async function insertSession(tx: Tx, row: Insertable<DB['session']>): Promise<void> {
  await tx.insertInto('session').values(row).execute()
}

export async function endReadingSessions(tx: Tx, at: Date): Promise<void> {
  await sql`UPDATE session SET ended_at = ${at} WHERE reading AND ended_at IS NULL`.execute(tx)
}

export async function liveSessionsOf(tx: Tx, person: string, now: Date): Promise<Selectable<DB['session']>[]> {
  return tx
    .selectFrom('session')
    .selectAll()
    .where('person_id', '=', person)
    .where('ended_at', 'is', null)
    .where('expires_at', '>', now)
    .orderBy('started_at')
    .execute()
}

/** Selects sessions of a person: one, those of a device, or all but one. */
export interface SessionSelection {
  readonly session?: string
  readonly device?: string
  readonly except?: string
}

/** Ends the live sessions that match; answers their ids. The caller has locked the person. */
export async function endSessions(
  tx: Tx,
  which: SessionSelection & { readonly person: string },
  at: Date,
): Promise<string[]> {
  let query = tx
    .updateTable('session')
    .set({ ended_at: at })
    .where('person_id', '=', which.person)
    .where('ended_at', 'is', null)
  if (which.session !== undefined) query = query.where('id', '=', which.session)
  if (which.device !== undefined) query = query.where('device_id', '=', which.device)
  if (which.except !== undefined) query = query.where('id', '!=', which.except)
  return (await query.returning('id').execute()).map((row) => row.id)
}

export async function insertRefreshToken(tx: Tx, row: Insertable<DB['refresh_token']>): Promise<void> {
  await tx.insertInto('refresh_token').values(row).execute()
}

/** Answers a refresh token with its session, locked. */
export async function lockRefreshToken(
  tx: Tx,
  hash: Uint8Array,
): Promise<(Selectable<DB['refresh_token']> & { person: string; device: string; thumbprint: string }) | undefined> {
  return tx
    .selectFrom('refresh_token')
    .innerJoin('session', 'session.id', 'refresh_token.session_id')
    .selectAll('refresh_token')
    .select(['session.person_id as person', 'session.device_id as device', 'session.key_thumbprint as thumbprint'])
    .where('refresh_token.hash', '=', hash)
    .forUpdate('refresh_token')
    .executeTakeFirst()
}

export async function markRotated(
  tx: Tx,
  token: { readonly hash: Uint8Array; readonly session: string; readonly attempt: Uint8Array | undefined },
  at: Date,
  source: Source,
): Promise<void> {
  const { hash, session, attempt = null } = token
  await tx.updateTable('refresh_token').set({ rotated_at: at, attempt }).where('hash', '=', hash).execute()
  await tx
    .updateTable('session')
    .set({ refreshed_at: at, ...source })
    .where('id', '=', session)
    .execute()
}

/** Records that a proof was used; answers false if it was used before. */
export async function recordProof(tx: Tx, hash: Uint8Array, expiresAt: Date): Promise<boolean> {
  const row = await tx
    .insertInto('dpop_proof')
    .values({ hash, expires_at: expiresAt })
    .onConflict((conflict) => conflict.column('hash').doNothing())
    .returning('hash')
    .executeTakeFirst()
  return row !== undefined
}

export async function forgetExpired(tx: Tx, now: Date, failuresBefore: Date): Promise<void> {
  await tx.deleteFrom('dpop_proof').where('expires_at', '<', now).execute()
  await tx.deleteFrom('live_ticket').where('expires_at', '<', now).execute()
  await tx.deleteFrom('sign_in_failure').where('at', '<', failuresBefore).execute()
}

export async function insertTicket(tx: Tx, row: Insertable<DB['live_ticket']>): Promise<void> {
  await tx.insertInto('live_ticket').values(row).execute()
}

/** Removes a ticket and answers it: it works once. */
export async function takeTicket(tx: Tx, hash: Uint8Array): Promise<Selectable<DB['live_ticket']> | undefined> {
  return tx.deleteFrom('live_ticket').where('hash', '=', hash).returningAll().executeTakeFirst()
}

/** The person of an attempt, and its door: a device that proved itself, or the enrolments. */
export interface Attempt {
  readonly person: string
  readonly door: string
}

/**
 * Counts an attempt to sign in before it is judged, so that parallel attempts cannot outrun the
 * limit. Answers false, and counts nothing, where so many attempts were counted since then: a
 * person who tries again during the wait does not wait longer for it.
 */
export async function countAttempt(
  tx: Tx,
  { person, door }: Attempt,
  at: Date,
  { since, most }: { since: Date; most: number },
): Promise<boolean> {
  await sql`SELECT pg_advisory_xact_lock(hashtextextended(${`${person} ${door}`}, 7))`.execute(tx)
  const { count } = await tx
    .selectFrom('sign_in_failure')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('person_id', '=', person)
    .where('door', '=', door)
    .where('at', '>', since)
    .executeTakeFirstOrThrow()
  if (Number(count) >= most) return false
  await tx.insertInto('sign_in_failure').values({ person_id: person, door, at }).execute()
  return true
}

export async function forgetAttempts(tx: Tx, { person, door }: Attempt): Promise<void> {
  await tx.deleteFrom('sign_in_failure').where('person_id', '=', person).where('door', '=', door).execute()
}
