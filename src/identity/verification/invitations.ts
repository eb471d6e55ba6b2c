import { microsecondText, type Details, type Findings } from '../../log/index.ts'
import type { Leaf } from '../../protocol/index.ts'
import { differences } from './directory.ts'
import type { RawInvitation, RawRecovery } from './store.ts'

interface RecordedInvitation {
  readonly terms: Partial<RawInvitation>
  used: boolean
  revoked: boolean
  readonly request: string | undefined
  readonly at: string
  approval: { readonly by: string; readonly request: string | undefined; readonly at: string } | undefined
}

/**
 * What the directory has said so far of invitations, and of the recovery requests that belong to
 * them.
 */
export class InvitationFold {
  readonly #invitations = new Map<string, RecordedInvitation>()
  readonly #seen = { invitations: new Set<string>(), recoveries: new Set<string>() }

  follow({ kind, subject, actor, digest, at }: Leaf, details: Details): void {
    const text = (name: string) => {
      const value = details?.[name]
      return typeof value === 'string' ? value : undefined
    }
    if (kind === 'person.invited' && 'device' in actor) {
      const [expiresAt, recognition] = [text('expiresAt'), text('recognition')]
      const terms: Partial<RawInvitation> = {
        person_id: subject,
        organization_id: text('organization') ?? '',
        tier: text('tier') ?? '',
        inviter_person_id: actor.person,
        inviter_device_id: actor.device,
        // Entries of before 2026-11-30 do not hold these values.
        ...(expiresAt === undefined ? {} : { expires_at: microsecondText(expiresAt) }),
        ...(recognition === undefined ? {} : { recognition }),
      }
      const request = text('recovery')
      const entered = { terms, used: false, revoked: false, request, at: microsecondText(at), approval: undefined }
      this.#invitations.set(text('invitation') ?? '', entered)
    }
    const used = kind === 'device.enrolled' ? this.#invitations.get(text('invitation') ?? '') : undefined
    if (used) used.used = true
    const named = this.#invitations.get(subject)
    if (named && kind === 'invitation.revoked') named.revoked = true
    if (named && kind === 'approval.given' && 'person' in actor)
      named.approval = { by: actor.person, request: digest, at: microsecondText(at) }
  }

  invitation(row: RawInvitation): Findings {
    this.#seen.invitations.add(row.id)
    const entered = this.#invitations.get(row.id)
    if (!entered) return ['no entry of the directory made it']
    const faults = differences(row, entered.terms)
    if ((row.used_at !== null) !== entered.used)
      faults.push(entered.used ? 'it was used, and its row would let it be used again' : 'nobody has used it')
    if ((row.revoked_at !== null) !== entered.revoked)
      faults.push(entered.revoked ? 'it was revoked, and its row does not say so' : 'nobody has revoked it')
    return faults
  }

  recovery(row: RawRecovery): Findings {
    this.#seen.recoveries.add(row.id)
    const entered = this.#invitations.get(row.id)
    if (entered?.request === undefined) return ['no entry of the directory asked for it']
    const faults = differences(row, { request: entered.request, approver_person_id: entered.approval?.by ?? null })
    // The row is written a moment before its entry.
    if (row.requested_at > entered.at) faults.push('its row says a later time than its entry')
    if (row.approved_at !== null && !(row.approved_at <= (entered.approval?.at ?? '')))
      faults.push('its approval has no entry')
    if (entered.approval && entered.approval.request !== row.request) faults.push('another request was approved')
    return faults
  }

  /** Answers the invitations that have an entry and whose row was not seen, a sentence each. */
  missing(): string[] {
    const faults: string[] = []
    for (const [id, { request }] of this.#invitations) {
      if (!this.#seen.invitations.has(id)) faults.push(`invitation ${id}: it has entries and no row`)
      if (request !== undefined && !this.#seen.recoveries.has(id))
        faults.push(`recovery ${id}: it has entries and no row`)
    }
    return faults
  }
}
