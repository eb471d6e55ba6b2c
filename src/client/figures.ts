import {
  addDecimals,
  byCodeUnits,
  type CategoryAmount,
  type Figures,
  inBaseUnit,
  isZero,
  type Relation,
  rollUp,
} from '../forms/index.ts'

/**
 * A message as its reader holds it after opening: the members of the statement, and the fields of
 * the sealed body.
 */
export interface OpenedMessage {
  readonly id: string
  /** The index of its entry in the log. */
  readonly index: number
  readonly thread: string
  /** The organization of the sender. */
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
 * The figures as a reader computes them, from sealed bodies alone: no extract and no figure of a
 * server goes into them. The messages may come in any order and more than once; their fields must
 * be valid.
 */
export function figuresOf(messages: Iterable<OpenedMessage>): Figures {
  const counted = standingMessages(messages).filter(
    ({ form, fields }) => form === 'seizure' && !foundNothing(goodsOf(fields)),
  )
  const quantities = quantitiesOf(counted)
  return {
    seizures: counted.length,
    cases: new Set(counted.map((message) => message.thread)).size,
    quantities,
    totals: rollUp(quantities),
  }
}

/**
 * The messages that stand: of a corrected message only its latest version (by the order of the log,
 * whichever earlier version the correction refers to), and no message of which any version was
 * withdrawn. Exercises do not count. Only corrections and withdrawals by the organization of the
 * message itself count.
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
    // The reader does not have the message that this one changes, or the message belongs to another
    // organization.
    if (original === undefined || original.organization !== message.organization) continue
    originals.set(message.id, original)
    // A later correction then finds no version to replace, so that it does not bring the withdrawn
    // message back.
    if (refersTo?.as === 'withdrawal') latest.delete(original.id)
    else if (latest.has(original.id) || original === message) latest.set(original.id, message)
  }
  return [...latest.values()]
}

function quantitiesOf(seizures: readonly OpenedMessage[]): CategoryAmount[] {
  const rows = new Map<string, { row: CategoryAmount; last: OpenedMessage }>()
  for (const seizure of seizures) {
    for (const goods of goodsOf(seizure.fields)) {
      if (goods.quantity === undefined || goods.unit === undefined || isZero(goods.quantity)) continue
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

// Zero says that somebody looked and found none of these goods.
function foundNothing(goods: readonly Goods[]): boolean {
  return goods.length > 0 && goods.every(({ quantity }) => quantity !== undefined && isZero(quantity))
}

function goodsOf(fields: unknown): readonly Goods[] {
  return (fields as { items?: readonly Goods[] }).items ?? []
}
