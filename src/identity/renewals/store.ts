import { sql } from 'kysely'
import type { Tx } from '../../db/index.ts'

export interface DueCertificate {
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

/** Certificates in force that end before a time, and those that have ended, of people who are there and awake; of one organization or all. */
export async function dueCertificates(
  tx: Tx,
  which: { readonly before: Date; readonly organization: string | undefined; readonly except: string },
): Promise<DueCertificate[]> {
  const { before, organization, except } = which
  const { rows } = await sql<DueCertificate>`
    SELECT d.id AS device, p.id AS person, p.name, o.id AS organization, o.name AS "organizationName", c.tier,
      c.jws AS certificate, c.expires_at AS "expiresAt", d.state = 'expired' AS expired
    FROM device d JOIN person p ON p.id = d.person_id JOIN organization o ON o.id = p.organization_id
      JOIN LATERAL (SELECT * FROM certificate WHERE device_id = d.id ORDER BY directory_index DESC LIMIT 1) c ON true
    WHERE d.state IN ('certified', 'expired') AND c.expires_at <= ${before} AND c.tier <> 'service'
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
 * Live devices of people whose newest certificate has ended, or was issued by a device that was revoked as compromised before the certificate
 * was entered. Service accounts end with their accounts.
 */
export async function endingDevices(tx: Tx, now: Date, device?: string): Promise<EndingDevice[]> {
  const { rows } = await sql<EndingDevice>`
    SELECT d.id AS device, p.id AS person, CASE WHEN c.expires_at <= ${now} THEN 'expired' ELSE 'issuer-compromised' END AS reason
    FROM device d JOIN person p ON p.id = d.person_id
      JOIN LATERAL (SELECT * FROM certificate WHERE device_id = d.id ORDER BY directory_index DESC LIMIT 1) c ON true
      LEFT JOIN revocation r ON r.device_id = c.issuer_device_id
    WHERE d.state = 'certified' AND p.ended_at IS NULL
      AND ((c.expires_at <= ${now} AND c.tier <> 'service') OR c.certified_at >= r.compromised_at)
      AND (${device ?? null}::text IS NULL OR d.id = ${device ?? null})
    ORDER BY d.id`.execute(tx)
  return rows
}
