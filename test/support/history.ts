import type { Role } from '../../src/access.ts'
import * as protocol from '../../src/protocol/index.ts'
import type { Kind, MessageToPost } from '../../src/protocol/index.ts'
import { Ledger } from './ledger.ts'
import type { EveryRole } from './roles.ts'
import { went, type Draft } from './wire-operation.ts'
import {
  ask,
  certify,
  enrolInvited,
  freshId,
  inDays,
  newcomer,
  now,
  openLive,
  passphrase,
  random,
  type Answer,
  type Frame,
  type Invited,
  type LiveWire,
  type WireActor,
} from './wire.ts'

/** Refusals that answer with another status than 401, 403 and 404, as log.md and access.md name them. */
const refusedCodes = new Set([
  'OPERATION_STATE',
  'MEMBER_RULE',
  'GRANT_REFUSED',
  'APPROVAL_NOT_AVAILABLE',
  'RECOVERY_NOT_AVAILABLE',
  'JUSTIFICATION_NEEDED',
  'SET_UP_DONE',
  'ENROLMENT_INVALID',
  'CERTIFICATE_INVALID',
  'STATEMENT_INVALID',
  'SEEN_MISMATCH',
])

interface Message {
  readonly id: string
  readonly thread: string
  readonly compartment: string
  readonly by: WireActor
  readonly input: MessageToPost
}

type Expected = readonly [kind: Kind, subject: string, log?: string]
type Act = (by: WireActor) => Promise<unknown>

/** A random history of one service by people of all roles, one act after the other, with a ledger of what was answered. */
export class History {
  readonly ledger = new Ledger()
  readonly #scene: EveryRole
  readonly #actors: readonly WireActor[]
  readonly #live = new Map<WireActor, LiveWire>()
  readonly #following = new Set<WireActor>()
  readonly #messages: Message[] = []
  readonly #importers = new Map<string, Set<string>>()
  readonly #below: (limit: number) => number
  readonly #acts: readonly (readonly [name: string, weight: number, act: Act])[]
  #refreshed = Date.now()

  constructor(scene: EveryRole, outsider: WireActor, below: (limit: number) => number) {
    this.#scene = scene
    this.#actors = [...Object.values(scene.byRole), scene.ncpOfThailand, scene.administrator, outsider]
    this.#below = below
    this.#acts = this.#allActs()
  }

  #pick<T>(values: readonly T[]): T {
    return values[this.#below(values.length)] as T
  }

  /** Opens everybody's channel; to be called before what is compared begins. */
  async begin(): Promise<void> {
    for (const actor of this.#actors) this.#live.set(actor, await actor.live())
  }

  async step(): Promise<void> {
    if (Date.now() - this.#refreshed > 120_000) {
      for (const actor of this.#actors) await actor.refresh()
      this.#refreshed = Date.now()
    }
    let left = this.#below(this.#acts.reduce((sum, [, weight]) => sum + weight, 0))
    for (const [, weight, act] of this.#acts) {
      if (left < weight) {
        await act(this.#pick(this.#actors))
        return
      }
      left -= weight
    }
  }

  /** Lets everything arrive that is on its way, and counts what each device got. */
  async end(): Promise<void> {
    for (const actor of this.#following) await this.#subscribe(actor, this.#lastIndex(actor))
    for (const [actor, live] of this.#live) {
      this.ledger.delivered(actor.device.id, live.frames.filter((frame) => frame.body !== undefined).length)
      live.close()
      await live.closed
    }
  }

  get acts(): readonly string[] {
    return this.#acts.map(([name]) => name)
  }

  #settle(
    name: string,
    by: WireActor | null,
    answer: Answer,
    expected: (answer: Answer) => readonly Expected[],
  ): Answer {
    const { status, body } = answer
    if (status < 400) {
      this.ledger.act(name, 'accepted')
      for (const [kind, subject, log = this.#scene.operation.id] of expected(answer))
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

  async #http(
    name: string,
    by: WireActor,
    [method, path, body]: readonly [method: string, path: string, body?: unknown],
    expected: (answer: Answer) => readonly Expected[] = () => [],
  ): Promise<Answer> {
    return this.#settle(name, by, await by.call(method, path, body), expected)
  }

  /** Acts that answer with the index of their entry, or with none where the same was there before. */
  #placed(...expected: Expected[]): (answer: Answer) => readonly Expected[] {
    return ({ body }) => (body.index === undefined ? [] : expected)
  }

  async #post(by: WireActor, draft: Draft, door: 'http' | 'live', kind: Kind): Promise<void> {
    const { operation } = this.#scene
    const { id, thread, input } = await operation.compose(by, draft)
    const name = `post over ${door}`
    const answer =
      door === 'http'
        ? await by.call('POST', `${operation.path}/messages`, input)
        : await this.#over(by, { type: 'post', ...input }, (frame) => frame.id === id)
    this.#settle(name, by, answer, () => [[kind, id]])
    const compartment = draft.compartment ?? operation.id
    if (answer.status < 400) this.#messages.push({ id, thread, compartment, by, input })
    else if (answer.body?.code === 'EPOCH_STALE') await this.#renew(compartment)
  }

  /** Says something over the channel and waits for its answer. */
  async #over(by: WireActor, frame: object, matches: (frame: Frame) => boolean): Promise<Answer> {
    const live = this.#liveOf(by)
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

  #liveOf(by: WireActor): LiveWire {
    const live = this.#live.get(by)
    if (!live) throw new Error('everybody has a channel')
    return live
  }

  async #renew(compartment: string): Promise<void> {
    const { other, ncpOfThailand, byRole } = this.#scene
    await this.#openEpoch(compartment === other ? ncpOfThailand : byRole.coordinator, compartment)
  }

  async #openEpoch(by: WireActor, compartment: string): Promise<void> {
    const { operation } = this.#scene
    const { statement, grants, key, number } = await operation.epoch(by, compartment)
    const answer = await this.#http(
      'open epoch',
      by,
      ['POST', `${operation.path}/epochs`, { statement, grants }],
      this.#placed(['epoch.opened', `${compartment}#${number}`]),
    )
    if (answer.status < 400) operation.keys.set(`${compartment}#${number}`, key)
  }

  #lastIndex(by: WireActor): number {
    const indexes = this.#liveOf(by).frames.map(({ type, index }) => (type === 'entry' ? Number(index) : -1))
    return indexes.reduce((a, b) => Math.max(a, b), -1)
  }

  async #subscribe(by: WireActor, after: number): Promise<void> {
    const { operation } = this.#scene
    const live = this.#liveOf(by)
    const from = live.frames.length
    live.send({ type: 'subscribe', operation: operation.id, after })
    const frame = await live.first(({ type }) => ['caught-up', 'ended', 'refused'].includes(type), 15_000, from)
    if (frame.type === 'caught-up') {
      this.ledger.act('subscribe', 'accepted')
      this.ledger.entry('feed.opened', operation.id, by.person, by.person)
      this.#following.add(by)
    } else {
      this.ledger.act('subscribe', 'refused')
      this.ledger.refusal(by.person, frame.type === 'ended' ? 'NOT_FOUND' : frame.problem.code)
    }
  }

  async #invite(by: WireActor, organization: string, person = freshId()): Promise<Invited | undefined> {
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
    const answer = await this.#http('invite', by, ['POST', '/v1/invitations', asked], () => [
      ['person.invited', person, directory],
    ])
    if (answer.status >= 400) return undefined
    const secrets = { secret: random(16), authenticate: protocol.base64url(authenticate), certify: key }
    return { actor, invitation, tier: 'person', ...secrets }
  }

  /** Somebody comes in with a device, is a member for a moment, and loses the device. */
  async #arriveAndLeave(): Promise<void> {
    const { operation, byRole, organizations, server } = this.#scene
    const { ncp } = byRole
    const { directory } = server.logs
    const invited = await this.#invite(ncp, organizations.kenya)
    if (!invited) throw new Error('an NCP invites its own people')
    const { actor } = invited
    const device = actor.device.id
    const entry = (kind: Kind, log: string, by: WireActor, subject: string) =>
      this.ledger.entry(kind, log, by.person, subject)
    await enrolInvited(invited)
    entry('device.enrolled', directory, actor, device)
    entry('credential.set', directory, actor, actor.person)
    await certify(ncp, invited)
    entry('device.certified', directory, ncp, device)
    await actor.signIn()
    entry('session.started', directory, actor, actor.session)
    went(await operation.admit(actor, 'officer', ncp))
    entry('member.admitted', operation.id, ncp, actor.person)
    entry('device.certified', operation.id, ncp, device)
    const revocation = await protocol.signRevocation(ncp.device, actor.device.id, now())
    went(await ncp.call('POST', '/v1/revocations', { revocation }))
    for (const log of [operation.id, directory]) entry('device.revoked', log, ncp, device)
    entry('session.ended', directory, ncp, actor.session)
    this.ledger.act('arrive and leave', 'accepted')
    this.#settle('ask after the end', null, await actor.call('GET', operation.path), () => [])
  }

  async #signInAndOut(by: WireActor): Promise<void> {
    const { directory } = by.server.logs
    const kept = { accessToken: by.accessToken, refreshToken: by.refreshToken, session: by.session }
    await by.signIn()
    this.ledger.act('sign in', 'accepted')
    this.ledger.entry('session.started', directory, by.person, by.session)
    const { session } = by
    Object.assign(by, kept)
    await this.#http('sign out', by, ['DELETE', `/v1/sessions/${session}`], () => [
      ['session.ended', session, directory],
    ])
  }

  async #signInWrongly(by: WireActor): Promise<void> {
    const proof = await protocol.signSignIn(by.device, by.person, by.thumbprint, now())
    const body = { proof, passphrase: `${passphrase} not` }
    this.#settle('sign in wrongly', null, await by.call('POST', '/v1/sessions', body, { signedIn: false }), () => [])
    // One that is right makes the service patient again.
    await this.#signInAndOut(by)
  }

  async #createOperation(by: WireActor): Promise<void> {
    const { coordinator } = this.#scene.byRole
    const operation = freshId()
    const { person, organization } = coordinator
    const statement = await by.signAct({
      v: 1,
      operation,
      previous: null,
      at: now(),
      act: 'create-operation',
      history: 'full',
      allHolds: [],
      coordinators: [{ person, organization }],
    })
    const body = { statement, name: 'Another', reference: 'OP-2', timeZone: 'UTC', purpose: 'Rosewood' }
    await this.#http('create operation', by, ['POST', '/v1/operations', body], () => [
      ['operation.created', operation, operation],
      ['member.admitted', person, operation],
      ['device.certified', coordinator.device.id, operation],
    ])
  }

  async #import(by: WireActor): Promise<void> {
    const { operation } = this.#scene
    const sealed = await protocol.sealTo(
      'cordon-import+jwe',
      { kid: by.device.id },
      await protocol.importSealPublicKey(by.device.keys.seal.pub),
      random(32),
    )
    const holders = this.#importers.get(by.organization) ?? new Set()
    const first = !holders.has(by.device.id)
    const keys = [{ device: by.device.id, sealed }]
    const stored = await this.#http('store import key', by, ['PUT', `${operation.path}/import-key`, { keys }], () =>
      first ? [['records.key-stored', by.organization]] : [],
    )
    if (stored.status < 400) this.#importers.set(by.organization, holders.add(by.device.id))
    const digest = protocol.base64url(random(32))
    const ended = { mapping: digest, file: digest, rows: 1, imported: 1, already: 0, corrected: 0 }
    await this.#http('import', by, ['POST', `${operation.path}/imports`, ended], () => [
      ['records.imported', by.organization],
    ])
  }

  #allActs(): readonly (readonly [string, number, Act])[] {
    const { operation, shared, other, organizations, byRole, administrator, server } = this.#scene
    const { path } = operation
    const directory = server.logs.directory
    const compartments = [operation.id, shared, shared, other]
    const forms = ['text', 'warning', 'seizure'] as const
    const anyMessage = () => this.#pick(this.#messages)
    const get = (name: string, suffix: string, expected: readonly Expected[] = []): [string, number, Act] => [
      name,
      1,
      (by) => this.#http(name, by, ['GET', path + suffix], () => expected),
    ]
    const looking = (name: string, url: string, subject: string): [string, number, Act] => [
      name,
      1,
      (by) => this.#http(name, by, ['GET', url], () => [['directory.viewed', subject, directory]]),
    ]
    const draft = (): Draft => {
      const compartment = this.#pick(compartments)
      const earlier = this.#messages.filter((message) => message.compartment === compartment)
      if (earlier.length === 0 || this.#below(3) === 0) return { compartment, form: this.#pick(forms) }
      const { id, thread } = this.#pick(earlier)
      return { compartment, thread, refersTo: { message: id, as: 'reply' } }
    }
    const acts: (readonly [string, number, Act])[] = [
      ['post', 12, (by) => this.#post(by, draft(), 'http', 'message.posted')],
      ['post live', 12, (by) => this.#post(by, draft(), 'live', 'message.posted')],
      [
        'post again',
        2,
        async () => {
          if (this.#messages.length === 0) return
          const { by, input } = anyMessage()
          await this.#http('post again', by, ['POST', `${path}/messages`, input])
        },
      ],
      [
        'correct or withdraw',
        4,
        async (by) => {
          if (this.#messages.length === 0) return
          const { id, thread, compartment, by: author } = anyMessage()
          const as = this.#pick(['correction', 'withdrawal'] as const)
          const kind = as === 'correction' ? 'message.corrected' : 'message.withdrawn'
          const who = this.#below(2) === 0 ? author : by
          await this.#post(
            who,
            { compartment, thread, refersTo: { message: id, as } },
            this.#pick(['http', 'live']),
            kind,
          )
        },
      ],
      [
        'fetch',
        6,
        async (by) => {
          const id = this.#messages.length === 0 || this.#below(8) === 0 ? freshId() : anyMessage().id
          await this.#http('fetch', by, ['GET', `${path}/messages/${id}`], () => [['body.fetched', id]])
        },
      ],
      [
        'receipts',
        2,
        async (by) => {
          if (this.#messages.length > 0)
            await this.#http('receipts', by, ['GET', `${path}/messages/${anyMessage().id}/receipts`])
        },
      ],
      ['threads', 2, (by) => this.#http('threads', by, ['GET', `${path}/threads`], () => [['feed.opened', by.person]])],
      get('figures', '/figures', [['report.viewed', 'figures']]),
      get('operation', ''),
      get('members', '/members'),
      get('organizations', '/organizations'),
      get('compartments', '/compartments'),
      get('grants', '/grants'),
      get('grant requests', '/grant-requests'),
      get('import key', '/import-key'),
      ['checkpoint', 1, (by) => this.#http('checkpoint', by, ['GET', `/v1/logs/${operation.id}/checkpoint`])],
      ['operations', 1, (by) => this.#http('operations', by, ['GET', '/v1/operations'])],
      ['me', 1, (by) => this.#http('me', by, ['GET', '/v1/me'])],
      looking('candidates', `${path}/candidates?organization=${organizations.kenya}`, organizations.kenya),
      looking('all organizations', '/v1/organizations', 'organizations'),
      looking('people', `/v1/organizations/${organizations.kenya}/people`, organizations.kenya),
      [
        'register organization',
        1,
        async (by) => {
          const id = freshId()
          const body = { id, kind: 'partner', name: `Partner ${id}` }
          await this.#http('register organization', by, ['POST', '/v1/organizations', body], () => [
            ['organization.registered', id, directory],
          ])
          await this.#http(
            'admit organization',
            this.#pick([by, byRole.coordinator]),
            ['POST', `${path}/organizations`, { organization: id }],
            this.#placed(['operation.organization-admitted', id]),
          )
        },
      ],
      [
        'invite and revoke',
        2,
        async (by) => {
          const invited = await this.#invite(by, this.#pick([by.organization, organizations.thailand]))
          if (!invited) return
          const url = `/v1/invitations/${invited.invitation}`
          await this.#http('revoke invitation', this.#pick(this.#actors), ['DELETE', url])
          await this.#http('revoke invitation', by, ['DELETE', url], () => [
            ['invitation.revoked', invited.invitation, directory],
          ])
        },
      ],
      ['members', 4, (by) => this.#members(by)],
      [
        'compartment',
        1,
        async (by) => {
          const compartment = freshId()
          const statement = await operation.sign(
            by,
            { act: 'create-compartment', compartment, members: [] },
            compartment,
          )
          await this.#http(
            'create compartment',
            by,
            ['POST', `${path}/compartments`, { statement, name: 'Small' }],
            this.#placed(['compartment.created', compartment]),
          )
        },
      ],
      [
        'rules',
        1,
        async (by) => {
          const rules = { act: 'set-operation', history: 'full', allHolds: ['partner', 'observer'] }
          const statement = await operation.sign(by, rules)
          await this.#http(
            'rules',
            by,
            ['POST', `${path}/rules`, { statement }],
            this.#placed(['operation.rules-set', operation.id]),
          )
        },
      ],
      [
        'update',
        1,
        (by) =>
          this.#http(
            'update',
            by,
            ['PATCH', path, { name: this.#pick(['One', 'Two']), reason: 'A better name' }],
            this.#placed(['operation.updated', operation.id]),
          ),
      ],
      [
        'advance',
        1,
        (by) => this.#http('advance', by, ['POST', `${path}/advance`, { to: this.#pick(['closed', 'active']) }]),
      ],
      ['epoch', 1, (by) => this.#openEpoch(by, this.#pick(compartments))],
      [
        'dispute',
        1,
        async (by) => {
          const compartment = this.#pick(compartments) as protocol.CompartmentId
          const epoch = (await operation.view()).currentEpoch(compartment)?.number ?? 1
          await this.#http(
            'dispute',
            by,
            ['POST', `${path}/disputes`, { compartment, epoch }],
            this.#placed(['epoch.disputed', `${compartment}#${epoch}`]),
          )
        },
      ],
      [
        'grant',
        2,
        async (by) => {
          const compartment = this.#pick(compartments)
          const { device } = this.#pick([byRole['right-holder'], byRole.officer, by])
          const key = operation.keys.get(`${compartment}#1`) ?? new Uint8Array(32)
          const grant = await operation.seal(await operation.view(), device.id, compartment, 1, key)
          const grants = [{ device: device.id, epoch: 1, grant }]
          await this.#http(
            'grant',
            by,
            ['POST', `${path}/grants`, { compartment, grants }],
            this.#placed(['history.granted', compartment]),
          )
        },
      ],
      ['import', 1, (by) => this.#import(by)],
      ['subscribe', 3, (by) => this.#subscribe(by, Math.max(this.#lastIndex(by) - 20, -1))],
      [
        'unsubscribe',
        1,
        async (by) => {
          if (!this.#following.has(by)) return
          const live = this.#liveOf(by)
          const from = live.frames.length
          live.send({ type: 'unsubscribe', operation: operation.id })
          await live.first(({ type }) => type === 'ended', 10_000, from)
          this.#following.delete(by)
          this.ledger.act('unsubscribe', 'accepted')
        },
      ],
      ['acknowledge', 4, (by) => this.#acknowledge(by)],
      ['sign in and out', 1, (by) => this.#signInAndOut(by)],
      ['sign in wrongly', 1, (by) => this.#signInWrongly(by)],
      ['create operation', 1, (by) => this.#createOperation(this.#pick([by, administrator]))],
      ['arrive and leave', 1, () => this.#arriveAndLeave()],
      ['nobody', 1, async () => void this.#settle('nobody', null, await ask(server.url + path, {}), () => [])],
      [
        'wrong ticket',
        1,
        async () => {
          const ticket = protocol.base64url(random(32))
          const opened = await openLive(server, ticket).catch(() => undefined)
          if (opened) throw new Error('a ticket that nobody was given opened a channel')
          this.ledger.act('wrong ticket', 'refused')
          this.ledger.refusal(null, 'UNAUTHENTICATED')
        },
      ],
      ['mistake', 2, (by) => this.#http('mistake', by, ['POST', `${path}/messages`, { statement: 1 }])],
    ]
    return acts
  }

  async #acknowledge(by: WireActor): Promise<void> {
    const { operation } = this.#scene
    const live = this.#liveOf(by)
    if (!this.#following.has(by)) {
      const frame = { type: 'acknowledge', operation: operation.id, upTo: 1 }
      this.#settle('acknowledge', by, await this.#over(by, frame, () => true), () => [])
      return
    }
    const got = live.frames.filter((frame) => frame.type === 'entry' && frame.body !== undefined)
    if (got.length === 0 || this.#below(2) === 0) {
      live.send({ type: 'acknowledge', operation: operation.id, upTo: Math.max(this.#lastIndex(by), 0) })
      this.ledger.acknowledged(by.person)
    } else {
      const messages = [
        ...new Set([this.#pick(got), this.#pick(got)].map((frame) => protocol.parseLeaf(frame.leaf).subject)),
      ]
      live.send({ type: 'acknowledge', operation: operation.id, messages })
      for (const message of messages) this.ledger.read(by.person, message)
    }
    this.ledger.act('acknowledge', 'accepted')
  }

  /** Somebody without a device is admitted, gets another role, comes into a compartment and out of it, and leaves. */
  async #members(by: WireActor): Promise<void> {
    const { operation, administrator, organizations, shared, byRole } = this.#scene
    const { path } = operation
    const organization = this.#pick([organizations.kenya, organizations.thailand])
    const inviter = organization === byRole.ncp.organization ? byRole.ncp : this.#scene.ncpOfThailand
    const invited = await this.#invite(this.#below(4) === 0 ? administrator : inviter, organization)
    if (!invited) return
    const { person } = invited.actor
    const who = () => this.#pick([by, byRole.coordinator])
    const act = async (name: string, url: string, kind: Kind, what: object, compartment?: string) => {
      const signer = who()
      const statement = await operation.sign(signer, what, compartment)
      const expected = this.#placed([kind, person])
      return this.#http(name, signer, ['POST', path + url, { statement, reason: 'As asked' }], expected)
    }
    const role: Role = 'officer'
    await act('admit', '/members', 'member.admitted', { act: 'admit', person, organization, role })
    const change = { act: 'change-role', person, role: 'ncp' }
    await act('change role', `/members/${person}/role`, 'member.role-changed', change)
    const inShared = { compartment: shared, person }
    const add = { act: 'add-to-compartment', ...inShared }
    await act('add', `/compartments/${shared}/members`, 'compartment.member-added', add, shared)
    const out = { act: 'remove-from-compartment', ...inShared }
    const url = `/compartments/${shared}/members/${person}/removal`
    await act('take out', url, 'compartment.member-removed', out, shared)
    await act('remove', `/members/${person}/removal`, 'member.removed', { act: 'remove', person })
  }
}

export async function outsiderOf({ administrator, organizations }: EveryRole): Promise<WireActor> {
  return newcomer(administrator, { name: 'Outsider', organization: organizations.thailand, tier: 'ncp' })
}
