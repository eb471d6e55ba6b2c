import { distance } from 'fastest-levenshtein'

// Two slips of the hand in a long name, one in a short one: HOME is not meant to be HOST.
const shortNameLetters = 7

/**
 * Answers the known variable of the environment that an unknown name was meant to be; undefined
 * where none is near. Near are names that a slip makes of each other: two letters changed places,
 * the case of letters, and up to two letters more, less or others (Levenshtein), one in a short
 * name.
 */
export function meantName<Name extends string>(unknown: string, known: readonly Name[]): Name | undefined {
  const word = unknown.toUpperCase()
  return known.find((name) => {
    const most = Math.min(name.length, word.length) <= shortNameLetters ? 1 : 2
    return distance(word, name) <= most || (word.length === name.length && letters(word) === letters(name))
  })
}

const letters = (word: string) => [...word].sort().join('')
