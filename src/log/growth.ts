/**
 * Tells those who follow logs that one of them has grown, after the commit. The log knows none of
 * them: they come from rungs above.
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
