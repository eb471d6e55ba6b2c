import { isProblem, refuse } from './problem.ts'
import type { Change, ClientStore } from './store.ts'

/**
 * A store whose failures have one code: an error of its file or its database becomes STORE_FAILED.
 * A write that failed never counts as written.
 */
export class GuardedStore implements ClientStore {
  readonly #inner: ClientStore

  constructor(inner: ClientStore) {
    this.#inner = inner
  }

  get holdsKeys(): boolean {
    return this.#inner.holdsKeys
  }

  get(name: string): Promise<unknown> {
    return this.#named(() => this.#inner.get(name))
  }

  list(prefix: string): Promise<[name: string, value: unknown][]> {
    return this.#named(() => this.#inner.list(prefix))
  }

  write(changes: readonly Change[]): Promise<void> {
    return this.#named(() => this.#inner.write(changes))
  }

  async isOwnPassphrase(passphrase: string): Promise<boolean> {
    return (await this.#inner.isOwnPassphrase?.(passphrase)) === true
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  async #named<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      if (isProblem(cause)) throw cause
      throw refuse('STORE_FAILED', 'The store of this device could not be read or written.', undefined, cause)
    }
  }
}
