import { sql } from 'kysely'
import type { Tx } from '../../db/index.ts'
import type { Idle, NoticeDays, SleepPlan } from './schedule.ts'

interface Row {
  person: string
  organization: string
  idleSince: Date
  days: NoticeDays | null
  planFrom: Date | null
  sleepsAt: Date | null
  noticedAt: Date | null
  keptAt: Date | null
}

export interface IdlePerson extends Idle {
  readonly person: string
  readonly organization: string
  /** When the log recorded that this account was due and is needed; null unless that is so. */
  readonly keptAt: Date | null
}

/**
 * Answers the people who can sleep, with their last use of the account and their newest notice:
 * those with a certified device who are awake. Programs end by a date of their own. The filter
 * selects all people, those of an organization, one person, or those who used nothing since a time.
 */
export async function idlePeople(
  tx: Tx,
  which: { readonly person?: string; readonly organization?: string; readonly unusedSince?: Date } = {},
): Promise<IdlePerson[]> {
  const { person = null, organization = null, unusedSince = null } = which
  const { rows } = await sql<Row>`
    SELECT * FROM (
      SELECT p.id AS person, p.organization_id AS organization,
        greatest(p.registered_at, p.woken_at,
          (SELECT max(s.refreshed_at) FROM session s WHERE s.person_id = p.id)) AS "idleSince",
        n.days, n.idle_since AS "planFrom", n.sleeps_at AS "sleepsAt", n.noticed_at AS "noticedAt", n.kept_at AS "keptAt"
      FROM person p JOIN organization o ON o.id = p.organization_id LEFT JOIN planned_sleep n ON n.person_id = p.id
      WHERE p.ended_at IS NULL AND p.asleep_at IS NULL AND o.ended_at IS NULL
        AND (${person}::uuid IS NULL OR p.id = ${person}::uuid)
        AND (${organization}::uuid IS NULL OR p.organization_id = ${organization}::uuid)
        AND NOT EXISTS (SELECT FROM service_account a WHERE a.person_id = p.id)
        AND EXISTS (SELECT FROM device d WHERE d.person_id = p.id AND d.state = 'certified')
    ) idle
    WHERE ${unusedSince}::timestamptz IS NULL OR "idleSince" <= ${unusedSince}::timestamptz
    ORDER BY person`.execute(tx)
  return rows.map((row) => ({
    person: row.person,
    organization: row.organization,
    idleSince: row.idleSince,
    plan: planOf(row),
    keptAt: row.keptAt,
  }))
}

function planOf({ days, planFrom, sleepsAt, noticedAt }: Row): SleepPlan | undefined {
  if (days === null || planFrom === null || sleepsAt === null || noticedAt === null) return undefined
  return { idleSince: planFrom, days, sleepsAt, noticedAt }
}

export async function putPlan(
  tx: Tx,
  person: string,
  { idleSince, days, sleepsAt, noticedAt }: SleepPlan,
): Promise<void> {
  const plan = { idle_since: idleSince, days, sleeps_at: sleepsAt, noticed_at: noticedAt, kept_at: null }
  await tx
    .insertInto('planned_sleep')
    .values({ person_id: person, ...plan })
    .onConflict((conflict) => conflict.column('person_id').doUpdateSet(plan))
    .execute()
}

export async function markKept(tx: Tx, person: string, at: Date): Promise<void> {
  await tx.updateTable('planned_sleep').set({ kept_at: at }).where('person_id', '=', person).execute()
}

/**
 * Lets one server at a time put people to sleep, so that of two last administrators one stays
 * awake.
 */
export async function lockSleeping(tx: Tx): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(hashtextextended('accounts that sleep', 0))`.execute(tx)
}

/**
 * Answers the people of a tier who are awake, on a certified device: of an organization, or of all.
 */
export async function awakeOfTier(tx: Tx, tier: string, organization?: string): Promise<string[]> {
  const { rows } = await sql<{ person: string }>`
    SELECT DISTINCT p.id AS person FROM person p JOIN organization o ON o.id = p.organization_id JOIN device d ON d.person_id = p.id
    WHERE p.ended_at IS NULL AND p.asleep_at IS NULL AND o.ended_at IS NULL AND d.state = 'certified'
      AND (${organization ?? null}::uuid IS NULL OR p.organization_id = ${organization ?? null}::uuid)
      AND ${tier} = (SELECT c.tier FROM certificate c WHERE c.device_id = d.id ORDER BY c.directory_index DESC LIMIT 1)
    ORDER BY 1`.execute(tx)
  return rows.map(({ person }) => person)
}
