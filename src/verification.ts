import { identityOwners } from './identity/index.ts'
import type { Owner } from './log/index.ts'
import { messagesOwners } from './messages/index.ts'
import { operationsOwners } from './operations/index.ts'

/**
 * Answers every owner of rows that entries are about, for `verifyLogs`; each run needs new ones.
 * `root` is the thumbprint of the root that the verifier trusts; without it, the verifier takes the
 * root that the database itself names.
 */
export function verificationOwners(options: { readonly root?: string } = {}): Owner[] {
  const { owners, views } = operationsOwners(options)
  return [...identityOwners(options), ...owners, ...messagesOwners(views)]
}
