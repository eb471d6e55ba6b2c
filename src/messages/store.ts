import { sql, type Insertable, type RawBuilder, type Selectable } from 'kysely'
import type { DB, Tx } from '../db/index.ts'

export type MessageRow = Selectable<DB['message']>

export interface StoredMessage {
  readonly message: Insertable<DB['message']>
  readonly body: string
  readonly extract?: { readonly salt: string; readonly content: string }
  readonly opensThread: boolean
}

/** Stores messages with all rows that belong to them, a statement per table. */
export async function insertMessages(tx: Tx, messages: readonly StoredMessage[]): Promise<void> {
  const threads = messages
    .filter(({ opensThread }) => opensThread)
    .map(({ message }) => ({
      operation_id: message.operation_id,
      id: message.thread_id,
      compartment_id: message.compartment_id,
    }))
  const bodies = messages.map(({ message, body }) => ({
    operation_id: message.operation_id,
    message_id: message.id,
    jwe: body,
  }))
  const extracts = messages.flatMap(({ message, extract }) =>
    extract ? [{ operation_id: message.operation_id, message_id: message.id, ...extract }] : [],
  )
  await Promise.all([
    threads.length > 0 ? tx.insertInto('thread').values(threads).execute() : undefined,
    tx
      .insertInto('message')
      .values(messages.map(({ message }) => message))
      .execute(),
    tx.insertInto('body').values(bodies).execute(),
    extracts.length > 0 ? tx.insertInto('extract').values(extracts).execute() : undefined,
  ])
}

const headers = [
  'id',
  'log_index',
  'hash',
  'thread_id',
  'compartment_id',
  'device_id',
  'organization_id',
  'form',
  'stands_for',
] as const
export type MessageHeader = Pick<MessageRow, (typeof headers)[number]>

export async function findMessages(
  tx: Tx,
  operation: string,
  ids: readonly string[],
): Promise<Map<string, MessageHeader>> {
  if (ids.length === 0) return new Map()
  const rows = await tx
    .selectFrom('message')
    .select(headers)
    .where('operation_id', '=', operation)
    .where(sql<boolean>`id = ANY(${[...ids]}::uuid[])`)
    .execute()
  return new Map(rows.map((row) => [row.id, row]))
}

/** Answers the compartment of each of these threads. */
export async function findThreads(tx: Tx, operation: string, ids: readonly string[]): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map()
  const rows = await tx
    .selectFrom('thread')
    .select(['id', 'compartment_id'])
    .where('operation_id', '=', operation)
    .where(sql<boolean>`id = ANY(${[...ids]}::uuid[])`)
    .execute()
  return new Map(rows.map((row) => [row.id, row.compartment_id]))
}

export interface Content {
  readonly index: number
  readonly id: string
  readonly organization: string
  readonly statement: string
  readonly body: string | null
  readonly extract: string | null
  readonly salt: string | null
}

/** Answers what messages carry, by the index of their entry. */
export async function contentsAt(tx: Tx, operation: string, indexes: readonly number[]): Promise<Map<number, Content>> {
  if (indexes.length === 0) return new Map()
  const rows = await tx
    .selectFrom('message')
    .leftJoin('body', (join) =>
      join.onRef('body.operation_id', '=', 'message.operation_id').onRef('body.message_id', '=', 'message.id'),
    )
    .leftJoin('extract', (join) =>
      join.onRef('extract.operation_id', '=', 'message.operation_id').onRef('extract.message_id', '=', 'message.id'),
    )
    .select([
      'message.log_index as index',
      'message.id',
      'message.organization_id as organization',
      'message.jws as statement',
      'body.jwe as body',
      'extract.content as extract',
      'extract.salt',
    ])
    .where('message.operation_id', '=', operation)
    .where(sql<boolean>`message.log_index = ANY(${[...indexes]}::bigint[])`)
    .execute()
  return new Map(rows.map((row) => [row.index, row]))
}

export interface ThreadRow {
  thread: string
  compartment: string
  firstIndex: number
  lastIndex: number
  messages: number
  firstMessage: string
  form: string
  precedence: string
  organization: string
}

/**
 * Answers threads of these compartments by their newest message, newest first, below a last index.
 */
export async function listThreads(
  tx: Tx,
  operation: string,
  compartments: readonly { compartment: string; from: number }[],
  before: number,
  limit: number,
): Promise<ThreadRow[]> {
  const ids = compartments.map(({ compartment }) => compartment)
  const from = compartments.map((compartment) => compartment.from)
  const { rows } = await sql<ThreadRow>`
    WITH readable AS (SELECT * FROM unnest(${ids}::uuid[], ${from}::bigint[]) AS r (compartment_id, first_index)),
    grouped AS (
      SELECT m.thread_id, max(m.log_index) AS last_index, min(m.log_index) AS first_index, count(*)::int AS messages
      FROM message m JOIN readable r USING (compartment_id)
      WHERE m.operation_id = ${operation} AND m.log_index >= r.first_index
      GROUP BY m.thread_id HAVING max(m.log_index) < ${before}
      ORDER BY last_index DESC LIMIT ${limit}
    )
    SELECT g.thread_id AS thread, f.compartment_id AS compartment, g.first_index AS "firstIndex", g.last_index AS "lastIndex",
      g.messages, f.id AS "firstMessage", f.form, f.precedence, f.organization_id AS organization
    FROM grouped g JOIN message f ON f.operation_id = ${operation} AND f.log_index = g.first_index
    ORDER BY g.last_index DESC`.execute(tx)
  return rows
}

export async function insertDeliveries(tx: Tx, rows: readonly Insertable<DB['delivery']>[]): Promise<void> {
  if (rows.length === 0) return
  await tx
    .insertInto('delivery')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

export async function insertReads(tx: Tx, rows: readonly Insertable<DB['message_read']>[]): Promise<void> {
  if (rows.length === 0) return
  await tx
    .insertInto('message_read')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

export interface ReceiptRow {
  message: string
  person: string
  organization: string
  deliveredAt: Date | null
  readAt: Date | null
}

/** Answers who has a message: the first delivery that covers it, and the reading. */
export async function receiptsOf(tx: Tx, operation: string, message: string, index: number): Promise<ReceiptRow[]> {
  const { rows } = await sql<ReceiptRow>`
    SELECT ${message} AS message, coalesce(d.person_id, r.person_id) AS person, coalesce(d.organization_id, r.organization_id) AS organization,
      d.at AS "deliveredAt", r.at AS "readAt"
    FROM (
      SELECT DISTINCT ON (person_id) person_id, organization_id, at FROM delivery
      WHERE operation_id = ${operation} AND up_to >= ${index} ORDER BY person_id, up_to
    ) AS d
    FULL JOIN (
      SELECT person_id, organization_id, at FROM message_read WHERE operation_id = ${operation} AND message_id = ${message}
    ) AS r USING (person_id)
    ORDER BY 3, 2`.execute(tx)
  return rows
}

/**
 * Answers the readings that were recorded at these indexes, with the organization that sent the
 * message.
 */
export async function readsAt(
  tx: Tx,
  operation: string,
  indexes: readonly number[],
): Promise<
  {
    message: string
    index: number
    person: string
    organization: string
    readAt: Date
    sender: string
    compartment: string
  }[]
> {
  if (indexes.length === 0) return []
  return tx
    .selectFrom('message_read')
    .innerJoin('message', (join) =>
      join
        .onRef('message.operation_id', '=', 'message_read.operation_id')
        .onRef('message.id', '=', 'message_read.message_id'),
    )
    .select([
      'message_read.message_id as message',
      'message_read.person_id as person',
      'message_read.organization_id as organization',
      'message_read.at as readAt',
      'message.organization_id as sender',
      'message.compartment_id as compartment',
      'message.log_index as index',
    ])
    .where('message_read.operation_id', '=', operation)
    .where(sql<boolean>`message_read.log_index = ANY(${[...indexes]}::bigint[])`)
    .execute()
}

/** Answers which of these ids are taken, and whether by this organization. */
export async function knownIds(
  tx: Tx,
  operation: string,
  organization: string,
  ids: readonly string[],
): Promise<{ id: string; own: boolean }[]> {
  const rows = await tx
    .selectFrom('message')
    .select(['id', 'organization_id'])
    .where('operation_id', '=', operation)
    .where(sql<boolean>`id = ANY(${[...ids]}::uuid[])`)
    .execute()
  return rows.map((row) => ({ id: row.id, own: row.organization_id === organization }))
}

export async function importKeys(
  tx: Tx,
  operation: string,
  organization: string,
): Promise<{ device: string; sealed: string; sealedBy: string | null }[]> {
  return tx
    .selectFrom('import_key')
    .select(['device_id as device', 'sealed', 'sealed_by as sealedBy'])
    .where('operation_id', '=', operation)
    .where('organization_id', '=', organization)
    .execute()
}

export async function deleteImportKeys(tx: Tx, operation: string, organization: string): Promise<void> {
  await tx
    .deleteFrom('import_key')
    .where('operation_id', '=', operation)
    .where('organization_id', '=', organization)
    .execute()
}

export async function insertImportKeys(tx: Tx, rows: readonly Insertable<DB['import_key']>[]): Promise<void> {
  await tx
    .insertInto('import_key')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute()
}

/** Whose readings, or the readings of which message, are looked for. */
interface ReadingsWanted {
  readonly person?: string
  readonly organization?: string
  readonly message?: string
  /** The first index, and the first one that is no longer in the range. */
  readonly first: number
  readonly before: number
  readonly limit: number
}

/**
 * Answers the indexes of the entries `messages.read` that hold such readings, highest first. An
 * entry holds the readings of many people, so that the index is walked from one entry to the next:
 * it reads a row for each entry that it answers. The readings of a message are at most as many as
 * its readers.
 */
export async function readingEntries(
  tx: Tx,
  operation: string,
  { person, organization, message, first, before, limit }: ReadingsWanted,
): Promise<number[]> {
  const named = Object.entries({ person_id: person, organization_id: organization, message_id: message })
  const conditions = named.flatMap(([column, id]) =>
    id === undefined ? [] : [sql`${sql.ref(`message_read.${column}`)} = ${id}`],
  )
  const below = (index: RawBuilder<unknown>) => sql`
    SELECT max(log_index) AS index FROM message_read
    WHERE ${sql.join([sql`operation_id = ${operation}`, sql`log_index < ${index}`, ...conditions], sql` AND `)}`
  const { rows } =
    message === undefined
      ? await sql<{ index: number }>`
          WITH RECURSIVE found (index) AS (
            ${below(sql`${before}::bigint`)}
            UNION ALL
            SELECT (${below(sql`found.index`)}) FROM found WHERE found.index >= ${first}
          )
          SELECT index FROM found WHERE index >= ${first} LIMIT ${limit}`.execute(tx)
      : await sql<{ index: number }>`
          SELECT DISTINCT log_index AS index FROM message_read
          WHERE ${sql.join([sql`operation_id = ${operation}`, ...conditions], sql` AND `)}
            AND log_index >= ${first} AND log_index < ${before}
          ORDER BY index DESC LIMIT ${limit}`.execute(tx)
  return rows.map(({ index }) => index)
}
