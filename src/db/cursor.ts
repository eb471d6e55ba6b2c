import { sql, type RawBuilder } from 'kysely'
import type { Tx } from './database.ts'

const pageRows = 500
const opened = new WeakMap<Tx, number>()

/**
 * Answers the rows of a query in its order, fetched a page at a time over a cursor of this
 * transaction: any number of rows in bounded memory. Other statements may run in between, and
 * several cursors may be open at once.
 */
export async function* inOrder<T>(tx: Tx, query: RawBuilder<T>): AsyncGenerator<T, undefined> {
  const number = (opened.get(tx) ?? 0) + 1
  opened.set(tx, number)
  const name = sql.id(`rows_${number}`)
  await sql`DECLARE ${name} NO SCROLL CURSOR FOR ${query}`.execute(tx)
  try {
    for (;;) {
      const { rows } = await sql<T>`FETCH ${sql.lit(pageRows)} FROM ${name}`.execute(tx)
      yield* rows
      if (rows.length < pageRows) return
    }
  } finally {
    // A transaction that failed has closed its cursors and refuses this statement; the error that
    // made it fail is already on its way.
    await sql`CLOSE ${name}`.execute(tx).catch(() => {})
  }
}
