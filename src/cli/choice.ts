import { comparingForm } from '../forms/index.ts'
import { isUuid } from '../protocol/index.ts'
import { CommandFailure } from './failures.ts'
import { isolated } from './terminal.ts'

/**
 * A thing that a word can name: by its id or the end of it, by its whole name or its other name, or
 * by the beginning of one of them.
 */
export interface Choice {
  readonly id: string
  readonly name: string
  readonly also?: string
  /** The organization of a person: ORGANIZATION/PERSON is a name, too. */
  readonly of?: string
}

const mostListed = 12
const shownOfUuid = 8
const fewestOfUuid = 6
const shownOfThumbprint = 12

/**
 * The part of an id that tables show, and that commands take for the id: the end of a UUID, of
 * which the beginning is the time, and the beginning of the thumbprint of a device.
 */
export function shortId(id: string): string {
  if (idOf(id) !== undefined) return `…${id.slice(-shownOfUuid)}`
  return id.length > shownOfThumbprint + 1 ? `${id.slice(0, shownOfThumbprint)}…` : id
}

/**
 * The end of an id, in lower case, where a word is one as `shortId` shows it; undefined otherwise.
 */
export function idEnd(word: string): string | undefined {
  const end = word
    .trim()
    .toLowerCase()
    .replace(/^(?:…|\.\.\.)/, '')
  return end.length >= fewestOfUuid && /^[0-9a-f-]+$/.test(end) ? end : undefined
}

/**
 * Finds the one choice that a word names. Throws CommandFailure with the possible choices where the
 * word names none or several. `what` names the kind of thing; `none` replaces the sentence "There
 * is no …".
 */
export function choose<T extends Choice>(what: string, word: string, among: readonly T[], none?: string): T {
  const wanted = comparingForm(word.replace(/(?<=.)(?:…|\.\.\.)$/, ''))
  const formsOf = ({ name, also }: Choice) => [name, ...(also === undefined ? [] : [also])].map(comparingForm)
  const wholeName = ({ of, name }: Choice) => (of === undefined ? undefined : comparingForm(`${of}/${name}`))
  const exact = among.filter((one) => one.id === wanted || formsOf(one).includes(wanted) || wholeName(one) === wanted)
  const begun = () => among.filter((one) => formsOf(one).some((form) => form.startsWith(wanted)))
  const named = exact.length > 0 || wanted === '' ? exact : begun()
  const end = idEnd(word)
  const found = named.length > 0 || end === undefined ? named : among.filter(({ id }) => id.endsWith(end))
  const [first, second] = found
  if (first && !second) return first
  if (first)
    throw new CommandFailure(
      `Several ${what}s are called ${isolated(JSON.stringify(word))}: ${listed(found, true)}. Give the id, or its end as it is shown.`,
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
  const names = among.slice(0, mostListed).map((one) => (ids ? withId(one) : isolated(one.name)))
  return names.join(', ') + (among.length > mostListed ? ` and ${String(among.length - mostListed)} more` : '')
}

function withId({ id, name, of }: Choice): string {
  if (name === id) return shortId(id)
  return `${isolated(name)} (${of === undefined ? '' : `${isolated(of)}, `}${shortId(id)})`
}
