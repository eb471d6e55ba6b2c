import { mostClockDifferenceMs } from './certificate.ts'
import { demand } from './errors.ts'

/**
 * Times in a log never decrease (docs/log.md). Whoever reads entries in their order, all of them or
 * some, demands it of each. `ProtocolError` LEAF_TIME where one is dated before another that
 * precedes it. Timestamps of one form compare as texts.
 */
export function requireNoEarlier(before: string | undefined, leaf: { readonly at: string }): void {
  demand(before === undefined || leaf.at >= before, 'LEAF_TIME', 'It is dated before an entry that precedes it.')
}

const hourMs = 3600_000

/**
 * What is strange about when a message was entered, beside when its sender says that it was sent:
 * `early` where that is more than two clocks may differ before, `late` where it is more than an
 * hour after; undefined where nothing is.
 */
export function strangeTime(at: string, sentAt: string): 'early' | 'late' | undefined {
  const after = Date.parse(at) - Date.parse(sentAt)
  if (after < -mostClockDifferenceMs) return 'early'
  return after > hourMs ? 'late' : undefined
}
