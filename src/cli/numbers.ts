import { CommandFailure, exitCodes } from './failures.ts'

/** Reads a count, a whole number from 1, that somebody gave for an option. CommandFailure. */
export function countOf(option: string, text: string): number {
  if (/^[0-9]{1,15}$/.test(text) && Number(text) > 0) return Number(text)
  throw new CommandFailure(`${option} is a whole number from 1, such as 40.`, exitCodes.usage)
}

/** Reads a number above 0 and up to `most`, with a point if need be. CommandFailure. */
export function numberUpTo(option: string, text: string, most: number): number {
  const number = /^[0-9]{1,15}(\.[0-9]{1,15})?$/.test(text) ? Number(text) : 0
  if (number > 0 && number <= most) return number
  throw new CommandFailure(`${option} is a number above 0 and up to ${String(most)}.`, exitCodes.usage)
}
