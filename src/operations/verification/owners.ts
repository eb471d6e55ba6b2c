import {
  checkGrantHeader,
  digestOf,
  type CompartmentId,
  type DeviceId,
  type Leaf,
  type OperationView,
} from '../../protocol/index.ts'
import type { Tx } from '../../db/index.ts'
import { finding, findTrustRoot, type IdentityOwnersOptions } from '../../identity/index.ts'
import type { Details, Findings, OwnedRow, Owner, OwnerView } from '../../log/index.ts'
import { mayHoldKey } from '../epoch-acts.ts'
import { couldGive, VerifiedOperation } from './fold.ts'
import { grantsByIndex, operationRow, operationRows, stateRows, type RawGrant } from './store.ts'

/**
 * The operation as its log has made it up to the entry that is being verified, for the owners of
 * rows that entries are about.
 */
export interface VerifiedViews {
  current(operation: string): OperationView | undefined
}

const none = async function* (): AsyncGenerator<OwnedRow> {}
const nothing = (): OwnerView => ({ expects: () => 'none', rows: none() })

/**
 * The owners of members, compartments and epochs of operations. They check every statement by its
 * signature, its chain and the right of its signer at that point, recipients by membership, grants
 * by the digests that entries commit to, and the rows that repeat all this.
 */
export function operationsOwners(options: IdentityOwnersOptions = {}): { owners: Owner[]; views: VerifiedViews } {
  let current: VerifiedOperation | undefined
  const operation: Owner = {
    name: 'statement',
    open(tx, log) {
      if (log.operation === null) return nothing()
      return {
        ...nothing(),
        async after(leaf, details) {
          if (current?.view.operation !== leaf.log || leaf.index === 0) {
            const root = options.root ?? (await findTrustRoot(tx))?.device_id ?? ''
            current = new VerifiedOperation(tx, leaf.log, root)
          }
          const operation = current
          return finding('it', () => operation.follow(leaf, details))
        },
        finish: () =>
          current?.view.operation === log.id ? compareRows(tx, current) : ['no entry of it could be read'],
      }
    },
    async *strays(tx, logs) {
      for (const { owned, operation, counted } of await operationRows(tx)) {
        if (!logs.has(operation)) yield `${counted} rows of ${owned} belong to an operation without a log`
      }
    },
  }
  const grant: Owner = {
    name: 'grant',
    open(tx, log) {
      if (log.operation === null) return nothing()
      let seen = 0
      return {
        expects: ({ kind }) => (kind === 'epoch.opened' || kind === 'history.granted' ? 'any' : 'none'),
        rows: (async function* () {
          for await (const row of grantsByIndex(tx, log.id)) {
            const check = (leaf: Leaf, details: Details) => {
              seen++
              return finding('its grant', () => checkGrant(row, leaf, details, current?.view))
            }
            yield { index: row.given_index, check }
          }
        })(),
        after(leaf, details) {
          const expected = digestsIn(leaf, details).size
          const found = seen
          seen = 0
          return found === expected ? [] : [`it has ${found} grants where it gave ${expected}`]
        },
      }
    },
  }
  return {
    owners: [operation, grant],
    views: { current: (id) => (current?.view.operation === id ? current.view : undefined) },
  }
}

/** Answers the digests that an entry commits to, by device and epoch. */
function digestsIn({ kind, subject }: Leaf, details: Details): Map<string, string> {
  const digests = new Map<string, string>()
  if (kind === 'epoch.opened') {
    const epoch = subject.slice(subject.indexOf('#') + 1)
    for (const [device, digest] of Object.entries((details?.['grants'] ?? {}) as Record<string, string>))
      digests.set(`${device} ${epoch}`, digest)
  }
  if (kind === 'history.granted') {
    const given = (details?.['grants'] ?? []) as { device: string; epoch: number; sha256: string }[]
    for (const { device, epoch, sha256 } of given) digests.set(`${device} ${epoch}`, sha256)
  }
  return digests
}

async function checkGrant(
  row: RawGrant,
  leaf: Leaf,
  details: Details,
  view: OperationView | undefined,
): Promise<Findings> {
  const faults: string[] = []
  const device = row.device_id as DeviceId
  if (row.compartment_id !== leaf.compartment) faults.push('its grant is of another compartment')
  const digest = digestsIn(leaf, details).get(`${device} ${row.epoch}`)
  if ((await digestOf(row.sealed)) !== digest) faults.push('its grant is not one that it commits to')
  checkGrantHeader(row.sealed, device, row.compartment_id, row.epoch)
  const compartment = row.compartment_id as CompartmentId
  const opened = view?.epoch(compartment, row.epoch)
  if (!view || !opened) return [...faults, 'its grant is of an epoch that was not opened']
  if (leaf.kind === 'epoch.opened') {
    if (!opened.recipients.includes(device)) faults.push('its grant is for a device that is no recipient')
    return faults
  }
  if (!mayHoldKey(view, device, compartment, opened.openedIndex))
    faults.push('its grant is for a device that may not have it')
  const giver = 'person' in leaf.actor ? leaf.actor.person : ''
  const reach = couldGive(view, giver)
  if (reach === 'nothing' || (reach === 'self' && view.devices.get(device)?.person !== giver))
    faults.push('its grant was given by a member who could not give it')
  return faults
}

async function compareRows(tx: Tx, operation: VerifiedOperation): Promise<string[]> {
  const faults: string[] = []
  const id = operation.view.operation
  const row = await operationRow(tx, id)
  if (row === undefined) faults.push('the row of its operation is missing')
  for (const [column, value] of Object.entries({ ...operation.row, state: operation.view.state })) {
    if (row !== undefined && row[column as keyof typeof row] !== value)
      faults.push(`the ${column} of its operation is not what its entries say`)
  }
  const stored = await stateRows(tx, id)
  for (const [table, expected] of operation.expectedRows()) {
    const found = stored.get(table) ?? new Set<string>()
    for (const line of found.difference(expected)) faults.push(`a row of ${table} that no entry made: ${line}`)
    for (const line of expected.difference(found)) faults.push(`a row of ${table} is missing: ${line}`)
  }
  return faults
}
