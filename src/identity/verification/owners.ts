import type { Tx } from '../../db/index.ts'
import type { Details, Findings, OwnedRow, Owner, OwnerView } from '../../log/index.ts'
import type { DeviceId, Leaf } from '../../protocol/index.ts'
import { DirectoryFold, noRoot } from './directory.ts'
import { DutyFold } from './duty.ts'
import { FactorFold } from './factors.ts'
import { InvitationFold } from './invitations.ts'
import { PeopleFold } from './people.ts'
import { SessionFold } from './sessions.ts'
import { ServiceAccountFold } from './service-accounts.ts'
import { SleepFold } from './sleep.ts'
import {
  certificatesByIndex,
  deputyRows,
  factorRows,
  hasSetUpSecret,
  invitationRows,
  recoveryRows,
  devicesWithEnrolments,
  revocationsByIndex,
  serviceAccountRows,
  trustRoots,
  organizationRows,
  personRows,
  plannedSleepRows,
} from './store.ts'

export interface IdentityOwnersOptions {
  /**
   * Thumbprint of the root that the verifier trusts; without it, the root that the database itself
   * names.
   */
  readonly root?: string
}

/** Answers what a check finds. A check that cannot even read its input has found something. */
export async function finding(what: string, check: () => Findings | Promise<Findings>): Promise<Findings> {
  try {
    return await check()
  } catch (error) {
    if (error instanceof Error && (error.name === 'ProtocolError' || error instanceof RangeError))
      return [`${what}: ${error.message}`]
    throw error
  }
}

const nothing: OwnerView = { expects: () => 'none', rows: (async function* (): AsyncGenerator<OwnedRow> {})() }

/** What the entries of the directory have said of some rows so far, in order. */
interface Fold {
  follow(leaf: Leaf, details: Details): void
  /**
   * Answers the rows that have an entry and were not seen, one sentence each. Called after the last
   * row.
   */
  missing(): Findings
}

/** Makes an owner for the directory log alone: the logs of operations hold none of its rows. */
function directoryOwner(name: string, open: (tx: Tx) => OwnerView): Owner {
  return { name, open: (tx, log) => (log.operation === null ? open(tx) : nothing) }
}

/**
 * Makes an owner whose rows are lists as they are now: it folds the whole log first, and then
 * compares each row with the fold.
 */
function foldOwner<F extends Fold>(name: string, makeFold: () => F, judge: (fold: F, tx: Tx) => AsyncIterable<string>) {
  return directoryOwner(name, (tx) => {
    const fold = makeFold()
    return {
      ...nothing,
      after(leaf, details) {
        fold.follow(leaf, details)
        return []
      },
      async finish() {
        return [...(await Array.fromAsync(judge(fold, tx))), ...fold.missing()]
      },
    }
  })
}

/** Answers the faults of each row, as sentences that begin with its name: `person 0198…: …`. */
async function* faultsIn<Row extends { readonly id: string }>(
  noun: string,
  rows: AsyncIterable<Row>,
  check: (row: Row) => Findings | Promise<Findings>,
) {
  for await (const row of rows) for (const what of await check(row)) yield `${noun} ${row.id}: ${what}`
}

/** Makes an owner of rows that entries of one kind make, one row each. */
function rowsOwner<Row extends { readonly directory_index: number }>(
  name: string,
  kind: Leaf['kind'],
  rows: (tx: Tx) => AsyncIterable<Row>,
  check: (row: Row, leaf: Leaf) => Findings | Promise<Findings>,
): Owner {
  return directoryOwner(name, (tx) => ({
    expects: (leaf) => (leaf.kind === kind ? 'one' : 'none'),
    rows: (async function* () {
      for await (const row of rows(tx))
        yield { index: row.directory_index, check: (leaf: Leaf) => finding(`its ${name}`, () => check(row, leaf)) }
    })(),
  }))
}

/**
 * Makes the owners of certificates, revocations and devices, which share one fold: each certificate
 * is judged by those before it.
 */
function deviceOwners(options: IdentityOwnersOptions): Owner[] {
  let fold = new DirectoryFold(noRoot)
  async function* certificates(tx: Tx) {
    const [own] = await trustRoots(tx)
    fold = new DirectoryFold({ root: (options.root ?? own?.device_id ?? '') as DeviceId })
    yield* certificatesByIndex(tx)
  }
  async function* faultsOfDevices(tx: Tx) {
    const missing = fold.devices()
    for await (const row of devicesWithEnrolments(tx)) {
      missing.delete(row.id)
      for (const what of await finding('it', () => fold.device(row))) yield `device ${row.id}: ${what}`
    }
    for (const id of missing) yield `device ${id}: it has entries and no row`
    const roots = await trustRoots(tx)
    if (roots.length === 0 && fold.devices().size > 0) yield 'the root is missing'
    if (roots.length > 0 && (await hasSetUpSecret(tx))) yield 'it could be set up a second time'
    for (const root of roots) yield* await finding('the root', () => fold.root(root))
  }
  return [
    rowsOwner('certificate', 'device.certified', certificates, (row, leaf) => fold.certificate(row, leaf)),
    rowsOwner('revocation', 'device.revoked', revocationsByIndex, (row, leaf) => fold.revocation(row, leaf)),
    directoryOwner('device', (tx) => ({
      ...nothing,
      after(leaf, details) {
        fold.follow(leaf, details)
        return []
      },
      finish: () => Array.fromAsync(faultsOfDevices(tx)),
    })),
  ]
}

/**
 * Makes the owners of organizations, people, certificates, revocations, enrolments, devices,
 * service accounts, planned sleep, deputies, sessions, invitations and factors. Each row is checked
 * against the directory log: it has its entry, says what the entry commits to, and leads to the
 * root by rights that were held at that point.
 */
export function identityOwners(options: IdentityOwnersOptions = {}): Owner[] {
  return [
    ...deviceOwners(options),
    foldOwner(
      'service account',
      () => new ServiceAccountFold(),
      (fold, tx) =>
        faultsIn('service account', serviceAccountRows(tx), (row) => finding('it', () => fold.account(row))),
    ),
    foldOwner(
      'person',
      () => new PeopleFold(),
      async function* (fold, tx) {
        yield* faultsIn('organization', organizationRows(tx), (row) => fold.organization(row))
        yield* faultsIn('person', personRows(tx), (row) => fold.person(row))
      },
    ),
    foldOwner(
      'planned sleep',
      () => new SleepFold(),
      (fold, tx) => faultsIn('planned sleep of', plannedSleepRows(tx), (row) => fold.plan(row)),
    ),
    foldOwner(
      'deputy',
      () => new DutyFold(),
      (fold, tx) => faultsIn('deputy of', deputyRows(tx), (row) => fold.deputy(row)),
    ),
    directoryOwner('session', (tx) => {
      const sessions = new SessionFold(tx)
      return {
        ...nothing,
        after: (leaf, details) => sessions.follow(leaf, details),
        finish: () => sessions.finish(),
      }
    }),
    foldOwner(
      'invitation',
      () => new InvitationFold(),
      async function* (fold, tx) {
        yield* faultsIn('invitation', invitationRows(tx), (row) => fold.invitation(row))
        yield* faultsIn('recovery', recoveryRows(tx), (row) => fold.recovery(row))
      },
    ),
    foldOwner(
      'factor',
      () => new FactorFold(),
      (fold, tx) => faultsIn('person', factorRows(tx), (row) => fold.person(row)),
    ),
  ]
}
