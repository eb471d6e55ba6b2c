import { sql, type RawBuilder } from 'kysely'
import type { Tx } from '../../db/index.ts'

export interface DueCertificateRow {
  readonly device: string
  readonly person: string
  readonly name: string
  readonly organization: string
  readonly organizationName: string
  readonly tier: string
  readonly certificate: string
  readonly expiresAt: Date
  readonly expired: boolean
}

/**
 * The SQL of the devices that end with compromised devices, and since when: devices that hold their
 * newest certificate from one of them since that time, devices that hold it from these, and so on
 * through all generations.
 */
const fallen = (compromised: RawBuilder<unknown>) => sql`WITH RECURSIVE fallen(device_id, since, falls) AS (
    ${compromised}
    UNION
    SELECT c.device_id, f.since, true FROM fallen f
      JOIN certificate c ON c.issuer_device_id = f.device_id AND c.certified_at >= f.since
    WHERE c.directory_index = (SELECT max(n.directory_index) FROM certificate n WHERE n.device_id = c.device_id))`
const stated = sql`SELECT device_id, compromised_at, false FROM revocation WHERE compromised_at IS NOT NULL`
const doomed = sql`EXISTS (SELECT FROM fallen WHERE fallen.device_id = d.id AND falls)`
const newest = sql`JOIN LATERAL (SELECT * FROM certificate WHERE device_id = d.id ORDER BY directory_index DESC LIMIT 1) c ON true`

/**
 * Answers the certificates in force that end before a time, and those that have ended, of people
 * who have not left and are awake; of one organization or all.
 */
export async function dueCertificates(
  tx: Tx,
  which: { readonly before: Date; readonly organization: string | undefined; readonly except: string },
): Promise<DueCertificateRow[]> {
  const { before, organization, except } = which
  const { rows } = await sql<DueCertificateRow>`${fallen(stated)}
    SELECT d.id AS device, p.id AS person, p.name, o.id AS organization, o.name AS "organizationName", c.tier,
      c.jws AS certificate, c.expires_at AS "expiresAt", d.state = 'expired' AS expired
    FROM device d JOIN person p ON p.id = d.person_id JOIN organization o ON o.id = p.organization_id
      ${newest}
    WHERE d.state IN ('certified', 'expired') AND NOT ${doomed} AND c.expires_at <= ${before} AND c.tier <> 'service'
      AND p.ended_at IS NULL AND p.asleep_at IS NULL AND o.ended_at IS NULL AND p.id <> ${except}
      AND d.id NOT IN (SELECT device_id FROM trust_root)
      AND (${organization ?? null}::uuid IS NULL OR o.id = ${organization ?? null}::uuid)
    ORDER BY c.expires_at, d.id`.execute(tx)
  return rows
}

export interface EndingDevice {
  readonly device: string
  readonly person: string
  readonly reason: 'expired' | 'issuer-compromised'
}

/**
 * Answers the live devices of people whose newest certificate has ended. Service accounts end with
 * their accounts.
 */
export async function endingDevices(tx: Tx, now: Date, device?: string): Promise<EndingDevice[]> {
  const { rows } = await sql<EndingDevice>`${fallen(stated)}
    SELECT d.id AS device, p.id AS person, CASE WHEN ${doomed} THEN 'issuer-compromised' ELSE 'expired' END AS reason
    FROM device d JOIN person p ON p.id = d.person_id ${newest}
    WHERE d.state = 'certified' AND p.ended_at IS NULL AND ((c.expires_at <= ${now} AND c.tier <> 'service') OR ${doomed})
      AND (${device ?? null}::text IS NULL OR d.id = ${device ?? null})
    ORDER BY d.id`.execute(tx)
  return rows
}

/**
 * Answers the live devices that a device vouched for from a time on, as the directory recorded it,
 * and those that these vouched for since.
 */
export async function vouchedSince(tx: Tx, issuer: string, since: Date): Promise<EndingDevice[]> {
  const { rows } = await sql<EndingDevice>`${fallen(sql`SELECT ${issuer}::text, ${since}::timestamptz, false`)}
    SELECT d.id AS device, p.id AS person, 'issuer-compromised' AS reason
    FROM device d JOIN person p ON p.id = d.person_id
    WHERE d.state = 'certified' AND p.ended_at IS NULL AND d.id <> ${issuer} AND ${doomed}
    ORDER BY d.id`.execute(tx)
  return rows
}

/**
 * Whether the newest certificate of a device was issued by a device that was compromised by then.
 */
export async function isDoomed(tx: Tx, device: string): Promise<boolean> {
  const { rows } = await sql<{ doomed: boolean }>`${fallen(stated)}
    SELECT ${doomed} AS doomed FROM device d WHERE d.id = ${device}`.execute(tx)
  return rows[0]?.doomed ?? false
}

/** Answers how many live devices of administrators there are beside these devices. */
export async function administratorsBeside(tx: Tx, devices: readonly string[]): Promise<number> {
  const { rows } = await sql<{ others: number }>`
    SELECT count(*)::int AS others FROM device d JOIN person p ON p.id = d.person_id ${newest}
    WHERE d.state = 'certified' AND c.tier = 'administrator' AND p.ended_at IS NULL AND p.asleep_at IS NULL
      AND d.id <> ALL(${[...devices]}::text[])`.execute(tx)
  return rows[0]?.others ?? 0
}

/** Whether any of these devices is an administrator's. */
export async function haveAdministrator(tx: Tx, devices: readonly string[]): Promise<boolean> {
  const { rows } = await sql<{ some: boolean }>`
    SELECT count(*) > 0 AS some FROM device d ${newest}
    WHERE d.state = 'certified' AND c.tier = 'administrator' AND d.id = ANY(${[...devices]}::text[])`.execute(tx)
  return rows[0]?.some ?? false
}

/**
 * Takes the lock of vouching on all servers, before the rows of people. A renewal holds it alone,
 * since two renewals that do not know of each other could close a circle, and so does the end of
 * all devices that a device vouched for. First certificates share it.
 */
export async function lockVouching(tx: Tx, how: 'alone' | 'with others'): Promise<void> {
  await (
    how === 'alone'
      ? sql`SELECT pg_advisory_xact_lock(hashtext('cordon renewals'))`
      : sql`SELECT pg_advisory_xact_lock_shared(hashtext('cordon renewals'))`
  ).execute(tx)
}
