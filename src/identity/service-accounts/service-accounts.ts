import type { Permission } from '../../access.ts'
import { transaction, type Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import type { AppendResult, EntryDraft } from '../../log/index.ts'
import { readRevocation } from '../../protocol/index.ts'
import { checked, type CertificateService } from '../certificates.ts'
import { actInDirectory, type LockedCaller } from '../directory-act.ts'
import { asActor, isAdministrator, type SignedInCaller, type IdentityDeps } from '../deps.ts'
import { endedDrafts } from '../sessions.ts'
import { endSessions, findPeople, lockPerson, setDeviceState, revokeInvitations } from '../store.ts'
import { tellLogs, type DeviceNews } from '../device-news.ts'
import { justifiedBy, viewedDraft } from '../justification.ts'
import * as store from './store.ts'

export interface ServiceAccountView {
  readonly account: string
  readonly name: string
  readonly organization: { readonly id: string; readonly name: string }
  readonly permissions: Permission[]
  readonly addresses: string[]
  readonly expiresAt: string
  readonly state: 'invited' | 'waiting' | 'active' | 'revoked' | 'expired' | 'ended'
  readonly device: string | null
  readonly lastUsed: { readonly at: string; readonly address: string } | null
}

/**
 * Accounts of national systems and other programs: who may list and stop them, and how they end.
 */
export class ServiceAccountService {
  readonly #deps: IdentityDeps
  readonly #certificates: CertificateService

  constructor(deps: IdentityDeps, certificates: CertificateService) {
    this.#deps = deps
    this.#certificates = certificates
  }

  /**
   * Answers the accounts of an organization to its NCPs and administrators, and all accounts to
   * administrators. The view is recorded.
   */
  async list(actor: SignedInCaller, organization?: string, justification?: string): Promise<ServiceAccountView[]> {
    const asked = organization ?? (isAdministrator(actor) ? undefined : actor.organization)
    if (!manages(actor, asked)) throw new Problem('NOT_FOUND')
    const accounts = await actInDirectory(this.#deps, actor, [], async ({ tx, by, enter }) => {
      const accounts = await store.listServiceAccounts(tx, asked)
      const why = justifiedBy(justification, 'keeping the service accounts')
      await enter(viewedDraft(by, asked ?? 'service-accounts', { count: accounts.length, ...why }))
      return accounts
    })
    return accounts.map((account) => viewOf(account, this.#deps.clock()))
  }

  /**
   * Stops an account at once and for good: its sessions end on every server, and its invitation is
   * worth nothing any more. `jws` revokes its device, so that the epochs that the device could read
   * become stale.
   */
  async stop(actor: SignedInCaller, account: string, jws: string | undefined): Promise<void> {
    const revocation = jws === undefined ? undefined : await checked('STATEMENT_INVALID', () => readRevocation(jws))
    const concerned = async (tx: Tx) => [
      account,
      ...(revocation === undefined ? [] : await this.#certificates.concernedBy(tx, revocation)),
    ]
    await actInDirectory(this.#deps, actor, concerned, async (act) => {
      const { tx, by, told } = act
      const [person] = await findPeople(tx, [account])
      const known = await store.findServiceAccount(tx, account)
      if (!person || !known || !manages(by, person.organization_id)) throw new Problem('NOT_FOUND')
      if (known.ended_at) return
      const device = await store.liveDeviceOf(tx, account)
      if (revocation?.device !== device)
        throw new Problem('VALIDATION', {
          faults: [
            { in: 'body', pointer: '/revocation', reason: 'names the live device of the account, if it has one' },
          ],
        })
      if (revocation) await this.#certificates.revokeWithin(act, revocation)
      told(await this.#end(tx, account, 'stopped', by))
    })
  }

  /** Ends the accounts whose time is over; any number of servers may run this at once. */
  async endOverdue(): Promise<void> {
    const { db, clock } = this.#deps
    const overdue = await transaction(db, (tx) => store.overdueServiceAccounts(tx, clock()))
    for (const account of overdue) {
      const appended = await transaction(db, async (tx) => {
        await lockPerson(tx, account)
        const known = await store.findServiceAccount(tx, account)
        return known?.ended_at === null ? this.#end(tx, account, 'expired') : undefined
      })
      appended?.afterCommit()
    }
  }

  /**
   * Ends sessions, device, invitations and the account itself; `by` is absent where the service
   * ends it because its time is over.
   */
  async #end(tx: Tx, account: string, reason: 'stopped' | 'expired', by?: LockedCaller): Promise<AppendResult> {
    const { logs, clock, server } = this.#deps
    const actor = by ? asActor(by) : { server }
    const details = by ? { session: by.session, outcome: 'ended', reason } : { outcome: 'ended', reason }
    const device = await store.liveDeviceOf(tx, account)
    const told: DeviceNews[] =
      device === undefined
        ? []
        : [{ person: account, draft: { kind: 'device.expired', actor, subject: device, details } }]
    if (device !== undefined) await setDeviceState(tx, device, 'expired')
    const sessions = await endSessions(tx, { person: account }, clock())
    const invitations = await revokeInvitations(tx, [account], clock())
    const ending: EntryDraft = { kind: 'service.ended', actor, subject: account, details }
    const drafts: EntryDraft[] = [
      ...endedDrafts(sessions, reason, by ?? { server }),
      ...invitations.map((id) => ({ kind: 'invitation.revoked' as const, actor, subject: id, details })),
    ]
    const appended = await logs.appendWithin(tx, [
      { log: logs.directory, drafts: [ending] },
      ...(await tellLogs(tx, this.#deps, told)),
      { log: logs.directory, drafts },
    ])
    await store.endServiceAccount(tx, account, appended.entries.get(logs.directory)?.[0]?.at ?? clock())
    return appended
  }
}

/**
 * Whether a caller manages the service accounts of an organization: administrators manage all, an
 * NCP those of its organization.
 */
function manages(
  { tier, organization }: Pick<SignedInCaller, 'tier' | 'organization'>,
  of: string | undefined,
): boolean {
  return tier === 'administrator' || (tier === 'ncp' && of === organization)
}

function viewOf(listed: store.ServiceAccountListRow, now: Date): ServiceAccountView {
  const { account, name, organization, organizationName, permissions, addresses, device } = listed
  const { expires_at, used_at, used_from } = listed
  return {
    account,
    name,
    organization: { id: organization, name: organizationName },
    permissions,
    addresses,
    expiresAt: expires_at.toISOString(),
    state: stateOf(listed, now),
    device,
    lastUsed: used_at === null ? null : { at: used_at.toISOString(), address: used_from ?? '' },
  }
}

function stateOf(listed: store.ServiceAccountListRow, now: Date): ServiceAccountView['state'] {
  const { ended_at, expires_at, device, deviceState } = listed
  if (expires_at <= now) return 'expired'
  if (ended_at !== null) return 'ended'
  if (device === null) return 'invited'
  return deviceState === 'certified' ? 'active' : deviceState === 'waiting' ? 'waiting' : 'revoked'
}
