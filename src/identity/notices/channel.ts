/** One notice as it goes out: plain text that says that something waits, never what. */
export interface Letter {
  /**
   * The id of this letter alone, whichever server sends it: a mailbox recognises a letter that had
   * to go out twice.
   */
  readonly id: string
  readonly to: string
  readonly at: Date
  readonly subject: string
  readonly text: string
}

/** A way on which notices reach people. */
export interface NoticeChannel {
  /**
   * Resolves with `delivered` once a server has taken the letter over, with `refused` where no
   * server ever will: the address does not exist. Throws where a later attempt may succeed. Neither
   * result names the address.
   */
  deliver(letter: Letter): Promise<'delivered' | 'refused'>
  /** Breaks off deliveries that are under way. */
  close(): void
}
