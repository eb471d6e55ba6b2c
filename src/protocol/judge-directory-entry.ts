import { serviceRoles } from '../access.ts'
import type { Refusal } from './judge.ts'
import type { PersonId } from './ids.ts'
import type { OperationView } from './operation-view.ts'
import type { ViewEntry } from './view-entry.ts'

const absent: Refusal = { code: 'NOT_FOUND', message: 'The entry names no member of this operation.' }

/**
 * Judges an entry about a device or a person that the directory or the service adds to the log of
 * an operation. The log records such entries for its members alone, and only true ones. Acts of
 * members are judged by `judgeMemberAct`.
 */
export function judgeDirectoryEntry(view: OperationView, entry: ViewEntry): Refusal | undefined {
  switch (entry.kind) {
    case 'device.certified': {
      const certificate = entry.statement?.type === 'certificate' ? entry.statement.value : undefined
      const member = certificate && view.member(certificate.person)
      if (!certificate || !member || member.organization !== certificate.organization) return absent
      if (certificate.tier === 'service' && !serviceRoles.includes(member.role))
        return { code: 'MEMBER_RULE', message: 'A service account is officer at most.' }
      return undefined
    }
    case 'member.ended':
    case 'member.slept':
      return view.member(entry.subject as PersonId) ? undefined : absent
    default:
      return undefined
  }
}
