import { may } from '../access.ts'
import type { Tx } from '../db/index.ts'
import { namesAmong } from '../identity/index.ts'
import { subjectsAmong, type EntriesPage, type PageNames } from '../log/index.ts'
import { parseLeaf, type OperationView, type PersonId } from '../protocol/index.ts'
import type { Membership } from './authorize.ts'
import { sharesCompartment } from './visibility.ts'

/**
 * Answers whose entries a role may ask for (access.md): those of all, of its organization, or those
 * that the person caused.
 */
export function reachOf({ role, state }: Membership): 'everybody' | 'organization' | 'person' {
  if (may(role, 'log.query', state).role === 'yes') return 'everybody'
  return role === 'ncp' ? 'organization' : 'person'
}

const uuids = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g

/** All ids on a page: in its leaves, and in the details that it shows. */
export function idsIn({ entries }: EntriesPage): string[] {
  return [...new Set(entries.flatMap(({ leaf, details = '' }) => `${leaf} ${details}`.match(uuids) ?? []))]
}

/** The people who caused the entries of a page. */
function actorsIn({ entries }: EntriesPage): Set<string> {
  return new Set(entries.map(({ leaf }) => parseLeaf(leaf).actor).flatMap((by) => ('person' in by ? [by.person] : [])))
}

/**
 * Answers the names among the ids on a page that a member may see. Members see the names of the
 * present members that `member.list` shows them. Of people who have left, those whose role queries
 * the entries of all see the names of all who ever were members, a contact point those of its own
 * organization. Nobody sees names of people who never were members, except auditors, to whom the
 * log shows the acts of administrators.
 */
export async function namesOfOperation(
  tx: Tx,
  view: OperationView,
  membership: Membership,
  page: EntriesPage,
): Promise<PageNames> {
  const ids = idsIn(page)
  const acted = actorsIn(page)
  const { operation, role, person: self, organization: own } = membership
  const [names, admitted, invited] = [
    await namesAmong(tx, ids),
    await subjectsAmong(tx, operation, 'member.admitted', ids),
    await subjectsAmong(tx, operation, 'operation.organization-admitted', ids),
  ]
  const everybody = reachOf(membership) === 'everybody'
  const seesNow = (person: string) =>
    view.member(person as PersonId) !== undefined &&
    (role !== 'right-holder' || sharesCompartment(view, self, person as PersonId))
  const people = names.people.filter(({ person, organization }) => {
    if (role === 'auditor' && acted.has(person)) return true
    return admitted.has(person) && (everybody || organization === own || seesNow(person))
  })
  const homes = new Set([own, ...people.map(({ organization }) => organization)])
  const organizations = names.organizations.filter(
    ({ organization }) => homes.has(organization) || (everybody && invited.has(organization)),
  )
  return { people, organizations }
}
