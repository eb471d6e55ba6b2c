import { code, day, freeText, group } from './fields.ts'
import type { Form } from './form.ts'

/** The answer of an addressee to a warning: what it did, and with what result. */
export const feedback: Form = {
  id: 'feedback',
  version: 1,
  title: { en: 'Feedback' },
  fields: group(
    'outcome',
    {
      country: code('country', 'countries'),
      outcome: code('outcome', 'outcomes'),
      date: day('date'),
      reason: code('reason', 'reasons'),
      indicatorUseful: code('indicatorUseful', 'usefulness'),
      note: freeText('note', 5_000),
      language: code('language', 'languages'),
    },
    { required: ['outcome', 'date'] },
  ),
  extract: ['/country', '/outcome', '/date', '/reason'],
  subject: 'optional',
  refersTo: { feedback: ['warning'], correction: ['feedback'] },
  standsAlone: false,
}
