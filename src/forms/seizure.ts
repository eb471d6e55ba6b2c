import {
  code,
  codedPlace,
  codes,
  day,
  exactPosition,
  flag,
  freeText,
  group,
  listOf,
  pattern,
  quantity,
  route,
  wholeNumber,
} from './fields.ts'
import type { Form } from './form.ts'

/** The most goods one seizure may list, as the protocol limits its extract. */
export const maxItems = 200

const goods = group(
  'items',
  {
    category: code('category', 'commodities'),
    hs: pattern(
      'hs',
      '^[0-9]{4}(?:[0-9]{2})?$',
      6,
      'Write the 4 or 6 digits of the heading without a point, such as 050790.',
    ),
    quantity: quantity('quantity'),
    unit: code('unit', 'units'),
    estimated: flag('estimated'),
    weight: quantity('weight'),
    description: freeText('description', 2_000),
    packaging: freeText('packaging', 500),
    brand: freeText('brand', 200),
  },
  {
    required: ['category'],
    dependentRequired: { quantity: ['unit'], unit: ['quantity'], estimated: ['quantity'] },
  },
)

const conveyance = group('conveyance', {
  kind: code('conveyanceKind', 'conveyanceKinds'),
  name: freeText('conveyanceName', 200),
  registration: freeText('registration', 100),
  containers: listOf('containers', 50, freeText('containers', 20)),
})

const documents = listOf(
  'documents',
  50,
  group(
    'documents',
    {
      kind: code('documentKind', 'documentKinds'),
      number: freeText('documentNumber', 100),
      issuer: freeText('issuer', 200),
    },
    { required: ['kind'] },
  ),
)

const people = listOf(
  'people',
  50,
  group(
    'people',
    {
      role: code('personRole', 'personRoles'),
      name: freeText('personName', 200),
      company: freeText('company', 200),
      nationality: code('nationality', 'countries'),
      document: freeText('personDocument', 200),
    },
    { required: ['role'] },
  ),
)

/**
 * The row from which a seizure was imported, so that a later import finds rows whose source
 * changed.
 */
const imported = group(
  'imported',
  {
    mapping: freeText('importMapping', 64),
    key: freeText('importKey', 200),
    source: pattern('importSource', '^[A-Za-z0-9_-]{43}$', 43, 'An import writes this field: leave it out.'),
  },
  { required: ['mapping', 'key', 'source'] },
)

/**
 * A seizure of goods. Coded, and partly in the extract: what, how much, where, when and how.
 * Sealed: who and what exactly.
 */
export const seizure: Form = {
  id: 'seizure',
  version: 1,
  title: { en: 'Seizure' },
  fields: group(
    'items',
    {
      country: code('country', 'countries'),
      date: day('date'),
      dateTo: day('dateTo'),
      place: codedPlace,
      placeType: code('placeType', 'placeTypes'),
      placeName: freeText('placeName', 200),
      exactPosition,
      direction: code('direction', 'directions'),
      mode: code('mode', 'modes'),
      ...route,
      detectionMethod: code('detectionMethod', 'detectionMethods'),
      concealment: code('concealment', 'concealments'),
      items: listOf('items', maxItems, goods),
      legalStatus: code('legalStatus', 'legalStatuses'),
      persons: wholeNumber('persons', 0, 10_000),
      indicators: codes('indicators', 'indicators', 20),
      coverLoad: freeText('coverLoad', 1_000),
      conveyance,
      documents,
      people,
      labResult: freeText('labResult', 2_000),
      reference: freeText('reference', 200),
      narrative: freeText('narrative', 20_000),
      outcome: freeText('outcomeText', 2_000),
      imported,
      language: code('language', 'languages'),
    },
    { required: ['country', 'date'] },
  ),
  extract: [
    '/country',
    '/date',
    '/dateTo',
    '/place',
    '/placeType',
    '/direction',
    '/mode',
    '/origin',
    '/departure',
    '/transit',
    '/destination',
    '/detectionMethod',
    '/concealment',
    '/items/*/category',
    '/items/*/hs',
    '/items/*/quantity',
    '/items/*/unit',
    '/items/*/estimated',
    '/items/*/weight',
    '/legalStatus',
    '/persons',
    '/indicators',
  ],
  subject: 'optional',
  refersTo: { reply: ['text', 'warning', 'feedback', 'seizure'], correction: ['seizure'] },
  standsAlone: true,
}
