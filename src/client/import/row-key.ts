import { comparingForm } from '../../forms/index.ts'
import { base64url, sha256, utf8 } from '../../protocol/index.ts'
import type { Mapping } from './mapping.ts'

// The form of an import takes a key of up to 200 characters.
const mostKeyCharacters = 200

/** A text as people see it, with its case: a change of it is a change of the row. */
export function seenForm(text: string): string {
  return text.normalize('NFC').replaceAll(/\p{Default_Ignorable_Code_Point}/gu, '')
}

/**
 * The key of a row: the value of its one column as it is written, or a JSON list of the values of
 * its columns, or `row-` and a hash of the cells that are used where the file has no key. A list of
 * more than 200 characters becomes `sha256-` and its hash. Undefined where no column of the
 * key says anything. Two keys are one where `comparingForm` gives one text.
 */
export async function rowKeyOf(
  cells: ReadonlyMap<string, string>,
  mapping: Mapping,
  used: readonly string[],
): Promise<string | undefined> {
  const { key } = mapping
  if (key === null) {
    const written = used.map((column) => [column, comparingForm(cells.get(column) ?? '')])
    return `row-${await hexHashOf(JSON.stringify(written))}`
  }
  const parts = key.map((column) => (cells.get(column) ?? '').trim())
  if (parts.every((part, n) => isMissing(mapping, key[n] ?? '', part))) return undefined
  const [only = ''] = parts
  return parts.length === 1 ? only : bounded(JSON.stringify(parts))
}

/** Whether a word of the key says nothing: it is blank, or the mapping calls it missing. */
export function isMissing({ missing, columns }: Mapping, column: string, word: string): boolean {
  const form = comparingForm(word)
  const targets = Object.hasOwn(columns, column) ? (columns[column] ?? []) : []
  const words = [...missing, ...targets.flatMap((target) => target.missing ?? [])]
  return form === '' || words.some((one) => comparingForm(one) === form)
}

/** The key of the n-th row, from 1, of those that have one key. */
export function numberedKey(key: string, n: number): Promise<string> {
  return bounded(JSON.stringify([key, n]))
}

async function bounded(text: string): Promise<string> {
  const compared = comparingForm(text)
  return Math.max(text.length, compared.length) <= mostKeyCharacters ? text : `sha256-${await hexHashOf(compared)}`
}

/** SHA-256 of a text, base64url. */
export async function hashOf(text: string): Promise<string> {
  return base64url(await sha256(utf8(text)))
}

// Small letters, since keys are compared without their case.
async function hexHashOf(text: string): Promise<string> {
  return [...(await sha256(utf8(text)))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
