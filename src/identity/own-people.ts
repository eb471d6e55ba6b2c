import { Problem } from '../errors.ts'
import type { DirectoryAct } from './directory-act.ts'
import { isAdministrator } from './deps.ts'
import * as store from './store.ts'

/**
 * Answers the row of a person whom the caller manages: an NCP those of its organization, an
 * administrator all. NOT_FOUND for other people. The act has locked the row.
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
