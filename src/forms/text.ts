import { code, freeText, group } from './fields.ts'
import type { Form } from './form.ts'

/** Plain words: an opening, a reply, or the reason for withdrawing another message. */
export const text: Form = {
  id: 'text',
  version: 1,
  title: { en: 'Text' },
  fields: group(
    'text',
    { text: freeText('text', 20_000), language: code('language', 'languages') },
    { required: ['text'] },
  ),
  extract: [],
  subject: 'optional',
  refersTo: {
    reply: ['text', 'warning', 'feedback', 'seizure'],
    correction: ['text'],
    withdrawal: ['text', 'warning', 'feedback', 'seizure'],
  },
  standsAlone: true,
}
