import { isTimeFault, readTime, sayTime, writeTime, type WrittenTime } from '../forms/index.ts'
import { CommandFailure, exitCodes } from './failures.ts'

/**
 * The instant of a day, or of a day and a time, in a time zone; an offset in the text counts before
 * the zone. Of a day it is the first instant, and with `end` the first one after it. Of a time that
 * the clocks show twice it is the first, and with `end` the second: a range loses nothing. Throws
 * CommandFailure that names `option`.
 */
export function instantIn(timeZone: string, text: string, option: string, end = false): string {
  const { first, last } = timeIn(timeZone, text, option)
  return (end ? last : first).toISOString()
}

/**
 * The instant of a deadline that lies ahead, and the sentence that says it back.
 */
export function aheadIn(timeZone: string, text: string, option: string): { at: Date; said: string } {
  const at = deadlineIn(timeZone, text, option)
  const said = sayTime(at, timeZone)
  if (at.getTime() > Date.now()) return { at, said }
  throw new CommandFailure(`${option}: ${said} has passed. Give a time that lies ahead.`, exitCodes.usage)
}

/**
 * The one instant of a deadline: of a day its last millisecond. Throws CommandFailure for a time
 * that the clocks show twice, with the two ways of writing it.
 */
export function deadlineIn(timeZone: string, text: string, option: string): Date {
  const { isWholeDay, first, last } = timeIn(timeZone, text, option)
  if (isWholeDay) return new Date(last.getTime() - 1)
  if (first.getTime() === last.getTime()) return first
  const [one, other] = [writeTime(first, timeZone), writeTime(last, timeZone)]
  throw new CommandFailure(
    `${option}: the clocks of ${timeZone} show ${text.trim()} twice. Give ${one} or ${other}.`,
    exitCodes.usage,
  )
}

/**
 * The one instant of a moment that has passed: of a day its last millisecond, and of the day that
 * is not over the present. Throws CommandFailure for a time that lies ahead.
 */
export function momentIn(timeZone: string, text: string, option: string): Date {
  const [at, now] = [deadlineIn(timeZone, text, option), new Date()]
  if (at <= now) return at
  if (new Date(instantIn(timeZone, text, option)) <= now) return now
  const said = sayTime(at, timeZone)
  throw new CommandFailure(`${option}: ${said} lies ahead. Give a time that has passed.`, exitCodes.usage)
}

function timeIn(timeZone: string, text: string, option: string): WrittenTime {
  const time = readTime(text, timeZone)
  if (!isTimeFault(time)) return time
  throw new CommandFailure(`${option} is no time that can be used. ${time.advice}`, exitCodes.usage)
}

/** A sentence that says back the period that was understood, for the person to read. */
export function sayPeriod(timeZone: string, from: string | undefined, past: string | undefined): string {
  const said = (at: string) => sayTime(new Date(at), timeZone)
  const begin = from === undefined ? '' : ` from ${said(from)}`
  return `Understood:${begin}${past === undefined ? '' : ` up to ${said(past)}`}.`
}
