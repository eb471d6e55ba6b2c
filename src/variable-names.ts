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

/**
 * Answers a fault for each variable that was meant to be a setting and is none: what it says would
 * be left out without a word, and DATABSE_URL would start an empty database.
 */
export function misspelt(environment: NodeJS.ProcessEnv, names: readonly string[]): string[] {
  return Object.entries(environment).flatMap(([name, value]) => {
    // Of a service that is called cordon, Kubernetes gives the address as CORDON_PORT.
    if (names.includes(name) || !value?.trim() || /^(tcp|udp):/.test(value)) return []
    if (name.endsWith('_FILE') && names.includes(name.slice(0, -'_FILE'.length)))
      return [`${name} is no setting: ${name.slice(0, -'_FILE'.length)} is given as it is, and not as a file`]
    const meant = meantName(name.replace(/^CORDON_/, ''), names)
    return meant === undefined ? [] : [`${name} is no setting; give ${meant}, or take ${name} out of the environment`]
  })
}
