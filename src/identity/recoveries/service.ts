import type { Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import { digestOf } from '../../protocol/index.ts'
import { actInDirectory } from '../directory-act.ts'
import { asActor, isAdministrator, type SignedInCaller, type IdentityDeps } from '../deps.ts'
import { requireRecent } from '../factors/service.ts'
import * as identityStore from '../store.ts'
import { justifiedBy, viewedDraft } from '../justification.ts'
import * as store from './store.ts'

/** A request waits, and an approval counts, for so long (design: access.md, "Two people"). */
const requestLifetimeMs = 72 * 3_600_000

/** What is approved, and nothing else. */
export function requestOf(input: {
  invitation: string
  person: string
  organization: string
  tier: string
  recognition: string
}): Promise<string> {
  const { invitation, person, organization, tier, recognition } = input
  return digestOf(JSON.stringify({ act: 'recover', invitation, person, organization, tier, recognition }))
}

/**
 * Who approved the recovery that this invitation is for; undefined for any other invitation.
 * APPROVAL_MISSING where nobody did in time, or who did is no longer anybody who could.
 */
export async function requireApproved(tx: Tx, invitation: string, now: Date): Promise<string | undefined> {
  const recovery = await store.lockRecovery(tx, invitation)
  if (!recovery) return undefined
  const { approver_person_id: approver, approved_at: at } = recovery
  if (!approver || !at || now.getTime() - at.getTime() > requestLifetimeMs) throw new Problem('APPROVAL_MISSING')
  const [person] = await identityStore.findPeople(tx, [approver])
  if (!person || person.ended_at || person.asleep_at) throw new Problem('APPROVAL_MISSING')
  return approver
}

/**
 * Approving that somebody who has lost every device comes back: by a contact point or an
 * administrator of another organization.
 */
export class RecoveryService {
  readonly #deps: IdentityDeps

  constructor(deps: IdentityDeps) {
    this.#deps = deps
  }

  /** What is asked, for whoever was told of it; looking is entered. */
  async show(actor: SignedInCaller, invitation: string) {
    const asked = await actInDirectory(this.#deps, actor, [], async ({ tx, by, enter }) => {
      const asked = await this.#requireAsked(tx, by, invitation)
      const why = justifiedBy(undefined, 'approving a recovery')
      await enter(viewedDraft(by, asked.organization, { count: 1, ...why }))
      return asked
    })
    const { request, requestedAt, approved, tier } = asked
    return {
      invitation,
      request,
      requestedAt: requestedAt.toISOString(),
      approvableUntil: new Date(requestedAt.getTime() + requestLifetimeMs).toISOString(),
      state: approved ? 'approved' : this.#inTime(asked, this.#deps.clock()) ? 'open' : 'expired',
      tier,
      person: { id: asked.person, name: asked.personName },
      organization: { id: asked.organization, name: asked.organizationName },
      requester: { id: asked.requester, name: asked.requesterName },
    }
  }

  /**
   * Approves the request with this hash. FORBIDDEN for who asked and for anybody of the
   * organizations that are concerned; APPROVAL_MISSING too late.
   */
  async approve(actor: SignedInCaller, invitation: string, request: string): Promise<void> {
    await actInDirectory(this.#deps, actor, [], async ({ tx, by: actor, now, enter }) => {
      await requireRecent(tx, actor, now)
      await identityStore.lockInvitation(tx, invitation)
      await store.lockRecovery(tx, invitation)
      const asked = await this.#requireAsked(tx, actor, invitation)
      if (
        [asked.requesterOrganization, ...(isAdministrator(actor) ? [] : [asked.organization])].includes(
          actor.organization,
        )
      )
        throw new Problem('FORBIDDEN', { detail: 'Somebody of another organization approves this.' })
      if (asked.request !== request) throw new Problem('APPROVAL_MISSING', { detail: 'Something else was asked for.' })
      if (asked.approved) return
      if (!this.#inTime(asked, now)) throw new Problem('APPROVAL_MISSING', { detail: 'The request has expired.' })
      await store.approveRecovery(tx, invitation, actor.person, now)
      const details = {
        session: actor.session,
        act: 'recover',
        person: asked.person,
        outcome: 'accepted',
        reason: 'approved',
      }
      await enter({ kind: 'approval.given', actor: asActor(actor), subject: invitation, digest: request, details })
    })
  }

  #inTime({ requestedAt, open }: store.RecoveryRequestRow, now: Date): boolean {
    return open && now.getTime() - requestedAt.getTime() <= requestLifetimeMs
  }

  async #requireAsked(tx: Tx, actor: SignedInCaller, invitation: string): Promise<store.RecoveryRequestRow> {
    const may = actor.tier === 'ncp' || isAdministrator(actor)
    const asked = may ? await store.findRecovery(tx, invitation, this.#deps.clock()) : undefined
    if (!asked) throw new Problem('NOT_FOUND')
    return asked
  }
}
