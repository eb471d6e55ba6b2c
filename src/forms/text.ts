import { code, freeText, group } from './fields.ts'
import type { Form } from './form.ts'

/**
 * Plain text: the opening of a thread, a reply, or the reason for which another message is
 * withdrawn.
 */
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
