import { sql } from 'kysely'
import type { Tx } from '../db/index.ts'
import { figurePlaces, sumCommodities, units, type Figures } from '../forms/index.ts'
import type { Span } from './totals.ts'

/**
 * From here on, and until it ends, the transaction sees headers and extracts of its person's
 * operations and nothing else.
 */
export async function lookAsFigures(tx: Tx): Promise<void> {
  await sql`SET LOCAL ROLE cordon_figures`.execute(tx)
}

// The code list of units as a table.
const unitTable = () => {
  const rows = Object.entries(units)
  return sql`SELECT * FROM unnest(
    ${rows.map(([code]) => code)}::text[],
    ${rows.map(([, unit]) => unit.base)}::text[],
    ${rows.map(([, unit]) => unit.factor)}::numeric[]
  ) AS u (code, base, factor)`
}

// Messages with the messages that they correct or withdraw. A message that is an exercise, or
// corrects one, counts for nothing, and only an organization's own corrections and withdrawals
// touch its messages.
const versions = (operation: string) => sql`
  SELECT m.id, m.stands_for, m.thread_id, m.form, m.log_index, m.refers_as
  FROM message m JOIN message first ON first.operation_id = m.operation_id AND first.id = m.stands_for
  WHERE m.operation_id = ${operation} AND NOT m.exercise AND NOT first.exercise
    AND m.organization_id = first.organization_id`

// Zero says that somebody looked and found none of these goods: it contributes nothing.
const goods = sql`
  CROSS JOIN LATERAL jsonb_array_elements(e.content::jsonb -> 'items') AS item
  JOIN unit u ON u.code = item ->> 'unit' AND (item ->> 'quantity')::numeric > 0`
// Whether goods are listed and each of them is zero: such a message is no seizure.
const foundNothing = sql`(jsonb_array_length(e.content::jsonb -> 'items') > 0 AND NOT EXISTS (
  SELECT FROM jsonb_array_elements(e.content::jsonb -> 'items') AS listed
  WHERE listed ->> 'quantity' IS NULL OR (listed ->> 'quantity')::numeric > 0))`
const inBase = sql`(item ->> 'quantity')::numeric * u.factor`
const isEstimate = sql`coalesce((item ->> 'estimated')::boolean, false)`

/** Answers the figures of an operation as at its last entry: one statement, so one moment. */
export async function queryFigures(tx: Tx, operation: string): Promise<Figures & { asAt: number }> {
  const { rows } = await sql<Figures & { asAt: number }>`
    WITH unit AS (${unitTable()}),
    version AS (${versions(operation)}),
    standing AS (
      SELECT DISTINCT ON (stands_for) id, thread_id, form FROM version
      WHERE stands_for NOT IN (SELECT stands_for FROM version WHERE refers_as = 'withdrawal')
      ORDER BY stands_for, log_index DESC
    ),
    seizure AS (
      SELECT id, thread_id FROM standing
      LEFT JOIN extract e ON e.operation_id = ${operation} AND e.message_id = standing.id
      WHERE form = 'seizure' AND ${foundNothing} IS NOT TRUE
    ),
    amount AS (
      SELECT s.id, item ->> 'category' AS category, u.base AS unit, ${inBase} AS quantity, ${isEstimate} AS estimated
      FROM seizure s JOIN extract e ON e.operation_id = ${operation} AND e.message_id = s.id ${goods}
    ),
    per_category AS (
      SELECT category, unit, count(DISTINCT id)::int AS seizures,
        coalesce(sum(quantity) FILTER (WHERE NOT estimated), 0) AS quantity,
        coalesce(sum(quantity) FILTER (WHERE estimated), 0) AS estimated
      FROM amount GROUP BY category, unit
    ),
    per_unit AS (
      SELECT unit, sum(quantity) AS quantity, sum(estimated) AS estimated
      FROM per_category WHERE category <> ALL (${[...sumCommodities]}::text[]) GROUP BY unit
    )
    SELECT (SELECT max(index) FROM log_entry WHERE log_id = ${operation}) AS "asAt",
      (SELECT count(*)::int FROM seizure) AS seizures,
      (SELECT count(DISTINCT thread_id)::int FROM seizure) AS cases,
      (SELECT coalesce(json_agg(json_build_object('category', category, 'unit', unit, 'quantity', trim_scale(quantity)::text,
          'estimated', trim_scale(estimated)::text, 'seizures', seizures)
          ORDER BY category COLLATE "C", unit COLLATE "C"), '[]') FROM per_category) AS quantities,
      (SELECT coalesce(json_agg(json_build_object('unit', unit, 'quantity', trim_scale(quantity)::text,
          'estimated', trim_scale(estimated)::text) ORDER BY unit COLLATE "C"), '[]') FROM per_unit) AS totals`.execute(
    tx,
  )
  const [row] = rows
  if (!row) throw new Error('a SELECT without FROM has one row')
  return row
}

interface SpanRow {
  readonly message: string
  readonly thread: string
  readonly country: string
  readonly from: string
  readonly until: string | null
  readonly category: string | null
  readonly unit: string | null
  readonly steps: string | null
  readonly estimated: boolean | null
}

/**
 * Answers from which day to which day each version of a seizure counted, with its goods, up to the
 * end of yesterday in the operation's time zone. A version that came and went within one day is
 * left out. `asAt` is the last entry of that day, -1 if there is none.
 */
export async function spansAtDayEnd(
  tx: Tx,
  operation: string,
  timeZone: string,
  now: Date,
): Promise<{ asAt: number; spans: Span[] }> {
  const today = sql`(${now}::timestamptz AT TIME ZONE ${timeZone})::date`
  const dayOf = (entry: string) => sql`(${sql.ref(entry)} AT TIME ZONE ${timeZone})::date`
  const { rows: ends } = await sql<{ index: number }>`
    SELECT index FROM log_entry WHERE log_id = ${operation} AND at < (${today}::timestamp AT TIME ZONE ${timeZone})
    ORDER BY index DESC LIMIT 1`.execute(tx)
  const asAt = ends[0]?.index ?? -1
  const { rows } = await sql<SpanRow>`
    WITH unit AS (${unitTable()}),
    version AS (SELECT * FROM (${versions(operation)}) AS v WHERE log_index <= ${asAt}),
    withdrawn AS (SELECT stands_for, min(log_index) AS log_index FROM version WHERE refers_as = 'withdrawal' GROUP BY stands_for),
    span AS (
      SELECT v.id, v.thread_id, v.form, v.log_index,
        least(lead(v.log_index) OVER (PARTITION BY v.stands_for ORDER BY v.log_index), w.log_index) AS until_index
      FROM version v LEFT JOIN withdrawn w USING (stands_for)
      WHERE v.refers_as IS DISTINCT FROM 'withdrawal' AND (w.log_index IS NULL OR v.log_index < w.log_index)
    ),
    dated AS (
      SELECT s.id, s.thread_id, s.log_index, ${dayOf('began.at')} AS from_day, ${dayOf('ended.at')} AS until_day
      FROM span s
      JOIN log_entry began ON began.log_id = ${operation} AND began.index = s.log_index
      LEFT JOIN log_entry ended ON ended.log_id = ${operation} AND ended.index = s.until_index
      WHERE s.form = 'seizure'
    )
    SELECT d.id AS message, d.thread_id AS thread, e.content::jsonb ->> 'country' AS country,
      d.from_day AS "from", d.until_day AS until, g.category, g.unit, g.steps, g.estimated
    FROM dated d JOIN extract e ON e.operation_id = ${operation} AND e.message_id = d.id
    LEFT JOIN LATERAL (
      SELECT item ->> 'category' AS category, u.base AS unit, (${inBase} * 10::numeric ^ ${figurePlaces})::numeric(60, 0)::text AS steps,
        ${isEstimate} AS estimated
      FROM (SELECT 1) AS one ${goods}
    ) AS g ON true
    WHERE (d.until_day IS NULL OR d.until_day > d.from_day) AND ${foundNothing} IS NOT TRUE
    ORDER BY d.log_index`.execute(tx)
  const spans = new Map<string, Span & { goods: Span['goods'][number][] }>()
  for (const { message, thread, country, from, until, category, unit, steps, estimated } of rows) {
    const span = spans.get(message) ?? { message, thread, country, from, until, goods: [] }
    spans.set(message, span)
    if (category === null || unit === null || steps === null) continue
    span.goods.push({
      category,
      unit: unit as Span['goods'][number]['unit'],
      quantity: BigInt(steps),
      estimated: estimated === true,
    })
  }
  return { asAt, spans: [...spans.values()] }
}
