import { may } from '../access.ts'
import {
  contentKeyId,
  sealGrant,
  type Certificate,
  type CompartmentId,
  type DeviceId,
  type GrantRequest,
  type GrantToGive,
  type PersonId,
} from '../protocol/index.ts'
import { mayUse } from './account.ts'
import { inBackground } from './failures.ts'
import type { SessionContext } from './session-context.ts'
import { randomBelow } from './platform.ts'
import { isProblem } from './problem.ts'

/** The most grants that one request takes. */
const mostGrantsPerRequest = 200
const longestDelayMs = 400

/**
 * Gives keys of earlier epochs to devices that may have them. It checks each device with the
 * members that this device has verified: the service only says which device asks.
 */
export class GrantGiver {
  readonly #context: SessionContext
  readonly #given = new Set<string>()
  #heard = 0

  constructor(context: SessionContext) {
    this.#context = context
  }

  /** Counts a grant that another member gave in this operation. */
  heard(): void {
    this.#heard++
  }

  /**
   * Answers requests that the service pushed. It waits for a random time first, so that not every
   * client answers, and then gives the grants that are still missing.
   */
  answer(requests: readonly GrantRequest[]): void {
    const { platform } = this.#context
    const heard = this.#heard
    platform.after(1 + randomBelow(platform, longestDelayMs), () => {
      const rest = this.#heard === heard ? Promise.resolve(requests) : this.#wanted()
      // The next catch-up asks again for the requests that this device could not answer.
      inBackground(
        rest.then((wanted) => this.give(wanted)),
        this.#context,
      )
    })
  }

  /** Fetches the requests that wait, and answers them. Answers how many grants it gave. */
  async giveWaiting(): Promise<number> {
    return this.give(await this.#wanted())
  }

  /** Fetches the grants for this device. */
  async fetchOwn(): Promise<readonly { compartment: string; epoch: number; grant: string }[]> {
    const { transport, operation } = this.#context
    type Answer = { grants: { compartment: string; epoch: number; grant: string }[] }
    return (await transport.request<Answer>('GET', `/v1/operations/${operation}/grants`)).grants
  }

  async #wanted(): Promise<readonly GrantRequest[]> {
    if (!this.#mayGive()) return []
    const path = `/v1/operations/${this.#context.operation}/grant-requests`
    return (await this.#context.transport.request<{ requests: GrantRequest[] }>('GET', path)).requests
  }

  #mayGive(): boolean {
    const { view } = this.#context.ledger()
    return mayUse(this.#context.self(), view, 'grant.give')
  }

  async give(requests: readonly GrantRequest[]): Promise<number> {
    if (!this.#mayGive()) return 0
    const { operation, transport } = this.#context
    let given = 0
    for (const { compartment, device, epochs } of requests) {
      const grants = await this.#grantsFor(compartment as CompartmentId, device as DeviceId, epochs)
      for (let at = 0; at < grants.length; at += mostGrantsPerRequest) {
        const part = grants.slice(at, at + mostGrantsPerRequest)
        try {
          await transport.request('POST', `/v1/operations/${operation}/grants`, { compartment, grants: part })
          given += part.length
        } catch (error) {
          // The members have changed between the request and the grant. A device that may still
          // have the key asks again.
          if (!isProblem(error, 'GRANT_REFUSED', 'NOT_FOUND', 'FORBIDDEN', 'OPERATION_STATE')) throw error
          for (const { epoch } of part) this.#given.delete(`${device} ${contentKeyId(compartment, epoch)}`)
        }
      }
    }
    return given
  }

  async #grantsFor(compartment: CompartmentId, device: DeviceId, epochs: readonly number[]): Promise<GrantToGive[]> {
    const { keyring } = this.#context
    const grants: GrantToGive[] = []
    for (const number of new Set(epochs)) {
      const certificate = this.#entitled(compartment, device, number)
      const key = keyring.find(compartment, number)
      const once = `${device} ${contentKeyId(compartment, number)}`
      if (!certificate || !key || this.#given.has(once)) continue
      // Marked before anything is awaited: two calls at one time would both give it.
      this.#given.add(once)
      if (!(await this.#isProven(certificate).catch((error: unknown) => this.#forget(once, error)))) {
        this.#given.delete(once)
        continue
      }
      const to = { device, seal: certificate.keys.seal }
      grants.push({ device, epoch: number, grant: await sealGrant(to, compartment, number, key.bytes) })
    }
    return grants
  }

  /**
   * Whether the directory log holds this device. A device that it does not hold gets no grant and
   * raises an alarm, and the other devices do not wait for it.
   */
  async #isProven(certificate: Certificate): Promise<boolean> {
    const hidden = await this.#context.transparency.unproven([certificate])
    if (hidden.length === 0) return true
    const detail = `The directory log does not have the device ${certificate.device}, which asks for a key: it was given none.`
    this.#context.alarm({ code: 'DEVICE_HIDDEN', detail })
    return false
  }

  #forget(once: string, error: unknown): never {
    this.#given.delete(once)
    throw error
  }

  /**
   * The certificate of a device that may have the key of this epoch: a live device of a current
   * member who may read the epoch by the rule of history. Undefined otherwise.
   */
  #entitled(compartment: CompartmentId, device: DeviceId, number: number) {
    const { view } = this.#context.ledger()
    const me = this.#context.self().account.person as PersonId
    const role = view.member(me)?.role
    const certificate = view.devices.get(device)
    const epoch = view.epoch(compartment, number)
    if (!role || !certificate || !epoch || !view.isIn(me, compartment) || !view.isRecipient(device, compartment))
      return undefined
    if (may(role, 'grant.give', view.state).role === 'self' && certificate.person !== me) return undefined
    const from = view.readsFrom(certificate.person, compartment)
    return from !== undefined && epoch.openedIndex >= from ? certificate : undefined
  }
}
