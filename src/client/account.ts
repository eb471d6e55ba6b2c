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

/** The person to whom a store belongs, and the service at which that person has an account. */
export interface Account {
  readonly server: string
  readonly person: string
  readonly organization: string
  readonly pins: Pins
  /** The invitation with which this device enrolled, and whether the service has answered to it. */
  readonly invitation?: string
  readonly enrolled: boolean
}

/** The person and the device that act, with the keys that sign and open. */
export interface Self {
  readonly account: Account
  readonly device: Device
  /**
   * Undefined until another device has certified this device and `me` has fetched the certificate.
   */
  readonly certificate: Certificate | undefined
  /** The certificates above `certificate`, proven up to the pinned root. */
  readonly chain: readonly Certificate[]
  /** Whether this is a service account, which signs in with a key of its own. */
  readonly isService: boolean
  /**
   * The permissions that a service account may use below its role, as the service says; null for a
   * person.
   */
  readonly listed: ListedPermissions
}

/**
 * Reads the account, the device and the certificate that a store holds; undefined for an empty
 * store.
 */
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

/**
 * The certificate under which this device signs. Throws NOT_CERTIFIED where the device has none
 * yet.
 */
export function requireCertificate(self: Self): Certificate {
  if (!self.certificate) throw refuse('NOT_CERTIFIED', 'This device has not been certified yet.')
  return self.certificate
}

/**
 * The hash of the certificate under which this device signs in an operation. The log of the
 * operation decides: a renewal counts there once the log shows it.
 */
export function certificateIn(self: Self, view: OperationView): string {
  return (view.devices.get(self.device.id) ?? requireCertificate(self)).hash
}

/**
 * Whether this device may use a permission in an operation now, by its role and the state of the
 * operation, and for a service account by its list.
 */
export function mayUse({ account, listed }: Self, view: OperationView, permission: Permission): boolean {
  const member = view.member(account.person as PersonId)
  return member !== undefined && may(member.role, permission, view.state).allowed && isListed(listed, permission)
}

/**
 * Whether this device gets the content of messages. Auditors, and service accounts whose list lacks
 * `message.read`, get entries alone.
 */
export function getsContent({ account, listed }: Self, view: OperationView): boolean {
  return view.member(account.person as PersonId)?.role !== 'auditor' && isListed(listed, 'message.read')
}

/**
 * Refuses a passphrase to sign in with that is also the passphrase of the store: the service sees
 * the former and must never learn the latter. Throws STORE_PASSPHRASE_REUSED.
 */
export async function requireOtherPassphrase(store: ClientStore, passphrase: string): Promise<void> {
  if ((await store.isOwnPassphrase?.(passphrase)) === true)
    throw refuse('STORE_PASSPHRASE_REUSED', 'The passphrase to sign in with is also the passphrase of the store.')
}
