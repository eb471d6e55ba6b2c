import { comparingForm } from '../forms/index.ts'
import confusables from './confusables.json' with { type: 'json' }

const prototypes = new Map<string, string>()
for (const [prototype, lookalikes] of Object.entries(confusables.alike))
  for (const character of lookalikes) prototypes.set(character, prototype)

/** The skeleton of a text (UTS 39, section 4). It is no name, and is not shown. */
function skeletonOf(text: string): string {
  const characters = [...text.normalize('NFKD')]
  return characters.map((character) => prototypes.get(character) ?? character).join('')
}

/**
 * The skeletons of a name in the comparing form: of its small letters, and of its letters as they
 * are, because a Greek capital can look like a Latin one whose small letter it does not look like.
 */
function skeletonsOf(name: string): string[] {
  const small = (text: string) => comparingForm(skeletonOf(comparingForm(text)))
  return [small(name), small(skeletonOf(name))]
}

/** Those of these things whose names look like this name, as where a letter is Cyrillic. */
export function lookingLike<T extends { readonly name: string }>(name: string, among: readonly T[]): T[] {
  const skeletons = new Set(skeletonsOf(name))
  return among.filter((one) => skeletonsOf(one.name).some((skeleton) => skeletons.has(skeleton)))
}
