/**
 * Typed events: `on` calls a listener, `each` iterates over all events. A listener that throws does
 * not keep an event from the other listeners.
 */
export class Events<M extends object> {
  readonly #listeners = new Map<keyof M, Set<(value: never) => void>>()
  readonly #all = new Set<(type: keyof M, value: unknown) => void>()
  #failed: ((error: unknown) => void) | undefined

  /**
   * Calls the listener for each event of this type. Answers a function that removes the listener.
   */
  on<K extends keyof M>(type: K, listener: (value: M[K]) => void): () => void {
    const listeners = this.#listeners.get(type) ?? new Set()
    listeners.add(listener)
    this.#listeners.set(type, listeners)
    return () => void listeners.delete(listener)
  }

  /** Resolves with the next event of this type that `fits`. */
  once<K extends keyof M>(type: K, fits: (value: M[K]) => boolean = () => true): Promise<M[K]> {
    return new Promise((resolve) => {
      const off = this.on(type, (value) => {
        if (!fits(value)) return
        off()
        resolve(value)
      })
    })
  }

  /** Sets the receiver of the errors that listeners throw. Without it they are dropped. */
  onError(report: (error: unknown) => void): void {
    this.#failed = report
  }

  emit<K extends keyof M>(type: K, value: M[K]): void {
    for (const listener of this.#listeners.get(type) ?? []) {
      try {
        ;(listener as (value: M[K]) => void)(value)
      } catch (error) {
        this.#failed?.(error)
      }
    }
    for (const listener of this.#all) listener(type, value)
  }

  /**
   * All events from now on, in their order, until the caller leaves the loop. Events that the
   * caller has not taken yet are kept.
   */
  async *each(): AsyncGenerator<{ [K in keyof M]: { type: K; value: M[K] } }[keyof M], void, void> {
    type Event = { [K in keyof M]: { type: K; value: M[K] } }[keyof M]
    const waiting: Event[] = []
    let wake: (() => void) | undefined
    const listener = (type: keyof M, value: unknown) => {
      waiting.push({ type, value } as Event)
      wake?.()
    }
    this.#all.add(listener)
    try {
      for (;;) {
        const next = waiting.shift()
        if (next) yield next
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    } finally {
      this.#all.delete(listener)
    }
  }
}
