import type { Alarm, SessionContext } from './session-context.ts'
import type { Change } from './store.ts'

/**
 * An entry or a message that this device does not believe or cannot open, and why. Plain JSON, for
 * the store.
 */
export interface SetAsideItem extends Alarm {
  readonly code: 'ENTRY_REFUSED' | 'MESSAGE_REFUSED'
  readonly index: number
  /** The kind of the entry, where it is no message. */
  readonly kind?: string
}

/**
 * The entries and messages that were set aside, by index. A reader sees them for as long as the log
 * has them.
 */
export class SetAsideItems {
  readonly #context: Pick<SessionContext, 'store' | 'prefix' | 'alarm'>
  readonly #write: (change: Change) => void
  readonly #all = new Map<number, SetAsideItem>()

  /** `write` takes a change that is to be stored with the next position. */
  constructor(context: Pick<SessionContext, 'store' | 'prefix' | 'alarm'>, write: (change: Change) => void) {
    this.#context = context
    this.#write = write
  }

  async load(): Promise<void> {
    for (const [, value] of await this.#context.store.list(`${this.#context.prefix}aside/`))
      this.#all.set((value as SetAsideItem).index, value as SetAsideItem)
  }

  /** The items in the order of the log. */
  list(): SetAsideItem[] {
    return [...this.#all.values()].sort((a, b) => a.index - b.index)
  }

  /** Sets an entry aside and raises an alarm, unless it was set aside for that reason before. */
  put(aside: SetAsideItem): void {
    const { index, code, reason } = aside
    const known = this.#all.get(index)
    if (known?.code === code && known.reason === reason) return
    this.#all.set(index, aside)
    this.#write({ name: this.#name(index), value: aside })
    this.#context.alarm(aside)
  }

  /** Drops an item, because this device believes its entry after all. */
  drop(index: number): void {
    if (this.#all.delete(index)) this.#write({ name: this.#name(index) })
  }

  /** Drops all items but these: the log was read again from its beginning. */
  keepOnly(indexes: ReadonlySet<number>): void {
    for (const index of this.#all.keys()) if (!indexes.has(index)) this.drop(index)
  }

  #name(index: number): string {
    return `${this.#context.prefix}aside/${String(index).padStart(12, '0')}`
  }
}
