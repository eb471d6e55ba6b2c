import type { EntryDraft } from '../log/index.ts'
import { asActor, type SignedInCaller } from './deps.ts'

/** Why a caller looked: the caller's own statement, or the purpose of such a view. */
export interface Justification {
  readonly justification: string
  readonly justifiedBy: 'asker' | 'purpose'
}

export function justifiedBy(stated: string | undefined, purpose: string): Justification {
  return stated === undefined
    ? { justification: purpose, justifiedBy: 'purpose' }
    : { justification: stated, justifiedBy: 'asker' }
}

/** Makes the entry of a view of the directory: `subject` is the organization, or all of them. */
export function viewedDraft(
  actor: SignedInCaller,
  subject: string,
  details: Justification & { readonly count: number; readonly operation?: string; readonly name?: string },
): EntryDraft {
  return {
    kind: 'directory.viewed',
    actor: asActor(actor),
    subject,
    details: { session: actor.session, ...details },
  }
}
