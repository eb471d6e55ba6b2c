import { createHash } from 'node:crypto'
import { Problem } from '../errors.ts'
import type { RecordDuty } from './duty.ts'

/**
 * The numbers of requests and frames in a minute. An account has a quota for each class of what it
 * records, through all doors together; a source has one for all requests, and one at each door
 * whose callers are not known yet.
 */
export const quotas = {
  /** Messages. An import posts some hundred a second. */
  'account-posting': 12_000,
  /** Every other request or frame that makes an entry of its own, views included. */
  'account-writing': 3_000,
  /**
   * Beginning to follow an operation, which its log records: a person with many devices and
   * operations does it once each when the service starts again.
   */
  'account-following': 600,
  /** Requests and frames that make no entry, or are recorded together with those of others. */
  'account-reading': 12_000,
  /** A whole team can sit behind one address. */
  source: 60_000,
  'source-sign-in': 300,
  'source-enrolment': 300,
  'source-token': 600,
  'source-setup': 30,
  'source-page': 600,
} as const

export type Policy = keyof typeof quotas
export type Quotas = Readonly<Record<Policy, number>>

const windowSeconds = 60
const flushEveryMs = 100
const pauseAfterFailureMs = 5_000
/**
 * The number of different sources that are remembered, and of accounts; later ones are counted
 * together.
 */
const mostSources = 50_000
/**
 * The number of sources at each door that are counted singly: of one network, and of one block of
 * networks. Further sources of it are counted together, so that none takes the room of all others.
 */
const mostTogether = { network: 64, block: 1_024 } as const

export interface RateLimitsDeps {
  readonly store: {
    add(
      counts: readonly { readonly key: Uint8Array; readonly endsAt: Date; readonly requests: number }[],
    ): Promise<readonly number[]>
  }
  readonly clock: () => Date
  readonly onError: (what: string, error: unknown) => void
  readonly quotas?: Partial<Quotas>
}

/** What is left of a quota, and the seconds until it is whole again. */
export interface QuotaBalance {
  readonly policy: Policy
  readonly quota: number
  readonly window: number
  readonly remaining: number
  readonly reset: number
  readonly refused: boolean
}

interface Counter {
  readonly key: Uint8Array
  readonly endsAt: Date
  /** Requests at all servers, as far as this server knows. */
  requests: number
  /** Requests at this server that it has not told the others yet. */
  untold: number
}

/**
 * Counts requests in fixed windows of a minute. Each request is judged by what this server knows,
 * without a question to another. Some times a second one statement brings the counts of this server
 * to the store and brings back the counts of others. So several servers share one quota but for the
 * requests that they admit within a tenth of a second. While the store fails, each server holds the
 * whole quota by itself.
 */
export class RateLimits {
  readonly #deps: RateLimitsDeps
  readonly #quotas: Quotas
  readonly #counters = { source: new Map<string, Counter>(), account: new Map<string, Counter>() }
  /** How many sources of a network or a block are counted singly in this window. */
  readonly #crowds = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #telling: Promise<void> | undefined
  #quietUntil = 0
  #endsAt = 0

  constructor(deps: RateLimitsDeps) {
    this.#deps = deps
    this.#quotas = { ...quotas, ...deps.quotas }
    this.#timer = setInterval(() => void this.tell(), flushEveryMs)
    this.#timer.unref()
  }

  /** Counts one request unless there is no room for it. */
  take(policy: Policy, who: string): QuotaBalance {
    const now = this.#deps.clock().getTime()
    const endsAt = (Math.floor(now / 1000 / windowSeconds) + 1) * windowSeconds * 1000
    if (endsAt !== this.#endsAt) this.#forget(now)
    this.#endsAt = endsAt
    const counter = this.#counter(policy, who, endsAt)
    const quota = this.#quotas[policy]
    const refused = counter.requests >= quota
    if (!refused) {
      counter.requests++
      counter.untold++
    }
    const remaining = Math.max(0, quota - counter.requests)
    return { policy, quota, window: windowSeconds, remaining, reset: Math.ceil((endsAt - now) / 1000), refused }
  }

  /**
   * Counts one request that has no headers for the balance: throws TOO_MANY_REQUESTS where there is
   * no room.
   */
  demand(policy: Policy, who: string): void {
    refuseNone([this.take(policy, who)])
  }

  #counter(policy: Policy, who: string, endsAt: number): Counter {
    const counters = policy.startsWith('source') ? this.#counters.source : this.#counters.account
    const find = (name: string) => counters.get(`${policy} ${name} ${endsAt}`)
    const known = find(who)
    if (known) return known
    const crowd = this.#crowdOf(policy, who)
    const counted = crowd ?? (counters.size >= mostSources ? others : who)
    const found = find(counted)
    if (found) return found
    const key = createHash('sha256').update(`${policy} ${counted}`).digest()
    const counter = { key, endsAt: new Date(endsAt), requests: 0, untold: 0 }
    counters.set(`${policy} ${counted} ${endsAt}`, counter)
    return counter
  }

  /**
   * Answers the network or block with whose others a source is counted, where too many of its
   * sources are counted singly; otherwise the source becomes one of them.
   */
  #crowdOf(policy: Policy, who: string): string | undefined {
    if (!policy.startsWith('source')) return undefined
    const [network, block] = networksOf(who)
    if (network === undefined || block === undefined) return undefined
    const names = { network: `${policy} ${network}`, block: `${policy} ${block}` }
    if ((this.#crowds.get(names.network) ?? 0) >= mostTogether.network) return network
    if ((this.#crowds.get(names.block) ?? 0) >= mostTogether.block) return block
    for (const name of Object.values(names)) this.#crowds.set(name, (this.#crowds.get(name) ?? 0) + 1)
    return undefined
  }

  #forget(now: number): void {
    this.#crowds.clear()
    for (const counters of Object.values(this.#counters))
      for (const [name, { endsAt }] of counters) if (endsAt.getTime() <= now) counters.delete(name)
  }

  /**
   * Tells the store what was counted since the last call, and takes over the counts of other
   * servers. One call is under way at a time.
   */
  tell(): Promise<void> {
    return (this.#telling ??= this.#tell().finally(() => (this.#telling = undefined)))
  }

  async #tell(): Promise<void> {
    const { store, clock, onError } = this.#deps
    if (clock().getTime() < this.#quietUntil) return
    const counters = [...this.#counters.source.values(), ...this.#counters.account.values()]
    const untold = counters.filter((counter) => counter.untold > 0)
    if (untold.length === 0) return
    const counts = untold.map(({ key, endsAt, untold: requests }) => ({ key, endsAt, requests }))
    try {
      const totals = await store.add(counts)
      untold.forEach((counter, i) => {
        counter.untold -= counts[i]?.requests ?? 0
        counter.requests = (totals[i] ?? counter.requests) + counter.untold
      })
    } catch (error) {
      this.#quietUntil = clock().getTime() + pauseAfterFailureMs
      onError('sharing the counts of requests', error)
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#telling
  }
}

const others = 'others'

export function refuseNone(taken: readonly QuotaBalance[]): void {
  const refused = taken.find((left) => left.refused)
  if (refused) throw new Problem('TOO_MANY_REQUESTS', { quota: refused.policy, retryAfter: refused.reset })
}

/**
 * Answers the source that a client address stands for: an IPv4 address itself, of an IPv6 address
 * the /64, which is what one subscriber gets.
 */
export function sourceOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  if (!plain.includes(':')) return plain
  const [front = '', back] = plain.toLowerCase().split('::')
  const before = front === '' ? [] : front.split(':')
  const after = back === undefined || back === '' ? [] : back.split(':')
  const zeros = back === undefined ? 0 : Math.max(0, 8 - before.length - after.length)
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after]
  const short = groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ''))
  return `${short.join(':')}::/64`
}

/**
 * Answers the network and the block of networks of a source, as `sourceOf` writes it: /24 and /16
 * of IPv4, /48 and /32 of IPv6; none for a text that is no address.
 */
function networksOf(source: string): readonly [network?: string, block?: string] {
  const four = /^(\d+)\.(\d+)\.(\d+)\.\d+$/.exec(source)
  if (four) return [`${four[1]}.${four[2]}.${four[3]}.0/24`, `${four[1]}.${four[2]}.0.0/16`]
  const six = /^([0-9a-f]+):([0-9a-f]+):([0-9a-f]+):[0-9a-f]+::\/64$/.exec(source)
  return six ? [`${six[1]}:${six[2]}:${six[3]}::/48`, `${six[1]}:${six[2]}::/32`] : []
}

/** Answers the quota of an account against which a request with this duty counts. */
export function quotaFor(duty: RecordDuty): Extract<Policy, `account-${string}`> {
  if (typeof duty === 'string') return 'account-reading'
  return duty.some((kind) => kind.startsWith('message.')) ? 'account-posting' : 'account-writing'
}
