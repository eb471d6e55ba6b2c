import { isDay } from '../forms/index.ts'
import { CommandFailure, exitCodes } from './failures.ts'

const written = /^\d{4}-\d{2}-\d{2}(T([01]\d|2[0-3]):\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/

/**
 * Reads the time since which a device is in wrong hands: a time with its zone, or a day in UTC.
 * Throws CommandFailure.
 */
export function compromisedSince(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined
  const since = new Date(text)
  if (!written.test(text) || !isDay(text.slice(0, 10)) || Number.isNaN(since.getTime()))
    throw new CommandFailure(
      `${JSON.stringify(text)} is no time: write it like 2026-11-20T08:00Z or 2026-11-20.`,
      exitCodes.usage,
    )
  if (since.getTime() > Date.now())
    throw new CommandFailure('A device is compromised since some time that has passed.', exitCodes.usage)
  return since
}
