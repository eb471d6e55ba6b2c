import { isInKnownYears, pastInstants } from '../protocol/index.ts'
import { isDay } from './days.ts'

/** What a written time means on the clocks of a zone. */
export interface WrittenTime {
  /** Whether it is a day without a time of the day. */
  readonly isWholeDay: boolean
  /** The first instant that it means: of a day, its first. */
  readonly first: Date
  /**
   * The last instant that it means: another one than `first` where the clocks show this time twice;
   * of a day, the first instant after it.
   */
  readonly last: Date
}

/** Why a text is no time, with the advice for who wrote it. */
export interface TimeFault {
  readonly reason: 'not-a-time' | 'not-a-date' | 'out-of-range' | 'skipped'
  readonly advice: string
}

const pattern =
  /^(?<day>\d{4}-\d{2}-\d{2})(?:[Tt ](?<hour>\d{2}):(?<minute>\d{2})(?::(?<second>\d{2})(?:\.(?<fraction>\d+))?)?(?<offset>[Zz]|[+-]\d{2}:\d{2})?)?$/
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const mostBehindMs = -12 * hourMs
const mostAheadMs = 14 * hourMs

/**
 * Reads a time that a person or a program wrote: RFC 3339 with an offset, or a day, or a day and a
 * time on the clocks of a zone (IANA). Seconds may be left out; digits below a millisecond are
 * dropped. Never throws for a text; the zone must exist.
 */
export function readTime(text: string, timeZone: string): WrittenTime | TimeFault {
  const parts = pattern.exec(text.trim())?.groups
  const { day = '', hour = '00', minute = '00', second = '00', fraction = '', offset } = parts ?? {}
  if (parts === undefined) return notATime
  if (!isDay(day)) return /^(19|20|21)/.test(day) ? notADate(day) : outOfRange
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return notOnAClock
  const [year = 0, month = 0, date = 0] = day.split('-').map(Number)
  const milliseconds = Number(fraction.padEnd(3, '0').slice(0, 3))
  const shown = Date.UTC(year, month - 1, date, Number(hour), Number(minute), Number(second), milliseconds)
  if (parts['hour'] === undefined) return wholeDay(shown, timeZone)
  if (offset !== undefined) {
    const aheadMs = offsetMs(offset)
    return aheadMs === undefined ? noOffset : within([shown - aheadMs])
  }
  const instants = instantsShowing(shown, timeZone)
  return instants.length === 0 ? skipped(shown, timeZone) : within(instants)
}

export function isTimeFault(read: WrittenTime | TimeFault): read is TimeFault {
  return 'reason' in read
}

/**
 * Writes a time as RFC 3339 with the offset of a zone. Where that offset has seconds, as before
 * 1972 in some zones, RFC 3339 cannot write it: the time is then in UTC.
 */
export function writeTime(at: Date, timeZone: string): string {
  const aheadMs = aheadAt(at.getTime(), timeZone)
  if (aheadMs % 60_000 !== 0) return at.toISOString()
  return `${new Date(at.getTime() + aheadMs).toISOString().slice(0, -1)}${offsetText(aheadMs)}`
}

/**
 * Says a time in full, with seconds where it has any: `Saturday 2026-12-05 10:00, Europe/Brussels
 * (UTC+01:00)`.
 */
export function sayTime(at: Date, timeZone: string): string {
  const aheadMs = aheadAt(at.getTime(), timeZone)
  const local = new Date(at.getTime() + aheadMs)
  const weekday = weekdays[local.getUTCDay()] ?? ''
  const characters = local.getUTCSeconds() === 0 ? 16 : 19
  return `${weekday} ${shownAs(local.getTime(), characters)}, ${timeZone} (UTC${offsetText(aheadMs)})`
}

/** Formats a time on the clocks of a zone, to the second: `2026-03-31 14:30:00`. */
export function localTime(at: Date, timeZone: string): string {
  return shownAs(at.getTime() + aheadAt(at.getTime(), timeZone), 19)
}

const weekdays = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']

const notATime: TimeFault = {
  reason: 'not-a-time',
  advice: 'Write a day or a time such as 2026-03-31, 2026-03-31 14:30 or 2026-03-31T12:30Z.',
}
const notOnAClock: TimeFault = {
  reason: 'not-a-time',
  advice: 'A clock shows the hours 00 to 23, and minutes and seconds 00 to 59: midnight is 00:00 of the next day.',
}
const noOffset: TimeFault = {
  reason: 'not-a-time',
  advice: 'No clocks of the world are so far from UTC: offsets are -12:00 to +14:00.',
}
const outOfRange: TimeFault = { reason: 'out-of-range', advice: 'Write a time of the years 1900 to 2199.' }
const notADate = (day: string): TimeFault => ({ reason: 'not-a-date', advice: `There is no day ${day}: correct it.` })

function within(instants: readonly number[]): WrittenTime | TimeFault {
  const first = new Date(Math.min(...instants))
  const last = new Date(Math.max(...instants))
  return isInKnownYears(first) && isInKnownYears(last) ? { isWholeDay: false, first, last } : outOfRange
}

/**
 * How far an offset is ahead of UTC (milliseconds); undefined where no clocks have had it since
 * 1900.
 */
function offsetMs(offset: string): number | undefined {
  if (/^z$/i.test(offset)) return 0
  const [hours = 0, minutes = 0] = offset.slice(1).split(':').map(Number)
  if (minutes > 59) return undefined
  const aheadMs = (offset.startsWith('-') ? -1 : 1) * (hours * hourMs + minutes * 60_000)
  return aheadMs >= mostBehindMs && aheadMs <= mostAheadMs ? aheadMs : undefined
}

function offsetText(aheadMs: number): string {
  const seconds = Math.abs(aheadMs) / 1_000
  const digits = (count: number) => String(Math.floor(count)).padStart(2, '0')
  const whole = `${digits(seconds / 3_600)}:${digits((seconds % 3_600) / 60)}`
  return `${aheadMs < 0 ? '-' : '+'}${whole}${seconds % 60 === 0 ? '' : `:${digits(seconds % 60)}`}`
}

const shownAs = (shown: number, characters: number) =>
  new Date(shown).toISOString().slice(0, characters).replace('T', ' ')

const formats = new Map<string, Intl.DateTimeFormat>()

function formatOf(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone)
  if (known !== undefined) return known
  const two = '2-digit'
  const format = new Intl.DateTimeFormat('en-u-ca-iso8601-nu-latn', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: two,
    day: two,
    hour: two,
    minute: two,
    second: two,
  })
  formats.set(timeZone, format)
  return format
}

/** How far the clocks of a zone are ahead of UTC at an instant (milliseconds). */
function aheadAt(instant: number, timeZone: string): number {
  const shown: Record<string, number> = {}
  for (const { type, value } of formatOf(timeZone).formatToParts(instant)) shown[type] = Number(value)
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0 } = shown
  // The clocks show whole seconds; the milliseconds of the instant are theirs as well.
  const milliseconds = ((instant % 1_000) + 1_000) % 1_000
  return Date.UTC(year, month - 1, day, hour, minute, second, milliseconds) - instant
}

/**
 * The offsets of a zone (milliseconds) within a day of a time that its clocks show. No zone changes
 * its clocks twice within six hours.
 */
function offsetsAround(shown: number, timeZone: string): number[] {
  const around = [-24, -18, -12, -6, 0, 6, 12, 18, 24]
  return [...new Set(around.map((hours) => aheadAt(shown + hours * hourMs, timeZone)))]
}

/** The instants at which the clocks of a zone show a time (milliseconds as if it were UTC). */
function instantsShowing(shown: number, timeZone: string): number[] {
  return offsetsAround(shown, timeZone)
    .map((aheadMs) => shown - aheadMs)
    .filter((instant) => instant + aheadAt(instant, timeZone) === shown)
}

function wholeDay(midnight: number, timeZone: string): WrittenTime | TimeFault {
  const first = Math.min(...instantsFrom(midnight, timeZone))
  // Where the clocks are put back over midnight, the day goes on after the next one has begun.
  const past = Math.max(...instantsFrom(midnight + dayMs, timeZone))
  if (first === past) return skipped(midnight, timeZone)
  // The last day ends in a year that is not known.
  const last = new Date(Math.min(past, pastInstants - 1))
  return isInKnownYears(new Date(first)) ? { isWholeDay: true, first: new Date(first), last } : outOfRange
}

/** The instants at which the clocks show a midnight, or the one at which they skip it. */
function instantsFrom(midnight: number, timeZone: string): number[] {
  const instants = instantsShowing(midnight, timeZone)
  return instants.length > 0 ? instants : [changeAround(midnight, timeZone)]
}

/** The instant at which the clocks of a zone are put forward over a time that they never show. */
function changeAround(shown: number, timeZone: string): number {
  const offsets = offsetsAround(shown, timeZone)
  let before = shown - Math.max(...offsets)
  let after = shown - Math.min(...offsets)
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2)
    if (middle + aheadAt(middle, timeZone) < shown) before = middle
    else after = middle
  }
  return after
}

function skipped(shown: number, timeZone: string): TimeFault {
  const change = changeAround(shown, timeZone)
  const from = shownAs(change - 1 + aheadAt(change - 1, timeZone) + 1, 16)
  const to = shownAs(change + aheadAt(change, timeZone), 16)
  const advice = `The clocks of ${timeZone} go from ${from} straight to ${to}: write a time that they show.`
  return { reason: 'skipped', advice }
}
