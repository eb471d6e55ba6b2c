import { CommandFailure, exitCodes } from './failures.ts'
import { instantIn } from './zones.ts'

/**
 * Reads the time since which a device is in wrong hands: a time with its offset, or a day or a time
 * in UTC. Throws CommandFailure.
 */
export function compromisedSince(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const since = new Date(instantIn('UTC', text, '--compromised-since'))
  if (since.getTime() > Date.now())
    throw new CommandFailure('A device is compromised since some time that has passed.', exitCodes.usage)
  return since
}
