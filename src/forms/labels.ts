/**
 * The languages of forms and code lists. English is complete; labels in other languages are added
 * beside it.
 */
export const languages = ['en', 'fr', 'es', 'ru', 'ar', 'pt'] as const

export type Language = (typeof languages)[number]

export type Label = { readonly en: string } & { readonly [L in Language]?: string }

/** The label in a language; in English where that language has none. */
export function inLanguage(label: Label, language: Language = 'en'): string {
  return label[language] ?? label.en
}

/**
 * The labels of fields by their key. Forms name keys, so that a field has one label in all forms.
 */
export const fieldLabels = {
  text: { en: 'Text' },
  language: { en: 'Language of the free text' },
  country: { en: 'Reporting country' },
  date: { en: 'Date' },
  dateTo: { en: 'Last day, where it is a span' },
  place: { en: 'Place, coded' },
  locode: { en: 'UN/LOCODE' },
  latitude: { en: 'Latitude, two decimals' },
  longitude: { en: 'Longitude, two decimals' },
  placeName: { en: 'Place, as reported' },
  exactPosition: { en: 'Exact position' },
  exactLatitude: { en: 'Exact latitude' },
  exactLongitude: { en: 'Exact longitude' },
  placeType: { en: 'Type of place' },
  direction: { en: 'Direction' },
  mode: { en: 'Mode of transport' },
  origin: { en: 'Countries of origin' },
  departure: { en: 'Countries of departure' },
  transit: { en: 'Countries of transit' },
  destination: { en: 'Countries of destination' },
  detectionMethod: { en: 'Method of detection' },
  concealment: { en: 'Concealment' },
  items: { en: 'Goods' },
  category: { en: 'Commodity' },
  categories: { en: 'Suspected commodities' },
  hs: { en: 'HS heading or subheading' },
  quantity: { en: 'Quantity' },
  unit: { en: 'Unit' },
  estimated: { en: 'Estimated, not counted or weighed' },
  weight: { en: 'Weight of these goods in kilograms' },
  description: { en: 'Description' },
  packaging: { en: 'Packaging' },
  brand: { en: 'Brand' },
  legalStatus: { en: 'Legal status' },
  persons: { en: 'Number of persons' },
  indicators: { en: 'Risk indicators' },
  coverLoad: { en: 'Cover load' },
  conveyance: { en: 'Conveyance' },
  conveyanceKind: { en: 'Kind of conveyance' },
  conveyanceName: { en: 'Name of the conveyance' },
  registration: { en: 'Registration, plate or flight number' },
  containers: { en: 'Container numbers' },
  documents: { en: 'Documents' },
  documentKind: { en: 'Kind of document' },
  documentNumber: { en: 'Number of the document' },
  issuer: { en: 'Issued by' },
  people: { en: 'Persons and companies' },
  personRole: { en: 'Role' },
  personName: { en: 'Name' },
  nationality: { en: 'Nationality' },
  personDocument: { en: 'Document' },
  company: { en: 'Company' },
  labResult: { en: 'Result of the laboratory' },
  reference: { en: 'National reference' },
  narrative: { en: 'What happened' },
  outcomeText: { en: 'What became of it' },
  imported: { en: 'Imported from' },
  importMapping: { en: 'Mapping' },
  importKey: { en: 'Key of the row' },
  importSource: { en: 'Hash of the row' },
  suspicion: { en: 'What is suspected, and why' },
  lookFor: { en: 'What to look for' },
  lookForKind: { en: 'Kind' },
  identifier: { en: 'Identifier' },
  note: { en: 'Note' },
  route: { en: 'Route' },
  eta: { en: 'Expected on' },
  actions: { en: 'Action asked for' },
  doNot: { en: 'What not to do' },
  outcome: { en: 'Outcome' },
  reason: { en: 'Reason for no action' },
  indicatorUseful: { en: 'Was the indicator useful?' },
} as const satisfies Record<string, Label>

export type LabelKey = keyof typeof fieldLabels
