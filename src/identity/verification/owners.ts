import type { Findings, OwnedRow, Owner, OwnerView } from '../../log/index.ts'
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
  /** Thumbprint of the root that the verifier trusts; without one, the root that the database itself names. */
  readonly root?: string
}

/** A check that cannot even read what it was given has found something. */
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

/**
 * Organizations, people, certificates, revocations, enrolments, devices, service accounts, planned sleep, deputies, sessions,
 * invitations and factors, against the directory log: each has its entry, says what the entry commits
 * to, and leads to the root by rights that were held at that point.
 */
export function identityOwners(options: IdentityOwnersOptions = {}): Owner[] {
  let fold = new DirectoryFold(noRoot)
  const certificate: Owner = {
    name: 'certificate',
    open(tx, log) {
      if (log.operation !== null) return nothing
      return {
        expects: ({ kind }) => (kind === 'device.certified' ? 'one' : 'none'),
        rows: (async function* () {
          const [own] = await trustRoots(tx)
          fold = new DirectoryFold({ root: (options.root ?? own?.device_id ?? '') as DeviceId })
          for await (const row of certificatesByIndex(tx)) {
            const check = (leaf: Leaf) => finding('its certificate', () => fold.certificate(row, leaf))
            yield { index: row.directory_index, check }
          }
        })(),
      }
    },
  }
  const revocation: Owner = {
    name: 'revocation',
    open(tx, log) {
      if (log.operation !== null) return nothing
      return {
        expects: ({ kind }) => (kind === 'device.revoked' ? 'one' : 'none'),
        rows: (async function* () {
          for await (const row of revocationsByIndex(tx)) {
            const check = (leaf: Leaf) => finding('its revocation', () => fold.revocation(row, leaf))
            yield { index: row.directory_index, check }
          }
        })(),
      }
    },
  }
  const device: Owner = {
    name: 'device',
    open(tx, log) {
      if (log.operation !== null) return nothing
      return {
        ...nothing,
        after(leaf, details) {
          fold.follow(leaf, details)
          return []
        },
        async finish() {
          const faults: string[] = []
          const missing = fold.devices()
          for await (const row of devicesWithEnrolments(tx)) {
            missing.delete(row.id)
            faults.push(...(await finding('it', () => fold.device(row))).map((what) => `device ${row.id}: ${what}`))
          }
          for (const id of missing) faults.push(`device ${id}: it has entries and no row`)
          const roots = await trustRoots(tx)
          if (roots.length === 0 && fold.devices().size > 0) faults.push('the root is missing')
          if (roots.length > 0 && (await hasSetUpSecret(tx))) faults.push('it could be set up a second time')
          for (const root of roots) faults.push(...(await finding('the root', () => fold.root(root))))
          return faults
        },
      }
    },
  }
  const serviceAccount: Owner = {
    name: 'service account',
    open(tx, log) {
      if (log.operation !== null) return nothing
      const accounts = new ServiceAccountFold()
      return {
        ...nothing,
        after(leaf, details) {
          accounts.follow(leaf, details)
          return []
        },
        async finish() {
          const faults: string[] = []
          for await (const row of serviceAccountRows(tx))
            faults.push(
              ...(await finding('it', () => accounts.account(row))).map((what) => `service account ${row.id}: ${what}`),
            )
          return [...faults, ...accounts.missing()]
        },
      }
    },
  }
  const people: Owner = {
    name: 'person',
    open(tx, log) {
      if (log.operation !== null) return nothing
      const directory = new PeopleFold()
      return {
        ...nothing,
        after(leaf, details) {
          directory.follow(leaf, details)
          return []
        },
        async finish() {
          const faults: string[] = []
          for await (const row of organizationRows(tx))
            faults.push(...directory.organization(row).map((what) => `organization ${row.id}: ${what}`))
          for await (const row of personRows(tx))
            faults.push(...directory.person(row).map((what) => `person ${row.id}: ${what}`))
          return [...faults, ...directory.missing()]
        },
      }
    },
  }
  const sleep: Owner = {
    name: 'planned sleep',
    open(tx, log) {
      if (log.operation !== null) return nothing
      const plans = new SleepFold()
      return {
        ...nothing,
        after(leaf, details) {
          plans.follow(leaf, details)
          return []
        },
        async finish() {
          const faults: string[] = []
          for await (const row of plannedSleepRows(tx))
            faults.push(...plans.plan(row).map((what) => `planned sleep of ${row.id}: ${what}`))
          return [...faults, ...plans.missing()]
        },
      }
    },
  }
  const duty: Owner = {
    name: 'deputy',
    open(tx, log) {
      if (log.operation !== null) return nothing
      const duties = new DutyFold()
      return {
        ...nothing,
        after(leaf, details) {
          duties.follow(leaf, details)
          return []
        },
        async finish() {
          const faults: string[] = []
          for await (const row of deputyRows(tx))
            faults.push(...duties.deputy(row).map((what) => `deputy of ${row.id}: ${what}`))
          return [...faults, ...duties.missing()]
        },
      }
    },
  }
  const session: Owner = {
    name: 'session',
    open(tx, log) {
      if (log.operation !== null) return nothing
      const sessions = new SessionFold(tx)
      return {
        ...nothing,
        after: (leaf, details) => sessions.follow(leaf, details),
        finish: () => sessions.finish(),
      }
    },
  }
  const invitation: Owner = {
    name: 'invitation',
    open(tx, log) {
      if (log.operation !== null) return nothing
      const fold = new InvitationFold()
      return {
        ...nothing,
        after(leaf, details) {
          fold.follow(leaf, details)
          return []
        },
        async finish() {
          const faults: string[] = []
          const [invitations, recoveries] = [new Set<string>(), new Set<string>()]
          for await (const row of invitationRows(tx)) {
            invitations.add(row.id)
            faults.push(...fold.invitation(row).map((what) => `invitation ${row.id}: ${what}`))
          }
          for await (const row of recoveryRows(tx)) {
            recoveries.add(row.id)
            faults.push(...fold.recovery(row).map((what) => `recovery ${row.id}: ${what}`))
          }
          return [...faults, ...fold.missing(invitations, recoveries)]
        },
      }
    },
  }
  const factor: Owner = {
    name: 'factor',
    open(tx, log) {
      if (log.operation !== null) return nothing
      const factors = new FactorFold()
      return {
        ...nothing,
        after(leaf, details) {
          factors.follow(leaf, details)
          return []
        },
        async finish() {
          const faults: string[] = []
          for await (const row of factorRows(tx))
            faults.push(...factors.person(row).map((what) => `person ${row.id}: ${what}`))
          return [...faults, ...factors.missing()]
        },
      }
    },
  }
  return [certificate, revocation, device, serviceAccount, people, sleep, duty, session, invitation, factor]
}
