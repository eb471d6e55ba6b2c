/** How many days before an account sleeps its person is told, in this order. */
export const noticeDays = [30, 10, 3] as const
export type NoticeDays = (typeof noticeDays)[number]

export const dayMs = 24 * 3600_000

/** The newest notice that was given. */
export interface SleepPlan {
  /** The last use of the account, from which the notice counted. */
  readonly idleSince: Date
  readonly days: NoticeDays
  readonly sleepsAt: Date
  readonly noticedAt: Date
}

export type Step =
  { readonly act: 'wait' } | { readonly act: 'notice'; readonly days: NoticeDays } | { readonly act: 'sleep' }

export interface Idle {
  readonly idleSince: Date
  readonly plan: SleepPlan | undefined
}

/**
 * Answers what is due for an account that was last used at `idleSince`. Each notice is due its
 * number of days before the sleep, and puts the sleep off to that number of days after itself: so
 * no account sleeps without all three notices, each in time, whatever a service that was down or a
 * clock that jumped has missed. `limit` in milliseconds.
 */
export function nextStep(idle: Idle, now: Date, limit: number): Step {
  const plan = standing(idle, now)
  const next = plan === undefined ? noticeDays[0] : noticeDays[noticeDays.indexOf(plan.days) + 1]
  const left = sleepsAt(idle, now, limit).getTime() - now.getTime()
  if (left > (next ?? 0) * dayMs) return { act: 'wait' }
  return next === undefined ? { act: 'sleep' } : { act: 'notice', days: next }
}

/** Answers when the account sleeps if this notice is given now. `limit` in milliseconds. */
export function sleepsAfter(idle: Idle, days: NoticeDays, now: Date, limit: number): Date {
  return later(sleepsAt(idle, now, limit), daysAfter(now, days))
}

/**
 * Answers the earliest time at which the account can sleep, for a person who looks it up: notices
 * that are still to come are included. `limit` in milliseconds.
 */
export function earliestSleep(idle: Idle, now: Date, limit: number): Date {
  const plan = standing(idle, now)
  const least = plan === undefined ? noticeDays[0] : (noticeDays[noticeDays.indexOf(plan.days) + 1] ?? 0)
  return later(sleepsAt(idle, now, limit), daysAfter(now, least))
}

function sleepsAt(idle: Idle, now: Date, limit: number): Date {
  const due = new Date(idle.idleSince.getTime() + limit)
  const plan = standing(idle, now)
  return plan === undefined ? due : later(later(due, plan.sleepsAt), daysAfter(plan.noticedAt, plan.days))
}

/**
 * Answers the plan that still counts: a notice counts while the account stays unused, and a notice
 * from a time that has not come does not count.
 */
function standing({ idleSince, plan }: Idle, now: Date): SleepPlan | undefined {
  return plan?.idleSince.getTime() === idleSince.getTime() && plan.noticedAt <= now ? plan : undefined
}

const daysAfter = (at: Date, days: number) => new Date(at.getTime() + days * dayMs)
const later = (one: Date, other: Date) => (one > other ? one : other)
