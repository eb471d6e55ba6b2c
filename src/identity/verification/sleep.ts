import { microsecondText, type Details, type Findings } from '../../log/index.ts'
import type { Leaf } from '../../protocol/index.ts'
import { differences } from './directory.ts'
import type { RawPlannedSleep } from './store.ts'

type RecordedSleep = Omit<RawPlannedSleep, 'id'>

/** The newest notice of sleep of each person that the directory says was given. */
export class SleepFold {
  readonly #plans = new Map<string, RecordedSleep>()

  follow({ kind, subject, at }: Leaf, details: Details): void {
    if (kind === 'notice.given' && details?.['notice'] === 'sleep')
      this.#plans.set(subject, {
        idle_since: microsecondText(String(details['idleSince'])),
        days: Number(details['days']),
        sleeps_at: microsecondText(String(details['sleepsAt'])),
        noticed_at: microsecondText(String(details['noticedAt'])),
        kept_at: null,
      })
    const plan = this.#plans.get(subject)
    if (plan && kind === 'account.alarm' && details?.['outcome'] === 'awake')
      this.#plans.set(subject, { ...plan, kept_at: microsecondText(at) })
  }

  plan(row: RawPlannedSleep): Findings {
    const entered = this.#plans.get(row.id)
    if (!entered) return ['no entry of the directory made it']
    this.#plans.delete(row.id)
    return differences<RawPlannedSleep>(row, entered)
  }

  /** Answers the people whose notice has an entry and no row, a sentence each. */
  missing(): string[] {
    return [...this.#plans.keys()].map((id) => `planned sleep of ${id}: it has entries and no row`)
  }
}
