import type { Certificate, CompartmentId, DeviceId, Leaf, PersonId } from '../protocol/index.ts'
import { Ledger, type EntryStatements, type EntryRefusal } from './ledger.ts'
import { OwnDevices } from './own-devices.ts'
import { Sequences, type CompartmentCount, type Hole } from './sequences.ts'

export interface PassageReader {
  readonly operation: string
  readonly root: DeviceId
  readonly person: PersonId
  /**
   * This device and its sealing key. A certificate of this device for another sealing key is not
   * believed.
   */
  readonly device: { readonly id: DeviceId; readonly seal: string }
  readonly partial: boolean
}

/** Why nothing more is believed until the log was read again from its beginning. */
export interface LogFault {
  readonly code: 'MEMBERS_HIDDEN' | 'LOG_ALTERED'
  readonly reason: string
  readonly index: number
  readonly detail: string
}

/**
 * One passage through a log from its beginning: what it has shown so far, and how far it has come.
 */
export class LogPassage {
  readonly ledger: Ledger
  /** Index of the newest entry that was processed. */
  position = -1
  /** The newest entry that was shown, believed or not. No later entry may be dated before it. */
  newest: Pick<Leaf, 'index' | 'at'> | undefined
  /** Everything up to this index was shown under the present rights of this person. */
  basis = Number.POSITIVE_INFINITY
  /** Why no further entry of this passage is believed. */
  broken: LogFault | undefined
  toleratesHoles: boolean
  readonly #person: PersonId
  readonly #ownDevices: OwnDevices
  readonly #sequences: Sequences
  #holes: Hole[] = []

  constructor(
    { operation, root, person, device, partial }: PassageReader,
    kept?: { readonly counted: readonly CompartmentCount[]; readonly holes: boolean },
  ) {
    this.ledger = new Ledger(operation, root, partial)
    this.ledger.view.seals.set(device.id, device.seal)
    this.#person = person
    this.#ownDevices = new OwnDevices(person)
    this.#sequences = new Sequences(kept?.counted)
    this.toleratesHoles = kept?.holes ?? false
  }

  /**
   * Verifies an entry and applies it. Answers why it is not believed, where it is not, and the
   * certificate of a further device of this person, if the entry brought one.
   */
  async take(
    leaf: Leaf,
    brought: EntryStatements,
  ): Promise<{ refused: EntryRefusal | undefined; own: Certificate | undefined }> {
    const refused = await this.ledger.take(leaf, brought)
    return { refused, own: refused ? undefined : this.#ownDevices.take(leaf, this.ledger.view.devices) }
  }

  /** Applies an entry that this device verified, or refused, in an earlier process. */
  async takeAgain(
    leaf: Leaf,
    { refused, ...brought }: EntryStatements & { readonly refused?: EntryRefusal },
  ): Promise<void> {
    await this.ledger.takeAgain(leaf, brought, refused)
    if (!refused) this.#ownDevices.take(leaf, this.ledger.view.devices)
  }

  /**
   * Counts an entry in its compartment and moves the position. Answers the hole before the entry;
   * where `live` is false the hole is kept for `takeHoles`.
   */
  pass({ compartment, seq, index }: Leaf, live: boolean): Hole | undefined {
    this.position = index
    if (compartment === undefined || seq === undefined) return undefined
    const hole = this.#sequences.take(compartment, seq, index)
    if (hole && live) return hole
    if (hole) this.#holes.push(hole)
    return undefined
  }

  counted(): CompartmentCount[] {
    return this.#sequences.counted()
  }

  /** The holes that were found before everything was served. Forgets them. */
  takeHoles(): Hole[] {
    const holes = this.#holes
    this.#holes = []
    return holes
  }

  /** Whether an entry makes earlier entries visible that were not shown before. */
  widens(leaf: Leaf): boolean {
    if (leaf.index <= this.basis) return false
    const { view } = this.ledger
    const mine = leaf.subject === this.#person
    switch (leaf.kind) {
      case 'compartment.member-added':
        return mine || view.partial
      case 'compartment.created':
        return view.partial
      case 'member.role-changed':
        return mine
      case 'operation.rules-set': {
        const role = view.member(this.#person)?.role
        return role === 'partner' || role === 'observer' || view.services.has(this.#person)
      }
      case 'operation.advanced':
        return this.toleratesHoles
      default:
        return false
    }
  }

  /**
   * Whether the rules explain a hole: its entries came before this person joined, or while messages
   * are not shown.
   */
  explains({ compartment, after }: Hole): boolean {
    const { view } = this.ledger
    const joined = view.joinedCompartmentAt(this.#person, compartment as CompartmentId)
    if (joined === undefined) return true
    const hidden = view.state === 'draft' || view.state === 'archived'
    if (hidden) this.toleratesHoles = true
    return hidden || (view.history === 'from-joining' && after < joined)
  }
}
