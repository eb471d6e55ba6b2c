import { transaction, type Database, type Tx } from '../db/index.ts'
import { Problem } from '../errors.ts'
import * as store from './store.ts'

/**
 * Passphrases that may be wrong at one door of a person within these minutes before the door stays
 * shut for as long.
 */
const attemptLimit = { failures: 10, minutes: 15 } as const

export function patientSince(now: Date): Date {
  return new Date(now.getTime() - attemptLimit.minutes * 60_000)
}

/**
 * Counts an attempt, then answers what `find` reads to check it against. SIGN_IN_REFUSED once too
 * many attempts have failed at this door.
 */
export async function checkCountedAttempt<T>(
  db: Database,
  attempt: store.Attempt,
  now: Date,
  find: (tx: Tx) => Promise<T>,
): Promise<T> {
  return transaction(db, async (tx) => {
    const fits = await store.countAttempt(tx, attempt, now, { since: patientSince(now), most: attemptLimit.failures })
    if (!fits) throw new Problem('SIGN_IN_REFUSED')
    return find(tx)
  })
}
