import { transaction, type Tx } from '../../db/index.ts'
import type { AppendResult, EntryDraft } from '../../log/index.ts'
import type { IdentityDeps } from '../deps.ts'
import { sharePersons } from '../store.ts'
import { codeLifeMinutes, type AddressBook } from './address-book.ts'
import type { Letter, NoticeChannel } from './channel.ts'
import { letters } from './letters.ts'
import * as store from './store.ts'

/**
 * How a notice was given: by the channel, or by a list that the people who answer for the person
 * see.
 */
export type NoticeOutcome =
  | { readonly outcome: 'mailed' }
  | { readonly outcome: 'listed'; readonly reason: 'no-channel' | 'no-address' | 'address-refused' }

/** A notice of sleep as it stands when it goes out. */
export interface SleepNotice {
  readonly person: string
  readonly idleSince: Date
  readonly days: 30 | 10 | 3
  readonly sleepsAt: Date
  /** The time by the clock of the server: a log whose time was once ahead goes on from there. */
  readonly noticedAt: Date
}

/** The part of the outbox that settles notices of sleep when they go out. */
export interface SleepNotices {
  /** Answers what this notice says now; undefined where it is not due any more. */
  standing(tx: Tx, notice: store.Notice, now: Date): Promise<SleepNotice | undefined>
  /** Records the notice after it was given. */
  given(tx: Tx, notice: SleepNotice, given: NoticeOutcome): Promise<void>
}

interface NoticeOutboxDeps extends Pick<IdentityDeps, 'db' | 'logs' | 'clock' | 'server'> {
  readonly addresses: AddressBook
  readonly channel: NoticeChannel | undefined
  readonly sleeping: SleepNotices
  readonly onError: (what: string, error: unknown) => void
}

interface Content extends Pick<Letter, 'subject' | 'text'> {
  readonly to: string | undefined
  readonly sleep?: SleepNotice
}

const minuteMs = 60_000
const longestPauseMs = 6 * 60 * minuteMs
/** The people who were told that others sleep are told again after this time. */
const tellOthersEveryMs = 6 * 60 * minuteMs
const keepGivenMs = 48 * 60 * minuteMs
/** How long a stop waits for a letter that is under way, so that it need not go out twice. */
const letterUnderWayMs = 3_000

/**
 * Gives the notices that wait, one after the other. A lock holds each notice while it goes out, so
 * that one server alone gives it; only where the commit fails after the channel took it over does
 * it go out again, as a letter with the id of the first. A notice that fails waits, longer each
 * time.
 */
export class NoticeOutbox {
  readonly #deps: NoticeOutboxDeps
  #running: Promise<void> | undefined
  #closed = false

  constructor(deps: NoticeOutboxDeps) {
    this.#deps = deps
  }

  /** Gives all notices that can be given now; resolves after the last one. */
  deliver(): Promise<void> {
    return (this.#running ??= this.#deliverAll().finally(() => (this.#running = undefined)))
  }

  /** Begins to give the notices that wait, for a caller who does not wait for the end. */
  hurry(): void {
    this.deliver().catch((error: unknown) => this.#deps.onError('giving notices', error))
  }

  async forgetGiven(): Promise<void> {
    const before = new Date(this.#deps.clock().getTime() - keepGivenMs)
    await transaction(this.#deps.db, (tx) => store.forgetNotices(tx, before))
  }

  async close(): Promise<void> {
    this.#closed = true
    const timer = setTimeout(() => this.#deps.channel?.close(), letterUnderWayMs)
    // The caller of the run has heard of its failure.
    await this.#running?.catch(() => {})
    clearTimeout(timer)
  }

  async #deliverAll(): Promise<void> {
    while (!this.#closed && (await this.#deliverNext()));
  }

  /** Gives the next notice; answers whether to go on: there was a notice, and the channel works. */
  async #deliverNext(): Promise<boolean> {
    const { db, clock, onError } = this.#deps
    const outcome = await transaction(
      db,
      async (tx): Promise<{ appended?: AppendResult | undefined; fault?: unknown } | undefined> => {
        const now = clock()
        const notice = await store.claimNotice(tx, now)
        if (!notice) return undefined
        const content = await this.#contentOf(tx, notice, now)
        let given: NoticeOutcome | undefined
        try {
          given = content && (await this.#give(notice, content, now))
        } catch (fault) {
          const pauseMs = Math.min(longestPauseMs, minuteMs * 2 ** Math.min(notice.attempts, 30))
          await store.postponeNotice(tx, notice.id, new Date(now.getTime() + pauseMs))
          return { fault }
        }
        if (!content || !given || (given.outcome === 'listed' && !content.sleep)) {
          await store.dropNotice(tx, notice.id)
          return {}
        }
        await store.markGiven(tx, notice.id, now)
        return { appended: await this.#enter(tx, notice, content, given) }
      },
    )
    if (outcome?.fault !== undefined) onError('a notice was not taken over', outcome.fault)
    outcome?.appended?.afterCommit()
    return outcome !== undefined && outcome.fault === undefined
  }

  async #contentOf(tx: Tx, notice: store.Notice, now: Date): Promise<Content | undefined> {
    const { addresses, sleeping } = this.#deps
    const { person_id: person, kind, accounts } = notice
    if (kind === 'address') {
      const candidate = await addresses.candidateSince(tx, person, notice.made_at)
      return candidate && { to: candidate.address, ...letters.address(candidate.code, codeLifeMinutes) }
    }
    const to = await addresses.addressOf(tx, person)
    if (kind === 'sleep') {
      const sleep = await sleeping.standing(tx, notice, now)
      return sleep && { to, sleep, ...letters.sleep(sleep.sleepsAt) }
    }
    if (await store.wasGiven(tx, person, kind, new Date(now.getTime() - tellOthersEveryMs))) return undefined
    return { to, ...letters[kind](accounts ?? 0) }
  }

  async #give({ id, made_at }: store.Notice, { to, subject, text }: Content, at: Date): Promise<NoticeOutcome> {
    const { channel } = this.#deps
    if (!channel) return { outcome: 'listed', reason: 'no-channel' }
    if (to === undefined) return { outcome: 'listed', reason: 'no-address' }
    const taken = await channel.deliver({ id: `cordon-${id}-${made_at.getTime()}`, to, at, subject, text })
    return taken === 'delivered' ? { outcome: 'mailed' } : { outcome: 'listed', reason: 'address-refused' }
  }

  /**
   * Records that a notice was given. Records nothing, and answers undefined, for a letter that only
   * confirms an address: it tells its reader nothing yet.
   */
  async #enter(
    tx: Tx,
    notice: store.Notice,
    { sleep }: Content,
    given: NoticeOutcome,
  ): Promise<AppendResult | undefined> {
    const { logs, server, sleeping } = this.#deps
    if (notice.kind === 'address') return undefined
    const about = sleep
      ? {
          days: sleep.days,
          idleSince: sleep.idleSince.toISOString(),
          sleepsAt: sleep.sleepsAt.toISOString(),
          noticedAt: sleep.noticedAt.toISOString(),
        }
      : { accounts: notice.accounts }
    const draft: EntryDraft = {
      kind: 'notice.given',
      actor: { server },
      subject: notice.person_id,
      details: { notice: notice.kind, ...given, ...about },
    }
    await sharePersons(tx, [notice.person_id])
    const appended = await logs.appendWithin(tx, [{ log: logs.directory, drafts: [draft] }])
    if (sleep) await sleeping.given(tx, sleep, given)
    return appended
  }
}
