import { isDay } from '../forms/index.ts'
import { CommandFailure, exitCodes } from './failures.ts'

const written = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?)?(Z|[+-]\d{2}:\d{2})?$/

/**
 * The instant that somebody means by a day, or by a day and a time, on the clocks of a time zone
 * unless it names an offset. The end of a day is where the next one begins.
 */
export function instantIn(timeZone: string, text: string, option: string, end = false): string {
  const [, day = '', hour, minute = '00', second = '00', offset] = written.exec(text.trim()) ?? []
  const wrong = !isDay(day) || Number(hour ?? 0) > 23 || Number(minute) > 59 || Number(second) > 59
  if (wrong || (hour === undefined && offset !== undefined))
    throw new CommandFailure(
      `${option} is a day or a time such as 2026-03-31, 2026-03-31T14:30 or 2026-03-31T12:30Z.`,
      exitCodes.usage,
    )
  if (offset !== undefined) return new Date(`${day}T${hour ?? ''}:${minute}:${second}${offset}`).toISOString()
  const local = Date.parse(`${day}T${hour ?? '00'}:${minute}:${second}Z`)
  return fromLocal(hour === undefined && end ? local + 86_400_000 : local, timeZone)
}

function fromLocal(local: number, timeZone: string): string {
  // The offset before a change of clocks may differ from the one after it: that of the instant
  // itself counts.
  const near = local - offsetAt(local, timeZone)
  return new Date(local - offsetAt(near, timeZone)).toISOString()
}

function offsetAt(instant: number, timeZone: string): number {
  return Date.parse(`${localTime(timeZone)(new Date(instant).toISOString()).replace(' ', 'T')}Z`) - instant
}

/** Instants as the clocks of a time zone show them, to the second: 2026-03-31 14:30:00. */
export function localTime(timeZone: string): (at: string) => string {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  })
  return (at) => {
    const part = Object.fromEntries(format.formatToParts(new Date(at)).map(({ type, value }) => [type, value]))
    const { year = '', month = '', day = '', hour = '', minute = '', second = '' } = part
    return `${year}-${month}-${day} ${hour}:${minute}:${second}`
  }
}
