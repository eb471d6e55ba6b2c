import { transaction, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import type { Caller, AppendResult, EntryDraft, Part, Standing } from '../log/index.ts'
import { momentOf, type SignedInCaller, type IdentityDeps, type Moment } from './deps.ts'
import { listedOf } from './service-accounts/admission.ts'
import * as store from './store.ts'

declare const upright: unique symbol

/**
 * The caller of an act, as the rows say it while they are locked. Only `actInDirectory` makes a
 * LockedCaller, so a function that writes for a person asks for it.
 */
export interface LockedCaller extends SignedInCaller {
  readonly [upright]: true
}

/** An act in the directory that is under way. */
export interface DirectoryAct {
  readonly tx: Tx
  readonly by: LockedCaller
  readonly now: Date
  /** Appends entries to the directory alone. */
  readonly enter: (...drafts: readonly EntryDraft[]) => Promise<AppendResult>
  /** Appends entries to the directory and to operations. */
  readonly append: (parts: readonly Part[]) => Promise<AppendResult>
  /**
   * Takes what other code appended within this transaction, so that followers hear of it after the
   * commit.
   */
  readonly told: (appended: AppendResult) => void
}

/**
 * The people whose rows an act changes or depends on, or the function that finds them; whatever
 * other rows it locks, it locks in this function first.
 */
export type ConcernedPeople = readonly string[] | ((tx: Tx) => Promise<readonly string[]>)

type Deps = Pick<IdentityDeps, 'db' | 'logs' | 'clock'>

/**
 * Does an act of a person outside the logs of operations, views included, in one transaction. Locks
 * the people that it concerns and the caller, in the order of their ids; asks anew whether the
 * caller may still act; does the work with its entries; and tells followers after the commit.
 * Throws SESSION_ENDED, DEVICE_NOT_CERTIFIED, FORBIDDEN and the Problems of `work`.
 */
export async function actInDirectory<T>(
  { db, logs, clock }: Deps,
  actor: SignedInCaller,
  concerned: ConcernedPeople,
  work: (act: DirectoryAct) => Promise<T>,
): Promise<T> {
  const made: AppendResult[] = []
  const result = await transaction(db, async (tx) => {
    await lockPeople(tx, actor.person, typeof concerned === 'function' ? await concerned(tx) : concerned)
    const now = clock()
    const by = await requireLockedCaller(tx, actor, momentOf({ logs }, now))
    const append = async (parts: readonly Part[]) => {
      const appended = await logs.appendWithin(tx, parts)
      made.push(appended)
      return appended
    }
    return work({
      tx,
      by,
      now,
      append,
      enter: (...drafts) => append([{ log: logs.directory, drafts }]),
      told: (appended) => void made.push(appended),
    })
  })
  for (const appended of made) appended.afterCommit()
  return result
}

/**
 * Locks the people concerned FOR UPDATE and the caller FOR SHARE, all in one order: two
 * transactions that do this never wait for each other in a circle.
 */
async function lockPeople(tx: Tx, actor: string, concerned: readonly string[]): Promise<void> {
  for (const person of [...new Set([...concerned, actor])].sort())
    await (concerned.includes(person) ? store.lockPerson(tx, person) : store.sharePersons(tx, [person]))
}

/**
 * Answers the caller if the session is alive and the device still has the tier that it had when the
 * request came.
 */
async function requireLockedCaller(tx: Tx, actor: SignedInCaller, moment: Moment): Promise<LockedCaller> {
  const [row] = await store.sessionsStanding(tx, [actor.session], moment)
  const by = callerOf(row)
  if (by instanceof Problem) throw by
  if (by.tier === null && actor.tier !== null) throw new Problem('DEVICE_NOT_CERTIFIED')
  if (by.tier !== actor.tier) throw new Problem('FORBIDDEN')
  return by as LockedCaller
}

/**
 * Answers the caller of a session from its row; SESSION_ENDED where the session ended, or where its
 * device, person or organization did.
 */
export function callerOf(row: store.SessionStanding | undefined): SignedInCaller | Problem {
  if (!row?.alive) return new Problem('SESSION_ENDED')
  const { session, person, organization, device, tier, deviceState, verifiedAt } = row
  return { session, person, organization, device, tier, deviceState, verifiedAt, listed: listedOf(row) }
}

/**
 * Locks the people of acts on the log of an operation, then answers by session which callers may
 * still act, or the Problem that stops them (see migrations/0003).
 */
export async function lockActors(
  tx: Tx,
  actors: readonly Caller[],
  persons: readonly string[],
  moment: Moment,
): Promise<Map<string, Standing | Problem>> {
  const [, rows] = await Promise.all([
    store.sharePersons(tx, [...new Set([...actors.map(({ person }) => person), ...persons])]),
    store.sessionsStanding(tx, [...new Set(actors.map(({ session }) => session))], moment),
  ])
  const bySession = new Map(rows.map((row) => [row.session, row]))
  return new Map(
    actors.map(({ session }) => {
      const actor = callerOf(bySession.get(session))
      if (actor instanceof Problem) return [session, actor]
      const { tier } = actor
      return [session, tier === null ? new Problem('DEVICE_NOT_CERTIFIED') : { ...actor, tier }]
    }),
  )
}
