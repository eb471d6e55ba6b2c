import {
  commitmentOf,
  makeEpochKey,
  sealGrant,
  signEpochStatement,
  timestamp,
  type Certificate,
  type CompartmentId,
  type DeviceId,
  type EpochKey,
  type EpochState,
  type PersonId,
} from '../protocol/index.ts'
import { certificateIn, mayUse } from './account.ts'
import { inBackground } from './failures.ts'
import type { SessionContext } from './session-context.ts'
import { randomBelow } from './platform.ts'
import { isProblem, refuse } from './problem.ts'

const mostAttempts = 4

export interface UsableEpoch {
  readonly epoch: EpochState
  readonly key: EpochKey
}

/**
 * Finds the key to seal with: the current key of a compartment, or the next one, which it opens
 * when it is needed. It computes the recipients from the members that this device has verified,
 * never from a list of the service.
 */
export class Epochs {
  readonly #context: SessionContext
  readonly #opening = new Map<string, Promise<void>>()

  constructor(context: SessionContext) {
    this.#context = context
  }

  #current(compartment: CompartmentId): EpochState | undefined {
    const state = this.#context.ledger().view.compartments.get(compartment)
    return state?.stale === false ? state.epochs.at(-1) : undefined
  }

  /**
   * The current epoch with its key. Opens the next epoch where there is none or the current one is
   * stale. Throws EPOCH_WAITING where this role may not open it and no other member does within a
   * minute; KEY_MISSING where no member grants the key; EPOCH_RECIPIENTS where the service demands
   * other recipients.
   */
  async require(compartment: CompartmentId): Promise<UsableEpoch> {
    try {
      return await this.#require(compartment)
    } catch (error) {
      // No honest log shows a device that the directory log does not hold. Read again, the log may
      // be right.
      if (!isProblem(error, 'DEVICE_HIDDEN')) throw error
      this.#context.readAgain()
      await this.#context.ready()
      return this.#require(compartment)
    }
  }

  async #require(compartment: CompartmentId): Promise<UsableEpoch> {
    const person = this.#context.self().account.person as PersonId
    if (!this.#context.ledger().view.isIn(person, compartment))
      throw refuse('NOT_IN_COMPARTMENT', 'You do not belong to this compartment, or it does not exist.')
    for (let attempt = 0; attempt < mostAttempts; attempt++) {
      const epoch = this.#current(compartment)
      if (!epoch) await this.#openOrWait(compartment)
      else {
        const key = this.#context.keyring.find(compartment, epoch.number)
        if (key) {
          this.#requireMembers(compartment)
          await this.#requireProven(this.#context.ledger().view.recipients(compartment))
          return { epoch, key: key.bytes }
        }
        const holds = () => this.#context.keyring.find(compartment, epoch.number) !== undefined
        await this.#context.until(() => holds() || this.#current(compartment) !== epoch, 20_000)
        if (!holds() && this.#current(compartment) === epoch)
          throw refuse('KEY_MISSING', 'This device does not hold the current key of the compartment yet.')
      }
    }
    throw refuse('TIMED_OUT', 'The key of this compartment changed each time that it was about to be used.')
  }

  /**
   * Throws MEMBERS_HIDDEN where the current epoch was opened for a device that this device does not
   * know as a member's. A partial view cannot judge the recipients when the epoch opens, so that it
   * judges them before it seals.
   */
  #requireMembers(compartment: CompartmentId): void {
    const ledger = this.#context.ledger()
    if (!ledger.view.partial || ledger.isForMembers(compartment)) return
    throw refuse(
      'MEMBERS_HIDDEN',
      'The key of this compartment was opened for a person whom this device does not know as a member.',
    )
  }

  /**
   * Throws DEVICE_HIDDEN where the directory log does not hold a recipient, whichever device opened
   * the epoch.
   */
  async #requireProven(devices: readonly DeviceId[]): Promise<void> {
    await this.#context.transparency.require(this.#certificatesOf(devices))
  }

  #certificatesOf(devices: readonly DeviceId[]): Certificate[] {
    const { view } = this.#context.ledger()
    return devices.flatMap((device) => view.devices.get(device) ?? [])
  }

  async #openOrWait(compartment: CompartmentId): Promise<void> {
    if (this.#mayOpen(compartment)) return this.open(compartment)
    const came = await this.#context.until(() => this.#current(compartment) !== undefined, 60_000)
    if (!came)
      throw refuse('EPOCH_WAITING', 'This compartment has no usable key, and no other member opened a new key.')
  }

  #mayOpen(compartment: CompartmentId): boolean {
    const { view } = this.#context.ledger()
    const self = this.#context.self()
    return view.isIn(self.account.person as PersonId, compartment) && mayUse(self, view, 'epoch.open')
  }

  /** Opens the next epoch. Callers that ask at one time share one attempt. */
  open(compartment: CompartmentId): Promise<void> {
    const running = this.#opening.get(compartment)
    if (running) return running
    const opening = this.#open(compartment).finally(() => this.#opening.delete(compartment))
    this.#opening.set(compartment, opening)
    return opening
  }

  async #open(compartment: CompartmentId): Promise<void> {
    let refused: unknown
    let again = false
    for (let attempt = 0; attempt < mostAttempts; attempt++) {
      await this.#context.ready()
      this.#context.requireSound()
      if (this.#current(compartment)) return
      const position = this.#context.position()
      try {
        const path = `/v1/operations/${this.#context.operation}/epochs`
        const made = await this.#make(compartment)
        await this.#context.kept()
        const { index } = await this.#context.transport.request<{ index?: number }>('POST', path, made)
        await this.#context.until(() => this.#context.position() >= (index ?? position + 1), 20_000)
        return
      } catch (error) {
        if (
          !isProblem(
            error,
            'EPOCH_NUMBER',
            'EPOCH_FRESH',
            'EPOCH_RECIPIENTS',
            'MEMBERS_MOVED',
            'EPOCH_GRANTS',
            'CERTIFICATE_OUTDATED',
          )
        )
          throw error
        refused = error
        const moved = await this.#context.until(() => this.#context.position() > position, 1_500)
        // The service decides on a state that this device has not seen: the log is read again.
        if (!moved && isProblem(error, 'EPOCH_NUMBER', 'EPOCH_FRESH', 'MEMBERS_MOVED') && !again) {
          again = true
          this.#context.readAgain()
        }
      }
    }
    throw refused
  }

  async #make(compartment: CompartmentId) {
    const { operation, platform, transparency } = this.#context
    const self = this.#context.self()
    const { device } = self
    const { view } = this.#context.ledger()
    const number = (view.currentEpoch(compartment)?.number ?? 0) + 1
    const recipients = view.recipients(compartment)
    if (!recipients.includes(device.id))
      throw refuse('NOT_CERTIFIED', 'The log does not show this device among those who may hold the key.')
    // A later entry may end one of these devices. The service then refuses the statement, and it is
    // made again.
    const certificates = this.#certificatesOf(recipients)
    const members = view.heads(compartment)
    await transparency.require(certificates)
    const key = makeEpochKey(platform.random)
    const because = view.compartments.get(compartment)?.staleBecause
    const statement = await signEpochStatement(device, certificateIn(self, view), {
      v: 1,
      operation,
      compartment,
      epoch: number,
      commitment: await commitmentOf(key),
      recipients,
      members,
      reason: number === 1 ? 'first' : (because ?? 'routine'),
      openedAt: timestamp(platform.clock()),
    })
    const grants = await Promise.all(
      certificates.map(async ({ device: id, keys }) => {
        const to = { device: id, seal: keys.seal }
        return { device: id, grant: await sealGrant(to, compartment, number, key) }
      }),
    )
    return { statement, grants }
  }

  /**
   * Opens an epoch for members who may post in a compartment and may not open its epochs: right
   * holders, and service accounts whose list lacks the permission. It waits for a random time
   * first, so that not all clients open it at once.
   */
  renewForOthers(compartment: CompartmentId): void {
    const { platform } = this.#context
    // The entry that made the epoch stale may come after this frame.
    platform.after(50 + randomBelow(platform, 2_000), () => {
      const { view } = this.#context.ledger()
      const waits = [...view.members.values()].some(
        ({ person, role }) => (role === 'right-holder' || view.services.has(person)) && view.isIn(person, compartment),
      )
      if (!waits || !this.#mayOpen(compartment) || this.#current(compartment)) return
      // A failure costs nothing: the next member who posts opens the epoch, or another client does.
      inBackground(this.open(compartment), this.#context)
    })
  }
}
