import type { Act, CommittedEntry, EntryDraft, Logs } from '../log/index.ts'
import type { OperationView } from '../protocol/index.ts'
import type { Tx } from '../db/index.ts'
import { justifiedBy } from '../identity/index.ts'
import { purposeOfOperation } from '../operations/index.ts'
import { insertDeliveries, insertReads } from './store.ts'

export interface MessageReader {
  readonly person: string
  readonly organization: string
  readonly device: string
}

interface Range extends MessageReader {
  from: number
  to: number
  count: number
}

interface PendingConsultations {
  readonly delivered: Map<string, Range>
  readonly acknowledged: Map<string, MessageReader & { upTo: number }>
  readonly read: Map<string, MessageReader & { message: string }>
}

interface ConsultationFlush {
  readonly operation: string
  readonly server: string
  readonly pending: PendingConsultations
}

interface ConsultationDeps {
  readonly logs: Pick<Logs<OperationView>, 'append'>
  /** The name of this server in entries about what it delivered. */
  readonly server: string
  readonly onError: (what: string, error: unknown) => void
}

/**
 * A delivery is recorded at most this long after it took place; a crash leaves the interval open,
 * which counts as delivered.
 */
const flushEveryMs = 10_000

/**
 * Gathers what readers were sent and have read, and records it for all of them together (log.md,
 * "Consultation").
 */
export class Consultation {
  readonly #deps: ConsultationDeps
  readonly #pending = new Map<string, PendingConsultations>()
  readonly #timer: NodeJS.Timeout
  readonly #failing = new Set<string>()
  #flushing: Promise<void> = Promise.resolve()

  constructor(deps: ConsultationDeps) {
    this.#deps = deps
    this.#timer = setInterval(() => void this.flush(), flushEveryMs)
    this.#timer.unref()
  }

  /** Notes that a message was sent to a reader's device. */
  delivered(operation: string, reader: MessageReader, index: number): void {
    const { delivered } = this.#of(operation)
    const range = delivered.get(reader.device)
    if (!range) delivered.set(reader.device, { ...reader, from: index, to: index, count: 1 })
    else {
      range.from = Math.min(range.from, index)
      range.to = Math.max(range.to, index)
      range.count++
    }
  }

  /** Notes that a reader's device has everything up to this index. */
  acknowledged(operation: string, reader: MessageReader, upTo: number): void {
    const { acknowledged } = this.#of(operation)
    const before = acknowledged.get(reader.person)
    if (!before || before.upTo < upTo) acknowledged.set(reader.person, { ...reader, upTo })
  }

  /** Notes that a person has read these messages. */
  read(operation: string, reader: MessageReader, messages: readonly string[]): void {
    const { read } = this.#of(operation)
    for (const message of messages) read.set(`${reader.person} ${message}`, { ...reader, message })
  }

  #of(operation: string): PendingConsultations {
    let pending = this.#pending.get(operation)
    if (!pending) {
      pending = { delivered: new Map(), acknowledged: new Map(), read: new Map() }
      this.#pending.set(operation, pending)
    }
    return pending
  }

  /**
   * Records what has been gathered, one flush after the other. While the database is away it stays
   * for the next flush.
   */
  flush(): Promise<void> {
    return (this.#flushing = this.#flushing.then(() => this.#enterAll()))
  }

  async #enterAll(): Promise<void> {
    const work = [...this.#pending]
    this.#pending.clear()
    for (const [operation, pending] of work) {
      try {
        await this.#deps.logs.append(operation, consultAct, { operation, server: this.#deps.server, pending }, null)
        this.#failing.delete(operation)
      } catch (error) {
        this.#keep(operation, pending)
        // A failure is reported once, and not again until a flush succeeds in between: a log that
        // is read-only stays so.
        if (!this.#failing.has(operation)) this.#deps.onError('recording consultations', error)
        this.#failing.add(operation)
      }
    }
  }

  #keep(operation: string, { delivered, acknowledged, read }: PendingConsultations): void {
    const now = this.#of(operation)
    for (const [device, range] of delivered) {
      const later = now.delivered.get(device)
      now.delivered.set(
        device,
        later
          ? {
              ...later,
              from: Math.min(range.from, later.from),
              to: Math.max(range.to, later.to),
              count: range.count + later.count,
            }
          : range,
      )
    }
    for (const [person, acknowledgement] of acknowledged) {
      if ((now.acknowledged.get(person)?.upTo ?? -1) < acknowledgement.upTo)
        now.acknowledged.set(person, acknowledgement)
    }
    for (const [key, reading] of read) if (!now.read.has(key)) now.read.set(key, reading)
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }
}

type Write = (tx: Tx, entries: readonly CommittedEntry[]) => Promise<void>

const consultAct: Act<OperationView, ConsultationFlush, string, Write, null, null> = {
  name: 'enter consultation',
  reads: () => true,
  load: (tx, view) => purposeOfOperation(tx, view.operation),
  decide({ loaded: purpose, input: { operation, server, pending } }) {
    const why = { channel: 'live', ...justifiedBy(undefined, purpose) }
    const readers = [...pending.delivered.values()].map(({ person, organization, device, from, to, count }) => ({
      person,
      organization,
      device,
      from,
      to,
      count,
    }))
    const acknowledged = [...pending.acknowledged.values()]
    const reads = [...pending.read.values()]
    const entries: EntryDraft[] = []
    const actor = { server }
    if (readers.length > 0 || acknowledged.length > 0) {
      entries.push({
        kind: 'messages.delivered',
        actor,
        subject: operation,
        details: { readers, acknowledged: acknowledged.map(({ person, upTo }) => ({ person, upTo })), ...why },
      })
    }
    if (reads.length > 0) {
      const byReader = Map.groupBy(reads, ({ person }) => person)
      const details = {
        readers: [...byReader].map(([person, of]) => ({ person, messages: of.map(({ message }) => message) })),
        ...why,
      }
      entries.push({ kind: 'messages.read', actor, subject: operation, details })
    }
    if (entries.length === 0) return { entries, rows: [], answer: () => null }
    return {
      entries,
      rows: [
        async (tx, committed) => {
          const at = committed[0]?.at ?? new Date(0)
          const readIndex = committed.find(({ kind }) => kind === 'messages.read')?.index ?? -1
          await insertDeliveries(
            tx,
            acknowledged.map(({ person, organization, upTo }) => ({
              operation_id: operation,
              person_id: person,
              organization_id: organization,
              up_to: upTo,
              at,
            })),
          )
          await insertReads(
            tx,
            reads.map(({ person, organization, message }) => ({
              operation_id: operation,
              message_id: message,
              person_id: person,
              organization_id: organization,
              log_index: readIndex,
              at,
            })),
          )
        },
      ],
      answer: () => null,
    }
  },
  async write(tx, rows) {
    for (const { row, entries } of rows) await row(tx, entries)
  },
}
