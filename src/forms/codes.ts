import {
  concealments,
  conveyanceKinds,
  detectionMethods,
  directions,
  documentKinds,
  legalStatuses,
  modes,
  personRoles,
  placeTypes,
} from './circumstances.ts'
import { commodities } from './commodities.ts'
import { countries, otherPlaces } from './countries.ts'
import type { Label } from './labels.ts'
import { units } from './units.ts'
import { actions, indicators, lookForKinds, outcomes, reasons, textLanguages, usefulness } from './warnings.ts'

/** A list of codes, each with its label. */
export interface CodeList {
  readonly source: string
  readonly codes: ReadonlyMap<string, Label>
}

const ours = 'Cordon'

function list(source: string, names: Readonly<Record<string, string>>): CodeList {
  return { source, codes: new Map(Object.entries(names).map(([code, en]) => [code, { en }])) }
}

export const codeLists = {
  countries: list('ISO 3166-1 alpha-2, and of its codes for users XK, XX, XZ', { ...countries, ...otherPlaces }),
  modes: list('UN/ECE Recommendation 19', modes),
  units: {
    source: 'UN/ECE Recommendation 20',
    codes: new Map(Object.entries(units).map(([code, unit]) => [code, unit.label])),
  },
  commodities: {
    source: ours,
    codes: new Map([...commodities.values()].map((commodity) => [commodity.code, commodity.label])),
  },
  directions: list(ours, directions),
  placeTypes: list(ours, placeTypes),
  detectionMethods: list(ours, detectionMethods),
  concealments: list(ours, concealments),
  legalStatuses: list(ours, legalStatuses),
  conveyanceKinds: list(ours, conveyanceKinds),
  personRoles: list(ours, personRoles),
  documentKinds: list(ours, documentKinds),
  lookForKinds: list(ours, lookForKinds),
  actions: list(ours, actions),
  outcomes: list(ours, outcomes),
  reasons: list(ours, reasons),
  usefulness: list(ours, usefulness),
  indicators: list(ours, indicators),
  languages: list('ISO 639-1', textLanguages),
} as const satisfies Record<string, CodeList>

export type CodeListName = keyof typeof codeLists

/** Whether a code names a place: the one rule for organizations, recipients and messages. */
export function isPlace(code: string): boolean {
  return codeLists.countries.codes.has(code)
}

/**
 * What a place is, in a sentence. A union of countries such as EU is none, and ZZ means an unknown
 * place in some lists and the high seas in others.
 */
export const placeRule =
  'Name a country or territory by its code of ISO 3166-1, Kosovo by XK, international waters by XZ, an unknown place by XX; EU and ZZ are no places.'
