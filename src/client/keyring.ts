import {
  ProtocolError,
  base64url,
  contentKeyId,
  fromBase64url,
  importOpeningKey,
  openGrant,
  type CompartmentId,
  type Device,
  type EpochKey,
  type EpochState,
  type OpeningKey,
} from '../protocol/index.ts'
import type { Change, ClientStore } from './store.ts'

/** An epoch key: as bytes to grant it and to seal with it, and imported to open with it. */
export interface HeldKey {
  readonly bytes: EpochKey
  readonly opening: OpeningKey
}

async function hold(bytes: EpochKey): Promise<HeldKey> {
  return { bytes, opening: await importOpeningKey(bytes) }
}

/** The epoch keys that this device holds in one operation. */
export class Keyring {
  readonly #prefix: string
  readonly #keys = new Map<string, HeldKey>()

  constructor(prefix: string) {
    this.#prefix = `${prefix}key/`
  }

  async load(store: ClientStore): Promise<void> {
    for (const [name, value] of await store.list(this.#prefix)) {
      this.#keys.set(name.slice(this.#prefix.length), await hold(fromBase64url(value as string)))
    }
  }

  find(compartment: string, epoch: number): HeldKey | undefined {
    return this.#keys.get(contentKeyId(compartment, epoch))
  }

  /**
   * Opens a grant and keeps its key, if the key has the commitment of the epoch. Answers the change
   * to store; false where the grant is bad and another one has to be requested.
   */
  async accept(device: Device, compartment: CompartmentId, epoch: EpochState, grant: string): Promise<Change | false> {
    try {
      const { number, commitment } = epoch
      const to = { device: device.id, sealKey: device.sealKey }
      const key = await openGrant(grant, to, { compartment, number, commitment })
      const id = contentKeyId(compartment, number)
      this.#keys.set(id, await hold(key))
      return { name: this.#prefix + id, value: base64url(key) }
    } catch (error) {
      if (error instanceof ProtocolError) return false
      throw error
    }
  }
}
