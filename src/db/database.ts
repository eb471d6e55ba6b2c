import { Kysely, type Transaction, type TransactionSettings } from 'kysely'
import pg from 'pg'
import { toDatabaseProblem } from './failures.ts'
import { PipeliningClient, PipeliningDialect, runTransaction } from './pipeline.ts'
import type { DB } from './tables.ts'
import { valueTypes } from './values.ts'

/**
 * A transaction. The type is nominal: where a function takes a Tx, the compiler refuses the pool.
 */
export type Tx = Transaction<DB>

export interface Database {
  readonly kysely: Kysely<DB>
  readonly pool: pg.Pool
  readonly connectionString: string
  /** Runs work in one transaction, whose failures come as they are. */
  run<T>(settings: TransactionSettings, work: (tx: Tx) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface DatabaseOptions {
  readonly connectionString: string
  /**
   * Called when an idle connection ends; the pool replaces the connection. Without a listener the
   * process would die.
   */
  readonly onError: (error: Error) => void
  /** The largest number of connections at once; 10 unless given. */
  readonly connections?: number
  /** Milliseconds to wait for a connection; 5,000 unless given. */
  readonly connectTimeoutMs?: number
  /** Milliseconds that a statement may run; 30,000 unless given; 0 for no limit. */
  readonly statementTimeoutMs?: number
  readonly applicationName?: string
}

/**
 * Opens a pool. It connects to nothing yet: `requireServable` tells whether the database can be
 * used.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const pool = new pg.Pool({
    Client: PipeliningClient,
    connectionString: options.connectionString,
    max: options.connections ?? 10,
    connectionTimeoutMillis: options.connectTimeoutMs ?? 5_000,
    idleTimeoutMillis: 30_000,
    statement_timeout: options.statementTimeoutMs ?? 30_000,
    idle_in_transaction_session_timeout: 60_000,
    application_name: options.applicationName ?? 'cordon',
    keepAlive: true,
    types: valueTypes,
  })
  pool.on('error', options.onError)
  // The pool listens only while a connection is idle. An error of a connection that a transaction
  // holds between two statements would end the process; the next statement fails anyway and tells
  // the transaction.
  pool.on('connect', (client) => client.on('error', () => {}))
  return databaseOn(pool, options.connectionString)
}

/** The database behind a pool of connections that pipeline. */
export function databaseOn(pool: pg.Pool, connectionString: string): Database {
  const dialect = new PipeliningDialect({ pool })
  const kysely = new Kysely<DB>({ dialect })
  return {
    kysely,
    pool,
    connectionString,
    run: (settings, work) => runTransaction(kysely, dialect, settings, work),
    close: () => kysely.destroy(),
  }
}

export const readCommitted: TransactionSettings = { isolationLevel: 'read committed' }
const reads: TransactionSettings = { isolationLevel: 'read committed', accessMode: 'read only' }
const oneSnapshot: TransactionSettings = { isolationLevel: 'repeatable read', accessMode: 'read only' }

/**
 * Runs one use case in one READ COMMITTED transaction. A database that is away becomes Problem
 * DATABASE_UNAVAILABLE; where the answer to a COMMIT was lost, it is unknown whether the commit
 * took place, so the caller repeats with the id that it had.
 */
export function transaction<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  return withProblems(db.run(readCommitted, work))
}

/** Runs work that only reads, in one READ COMMITTED transaction, for whose end nobody waits. */
export function reading<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  return withProblems(db.run(reads, work))
}

/**
 * Reads in one snapshot: all statements see the rows as they were at one moment, whatever other
 * transactions commit meanwhile.
 */
export function readSnapshot<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  return withProblems(db.run(oneSnapshot, work))
}

/** Turns failures of the database into Problems. */
async function withProblems<T>(outcome: Promise<T>): Promise<T> {
  try {
    return await outcome
  } catch (error) {
    throw toDatabaseProblem(error)
  }
}

/** Names a database for people: role, host and database, never the password. */
export function describeConnection(connectionString: string): string {
  try {
    const url = new URL(connectionString)
    const host = url.searchParams.get('host') ?? url.hostname
    const port = url.searchParams.get('port') ?? (url.port || '5432')
    const role = url.username === '' ? '' : ` as ${decodeURIComponent(url.username)}`
    return `the database ${decodeURIComponent(url.pathname.slice(1))} at ${host}:${port}${role}`
  } catch {
    return 'the database of DATABASE_URL'
  }
}
