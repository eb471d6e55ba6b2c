import {
  toViewEntry,
  OperationView,
  ProtocolError,
  authenticateEntry,
  breaksOrder,
  demand,
  judgeEntry,
  readViewStatement,
  statementTypeOf,
  type Certificate,
  type CompartmentId,
  type DeviceId,
  type Leaf,
  type OperationId,
  type ReadStatement,
  type Trust,
  type ViewEntry,
} from '../protocol/index.ts'
import { asProtocolError } from './failures.ts'
import { proveChain, proveTogether, readCertificateOnce, verifyKeys } from './certificates.ts'

/**
 * The statement behind an entry, and the certificates above its signer, as the service sends them
 * with the leaf.
 */
export interface EntryStatements {
  readonly statement?: string
  readonly chain?: readonly string[]
}

/**
 * Why an entry is not believed; `authentic`: whether its signer signed it. Plain JSON, for the
 * store.
 */
export interface EntryRefusal {
  readonly code: string
  readonly detail: string
  readonly authentic: boolean
}

export interface KnownHeads {
  readonly operation: string
  readonly compartment?: string | undefined
}

/**
 * The members of an operation, as this device believes them. Every entry is verified against all
 * entries before it, up to the pinned root, and only then applied. An entry that cannot be believed
 * gives no right to any person, and the entries after it are judged without it. A `ProtocolError`
 * means that an entry is missing before this one: MEMBERS_HIDDEN, EPOCH_HIDDEN.
 */
export class Ledger {
  readonly view: OperationView
  readonly #trust: Trust
  /** Digests of the statements that opened epochs and that this device verified. */
  readonly #epochs = new Set<string>()

  constructor(operation: string, root: DeviceId, partial: boolean) {
    this.view = new OperationView(operation as OperationId, { partial })
    this.#trust = { pin: { root }, keys: verifyKeys, issuers: new Map(), signers: new Map() }
  }

  /** Verifies the next entry and applies it. Answers why it is not believed, where it is not. */
  async take(leaf: Leaf, brought: EntryStatements): Promise<EntryRefusal | undefined> {
    let entry = toViewEntry(leaf)
    let authentic = false
    try {
      if (brought.chain) await this.learn(brought.chain)
      const statement = await this.#read(leaf, brought.statement)
      entry = this.#entry(leaf, statement)
      if (statement) this.#requireWhole(statement)
      await this.#authenticate(entry)
      authentic = true
      judgeEntry(this.view, entry, this.#trust)
      this.view.apply(entry)
      if (statement?.type === 'epoch') this.#epochs.add(statement.value.hash)
      return undefined
    } catch (error) {
      const fault = asProtocolError(error)
      if (breaksOrder(fault)) throw fault
      this.view.refuse(entry, authentic)
      if (authentic) this.#requireChained(entry)
      return { code: fault.code, detail: fault.message, authentic }
    }
  }

  /** Applies an entry that this device verified, or refused, in an earlier process. */
  async takeAgain(leaf: Leaf, brought: EntryStatements, refused?: EntryRefusal): Promise<void> {
    if (refused && !refused.authentic) return this.view.refuse(toViewEntry(leaf), false)
    if (brought.chain) await this.learn(brought.chain)
    if (refused) return this.view.refuse(this.#entry(leaf, await this.#read(leaf, brought.statement)), true)
    const statement = await this.#read(leaf, brought.statement)
    this.view.apply(this.#entry(leaf, statement))
    if (statement?.type === 'epoch') this.#epochs.add(statement.value.hash)
  }

  #entry(leaf: Leaf, statement: ReadStatement | undefined): ViewEntry {
    const signer = statement?.type === 'member' ? this.#trust.signers.get(statement.value.crt) : undefined
    return { ...toViewEntry(leaf, statement), ...(signer === undefined ? {} : { signer }) }
  }

  /**
   * A certificate that was proven up to the root, by its hash, of a device outside the operation.
   */
  signer(crt: string): Certificate | undefined {
    return this.#trust.signers.get(crt)
  }

  /**
   * Whether the current key of a compartment was opened for devices that this view shows in it, and
   * for no others.
   */
  isForMembers(compartment: CompartmentId): boolean {
    const epoch = this.view.currentEpoch(compartment)
    if (!epoch || !this.#epochs.has(epoch.digest)) return false
    return epoch.recipients.every((device) => this.view.isRecipient(device, compartment))
  }

  /**
   * Whether the newest key of a compartment was opened for exactly the devices that this view shows
   * in it.
   */
  isForAll(compartment: CompartmentId): boolean {
    return (
      this.isForMembers(compartment) &&
      this.view.currentEpoch(compartment)?.recipients.length === this.view.recipients(compartment).length
    )
  }

  /** Proves the certificates above a signer, and trusts them from then on. */
  async learn(chain: readonly string[]): Promise<void> {
    const { pin, issuers, signers } = this.#trust
    const find = (device: DeviceId) => this.view.devices.get(device) ?? issuers.get(device)
    for (const certificate of await proveTogether(chain, pin.root, find)) {
      issuers.set(certificate.device, certificate)
      signers.set(certificate.hash, certificate)
    }
  }

  async #read(leaf: Leaf, jws: string | undefined): Promise<ReadStatement | undefined> {
    const type = statementTypeOf(leaf)
    if (type === undefined) return undefined
    demand(jws !== undefined, 'VIEW', `An entry of the kind ${leaf.kind} came without its statement.`)
    if (type === 'certificate') return { type, value: await readCertificateOnce(jws) }
    return readViewStatement(leaf, jws)
  }

  /**
   * Throws MEMBERS_HIDDEN where an authentic statement stands in a place where it cannot stand: it
   * would hide the entry that belongs there.
   */
  #requireChained({ statement }: ViewEntry): void {
    if (statement?.type !== 'member' || statement.value.act.act === 'create-operation') return
    const { act, hash } = statement.value
    const chained = 'compartment' in act ? this.view.compartments.get(act.compartment) : this.view
    if (chained?.chain.has(hash) !== true) throw hidden('in the place of another entry')
  }

  /**
   * Throws MEMBERS_HIDDEN where a statement follows one that this device does not know: that one
   * was withheld.
   */
  #requireWhole(statement: ReadStatement): void {
    if (statement.type === 'epoch') {
      const { compartment, members } = statement.value.payload
      this.requireHeads(compartment, members)
      return
    }
    if (statement.type !== 'member') return
    const { act, hash } = statement.value
    const { view } = this
    if ('compartment' in act) {
      const head = view.compartments.get(act.compartment)?.head ?? null
      if (act.previous !== head) throw hidden('of a compartment')
    } else if (act.act === 'create-operation') {
      // A second creation of an operation hides nothing. It is not believed.
    } else if (!view.partial && hash !== view.head && act.previous !== (view.head ?? null)) {
      throw hidden('of the operation')
    }
  }

  /** Throws MEMBERS_HIDDEN where another device signed a head that this device has not seen. */
  requireHeads(compartment: string, heads: KnownHeads): void {
    const { view } = this
    if (!view.partial && !view.chain.has(heads.operation)) throw hidden('of the operation')
    const known = view.compartments.get(compartment as CompartmentId)
    if (heads.compartment !== undefined && known?.chain.has(heads.compartment) !== true)
      throw hidden('of a compartment')
  }

  async #authenticate(entry: ViewEntry): Promise<void> {
    const { statement } = entry
    if (statement?.type !== 'certificate') return authenticateEntry(this.view, entry, this.#trust)
    const { pin, issuers } = this.#trust
    // The certificates that came with an entry are those of its time. The view may show an issuer
    // that was renewed before or after it.
    const find = (device: DeviceId) => issuers.get(device) ?? this.view.devices.get(device)
    await proveChain(statement.value, pin.root, find)
  }
}

function hidden(what: string): ProtocolError {
  return new ProtocolError('MEMBERS_HIDDEN', `A member statement ${what} was withheld from this device.`)
}
