import { sql, type Selectable } from 'kysely'
import type { DB, Tx } from '../../db/index.ts'

export type Notice = Selectable<DB['notice']>
export type AddressRow = Selectable<DB['notice_address']>

/** A notice that is to be given to a person. */
export type NoticeDraft =
  | { readonly person: string; readonly kind: 'sleep'; readonly days: 30 | 10 | 3 }
  | { readonly person: string; readonly kind: 'sleepers' | 'needed'; readonly accounts: number }
  | { readonly person: string; readonly kind: 'address' }

/**
 * Queues notices to be given: they are stored with the transaction that decides them, or not at
 * all.
 */
export async function queueNotices(tx: Tx, drafts: readonly NoticeDraft[], now: Date): Promise<void> {
  if (drafts.length === 0) return
  const rows = drafts.map(({ person, ...draft }) => ({ person_id: person, made_at: now, next_at: now, ...draft }))
  await tx.insertInto('notice').values(rows).execute()
}

/**
 * Answers the notice that has waited longest, locked until the transaction ends; other servers take
 * the next one meanwhile.
 */
export async function claimNotice(tx: Tx, now: Date): Promise<Notice | undefined> {
  return tx
    .selectFrom('notice')
    .selectAll()
    .where('given_at', 'is', null)
    .where('next_at', '<=', now)
    .orderBy('next_at')
    .orderBy('id')
    .limit(1)
    .forUpdate()
    .skipLocked()
    .executeTakeFirst()
}

export async function waitsForSleep(tx: Tx, person: string): Promise<boolean> {
  const query = tx.selectFrom('notice').select('id').where('person_id', '=', person).where('kind', '=', 'sleep')
  return (await query.where('given_at', 'is', null).executeTakeFirst()) !== undefined
}

/** Whether a person was given a notice of this kind since then. */
export async function wasGiven(tx: Tx, person: string, kind: Notice['kind'], since: Date): Promise<boolean> {
  const query = tx.selectFrom('notice').select('id').where('person_id', '=', person).where('kind', '=', kind)
  return (await query.where('given_at', '>', since).executeTakeFirst()) !== undefined
}

export async function markGiven(tx: Tx, id: number, at: Date): Promise<void> {
  await tx.updateTable('notice').set({ given_at: at }).where('id', '=', id).execute()
}

export async function postponeNotice(tx: Tx, id: number, until: Date): Promise<void> {
  await tx
    .updateTable('notice')
    .set({ attempts: sql`attempts + 1`, next_at: until })
    .where('id', '=', id)
    .execute()
}

export async function dropNotice(tx: Tx, id: number): Promise<void> {
  await tx.deleteFrom('notice').where('id', '=', id).execute()
}

export async function findAddress(tx: Tx, person: string): Promise<AddressRow | undefined> {
  return tx.selectFrom('notice_address').selectAll().where('person_id', '=', person).executeTakeFirst()
}

/** Keeps an address that waits for its code; an address that is confirmed stays until then. */
export async function putCandidate(tx: Tx, person: string, sealed: Uint8Array, at: Date): Promise<void> {
  const candidate = { sealed_candidate: sealed, asked_at: at, tries: 0 }
  await tx
    .insertInto('notice_address')
    .values({ person_id: person, ...candidate })
    .onConflict((conflict) => conflict.column('person_id').doUpdateSet(candidate))
    .execute()
}

export async function countTry(tx: Tx, person: string): Promise<void> {
  await tx
    .updateTable('notice_address')
    .set({ tries: sql`tries + 1` })
    .where('person_id', '=', person)
    .execute()
}

export async function confirmAddress(tx: Tx, person: string, sealed: Uint8Array, at: Date): Promise<void> {
  const confirmed = { sealed_address: sealed, confirmed_at: at, sealed_candidate: null, asked_at: null, tries: 0 }
  await tx.updateTable('notice_address').set(confirmed).where('person_id', '=', person).execute()
}

/** Removes the addresses of these people; answers whether there was one. */
export async function forgetAddresses(tx: Tx, people: readonly string[]): Promise<boolean> {
  if (people.length === 0) return false
  const { numDeletedRows } = await tx.deleteFrom('notice_address').where('person_id', 'in', people).executeTakeFirst()
  return numDeletedRows > 0n
}

/** Whether the database holds addresses, which only the key of the factors opens. */
export async function hasNoticeAddresses(tx: Tx): Promise<boolean> {
  return (await tx.selectFrom('notice_address').select('person_id').limit(1).executeTakeFirst()) !== undefined
}

/**
 * Answers how many codes this person asked for and how many this address was to get since then. A
 * second transaction for this address waits until this one ends.
 */
export async function codesSince(
  tx: Tx,
  { person, recipient, since }: { person: string; recipient: Uint8Array; since: Date },
): Promise<{ person: number; recipient: number }> {
  await sql`SELECT pg_advisory_xact_lock(hashtextextended(encode(${recipient}::bytea, 'hex'), 16))`.execute(tx)
  const { rows } = await sql<{ person: number; recipient: number }>`
    SELECT count(*) FILTER (WHERE person_id = ${person})::int AS person,
      count(*) FILTER (WHERE recipient = ${recipient})::int AS recipient
    FROM notice_code WHERE at > ${since} AND (person_id = ${person} OR recipient = ${recipient})`.execute(tx)
  return rows[0] ?? { person: 0, recipient: 0 }
}

export async function noteCode(tx: Tx, person: string, recipient: Uint8Array, at: Date): Promise<void> {
  await tx.insertInto('notice_code').values({ person_id: person, recipient, at }).execute()
}

export async function forgetNotices(tx: Tx, before: Date): Promise<void> {
  await tx.deleteFrom('notice').where('given_at', '<', before).execute()
  await tx.deleteFrom('notice_code').where('at', '<', before).execute()
}
