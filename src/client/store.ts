/** Puts a value under a name, or takes the name away where there is none. Values are plain JSON. */
export interface Change {
  readonly name: string
  readonly value?: unknown
}

/**
 * What a device keeps: its keys, its session, what it has verified, what it has not yet sent. Names
 * are paths; a value is plain JSON, and whoever puts it leaves it unchanged. One process uses a
 * store at a time.
 */
export interface ClientStore {
  /**
   * Whether it holds keys as objects, so that a session key need never be exported; its `put` then
   * takes a `CryptoKey`.
   */
  readonly holdsKeys: boolean
  get(name: string): Promise<unknown>
  /** All names that begin so, with their values, in the order of the names. */
  list(prefix: string): Promise<[name: string, value: unknown][]>
  /** All of these or none; once it resolves they survive the process. */
  write(changes: readonly Change[]): Promise<void>
  /**
   * Whether this is the passphrase of the store itself, which must not be the one to sign in with.
   */
  isOwnPassphrase?(passphrase: string): Promise<boolean>
  close(): Promise<void>
}

/** A store that ends with its process. */
export class MemoryStore implements ClientStore {
  readonly holdsKeys = true
  readonly #values = new Map<string, unknown>()

  get(name: string): Promise<unknown> {
    return Promise.resolve(this.#values.get(name))
  }

  list(prefix: string): Promise<[string, unknown][]> {
    return Promise.resolve(entriesUnder(this.#values, prefix))
  }

  write(changes: readonly Change[]): Promise<void> {
    for (const { name, value } of changes) {
      if (value === undefined) this.#values.delete(name)
      else this.#values.set(name, value)
    }
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.#values.clear()
    return Promise.resolve()
  }
}

export function entriesUnder(values: ReadonlyMap<string, unknown>, prefix: string): [string, unknown][] {
  return [...values].filter(([name]) => name.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1))
}
