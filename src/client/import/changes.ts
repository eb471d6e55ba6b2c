import { comparingForm } from '../../forms/index.ts'
import type { Message } from '../message.ts'
import type { MappedRow } from './rows.ts'

/**
 * A row of a file as an operation has it: its newest version, and its withdrawal if there is one.
 */
export interface ImportedRow {
  /** The key as the message has it. */
  readonly key: string
  readonly source: string
  readonly last: Message
  readonly withdrawal?: Message
}

/**
 * One field of a message that the file says otherwise now; a side is undefined where it has none.
 */
export interface FieldChange {
  readonly pointer: string
  readonly before: unknown
  readonly after: unknown
}

interface Source {
  readonly mapping: string
  readonly key: string
  readonly source: string
}

function sourceOf(message: Message): Source | undefined {
  const imported = message.fields['imported'] as Partial<Source> | undefined
  return typeof imported?.key === 'string' ? (imported as Source) : undefined
}

/**
 * The rows that an organization imported with a mapping, as this device has opened them, by the
 * form of their key in which keys are compared. A row that came back after its withdrawal is its
 * newest message. Messages are in the order of the log.
 */
export function importedRows(
  messages: Iterable<Message>,
  mapping: string,
  organization: string,
): Map<string, ImportedRow> {
  const rows = new Map<string, ImportedRow>()
  const keyOf = new Map<string, string>()
  for (const message of messages) {
    if (message.organization !== organization) continue
    const { refersTo } = message
    const referred = refersTo === undefined ? undefined : keyOf.get(refersTo.message)
    if (refersTo?.as === 'withdrawal') {
      const row = referred === undefined ? undefined : rows.get(referred)
      if (row !== undefined && referred !== undefined) rows.set(referred, { ...row, withdrawal: message })
      continue
    }
    const imported = sourceOf(message)
    if (imported?.mapping !== mapping) continue
    const key = comparingForm(imported.key)
    keyOf.set(message.id, key)
    const withdrawn = refersTo?.as === 'correction' ? rows.get(key)?.withdrawal : undefined
    const { source } = imported
    rows.set(key, {
      key: imported.key,
      source,
      last: message,
      ...(withdrawn === undefined ? {} : { withdrawal: withdrawn }),
    })
  }
  return rows
}

/**
 * The fields in which a message and a row differ, by JSON pointer, without the mark of the import.
 */
export function fieldChanges(message: Message, row: MappedRow): FieldChange[] {
  const before = new Map(leaves(message.fields, ''))
  const after = new Map(leaves(row.fields, ''))
  const pointers = [...new Set([...before.keys(), ...after.keys()])].filter((one) => !one.startsWith('/imported/'))
  return pointers
    .map((pointer) => ({ pointer, before: before.get(pointer), after: after.get(pointer) }))
    .filter((change) => change.before !== change.after)
}

function* leaves(value: unknown, at: string): Generator<[string, unknown]> {
  if (typeof value !== 'object' || value === null) {
    yield [at, value]
    return
  }
  for (const [name, part] of Object.entries(value))
    yield* leaves(part, `${at}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`)
}
