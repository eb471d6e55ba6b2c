import { comparingForm } from '../forms/index.ts'
import confusables from './confusables.json' with { type: 'json' }

const prototypes = new Map<string, string>()
for (const [prototype, lookalikes] of Object.entries(confusables.alike))
  for (const character of lookalikes) prototypes.set(character, prototype)

/**
 * The skeleton of a name (UTS 39, section 4, on its comparing form): two names with one skeleton
 * look alike, as where a Cyrillic letter stands for a Latin one. It is no name, and is not shown.
 */
export function skeletonOf(name: string): string {
  const characters = [...comparingForm(name).normalize('NFD')]
  return characters
    .map((character) => prototypes.get(character) ?? character)
    .join('')
    .normalize('NFC')
}

/** Those of these things whose names look like this name. */
export function lookingLike<T extends { readonly name: string }>(name: string, among: readonly T[]): T[] {
  const skeleton = skeletonOf(name)
  return among.filter((one) => skeletonOf(one.name) === skeleton)
}
