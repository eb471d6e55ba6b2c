import { Problem } from '../errors.ts'
import type { DirectoryAct } from './directory-act.ts'
import { isAdministrator } from './deps.ts'
import * as store from './store.ts'

/**
 * Somebody of the NCP's own organization, or anybody for an administrator; others do not exist.
 * Their row is among those that the act locked.
 */
export async function requireOwn(
  { tx, by }: Pick<DirectoryAct, 'tx' | 'by'>,
  person: string,
): Promise<store.PersonRow> {
  const [row] = await store.findPeople(tx, [person])
  const own = by.tier === 'ncp' && row?.organization_id === by.organization
  if (!row || !(own || isAdministrator(by))) throw new Problem('NOT_FOUND')
  return row
}
