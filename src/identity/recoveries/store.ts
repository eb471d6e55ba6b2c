import type { Selectable } from 'kysely'
import { sql } from 'kysely'
import type { DB, Tx } from '../../db/index.ts'

export async function insertRecovery(tx: Tx, invitation: string, request: string, at: Date): Promise<void> {
  await tx.insertInto('recovery').values({ invitation_id: invitation, request, requested_at: at }).execute()
}

export async function lockRecovery(tx: Tx, invitation: string): Promise<Selectable<DB['recovery']> | undefined> {
  return tx.selectFrom('recovery').selectAll().where('invitation_id', '=', invitation).forUpdate().executeTakeFirst()
}

export async function approveRecovery(tx: Tx, invitation: string, person: string, at: Date): Promise<void> {
  await tx
    .updateTable('recovery')
    .set({ approver_person_id: person, approved_at: at })
    .where('invitation_id', '=', invitation)
    .execute()
}

export interface RecoveryRequestRow {
  readonly invitation: string
  readonly request: string
  readonly requestedAt: Date
  readonly approved: boolean
  readonly open: boolean
  readonly tier: string
  readonly person: string
  readonly personName: string
  readonly organization: string
  readonly organizationName: string
  readonly requester: string
  readonly requesterName: string
  readonly requesterOrganization: string
}

/** Answers the request that a person is asked to approve, with names. */
export async function findRecovery(tx: Tx, invitation: string, now: Date): Promise<RecoveryRequestRow | undefined> {
  const { rows } = await sql<RecoveryRequestRow>`
    SELECT i.id AS invitation, r.request, r.requested_at AS "requestedAt", r.approved_at IS NOT NULL AS approved,
      i.used_at IS NULL AND i.revoked_at IS NULL AND i.expires_at > ${now} AS open, i.tier,
      p.id AS person, p.name AS "personName", o.id AS organization, o.name AS "organizationName",
      q.id AS requester, q.name AS "requesterName", q.organization_id AS "requesterOrganization"
    FROM recovery r JOIN invitation i ON i.id = r.invitation_id JOIN person p ON p.id = i.person_id
      JOIN organization o ON o.id = p.organization_id JOIN person q ON q.id = i.inviter_person_id
    WHERE r.invitation_id = ${invitation}`.execute(tx)
  return rows[0]
}
