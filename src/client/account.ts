import { isListed, may, type ListedPermissions, type Permission } from '../access.ts'
import {
  openDevice,
  type Certificate,
  type Device,
  type DeviceSecrets,
  type OperationView,
  type PersonId,
} from '../protocol/index.ts'
import { readCertificateOnce, type Pins } from './certificates.ts'
import { refuse } from './problem.ts'
import { signInKeyName } from './service-key.ts'
import type { ClientStore } from './store.ts'

/** Whom a store belongs to, at which service. */
export interface Account {
  readonly server: string
  readonly person: string
  readonly organization: string
  readonly pins: Pins
  /** The invitation that this device came in with, and whether the service has answered to it. */
  readonly invitation?: string
  readonly enrolled: boolean
}

/** The person and device that act, ready to sign and to open. */
export interface Self {
  readonly account: Account
  readonly device: Device
  /** Absent until somebody has certified this device, and `me` has seen it. */
  readonly certificate: Certificate | undefined
  /** The certificates above it, proven up to the pinned root. */
  readonly chain: readonly Certificate[]
  /** Whether this is a service account, which signs in with a key of its own. */
  readonly isService: boolean
  /** What a service account may use below its role, as the service says; null for a person. */
  readonly listed: ListedPermissions
}

/** The account, the device and the certificate that a store holds; undefined in an empty one. */
export async function loadSelf(store: ClientStore): Promise<Self | undefined> {
  const account = (await store.get('account')) as Account | undefined
  const secrets = (await store.get('device')) as DeviceSecrets | undefined
  if (!account || !secrets) return undefined
  const kept = (await store.get('certificate')) as string[] | undefined
  const listed = ((await store.get('listed')) ?? null) as ListedPermissions
  const [certificate, ...chain] = await Promise.all((kept ?? []).map(readCertificateOnce))
  const isService = (await store.get(signInKeyName)) !== undefined
  return { account, device: await openDevice(secrets), certificate, chain, isService, listed }
}

/** The certificate under which this device speaks; NOT_CERTIFIED where it has none yet. */
export function requireCertificate(self: Self): Certificate {
  if (!self.certificate) throw refuse('NOT_CERTIFIED', 'Nobody has certified this device yet.')
  return self.certificate
}

/**
 * The hash of the certificate under which this device speaks in an operation: as its log shows it,
 * which a renewal has reached already.
 */
export function certificateIn(self: Self, view: OperationView): string {
  return (view.devices.get(self.device.id) ?? requireCertificate(self)).hash
}

/**
 * Whether this device may use a permission in an operation now: by role and state, and by its list
 * if it is a service account's.
 */
export function mayUse({ account, listed }: Self, view: OperationView, permission: Permission): boolean {
  const member = view.member(account.person as PersonId)
  return member !== undefined && may(member.role, permission, view.state).allowed && isListed(listed, permission)
}

/**
 * Whether this device gets what messages carry: auditors, and service accounts for which reading is
 * not listed, get entries alone.
 */
export function getsContent({ account, listed }: Self, view: OperationView): boolean {
  return view.member(account.person as PersonId)?.role !== 'auditor' && isListed(listed, 'message.read')
}

/**
 * Refuses one passphrase for both the store and the sign-in: the service sees the one, and must
 * never learn the other.
 */
export async function requireOtherPassphrase(store: ClientStore, passphrase: string): Promise<void> {
  if ((await store.isOwnPassphrase?.(passphrase)) === true)
    throw refuse('STORE_PASSPHRASE_REUSED', 'The passphrase of the store and the one to sign in with are the same.')
}
