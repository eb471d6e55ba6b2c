import { microsecondText, type Details, type Findings } from '../../log/index.ts'
import type { Leaf } from '../../protocol/index.ts'
import type { RawFactors } from './store.ts'

interface Factors {
  /** The times of the entries that set each factor last. */
  passphrase: string | undefined
  totp: string | undefined
  passkeys: number
  /** `heldBy` as the newest entry has it; entries of before 2026-11-30 do not say it. */
  held: unknown
}

const none = (): Factors => ({ passphrase: undefined, totp: undefined, passkeys: 0, held: undefined })

/**
 * The factors by which each person signs in according to the directory, so that none can be added,
 * exchanged or brought back unseen.
 */
export class FactorFold {
  readonly #people = new Map<string, Factors>()

  follow({ kind, subject, actor, at }: Leaf, details: Details): void {
    // A person who comes back after the loss of every device begins again.
    if (kind === 'device.enrolled' && details?.['reason'] === 'recovered' && 'person' in actor)
      this.#people.set(actor.person, none())
    if (kind !== 'credential.set') return
    const factors = this.#people.get(subject) ?? none()
    this.#people.set(subject, factors)
    factors.held = details?.['held']
    const removed = details?.['reason'] === 'removed'
    const set = removed ? undefined : microsecondText(at)
    switch (details?.['factor']) {
      case 'passphrase':
        factors.passphrase = set
        // The codes of the passphrase are removed with it.
        if (removed) factors.totp = undefined
        return
      case 'totp':
        factors.totp = set
        return
      case 'passkey':
        factors.passkeys += removed ? -1 : 1
    }
  }

  person(row: RawFactors): Findings {
    const { passphrase, totp, passkeys, held } = this.#people.get(row.id) ?? none()
    this.#people.delete(row.id)
    const faults: string[] = []
    // A row is written a moment before its entry.
    if ((row.passphrase_at !== null) !== (passphrase !== undefined) || (row.passphrase_at ?? '') > (passphrase ?? ''))
      faults.push('no entry made their passphrase')
    if ((row.totp_at !== null) !== (totp !== undefined) || (row.totp_at ?? '') > (totp ?? ''))
      faults.push('no entry made their authenticator app')
    if (held !== undefined && row.held !== held) faults.push('a factor of theirs is not the recorded one')
    if (row.passkeys !== passkeys)
      faults.push(`they have ${String(row.passkeys)} passkeys where ${String(passkeys)} were recorded`)
    return faults
  }

  /** Answers the people who have entries and no factor, a sentence each. */
  missing(): string[] {
    return [...this.#people]
      .filter(([, { passphrase, totp, passkeys }]) => passphrase !== undefined || totp !== undefined || passkeys > 0)
      .map(([id]) => `person ${id}: a factor that was entered is missing`)
  }
}
