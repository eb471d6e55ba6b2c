// What this holds: each role of the database may do in each table exactly what
// tables/database-rights.csv says, and is refused every other statement when it runs it. A cell
// names what is allowed: S select, I insert, U update, D delete, T truncate; u(a b) updates these
// columns alone, s(a b) selects these alone. What makes it fail: a GRANT too many or too few in a
// migration, or a table that nobody thought about.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import t from 'tap'
import { admin, testDatabase } from './support/database.ts'

const roles = ['cordon_app', 'cordon_auditor', 'cordon_figures', 'cordon_eraser'] as const
type Role = (typeof roles)[number]

interface Rights {
  /** Letters of whole-table rights. */
  readonly whole: ReadonlySet<string>
  readonly columns: Readonly<Record<'s' | 'u', readonly string[]>>
}

const privileges = { S: 'SELECT', I: 'INSERT', U: 'UPDATE', D: 'DELETE', T: 'TRUNCATE' } as const

function readRights(cell: string): Rights {
  const columns = (letter: string) => new RegExp(`${letter}\\(([^)]*)\\)`).exec(cell)?.[1]?.split(' ') ?? []
  return {
    whole: new Set(cell.replaceAll(/[su]\([^)]*\)/g, '').replaceAll(/[^SIUDT]/g, '')),
    columns: { s: columns('s'), u: columns('u') },
  }
}

function expected(): Map<string, Record<Role, Rights>> {
  const [head = '', ...lines] = readFileSync(join(import.meta.dirname, 'tables/database-rights.csv'), 'utf8')
    .trim()
    .split('\n')
  t.equal(head, ['table', ...roles].join(','))
  return new Map(
    lines.map((line) => {
      const [table = '', ...cells] = line.split(',')
      return [
        table,
        Object.fromEntries(roles.map((role, i) => [role, readRights(cells[i] ?? '')])) as Record<Role, Rights>,
      ]
    }),
  )
}

async function columnsOf(client: pg.Client): Promise<Map<string, string[]>> {
  const { rows } = await client.query<{ table: string; columns: string[] }>(
    `SELECT c.relname AS table, array_agg(a.attname::text ORDER BY a.attnum) AS columns
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'p', 'm') GROUP BY 1 ORDER BY 1`,
  )
  return new Map(rows.map(({ table, columns }) => [table, columns]))
}

/** The error code of a statement in a transaction that is taken back, or `ran`. */
async function outcome(client: pg.Client, sentence: string): Promise<string> {
  await client.query('BEGIN')
  try {
    await client.query(sentence)
    return 'ran'
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  } finally {
    await client.query('ROLLBACK')
  }
}

t.test('each role may do in each table what the table of rights says, and is refused the rest', async (t) => {
  const database = await testDatabase(t)
  const table = expected()
  let refused = 0
  await admin(database.superUrl, async (client) => {
    const all = await columnsOf(client)
    t.strictSame([...all.keys()], [...table.keys()].sort(), 'every table is named, and no other')
    for (const role of roles) {
      const faults: string[] = []
      for (const [name, columns] of all) {
        const rights = table.get(name)?.[role]
        if (!rights) continue
        const holds = async (privilege: string, column?: string) => {
          const [call, values] =
            column === undefined
              ? ['has_table_privilege($1, $2, $3)', [role, name, privilege]]
              : ['has_column_privilege($1, $2, $4, $3)', [role, name, privilege, column]]
          return (await client.query<{ may: boolean }>(`SELECT ${call} AS may`, values)).rows[0]?.may === true
        }
        const must = async (what: string, sentence: string) => {
          await client.query(`SET ROLE ${role}`)
          const code = await outcome(client, sentence)
          await client.query('RESET ROLE')
          if (code === '42501') refused++
          else faults.push(`${name}: ${what} gave ${code}`)
        }
        // A view cannot be truncated by anybody.
        const isView = name.startsWith('audit_')
        const sentences = {
          S: `SELECT count(*) FROM ${name} WHERE ${columns[0] ?? ''} IS NULL`,
          I: `INSERT INTO ${name} DEFAULT VALUES`,
          U: `UPDATE ${name} SET ${columns.map((column) => `${column} = NULL`).join(', ')}`,
          D: `DELETE FROM ${name}`,
          T: `TRUNCATE ${name} CASCADE`,
        }
        for (const [letter, privilege] of Object.entries(privileges)) {
          const allowed = rights.whole.has(letter)
          if ((await holds(privilege)) !== allowed)
            faults.push(`${name}: ${privilege} is ${allowed ? 'not ' : ''}granted`)
          if (allowed || (isView && letter === 'T')) continue
          const some = letter === 'S' ? rights.columns.s : letter === 'U' ? rights.columns.u : []
          if (some.length === 0) await must(privilege, sentences[letter as keyof typeof sentences])
          for (const column of some.length === 0 ? [] : columns) {
            const mayColumn = some.includes(column)
            if ((await holds(privilege, column)) !== mayColumn)
              faults.push(`${name}.${column}: ${privilege} is ${mayColumn ? 'not ' : ''}granted`)
            if (!mayColumn)
              await must(
                `${privilege} of ${column}`,
                letter === 'S' ? `SELECT ${column} FROM ${name}` : `UPDATE ${name} SET ${column} = NULL`,
              )
          }
        }
      }
      t.strictSame(faults, [], role)
      await client.query(`SET ROLE ${role}`)
      for (const sentence of [
        'CREATE TABLE mine ()',
        'CREATE SCHEMA mine',
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        'DROP TABLE log_entry',
        'ALTER TABLE log_entry DISABLE ROW LEVEL SECURITY',
        'ALTER TABLE log_entry DISABLE TRIGGER ALL',
        'CREATE POLICY mine ON log_entry USING (true)',
        'SET session_replication_role = replica',
        "COPY log TO PROGRAM 'true'",
        "SELECT pg_read_file('postgresql.conf')",
      ]) {
        const code = await outcome(client, sentence)
        t.equal(code, '42501', `${role}: ${sentence}`)
        refused++
      }
      await client.query('RESET ROLE')
      const { rows } = await client.query<{ super: boolean; bypass: boolean; other: string[] | null }>(
        `SELECT rolsuper AS super, rolbypassrls AS bypass,
           (SELECT array_agg(m.rolname::text) FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.roleid WHERE a.member = r.oid) AS other
         FROM pg_roles r WHERE rolname = $1`,
        [role],
      )
      t.match(rows, [{ super: false, bypass: false }], `${role} passes no row-level security`)
      t.strictSame(rows[0]?.other ?? [], role === 'cordon_app' ? ['cordon_figures'] : [], `what ${role} may become`)
    }
    const { rows: open } = await client.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
       AND relname LIKE ANY (ARRAY['log%', 'message%', 'body', 'extract', 'epoch%', 'member%', 'compartment%', 'operation%', 'thread'])
       AND NOT (relrowsecurity AND relforcerowsecurity)`,
    )
    t.strictSame(open, [], 'row-level security is forced wherever an operation has rows')
  })
  t.comment(`${String(refused)} statements refused`)
})
