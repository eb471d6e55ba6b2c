import { sql, type Selectable } from 'kysely'
import type { DB, Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'

export type OperationRow = Selectable<DB['operation']>

/** From here on the transaction sees what this person's memberships show (row-level security). */
export async function enterAsPerson(tx: Tx, person: string): Promise<void> {
  await sql`SELECT set_config('cordon.person', ${person}, true)`.execute(tx)
}

/**
 * From here on the transaction sees this operation (row-level security); for the appender and for
 * followers.
 */
export async function enterOperation(tx: Tx, operation: string): Promise<void> {
  await sql`SELECT set_config('cordon.log', ${operation}, true)`.execute(tx)
}

export async function operationsOf(tx: Tx, persons: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`SELECT operations_of_people(${[...persons]}::uuid[]) AS id`.execute(tx)
  return rows.map(({ id }) => id)
}

/** Answers which of these people are members of an operation, asleep or awake. */
export async function membersAmong(tx: Tx, operation: string, persons: readonly string[]): Promise<Set<string>> {
  await enterOperation(tx, operation)
  const { rows } = await sql<{ person: string }>`
    SELECT person_id AS person FROM member
    WHERE operation_id = ${operation} AND person_id = ANY(${[...persons]}::uuid[])`.execute(tx)
  return new Set(rows.map(({ person }) => person))
}

export async function insertOperation(tx: Tx, row: OperationRow): Promise<void> {
  await tx.insertInto('operation').values(row).execute()
}

export async function updateOperation(
  tx: Tx,
  id: string,
  change: Partial<Pick<OperationRow, 'name' | 'time_zone' | 'state' | 'purpose'>>,
): Promise<void> {
  await tx.updateTable('operation').set(change).where('id', '=', id).execute()
}

export async function findOperation(tx: Tx, id: string): Promise<OperationRow | undefined> {
  return tx.selectFrom('operation').selectAll().where('id', '=', id).executeTakeFirst()
}

/** Answers what an operation is for: its purpose, or else its name and reference. */
export function purposeOf({ purpose, name, reference }: Pick<OperationRow, 'purpose' | 'name' | 'reference'>): string {
  return purpose ?? `${name} (${reference})`
}

/** Answers what the operation is for that the transaction has entered. */
export async function purposeOfOperation(tx: Tx, id: string): Promise<string> {
  const row = await findOperation(tx, id)
  if (!row) throw new Error(`operation ${id} has a log and no row`)
  return purposeOf(row)
}

export interface MembershipRow extends OperationRow {
  organization_id: string
  role: DB['member']['role']
  asleep: boolean
  joined_index: number
}

/** Answers the operations of a person with the person's place in them. */
export async function membershipsOf(tx: Tx, person: string, operation?: string): Promise<MembershipRow[]> {
  let query = tx
    .selectFrom('member')
    .innerJoin('operation', 'operation.id', 'member.operation_id')
    .selectAll('operation')
    .select(['member.organization_id', 'member.role', 'member.asleep', 'member.joined_index'])
    .where('member.person_id', '=', person)
    .orderBy('operation.created_at')
  if (operation !== undefined) query = query.where('operation.id', '=', operation)
  return query.execute()
}

export async function insertOrganizations(
  tx: Tx,
  operation: string,
  rows: readonly { organization: string; index: number }[],
): Promise<void> {
  await tx
    .insertInto('operation_organization')
    .values(
      rows.map(({ organization, index }) => ({
        operation_id: operation,
        organization_id: organization,
        admitted_index: index,
      })),
    )
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

export async function deleteOrganization(tx: Tx, operation: string, organization: string): Promise<void> {
  await tx
    .deleteFrom('operation_organization')
    .where('operation_id', '=', operation)
    .where('organization_id', '=', organization)
    .execute()
}

export async function organizationsOf(tx: Tx, operation: string): Promise<string[]> {
  const rows = await tx
    .selectFrom('operation_organization')
    .select('organization_id')
    .where('operation_id', '=', operation)
    .execute()
  return rows.map((row) => row.organization_id)
}

export async function insertMember(tx: Tx, row: Omit<Selectable<DB['member']>, 'asleep'>): Promise<void> {
  await tx.insertInto('member').values(row).execute()
}

export async function updateMember(
  tx: Tx,
  operation: string,
  person: string,
  change: Partial<Pick<Selectable<DB['member']>, 'role' | 'asleep'>>,
): Promise<void> {
  await tx
    .updateTable('member')
    .set(change)
    .where('operation_id', '=', operation)
    .where('person_id', '=', person)
    .execute()
}

export async function deleteMember(tx: Tx, operation: string, person: string): Promise<void> {
  await tx
    .deleteFrom('compartment_member')
    .where('operation_id', '=', operation)
    .where('person_id', '=', person)
    .execute()
  await tx.deleteFrom('member').where('operation_id', '=', operation).where('person_id', '=', person).execute()
}

/**
 * Takes people out of an operation, or lets them sleep there; answers the people for whom that
 * changes anything. LAST_COORDINATOR where the operation would be left without one.
 */
export async function takeMembers(
  tx: Tx,
  operation: string,
  persons: readonly string[],
  change: 'ended' | 'slept',
): Promise<string[]> {
  await enterOperation(tx, operation)
  const all = await membersOf(tx, operation)
  const members = all.filter(({ person_id }) => persons.includes(person_id))
  const coordinates = ({ role, asleep }: (typeof all)[number]) => role === 'coordinator' && !asleep
  const left = all.filter((member) => coordinates(member) && !members.includes(member))
  if (members.some(coordinates) && left.length === 0) throw new Problem('LAST_COORDINATOR', { operation })
  const concerned = members.filter(({ asleep }) => change === 'ended' || !asleep).map(({ person_id }) => person_id)
  for (const person of concerned) {
    if (change === 'ended') await deleteMember(tx, operation, person)
    else await updateMember(tx, operation, person, { asleep: true })
  }
  return concerned
}

export async function membersOf(tx: Tx, operation: string): Promise<Selectable<DB['member']>[]> {
  return tx.selectFrom('member').selectAll().where('operation_id', '=', operation).orderBy('joined_index').execute()
}

export async function insertCompartment(
  tx: Tx,
  row: Selectable<DB['compartment']>,
  members: readonly string[],
): Promise<void> {
  await tx.insertInto('compartment').values(row).execute()
  for (const person of members) await insertCompartmentMember(tx, row.operation_id, row.id, person, row.created_index)
}

export async function insertCompartmentMember(
  tx: Tx,
  operation: string,
  compartment: string,
  person: string,
  index: number,
): Promise<void> {
  await tx
    .insertInto('compartment_member')
    .values({ operation_id: operation, compartment_id: compartment, person_id: person, joined_index: index })
    .execute()
}

export async function deleteCompartmentMember(
  tx: Tx,
  operation: string,
  compartment: string,
  person: string,
): Promise<void> {
  await tx
    .deleteFrom('compartment_member')
    .where('operation_id', '=', operation)
    .where('compartment_id', '=', compartment)
    .where('person_id', '=', person)
    .execute()
}

export async function compartmentsOf(tx: Tx, operation: string): Promise<Selectable<DB['compartment']>[]> {
  return tx
    .selectFrom('compartment')
    .selectAll()
    .where('operation_id', '=', operation)
    .orderBy('created_index')
    .execute()
}

export async function insertStatement(tx: Tx, operation: string, hash: string, jws: string): Promise<void> {
  await tx.insertInto('member_statement').values({ operation_id: operation, hash, jws }).execute()
}

export async function insertEpoch(tx: Tx, row: Selectable<DB['epoch']>): Promise<void> {
  await tx.insertInto('epoch').values(row).execute()
}

export interface GrantRow {
  compartment: string
  epoch: number
  device: string
  sealed: string
}

export async function insertGrants(
  tx: Tx,
  operation: string,
  index: number,
  grants: readonly GrantRow[],
): Promise<void> {
  const grantsPerStatement = 1000
  for (let at = 0; at < grants.length; at += grantsPerStatement) {
    await tx
      .insertInto('epoch_grant')
      .values(
        grants.slice(at, at + grantsPerStatement).map(({ compartment, epoch, device, sealed }) => ({
          operation_id: operation,
          compartment_id: compartment,
          epoch,
          device_id: device,
          given_index: index,
          sealed,
        })),
      )
      .execute()
  }
}

/** Answers the newest grant of each epoch for a device. */
export async function grantsFor(tx: Tx, operation: string, device: string, compartment?: string): Promise<GrantRow[]> {
  let query = tx
    .selectFrom('epoch_grant')
    .distinctOn(['compartment_id', 'epoch'])
    .select(['compartment_id as compartment', 'epoch', 'device_id as device', 'sealed'])
    .where('operation_id', '=', operation)
    .where('device_id', '=', device)
    .orderBy('compartment_id')
    .orderBy('epoch')
    .orderBy('given_index', 'desc')
  if (compartment !== undefined) query = query.where('compartment_id', '=', compartment)
  return query.execute()
}

/** Answers which epochs these devices have a grant for. */
export async function grantedEpochs(
  tx: Tx,
  operation: string,
  devices: readonly string[],
): Promise<{ compartment: string; epoch: number; device: string }[]> {
  if (devices.length === 0) return []
  return tx
    .selectFrom('epoch_grant')
    .distinct()
    .select(['compartment_id as compartment', 'epoch', 'device_id as device'])
    .where('operation_id', '=', operation)
    .where(sql<boolean>`device_id = ANY(${[...devices]}::text[])`)
    .execute()
}

/** Answers the grants of these epochs that these devices have, with the entries that gave them. */
export async function grantsOf(
  tx: Tx,
  operation: string,
  devices: readonly string[],
  epochs: readonly number[],
): Promise<(GrantRow & { index: number })[]> {
  return tx
    .selectFrom('epoch_grant')
    .select(['given_index as index', 'compartment_id as compartment', 'epoch', 'device_id as device', 'sealed'])
    .where('operation_id', '=', operation)
    .where(sql<boolean>`device_id = ANY(${[...devices]}::text[])`)
    .where(sql<boolean>`epoch = ANY(${[...epochs]}::int[])`)
    .execute()
}

/** Answers member and epoch statements of an operation by their hash. */
export async function statementsByHash(
  tx: Tx,
  operation: string,
  hashes: readonly string[],
): Promise<Map<string, string>> {
  if (hashes.length === 0) return new Map()
  const wanted = [...hashes]
  const { rows } = await sql<{ hash: string; jws: string }>`
    SELECT hash, jws FROM member_statement WHERE operation_id = ${operation} AND hash = ANY(${wanted}::text[])
    UNION ALL
    SELECT hash, jws FROM epoch WHERE operation_id = ${operation} AND hash = ANY(${wanted}::text[])`.execute(tx)
  return new Map(rows.map((row) => [row.hash, row.jws]))
}

/** Answers the grants that entries at these indexes gave to these devices. */
export async function grantsGivenAt(
  tx: Tx,
  operation: string,
  indexes: readonly number[],
  devices: readonly string[],
): Promise<(GrantRow & { index: number })[]> {
  if (indexes.length === 0 || devices.length === 0) return []
  return tx
    .selectFrom('epoch_grant')
    .select(['given_index as index', 'compartment_id as compartment', 'epoch', 'device_id as device', 'sealed'])
    .where('operation_id', '=', operation)
    .where(sql<boolean>`device_id = ANY(${[...devices]}::text[])`)
    .where(sql<boolean>`given_index = ANY(${[...indexes]}::bigint[])`)
    .execute()
}
