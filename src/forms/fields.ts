import { type CodeListName, codeLists } from './codes.ts'
import { quantityMaxLength, quantityPattern } from './decimal.ts'
import type { Schema } from './form.ts'
import type { LabelKey } from './labels.ts'

// No control characters, which a terminal or a spreadsheet would obey, and no half characters.
export const plainText = '^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f-\\u009f\\ud800-\\udfff]*$'

/** Free text of up to `maxLength` characters, with line breaks. */
export function freeText(label: LabelKey, maxLength: number): Schema {
  return { type: 'string', label, minLength: 1, maxLength, pattern: plainText }
}

/** A field for one code of a list. */
export function code(label: LabelKey, list: CodeListName): Schema {
  return { type: 'string', label, codes: list, enum: [...codeLists[list].codes.keys()] }
}

/** A field for several different codes of a list, in the order of the reporter. */
export function codes(label: LabelKey, list: CodeListName, maxItems: number): Schema {
  return { type: 'array', label, minItems: 1, maxItems, uniqueItems: true, items: code(label, list) }
}

export function listOf(label: LabelKey, maxItems: number, items: Schema): Schema {
  return { type: 'array', label, minItems: 1, maxItems, items }
}

export function group(
  label: LabelKey,
  properties: Readonly<Record<string, Schema>>,
  rest: Pick<Schema, 'required' | 'dependentRequired'> = {},
): Schema {
  return { type: 'object', label, properties, additionalProperties: false, ...atLeastOne(rest), ...rest }
}

function atLeastOne({ required }: Pick<Schema, 'required'>): Pick<Schema, 'minProperties'> {
  return required === undefined ? { minProperties: 1 } : {}
}

export function day(label: LabelKey): Schema {
  return { type: 'string', label, format: 'date', maxLength: 10 }
}

export function quantity(label: LabelKey): Schema {
  return { type: 'string', label, pattern: quantityPattern, maxLength: quantityMaxLength }
}

/** How texts of a fixed form are written, by their pattern: a sentence for their writer. */
const sentences = new Map<string, string>()

/** A field for text of a fixed form; `sentence` says to a person how it is written. */
export function pattern(label: LabelKey, regularExpression: string, maxLength: number, sentence: string): Schema {
  sentences.set(regularExpression, sentence)
  return { type: 'string', label, pattern: regularExpression, maxLength }
}

export function sentenceFor(regularExpression: string): string | undefined {
  return sentences.get(regularExpression)
}

export function flag(label: LabelKey): Schema {
  return { type: 'boolean', label }
}

export function wholeNumber(label: LabelKey, minimum: number, maximum: number): Schema {
  return { type: 'integer', label, minimum, maximum }
}

/** Degrees as text. The extract has two decimals, which is about a kilometre. */
function degrees(label: LabelKey, limit: 90 | 180, rounded: boolean): Schema {
  const whole = limit === 90 ? '(?:[0-9]|[1-8][0-9])' : '(?:[0-9]|[1-9][0-9]|1[0-7][0-9])'
  const fraction = (digit: string) => (rounded ? `\\.${digit}{2}` : `(?:\\.${digit}{1,8})?`)
  const decimals = rounded ? 'a point and exactly 2 digits' : 'if need be a point and at most 8 digits'
  const example = limit === 90 ? '-4.05' : '39.67'
  return pattern(
    label,
    `^-?(?:${whole}${fraction('[0-9]')}|${limit}${fraction('0')})$`,
    16,
    `Write degrees from -${limit} to ${limit} with ${decimals}, such as ${example}.`,
  )
}

/** The place as the extract may have it: UN/LOCODE, coordinates rounded to 0.01°, or both. */
export const codedPlace = group(
  'place',
  {
    locode: pattern(
      'locode',
      '^[A-Z]{2}[A-Z2-9]{3}$',
      5,
      'Write a UN/LOCODE: the two letters of the country and the three characters of the place, such as KEMBA.',
    ),
    latitude: degrees('latitude', 90, true),
    longitude: degrees('longitude', 180, true),
  },
  { dependentRequired: { latitude: ['longitude'], longitude: ['latitude'] } },
)

/** The exact position, which stays sealed. */
export const exactPosition = group(
  'exactPosition',
  { latitude: degrees('exactLatitude', 90, false), longitude: degrees('exactLongitude', 180, false) },
  { required: ['latitude', 'longitude'] },
)

/** The countries that a consignment passed, in the order of the reporter; none, one or several. */
export const route = {
  origin: codes('origin', 'countries', 10),
  departure: codes('departure', 'countries', 10),
  transit: codes('transit', 'countries', 10),
  destination: codes('destination', 'countries', 10),
} as const
