import { sql } from 'kysely'
import { inOrder, type Tx } from '../../db/index.ts'

/** The rows of an operation that repeat what its log says, as text that can be compared. */
export interface RawOperation {
  readonly name: string
  readonly reference: string
  readonly time_zone: string
  /** Empty where none was stated. */
  readonly purpose: string
  readonly state: string
  readonly created_at: string
}

export interface RawGrant {
  readonly given_index: number
  readonly compartment_id: string
  readonly epoch: number
  readonly device_id: string
  readonly sealed: string
}

export async function operationRow(tx: Tx, operation: string): Promise<RawOperation | undefined> {
  const { rows } = await sql<RawOperation>`
    SELECT name, reference, time_zone, coalesce(purpose, '') AS purpose, state,
      to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS created_at
    FROM operation WHERE id = ${operation}`.execute(tx)
  return rows[0]
}

/**
 * Answers the rows that repeat the log, except the operation's own row: each row as one line of
 * text, by its table.
 */
export async function stateRows(tx: Tx, operation: string): Promise<Map<string, Set<string>>> {
  const { rows } = await sql<{ owned: string; line: string }>`
    SELECT 'operation_organization' AS owned, concat_ws(' ', organization_id, admitted_index) AS line
      FROM operation_organization WHERE operation_id = ${operation}
    UNION ALL SELECT 'member', concat_ws(' ', person_id, organization_id, role, asleep, joined_index)
      FROM member WHERE operation_id = ${operation}
    UNION ALL SELECT 'compartment', concat_ws(' ', id, created_index, name) FROM compartment WHERE operation_id = ${operation}
    UNION ALL SELECT 'compartment_member', concat_ws(' ', compartment_id, person_id, joined_index)
      FROM compartment_member WHERE operation_id = ${operation}
    UNION ALL SELECT 'epoch', concat_ws(' ', compartment_id, number, hash) FROM epoch WHERE operation_id = ${operation}
    UNION ALL SELECT 'member_statement', hash FROM member_statement WHERE operation_id = ${operation}`.execute(tx)
  const byTable = new Map<string, Set<string>>()
  for (const { owned, line } of rows) byTable.set(owned, (byTable.get(owned) ?? new Set()).add(line))
  return byTable
}

export function grantsByIndex(tx: Tx, operation: string): AsyncIterable<RawGrant> {
  return inOrder(
    tx,
    sql<RawGrant>`
      SELECT given_index, compartment_id, epoch, device_id, sealed FROM epoch_grant
      WHERE operation_id = ${operation} ORDER BY given_index, device_id, epoch`,
  )
}

/** Answers how many rows each table has per operation, also of operations that have no log. */
export async function operationRows(tx: Tx): Promise<{ owned: string; operation: string; counted: number }[]> {
  const { rows } = await sql<{ owned: string; operation: string; counted: number }>`
    SELECT owned, operation_id AS operation, counted FROM all_operation_rows() ORDER BY 1, 2`.execute(tx)
  return rows
}
