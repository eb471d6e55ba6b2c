import type { CryptoKey } from 'jose'
import { transaction, type Database } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { importVerifyKey, type DeviceId } from '../protocol/index.ts'
import { keysOf } from './sessions.ts'
import { findDevice } from './store.ts'

const mostCachedKeys = 10_000

/**
 * Keeps imported public signing keys by device. The id of a device is the thumbprint of its key, so
 * a kept key is always the right one.
 */
export class VerifyKeyCache {
  readonly #db: Database
  readonly #keys = new Map<DeviceId, CryptoKey>()

  constructor(db: Database) {
    this.#db = db
  }

  async of(device: DeviceId): Promise<CryptoKey> {
    const known = this.#keys.get(device)
    if (known) return known
    const row = await transaction(this.#db, (tx) => findDevice(tx, device))
    if (!row) throw new Problem('DEVICE_NOT_CERTIFIED')
    const key = await importVerifyKey(keysOf(row).sign)
    if (this.#keys.size >= mostCachedKeys) this.#keys.clear()
    this.#keys.set(device, key)
    return key
  }
}
