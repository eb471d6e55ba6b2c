import { ProtocolError } from '../protocol/index.ts'

/**
 * What went wrong where something that the service sent was read: whatever it was, it is a reason not to believe that one
 * thing. A deep nesting, a text where a list belongs, a key that no library takes: each fails in its own way.
 */
export function asProtocolError(error: unknown): ProtocolError {
  if (error instanceof ProtocolError) return error
  const why = error instanceof Error ? error.message : String(error)
  return new ProtocolError('UNREADABLE', `This cannot be read: ${why}`, { cause: error })
}
