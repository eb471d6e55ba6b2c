import { transaction, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import type { Caller, AppendResult, EntryDraft, Part, Standing } from '../log/index.ts'
import type { SignedInCaller, IdentityDeps } from './deps.ts'
import { listedOf } from './service-accounts/admission.ts'
import * as store from './store.ts'

declare const upright: unique symbol

/**
 * Who acts, as the rows say it while they are locked. `actInDirectory` alone makes one: what writes
 * for somebody asks for it.
 */
export interface LockedCaller extends SignedInCaller {
  readonly [upright]: true
}

/** An act in the directory under way. */
export interface DirectoryAct {
  readonly tx: Tx
  readonly by: LockedCaller
  readonly now: Date
  /** Appends to the directory alone. */
  readonly enter: (...drafts: readonly EntryDraft[]) => Promise<AppendResult>
  /** Appends to the directory and to operations. */
  readonly append: (parts: readonly Part[]) => Promise<AppendResult>
  /**
   * Of what something else appended within this transaction the followers hear after its commit,
   * too.
   */
  readonly told: (appended: AppendResult) => void
}

/**
 * People whose rows an act changes or counts on, or how they are found; whatever else it locks, it
 * locks there first.
 */
export type ConcernedPeople = readonly string[] | ((tx: Tx) => Promise<readonly string[]>)

type Deps = Pick<IdentityDeps, 'db' | 'logs' | 'clock'>

/**
 * Whatever a person does outside the logs of operations, looking included: one transaction that
 * locks the people it concerns and whoever acts, in the order of their ids, asks anew whether that
 * one still stands, does the work with its entries, and tells followers after the commit.
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
    const by = await requireLockedCaller(tx, actor, now)
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
 * Those who are concerned FOR UPDATE, whoever acts FOR SHARE, all in one order: two that do this
 * never wait for each other in a circle.
 */
async function lockPeople(tx: Tx, actor: string, concerned: readonly string[]): Promise<void> {
  for (const person of [...new Set([...concerned, actor])].sort())
    await (concerned.includes(person) ? store.lockPerson(tx, person) : store.sharePersons(tx, [person]))
}

/** The session that acts is alive, and its device may still what it might when the request came. */
async function requireLockedCaller(tx: Tx, actor: SignedInCaller, now: Date): Promise<LockedCaller> {
  const [row] = await store.sessionsStanding(tx, [actor.session], now)
  const by = callerOf(row)
  if (by instanceof Problem) throw by
  if (by.tier === null && actor.tier !== null) throw new Problem('DEVICE_NOT_CERTIFIED')
  if (by.tier !== actor.tier) throw new Problem('FORBIDDEN')
  return by as LockedCaller
}

/**
 * Whoever has this session, as its rows say it; SESSION_ENDED where it ended, or where what it
 * stands on did.
 */
export function callerOf(row: store.SessionStanding | undefined): SignedInCaller | Problem {
  if (!row?.alive) return new Problem('SESSION_ENDED')
  const { session, person, organization, device, tier, deviceState, verifiedAt } = row
  return { session, person, organization, device, tier, deviceState, verifiedAt, listed: listedOf(row) }
}

/**
 * For acts on the log of an operation: who of these still stands, read once their rows are locked
 * (see migrations/0003).
 */
export async function lockActors(
  tx: Tx,
  actors: readonly Caller[],
  persons: readonly string[],
  now: Date,
): Promise<Map<string, Standing | Problem>> {
  await store.sharePersons(tx, [...new Set([...actors.map(({ person }) => person), ...persons])])
  const rows = await store.sessionsStanding(tx, [...new Set(actors.map(({ session }) => session))], now)
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
