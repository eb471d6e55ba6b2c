import { sql } from 'kysely'
import type { Tx } from '../../db/index.ts'
import type { HandOverPeriod, NamedPerson } from './model.ts'

/**
 * Answers the contact points of an organization who can act: awake, with a device whose certificate
 * says so.
 */
export async function contactPointsOf(tx: Tx, organization: string): Promise<NamedPerson[]> {
  const { rows } = await sql<NamedPerson>`
    SELECT p.id AS person, p.name FROM person p JOIN organization o ON o.id = p.organization_id
    WHERE o.id = ${organization} AND o.ended_at IS NULL AND p.ended_at IS NULL AND p.asleep_at IS NULL
      AND EXISTS (SELECT FROM device d WHERE d.person_id = p.id AND d.state = 'certified'
        AND (SELECT c.tier FROM certificate c WHERE c.device_id = d.id ORDER BY c.directory_index DESC LIMIT 1) = 'ncp')
    ORDER BY p.name, p.id`.execute(tx)
  return rows
}

/** Answers the newest arrangement of each person of an organization, whether it lasts or not. */
export async function handOversOf(tx: Tx, organization: string): Promise<HandOverPeriod[]> {
  const rows = await tx
    .selectFrom('deputy')
    .innerJoin('person', 'person.id', 'deputy.person_id')
    .select(['deputy.person_id', 'deputy_person_id', 'from_at', 'until_at'])
    .where('person.organization_id', '=', organization)
    .orderBy('deputy.person_id')
    .execute()
  return rows.map(({ person_id, deputy_person_id, from_at, until_at }) => ({
    person: person_id,
    deputy: deputy_person_id,
    from: from_at,
    until: until_at ?? undefined,
  }))
}

export async function putHandOver(tx: Tx, { person, deputy, from, until }: HandOverPeriod): Promise<void> {
  const terms = { deputy_person_id: deputy, from_at: from, until_at: until ?? null }
  await tx
    .insertInto('deputy')
    .values({ person_id: person, ...terms })
    .onConflict((conflict) => conflict.column('person_id').doUpdateSet(terms))
    .execute()
}

export async function removeHandOver(tx: Tx, person: string): Promise<void> {
  await tx.deleteFrom('deputy').where('person_id', '=', person).execute()
}
