import * as protocol from '../../src/protocol/index.ts'
import type { Kind, MessageToPost } from '../../src/protocol/index.ts'
import { allActs } from './history-acts.ts'
import { Ledger } from './ledger.ts'
import type { EveryRole } from './roles.ts'
import type { Draft } from './wire-operation.ts'
import {
  freshId,
  inDays,
  newcomer,
  random,
  type Answer,
  type Frame,
  type Invited,
  type LiveWire,
  type WireActor,
} from './wire.ts'

/**
 * Refusals that answer with another status than 401, 403 and 404, as log.md and access.md name
 * them.
 */
const refusedCodes = new Set([
  'OPERATION_STATE',
  'MEMBER_RULE',
  'GRANT_REFUSED',
  'APPROVAL_NOT_AVAILABLE',
  'DEVICES_LIVE',
  'APPROVAL_MISSING',
  'JUSTIFICATION_REQUIRED',
  'SET_UP_DONE',
  'ENROLMENT_INVALID',
  'CERTIFICATE_INVALID',
  'STATEMENT_INVALID',
  'SEEN_MISMATCH',
])

export interface Message {
  readonly id: string
  readonly thread: string
  readonly compartment: string
  readonly by: WireActor
  readonly input: MessageToPost
}

export type Expected = readonly [kind: Kind, subject: string, log?: string]
export type Act = (by: WireActor) => Promise<unknown>

/**
 * A random history of one service by people of all roles, one act after the other, with a ledger of
 * what was answered.
 */
export class History {
  readonly ledger = new Ledger()
  readonly scene: EveryRole
  readonly actors: readonly WireActor[]
  readonly live = new Map<WireActor, LiveWire>()
  readonly following = new Set<WireActor>()
  readonly messages: Message[] = []
  readonly importers = new Map<string, Set<string>>()
  readonly below: (limit: number) => number
  readonly #acts: readonly (readonly [name: string, weight: number, act: Act])[]
  #refreshed = Date.now()

  constructor(scene: EveryRole, outsider: WireActor, below: (limit: number) => number) {
    this.scene = scene
    this.actors = [...Object.values(scene.byRole), scene.ncpOfThailand, scene.administrator, outsider]
    this.below = below
    this.#acts = allActs(this)
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T
  }

  /** Opens everybody's channel; to be called before what is compared begins. */
  async begin(): Promise<void> {
    for (const actor of this.actors) this.live.set(actor, await actor.live())
  }

  /** Everybody asks to follow, and some may. */
  async follow(): Promise<void> {
    for (const actor of this.actors) await this.subscribe(actor, -1)
  }

  async step(): Promise<void> {
    if (Date.now() - this.#refreshed > 120_000) {
      for (const actor of this.actors) await actor.refresh()
      this.#refreshed = Date.now()
    }
    let left = this.below(this.#acts.reduce((sum, [, weight]) => sum + weight, 0))
    for (const [, weight, act] of this.#acts) {
      if (left < weight) {
        await act(this.pick(this.actors))
        return
      }
      left -= weight
    }
  }

  /** Lets everything arrive that is on its way, and counts what each device got. */
  async end(): Promise<void> {
    for (const actor of this.following) await this.subscribe(actor, this.lastIndex(actor))
    for (const [actor, live] of this.live) {
      this.ledger.delivered(actor.device.id, live.frames.filter((frame) => frame.body !== undefined).length)
      live.close()
      await live.closed
    }
  }

  settle(
    name: string,
    by: WireActor | null,
    answer: Answer,
    expected: (answer: Answer) => readonly Expected[],
  ): Answer {
    const { status, body } = answer
    if (status < 400) {
      this.ledger.act(name, 'accepted')
      for (const [kind, subject, log = this.scene.operation.id] of expected(answer))
        this.ledger.entry(kind, log, by?.person ?? null, subject)
      return answer
    }
    if (status >= 500) throw new Error(`${name}: ${status} ${answer.text}`)
    const code = String(body?.code)
    const refused = [401, 403, 404].includes(status) || refusedCodes.has(code)
    this.ledger.act(name, refused ? 'refused' : 'mistaken')
    // Whoever is not recognised is nobody.
    if (refused) this.ledger.refusal(status === 401 ? null : (by?.person ?? null), code)
    return answer
  }

  async http(
    name: string,
    by: WireActor,
    [method, path, body]: readonly [method: string, path: string, body?: unknown],
    expected: (answer: Answer) => readonly Expected[] = () => [],
  ): Promise<Answer> {
    return this.settle(name, by, await by.call(method, path, body), expected)
  }

  /**
   * Acts that answer with the index of their entry, or with none where the same was there before.
   */
  placed(...expected: Expected[]): (answer: Answer) => readonly Expected[] {
    return ({ body }) => (body.index === undefined ? [] : expected)
  }

  async post(by: WireActor, draft: Draft, door: 'http' | 'live', kind: Kind): Promise<void> {
    const { operation } = this.scene
    const { id, thread, input } = await operation.compose(by, draft)
    const name = `post over ${door}`
    const answer =
      door === 'http'
        ? await by.call('POST', `${operation.path}/messages`, input)
        : await this.over(by, { type: 'post', ...input }, (frame) => frame.id === id)
    this.settle(name, by, answer, () => [[kind, id]])
    const compartment = draft.compartment ?? operation.id
    if (answer.status < 400) this.messages.push({ id, thread, compartment, by, input })
    else if (answer.body?.code === 'EPOCH_STALE') await this.renew(compartment)
  }

  /** Says something over the channel and waits for its answer. */
  async over(by: WireActor, frame: object, matches: (frame: Frame) => boolean): Promise<Answer> {
    const live = this.liveOf(by)
    const from = live.frames.length
    live.send(frame)
    const one = await live.first(
      (answer) => ['accepted', 'refused'].includes(answer.type) && matches(answer),
      10_000,
      from,
    )
    const status = one.type === 'accepted' ? 201 : one.problem.status
    return { status, text: JSON.stringify(one), body: one.problem ?? one, headers: new Headers() }
  }

  liveOf(by: WireActor): LiveWire {
    const live = this.live.get(by)
    if (!live) throw new Error('everybody has a channel')
    return live
  }

  async renew(compartment: string): Promise<void> {
    const { other, ncpOfThailand, byRole } = this.scene
    await this.openEpoch(compartment === other ? ncpOfThailand : byRole.coordinator, compartment)
  }

  async openEpoch(by: WireActor, compartment: string): Promise<void> {
    const { operation } = this.scene
    const { statement, grants, key, number } = await operation.epoch(by, compartment)
    const answer = await this.http(
      'open epoch',
      by,
      ['POST', `${operation.path}/epochs`, { statement, grants }],
      this.placed(['epoch.opened', `${compartment}#${number}`]),
    )
    if (answer.status < 400) operation.keys.set(`${compartment}#${number}`, key)
  }

  lastIndex(by: WireActor): number {
    const indexes = this.liveOf(by).frames.map(({ type, index }) => (type === 'entry' ? Number(index) : -1))
    return indexes.reduce((a, b) => Math.max(a, b), -1)
  }

  async subscribe(by: WireActor, after: number): Promise<void> {
    const { operation } = this.scene
    const live = this.liveOf(by)
    const from = live.frames.length
    live.send({ type: 'subscribe', operation: operation.id, after })
    const frame = await live.first(({ type }) => ['caught-up', 'ended', 'refused'].includes(type), 15_000, from)
    if (frame.type === 'caught-up') {
      this.ledger.act('subscribe', 'accepted')
      this.ledger.entry('feed.opened', operation.id, by.person, by.person)
      this.following.add(by)
    } else {
      this.ledger.act('subscribe', 'refused')
      this.ledger.refusal(by.person, frame.type === 'ended' ? 'NOT_FOUND' : frame.problem.code)
    }
  }

  async invite(by: WireActor, organization: string, person = freshId()): Promise<Invited | undefined> {
    const actor = await new (by.constructor as typeof WireActor)(by.server, 'Invited').prepare()
    actor.person = person
    actor.organization = organization
    const { authenticate, certify: key } = await protocol.deriveInvitationKeys(random(16))
    const invitation = freshId()
    const jwe = await protocol.sealTo(
      'cordon-invitation+jwe',
      { kid: by.device.id },
      await protocol.importSealPublicKey(by.device.keys.seal.pub),
      protocol.utf8(JSON.stringify({ certify: protocol.base64url(key) })),
    )
    const asked = {
      id: invitation,
      person: { id: person, name: 'Invited' },
      organization,
      tier: 'person',
      recognition: await protocol.recognitionOf(authenticate),
      sealed: [{ device: by.device.id, jwe }],
      expiresAt: inDays(7),
    }
    const directory = by.server.logs.directory
    const answer = await this.http('invite', by, ['POST', '/v1/invitations', asked], () => [
      ['person.invited', person, directory],
    ])
    if (answer.status >= 400) return undefined
    const secrets = { secret: random(16), authenticate: protocol.base64url(authenticate), certify: key }
    return { actor, invitation, tier: 'person', ...secrets }
  }
}

export async function outsiderOf({ administrator, organizations }: EveryRole): Promise<WireActor> {
  return newcomer(administrator, { name: 'Outsider', organization: organizations.thailand, tier: 'ncp' })
}
