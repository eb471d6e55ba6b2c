import type { Chance } from './random.ts'

/**
 * The words of officers, in English, put together from parts. People, plates and numbers are
 * invented.
 */

const finds = [
  'The goods lay under {cover}, packed in {pack}.',
  'Wrapped in {pack} behind {cover}, covered with coffee against dogs.',
  'A dog reacted to the pallets of {cover}; {pack} were found inside.',
  'The scan showed a denser layer in {cover}. {Pack} were cut open.',
  'Declared as {cover}. Three cartons held {pack} instead.',
  'Found in {pack} inside a welded box, with {cover} in front of it.',
]
const packs = [
  'vacuum bags',
  'taped bricks',
  'tin cans',
  'sealed buckets',
  'drums without labels',
  'toy boxes',
  'gift wraps',
  'film canisters',
]
export const covers = [
  'frozen fish',
  'ceramic tiles',
  'bananas',
  'garments',
  'spare parts',
  'tea',
  'furniture',
  'cosmetics',
  'books',
  'scrap metal',
]
const follow = [
  'Samples went to the laboratory.',
  'The consignee did not come to collect.',
  'Driver questioned and released.',
  'The case was handed to the prosecutor.',
  'Field test positive; laboratory pending.',
  'Photographs are kept with the file.',
]
const suspicions = [
  'A trader with no history in {cover} booked two consignments in one week; the weight does not fit the goods declared.',
  'The same shipping agent appears in three earlier seizures. This time the cover is {cover}.',
  'Documents were changed twice after loading, from {cover} to general cargo.',
  'Freight paid in cash by a third party, consignee at a mailbox address, cover {cover}.',
  'The route costs more than the declared value of the {cover}.',
]
const dont = [
  'Do not contact the consignee.',
  'Do not open before the analyst is informed.',
  'Do not stop the driver on the road.',
]
const notes = [
  'Checked on arrival, nothing further to report.',
  'Thank you, the indicator fitted exactly.',
  'The consignment changed its port of discharge; please ask the neighbour.',
  'Opened together with the police.',
  'Scanned on both sides, images are kept.',
]

function fill(text: string, cover: string, chance: Chance): string {
  const pack = chance.pick(packs)
  const capital = pack.charAt(0).toUpperCase() + pack.slice(1)
  return text.replaceAll('{cover}', cover).replaceAll('{pack}', pack).replaceAll('{Pack}', capital)
}

export function narrative(chance: Chance): string {
  return `${fill(chance.pick(finds), chance.pick(covers), chance)} ${chance.pick(follow)}`
}

export function suspicion(cover: string, chance: Chance): string {
  return fill(chance.pick(suspicions), cover, chance)
}

export function caution(chance: Chance): string {
  return chance.pick(dont)
}

export function note(chance: Chance): string {
  return chance.pick(notes)
}

/** A container number with its check digit (ISO 6346). */
export function containerNumber(chance: Chance): string {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
  const owner = Array.from({ length: 3 }, () => letters.charAt(chance.below(26))).join('')
  const bare = `${owner}U${chance.below(1_000_000).toString().padStart(6, '0')}`
  const sum = Array.from(bare).reduce((total, character, n) => total + valueOf(character) * 2 ** n, 0)
  return `${bare}${(sum % 11) % 10}`
}

// Letters count from 10 without the multiples of 11.
function valueOf(character: string): number {
  const digit = Number.parseInt(character, 36)
  return digit < 10 ? digit : digit + Math.floor((digit - 1) / 10)
}

export function plate(chance: Chance): string {
  return `${chance.pick(['AB', 'KX', 'TR', 'ZN', 'MK'])} ${1000 + chance.below(9000)}`
}
