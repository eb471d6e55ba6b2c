import { ProtocolError } from '../protocol/index.ts'
import type { SessionContext } from './session-context.ts'
import { isProblem } from './problem.ts'

/**
 * What went wrong where something that the service sent was read: whatever it was, it is a reason
 * not to believe that one thing. A deep nesting, a text where a list belongs, a key that no library
 * takes: each fails in its own way.
 */
export function asProtocolError(error: unknown): ProtocolError {
  if (error instanceof ProtocolError) return error
  const why = error instanceof Error ? error.message : String(error)
  return new ProtocolError('UNREADABLE', `This cannot be read: ${why}`, { cause: error })
}

/**
 * Goes on with work that nobody waits for. What the service refuses now is tried again at its next
 * occasion; whatever else goes wrong is an alarm.
 */
export function inBackground(work: Promise<unknown>, context: Pick<SessionContext, 'alarm'>): void {
  work.catch((error: unknown) => {
    if (!isProblem(error)) context.alarm({ code: 'UNEXPECTED', detail: asProtocolError(error).message })
  })
}
