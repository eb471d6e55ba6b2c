import {
  OperationView,
  ProtocolError,
  clockDifference,
  demand,
  readViewStatement,
  statementTypeOf,
  verifyEntry,
  type Certificate,
  type CompartmentId,
  type DeviceId,
  type Leaf,
  type OperationId,
  type ReadStatement,
  type Revocation,
  type Trust,
  type ViewEntry,
} from '../protocol/index.ts'
import { proveChain, proveTogether, readCertificateOnce, verifyKeys } from './certificates.ts'

/** What an entry brings beside its leaf, as far as members are concerned. */
export interface Brought {
  readonly statement?: string
  readonly chain?: readonly string[]
}

export interface Heads {
  readonly operation: string
  readonly compartment?: string | undefined
}

/**
 * Who is in an operation, as this device believes it: every entry is verified against everything before it, up to the pinned
 * root, and only then applied. A `ProtocolError` means that the service showed something that cannot be: MEMBERS_HIDDEN where
 * a member statement is missing.
 */
export class Ledger {
  readonly view: OperationView
  readonly #trust: Trust
  readonly #revoked = new Map<DeviceId, Revocation>()
  /** Digests of the statements that opened epochs and that this device verified. */
  readonly #epochs = new Set<string>()

  constructor(operation: string, root: DeviceId, partial: boolean) {
    this.view = new OperationView(operation as OperationId, { partial })
    this.#trust = { pin: { root }, keys: verifyKeys, issuers: new Map(), signers: new Map() }
  }

  /** Verifies the next entry and applies it; `known` skips the signatures of what this device verified before. */
  async take(leaf: Leaf, brought: Brought, known = false): Promise<void> {
    if (brought.chain) await this.learn(brought.chain)
    const statement = await this.#read(leaf, brought.statement)
    const entry = toViewEntry(leaf, statement)
    if (statement) this.#requireWhole(statement)
    if (!known) await this.#verify(entry)
    if (statement?.type === 'revocation') this.#noteRevocation(statement.value)
    this.view.apply(entry)
    if (statement?.type === 'epoch') this.#epochs.add(statement.value.hash)
  }

  /** A device may be revoked again as compromised: the earliest time counts. */
  #noteRevocation(revocation: Revocation): void {
    const known = this.#revoked.get(revocation.device)
    const since = ({ compromisedAt, at }: Revocation) => compromisedAt ?? at
    if (!known || since(revocation) < since(known)) this.#revoked.set(revocation.device, revocation)
  }

  /** A certificate from above or beside the operation, by its hash, that was proven up to the root. */
  signer(crt: string): Certificate | undefined {
    return this.#trust.signers.get(crt)
  }

  /** Whether the current key of a compartment was opened for devices that this view shows in it, and for no others. */
  isForMembers(compartment: CompartmentId): boolean {
    const epoch = this.view.currentEpoch(compartment)
    if (!epoch || !this.#epochs.has(epoch.digest)) return false
    return epoch.recipients.every((device) => this.view.isRecipient(device, compartment))
  }

  /** Whether the key that was just opened is for exactly the devices that this view shows in its compartment. */
  isForAll(compartment: CompartmentId): boolean {
    return (
      this.isForMembers(compartment) &&
      this.view.currentEpoch(compartment)?.recipients.length === this.view.recipients(compartment).length
    )
  }

  /** Certificates above a signer, each proven before it is trusted. */
  async learn(chain: readonly string[]): Promise<void> {
    const { pin, issuers, signers } = this.#trust
    const find = (device: DeviceId) => this.view.devices.get(device) ?? issuers.get(device)
    for (const certificate of await proveTogether(chain, pin.root, find)) {
      issuers.set(certificate.device, certificate)
      signers.set(certificate.hash, certificate)
    }
  }

  async #read(leaf: Leaf, jws: string | undefined): Promise<ReadStatement | undefined> {
    const type = statementTypeOf(leaf.kind)
    if (type === undefined) return undefined
    demand(jws !== undefined, 'VIEW', `An entry of the kind ${leaf.kind} came without its statement.`)
    if (type === 'certificate') return { type, value: await readCertificateOnce(jws) }
    return readViewStatement(leaf.kind, jws)
  }

  /** A statement that follows none that this device knows shows that one was withheld. */
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
      const head = view.compartments.get(act.compartment as CompartmentId)?.head ?? null
      if (act.previous !== head) throw hidden('of a compartment')
    } else if (!view.partial && hash !== view.head && act.previous !== (view.head ?? null)) {
      throw hidden('of the operation')
    }
  }

  /** MEMBERS_HIDDEN where another device signed a head that this one has not seen. */
  requireHeads(compartment: string, heads: Heads): void {
    const { view } = this
    if (!view.partial && !view.chain.has(heads.operation)) throw hidden('of the operation')
    const known = view.compartments.get(compartment as CompartmentId)
    if (heads.compartment !== undefined && known?.chain.has(heads.compartment) !== true)
      throw hidden('of a compartment')
  }

  async #verify(entry: ViewEntry): Promise<void> {
    const { statement } = entry
    if (statement?.type !== 'certificate') return verifyEntry(this.view, entry, this.#trust)
    const certificate = statement.value
    const { pin, issuers } = this.#trust
    // What came with it stands as it stood then; the view may show an issuer that was renewed before or since.
    await proveChain(certificate, pin.root, (device) => issuers.get(device) ?? this.view.devices.get(device))
    // Certificates that a revoked device issued before it was compromised stand; later ones never did. Clocks may differ by so much.
    const revocation = this.#revoked.get(certificate.issuer)
    const until = revocation && new Date(revocation.compromisedAt ?? revocation.at).getTime() + clockDifference
    demand(
      until === undefined || new Date(certificate.issuedAt).getTime() < until,
      'CERTIFICATE_CHAIN',
      'This certificate was issued by a device that had been revoked.',
    )
  }
}

function hidden(what: string): ProtocolError {
  return new ProtocolError('MEMBERS_HIDDEN', `A member statement ${what} was withheld from this device.`)
}

function toViewEntry(leaf: Leaf, statement: ReadStatement | undefined): ViewEntry {
  const { index, kind, subject, compartment, digest, actor } = leaf
  return {
    index,
    kind,
    subject,
    ...(compartment === undefined ? {} : { compartment }),
    ...(digest === undefined ? {} : { digest }),
    ...('device' in actor ? { device: actor.device as DeviceId } : {}),
    ...(statement === undefined ? {} : { statement }),
  }
}
