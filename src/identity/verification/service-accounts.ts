import { microsecondText, type Details, type Findings } from '../../log/index.ts'
import { SignJwk, deviceIdOf, shape, type Leaf } from '../../protocol/index.ts'
import { differences } from './directory.ts'
import type { RawServiceAccount } from './store.ts'

interface RecordedServiceAccount {
  readonly terms: { readonly permissions: unknown; readonly addresses: unknown; readonly expiresAt: unknown }
  thumbprint: unknown
  endedAt: string | null
}

const parseKey = shape('key of a service account', SignJwk)

async function thumbprintOf(key: string | null): Promise<string | null | undefined> {
  try {
    return key === null ? null : await deviceIdOf(parseKey(JSON.parse(key)))
  } catch {
    return undefined
  }
}

/** What the directory has said so far of service accounts. */
export class ServiceAccountFold {
  readonly #accounts = new Map<string, RecordedServiceAccount>()

  follow({ kind, subject, at }: Leaf, details: Details): void {
    if (kind === 'person.invited' && details?.['tier'] === 'service') {
      const terms = details['service'] as RecordedServiceAccount['terms']
      this.#accounts.set(subject, { terms, thumbprint: null, endedAt: null })
    }
    const account = this.#accounts.get(subject)
    if (!account) return
    if (kind === 'credential.set') account.thumbprint = details?.['thumbprint']
    if (kind === 'service.ended') account.endedAt = microsecondText(at)
  }

  async account(row: RawServiceAccount): Promise<Findings> {
    const entered = this.#accounts.get(row.id)
    if (!entered) return ['no entry of the directory made it']
    this.#accounts.delete(row.id)
    const { terms, thumbprint, endedAt } = entered
    const faults = differences(row, {
      permissions: JSON.stringify(terms.permissions),
      addresses: JSON.stringify(terms.addresses),
      expires_at: microsecondText(String(terms.expiresAt)),
      key_thumbprint: thumbprint as string | null,
      ended_at: endedAt,
    })
    if ((await thumbprintOf(row.sign_in_key)) !== thumbprint) faults.push('its sign_in_key is not the recorded one')
    return faults
  }

  /** Answers the accounts that have an entry and no row, a sentence each. */
  missing(): string[] {
    return [...this.#accounts.keys()].map((id) => `service account ${id}: it has entries and no row`)
  }
}
