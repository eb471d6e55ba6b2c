import { ProtocolError } from '../protocol/index.ts'
import type { SessionContext } from './session-context.ts'
import { isProblem } from './problem.ts'

/**
 * The `ProtocolError` for an error that was thrown while something of the service was read. A deep
 * nesting, a text where a list belongs, a key that no library takes: each fails with another error,
 * and each is a reason not to believe what the service sent.
 */
export function asProtocolError(error: unknown): ProtocolError {
  if (error instanceof ProtocolError) return error
  const why = error instanceof Error ? error.message : String(error)
  return new ProtocolError('UNREADABLE', `This cannot be read: ${why}`, { cause: error })
}

/**
 * Runs work for which no caller waits. A refusal is ignored, because the work is tried again at its
 * next occasion; any other error becomes an alarm UNEXPECTED.
 */
export function inBackground(work: Promise<unknown>, context: Pick<SessionContext, 'alarm'>): void {
  work.catch((error: unknown) => {
    if (!isProblem(error)) context.alarm({ code: 'UNEXPECTED', detail: asProtocolError(error).message })
  })
}
