import { isKind, type Kind } from '../protocol/index.ts'

/**
 * The reasons why a route or a frame may record no entry. The list is closed: a developer who wants
 * another reason argues for it here.
 */
export const reasonsForNothing = [
  'it shows nothing about any person',
  'it shows hashes alone',
  'it proves what the caller holds already',
  'it shows the caller what is their own',
  'it shows members who and what their operation consists of',
  'it shows keys that are sealed to the caller',
  'it shows a sender who has their message',
  'it tells which of the caller’s own ids exist',
  'it prepares what is recorded when it is used',
  'it opens a channel whose frames are recorded one by one',
  'it ends what was recorded when it began',
] as const

/**
 * The kinds of entries that a route or a frame may record when it is accepted, or the reason why it
 * records none. A refusal is always recorded as `access.refused`.
 */
export type RecordDuty = readonly [Kind, ...Kind[]] | `nothing: ${(typeof reasonsForNothing)[number]}`

export function isDuty(value: unknown): value is RecordDuty {
  if (Array.isArray(value)) return value.length > 0 && value.every(isKind)
  return reasonsForNothing.some((reason) => value === `nothing: ${reason}`)
}
