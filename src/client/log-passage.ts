import type { Certificate, CompartmentId, DeviceId, Leaf, PersonId } from '../protocol/index.ts'
import { Ledger, type EntryStatements, type EntryRefusal } from './ledger.ts'
import { OwnDevices } from './own-devices.ts'
import { Sequences, type CompartmentCount, type Hole } from './sequences.ts'

export interface PassageReader {
  readonly operation: string
  readonly root: DeviceId
  readonly person: PersonId
  /** This very device and its sealing key: a certificate of it for another key is not believed. */
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
  /** The newest entry that was shown, believed or not: none after it is dated before it. */
  newest: Pick<Leaf, 'index' | 'at'> | undefined
  /** Up to this index everything was shown under the view that one has now. */
  basis = Number.POSITIVE_INFINITY
  /** Why nothing more of this passage is believed. */
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
   * Verifies an entry and takes it in, or goes past it; answers why it is not believed, and whether
   * it brought a further device of this person.
   */
  async take(
    leaf: Leaf,
    brought: EntryStatements,
  ): Promise<{ refused: EntryRefusal | undefined; own: Certificate | undefined }> {
    const refused = await this.ledger.take(leaf, brought)
    return { refused, own: refused ? undefined : this.#ownDevices.take(leaf, this.ledger.view.devices) }
  }

  /** Takes in what this device verified before. */
  async takeAgain(
    leaf: Leaf,
    { refused, ...brought }: EntryStatements & { readonly refused?: EntryRefusal },
  ): Promise<void> {
    await this.ledger.takeAgain(leaf, brought, refused)
    if (!refused) this.#ownDevices.take(leaf, this.ledger.view.devices)
  }

  /**
   * Counts an entry in its compartment and moves on; answers the hole before it where everything
   * has been served.
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

  /** The holes that were met before everything was served. */
  takeHoles(): Hole[] {
    const holes = this.#holes
    this.#holes = []
    return holes
  }

  /** Whether an entry makes earlier ones visible, which were not shown. */
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
   * Whether a hole is one that the rules explain: what came before one was in, or while messages
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
