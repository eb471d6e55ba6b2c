import { identityOwners } from './identity/index.ts'
import type { Owner } from './log/index.ts'
import { messagesOwners } from './messages/index.ts'
import { operationsOwners } from './operations/index.ts'

/**
 * Every owner of rows that entries are about, for `verifyLogs`, once per run. `root`: thumbprint of
 * the root that the verifier trusts; without it the root that the database itself names.
 */
export function verificationOwners(options: { readonly root?: string } = {}): Owner[] {
  const { owners, views } = operationsOwners(options)
  return [...identityOwners(options), ...owners, ...messagesOwners(views)]
}
