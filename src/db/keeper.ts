import { sql, type Kysely } from 'kysely'
import { Problem } from '../errors.ts'
import type { DB } from './tables.ts'

/**
 * Who owns a table can switch its triggers off. So what is never changed does not stay with
 * cordon_owner, which migrates: it belongs to cordon_keeper, as which nobody connects and which
 * cordon_owner cannot become. That is every table whose rows stay as they are, what auditors look
 * through, and the functions that guard them or tell the verifier which rows there are; and the
 * database, since the owner of a schema can drop what is in it.
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
  /** As statements name it: TABLE log_entry. */
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

/** Whether nobody but a superuser, and who may become the owner of what is kept, can change it. */
export async function isKept(db: Kysely<DB>): Promise<boolean> {
  const owners = [...new Set((await keptObjects(db)).map(({ owner }) => owner))]
  const { rows } = await sql<{ reached: boolean }>`
    SELECT bool_or(pg_has_role(low, owner, 'MEMBER')) AS reached
    FROM unnest(${owners}::name[]) AS owner, unnest(ARRAY['cordon_owner', 'cordon_app']::name[]) AS low`.execute(db)
  return rows[0]?.reached === false
}

/** Whether the session may hand things over to cordon_keeper and back. */
export async function mayKeep(db: Kysely<DB>): Promise<boolean> {
  const { rows } = await sql<{ may: boolean }>`
    SELECT coalesce(bool_and(pg_has_role(session_user, oid, 'SET')), false) AND count(*) = 2 AS may
    FROM pg_roles WHERE rolname IN ('cordon_owner', 'cordon_keeper')`.execute(db)
  return rows[0]?.may === true
}

/**
 * Gives cordon_owner what migrations may have to change. The database and its schema stay where
 * they are.
 */
export async function release(db: Kysely<DB>): Promise<void> {
  await inOneTransaction(db, async (tx) => {
    for (const { object, owner } of await keptObjects(tx))
      if (owner === 'cordon_keeper' && !object.startsWith('DATABASE'))
        await run(tx, `ALTER ${object} OWNER TO cordon_owner`)
  })
}

/** Hands over to cordon_keeper what is not its own yet. Nothing of the rows is touched. */
export async function keep(db: Kysely<DB>): Promise<void> {
  const open = (await keptObjects(db)).filter(({ owner }) => owner !== 'cordon_keeper')
  if (open.length === 0 && (await isKept(db))) return
  await inOneTransaction(db, async (tx) => {
    await forbidBecoming(tx)
    // The schema belongs to whoever owns the database; it is the first that is handed over.
    for (const { object } of open.toSorted((a) => (a.object.startsWith('DATABASE') ? -1 : 0))) {
      await run(tx, `ALTER ${object} OWNER TO cordon_keeper`)
      if (object.startsWith('DATABASE')) await run(tx, `GRANT CONNECT ON ${object} TO cordon_owner`)
      if (object.startsWith('DATABASE'))
        await run(tx, 'GRANT USAGE, CREATE ON SCHEMA public TO cordon_owner, cordon_keeper')
      if (object.startsWith('FUNCTION')) await run(tx, `GRANT EXECUTE ON ${object} TO cordon_owner`)
      if (object.startsWith('TABLE')) await run(tx, `GRANT SELECT, REFERENCES ON ${object} TO cordon_owner`)
    }
    // What counts rows for the verifier runs as its owner, and row-level security is forced for
    // owners too.
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

/** Whoever made a role may become it, until somebody above takes that away. */
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
