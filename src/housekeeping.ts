import type { RateStore } from './db/index.ts'
import type { Identity } from './identity/index.ts'

interface HousekeepingDeps {
  readonly identity: Identity
  readonly rateStore: Pick<RateStore, 'forget'>
  readonly clock: () => Date
  readonly onError: (what: string, error: unknown) => void
}

const minutelyMs = 60_000
const reviewEveryMs = 10 * 60_000

/** Does the work that is due each minute and each ten minutes, until the caller disposes of it. */
export function startHousekeeping({ identity, rateStore, clock, onError }: HousekeepingDeps): Disposable {
  const { sessions, outbox, serviceAccounts, renewals, idleness } = identity
  const tend = (what: string, work: Promise<unknown>) => {
    work.catch((error: unknown) => onError(what, error))
  }
  const minutely = setInterval(() => {
    tend('forgetting sessions that have expired', sessions.forgetExpired())
    tend('forgetting notices that were given', outbox.forgetGiven())
    tend('forgetting rates that are over', rateStore.forget(clock()))
    tend('ending service accounts that have expired', serviceAccounts.endOverdue())
    tend('ending certificates that have expired', renewals.endOverdue())
    outbox.hurry()
  }, minutelyMs)
  const reviewing = setInterval(() => tend('looking for accounts that nobody uses', idleness.review()), reviewEveryMs)
  for (const timer of [minutely, reviewing]) timer.unref()
  return {
    [Symbol.dispose]() {
      clearInterval(minutely)
      clearInterval(reviewing)
    },
  }
}
