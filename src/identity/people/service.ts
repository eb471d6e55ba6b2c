import type { Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import type { AppendResult, EntryDraft, Part } from '../../log/index.ts'
import { mayCertify, readCertificate } from '../../protocol/index.ts'
import type { Administrator } from '../access.ts'
import { actInDirectory, type DirectoryAct, type LockedCaller } from '../directory-act.ts'
import { asActor, isAdministrator, type SignedInCaller, type IdentityDeps } from '../deps.ts'
import { requireRecent } from '../factors/service.ts'
import { endedDrafts } from '../sessions.ts'
import { requireOwn } from '../own-people.ts'
import * as identityStore from '../store.ts'
import { forgetAddresses } from '../notices/store.ts'
import { justifiedBy, viewedDraft } from '../justification.ts'
import * as store from './store.ts'

type Change = 'ended' | 'slept'

/** What goes with people who leave. */
export interface DepartureView {
  people: { person: string; name: string }[]
  /** Certified devices, and devices that wait to be. */
  devices: number
  operations: number
}

/**
 * Organizations run themselves: their NCPs retire, suspend and wake their own people, and
 * administrators end whole organizations. A person who ends or sleeps leaves every operation in one
 * transaction, on every server.
 */
export class PeopleService {
  readonly #deps: IdentityDeps

  constructor(deps: IdentityDeps) {
    this.#deps = deps
  }

  /**
   * Ends a person for good. NOT_FOUND for a person whom the caller does not manage, FORBIDDEN for
   * the caller.
   */
  retire(actor: SignedInCaller, person: string, reason: string): Promise<void> {
    return this.#changeOne(actor, person, 'ended', reason)
  }

  /** Lets a person act nowhere until woken; nothing is lost. */
  suspend(actor: SignedInCaller, person: string, reason: string): Promise<void> {
    return this.#changeOne(actor, person, 'slept', reason)
  }

  /**
   * Lets a person who has not used the account for long sleep, in the name of the service. The
   * caller holds the lock of the person's row. LAST_COORDINATOR.
   */
  sleepIdle(tx: Tx, person: string): Promise<AppendResult> {
    return this.#take(tx, undefined, [person], 'slept', 'idle')
  }

  /**
   * Wakes an account, which can then sign in again. Each operation takes the person back by a
   * statement of a member who may admit.
   */
  async wake(actor: SignedInCaller, person: string, reason: string): Promise<void> {
    await actInDirectory(this.#deps, actor, [person], async (act) => {
      const { tx, by, now, enter } = act
      await requireRecent(tx, by, now)
      const row = await this.#requireOwn(act, person)
      if (row.ended_at) throw new Problem('NOT_FOUND')
      if (row.asleep_at === null) return
      const details = { session: by.session, reason }
      const appended = await enter({ kind: 'person.woken', actor: asActor(by), subject: person, details })
      await store.changePeople(tx, [person], { asleep_at: null, woken_at: this.#entered(appended) })
    })
  }

  /**
   * Answers the devices of a person whom the caller manages, to revoke those that are lost; the
   * view is recorded.
   */
  async devices(
    actor: SignedInCaller,
    person: string,
  ): Promise<{ device: string; state: string; enrolledAt: string }[]> {
    const devices = await actInDirectory(this.#deps, actor, [person], async (act) => {
      const { organization_id: organization } = await this.#requireOwn(act, person)
      const devices = await identityStore.devicesOf(act.tx, person)
      const why = justifiedBy(undefined, 'keeping the directory')
      await act.enter(viewedDraft(act.by, organization, { count: devices.length, ...why }))
      return devices
    })
    return devices.map(({ id, state, enrolled_at }) => ({ device: id, state, enrolledAt: enrolled_at.toISOString() }))
  }

  /**
   * Answers what would go with a person whom the caller manages, a program included; the view is
   * recorded.
   */
  atStake(actor: SignedInCaller, person: string): Promise<DepartureView> {
    return this.#look(actor, [person], async (act) => {
      const { id, name, organization_id: organization } = await requireOwn(act, person)
      return { organization, people: [{ person: id, name }] }
    })
  }

  /** Answers what would go with an organization; the view is recorded. */
  atStakeIn(actor: Administrator, organization: string): Promise<DepartureView> {
    return this.#look(actor, [], async ({ tx }) => {
      const [known] = await identityStore.findOrganizations(tx, [organization])
      if (!known) throw new Problem('NOT_FOUND')
      const people = await identityStore.peopleOf(tx, organization)
      return { organization, people: people.map(({ person, name }) => ({ person, name })) }
    })
  }

  async #look(
    actor: SignedInCaller,
    concerned: readonly string[],
    whom: (act: DirectoryAct) => Promise<Pick<DepartureView, 'people'> & { organization: string }>,
  ): Promise<DepartureView> {
    return actInDirectory(this.#deps, actor, concerned, async (act) => {
      const { tx, by, enter } = act
      const { organization, people } = await whom(act)
      const ids = people.map(({ person }) => person)
      const devices = await store.countLiveDevices(tx, ids)
      const operations = (await this.#deps.operationsOf(tx, ids)).length
      const why = justifiedBy(undefined, 'keeping the directory')
      await enter(viewedDraft(by, organization, { count: people.length, ...why }))
      return { people, devices, operations }
    })
  }

  /** Ends an organization with all its people, out of every operation at once. */
  async endOrganization(actor: Administrator, organization: string, reason: string): Promise<{ people: number }> {
    if (organization === actor.organization)
      throw new Problem('FORBIDDEN', { detail: 'The organization that runs the service stays.' })
    const concerned = async (tx: Tx) => {
      if (!(await store.lockOrganization(tx, organization))) throw new Problem('NOT_FOUND')
      return store.peopleStillIn(tx, organization)
    }
    return actInDirectory(this.#deps, actor, concerned, async ({ tx, by, now, told }) => {
      await requireRecent(tx, by, now)
      if ((await store.lockOrganization(tx, organization))?.ended_at) return { people: 0 }
      const people = await store.peopleStillIn(tx, organization)
      const details = { session: by.session, reason, ended: true, people: people.length }
      const left: EntryDraft = { kind: 'organization.updated', actor: asActor(by), subject: organization, details }
      const appended = await this.#take(tx, by, people, 'ended', reason, [left])
      told(appended)
      await store.endOrganization(tx, organization, this.#entered(appended))
      return { people: people.length }
    })
  }

  async #changeOne(actor: SignedInCaller, person: string, change: Change, reason: string): Promise<void> {
    if (person === actor.person) throw new Problem('FORBIDDEN', { detail: 'Nobody ends or suspends themselves.' })
    await actInDirectory(this.#deps, actor, [person], async (act) => {
      await requireRecent(act.tx, act.by, act.now)
      const row = await this.#requireOwn(act, person)
      // The caller repeats the act after an answer that was lost.
      if (row.ended_at || (change === 'slept' && row.asleep_at !== null)) return
      act.told(await this.#take(act.tx, act.by, [person], change, reason))
    })
  }

  /**
   * Takes people out of their sessions and operations, whose logs record it as an act of the
   * service. The caller holds the locks of their rows.
   */
  async #take(
    tx: Tx,
    by: LockedCaller | undefined,
    people: readonly string[],
    change: Change,
    reason: string,
    first: readonly EntryDraft[] = [],
  ): Promise<AppendResult> {
    const { logs, clock, operationsOf, takeMembers, server } = this.#deps
    const actor = by ? asActor(by) : { server }
    const session = by ? { session: by.session } : {}
    const parts: Part[] = []
    for (const operation of await operationsOf(tx, people)) {
      // This runs under the lock of the operation's log: a person who was removed meanwhile is not
      // taken out again.
      const drafts = async () => {
        const gone = await takeMembers(tx, operation, people, change)
        return gone.map((subject): EntryDraft => ({
          kind: `member.${change}`,
          actor: { server },
          subject,
          details: { reason },
        }))
      }
      parts.push({ log: operation, drafts })
    }
    const drafts = [...first]
    for (const person of people) {
      drafts.push({ kind: `person.${change}`, actor, subject: person, details: { ...session, reason } })
      const sessions = await identityStore.endSessions(tx, { person }, clock())
      drafts.push(...endedDrafts(sessions, `person-${change}`, by ?? { server }))
    }
    if (change === 'ended') await forgetAddresses(tx, people)
    // Nobody would certify the people whom they invited, and nobody else sees their open
    // invitations.
    const open = change === 'ended' ? await identityStore.revokeInvitations(tx, people, clock()) : []
    for (const invitation of open)
      drafts.push({
        kind: 'invitation.revoked',
        actor,
        subject: invitation,
        details: { ...session, reason: 'person-ended' },
      })
    const appended = await logs.appendWithin(tx, [...parts, { log: logs.directory, drafts }])
    const at = this.#entered(appended)
    await store.changePeople(tx, people, change === 'ended' ? { ended_at: at } : { asleep_at: at })
    return appended
  }

  /** Answers the time of the entry in the directory, which the rows repeat. */
  #entered(appended: AppendResult): Date {
    const [first] = appended.entries.get(this.#deps.logs.directory) ?? []
    if (!first) throw new Error('the directory has an entry of it')
    return first.at
  }

  /** Answers a person whom the caller manages and may vouch for, locked. */
  async #requireOwn(act: DirectoryAct, person: string): Promise<identityStore.PersonRow> {
    const row = await requireOwn(act, person)
    await this.#requireReach(act.tx, act.by, person)
    return row
  }

  /**
   * Refuses a caller who may not vouch for the person: such a caller may not end the person either.
   * A program is stopped, not retired.
   */
  async #requireReach(tx: Tx, actor: LockedCaller, person: string): Promise<void> {
    const devices = (await identityStore.devicesOf(tx, person)).map(({ id }) => id)
    const certificates = await identityStore.newestCertificates(tx, [...devices, actor.device])
    const own = certificates.get(actor.device)
    if (own === undefined) throw new Problem('DEVICE_NOT_CERTIFIED')
    const issuer = await readCertificate(own)
    for (const device of devices) {
      const jws = certificates.get(device)
      const certificate = jws === undefined ? undefined : await readCertificate(jws)
      if (certificate?.tier === 'service')
        throw new Problem('FORBIDDEN', { detail: 'This is a program: stop it (cordon service stop).' })
      if (certificate && !isAdministrator(actor) && !mayCertify(issuer, certificate))
        throw new Problem('FORBIDDEN', { detail: 'Your device may not vouch for this person, nor end them.' })
    }
  }
}
