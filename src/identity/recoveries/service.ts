import type { Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import { digestOf } from '../../protocol/index.ts'
import { actInDirectory } from '../directory-act.ts'
import { asActor, isAdministrator, type SignedInCaller, type IdentityDeps } from '../deps.ts'
import { requireRecent } from '../factors/service.ts'
import * as identityStore from '../store.ts'
import { justifiedBy, viewedDraft } from '../justification.ts'
import * as store from './store.ts'

/** How long a request waits, and an approval counts (design: access.md, "Two people"). */
const requestLifetimeMs = 72 * 3_600_000

/** Answers the hash of a request: it covers exactly what a second person approves. */
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
 * Answers who approved the recovery that this invitation is for; undefined for any other
 * invitation. APPROVAL_MISSING where no person approved it in time, or the person who did may no
 * longer approve.
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
 * Approvals that a person who has lost every device may come back: a contact point or an
 * administrator of another organization gives them.
 */
export class RecoveryService {
  readonly #deps: IdentityDeps

  constructor(deps: IdentityDeps) {
    this.#deps = deps
  }

  /** Answers the request to a person who was told of it; the view is recorded. */
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
   * Approves the request with this hash. FORBIDDEN for the requester and for every person of the
   * organizations concerned; APPROVAL_MISSING after the request has ended.
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
        throw new Problem('FORBIDDEN', { detail: 'A person of another organization must approve this.' })
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
