import { transaction, type Database } from '../db/index.ts'
import type { Problem, ProblemCode } from '../errors.ts'
import type { EntryDraft, Logs } from '../log/index.ts'
import { asActor, type SignedInCaller } from './deps.ts'

interface RefusalsDeps {
  readonly db: Database
  readonly logs: Pick<Logs<unknown>, 'directory' | 'appendWithin'>
  readonly clock: () => Date
  /** The name of this server in entries about callers whom it does not know. */
  readonly server: string
  readonly onError: (what: string, error: unknown) => void
}

/** The route or the frame that refused, and the operation that it named. */
export interface RefusalPlace {
  readonly where: string
  readonly operation?: string | undefined
}

interface RefusalCounts {
  readonly actor: SignedInCaller | undefined
  /** The network of a caller who is not known. */
  readonly network: string | undefined
  readonly counts: Map<string, number>
}

/**
 * The most people and networks that are remembered until their entry; later ones are counted
 * together.
 */
const mostCallers = 1_000
/** The most refusals of one of them that are told apart. */
const mostDifferentRefusals = 100
const flushEveryMs = 5_000
const minuteMs = 60_000
const others = 'others'

const refusedStatuses = new Set([401, 403, 404])
/** Refusals of a caller or an act that answer with another status. */
const refusedCodes: ReadonlySet<ProblemCode> = new Set<ProblemCode>([
  'OPERATION_STATE',
  'MEMBER_RULE',
  'GRANT_REFUSED',
  'APPROVAL_NOT_AVAILABLE',
  'DEVICES_LIVE',
  'APPROVAL_MISSING',
  'JUSTIFICATION_REQUIRED',
  'SET_UP_DONE',
  'ENROLMENT_INVALID',
  'CERTIFICATE_INVALID',
  'STATEMENT_INVALID',
  'SEEN_MISMATCH',
])

/**
 * Whether the directory log records a Problem: it records refusals of a caller or an act; the
 * others are mistakes of a client, or trouble of the service.
 */
export function isRecordedRefusal({ status, code }: Problem): boolean {
  return refusedStatuses.has(status) || refusedCodes.has(code)
}

/**
 * Records refusals in the directory log after they were answered: at most one entry for each person
 * and minute, or for each network where the person is not known, from a bounded memory. No outsider
 * can fill a log or feel its lock.
 */
export class Refusals {
  readonly #deps: RefusalsDeps
  readonly #noted = new Map<string, RefusalCounts>()
  /** The time of the newest entry of each person or network, kept for a minute. */
  readonly #entered = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #flushing: Promise<void> = Promise.resolve()

  constructor(deps: RefusalsDeps) {
    this.#deps = deps
    this.#timer = setInterval(() => void this.enterDue(), flushEveryMs)
    this.#timer.unref()
  }

  note(
    problem: Problem,
    by: { actor?: SignedInCaller | undefined; address?: string | undefined },
    { where, operation }: RefusalPlace,
  ): void {
    if (!isRecordedRefusal(problem)) return
    const network = by.actor ? undefined : networkOf(by.address ?? '')
    const key = by.actor ? `${by.actor.person} ${by.actor.device}` : `network ${network}`
    const { counts } = this.#of(key, by.actor, network)
    const permission = problem.extra['permission']
    const what = [problem.code, where, operation, typeof permission === 'string' ? permission : undefined]
    count(counts, what.filter((part) => part !== undefined).join(' '), 1)
  }

  #of(key: string, actor: SignedInCaller | undefined, network: string | undefined): RefusalCounts {
    const known = this.#noted.get(key)
    if (known) return known
    const full = this.#noted.size >= mostCallers
    const together = full ? this.#noted.get(others) : undefined
    if (together) return together
    const noted: RefusalCounts = full
      ? { actor: undefined, network: undefined, counts: new Map() }
      : { actor, network, counts: new Map() }
    this.#noted.set(full ? others : key, noted)
    return noted
  }

  /** Records the refusals of the people and networks that have had no entry for a minute. */
  enterDue(): Promise<void> {
    const now = this.#deps.clock().getTime()
    for (const [key, at] of this.#entered) if (now - at >= minuteMs) this.#entered.delete(key)
    return this.#enter((key) => !this.#entered.has(key))
  }

  /** Records every refusal that was noted. */
  flush(): Promise<void> {
    return this.#enter(() => true)
  }

  #enter(due: (key: string) => boolean): Promise<void> {
    return (this.#flushing = this.#flushing.then(() => this.#append(due)))
  }

  async #append(due: (key: string) => boolean): Promise<void> {
    const { db, logs, clock, onError } = this.#deps
    const noted = [...this.#noted].filter(([key]) => due(key))
    if (noted.length === 0) return
    for (const [key] of noted) this.#noted.delete(key)
    const drafts = noted.map(([key, one]) => this.#draft(key, one))
    try {
      const appended = await transaction(db, (tx) => logs.appendWithin(tx, [{ log: logs.directory, drafts }]))
      appended.afterCommit()
      const now = clock().getTime()
      for (const [key] of noted) this.#entered.set(key, now)
    } catch (error) {
      for (const [key, one] of noted) this.#keep(key, one)
      onError('recording refusals', error)
    }
  }

  #draft(key: string, { actor, network, counts }: RefusalCounts): EntryDraft {
    return {
      kind: 'access.refused',
      actor: actor ? asActor(actor) : { server: this.#deps.server },
      subject: actor?.person ?? (key === others ? others : 'unknown'),
      details: {
        outcome: 'refused',
        refused: Object.fromEntries(counts),
        ...(actor ? { session: actor.session } : {}),
        ...(network === undefined ? {} : { network }),
      },
    }
  }

  #keep(key: string, { actor, network, counts }: RefusalCounts): void {
    const now = this.#of(key, actor, network)
    for (const [what, times] of counts) count(now.counts, what, times)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }
}

function count(counts: Map<string, number>, what: string, times: number): void {
  const name = counts.size < mostDifferentRefusals || counts.has(what) ? what : 'more'
  counts.set(name, (counts.get(name) ?? 0) + times)
}

/** Answers the /24 of an IPv4 address, the first three groups of an IPv6 address. */
function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:/, '')
  if (plain.includes('.')) return `${plain.split('.').slice(0, 3).join('.')}.0/24`
  return `${plain.split(':').slice(0, 3).join(':')}::/48`
}
