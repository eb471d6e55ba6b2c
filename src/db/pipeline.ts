import {
  PostgresDialect,
  PostgresDriver,
  Transaction,
  type Driver,
  type Kysely,
  type PostgresDialectConfig,
  type TransactionSettings,
} from 'kysely'
import pg from 'pg'
import { isAborted, isPlanOutdated } from './failures.ts'

/** A text that is used so often is worth a plan that the connection keeps. */
const usesBeforePreparing = 3
/** The most texts with a name, and the most whose uses are counted. */
const mostPrepared = 500
const mostCounted = 5_000
/** A longer text is an insertion of many rows, whose number is rarely the same. */
const longestPreparedCharacters = 2_000

const names = new Map<string, string>()
const uses = new Map<string, number>()

/** Answers the name under which a statement is prepared; undefined for one that is not. */
function preparedName(text: string): string | undefined {
  const known = names.get(text)
  if (known !== undefined) return known
  if (text.length > longestPreparedCharacters || names.size >= mostPrepared) return undefined
  const count = (uses.get(text) ?? 0) + 1
  if (count < usesBeforePreparing) {
    if (uses.size >= mostCounted) uses.clear()
    uses.set(text, count)
    return undefined
  }
  uses.delete(text)
  const name = `cordon_${names.size}`
  names.set(text, name)
  return name
}

/**
 * A connection that sends a statement without waiting for the answers of those before it (the
 * pipeline of the protocol of Postgres, 55.2.4), writes all statements of one turn at once, and has
 * Postgres plan a frequent statement once. Postgres runs them in their order, and once one has
 * failed, those after it in its transaction fail too.
 */
export class PipeliningClient extends pg.Client {
  #corked = false

  constructor(config?: pg.ClientConfig) {
    super({ ...config, pipeline: true })
  }

  override query: pg.Client['query'] = ((...args: unknown[]): unknown => {
    this.#cork()
    const [text, values, ...rest] = args
    const send = super.query.bind(this) as (...args: unknown[]) => unknown
    const name = typeof text === 'string' && Array.isArray(values) && values.length > 0 ? preparedName(text) : undefined
    if (name === undefined) return send(...args)
    const answer = send({ name, text, values }, undefined, ...rest) as Promise<unknown>
    return answer.catch((error: unknown) => {
      // The pool does not give this connection to anybody again.
      if (isPlanOutdated(error)) void this.end()
      throw error
    })
  }) as pg.Client['query']

  #cork(): void {
    if (this.#corked) return
    const { stream } = (this as unknown as { connection: { stream: { cork(): void; uncork(): void } } }).connection
    this.#corked = true
    stream.cork()
    process.nextTick(() => {
      this.#corked = false
      stream.uncork()
    })
  }
}

/** Kysely over connections of this kind. */
export class PipeliningDialect extends PostgresDialect {
  readonly driver: Driver

  constructor(config: PostgresDialectConfig) {
    super(config)
    this.driver = new PostgresDriver(config)
  }

  override createDriver(): Driver {
    return this.driver
  }
}

/**
 * Runs work in one transaction. Statements that the work sends without waiting share one round
 * trip, in the order of their sending: Kysely's own transactions send a statement only once the one
 * before it is answered. Nobody waits for the answer to BEGIN, which comes before that to any
 * statement, nor for the end of a transaction that only read.
 *
 * The work waits for all its statements before it ends: what it sent later would be outside of the
 * transaction.
 */
export async function runTransaction<DB, T>(
  kysely: Kysely<DB>,
  dialect: PipeliningDialect,
  settings: TransactionSettings,
  work: (tx: Transaction<DB>) => Promise<T>,
): Promise<T> {
  const executor = kysely.getExecutor()
  const { driver } = dialect
  return executor.provideConnection(async (connection) => {
    let over = false
    let firstFailure: unknown
    const tx = new Transaction<DB>({
      config: { dialect },
      dialect,
      driver,
      executor: executor.withConnectionProvider({
        provideConnection(consumer) {
          if (over) throw new Error('a statement was sent after the end of its transaction')
          const answer = consumer(connection)
          answer.catch((error: unknown) => (firstFailure ??= error))
          return answer
        },
      }),
    })
    const begun = driver.beginTransaction(connection, settings)
    begun.catch(() => {})
    try {
      const result = await work(tx)
      await begun
      over = true
      const ended = driver.commitTransaction(connection)
      // Where this fails, the connection has failed: so does its next statement.
      if (settings.accessMode === 'read only') ended.catch(() => {})
      else await ended
      return result
    } catch (error) {
      over = true
      // Where this fails, the driver does not use the connection again.
      await driver.rollbackTransaction(connection).catch(() => {})
      // Of statements that were sent at once, one that failed because of another may be heard
      // first.
      throw isAborted(error) ? (firstFailure ?? error) : error
    }
  })
}
