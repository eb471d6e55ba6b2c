import { isDay } from '../forms/index.ts'
import { CommandFailure, exitCodes } from './failures.ts'

const written = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2}))?)?(Z|[+-]\d{2}:\d{2})?$/

/**
 * The instant of a day, or of a day and a time, in a time zone; an offset in the text counts before
 * the zone. With `end`, a day means its end. Throws CommandFailure that names `option`.
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
  // The offset may differ before and after a change of clocks: the offset at the instant itself
  // counts.
  const near = local - offsetAt(local, timeZone)
  return new Date(local - offsetAt(near, timeZone)).toISOString()
}

function offsetAt(instant: number, timeZone: string): number {
  return Date.parse(`${localTime(timeZone)(new Date(instant).toISOString()).replace(' ', 'T')}Z`) - instant
}

/** Formats instants in a time zone, to the second: 2026-03-31 14:30:00. */
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
