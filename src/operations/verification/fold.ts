import { may, type Permission } from '../../access.ts'
import type { Tx } from '../../db/index.ts'
import { chainsOf, newestCertificates } from '../../identity/index.ts'
import type { Details, Findings } from '../../log/index.ts'
import {
  OperationView,
  VerifyKeys,
  changesOperation,
  judgePermission,
  readCertificate,
  statementTypeOf,
  verifyEntry,
  type DeviceId,
  type Kind,
  type Leaf,
  type OperationId,
  type PersonId,
  type Trust,
  type ViewEntry,
} from '../../protocol/index.ts'
import { statementsOf, readViewEntry } from '../snapshot.ts'

/**
 * The permission behind each kind of entry that `judge` does not judge by a member statement. A new
 * kind belongs here, or into `judge`: the permission of a kind in neither is not checked.
 */
const permissionFor: Partial<Record<Kind, Permission>> = {
  'operation.updated': 'operation.update',
  'operation.advanced': 'operation.advance',
  'operation.organization-admitted': 'organization.admit',
  'operation.organization-removed': 'organization.remove',
  'epoch.disputed': 'message.read',
  'history.granted': 'grant.give',
  'feed.opened': 'operation.read',
  'body.fetched': 'message.read',
  'report.viewed': 'report.view',
  'export.made': 'log.export',
  'log.queried': 'log.query',
  'records.imported': 'records.import',
  'records.key-stored': 'records.import',
}

/**
 * One operation as its log makes it, verified entry by entry by the rules that every client
 * applies.
 */
export class VerifiedOperation {
  readonly view: OperationView
  readonly #tx: Tx
  readonly #trust: Trust
  /** What the rows beside the log must hold of things that no statement says. */
  readonly names = new Map<string, string>()
  readonly createdIndexes = new Map<string, number>()
  readonly organizations = new Map<string, number>()
  readonly statements = new Set<string>()
  row = { name: '', reference: '', time_zone: '', purpose: '', created_at: '' }

  constructor(tx: Tx, operation: string, root: string) {
    this.#tx = tx
    this.view = new OperationView(operation as OperationId)
    this.#trust = { pin: { root: root as DeviceId }, keys: new VerifyKeys(), issuers: new Map(), signers: new Map() }
  }

  async follow(leaf: Leaf, details: Details): Promise<Findings> {
    const faults: string[] = []
    const type = statementTypeOf(leaf)
    const statement =
      type === undefined
        ? undefined
        : (await statementsOf(this.#tx, this.view.operation, [leaf])).get(leaf.digest ?? '')
    if (type !== undefined && statement === undefined) return [`its ${type} statement is missing`]
    const entry = await readViewEntry(leaf, statement)
    faults.push(...this.#judgeActor(leaf, entry))
    if (!changesOperation(leaf.kind)) return faults
    if (type === 'member' && leaf.digest !== undefined) this.statements.add(leaf.digest)
    await this.#learnIssuers(entry)
    await verifyEntry(this.view, entry, this.#trust)
    this.view.apply(entry)
    this.#note(leaf, details, entry)
    return faults
  }

  /**
   * Judges that the actor of an entry signed the statement behind it, and was a member who could.
   */
  #judgeActor({ kind, actor, digest }: Leaf, { statement }: ViewEntry): string[] {
    if (!('device' in actor)) return this.#judgeServer(kind)
    const signer =
      statement?.type === 'member' || statement?.type === 'epoch'
        ? statement.value.signer
        : statement?.type === 'revocation'
          ? statement.value.signer
          : undefined
    if (signer !== undefined && signer !== actor.device) return ['its actor is not the signer of its statement']
    if (kind === 'operation.created') return []
    // Certificates and revocations come from the directory, whether their signer is a member here
    // or not.
    if (kind.startsWith('device.')) return []
    // One statement may stand behind several entries, and take out its own signer with the first;
    // the creator never is a member.
    if (digest !== undefined && this.view.chain.has(digest)) return []
    const member = this.view.member(actor.person as PersonId)
    const device = this.view.devices.get(actor.device as DeviceId)
    if (!member || member.organization !== actor.organization || device?.person !== actor.person)
      return ['its actor was no member, or its device was not live']
    const permission = permissionFor[kind]
    const refusal = permission && judgePermission(this.view, member, permission)
    return refusal ? [`it was caused by somebody who could not: ${refusal.message}`] : []
  }

  #judgeServer(kind: Kind): string[] {
    const allowed: Kind[] = [
      'messages.delivered',
      'messages.read',
      'readings.kept',
      'device.expired',
      'member.slept',
      'member.ended',
    ]
    return allowed.includes(kind) ? [] : [`a server caused it, and no server causes ${kind}`]
  }

  /**
   * Learns issuers outside the operation from the directory: they are verified with the chain that
   * needs them.
   */
  async #learnIssuers({ statement, kind, device }: ViewEntry): Promise<void> {
    const certificates: string[] = []
    if (statement?.type === 'certificate') certificates.push(statement.value.jws)
    const outside = statement?.type === 'revocation' || kind === 'operation.created'
    if (outside && device !== undefined && !this.view.devices.has(device))
      certificates.push(...(await newestCertificates(this.#tx, [device])).values())
    for (const jws of certificates) {
      const chain = (await chainsOf(this.#tx, [jws])).values().next().value ?? []
      for (const above of statement?.type === 'certificate' ? chain : [jws, ...chain]) {
        const certificate = await readCertificate(above)
        this.#trust.issuers.set(certificate.device, certificate)
      }
    }
  }

  #note({ kind, subject, index, at }: Leaf, details: Details, { statement }: ViewEntry): void {
    const text = (name: string) => {
      const value = details?.[name]
      return typeof value === 'string' ? value : ''
    }
    if (kind === 'operation.created' && statement?.type === 'member') {
      this.row = {
        name: text('name'),
        reference: text('reference'),
        time_zone: text('timeZone'),
        purpose: text('purpose'),
        created_at: at.replace(/Z$/, '000Z'),
      }
      const { act } = statement.value
      if (act.act === 'create-operation')
        for (const { organization } of act.coordinators) this.organizations.set(organization, index)
    }
    if (kind === 'operation.updated') {
      const changed = (details?.['new'] ?? {}) as Record<string, string>
      this.row = { ...this.row, ...changed }
    }
    if (kind === 'operation.organization-admitted') this.organizations.set(subject, index)
    if (kind === 'operation.organization-removed') this.organizations.delete(subject)
    if (kind === 'compartment.created') {
      this.names.set(subject, text('name'))
      this.createdIndexes.set(subject, index)
    }
  }

  /** Answers the rows that must be beside the log, as `stateRows` writes them. */
  expectedRows(): Map<string, Set<string>> {
    const { view } = this
    const compartments = [...view.compartments.values()]
    return new Map([
      ['operation_organization', new Set([...this.organizations].map(([id, index]) => `${id} ${index}`))],
      [
        'member',
        new Set(
          [...view.members.values()].map(
            ({ person, organization, role, asleep, joinedIndex }) =>
              `${person} ${organization} ${role} ${asleep ? 't' : 'f'} ${joinedIndex}`,
          ),
        ),
      ],
      ['compartment', new Set([...this.names].map(([id, name]) => `${id} ${this.createdIndexes.get(id)} ${name}`))],
      [
        'compartment_member',
        new Set(
          compartments.flatMap(({ id, members }) => [...members].map(([person, index]) => `${id} ${person} ${index}`)),
        ),
      ],
      [
        'epoch',
        new Set(
          compartments.flatMap(({ id, epochs }) => epochs.map(({ number, digest }) => `${id} ${number} ${digest}`)),
        ),
      ],
      ['member_statement', this.statements],
    ])
  }
}

/**
 * Answers what a member's role could give at that point, for acts that have to be judged by more
 * than the entry.
 */
export function couldGive(view: OperationView, person: string): 'all' | 'self' | 'nothing' {
  const member = view.member(person as PersonId)
  if (!member) return 'nothing'
  const { role, allowed } = may(member.role, 'grant.give', view.state)
  return !allowed ? 'nothing' : role === 'self' ? 'self' : 'all'
}
