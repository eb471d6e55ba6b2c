import { code, codes, day, freeText, group, listOf, route } from './fields.ts'
import type { Form } from './form.ts'

/**
 * A warning about a consignment, a conveyance or a journey. The statement of the message has the
 * addressees and the time for replies.
 */
export const warning: Form = {
  id: 'warning',
  version: 1,
  title: { en: 'Warning' },
  fields: group(
    'suspicion',
    {
      country: code('country', 'countries'),
      suspicion: freeText('suspicion', 10_000),
      indicators: codes('indicators', 'indicators', 20),
      categories: codes('categories', 'commodities', 20),
      lookFor: listOf(
        'lookFor',
        50,
        group(
          'lookFor',
          {
            kind: code('lookForKind', 'lookForKinds'),
            identifier: freeText('identifier', 100),
            note: freeText('note', 1_000),
          },
          { required: ['kind'] },
        ),
      ),
      mode: code('mode', 'modes'),
      ...route,
      route: freeText('route', 2_000),
      eta: day('eta'),
      actions: codes('actions', 'actions', 8),
      doNot: freeText('doNot', 2_000),
      language: code('language', 'languages'),
    },
    { required: ['country', 'suspicion'] },
  ),
  extract: [
    '/country',
    '/indicators',
    '/categories',
    '/mode',
    '/origin',
    '/departure',
    '/transit',
    '/destination',
    '/eta',
  ],
  subject: 'required',
  refersTo: { reply: ['text', 'warning', 'feedback', 'seizure'], correction: ['warning'] },
  standsAlone: true,
}
