import { searchForm } from '../forms/index.ts'

/**
 * Answers the words of a text in the form in which words are looked for (`searchForm`): its
 * letters, marks and digits; all other characters part words.
 */
export function wordsOf(text: string): string[] {
  return searchForm(text).match(/[\p{L}\p{M}\p{N}]+/gu) ?? []
}

/**
 * Whether each of these words, which `wordsOf` answered, is a whole word of some value in private
 * details. Details that are not JSON hold none.
 */
export function hasWords(details: string, wanted: readonly string[]): boolean {
  if (!details.includes(escape)) {
    const whole = searchForm(details)
    if (!wanted.every((word) => whole.includes(word))) return false
  }
  let value: unknown
  try {
    value = JSON.parse(details)
  } catch {
    return false
  }
  const words = new Set<string>()
  for (const text of valuesIn(value)) for (const word of wordsOf(text)) words.add(word)
  return wanted.every((word) => words.has(word))
}

/**
 * What the database can tell of details: those that match none of `patterns` (LIKE, in lower case)
 * hold the words only where they have characters beyond ASCII or escapes of JSON, of which
 * `hasWords` decides.
 */
export const patternsOf = (words: readonly string[]) => words.map((word) => `%${word}%`)

const escape = '\\'

function* valuesIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value
  else if (typeof value === 'number') yield String(value)
  else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) yield* valuesIn(inner)
}
