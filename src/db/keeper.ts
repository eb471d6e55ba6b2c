import { sql, type Kysely } from 'kysely'
import { Problem } from '../errors.ts'
import type { DB } from './tables.ts'

/**
 * The owner of a table can switch its triggers off. So the objects that never change do not belong
 * to cordon_owner, which migrates: they belong to cordon_keeper. No session connects as
 * cordon_keeper, and cordon_owner cannot become it. These objects are every table whose rows never
 * change, the views of auditors, the functions that guard these tables or count their rows for the
 * verifier, and the database, since the owner of a schema can drop what is in it.
 */
const guards = [
  'refuse_change',
  'refuse_shrinking',
  'current_log',
  'all_logs',
  'all_log_rows',
  'all_cosignature_rows',
  'all_operation_rows',
]

interface KeptObject {
  /** The name that statements give it: TABLE log_entry. */
  readonly object: string
  readonly owner: string
}

async function keptObjects(db: Kysely<DB>): Promise<KeptObject[]> {
  const { rows } = await sql<KeptObject>`
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW ' ELSE 'TABLE ' END || c.oid::regclass AS object, pg_get_userbyid(c.relowner)::text AS owner
    FROM pg_class c
    WHERE c.relnamespace = 'public'::regnamespace AND (c.relkind = 'v' OR EXISTS (
      SELECT FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid
      WHERE t.tgrelid = c.oid AND f.proname = 'refuse_change' AND f.pronamespace = 'public'::regnamespace))
    UNION ALL
    SELECT 'FUNCTION ' || p.oid::regprocedure, pg_get_userbyid(p.proowner)::text
    FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.proname = ANY (${guards}::text[])
    UNION ALL
    SELECT 'DATABASE ' || quote_ident(datname), pg_get_userbyid(datdba)::text FROM pg_database WHERE datname = current_database()
    ORDER BY 1`.execute(db)
  return rows
}

/**
 * Answers whether only a superuser, or a role that may become cordon_keeper, can change these
 * objects.
 */
export async function isKept(db: Kysely<DB>): Promise<boolean> {
  const owners = [...new Set((await keptObjects(db)).map(({ owner }) => owner))]
  const { rows } = await sql<{ reached: boolean }>`
    SELECT bool_or(pg_has_role(low, owner, 'MEMBER')) AS reached
    FROM unnest(${owners}::name[]) AS owner, unnest(ARRAY['cordon_owner', 'cordon_app']::name[]) AS low`.execute(db)
  return rows[0]?.reached === false
}

/** Answers whether the session may hand objects over to cordon_keeper and back. */
export async function mayKeep(db: Kysely<DB>): Promise<boolean> {
  const { rows } = await sql<{ may: boolean }>`
    SELECT coalesce(bool_and(pg_has_role(session_user, oid, 'SET')), false) AND count(*) = 2 AS may
    FROM pg_roles WHERE rolname IN ('cordon_owner', 'cordon_keeper')`.execute(db)
  return rows[0]?.may === true
}

/**
 * Hands the objects that migrations may have to change back to cordon_owner. The database and its
 * schema stay with cordon_keeper.
 */
export async function release(db: Kysely<DB>): Promise<void> {
  await inOneTransaction(db, async (tx) => {
    for (const { object, owner } of await keptObjects(tx))
      if (owner === 'cordon_keeper' && !object.startsWith('DATABASE'))
        await run(tx, `ALTER ${object} OWNER TO cordon_owner`)
  })
}

/** Hands over to cordon_keeper the objects that it does not own yet. No row is touched. */
export async function keep(db: Kysely<DB>): Promise<void> {
  const open = (await keptObjects(db)).filter(({ owner }) => owner !== 'cordon_keeper')
  if (open.length === 0 && (await isKept(db))) return
  await inOneTransaction(db, async (tx) => {
    await forbidBecoming(tx)
    // The schema belongs to the owner of the database, which is handed over first.
    for (const { object } of open.toSorted((a) => (a.object.startsWith('DATABASE') ? -1 : 0))) {
      await run(tx, `ALTER ${object} OWNER TO cordon_keeper`)
      if (object.startsWith('DATABASE')) await run(tx, `GRANT CONNECT ON ${object} TO cordon_owner`)
      if (object.startsWith('DATABASE'))
        await run(tx, 'GRANT USAGE, CREATE ON SCHEMA public TO cordon_owner, cordon_keeper')
      if (object.startsWith('FUNCTION')) await run(tx, `GRANT EXECUTE ON ${object} TO cordon_owner`)
      if (object.startsWith('TABLE')) await run(tx, `GRANT SELECT, REFERENCES ON ${object} TO cordon_owner`)
    }
    // The functions that count rows for the verifier run as their owner, and row-level security is
    // forced for owners too.
    const { rows } = await sql<{ secured: string; lacks: boolean }>`
      SELECT c.oid::regclass::text AS secured,
        NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'for_keeper') AS lacks
      FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relrowsecurity`.execute(
      tx,
    )
    for (const { secured, lacks } of rows) {
      await run(tx, `GRANT SELECT ON ${secured} TO cordon_keeper`)
      if (lacks) await run(tx, `CREATE POLICY for_keeper ON ${secured} FOR SELECT TO cordon_keeper USING (true)`)
    }
  })
  if (!(await isKept(db)))
    throw new Problem('DATABASE_ROLE', { detail: 'cordon_owner or cordon_app may become cordon_keeper' })
}

/** Takes away the right of the role that made cordon_keeper to become it. */
async function forbidBecoming(tx: Kysely<DB>): Promise<void> {
  const { rows } = await sql<{ member: string; grantor: string }>`
    SELECT m.rolname AS member, g.rolname AS grantor FROM pg_auth_members a
    JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.grantor
    WHERE a.roleid = 'cordon_keeper'::regrole AND m.rolname IN ('cordon_owner', 'cordon_app')`.execute(tx)
  for (const { member, grantor } of rows)
    await run(tx, `REVOKE cordon_keeper FROM ${member} GRANTED BY "${grantor}" CASCADE`)
}

function inOneTransaction(db: Kysely<DB>, work: (tx: Kysely<DB>) => Promise<void>): Promise<void> {
  return db.transaction().execute(work)
}

async function run(tx: Kysely<DB>, statement: string): Promise<void> {
  await sql.raw(statement).execute(tx)
}
