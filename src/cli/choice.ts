import { isUuid } from '../protocol/index.ts'
import { CommandFailure } from './failures.ts'

/**
 * Something that can be named: by its id, its whole name (or another word for it), or the beginning
 * of its name.
 */
export interface Choice {
  readonly id: string
  readonly name: string
  readonly also?: string
}

const mostListed = 12
const plain = (text: string) => text.normalize('NFC').trim().toLocaleLowerCase('en')

/**
 * The one that a word means. Says which there are where none is meant, or several; `none` where
 * "there is no …" would not be a sentence.
 */
export function choose<T extends Choice>(what: string, word: string, among: readonly T[], none?: string): T {
  const wanted = plain(word)
  const exact = among.filter(({ id, name, also }) => [id, plain(name), plain(also ?? '')].includes(wanted))
  const found =
    exact.length > 0 || wanted === ''
      ? exact
      : among.filter(({ name, also }) => [name, also ?? ''].some((one) => plain(one).startsWith(wanted)))
  const [first, second] = found
  if (first && !second) return first
  if (first)
    throw new CommandFailure(
      `Several ${what}s are called ${JSON.stringify(word)}: ${listed(found, true)}. Give the id of one.`,
    )
  if (among.length === 0) throw new CommandFailure(`${none ?? `There is no ${what} here`}.`)
  const missing = none ?? `There is no ${what} ${JSON.stringify(word)} here`
  throw new CommandFailure(`${missing}; there is ${listed(among, false)}.`)
}

/** An id that is given as such is taken without looking. */
export function idOf(word: string): string | undefined {
  return isUuid(word.trim().toLowerCase()) ? word.trim().toLowerCase() : undefined
}

function listed(among: readonly Choice[], ids: boolean): string {
  const names = among.slice(0, mostListed).map(({ id, name }) => (ids ? `${name} (${id})` : name))
  return names.join(', ') + (among.length > mostListed ? ` and ${String(among.length - mostListed)} more` : '')
}
