import {
  addDecimals,
  byCodeUnits,
  type CategoryAmount,
  type Figures,
  inBaseUnit,
  type Relation,
  rollUp,
} from '../forms/index.ts'

/**
 * A message as its reader holds it after opening: what the statement says, and the fields of the
 * sealed body.
 */
export interface OpenedMessage {
  readonly id: string
  /** Its place in the log. */
  readonly index: number
  readonly thread: string
  /** The sender's organization. */
  readonly organization: string
  readonly form: string
  readonly exercise: boolean
  readonly refersTo?: { readonly message: string; readonly as: Relation }
  readonly fields: unknown
}

interface Goods {
  readonly category: string
  readonly quantity?: string
  readonly unit?: string
  readonly estimated?: boolean
}

/**
 * The figures as a reader computes them, from sealed bodies alone: no extract, and nothing a server
 * says, goes into them. The messages come in any order, each once or several times; their fields
 * must be valid.
 */
export function figuresOf(messages: Iterable<OpenedMessage>): Figures {
  const counted = standingMessages(messages).filter((message) => message.form === 'seizure')
  const quantities = quantitiesOf(counted)
  return {
    seizures: counted.length,
    cases: new Set(counted.map((message) => message.thread)).size,
    quantities,
    totals: rollUp(quantities),
  }
}

/**
 * The messages that stand: of each one that was corrected only its latest version (by the log's
 * order, wherever in the chain of corrections it refers to), and none of which any version was
 * withdrawn. Exercises count for nothing, and only an organization's own corrections and
 * withdrawals touch its messages.
 */
export function standingMessages(messages: Iterable<OpenedMessage>): OpenedMessage[] {
  const real = [...messages].filter((message) => !message.exercise).toSorted((a, b) => a.index - b.index)
  const originals = new Map<string, OpenedMessage>()
  const latest = new Map<string, OpenedMessage>()
  for (const message of real) {
    if (originals.has(message.id)) continue
    const { refersTo } = message
    const changes = refersTo?.as === 'correction' || refersTo?.as === 'withdrawal'
    const original = changes ? originals.get(refersTo.message) : message
    // What it changes is not there for this reader, or is not its to change.
    if (original === undefined || original.organization !== message.organization) continue
    originals.set(message.id, original)
    // A later correction then finds no version left to replace, and does not bring back what was
    // withdrawn.
    if (refersTo?.as === 'withdrawal') latest.delete(original.id)
    else if (latest.has(original.id) || original === message) latest.set(original.id, message)
  }
  return [...latest.values()]
}

function quantitiesOf(seizures: readonly OpenedMessage[]): CategoryAmount[] {
  const rows = new Map<string, { row: CategoryAmount; last: OpenedMessage }>()
  for (const seizure of seizures) {
    for (const goods of goodsOf(seizure.fields)) {
      if (goods.quantity === undefined || goods.unit === undefined) continue
      const amount = inBaseUnit(goods.quantity, goods.unit)
      const key = `${goods.category} ${amount.unit}`
      const before = rows.get(key)
      const { quantity, estimated, seizures: n } = before?.row ?? { quantity: '0', estimated: '0', seizures: 0 }
      rows.set(key, {
        last: seizure,
        row: {
          category: goods.category,
          unit: amount.unit,
          quantity: goods.estimated === true ? quantity : addDecimals(quantity, amount.quantity),
          estimated: goods.estimated === true ? addDecimals(estimated, amount.quantity) : estimated,
          seizures: before?.last === seizure ? n : n + 1,
        },
      })
    }
  }
  return [...rows.values()]
    .map(({ row }) => row)
    .toSorted((a, b) => byCodeUnits(a.category, b.category) || byCodeUnits(a.unit, b.unit))
}

function goodsOf(fields: unknown): readonly Goods[] {
  return (fields as { items?: readonly Goods[] }).items ?? []
}
