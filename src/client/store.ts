/**
 * Puts a value under a name, or removes the name where no value is given. Values are plain JSON.
 */
export interface Change {
  readonly name: string
  readonly value?: unknown
}

/**
 * The store of a device: its keys, its session, what it has verified, and what it has not sent yet.
 * Names are paths. Values are plain JSON, and the caller does not change them later. One process
 * uses a store at a time.
 */
export interface ClientStore {
  /**
   * Whether the store holds key objects, so that a session key need not be exported; `write` then
   * takes a `CryptoKey`.
   */
  readonly holdsKeys: boolean
  get(name: string): Promise<unknown>
  /** All names with this prefix, with their values, in the order of the names. */
  list(prefix: string): Promise<[name: string, value: unknown][]>
  /** Writes all of these changes or none. Once it resolves, they survive the end of the process. */
  write(changes: readonly Change[]): Promise<void>
  /**
   * Whether this is the passphrase of the store itself, which must not be the one to sign in with.
   */
  isOwnPassphrase?(passphrase: string): Promise<boolean>
  close(): Promise<void>
}

/** A store in memory, which ends with its process. */
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
