import { transaction, type Database } from '../db/index.ts'
import {
  digestOf,
  equalBytes,
  formatNoteKey,
  fromBase64url,
  openCheckpoint,
  openNote,
  originOf,
  timestamp,
  type NoteKey,
  type Witness,
  type WitnessPolicy,
} from '../protocol/index.ts'
import type { EntryDraft } from './act.ts'
import { checkpointAt, insertCosignature, newestCosignatures } from './cosignatures.ts'
import { finalCheckpoint } from './final.ts'
import type { ReadOnlyLog, WitnessProgress, WitnessesPage } from './logs.ts'
import { enterLog, headOf, newestCheckpoint } from './store.ts'
import { WitnessClient, WitnessFailure } from './witness-client.ts'

export interface WitnessesDeps {
  readonly db: Database
  readonly policy: WitnessPolicy
  readonly originHost: string
  /** Answers the keys that sign the checkpoints of a log. */
  keysOf(origin: string): readonly NoteKey[]
  readonly clock: () => Date
  readonly random: (length: number) => Uint8Array
  readonly limits: WitnessLimits
  /** Answers a consistency proof of a log, base64url. */
  consistency(log: string, from: number, to: number): Promise<string[]>
  rootAt(log: string, size: number): Promise<Uint8Array | undefined>
  /**
   * Hears that a witness holds a checkpoint that this log does not have: the log must not be
   * continued.
   */
  diverged(lost: ReadOnlyLog): void
  /** Records an entry in the directory log. */
  enter(draft: EntryDraft): Promise<void>
  onError(what: string, error: unknown): void
}

export interface WitnessLimits {
  /** Milliseconds between two checkpoints of one log that are sent to its witnesses. */
  readonly sendEveryMs: number
  /** Milliseconds that an answer of a witness may take. */
  readonly answerWithinMs: number
  /** Milliseconds after which a witness that is away is asked again: at first, and at most. */
  readonly retryAfterMs: number
  readonly retryAtMostMs: number
}

interface PublishedCheckpoint {
  readonly size: number
  readonly note: string
}

/** When a failed attempt may be repeated, in milliseconds of the clock that only goes forward. */
interface RetryState {
  failures: number
  until: number
}

/** What is known of one log at one witness. */
interface Place {
  /** The size that the witness cosigned last, as far as this server knows. */
  size: number
  /** Whether the witness's checkpoint was compared with the log since this server started. */
  compared: boolean
  refusalEntered: boolean
  readonly waiting: RetryState
  failure: { readonly at: Date; readonly reason: string } | undefined
}

interface WitnessContact {
  readonly witness: Witness
  readonly client: WitnessClient
  readonly away: RetryState
  readonly places: Map<string, Place>
}

const logsAtOnce = 8
const lookEveryMs = 250

/**
 * Has published checkpoints cosigned. Of each log one checkpoint at a time is out, the newest, sent
 * to all witnesses at once, so that their cosignatures meet at one size. No act waits for it: a
 * witness that is away is asked again later, and then for the newest.
 */
export class Witnesses {
  readonly #deps: WitnessesDeps
  readonly #known: readonly WitnessContact[]
  readonly #newest = new Map<string, PublishedCheckpoint>()
  readonly #sending = new Map<string, Promise<void>>()
  /** When a log was sent last. */
  readonly #sentAt = new Map<string, number>()
  readonly #stop = new AbortController()
  #timer: NodeJS.Timeout | undefined

  constructor(deps: WitnessesDeps) {
    this.#deps = deps
    this.#known = deps.policy.witnesses.flatMap((witness) => {
      const { url } = witness
      if (url === undefined) return []
      const client = new WitnessClient(witness, url, deps.limits.answerWithinMs)
      return [{ witness, client, away: { failures: 0, until: 0 }, places: new Map<string, Place>() }]
    })
  }

  /**
   * Compares each log with what every witness holds; before a checkpoint goes to a witness that
   * cannot be asked now, the log is compared with it. Then sends the published checkpoints that are
   * not cosigned.
   */
  async start(logs: readonly string[]): Promise<void> {
    const rest = logs[Symbol.iterator]()
    const worker = async () => {
      for (const log of rest) {
        const published = await this.#published(log)
        if (published !== undefined) this.#newest.set(log, published)
        await this.#toEach(log, (known) => this.#compare(known, log))
      }
    }
    await Promise.all(Array.from({ length: logsAtOnce }, worker))
    this.#timer = setInterval(() => this.#sendWhatIsDue(), lookEveryMs)
    this.#timer.unref()
  }

  /** Takes note of a published checkpoint. It does not wait. */
  published(log: string, checkpoint: PublishedCheckpoint): void {
    const known = this.#newest.get(log)
    if (known !== undefined && known.size >= checkpoint.size) return
    this.#newest.set(log, checkpoint)
    this.#sendWhatIsDue()
  }

  /** Sends the newest checkpoints, for at most as long as an answer may take, and ends. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    const end = setTimeout(() => this.#stop.abort(), this.#deps.limits.answerWithinMs)
    await Promise.all(this.#sending.values())
    const due = [...this.#newest.keys()].filter((log) => this.#isDue(log))
    await Promise.all(due.map((log) => this.#send(log)))
    clearTimeout(end)
    this.#stop.abort()
  }

  /**
   * Answers the newest checkpoint with a quorum, a note with all its cosignatures; undefined where
   * there is none yet.
   */
  final(log: string): Promise<{ size: number; note: string } | undefined> {
    return transaction(this.#deps.db, async (tx) => {
      await enterLog(tx, log)
      return finalCheckpoint(tx, log, this.#logKeys(log), this.#deps.policy)
    })
  }

  /** Answers how far each witness has come, as this server knows it. The log must exist. */
  async page(log: string): Promise<WitnessesPage> {
    const { db, policy } = this.#deps
    const { newest, final, notes } = await transaction(db, async (tx) => {
      await enterLog(tx, log)
      const notes = new Map<string, { size: number; note: string }>()
      for (const { witness, size, lines } of await newestCosignatures(tx, log))
        notes.set(witness, { size, note: `${(await checkpointAt(tx, log, size)) ?? ''}${lines}` })
      const final = await finalCheckpoint(tx, log, this.#logKeys(log), policy)
      return { newest: await newestCheckpoint(tx, log), final, notes }
    })
    const size = newest?.size ?? 0
    const witnesses = policy.witnesses.map((witness) => this.#state(witness, log, size, notes.get(witness.name)))
    return {
      size,
      final: final?.size ?? null,
      quorum: final !== undefined && final.size === size,
      witnesses: await Promise.all(witnesses),
    }
  }

  async #state(
    witness: Witness,
    log: string,
    published: number,
    last: { size: number; note: string } | undefined,
  ): Promise<WitnessProgress> {
    const { keys, name, url } = witness
    // A witness has cosigned nothing under keys that it has no more.
    const opened = last && (await openNote(last.note, keys).catch(() => undefined))
    const at = opened && Math.min(...opened.signatures.map(({ timestamp }) => timestamp))
    const size = opened === undefined ? undefined : last?.size
    const behind = published - (size ?? 0)
    const failure = this.#known.find((known) => known.witness === witness)?.places.get(log)?.failure
    const now = Math.floor(this.#deps.clock().getTime() / 1_000)
    return {
      name,
      keys: await Promise.all(keys.map(formatNoteKey)),
      url: url ?? null,
      size: size ?? null,
      cosignedAt: at === undefined ? null : new Date(at * 1_000).toISOString(),
      lag: { entries: behind, seconds: behind === 0 ? 0 : at === undefined ? null : Math.max(0, now - at) },
      lastFailure: failure === undefined ? null : { at: failure.at.toISOString(), reason: failure.reason },
    }
  }

  #logKeys(log: string): readonly NoteKey[] {
    return this.#deps.keysOf(originOf(this.#deps.originHost, log))
  }

  #sendWhatIsDue(): void {
    for (const log of this.#newest.keys()) {
      if (this.#sending.size >= logsAtOnce || this.#stop.signal.aborted) return
      const last = this.#sentAt.get(log) ?? Number.NEGATIVE_INFINITY
      const soon = performance.now() < last + this.#deps.limits.sendEveryMs
      if (soon || this.#sending.has(log) || !this.#isDue(log)) continue
      this.#sentAt.set(log, performance.now())
      this.#sending.set(
        log,
        this.#send(log).finally(() => this.#sending.delete(log)),
      )
    }
  }

  #isDue(log: string): boolean {
    return this.#known.some((known) => this.#isBehind(known, log) && this.#mayAsk(known, log))
  }

  #isBehind(known: WitnessContact, log: string): boolean {
    const { size, compared } = this.#place(known, log)
    return !compared || size < (this.#newest.get(log)?.size ?? 0)
  }

  #mayAsk({ away, places }: WitnessContact, log: string): boolean {
    const now = performance.now()
    return away.until <= now && (places.get(log)?.waiting.until ?? 0) <= now
  }

  #place({ places }: WitnessContact, log: string): Place {
    let place = places.get(log)
    if (place === undefined) {
      const waiting = { failures: 0, until: 0 }
      place = { size: 0, compared: false, refusalEntered: false, waiting, failure: undefined }
      places.set(log, place)
    }
    return place
  }

  /**
   * Sends the newest checkpoint of a log to all witnesses that are behind. It never fails: failures
   * are noted and reported.
   */
  async #send(log: string): Promise<void> {
    const published = this.#newest.get(log)
    await this.#toEach(log, async (known) => {
      if (!this.#isBehind(known, log)) return
      if (!this.#place(known, log).compared) await this.#compare(known, log)
      if (published !== undefined) await this.#cosign(known, log, published)
    })
  }

  async #toEach(log: string, work: (known: WitnessContact) => Promise<void>): Promise<void> {
    await Promise.all(
      this.#known.map(async (known) => {
        if (!this.#mayAsk(known, log)) return
        try {
          await work(known)
          known.away.failures = 0
          this.#place(known, log).waiting.failures = 0
        } catch (error) {
          this.#failed(known, log, error)
        }
      }),
    )
  }

  #failed(known: WitnessContact, log: string, error: unknown): void {
    if (this.#stop.signal.aborted) return
    const { clock, limits, random } = this.#deps
    const place = this.#place(known, log)
    const away = error instanceof WitnessFailure && error.away
    const waiting = away ? known.away : place.waiting
    // Full jitter, so that servers that lost a witness at once do not come back at once.
    const longestPauseMs = Math.min(limits.retryAtMostMs, limits.retryAfterMs * 2 ** Math.min(waiting.failures, 20))
    const [a = 0, b = 0] = random(2)
    waiting.until = performance.now() + longestPauseMs * (0.5 + (a * 256 + b) / 131_072)
    const reason = error instanceof WitnessFailure ? error.message : 'this server failed'
    // A failure is reported once, and not again until another one follows or an attempt succeeds in
    // between.
    if (waiting.failures === 0) this.#deps.onError(`witness ${known.witness.name}, log ${log}: ${reason}`, error)
    waiting.failures++
    place.failure = { at: clock(), reason }
  }

  async #cosign(known: WitnessContact, log: string, { size, note }: PublishedCheckpoint): Promise<void> {
    const place = this.#place(known, log)
    for (let attempt = 0; attempt < 2 && place.size < size; attempt++) {
      const proof = place.size === 0 ? [] : await this.#deps.consistency(log, place.size, size)
      const input = { old: place.size, proof: proof.map(fromBase64url), note }
      const answer = await known.client.add(input, this.#stop.signal)
      if (answer.is === 'cosigned') {
        const { db } = this.#deps
        const { name: witness } = known.witness
        await transaction(db, async (tx) => {
          await enterLog(tx, log)
          await insertCosignature(tx, log, { witness, size, lines: answer.lines })
        })
        Object.assign(place, { size, failure: undefined, refusalEntered: false })
        return
      }
      if (answer.is === 'refused') return this.#refused(known, log, `from size ${place.size} to ${size}`)
      if (answer.size > size) {
        // Another server may have sent a newer checkpoint meanwhile; the checkpoint that the
        // witness holds shows whether it was of this log.
        await this.#compare(known, log)
        if (place.size < answer.size)
          return this.#refused(known, log, `it says that it has cosigned ${answer.size} entries`)
      } else place.size = answer.size
    }
  }

  /** Reports once, also in the directory log, that a witness does not follow this log. */
  async #refused(known: WitnessContact, log: string, how: string): Promise<void> {
    await this.#compare(known, log)
    if (!this.#place(known, log).refusalEntered) await this.#enterRefusal(known, log, { reason: 'INCONSISTENT', how })
    throw new WitnessFailure(`it refused the growth of this log (${how})`, { away: false })
  }

  async #enterRefusal(known: WitnessContact, log: string, details: Readonly<Record<string, unknown>>): Promise<void> {
    const { name } = known.witness
    this.#deps.onError(`WITNESS ${name} REFUSES THE LOG ${log}: docs/runbook.md says what to do`, undefined)
    const draft: EntryDraft = {
      kind: 'witness.refused',
      actor: { server: this.#deps.originHost },
      subject: name,
      digest: await digestOf(JSON.stringify({ log, ...details })),
      details: { log, ...details },
    }
    await this.#deps.enter(draft)
    this.#place(known, log).refusalEntered = true
  }

  /**
   * Requires that a log holds the checkpoint that the witness holds of it. A checkpoint that this
   * server's own keys signed and that the log does not hold proves that the log was set back, or
   * went two ways: such a log is not continued.
   */
  async #compare(known: WitnessContact, log: string): Promise<void> {
    const { originHost, db } = this.#deps
    const place = this.#place(known, log)
    const origin = originOf(originHost, log)
    const note = await known.client.held(origin, this.#stop.signal)
    if (note === undefined) {
      place.compared = true
      return
    }
    const held = await openCheckpoint(note, ...this.#logKeys(log)).catch((cause: unknown) => {
      throw new WitnessFailure(`it holds a checkpoint that this log did not sign: ${(cause as Error).message}`, {
        away: false,
        cause,
      })
    })
    const head = await transaction(db, (tx) => headOf(tx, log))
    const size = head?.size ?? 0
    const root = held.size > size ? undefined : await this.#deps.rootAt(log, held.size)
    place.compared = true
    if (root !== undefined && equalBytes(root, held.root)) {
      place.size = held.size
      return
    }
    const missing = Math.max(0, held.size - size)
    this.#deps.diverged({
      log,
      published: held.size,
      size: Math.min(size, held.size),
      missing,
      since: head === undefined ? null : timestamp(head.last_at),
      until: null,
    })
    if (!place.refusalEntered) {
      const reason = missing > 0 ? 'BEHIND' : 'FORKED'
      await this.#enterRefusal(known, log, { reason, published: held.size, size, missing, checkpoint: note })
    }
    throw new WitnessFailure(
      missing > 0
        ? `it holds ${held.size} entries of this log, which has ${size}`
        : `it holds another tree of ${held.size} entries`,
      { away: false },
    )
  }

  #published(log: string): Promise<PublishedCheckpoint | undefined> {
    return transaction(this.#deps.db, async (tx) => {
      await enterLog(tx, log)
      return newestCheckpoint(tx, log)
    })
  }
}
