import { Problem } from '../errors.ts'
import { gapWords, type LogGap } from '../protocol/index.ts'

/** The logs that one server must not continue, and why. */
export class StoppedLogs {
  readonly #lost = new Map<string, LogGap>()
  /** The directory log; undefined until the server has found it. */
  #directory: string | undefined

  knowDirectory(directory: string): void {
    this.#directory = directory
  }

  /** Notes what a log lacks. Of two findings of one log the one with more missing counts. */
  add(gap: LogGap): void {
    const known = this.#lost.get(gap.log)
    if (known === undefined || known.published < gap.published) this.#lost.set(gap.log, gap)
  }

  list(): LogGap[] {
    return [...this.#lost.values()]
  }

  /** Whether this log itself lacks entries, or holds others. */
  has(log: string): boolean {
    return this.#lost.has(log)
  }

  /**
   * Answers what keeps a log from being continued: its own gap, or that of the directory, or that
   * of any log that is behind. One log that is behind shows that the database is an older copy:
   * what is missing may have ended a session or a device, and an entry that was made now would be
   * in the way when the newest state is back.
   */
  gapOf(log: string): LogGap | undefined {
    const directory = this.#directory === undefined ? undefined : this.#lost.get(this.#directory)
    return this.#lost.get(log) ?? directory ?? this.list().find(({ missing }) => missing > 0)
  }

  /** Answers LOG_READ_ONLY, with the gap, for a log that is not continued; undefined otherwise. */
  why(log: string): Problem | undefined {
    const gap = this.gapOf(log)
    return gap && new Problem('LOG_READ_ONLY', { detail: stoppedWords(gap), ...gap })
  }

  /**
   * Whether a log that is not continued may be read. A log that is behind is an older copy, and
   * true. A log that holds other entries than were published is not shown to anybody.
   */
  isReadable(log: string): boolean {
    const gaps = [this.#lost.get(log), this.#directory === undefined ? undefined : this.#lost.get(this.#directory)]
    return gaps.every((gap) => gap === undefined || gap.missing > 0)
  }
}

/** Says in one sentence why a log is not continued. */
export function stoppedWords(gap: LogGap): string {
  return gap.missing > 0
    ? gapWords(gap)
    : `log ${gap.log} does not hold the ${String(gap.published)} entries that were published`
}
