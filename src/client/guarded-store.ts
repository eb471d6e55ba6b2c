import { isProblem, refuse } from './problem.ts'
import type { Change, ClientStore } from './store.ts'

/**
 * A store whose failures have a name: STORE_FAILED, whatever its file or database says. Nothing is
 * taken for written that was not.
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
