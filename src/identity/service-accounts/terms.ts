import { isPermission, mayBeListed, type Permission } from '../../access.ts'
import type { Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import { deviceIdOf, type SignJwk } from '../../protocol/index.ts'
import { findDevice } from '../store.ts'
import { isRange } from './addresses.ts'
import * as store from './store.ts'

const longestLifeMs = 366 * 24 * 3600_000

/** The terms of the account that an invitation of the tier `service` makes. */
export interface TermsInput {
  readonly permissions: readonly string[]
  readonly addresses: readonly string[]
  readonly expiresAt: string
}

/** Answers the terms of an account that may be made; VALIDATION otherwise. */
function requireTerms({ permissions, addresses, expiresAt }: TermsInput, now: Date): store.Terms {
  const until = new Date(expiresAt)
  const fault = (pointer: string, reason: string) =>
    new Problem('VALIDATION', { faults: [{ in: 'body', pointer: `/service${pointer}`, reason }] })
  const listed = permissions.filter((one) => isPermission(one) && mayBeListed(one)) as Permission[]
  if (listed.length !== permissions.length) throw fault('/permissions', 'lists permissions that an officer can have')
  if (!addresses.every(isRange)) throw fault('/addresses', 'lists ranges such as 192.0.2.0/24 or 2001:db8::/32')
  if (!(until > now) || until.getTime() - now.getTime() > longestLifeMs)
    throw fault('/expiresAt', 'is a time from now up to 366 days ahead')
  return { permissions: listed, addresses, expiresAt: until }
}

/**
 * Makes the account that an invitation of the tier `service` is for, once. No account is both a
 * person and a service account, and none becomes the other. Answers the terms as the entry records
 * them.
 */
export async function registerAccount(
  tx: Tx,
  input: { readonly person: { readonly id: string }; readonly tier: string; readonly service?: TermsInput },
  existing: boolean,
  now: Date,
): Promise<TermsInput | undefined> {
  const { person, tier, service } = input
  if ((tier === 'service') !== (service !== undefined))
    throw new Problem('VALIDATION', {
      faults: [{ in: 'body', pointer: '/service', reason: 'is there exactly where the tier is service' }],
    })
  if (existing && (service || (await store.findServiceAccount(tx, person.id)))) throw new Problem('ALREADY_EXISTS')
  if (!service) return undefined
  const terms = requireTerms(service, now)
  await store.insertServiceAccount(tx, person.id, terms)
  return { ...terms, expiresAt: terms.expiresAt.toISOString() }
}

/**
 * Keeps the key with which an account will sign in, and answers its thumbprint. The key must be no
 * device's key: no key serves two protocols.
 */
export async function keepSignInKey(tx: Tx, account: string, key: SignJwk, device: string, now: Date): Promise<string> {
  const known = await store.findServiceAccount(tx, account)
  if (!known || known.ended_at || known.expires_at <= now) throw new Problem('INVITATION_INVALID')
  const thumbprint = await deviceIdOf(key)
  const inUse = thumbprint === device || (await findDevice(tx, thumbprint)) || (await store.isSignInKey(tx, thumbprint))
  if (inUse) throw new Problem('ENROLMENT_INVALID', { reason: 'KEY_REUSED' })
  await store.setSignInKey(tx, account, JSON.stringify(key), thumbprint)
  return thumbprint
}
