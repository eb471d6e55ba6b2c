/** One notice as it goes out: plain text that says that something waits, never what. */
export interface Letter {
  /**
   * Of this letter, and of no other whoever sends it: a letter that had to go out twice is known
   * again by it.
   */
  readonly id: string
  readonly to: string
  readonly at: Date
  readonly subject: string
  readonly text: string
}

/** What carries notices to people. */
export interface NoticeChannel {
  /**
   * Resolves once somebody has taken the letter over, with `refused` where nobody ever will: there
   * is no such address. Throws where it may succeed later. Neither names the address.
   */
  deliver(letter: Letter): Promise<'delivered' | 'refused'>
  /** Breaks off what is under way. */
  close(): void
}
