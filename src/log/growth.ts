/**
 * Tells the followers of logs, after the commit, that a log has grown. The log knows none of them:
 * they belong to rungs above.
 */
export class GrowthBroadcast {
  readonly #followers: ((log: string, size: number) => void)[] = []

  follow(follower: (log: string, size: number) => void): void {
    this.#followers.push(follower)
  }

  tell(log: string, size: number): void {
    for (const follower of this.#followers) follower(log, size)
  }
}
