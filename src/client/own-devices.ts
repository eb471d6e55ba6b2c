import type { Certificate, DeviceId, Leaf, PersonId } from '../protocol/index.ts'

/**
 * The devices of this person as the log showed them, also those whose certificate has ended: a
 * renewal then is no new device.
 */
export class OwnDevices {
  readonly #person: PersonId
  readonly #known = new Map<DeviceId, Certificate>()

  constructor(person: PersonId) {
    this.#person = person
  }

  /**
   * Takes an entry after the view has applied it. Answers the certificate of a device that the log
   * had not shown before.
   */
  take({ kind, subject }: Leaf, devices: ReadonlyMap<DeviceId, Certificate>): Certificate | undefined {
    const device = subject as DeviceId
    if (kind === 'device.revoked') this.#known.delete(device)
    const certificate = kind === 'device.certified' ? devices.get(device) : undefined
    if (certificate?.person !== this.#person) return undefined
    const before = this.#known.get(device)
    this.#known.set(device, certificate)
    return before?.keys.seal.pub === certificate.keys.seal.pub ? undefined : certificate
  }
}
