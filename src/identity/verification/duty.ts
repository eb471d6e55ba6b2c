import { microsecondText, type Details, type Findings } from '../../log/index.ts'
import type { Leaf } from '../../protocol/index.ts'
import { differences } from './directory.ts'
import type { RawDeputy } from './store.ts'

type Terms = Omit<RawDeputy, 'id'>

/** The newest statement of the directory about each contact point's deputy. */
export class DutyFold {
  readonly #deputies = new Map<string, Terms>()

  follow({ kind, subject }: Leaf, details: Details): void {
    if (kind === 'duty.taken-back') this.#deputies.delete(subject)
    if (kind !== 'duty.handed-over') return
    const { deputy, from, until } = (details?.['new'] ?? {}) as Record<string, unknown>
    this.#deputies.set(subject, {
      deputy_person_id: String(deputy),
      from_at: microsecondText(String(from)),
      until_at: typeof until === 'string' ? microsecondText(until) : null,
    })
  }

  deputy(row: RawDeputy): Findings {
    const expected = this.#deputies.get(row.id)
    if (!expected) return ['no entry of the directory made it']
    this.#deputies.delete(row.id)
    return differences(row, expected)
  }

  /** Answers the contact points whose arrangement has an entry and no row, a sentence each. */
  missing(): string[] {
    return [...this.#deputies.keys()].map((id) => `deputy of ${id}: it has entries and no row`)
  }
}
