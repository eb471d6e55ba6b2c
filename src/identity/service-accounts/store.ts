import { sql, type Selectable } from 'kysely'
import type { Permission } from '../../access.ts'
import type { DB, Tx } from '../../db/index.ts'

export type ServiceAccountRow = Selectable<DB['service_account']>

/** What an account may be used for, from where and until when. */
export interface Terms {
  readonly permissions: readonly Permission[]
  readonly addresses: readonly string[]
  readonly expiresAt: Date
}

export async function insertServiceAccount(tx: Tx, account: string, terms: Terms): Promise<void> {
  await tx
    .insertInto('service_account')
    .values({
      person_id: account,
      permissions: JSON.stringify(terms.permissions),
      addresses: JSON.stringify(terms.addresses),
      expires_at: terms.expiresAt,
    })
    .execute()
}

export async function findServiceAccount(tx: Tx, account: string): Promise<ServiceAccountRow | undefined> {
  return tx.selectFrom('service_account').selectAll().where('person_id', '=', account).executeTakeFirst()
}

/**
 * Answers the device that an account acts with, certified or waiting for it; undefined where it has
 * none.
 */
export async function liveDeviceOf(tx: Tx, account: string): Promise<string | undefined> {
  const row = await tx
    .selectFrom('device')
    .select('id')
    .where('person_id', '=', account)
    .where('state', 'in', ['waiting', 'certified'])
    .executeTakeFirst()
  return row?.id
}

/** Answers which of these people are service accounts, and whether each has ended. */
export async function serviceAccountsAmong(tx: Tx, persons: readonly string[]): Promise<Map<string, 'live' | 'ended'>> {
  if (persons.length === 0) return new Map()
  const rows = await tx
    .selectFrom('service_account')
    .select(['person_id', 'ended_at'])
    .where('person_id', 'in', persons)
    .execute()
  return new Map(rows.map(({ person_id, ended_at }) => [person_id, ended_at === null ? 'live' : 'ended']))
}

export async function isSignInKey(tx: Tx, thumbprint: string): Promise<boolean> {
  const query = tx.selectFrom('service_account').select('person_id').where('key_thumbprint', '=', thumbprint)
  return (await query.executeTakeFirst()) !== undefined
}

export async function setSignInKey(tx: Tx, account: string, key: string, thumbprint: string): Promise<void> {
  await tx
    .updateTable('service_account')
    .set({ sign_in_key: key, key_thumbprint: thumbprint })
    .where('person_id', '=', account)
    .execute()
}

export async function endServiceAccount(tx: Tx, account: string, at: Date): Promise<void> {
  await tx.updateTable('service_account').set({ ended_at: at }).where('person_id', '=', account).execute()
}

/**
 * Notes when and from where an account was used, unless a use from this address was noted since
 * `before`.
 */
export async function noteUse(tx: Tx, account: string, at: Date, address: string, before: Date): Promise<void> {
  await tx
    .updateTable('service_account')
    .set({ used_at: at, used_from: address })
    .where('person_id', '=', account)
    .where((or) => or.or([or('used_at', 'is', null), or('used_at', '<', before), or('used_from', '!=', address)]))
    .execute()
}

/** Answers the accounts whose time is over and that have not ended yet. */
export async function overdueServiceAccounts(tx: Tx, now: Date): Promise<string[]> {
  const rows = await tx
    .selectFrom('service_account')
    .select('person_id')
    .where('ended_at', 'is', null)
    .where('expires_at', '<=', now)
    .orderBy('person_id')
    .limit(100)
    .execute()
  return rows.map(({ person_id }) => person_id)
}

export interface ServiceAccountListRow extends Omit<
  ServiceAccountRow,
  'person_id' | 'permissions' | 'addresses' | 'sign_in_key' | 'key_thumbprint'
> {
  readonly account: string
  readonly name: string
  readonly organization: string
  readonly organizationName: string
  readonly permissions: Permission[]
  readonly addresses: string[]
  readonly device: string | null
  readonly deviceState: string | null
}

/** Answers the accounts of an organization, or of all. */
export async function listServiceAccounts(tx: Tx, organization: string | undefined): Promise<ServiceAccountListRow[]> {
  const { rows } = await sql<ServiceAccountListRow>`
    SELECT a.person_id AS account, p.name, p.organization_id AS organization, o.name AS "organizationName",
      a.permissions::json AS permissions, a.addresses::json AS addresses, a.expires_at,
      coalesce(a.ended_at, p.ended_at, o.ended_at) AS ended_at, a.used_at, a.used_from,
      d.id AS device, d.state AS "deviceState"
    FROM service_account a JOIN person p ON p.id = a.person_id JOIN organization o ON o.id = p.organization_id
      LEFT JOIN device d ON d.person_id = p.id
    WHERE ${organization ?? null}::uuid IS NULL OR p.organization_id = ${organization ?? null}::uuid
    ORDER BY o.name, p.name, a.person_id`.execute(tx)
  return rows
}
