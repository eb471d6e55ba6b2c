import {
  ProtocolError,
  base64url,
  fromBase64url,
  leafHash,
  openWitnessed,
  parseWitnessPolicy,
  verifyConsistency,
  verifyInclusion,
  type WitnessPolicy,
} from '../protocol/index.ts'
import { asProtocolError } from './failures.ts'
import { logKeysOf, type Pins } from './certificates.ts'
import type { Platform } from './platform.ts'
import { isProblem, refuse } from './problem.ts'
import type { SeenCheckpoint } from './receipt.ts'
import type { ClientStore } from './store.ts'
import type { Transport } from './transport.ts'

/** The witness policy that this device has pinned. */
export interface WitnessPin {
  /** C2SP tlog-policy. */
  readonly policy: string
  /**
   * Minutes after which every entry that this device accepted must be in a checkpoint that the
   * quorum of the policy cosigned.
   */
  readonly lag: number
}

const pinName = 'witness-policy'
const markEveryMs = 10_000
const mostEntriesProven = 32

export async function readPin(store: ClientStore): Promise<WitnessPin | undefined> {
  return (await store.get(pinName)) as WitnessPin | undefined
}

/**
 * Pins a policy, or removes the pin. Throws `ProtocolError` POLICY where the policy cannot be read.
 */
export async function writePin(store: ClientStore, pin: WitnessPin | undefined): Promise<void> {
  if (pin !== undefined) await parseWitnessPolicy(pin.policy)
  await store.write([{ name: pinName, value: pin }])
}

/** A range of entries that were accepted at about one time. */
interface AcceptedRange {
  readonly from: number
  upTo: number
  /** The newest of these entries that was shown here, with the leaf as it is hashed. */
  newest?: { readonly index: number; readonly leaf: string }
  /** Milliseconds since 1970. */
  readonly at: number
}

interface WitnessRecord {
  readonly final?: SeenCheckpoint
  readonly accepted: readonly AcceptedRange[]
}

const keptName = (prefix: string) => `${prefix}witnessed`

/**
 * Reads the newest final checkpoint that this device has verified of a log, and the times at which
 * it accepted entries.
 */
export async function readWitnessRecord(store: ClientStore, prefix: string): Promise<WitnessRecord> {
  return ((await store.get(keptName(prefix))) as WitnessRecord | undefined) ?? { accepted: [] }
}

/**
 * Keeps a final checkpoint that was verified outside a session, so that the device recognises an
 * older one.
 */
export async function rememberFinal(store: ClientStore, prefix: string, final: SeenCheckpoint): Promise<void> {
  const kept = await readWitnessRecord(store, prefix)
  if ((kept.final?.size ?? 0) < final.size)
    await store.write([{ name: keptName(prefix), value: { ...kept, final: { size: final.size, root: final.root } } }])
}

/**
 * Whether an entry up to `position` was accepted more than `lag` minutes ago and is not in the
 * final checkpoint.
 */
export function isOverdue(
  { position, size, accepted }: { position: number; size: number; accepted: readonly AcceptedRange[] },
  lag: number,
  now: Date,
): boolean {
  if (position < size || position < 0) return false
  const oldest = accepted.find(({ upTo }) => upTo >= size)
  // No mark: the entry was accepted before this device began to count.
  if (!oldest || oldest.from > size) return true
  return now.getTime() - oldest.at > lag * 60_000
}

/**
 * A log that this device follows and whose witnesses it may have pinned: of an operation, or the
 * directory log.
 */
export interface WatchedLog {
  readonly log: string
  /** The prefix of all names of this log in the store. */
  readonly prefix: string
  readonly platform: Platform
  readonly store: ClientStore
  readonly transport: Transport
  readonly pins: () => Pins
  /** The index of the newest entry that was accepted; -1 before the first. */
  readonly position: () => number
  /** The newest checkpoint that was verified. */
  readonly seen: () => SeenCheckpoint | undefined
}

/**
 * Holds the service to the pinned witnesses: an entry that this device accepted longer ago than the
 * lag must be in a final checkpoint, and that checkpoint must be of the log that this device has
 * seen. Otherwise nothing is sealed and no session is ready. Without a pin it demands nothing.
 */
export class WitnessWatch {
  readonly #watched: WatchedLog
  readonly #onFork: (detail: string) => void
  #pin: WitnessPin | undefined
  #final: SeenCheckpoint | undefined
  #accepted: AcceptedRange[] = []
  #base = -1
  #reason = 'The service has shown no checkpoint with cosignatures.'
  #looking: Promise<void> | undefined
  #cancel: (() => void) | undefined

  /** `onFork` is called where the witnesses cosigned another log than this device was shown. */
  constructor(watched: WatchedLog, onFork: (detail: string) => void) {
    this.#watched = watched
    this.#onFork = onFork
  }

  /** The newest final checkpoint that was verified here; undefined without a pin. */
  get final(): SeenCheckpoint | undefined {
    return this.#pin && this.#final
  }

  async load(): Promise<void> {
    const { store, prefix } = this.#watched
    await this.#takePin()
    const kept = await readWitnessRecord(store, prefix)
    this.#final = kept.final
    this.#accepted = kept.accepted.map((mark) => ({ ...mark }))
    const last = this.#accepted.at(-1)
    // Entries that were accepted just before the process ended.
    if (last) last.upTo = Math.max(last.upTo, this.#watched.position())
    this.#base = this.#watched.position()
  }

  /**
   * Marks the entries up to the present position as accepted now. `newest` is the last entry that
   * was shown.
   */
  async accepted(newest?: { index: number; leaf: string }): Promise<void> {
    if (!this.#pin) return
    const position = this.#watched.position()
    const last = this.#accepted.at(-1)
    const from = (last?.upTo ?? this.#base) + 1
    if (position < from) return
    const now = this.#now()
    const shown = newest && { newest: { index: newest.index, leaf: newest.leaf } }
    if (last && now - last.at < markEveryMs) Object.assign(last, { upTo: position, ...shown })
    else {
      this.#accepted.push({ from, upTo: position, at: now, ...shown })
      await this.#keep()
    }
  }

  /**
   * Throws WITNESSES_MISSING where an entry was accepted too long ago and no quorum of witnesses
   * has cosigned it.
   */
  require(): void {
    const pin = this.#pin
    if (!pin || !this.#isOverdue(pin)) return
    const size = this.#final?.size ?? 0
    const extra = { final: size, position: this.#watched.position(), lag: pin.lag }
    throw refuse('WITNESSES_MISSING', `${this.#reason} Cosigned are ${String(size)} entries.`, extra)
  }

  /** Fetches a newer final checkpoint, where one is needed. */
  async refresh(): Promise<void> {
    await this.#takePin()
    if (this.#pin && !this.#isCovered()) await this.#look()
  }

  /**
   * Fetches a final checkpoint from time to time, so that no entry becomes overdue without a
   * request.
   */
  lookLater(): void {
    this.#cancel?.()
    const pin = this.#pin
    if (!pin) return
    this.#cancel = this.#watched.platform.after(Math.max(1_000, (pin.lag * 60_000) / 4), () => {
      // A failure is repeated at the next turn. Until then it makes no entry overdue.
      if (!this.#isCovered())
        this.#look().catch((error: unknown) => {
          this.#reason = asProtocolError(error).message
        })
      this.lookLater()
    })
  }

  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
  }

  async #takePin(): Promise<void> {
    const pin = await readPin(this.#watched.store)
    if (pin && !this.#pin) this.#base = this.#watched.position()
    if (pin?.policy !== this.#pin?.policy) this.#final = undefined
    this.#pin = pin
  }

  #isCovered(): boolean {
    return this.#watched.position() < (this.#final?.size ?? 0)
  }

  #isOverdue({ lag }: WitnessPin): boolean {
    const accepted = { position: this.#watched.position(), size: this.#final?.size ?? 0, accepted: this.#accepted }
    return isOverdue(accepted, lag, new Date(this.#now()))
  }

  /**
   * The time of this device. The witnesses check the service, so that its time does not count here.
   */
  #now(): number {
    return this.#watched.transport.deviceTime().getTime()
  }

  #look(): Promise<void> {
    this.#looking ??= this.#lookOnce().finally(() => (this.#looking = undefined))
    return this.#looking
  }

  async #lookOnce(): Promise<void> {
    const { log, transport, pins } = this.#watched
    const pin = this.#pin
    if (!pin) return
    try {
      const final = await readFinal(transport, log, pins(), await parseWitnessPolicy(pin.policy))
      if (final.size < (this.#final?.size ?? 0)) return
      if (!(await this.#isOurs(final))) {
        this.#onFork('The witnesses cosigned another log than the one that this device was shown.')
        return
      }
      this.#final = final
      this.#reason = 'Entries that this device accepted have had too few cosignatures for too long.'
      this.#accepted = this.#accepted.filter(({ upTo }) => upTo >= final.size)
      await this.#keep()
    } catch (error) {
      if (!(error instanceof ProtocolError) && !isProblem(error)) throw error
      this.#reason = error.message
    }
  }

  /**
   * Whether a final checkpoint is of the log that this device has seen, and holds the entries that
   * it was shown last.
   */
  async #isOurs(final: SeenCheckpoint): Promise<boolean> {
    const { log, transport } = this.#watched
    const seen = this.#watched.seen()
    if (seen && !(await isSameLog(transport, log, seen, final))) return false
    // An entry that only this device was shown has the index of another entry in the log of all
    // others.
    const covered = this.#accepted.filter(({ newest }) => newest !== undefined && newest.index < final.size)
    for (const { newest } of covered.slice(-mostEntriesProven))
      if (newest && !(await holdsEntry(transport, log, final, newest))) return false
    return true
  }

  async #keep(): Promise<void> {
    const { store, prefix } = this.#watched
    const value: WitnessRecord = { accepted: this.#accepted, ...(this.#final ? { final: this.#final } : {}) }
    await store.write([{ name: keptName(prefix), value: structuredClone(value) }])
  }
}

/**
 * The newest final checkpoint of a log, verified. Throws NOT_WITNESSED where the service has none;
 * `ProtocolError` where it is wrong.
 */
export async function readFinal(
  transport: Transport,
  log: string,
  pins: Pins,
  policy: WitnessPolicy,
): Promise<SeenCheckpoint> {
  const note = await transport.text(`/v1/logs/${log}/final-checkpoint`)
  const { size, root } = await openWitnessed(note, await logKeysOf(pins, log), policy)
  return { size, root: base64url(root) }
}

/**
 * Whether one of two checkpoints is the beginning of the other. Throws the refusal of the service
 * where it has no proof.
 */
export async function isSameLog(
  transport: Transport,
  log: string,
  one: SeenCheckpoint,
  other: SeenCheckpoint,
): Promise<boolean> {
  const [older, newer] = one.size <= other.size ? [one, other] : [other, one]
  if (older.size === newer.size) return older.root === newer.root
  const path = `/v1/logs/${log}/consistency?from=${String(older.size)}&to=${String(newer.size)}`
  const { proof } = await transport.request<{ proof: string[] }>('GET', path)
  const [from, to] = [fromBase64url(older.root), fromBase64url(newer.root)]
  return verifyConsistency(older.size, newer.size, from, to, proof.map(fromBase64url))
}

async function holdsEntry(
  transport: Transport,
  log: string,
  { size, root }: SeenCheckpoint,
  { index, leaf }: { index: number; leaf: string },
): Promise<boolean> {
  const path = `/v1/logs/${log}/inclusion?index=${String(index)}&size=${String(size)}`
  const { proof } = await transport.request<{ proof: string[] }>('GET', path)
  return verifyInclusion(await leafHash(leaf), index, size, proof.map(fromBase64url), fromBase64url(root))
}
