import { sql, type Insertable, type RawBuilder, type Selectable } from 'kysely'
import type { DB, Tx } from '../../db/index.ts'

export type Credential = Selectable<DB['credential']>
export type Passkey = Selectable<DB['passkey']>

export interface PersonFactors {
  readonly credential: Credential | undefined
  readonly totp: Selectable<DB['totp']> | undefined
  readonly passkeys: readonly Passkey[]
  readonly recoveryCodes: number
}

export async function factorsOf(tx: Tx, person: string): Promise<PersonFactors> {
  const { count } = await tx
    .selectFrom('recovery_code')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('person_id', '=', person)
    .executeTakeFirstOrThrow()
  return {
    credential: await tx.selectFrom('credential').selectAll().where('person_id', '=', person).executeTakeFirst(),
    totp: await tx.selectFrom('totp').selectAll().where('person_id', '=', person).executeTakeFirst(),
    passkeys: await tx
      .selectFrom('passkey')
      .selectAll()
      .where('person_id', '=', person)
      .orderBy('added_at')
      .orderBy('id')
      .execute(),
    recoveryCodes: Number(count),
  }
}

/**
 * The SQL of a digest, SHA-256, base64url, of everything that a person's factors are checked
 * against. Recovery codes are not in it, since each is removed when it is used. Entries name the
 * digest, so that no factor can be put in the place of another.
 */
export const heldBy = (person: RawBuilder<unknown>) => sql<string>`(
  SELECT rtrim(translate(encode(sha256(convert_to(
    coalesce((SELECT passphrase_hash || ' ' || needs_second_factor FROM credential WHERE person_id = ${person}), '') || E'\\n' ||
    coalesce((SELECT encode(sealed_secret, 'hex') FROM totp WHERE person_id = ${person} AND confirmed_at IS NOT NULL), '') || E'\\n' ||
    coalesce((SELECT string_agg(id || ' ' || encode(public_key, 'hex'), E'\\n' ORDER BY id COLLATE "C") FROM passkey WHERE person_id = ${person}), ''),
  'UTF8')), 'base64'), '+/', '-_'), '='))`

export async function factorsHeld(tx: Tx, person: string): Promise<string> {
  const { rows } = await sql<{ held: string }>`SELECT ${heldBy(sql`${person}::uuid`)} AS held`.execute(tx)
  return rows[0]?.held ?? ''
}

export async function setCredential(tx: Tx, row: Insertable<DB['credential']>): Promise<void> {
  const { passphrase_hash, set_at, needs_second_factor } = row
  await tx
    .insertInto('credential')
    .values(row)
    .onConflict((conflict) =>
      conflict.column('person_id').doUpdateSet({
        passphrase_hash,
        set_at,
        ...(needs_second_factor === undefined ? {} : { needs_second_factor }),
      }),
    )
    .execute()
}

/** Inserts a passphrase; answers false where the person has one already. */
export async function insertCredential(tx: Tx, row: Insertable<DB['credential']>): Promise<boolean> {
  const inserted = await tx
    .insertInto('credential')
    .values(row)
    .onConflict((conflict) => conflict.column('person_id').doNothing())
    .returning('person_id')
    .executeTakeFirst()
  return inserted !== undefined
}

export async function dropCredential(tx: Tx, person: string): Promise<void> {
  await tx.deleteFrom('credential').where('person_id', '=', person).execute()
}

/** Stores a new secret, to be confirmed; it replaces one that was not confirmed. */
export async function putTotp(tx: Tx, row: Insertable<DB['totp']>): Promise<void> {
  await tx.deleteFrom('totp').where('person_id', '=', row.person_id).execute()
  await tx.insertInto('totp').values(row).execute()
}

export async function confirmTotp(tx: Tx, person: string, at: Date): Promise<void> {
  await tx.updateTable('totp').set({ confirmed_at: at }).where('person_id', '=', person).execute()
}

export async function dropTotp(tx: Tx, person: string): Promise<void> {
  await tx.deleteFrom('totp').where('person_id', '=', person).execute()
}

/**
 * Takes a step; answers false where this step or a later one was taken before (RFC 6238, section
 * 5.2).
 */
export async function takeStep(tx: Tx, person: string, step: number): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('totp')
    .set({ last_step: step })
    .where('person_id', '=', person)
    .where('last_step', '<', step)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

export async function replaceRecoveryCodes(tx: Tx, person: string, digests: readonly Uint8Array[]): Promise<void> {
  await tx.deleteFrom('recovery_code').where('person_id', '=', person).execute()
  if (digests.length === 0) return
  const rows = digests.map((digest) => ({ person_id: person, digest }))
  await tx.insertInto('recovery_code').values(rows).execute()
}

/** Removes a recovery code: it works once. Answers whether it was there. */
export async function takeRecoveryCode(tx: Tx, person: string, digest: Uint8Array): Promise<boolean> {
  const { numDeletedRows } = await tx
    .deleteFrom('recovery_code')
    .where('person_id', '=', person)
    .where('digest', '=', digest)
    .executeTakeFirst()
  return numDeletedRows > 0n
}

export async function insertPasskey(tx: Tx, row: Insertable<DB['passkey']>): Promise<boolean> {
  const inserted = await tx
    .insertInto('passkey')
    .values(row)
    .onConflict((conflict) => conflict.column('id').doNothing())
    .returning('id')
    .executeTakeFirst()
  return inserted !== undefined
}

export async function dropPasskey(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('passkey').where('id', '=', id).execute()
}

export async function dropPasskeys(tx: Tx, person: string): Promise<void> {
  await tx.deleteFrom('passkey').where('person_id', '=', person).execute()
}

/**
 * Records a use of a passkey; answers false where another use has counted as far meanwhile: of two
 * copies of a key one is refused. A key that does not count stays at 0.
 */
export async function notePasskeyUse(tx: Tx, id: string, signCount: number, at: Date): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('passkey')
    .set({ sign_count: signCount, last_used_at: at })
    .where('id', '=', id)
    .where('sign_count', signCount === 0 ? '=' : '<', signCount)
    .executeTakeFirst()
  return numUpdatedRows > 0n
}

export async function insertChallenge(tx: Tx, row: Insertable<DB['passkey_challenge']>): Promise<void> {
  await tx.insertInto('passkey_challenge').values(row).execute()
}

/**
 * Removes a challenge of this person, or of a sign-in without one; answers whether it was there. A
 * challenge is answered once.
 */
export async function takeChallenge(tx: Tx, hash: Uint8Array, person: string | null, now: Date): Promise<boolean> {
  const row = await tx.deleteFrom('passkey_challenge').where('hash', '=', hash).returningAll().executeTakeFirst()
  return row !== undefined && row.person_id === person && row.expires_at > now
}

export async function forgetChallenges(tx: Tx, now: Date): Promise<void> {
  await tx.deleteFrom('passkey_challenge').where('expires_at', '<', now).execute()
}

/** Whether the database holds factors that are worth nothing without the key of the factors. */
export async function hasFactors(tx: Tx): Promise<boolean> {
  const totp = await tx.selectFrom('totp').select('person_id').limit(1).executeTakeFirst()
  const passkey = await tx.selectFrom('passkey').select('person_id').limit(1).executeTakeFirst()
  return (totp ?? passkey) !== undefined
}

/**
 * The factor by which a person was recognised: `passkey` is the credential's id, where it was one.
 */
export interface StoredProof {
  readonly by: string
  readonly passkey?: string
}

export const proofColumns = ({ by, passkey }: StoredProof) => ({ proven_by: by, proven_passkey: passkey ?? null })

export async function markVerified(tx: Tx, session: string, proof: StoredProof, at: Date): Promise<void> {
  await tx
    .updateTable('session')
    .set({ verified_at: at, ...proofColumns(proof) })
    .where('id', '=', session)
    .execute()
}

/**
 * Records that the session knows the factors as they are now: it changed them itself, and all other
 * sessions ended.
 */
export async function markKnown(tx: Tx, session: string, at: Date): Promise<void> {
  await tx.updateTable('session').set({ known_since: at }).where('id', '=', session).execute()
}

/**
 * Answers whether the factor by which a session's person was last recognised existed when the
 * session began to know the factors, and still exists: the passkey itself, or the passphrase with
 * the code of an app where there is one.
 */
export async function proofHolds(tx: Tx, session: string): Promise<'holds' | 'newer' | 'gone'> {
  const { rows } = await sql<{ since: Date; exists: boolean; newest: Date | null }>`
    SELECT s.known_since AS since, greatest(k.added_at, c.set_at, t.confirmed_at) AS newest,
      CASE WHEN s.proven_passkey IS NOT NULL THEN k.id IS NOT NULL
        ELSE coalesce(s.proven_by LIKE 'passphrase%' AND c.person_id IS NOT NULL
          AND (t.confirmed_at IS NULL OR s.proven_by <> 'passphrase'), false) END AS exists
    FROM session s
      LEFT JOIN passkey k ON k.id = s.proven_passkey AND k.person_id = s.person_id
      LEFT JOIN credential c ON c.person_id = s.person_id AND s.proven_passkey IS NULL
      LEFT JOIN totp t ON t.person_id = s.person_id AND t.confirmed_at IS NOT NULL AND s.proven_passkey IS NULL
    WHERE s.id = ${session}`.execute(tx)
  const [row] = rows
  if (row?.exists !== true) return 'gone'
  return row.newest !== null && row.newest > row.since ? 'newer' : 'holds'
}
