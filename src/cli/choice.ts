import { comparingForm } from '../forms/index.ts'
import { isUuid } from '../protocol/index.ts'
import { CommandFailure } from './failures.ts'
import { isolated } from './terminal.ts'

/**
 * A thing that a word can name: by its id, by its whole name or its other name, or by the beginning
 * of one of them.
 */
export interface Choice {
  readonly id: string
  readonly name: string
  readonly also?: string
}

const mostListed = 12

/**
 * Finds the one choice that a word names. Throws CommandFailure with the possible choices where the
 * word names none or several. `what` names the kind of thing; `none` replaces the sentence "There
 * is no …".
 */
export function choose<T extends Choice>(what: string, word: string, among: readonly T[], none?: string): T {
  const wanted = comparingForm(word)
  const formsOf = ({ name, also }: Choice) => [name, ...(also === undefined ? [] : [also])].map(comparingForm)
  const exact = among.filter((one) => one.id === wanted || formsOf(one).includes(wanted))
  const found =
    exact.length > 0 || wanted === ''
      ? exact
      : among.filter((one) => formsOf(one).some((form) => form.startsWith(wanted)))
  const [first, second] = found
  if (first && !second) return first
  if (first)
    throw new CommandFailure(
      `Several ${what}s are called ${isolated(JSON.stringify(word))}: ${listed(found, true)}. Give an id.`,
    )
  if (among.length === 0) throw new CommandFailure(`${none ?? `There is no ${what} here`}.`)
  const missing = none ?? `There is no ${what} ${isolated(JSON.stringify(word))} here`
  throw new CommandFailure(`${missing}; there is ${listed(among, false)}.`)
}

/** The id, in lower case, where the word is one; undefined otherwise. */
export function idOf(word: string): string | undefined {
  return isUuid(word.trim().toLowerCase()) ? word.trim().toLowerCase() : undefined
}

function listed(among: readonly Choice[], ids: boolean): string {
  const names = among.slice(0, mostListed).map(({ id, name }) => (ids ? `${isolated(name)} (${id})` : isolated(name)))
  return names.join(', ') + (among.length > mostListed ? ` and ${String(among.length - mostListed)} more` : '')
}
