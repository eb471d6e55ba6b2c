/**
 * Answers the words of a text: its letters, marks and digits, in lower case; all other characters
 * part words.
 */
export function wordsOf(text: string): string[] {
  return plain(text).match(/[\p{L}\p{M}\p{N}]+/gu) ?? []
}

/**
 * Whether each of these words is a whole word of some value in private details. Details that are
 * not JSON hold none.
 */
export function hasWords(details: string, wanted: readonly string[]): boolean {
  const lower = plain(details)
  if (!wanted.every((word) => lower.includes(word))) return false
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
 * Answers a LIKE pattern that matches details holding this word, and perhaps others: `hasWords`
 * decides what a database that folds the case of ASCII alone cannot tell.
 */
export function likePattern(word: string): string {
  return `%${word.replace(/(?:i\u0307|[^a-z0-9])+/g, '%')}%`.replace(/%+/g, '%')
}

function plain(text: string): string {
  return text.normalize('NFC').toLowerCase()
}

function* valuesIn(value: unknown): Generator<string> {
  if (typeof value === 'string') yield value
  else if (typeof value === 'number') yield String(value)
  else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) yield* valuesIn(inner)
}
