import { mostClockDifferenceMs } from './certificate.ts'
import { demand } from './errors.ts'

/**
 * Demands that the times of a log never decrease (docs/log.md). A reader of entries calls it for
 * each entry, whether it reads all of them or some. Throws `ProtocolError` LEAF_TIME where an entry
 * is dated before an earlier one. Timestamps are compared as texts.
 */
export function requireNoEarlier(before: string | undefined, leaf: { readonly at: string }): void {
  demand(before === undefined || leaf.at >= before, 'LEAF_TIME', 'It is dated before an entry that precedes it.')
}

const hourMs = 3600_000

/**
 * Whether the time by which a message asks for replies lies ahead of the time at which it was sent:
 * nobody can answer by a time that has passed. The writer and the service ask this. A reader does
 * not, because a message of an earlier version may be in a log.
 */
export function isAhead(replyBy: Date, sentAt: Date): boolean {
  return replyBy.getTime() > sentAt.getTime()
}

/**
 * Whether the time of an entry does not fit the sending time of its message: `early` where it is
 * before it by more than two clocks may differ, `late` where it is more than an hour after it;
 * undefined otherwise.
 */
export function strangeTime(at: string, sentAt: string): 'early' | 'late' | undefined {
  const after = Date.parse(at) - Date.parse(sentAt)
  if (after < -mostClockDifferenceMs) return 'early'
  return after > hourMs ? 'late' : undefined
}
