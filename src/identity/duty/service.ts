import type { Tx } from '../../db/index.ts'
import { Problem } from '../../errors.ts'
import { actInDirectory } from '../directory-act.ts'
import { asActor, isAdministrator, type SignedInCaller, type IdentityDeps } from '../deps.ts'
import { requireOwn } from '../own-people.ts'
import { findPeople } from '../store.ts'
import { justifiedBy, viewedDraft } from '../justification.ts'
import { isInForce, overlap, whoIsOnDuty, type HandOverPeriod, type OnDuty } from './model.ts'
import * as store from './store.ts'

export interface DutyHandOverInput {
  readonly deputy: string
  /** The beginning; now, if it is not given or past. */
  readonly from?: string
  /** The end; until the duty is taken back, if it is not given. */
  readonly until?: string
  readonly reason: string
}

interface Party {
  person: string
  name: string
}

export interface DutyView {
  onDuty: (Party & { standsInFor: Party[] })[]
  /** The arrangements that last or are to come. */
  handOvers: (Party & { deputy: Party; from: string; until: string | null })[]
}

/**
 * Answers whom of an organization a duty finds at this moment; an empty list only where it has no
 * contact point who can act.
 */
export async function onDuty(tx: Tx, organization: string, at: Date): Promise<OnDuty[]> {
  return whoIsOnDuty(await store.contactPointsOf(tx, organization), await store.handOversOf(tx, organization), at)
}

/** Contact points hand their duty to a deputy, for a leave or until they take it back. */
export class DutyService {
  readonly #deps: IdentityDeps

  constructor(deps: IdentityDeps) {
    this.#deps = deps
  }

  /**
   * From then on the deputy stands in for this person, in place of an earlier deputy. The person,
   * another contact point of the organization or an administrator may do this; NOT_FOUND for other
   * callers. DUTY_RULE where one of the two is no contact point who can act, or the deputy is away
   * in that time.
   */
  async handOver(actor: SignedInCaller, person: string, input: DutyHandOverInput): Promise<void> {
    await actInDirectory(this.#deps, actor, [person, input.deputy], async (act) => {
      const { tx, by, now, enter } = act
      const { organization_id: organization } = await requireOwn(act, person)
      const wanted = periodOf(person, input, now)
      const all = await store.handOversOf(tx, organization)
      const before = all.find((one) => one.person === person)
      if (before && isRepeated(before, wanted, input, now)) return
      await requireAble(tx, organization, wanted)
      const theirs = all.find((one) => one.person === wanted.deputy)
      if (theirs && overlap(theirs, wanted))
        throw new Problem('DUTY_RULE', { detail: 'The deputy is away in that time.' })
      await store.putHandOver(tx, wanted)
      const old = before && isOpen(before, now) ? termsOf(before) : null
      const details = { session: by.session, old, new: termsOf(wanted), reason: input.reason }
      await enter({ kind: 'duty.handed-over', actor: asActor(by), subject: person, details })
    })
  }

  /** Ends the arrangement of a person, who is on duty again, or does not go away after all. */
  async takeBack(actor: SignedInCaller, person: string): Promise<void> {
    await actInDirectory(this.#deps, actor, [person], async (act) => {
      const { tx, by, now, enter } = act
      const { organization_id: organization } = await requireOwn(act, person)
      const before = (await store.handOversOf(tx, organization)).find((one) => one.person === person)
      if (!before || !isOpen(before, now)) return
      await store.removeHandOver(tx, person)
      const details = { session: by.session, old: termsOf(before), new: null, reason: 'taken-back' }
      await enter({ kind: 'duty.taken-back', actor: asActor(by), subject: person, details })
    })
  }

  /**
   * Answers who is on duty now and what is arranged, to administrators and the organization's
   * contact points; the view is recorded.
   */
  async show(actor: SignedInCaller, organization: string): Promise<DutyView> {
    const own = actor.tier === 'ncp' && actor.organization === organization
    if (!own && !isAdministrator(actor)) throw new Problem('NOT_FOUND')
    return actInDirectory(this.#deps, actor, [], async ({ tx, by, now, enter }) => {
      const found = await onDuty(tx, organization, now)
      const open = (await store.handOversOf(tx, organization)).filter((one) => isOpen(one, now))
      const people = await findPeople(
        tx,
        open.flatMap(({ person, deputy }) => [person, deputy]),
      )
      const party = (id: string): Party => ({ person: id, name: people.find((one) => one.id === id)?.name ?? '' })
      const view: DutyView = {
        onDuty: found.map((one) => ({ ...one, standsInFor: [...one.standsInFor] })),
        handOvers: open.map((one) => ({
          ...party(one.person),
          deputy: party(one.deputy),
          from: one.from.toISOString(),
          until: one.until?.toISOString() ?? null,
        })),
      }
      const why = justifiedBy(undefined, 'keeping the directory')
      await enter(viewedDraft(by, organization, { count: found.length, ...why }))
      return view
    })
  }
}

function periodOf(person: string, { deputy, from, until }: DutyHandOverInput, now: Date): HandOverPeriod {
  const asked = from === undefined ? now : new Date(from)
  const begins = asked > now ? asked : now
  const ends = until === undefined ? undefined : new Date(until)
  if (ends && ends <= begins)
    throw new Problem('VALIDATION', { faults: [{ in: 'body', pointer: '/until', reason: 'is over before it begins' }] })
  return { person, deputy, from: begins, until: ends }
}

/** Whether the caller repeats an arrangement after an answer that was lost. */
function isRepeated(before: HandOverPeriod, wanted: HandOverPeriod, { from }: DutyHandOverInput, now: Date): boolean {
  const begun = from === undefined || new Date(from) <= now ? isInForce(before, now) : +before.from === +wanted.from
  return before.deputy === wanted.deputy && before.until?.getTime() === wanted.until?.getTime() && begun
}

async function requireAble(tx: Tx, organization: string, { person, deputy }: HandOverPeriod): Promise<void> {
  const able = new Set((await store.contactPointsOf(tx, organization)).map((one) => one.person))
  if (!able.has(person))
    throw new Problem('DUTY_RULE', { detail: 'Only a contact point who is awake can hand over the duty.' })
  // One sentence answers for a person of another organization and for a person who does not exist.
  if (deputy === person || !able.has(deputy))
    throw new Problem('DUTY_RULE', {
      detail: 'The deputy must be another contact point of the organization who is awake.',
    })
}

function isOpen({ until }: HandOverPeriod, now: Date): boolean {
  return until === undefined || now < until
}

function termsOf({ deputy, from, until }: HandOverPeriod) {
  return { deputy, from: from.toISOString(), until: until?.toISOString() ?? null }
}
