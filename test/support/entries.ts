import type { Kind } from '../../src/protocol/index.ts'
import { admin } from './database.ts'
import type { TestServer } from './server.ts'

/** An entry as its rows have it, with its private details. */
export interface Entered {
  readonly log: string
  readonly index: number
  readonly kind: Kind
  readonly person: string | null
  readonly subject: string
  readonly compartment: string | null
  readonly digest: string | undefined
  // The shape is what the test asserts.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly details: any
}

interface Row {
  readonly log_id: string
  readonly index: string
  readonly kind: Kind
  readonly person_id: string | null
  readonly compartment_id: string | null
  readonly leaf: string
  readonly details: string | null
}

/** How many entries each log has, by its id. */
export async function sizes(server: Pick<TestServer, 'database'>): Promise<Map<string, number>> {
  const { rows } = await admin(server.database.superUrl, (client) =>
    client.query<{ id: string; size: number }>('SELECT id, size::int FROM log'),
  )
  return new Map(rows.map(({ id, size }) => [id, size]))
}

/** The entries of all logs after these sizes, log by log in their order. */
export async function entriesSince(
  server: Pick<TestServer, 'database'>,
  before: ReadonlyMap<string, number> = new Map(),
): Promise<Entered[]> {
  const { rows } = await admin(server.database.superUrl, (client) =>
    client.query<Row>(
      `SELECT e.log_id, e.index, e.kind, e.person_id, e.compartment_id, e.leaf, p.details
       FROM log_entry e LEFT JOIN log_private p USING (log_id, index) ORDER BY e.log_id, e.index`,
    ),
  )
  return rows
    .filter(({ log_id, index }) => Number(index) >= (before.get(log_id) ?? 0))
    .map(({ log_id, index, kind, person_id, compartment_id, leaf, details }) => {
      const { subject, digest } = JSON.parse(leaf) as { subject: string; digest?: string }
      return {
        log: log_id,
        index: Number(index),
        kind,
        person: person_id,
        subject,
        compartment: compartment_id,
        digest,
        details: details === null ? undefined : JSON.parse(details),
      }
    })
}

/**
 * What was noted in memory, entered now: after this every entry of what was answered before is
 * there.
 */
export async function settle(server: Pick<TestServer, 'consultation' | 'refusals'>): Promise<void> {
  await server.consultation.flush()
  await server.refusals.flush()
}
