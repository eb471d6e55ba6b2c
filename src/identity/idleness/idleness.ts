import { transaction, type Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import type { AppendResult, EntryDraft } from '../../log/index.ts'
import type { IdentityDeps } from '../deps.ts'
import { queueNotices, waitsForSleep, type Notice } from '../notices/store.ts'
import type { NoticeOutcome, SleepNotice, SleepNotices } from '../notices/outbox.ts'
import type { PeopleService } from '../people/service.ts'
import { lockPerson } from '../store.ts'
import { dayMs, earliestSleep, nextStep, noticeDays, sleepsAfter } from './schedule.ts'
import * as store from './store.ts'

interface IdlenessDeps extends Pick<IdentityDeps, 'db' | 'logs' | 'clock' | 'server' | 'sleepAfterDays'> {
  readonly people: PeopleService
  readonly onError: (what: string, error: unknown) => void
}

/**
 * The role that would be left without a holder: coordinator of an operation, or administrator of
 * the service.
 */
type NeededRole = 'coordinator' | 'administrator'

/** Answers when each of these people sleeps at the earliest, and who would sleep but is needed. */
export async function sleepTimes(
  tx: Tx,
  organization: string,
  now: Date,
  sleepAfterDays: number,
): Promise<Map<string, { sleepsAt: Date; needed: boolean }>> {
  const idle = await store.idlePeople(tx, { organization })
  return new Map(
    idle.map((one) => [
      one.person,
      { sleepsAt: earliestSleep(one, now, sleepAfterDays * dayMs), needed: isKept(one, now, sleepAfterDays * dayMs) },
    ]),
  )
}

/**
 * Accounts that nobody uses sleep once their people were told 30, 10 and 3 days before. Any number
 * of servers may run this at once: it reads each account again under the lock of the person's row.
 */
export class IdlenessReview implements SleepNotices {
  readonly #deps: IdlenessDeps
  readonly #limit: number

  constructor(deps: IdlenessDeps) {
    this.#deps = deps
    this.#limit = deps.sleepAfterDays * dayMs
  }

  /** Queues the notices that are due, and puts to sleep the people who were given all of them. */
  async review(): Promise<void> {
    const { db, clock, onError } = this.#deps
    const now = clock()
    const unusedSince = new Date(now.getTime() - this.#limit + noticeDays[0] * dayMs)
    const idle = await transaction(db, (tx) => store.idlePeople(tx, { unusedSince }))
    for (const one of idle) {
      if (this.#next(one, now).act === 'wait') continue
      try {
        await this.#take(one.person)
      } catch (error) {
        onError('an account that nobody uses', error)
      }
    }
  }

  async #take(person: string): Promise<void> {
    try {
      const appended = await transaction(this.#deps.db, (tx) => this.#takeWithin(tx, person))
      appended?.afterCommit()
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'LAST_COORDINATOR')) throw error
      const appended = await transaction(this.#deps.db, (tx) => this.#keep(tx, person, 'coordinator'))
      appended?.afterCommit()
    }
  }

  async #takeWithin(tx: Tx, person: string): Promise<AppendResult | undefined> {
    await store.lockSleeping(tx)
    const idle = await this.#lock(tx, person)
    if (!idle) return undefined
    const now = this.#deps.clock()
    const next = this.#next(idle, now)
    if (next.act === 'notice' && !(await waitsForSleep(tx, person)))
      await queueNotices(tx, [{ person, kind: 'sleep', days: next.days }], now)
    if (next.act !== 'sleep') return undefined
    const administrators = await store.awakeOfTier(tx, 'administrator')
    if (administrators.length === 1 && administrators[0] === person) return this.#keep(tx, person, 'administrator')
    return this.#deps.people.sleepIdle(tx, person)
  }

  /**
   * Leaves a needed account awake, and tells the people who can change that: once, in the log and
   * by a notice.
   */
  async #keep(tx: Tx, person: string, needed: NeededRole): Promise<AppendResult | undefined> {
    const { logs, server, clock } = this.#deps
    const idle = await this.#lock(tx, person)
    if (!idle || idle.keptAt || this.#next(idle, clock()).act !== 'sleep') return undefined
    const details = { outcome: 'awake', reason: `last-${needed}` }
    const draft: EntryDraft = { kind: 'account.alarm', actor: { server }, subject: person, details }
    await this.#tellOthers(tx, person, idle.organization)
    const appended = await logs.appendWithin(tx, [{ log: logs.directory, drafts: [draft] }])
    const [entry] = appended.entries.get(logs.directory) ?? []
    if (entry) await store.markKept(tx, person, entry.at)
    return appended
  }

  async standing(tx: Tx, { person_id: person, days }: Notice, now: Date): Promise<SleepNotice | undefined> {
    const [idle] = await store.idlePeople(tx, { person })
    const next = idle && this.#next(idle, now)
    if (!idle || next?.act !== 'notice' || next.days !== days) return undefined
    const { idleSince } = idle
    return { person, idleSince, days, sleepsAt: sleepsAfter(idle, days, now, this.#limit), noticedAt: now }
  }

  async given(tx: Tx, { person, ...plan }: SleepNotice, { outcome }: NoticeOutcome): Promise<void> {
    await store.putPlan(tx, person, plan)
    const [idle] = outcome === 'listed' ? await store.idlePeople(tx, { person }) : []
    if (idle) await this.#tellOthers(tx, person, idle.organization)
  }

  /**
   * Tells the people who answer for a person who could not be told: the contact points of the
   * organization, or else the administrators.
   */
  async #tellOthers(tx: Tx, person: string, organization: string): Promise<void> {
    const now = this.#deps.clock()
    const others = async (tier: string, of?: string) =>
      (await store.awakeOfTier(tx, tier, of)).filter((other) => other !== person)
    const ncps = await others('ncp', organization)
    const told = ncps.length > 0 ? ncps : await others('administrator')
    const idle = await store.idlePeople(tx, {
      organization,
      unusedSince: new Date(now.getTime() - this.#limit + noticeDays[0] * dayMs),
    })
    const drafts = told.map((other) => ({ person: other, kind: 'sleepers' as const, accounts: idle.length }))
    await queueNotices(tx, drafts, now)
  }

  async #lock(tx: Tx, person: string): Promise<store.IdlePerson | undefined> {
    await lockPerson(tx, person)
    return (await store.idlePeople(tx, { person }))[0]
  }

  #next(idle: store.IdlePerson, now: Date) {
    return nextStep(idle, now, this.#limit)
  }
}

function isKept(idle: store.IdlePerson, now: Date, limit: number): boolean {
  return idle.keptAt !== null && nextStep(idle, now, limit).act === 'sleep'
}
