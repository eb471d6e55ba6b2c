import { sql, type Insertable, type Selectable } from 'kysely'
import { violatedConstraint, type DB, type Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import { comparingForm } from '../../forms/index.ts'

/** Inserts an organization with the form of its name; NAME_TAKEN where another one has it. */
export async function insertOrganization(
  tx: Tx,
  row: Omit<Insertable<DB['organization']>, 'name_form'>,
): Promise<void> {
  const named = { ...row, name_form: comparingForm(row.name) }
  try {
    await tx.insertInto('organization').values(named).execute()
  } catch (error) {
    if (violatedConstraint(error) === 'organization_name_form_key') throw new Problem('NAME_TAKEN', { cause: error })
    throw error
  }
}

/** Locks an organization, so that no other transaction ends it meanwhile. */
export async function lockOrganization(tx: Tx, id: string): Promise<Selectable<DB['organization']> | undefined> {
  return tx.selectFrom('organization').selectAll().where('id', '=', id).forUpdate().executeTakeFirst()
}

/**
 * Answers all people of an organization who are not ended; while the organization is locked no
 * person is added.
 */
export async function peopleStillIn(tx: Tx, organization: string): Promise<string[]> {
  const rows = await tx
    .selectFrom('person')
    .select('id')
    .where('organization_id', '=', organization)
    .where('ended_at', 'is', null)
    .orderBy('id')
    .execute()
  return rows.map(({ id }) => id)
}

export async function endOrganization(tx: Tx, id: string, at: Date): Promise<void> {
  await tx.updateTable('organization').set({ ended_at: at }).where('id', '=', id).execute()
}

export async function changePeople(
  tx: Tx,
  ids: readonly string[],
  change: { ended_at: Date } | { asleep_at: Date } | { asleep_at: null; woken_at: Date },
): Promise<void> {
  if (ids.length === 0) return
  await tx.updateTable('person').set(change).where('id', 'in', ids).execute()
}

/** Answers how many devices of these people are certified, or wait to be. */
export async function countLiveDevices(tx: Tx, people: readonly string[]): Promise<number> {
  if (people.length === 0) return 0
  const { count } = await tx
    .selectFrom('device')
    .select(({ fn }) => fn.countAll<string>().as('count'))
    .where('person_id', 'in', people)
    .where('state', 'in', ['certified', 'waiting'])
    .executeTakeFirstOrThrow()
  return Number(count)
}

/**
 * Answers the names of the people and the organizations among these ids, which may be of anything,
 * with those of the organizations of the people.
 */
export async function namesAmong(
  tx: Tx,
  ids: readonly string[],
): Promise<{
  people: { person: string; name: string; organization: string }[]
  organizations: { organization: string; name: string }[]
}> {
  const people = await tx
    .selectFrom('person')
    .select(['id as person', 'name', 'organization_id as organization'])
    .where(sql<boolean>`id = ANY(${[...ids]}::uuid[])`)
    .orderBy('id')
    .execute()
  const homes = [...ids, ...people.map(({ organization }) => organization)]
  const organizations = await tx
    .selectFrom('organization')
    .select(['id as organization', 'name'])
    .where(sql<boolean>`id = ANY(${homes}::uuid[])`)
    .orderBy('id')
    .execute()
  return { people, organizations }
}
