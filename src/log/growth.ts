import type { CommittedEntry } from './act.ts'

/** Hears that a log has grown to this size, by these entries. It must not wait. */
export type HearGrowth = (log: string, size: number, entries: readonly CommittedEntry[]) => void

/**
 * Tells the followers of logs, after the commit, that a log has grown. The log knows none of them:
 * they belong to rungs above.
 */
export class GrowthBroadcast {
  readonly #followers: HearGrowth[] = []

  follow(follower: HearGrowth): void {
    this.#followers.push(follower)
  }

  readonly tell: HearGrowth = (log, size, entries) => {
    for (const follower of this.#followers) follower(log, size, entries)
  }
}
