import { createHash, type Hash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, readFile, readdir, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { Type, type Static } from 'typebox'
import { Problem } from '../errors.ts'
import { shape } from '../protocol/index.ts'
import { describeConnection } from './database.ts'
import { errorCode, toDatabaseProblem } from './failures.ts'

const exactly = { additionalProperties: false }
const name = Type.String({ pattern: '^[a-z][a-z0-9_]{0,62}$' })
const count = Type.Integer({ minimum: 0 })

const TableCopy = Type.Object(
  {
    name,
    columns: Type.Array(name, { minItems: 1 }),
    rows: count,
    bytes: count,
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  },
  exactly,
)
type TableCopy = Static<typeof TableCopy>

/** What a backup holds. It is written last: a directory without it is no backup. */
const BackupManifest = Type.Object(
  {
    v: Type.Literal(1),
    /** The time of the snapshot, RFC 3339. */
    at: Type.String(),
    program: Type.String(),
    /** The migrations of the database, in their order. */
    schema: Type.Array(Type.String(), { minItems: 1 }),
    tables: Type.Array(TableCopy),
    /** The logs as the verifier recomputed them from this copy; null where nobody verified it. */
    logs: Type.Union([
      Type.Array(
        Type.Object(
          {
            log: Type.String(),
            operation: Type.Union([Type.String(), Type.Null()]),
            size: count,
            root: Type.String(),
          },
          exactly,
        ),
      ),
      Type.Null(),
    ]),
  },
  exactly,
)
export type BackupManifest = Static<typeof BackupManifest>

const parseManifest = shape('manifest', BackupManifest)
const manifestName = 'manifest.json'

const tableFile = (directory: string, table: string) => join(directory, 'tables', `${table}.copy`)
export const checkpointsIn = (directory: string) => join(directory, 'checkpoints')

/** Hears how many bytes were copied, of about how many. */
export type CopyProgress = (bytes: number, of: number) => void

interface FoundTable {
  readonly name: string
  readonly columns: string[]
  readonly bytes: number
}

/**
 * Copies every table of a database whose rows outlive a restart, in one snapshot, also while
 * servers write to it: `tables/<name>.copy` in the binary format of COPY. Needs a role that sees
 * all rows: a superuser, or one with BYPASSRLS that may read all tables. Problem DATABASE_ROLE
 * otherwise, BACKUP_REFUSED where the directory is not empty.
 */
export async function copyOut(
  url: string,
  directory: string,
  about: { readonly program: string; readonly now: Date },
  progress: CopyProgress = () => {},
): Promise<BackupManifest> {
  await makeEmpty(directory)
  return connected(url, async (client) => {
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
    // With this, a policy that hides rows is an error, and never a backup that lacks them.
    await client.query('SET LOCAL row_security = off')
    const schema = await schemaOf(client)
    const found = await tablesOf(client)
    const whole = found.reduce((sum, { bytes }) => sum + bytes, 0)
    const tables: TableCopy[] = []
    let before = 0
    for (const table of found) {
      const copied = await copyTableOut(client, directory, table, (bytes) => progress(before + bytes, whole))
      before += copied.bytes
      tables.push(copied)
    }
    await client.query('COMMIT')
    return { v: 1, at: about.now.toISOString(), program: about.program, schema, tables, logs: null }
  })
}

async function makeEmpty(directory: string): Promise<void> {
  await mkdir(join(directory, 'tables'), { recursive: true, mode: 0o700 })
  const rest = (await readdir(directory)).filter((one) => one !== 'tables')
  if (rest.length > 0 || (await readdir(join(directory, 'tables'))).length > 0)
    throw new Problem('BACKUP_REFUSED', { detail: `${directory} is not empty: name a new directory` })
}

async function copyTableOut(
  client: pg.Client,
  directory: string,
  { name, columns }: FoundTable,
  progress: (bytes: number) => void,
): Promise<TableCopy> {
  const stream = client.query(
    copyTo(`COPY public.${quoted(name)} (${columns.map(quoted).join(', ')}) TO STDOUT (FORMAT binary)`),
  )
  const counted = counting(progress)
  const file = tableFile(directory, name)
  await pipeline(stream, counted.stream, createWriteStream(file, { mode: 0o600, flush: true }))
  return { name, columns, rows: stream.rowCount, bytes: counted.bytes(), sha256: counted.digest() }
}

/** Writes the manifest, which makes the directory a backup. */
export async function writeManifest(directory: string, manifest: BackupManifest): Promise<void> {
  const file = join(directory, manifestName)
  await writeFile(`${file}.next`, `${JSON.stringify(manifest, null, 2)}\n`, { mode: 0o600, flush: true })
  await rename(`${file}.next`, file)
  const folder = await open(directory, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Reads the manifest of a backup. Problem BACKUP_REFUSED where there is none, or a broken one. */
export async function readManifest(directory: string): Promise<BackupManifest> {
  try {
    return parseManifest(JSON.parse(await readFile(join(directory, manifestName), 'utf8')))
  } catch (cause) {
    const detail = `${directory} holds no whole backup: its ${manifestName} is missing, or cannot be read`
    throw new Problem('BACKUP_REFUSED', { detail, cause })
  }
}

/**
 * Requires that each file of a backup is as it was written. Problem BACKUP_REFUSED names the first
 * that is not.
 */
export async function requireWhole(directory: string, { tables }: BackupManifest): Promise<void> {
  for (const { name, bytes, sha256 } of tables) {
    const hash = createHash('sha256')
    const file = tableFile(directory, name)
    const size = await stat(file).then(
      (found) => found.size,
      () => -1,
    )
    if (size === bytes) await pipeline(createReadStream(file), hash)
    if (size !== bytes || hash.digest('hex') !== sha256)
      throw new Problem('BACKUP_REFUSED', { detail: `${file} is not the file that was backed up` })
  }
}

/**
 * Puts the rows of a backup into a database with the same schema, in one transaction, in the place
 * of all rows that are there. Triggers and foreign keys do not run: the caller verifies the logs
 * afterwards. Needs a superuser. Problem BACKUP_REFUSED where the schema is another, or a server is
 * connected; DATABASE_ROLE without the right.
 */
export async function copyIn(
  url: string,
  directory: string,
  manifest: BackupManifest,
  progress: CopyProgress = () => {},
): Promise<void> {
  await connected(url, async (client) => {
    await client.query('BEGIN')
    await client.query('SET LOCAL session_replication_role = replica')
    await requireSameSchema(client, manifest)
    await requireNobody(client)
    const here = await tablesOf(client)
    const whole = manifest.tables.reduce((sum, { bytes }) => sum + bytes, 0)
    await client.query(
      `LOCK TABLE ${here.map(({ name }) => `public.${quoted(name)}`).join(', ')} IN ACCESS EXCLUSIVE MODE`,
    )
    for (const { name } of here) await client.query(`DELETE FROM public.${quoted(name)}`)
    let before = 0
    for (const table of manifest.tables) {
      const rows = await copyTableIn(client, directory, table, (bytes) => progress(before + bytes, whole))
      if (rows !== table.rows)
        throw new Problem('BACKUP_REFUSED', {
          detail: `${table.name} has ${String(rows)} rows, and the backup says ${String(table.rows)}`,
        })
      before += table.bytes
    }
    await setSequences(client)
    await client.query('COMMIT')
    await client.query('ANALYZE')
  })
}

async function copyTableIn(
  client: pg.Client,
  directory: string,
  { name, columns, sha256 }: TableCopy,
  progress: (bytes: number) => void,
): Promise<number> {
  const stream = client.query(
    copyFrom(`COPY public.${quoted(name)} (${columns.map(quoted).join(', ')}) FROM STDIN (FORMAT binary)`),
  )
  const counted = counting(progress)
  const file = tableFile(directory, name)
  await pipeline(createReadStream(file), counted.stream, stream)
  // What was read now counts: the file may have changed since somebody looked at it.
  if (counted.digest() !== sha256)
    throw new Problem('BACKUP_REFUSED', { detail: `${file} is not the file that was backed up` })
  return stream.rowCount
}

async function requireSameSchema(client: pg.Client, { schema, program }: BackupManifest): Promise<void> {
  const own = await schemaOf(client)
  if (own.join() === schema.join()) return
  const detail = `the backup is of version ${program} with the schema ${schema.at(-1) ?? ''}, and this program has ${own.at(-1) ?? 'none'}: restore with the program that made it, then upgrade`
  throw new Problem('BACKUP_REFUSED', { detail })
}

/** A server that runs would go on with what it remembers. */
async function requireNobody(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ others: string }>(
    `SELECT count(*)::text AS others FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = 'cordon_app'`,
  )
  if (rows[0]?.others !== '0')
    throw new Problem('BACKUP_REFUSED', { detail: 'a server is connected to this database: stop every server first' })
}

async function setSequences(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ table: string; column: string; sequence: string }>(
    `SELECT c.relname AS table, a.attname AS column, pg_get_serial_sequence('public.' || quote_ident(c.relname), a.attname) AS sequence
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attidentity <> ''`,
  )
  for (const { table, column, sequence } of rows)
    await client.query(
      `SELECT setval($1, coalesce((SELECT max(${quoted(column)}) FROM public.${quoted(table)}), 0) + 1, false)`,
      [sequence],
    )
}

async function schemaOf(client: pg.Client): Promise<string[]> {
  try {
    const { rows } = await client.query<{ name: string }>('SELECT name FROM public.schema_migration ORDER BY name')
    return rows.map((row) => row.name)
  } catch (error) {
    if (errorCode(error) !== '42P01') throw error
    throw new Problem('BACKUP_REFUSED', { detail: 'this database holds no Cordon', cause: error })
  }
}

/**
 * The tables to copy. Those that are emptied by a crash (UNLOGGED) hold nothing that has to be
 * kept; columns that Postgres computes are computed again.
 */
async function tablesOf(client: pg.Client): Promise<FoundTable[]> {
  const { rows } = await client.query<{ name: string; columns: string[]; bytes: string }>(
    `SELECT c.relname AS name, pg_table_size(c.oid)::text AS bytes,
       array_agg(a.attname::text ORDER BY a.attnum) AS columns
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND c.relpersistence = 'p'
       AND c.relname NOT LIKE 'schema\\_migration%'
     GROUP BY c.oid ORDER BY c.relname`,
  )
  return rows.map(({ name, columns, bytes }) => ({ name, columns, bytes: Number(bytes) }))
}

function counting(progress: (bytes: number) => void) {
  const hash: Hash = createHash('sha256')
  let bytes = 0
  const stream = new Transform({
    transform(chunk: Buffer, _, done) {
      hash.update(chunk)
      bytes += chunk.length
      progress(bytes)
      done(null, chunk)
    },
  })
  return { stream, bytes: () => bytes, digest: () => hash.digest('hex') }
}

const quoted = (identifier: string) => `"${identifier.replaceAll('"', '""')}"`

async function connected<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'cordon backup' })
  client.on('error', () => {})
  try {
    await client.connect()
    return await work(client)
  } catch (error) {
    if (errorCode(error) !== '42501') throw toDatabaseProblem(error)
    const detail = `${describeConnection(url)}: this role does not see or write all rows; connect as a superuser`
    throw new Problem('DATABASE_ROLE', { detail, cause: error })
  } finally {
    await client.end()
  }
}

/**
 * Makes an empty database beside another one, on the same Postgres, and drops it when the work is
 * done. Needs a superuser.
 */
export async function withScratch<T>(superUrl: string, work: (scratchUrl: string) => Promise<T>): Promise<T> {
  const name = `cordon_copy_${String(process.pid)}_${String(Math.trunc(performance.now()))}`
  const scratch = new URL(superUrl)
  scratch.pathname = `/${name}`
  await connected(superUrl, (client) => client.query(`CREATE DATABASE ${name} OWNER cordon_owner TEMPLATE template0`))
  try {
    return await work(scratch.href)
  } finally {
    await connected(superUrl, (client) => client.query(`DROP DATABASE ${name} WITH (FORCE)`))
  }
}
