import { comparingForm, commodities } from '../../forms/index.ts'
import type { ColumnProfile } from './profile.ts'

/** The unit that a word of a file names, in small letters. */
export const unitWords: Readonly<Record<string, string>> = {
  kg: 'KGM',
  kgs: 'KGM',
  kilogram: 'KGM',
  kilograms: 'KGM',
  kilo: 'KGM',
  g: 'GRM',
  gm: 'GRM',
  gr: 'GRM',
  gram: 'GRM',
  grams: 'GRM',
  mg: 'MGM',
  t: 'TNE',
  ton: 'TNE',
  tonne: 'TNE',
  tonnes: 'TNE',
  lb: 'LBR',
  lbs: 'LBR',
  pound: 'LBR',
  pounds: 'LBR',
  oz: 'ONZ',
  ounce: 'ONZ',
  ounces: 'ONZ',
  l: 'LTR',
  lt: 'LTR',
  ltr: 'LTR',
  litre: 'LTR',
  litres: 'LTR',
  liter: 'LTR',
  liters: 'LTR',
  ml: 'MLT',
  no: 'H87',
  pcs: 'H87',
  pc: 'H87',
  piece: 'H87',
  pieces: 'H87',
  number: 'H87',
  units: 'H87',
  tablets: 'H87',
  doses: 'H87',
  specimens: 'H87',
  m: 'MTR',
  metre: 'MTR',
  metres: 'MTR',
  m2: 'MTK',
  m3: 'MTQ',
  cm: 'CMT',
  ct: 'CTM',
  carat: 'CTM',
  carats: 'CTM',
  pair: 'PR',
  pairs: 'PR',
}

/** A column of days, by its name. */
export const dayColumn = /\b(date|day|datum|fecha|jour|data)\b|date$/i
/** The field that a column of a name and of such cells fills. */
export const fieldWords: readonly (readonly [RegExp, string, (column: ColumnProfile) => boolean])[] = [
  [dayColumn, '/date', ({ dateFormats }) => dateFormats.length > 0],
  [/\b(year|month|fy|año|jahr|annee|année)\b/i, '/date', ({ dateFormats }) => dateFormats.length > 0],
  [/origin|procedencia|came/i, '/origin', ({ countries }) => countries !== undefined],
  [/destin|importer|going|\bto\b/i, '/destination', ({ countries }) => countries !== undefined],
  [/depart|exporter|provenance|consignment|\bfrom\b/i, '/departure', ({ countries }) => countries !== undefined],
  [/transit|route|via/i, '/transit', ({ countries }) => countries !== undefined],
  [
    /^(?:(?:reporting|seizing|seizure|member|the) )*(?:country|state|pays|país|pais|land|staat)(?: (?:code|name|iso|iso2|of seizure|of the seizure|reporting|de saisie|de incautación))*$/i,
    '/country',
    ({ countries }) => countries === 'codes' || countries === 'names',
  ],
  [/^lat/i, '/exactPosition/latitude', ({ numeric }) => numeric],
  [/^(lon|lng)/i, '/exactPosition/longitude', ({ numeric }) => numeric],
  [/persons|arrest|suspects/i, '/persons', ({ numeric }) => numeric],
  [/place|location|port|city|town|district|office|lieu|lugar|ort\b/i, '/placeName', () => true],
  [/state|province|region/i, '/placeName', () => true],
  [/narrative|remark|note|comment|details?|bemerkung/i, '/narrative', () => true],
  [/outcome|result/i, '/outcome', () => true],
]
/** The field that takes a code of a list, by the name of its column. */
export const codeWords: readonly (readonly [
  RegExp,
  string,
  'modes' | 'directions' | 'detectionMethods' | 'concealments',
])[] = [
  [/transport|conveyance|\bmode\b/i, '/mode', 'modes'],
  [/direction|import.export/i, '/direction', 'directions'],
  [/detect/i, '/detectionMethod', 'detectionMethods'],
  [/conceal/i, '/concealment', 'concealments'],
]
export const hsColumn = /\bhs ?(code|number|\d+)?\b|tariff|harmoni[sz]ed/i
export const commodityColumn = /drug|commodity|species|product|goods|taxon|substance/i
export const quantityColumn = /quantity|qty|amount|weight|mass|count|number of|seized|sum\b|kg|lbs?\b/i
/** A column of countries whose name does not tell what they are to the seizure. */
export const countryColumn = /country|countries|ctry|cntry|nation|pays|país|pais\b|land\b/i
/** A column that names the seizure itself. */
export const seizureColumn = /seiz|saisie|incaut|beschlag|decomis/i
const keyColumn =
  /^(ref|id|key|nr|no)$|reference|identifier|(^|[ _-])(id|ref|no|nr|number)$|^(case|seizure|control|record)/i

function partsOf(name: string): string[] {
  return name.split(/[^\p{L}\p{N}]+/u).filter((part) => part !== '')
}

/** The unit that a name of a column has among its words. */
export function unitIn(name: string): string | undefined {
  const [found] = partsOf(name)
    .toReversed()
    .flatMap((part) => unitWords[part.toLowerCase()] ?? [])
  return found
}

const commodityNames: ReadonlyMap<string, string> = new Map(
  [...commodities.values()]
    .toReversed()
    .flatMap(({ code, label }) => [
      [comparingForm(label.en), code] as const,
      [comparingForm(code.split('/').at(-1) ?? ''), code] as const,
    ]),
)

/**
 * The commodity that a word of a file names: by its path, its label, or the last word of its path.
 */
export function commodityCode(word: string): string | undefined {
  return commodities.has(word) ? word : commodityNames.get(comparingForm(word))
}

/** The commodity that a name of a column has among its words. */
export function commodityIn(name: string): string | undefined {
  const words = partsOf(name).filter(
    (part) => unitWords[part.toLowerCase()] === undefined && !['other', 'parts', 'live'].includes(part.toLowerCase()),
  )
  const found = words.map((word) => commodityCode(word)).filter((code) => code !== undefined)
  return found.length > 0 ? found[0] : undefined
}

/** Whether a column counts seizures and no goods, by its name. */
export function countsCases(name: string): boolean {
  return /\b(?:seizures|cases|events?|incidents|records|occurrences)\b/i.test(name.replaceAll('_', ' '))
}

/** Whether a column names a row, by its name. */
export function isKeyName(name: string): boolean {
  return keyColumn.test(name) && !countsCases(name) && !dayColumn.test(name.replaceAll('_', ' '))
}
