import type { Kind } from '../../src/protocol/index.ts'
import type { Entered } from './entries.ts'

/**
 * Kinds of which one entry stands for what many did; their details are compared, and not their
 * number.
 */
const gathered: ReadonlySet<Kind> = new Set<Kind>(['messages.delivered', 'messages.read', 'access.refused'])

const key = (entry: Pick<Entered, 'log' | 'kind' | 'person' | 'subject'>) =>
  `${entry.kind} of ${entry.subject} by ${entry.person ?? 'a server'} in ${entry.log}`

function add(counts: Map<string, number>, name: string, times = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + times)
}

function differences(
  what: string,
  expected: ReadonlyMap<string, number>,
  found: ReadonlyMap<string, number>,
): string[] {
  return [...new Set([...expected.keys(), ...found.keys()])].flatMap((name) => {
    const [wanted, there] = [expected.get(name) ?? 0, found.get(name) ?? 0]
    return wanted === there ? [] : [`${what}: ${name}: ${wanted} answered, ${there} entered`]
  })
}

/** What happened as those saw it who did it, to be held against the rows of the logs. */
export class Ledger {
  readonly #entries = new Map<string, number>()
  readonly #refusals = new Map<string, number>()
  readonly #delivered = new Map<string, number>()
  readonly #read = new Set<string>()
  readonly #acknowledged = new Set<string>()
  readonly acts = new Map<string, number>()

  act(name: string, outcome: 'accepted' | 'refused' | 'mistaken'): void {
    add(this.acts, `${name} ${outcome}`)
  }

  entry(kind: Kind, log: string, person: string | null, subject: string): void {
    add(this.#entries, key({ kind, log, person, subject }))
  }

  /** `person` null: nobody who was known. */
  refusal(person: string | null, code: string): void {
    add(this.#refusals, `${code} by ${person ?? 'nobody known'}`)
  }

  delivered(device: string, messages: number): void {
    if (messages > 0) add(this.#delivered, device, messages)
  }

  read(person: string, message: string): void {
    this.#read.add(`${person} ${message}`)
  }

  acknowledged(person: string): void {
    this.#acknowledged.add(person)
  }

  /** Everything that was answered and not entered, or entered and not answered. */
  compare(entries: readonly Entered[]): string[] {
    const found = new Map<string, number>()
    for (const entry of entries) if (!gathered.has(entry.kind)) add(found, key(entry))
    const of = (kind: Kind) => entries.filter((entry) => entry.kind === kind)
    const refusals = new Map<string, number>()
    for (const { person, details } of of('access.refused')) {
      for (const [what, times] of Object.entries(details.refused as Record<string, number>))
        add(refusals, `${what.split(' ')[0]} by ${person ?? 'nobody known'}`, times)
    }
    const delivered = new Map<string, number>()
    const acknowledged = new Set<string>()
    for (const { details } of of('messages.delivered')) {
      for (const { device, count } of details.readers) add(delivered, device, count)
      for (const { person } of details.acknowledged) acknowledged.add(person)
    }
    const read = new Set<string>()
    for (const { details } of of('messages.read'))
      for (const { person, messages } of details.readers)
        for (const message of messages) read.add(`${person} ${message}`)
    const once = (set: ReadonlySet<string>) => new Map([...set].map((name) => [name, 1]))
    return [
      ...differences('entries', this.#entries, found),
      ...differences('refusals', this.#refusals, refusals),
      ...differences('deliveries', this.#delivered, delivered),
      ...differences('reading', once(this.#read), once(read)),
      ...differences('acknowledgement', once(this.#acknowledged), once(acknowledged)),
      ...entries.filter(isEmpty).map((entry) => `${key(entry)} stands for nothing`),
    ]
  }

  get totals() {
    const sum = (counts: ReadonlyMap<string, number>) => [...counts.values()].reduce((a, b) => a + b, 0)
    return {
      entries: sum(this.#entries),
      refusals: sum(this.#refusals),
      deliveries: sum(this.#delivered),
      readings: this.#read.size,
    }
  }
}

function isEmpty({ kind, details }: Entered): boolean {
  if (kind === 'messages.delivered') return details.readers.length + details.acknowledged.length === 0
  if (kind === 'messages.read') return details.readers.length === 0
  return kind === 'access.refused' && Object.keys(details.refused).length === 0
}
