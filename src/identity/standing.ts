import type { Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { isAdministrator, type Actor } from './deps.ts'
import * as store from './store.ts'

/** The session that acts is still alive, and its device may still what it might when the request came. */
export async function requireStanding(tx: Tx, actor: Actor, now: Date): Promise<void> {
  const [standing] = await store.sessionsStanding(tx, [actor.session], now)
  if (!standing?.alive) throw new Problem('SESSION_ENDED')
  if (standing.tier !== actor.tier) throw new Problem('FORBIDDEN')
}

/**
 * Somebody of the NCP's own organization, or anybody for an administrator; others do not exist. Locked with whoever acts and who else is concerned, in the
 * order of their ids.
 */
export async function requireOwn(
  tx: Tx,
  actor: Actor,
  person: string,
  now: Date,
  ...concerned: readonly string[]
): Promise<store.PersonRow> {
  const locked = new Map<string, store.PersonRow | undefined>()
  for (const id of [...new Set([person, actor.person, ...concerned])].sort())
    locked.set(id, await store.lockPerson(tx, id))
  const row = locked.get(person)
  const own = actor.tier === 'ncp' && row?.organization_id === actor.organization
  if (!row || !(own || isAdministrator(actor))) throw new Problem('NOT_FOUND')
  await requireStanding(tx, actor, now)
  return row
}
