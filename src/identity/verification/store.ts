import { sql } from 'kysely'
import { inOrder, type Tx } from '../../db/index.ts'
import { heldBy } from '../factors/store.ts'

/**
 * A row as the verifier reads it: times as exact text, so that no digit that a type would round
 * away is missed.
 */
export interface RawCertificate {
  readonly hash: string
  readonly device_id: string
  readonly issuer_device_id: string
  readonly person_id: string
  readonly organization_id: string
  readonly tier: string
  readonly jws: string
  readonly expires_at: string
  readonly certified_at: string
  readonly directory_index: number
}

export interface RawRevocation {
  readonly hash: string
  readonly device_id: string
  readonly signer_device_id: string
  readonly jws: string
  readonly compromised_at: string | null
  readonly directory_index: number
}

export interface RawDevice {
  readonly id: string
  readonly person_id: string | null
  readonly sign_key: string
  readonly seal_key: string
  readonly state: string
  readonly invitation_id: string | null
  readonly statement: string | null
  readonly mac: string | null
  readonly certified: boolean | null
  readonly inviter_device_id: string | null
}

export interface RawServiceAccount {
  readonly id: string
  readonly permissions: string
  readonly addresses: string
  readonly expires_at: string
  readonly sign_in_key: string | null
  readonly key_thumbprint: string | null
  readonly ended_at: string | null
}

export interface RawPlannedSleep {
  readonly id: string
  readonly idle_since: string
  readonly days: number
  readonly sleeps_at: string
  readonly noticed_at: string
  readonly kept_at: string | null
}

export interface RawTrustRoot {
  readonly device_id: string
  readonly successor_device_id: string
  readonly statement: string
  readonly set_up_at: string
}

export interface RawOrganization {
  readonly id: string
  readonly kind: string
  readonly name: string
  readonly name_form: string | null
  readonly country: string | null
  readonly region: string | null
  readonly ended_at: string | null
}

export interface RawPerson {
  readonly id: string
  readonly organization_id: string
  readonly name: string
  readonly ended_at: string | null
  readonly asleep_at: string | null
  readonly woken_at: string | null
}

export interface RawDeputy {
  /** The person who is away. */
  readonly id: string
  readonly deputy_person_id: string
  readonly from_at: string
  readonly until_at: string | null
}

export interface RawSession {
  readonly id: string
  readonly person_id: string
  readonly device_id: string
  readonly key_thumbprint: string
  readonly expires_at: string
  readonly ended_at: string | null
  readonly verified_at: string
  readonly proven_by: string | null
  readonly known_since: string
}

export interface RawInvitation {
  readonly id: string
  readonly person_id: string
  readonly organization_id: string
  readonly tier: string
  /** Its SHA-256, base64url. */
  readonly recognition: string
  readonly inviter_person_id: string
  readonly inviter_device_id: string
  readonly expires_at: string
  readonly used_at: string | null
  readonly revoked_at: string | null
}

export interface RawRecovery {
  /** The id of the invitation. */
  readonly id: string
  readonly request: string
  readonly requested_at: string
  readonly approver_person_id: string | null
  readonly approved_at: string | null
}

/** The factors of a person. */
export interface RawFactors {
  readonly id: string
  readonly passphrase_at: string | null
  readonly totp_at: string | null
  readonly passkeys: number
  readonly held: string
}

const exactTime = (column: string) =>
  sql<string>`to_char(${sql.ref(column)} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`

export function certificatesByIndex(tx: Tx): AsyncIterable<RawCertificate> {
  return inOrder(
    tx,
    sql<RawCertificate>`
      SELECT hash, device_id, issuer_device_id, person_id, organization_id, tier, jws, ${exactTime('expires_at')} AS expires_at,
        ${exactTime('certified_at')} AS certified_at, directory_index
      FROM certificate ORDER BY directory_index, hash`,
  )
}

export function revocationsByIndex(tx: Tx): AsyncIterable<RawRevocation> {
  return inOrder(
    tx,
    sql<RawRevocation>`
      SELECT hash, device_id, signer_device_id, jws, ${exactTime('compromised_at')} AS compromised_at, directory_index
      FROM revocation ORDER BY directory_index, hash`,
  )
}

/** Answers devices with their enrolments, also where the other half of a pair is missing. */
export function devicesWithEnrolments(tx: Tx): AsyncIterable<RawDevice> {
  return inOrder(
    tx,
    sql<RawDevice>`
      SELECT coalesce(d.id, e.device_id) AS id, d.person_id, d.sign_key, d.seal_key, d.state,
        e.invitation_id, e.statement, e.mac, e.certified_at IS NOT NULL AS certified, i.inviter_device_id
      FROM device d FULL JOIN enrolment e ON e.device_id = d.id LEFT JOIN invitation i ON i.id = e.invitation_id
      ORDER BY 1`,
  )
}

export function serviceAccountRows(tx: Tx): AsyncIterable<RawServiceAccount> {
  return inOrder(
    tx,
    sql<RawServiceAccount>`
      SELECT person_id AS id, permissions, addresses, ${exactTime('expires_at')} AS expires_at, sign_in_key, key_thumbprint,
        ${exactTime('ended_at')} AS ended_at
      FROM service_account ORDER BY person_id`,
  )
}

export function plannedSleepRows(tx: Tx): AsyncIterable<RawPlannedSleep> {
  return inOrder(
    tx,
    sql<RawPlannedSleep>`
      SELECT person_id AS id, ${exactTime('idle_since')} AS idle_since, days, ${exactTime('sleeps_at')} AS sleeps_at,
        ${exactTime('noticed_at')} AS noticed_at, ${exactTime('kept_at')} AS kept_at
      FROM planned_sleep ORDER BY person_id`,
  )
}

export function organizationRows(tx: Tx): AsyncIterable<RawOrganization> {
  return inOrder(
    tx,
    sql<RawOrganization>`
      SELECT id, kind, name, name_form, country, region, ${exactTime('ended_at')} AS ended_at FROM organization ORDER BY id`,
  )
}

export function personRows(tx: Tx): AsyncIterable<RawPerson> {
  return inOrder(
    tx,
    sql<RawPerson>`
      SELECT id, organization_id, name, ${exactTime('ended_at')} AS ended_at, ${exactTime('asleep_at')} AS asleep_at,
        ${exactTime('woken_at')} AS woken_at
      FROM person ORDER BY id`,
  )
}

export function deputyRows(tx: Tx): AsyncIterable<RawDeputy> {
  return inOrder(
    tx,
    sql<RawDeputy>`
      SELECT person_id AS id, deputy_person_id, ${exactTime('from_at')} AS from_at, ${exactTime('until_at')} AS until_at
      FROM deputy ORDER BY person_id`,
  )
}

export async function trustRoots(tx: Tx): Promise<RawTrustRoot[]> {
  const { rows } = await sql<RawTrustRoot>`
    SELECT device_id, successor_device_id, statement, ${exactTime('set_up_at')} AS set_up_at FROM trust_root`.execute(
    tx,
  )
  return rows
}

export async function sessionRow(tx: Tx, id: string): Promise<RawSession | undefined> {
  const { rows } = await sql<RawSession>`
    SELECT id, person_id, device_id, key_thumbprint, ${exactTime('expires_at')} AS expires_at, ${exactTime('ended_at')} AS ended_at,
      ${exactTime('verified_at')} AS verified_at, proven_by, ${exactTime('known_since')} AS known_since
    FROM session WHERE id = ${id}`.execute(tx)
  return rows[0]
}

/** Counts the sessions for which entries vouch: those that only read an older copy have none. */
export async function countSessions(tx: Tx): Promise<{ sessions: number; ended: number }> {
  const { rows } = await sql<{ sessions: number; ended: number }>`
    SELECT count(*)::int AS sessions, count(ended_at)::int AS ended FROM session
    WHERE NOT reading`.execute(tx)
  return rows[0] ?? { sessions: 0, ended: 0 }
}

export function invitationRows(tx: Tx): AsyncIterable<RawInvitation> {
  return inOrder(
    tx,
    sql<RawInvitation>`
      SELECT id, person_id, organization_id, tier, rtrim(translate(encode(sha256(recognition), 'base64'), '+/', '-_'), '=') AS recognition,
        inviter_person_id, inviter_device_id, ${exactTime('expires_at')} AS expires_at, ${exactTime('used_at')} AS used_at,
        ${exactTime('revoked_at')} AS revoked_at
      FROM invitation ORDER BY id`,
  )
}

export function recoveryRows(tx: Tx): AsyncIterable<RawRecovery> {
  return inOrder(
    tx,
    sql<RawRecovery>`
      SELECT invitation_id AS id, request, ${exactTime('requested_at')} AS requested_at, approver_person_id,
        ${exactTime('approved_at')} AS approved_at
      FROM recovery ORDER BY invitation_id`,
  )
}

/**
 * Answers the factors by which people sign in, for people who have any. An app counts once it was
 * confirmed.
 */
export function factorRows(tx: Tx): AsyncIterable<RawFactors> {
  return inOrder(
    tx,
    sql<RawFactors>`
      SELECT p.id, ${exactTime('c.set_at')} AS passphrase_at, ${exactTime('t.confirmed_at')} AS totp_at,
        (SELECT count(*)::int FROM passkey k WHERE k.person_id = p.id) AS passkeys, ${heldBy(sql`p.id`)} AS held
      FROM person p LEFT JOIN credential c ON c.person_id = p.id LEFT JOIN totp t ON t.person_id = p.id
      ORDER BY p.id`,
  )
}

export async function hasSetUpSecret(tx: Tx): Promise<boolean> {
  const { rows } = await sql`SELECT FROM set_up_secret`.execute(tx)
  return rows.length > 0
}
