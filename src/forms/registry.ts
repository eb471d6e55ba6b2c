import { feedback } from './feedback.ts'
import type { Form, FormId, Relation } from './form.ts'
import { seizure } from './seizure.ts'
import { text } from './text.ts'
import { warning } from './warning.ts'

/** Every form in every version that ever existed: an old message stays readable for ever. */
export const forms: readonly Form[] = [text, warning, feedback, seizure]

export function findForm(id: string, version: number): Form | undefined {
  return forms.find((form) => form.id === id && form.version === version)
}

/** The newest version of a form, for new messages: the last one in `forms`. */
export function newestForm(id: FormId): Form {
  const form = forms.filter((candidate) => candidate.id === id).at(-1)
  if (form === undefined) throw new RangeError(`no such form: ${id}`)
  return form
}

/**
 * Whether a message of this form may stand alone (no relation), or may refer in this way to a
 * message of that form. Only the form text withdraws: a withdrawal has a reason and nothing that
 * could be counted.
 */
export function mayRefer(form: Form, as?: Relation, target?: FormId): boolean {
  if (as === undefined) return form.standsAlone
  return target !== undefined && (form.refersTo[as] ?? []).includes(target)
}
