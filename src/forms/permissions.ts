import type { Permission } from '../access.ts'
import type { FormId, Relation } from './form.ts'

const byForm: Readonly<Record<FormId, readonly Permission[]>> = {
  text: [],
  warning: ['warning.issue'],
  feedback: ['warning.answer'],
  seizure: ['seizure.report'],
}

const byRelation: Readonly<Record<Relation, readonly Permission[]>> = {
  reply: [],
  feedback: ['warning.answer'],
  correction: ['message.correct'],
  withdrawal: ['message.withdraw'],
}

/**
 * The permissions that a post needs, `message.post` first: by its form and its relation, whether it
 * opens a thread, and whether it is imported.
 */
export function permissionsFor(
  form: FormId,
  as: Relation | undefined,
  firstOfThread: boolean,
  isImport: boolean,
): Permission[] {
  const needed: Permission[] = ['message.post', ...byForm[form], ...(as === undefined ? [] : byRelation[as])]
  if (firstOfThread) needed.push('thread.open')
  if (isImport) needed.push('records.import')
  return [...new Set(needed)]
}
