import { Problem } from '../errors.ts'

const socketCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
])

// 57P0x: the server stops, crashed or is starting; 53300: no connection is left; 25006: the primary
// became a standby.
const serverCodes = /^(08...|57P0[1-5]|53300|25006)$/

const poolSentences =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed|Cannot use a pool after calling end|Connection ended unexpectedly)/

interface CodedError {
  code?: unknown
  syscall?: unknown
  message?: unknown
  errors?: unknown
  cause?: unknown
}

/** Answers the SQLSTATE or system code of an error; undefined where it has none. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as CodedError | null | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

/**
 * Answers whether an error comes from the database or the way to it, and not from the statement: a
 * repeated statement may then succeed.
 */
export function isConnectionError(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false
  const { syscall, message, errors } = error as CodedError
  const code = errorCode(error)
  if (code !== undefined && (socketCodes.has(code) || serverCodes.test(code))) return true
  // A Unix socket does not exist while Postgres restarts.
  if (code === 'ENOENT' && syscall === 'connect') return true
  if (Array.isArray(errors) && errors.some(isConnectionError)) return true
  if (isPlanOutdated(error)) return true
  return typeof message === 'string' && poolSentences.test(message)
}

/**
 * Answers whether a table has changed since the connection prepared this statement: a migration ran
 * beside this process. Another connection prepares it anew.
 */
export function isPlanOutdated(error: unknown): boolean {
  return errorCode(error) === '0A000' && (error as Error).message.includes('cached plan must not change result type')
}

/** Answers whether a statement failed only because one before it in its transaction did. */
export function isAborted(error: unknown): boolean {
  return errorCode(error) === '25P02'
}

/**
 * Answers whether Postgres asks for the transaction to be run again: deadlock or serialization
 * failure.
 */
export function isRetryable(error: unknown): boolean {
  const code = errorCode(error)
  return code === '40001' || code === '40P01'
}

/**
 * Answers the named constraint that a statement violated, for a store to map to a code; undefined
 * where it violated none.
 */
export function violatedConstraint(error: unknown): string | undefined {
  if (!errorCode(error)?.startsWith('23')) return undefined
  const constraint = (error as { constraint?: unknown }).constraint
  return typeof constraint === 'string' ? constraint : undefined
}

/** Turns a failure of the database itself into a Problem; answers every other error unchanged. */
export function toDatabaseProblem(error: unknown): unknown {
  if (error instanceof Problem) return error
  if (isConnectionError(error)) return new Problem('DATABASE_UNAVAILABLE', { cause: error })
  if (errorCode(error) === '53100') return new Problem('STORAGE_FULL', { cause: error })
  return error
}
