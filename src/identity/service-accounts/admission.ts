import type { ListedPermissions } from '../../access.ts'
import { transaction, type Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import type { IdentityDeps } from '../deps.ts'
import { recordProof, type SessionStanding } from '../store.ts'
import { hashSecret } from '../tokens.ts'
import { isInRanges } from './addresses.ts'
import { accountOf, assertionLifetimeSeconds, verifyAssertion } from './assertion.ts'
import * as store from './store.ts'

/** A use is noted once in this time, and whenever it comes from another address. */
const noteUseEveryMs = 60_000

/**
 * Answers the account and device behind a client assertion: signed with the account's own key, for
 * this service and this session key, now, and used once on all servers. Otherwise SIGN_IN_REFUSED;
 * ADDRESS_REFUSED where the key is used from an address that was not agreed.
 */
export async function requireAssertion(
  { db, address: service }: Pick<IdentityDeps, 'db' | 'address'>,
  input: { readonly assertion: string; readonly thumbprint: string; readonly address: string },
  now: Date,
): Promise<{ person: string; device: string }> {
  const { assertion, thumbprint, address } = input
  const person = accountOf(assertion)
  if (person === undefined) throw new Problem('SIGN_IN_REFUSED')
  const { known, device } = await transaction(db, async (tx) => ({
    known: await store.findServiceAccount(tx, person),
    device: await store.liveDeviceOf(tx, person),
  }))
  const key = known?.sign_in_key
  if (!known || !key || device === undefined) throw new Problem('SIGN_IN_REFUSED')
  const { jti } = await verifyAssertion(assertion, { account: person, key, audience: service.origin, thumbprint }, now)
  if (thumbprint === known.key_thumbprint || thumbprint === device) throw new Problem('SIGN_IN_REFUSED')
  const until = new Date(now.getTime() + 2 * assertionLifetimeSeconds * 1000)
  const fresh = await transaction(db, (tx) => recordProof(tx, hashSecret(`assertion ${person} ${jti}`), until))
  if (!fresh) throw new Problem('SIGN_IN_REFUSED')
  requireAddress(JSON.parse(known.addresses) as string[], address)
  return { person, device }
}

/**
 * Refuses a service account that comes from an address other than its own, and notes that it was
 * used. Called at every request and at the socket.
 */
export async function admitAddress(
  tx: Tx,
  { person, addresses }: Pick<SessionStanding, 'person' | 'addresses'>,
  address: string,
  now: Date,
): Promise<void> {
  if (addresses === null) return
  requireAddress(addresses, address)
  await store.noteUse(tx, person, now, address, new Date(now.getTime() - noteUseEveryMs))
}

function requireAddress(ranges: readonly string[], address: string): void {
  if (!isInRanges(ranges, address)) throw new Problem('ADDRESS_REFUSED')
}

/**
 * Answers the permissions that are listed below the role: none for a service account that has lost
 * its row, null for a person.
 */
export function listedOf({ tier, permissions }: Pick<SessionStanding, 'tier' | 'permissions'>): ListedPermissions {
  return permissions ?? (tier === 'service' ? [] : null)
}
