import type { Role } from '../../src/access.ts'
import * as protocol from '../../src/protocol/index.ts'
import type { Kind } from '../../src/protocol/index.ts'
import type { Act, Expected, History } from './history.ts'
import { handshake } from './handshake.ts'
import { went, type Draft } from './wire-operation.ts'
import { ask, certify, enrolInvited, freshId, now, passphrase, random, type WireActor } from './wire.ts'

/** Somebody comes in with a device, is a member for a moment, and loses the device. */
async function arriveAndLeave(history: History): Promise<void> {
  const { operation, byRole, organizations, server } = history.scene
  const { ncp } = byRole
  const { directory } = server.logs
  const invited = await history.invite(ncp, organizations.kenya)
  if (!invited) throw new Error('an NCP invites its own people')
  const { actor } = invited
  const device = actor.device.id
  const entry = (kind: Kind, log: string, by: WireActor, subject: string) =>
    history.ledger.entry(kind, log, by.person, subject)
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
  history.ledger.act('arrive and leave', 'accepted')
  history.settle('ask after the end', null, await actor.call('GET', operation.path), () => [])
}

async function signInAndOut(history: History, by: WireActor): Promise<void> {
  const { directory } = by.server.logs
  const kept = { accessToken: by.accessToken, refreshToken: by.refreshToken, session: by.session }
  await by.signIn()
  history.ledger.act('sign in', 'accepted')
  history.ledger.entry('session.started', directory, by.person, by.session)
  const { session } = by
  Object.assign(by, kept)
  await history.http('sign out', by, ['DELETE', `/v1/sessions/${session}`], () => [
    ['session.ended', session, directory],
  ])
}

async function signInWrongly(history: History, by: WireActor): Promise<void> {
  const proof = await protocol.signSignIn(by.device, by.person, by.thumbprint, now())
  const body = { proof, passphrase: `${passphrase} not` }
  history.settle('sign in wrongly', null, await by.call('POST', '/v1/sessions', body, { signedIn: false }), () => [])
  // One that is right makes the service patient again.
  await signInAndOut(history, by)
}

async function createOperation(history: History, by: WireActor): Promise<void> {
  const { coordinator } = history.scene.byRole
  const operation = freshId()
  const { person, organization } = coordinator
  const statement = await by.signAct({
    v: 2,
    operation,
    previous: null,
    at: now(),
    act: 'create-operation',
    history: 'full',
    allHolds: [],
    coordinators: [{ person, organization }],
  })
  const body = { statement, name: 'Another', reference: 'OP-2', timeZone: 'UTC', purpose: 'Rosewood' }
  await history.http('create operation', by, ['POST', '/v1/operations', body], () => [
    ['operation.created', operation, operation],
    ['member.admitted', person, operation],
    ['device.certified', coordinator.device.id, operation],
  ])
}

async function importRows(history: History, by: WireActor): Promise<void> {
  const { operation } = history.scene
  const sealed = await protocol.sealTo(
    'cordon-import+jwe',
    { kid: by.device.id },
    await protocol.importSealPublicKey(by.device.keys.seal.pub),
    random(32),
  )
  const holders = history.importers.get(by.organization) ?? new Set()
  const first = !holders.has(by.device.id)
  const keys = [{ device: by.device.id, sealed }]
  const stored = await history.http('store import key', by, ['PUT', `${operation.path}/import-key`, { keys }], () =>
    first ? [['records.key-stored', by.organization]] : [],
  )
  if (stored.status < 400) history.importers.set(by.organization, holders.add(by.device.id))
  const digest = protocol.base64url(random(32))
  const ended = { mapping: digest, file: digest, rows: 1, imported: 1, already: 0, corrected: 0 }
  await history.http('import', by, ['POST', `${operation.path}/imports`, ended], () => [
    ['records.imported', by.organization],
  ])
}

export function allActs(history: History): readonly (readonly [string, number, Act])[] {
  const { operation, shared, other, organizations, byRole, administrator, server } = history.scene
  const { path } = operation
  const directory = server.logs.directory
  const compartments = [operation.id, shared, shared, other]
  const forms = ['text', 'warning', 'seizure'] as const
  const anyMessage = () => history.pick(history.messages)
  const get = (name: string, suffix: string, expected: readonly Expected[] = []): [string, number, Act] => [
    name,
    1,
    (by) => history.http(name, by, ['GET', path + suffix], () => expected),
  ]
  const looking = (name: string, url: string, subject: string): [string, number, Act] => [
    name,
    1,
    (by) => history.http(name, by, ['GET', url], () => [['directory.viewed', subject, directory]]),
  ]
  const draft = (): Draft => {
    const compartment = history.pick(compartments)
    const earlier = history.messages.filter((message) => message.compartment === compartment)
    if (earlier.length === 0 || history.below(3) === 0) return { compartment, form: history.pick(forms) }
    const { id, thread } = history.pick(earlier)
    return { compartment, thread, refersTo: { message: id, as: 'reply' } }
  }
  const acts: (readonly [string, number, Act])[] = [
    ['post', 12, (by) => history.post(by, draft(), 'http', 'message.posted')],
    ['post live', 12, (by) => history.post(by, draft(), 'live', 'message.posted')],
    [
      'post again',
      2,
      async () => {
        if (history.messages.length === 0) return
        const { by, input } = anyMessage()
        await history.http('post again', by, ['POST', `${path}/messages`, input])
      },
    ],
    [
      'correct or withdraw',
      4,
      async (by) => {
        if (history.messages.length === 0) return
        const { id, thread, compartment, by: author } = anyMessage()
        const as = history.pick(['correction', 'withdrawal'] as const)
        const kind = as === 'correction' ? 'message.corrected' : 'message.withdrawn'
        const who = history.below(2) === 0 ? author : by
        await history.post(
          who,
          { compartment, thread, refersTo: { message: id, as } },
          history.pick(['http', 'live']),
          kind,
        )
      },
    ],
    [
      'fetch',
      6,
      async (by) => {
        const id = history.messages.length === 0 || history.below(8) === 0 ? freshId() : anyMessage().id
        await history.http('fetch', by, ['GET', `${path}/messages/${id}`], () => [['body.fetched', id]])
      },
    ],
    [
      'receipts',
      2,
      async (by) => {
        if (history.messages.length > 0)
          await history.http('receipts', by, ['GET', `${path}/messages/${anyMessage().id}/receipts`])
      },
    ],
    ['threads', 2, (by) => history.http('threads', by, ['GET', `${path}/threads`], () => [['feed.opened', by.person]])],
    get('figures', '/figures', [['report.viewed', 'figures']]),
    get('operation', ''),
    get('members', '/members'),
    get('organizations', '/organizations'),
    get('compartments', '/compartments'),
    get('grants', '/grants'),
    get('grant requests', '/grant-requests'),
    get('import key', '/import-key'),
    ['checkpoint', 1, (by) => history.http('checkpoint', by, ['GET', `/v1/logs/${operation.id}/checkpoint`])],
    [
      'query',
      2,
      (by) =>
        history.http('query', by, ['GET', `/v1/logs/${operation.id}/entries?limit=5`], () => [
          ['log.queried', operation.id],
        ]),
    ],
    [
      'export',
      2,
      (by) =>
        history.http('export', by, ['GET', `/v1/logs/${operation.id}/tile/entries/000.p/3`], () => [
          ['export.made', by.person],
        ]),
    ],
    ['operations', 1, (by) => history.http('operations', by, ['GET', '/v1/operations'])],
    ['me', 1, (by) => history.http('me', by, ['GET', '/v1/me'])],
    looking('candidates', `${path}/candidates?organization=${organizations.kenya}`, organizations.kenya),
    looking('organizations named', `${path}/organizations-named?name=kenya`, 'organizations'),
    looking('all organizations', '/v1/organizations', 'organizations'),
    looking('people', `/v1/organizations/${organizations.kenya}/people`, organizations.kenya),
    [
      'register organization',
      1,
      async (by) => {
        const id = freshId()
        const body = { id, kind: 'partner', name: `Partner ${id}` }
        await history.http('register organization', by, ['POST', '/v1/organizations', body], () => [
          ['organization.registered', id, directory],
        ])
        await history.http(
          'admit organization',
          history.pick([by, byRole.coordinator]),
          ['POST', `${path}/organizations`, { organization: id }],
          history.placed(['operation.organization-admitted', id]),
        )
      },
    ],
    [
      'invite and revoke',
      2,
      async (by) => {
        const invited = await history.invite(by, history.pick([by.organization, organizations.thailand]))
        if (!invited) return
        const url = `/v1/invitations/${invited.invitation}`
        await history.http('revoke invitation', history.pick(history.actors), ['DELETE', url])
        await history.http('revoke invitation', by, ['DELETE', url], () => [
          ['invitation.revoked', invited.invitation, directory],
        ])
      },
    ],
    ['members', 4, (by) => changeMembers(history, by)],
    [
      'compartment',
      1,
      async (by) => {
        const compartment = freshId()
        const statement = await operation.sign(by, { act: 'create-compartment', compartment, members: [] }, compartment)
        await history.http(
          'create compartment',
          by,
          ['POST', `${path}/compartments`, { statement, name: 'Small' }],
          history.placed(['compartment.created', compartment]),
        )
      },
    ],
    [
      'rules',
      1,
      async (by) => {
        const rules = { act: 'set-operation', history: 'full', allHolds: ['partner', 'observer'] }
        const statement = await operation.sign(by, rules)
        await history.http(
          'rules',
          by,
          ['POST', `${path}/rules`, { statement }],
          history.placed(['operation.rules-set', operation.id]),
        )
      },
    ],
    [
      'update',
      1,
      (by) =>
        history.http(
          'update',
          by,
          ['PATCH', path, { name: history.pick(['One', 'Two']), reason: 'A better name' }],
          history.placed(['operation.updated', operation.id]),
        ),
    ],
    [
      'advance',
      1,
      async (by) => {
        const statement = await operation.sign(by, { act: 'advance', state: history.pick(['closed', 'rehearsal']) })
        await history.http('advance', by, ['POST', `${path}/advance`, { statement }])
      },
    ],
    ['epoch', 1, (by) => history.openEpoch(by, history.pick(compartments))],
    [
      'dispute',
      1,
      async (by) => {
        const compartment = history.pick(compartments) as protocol.CompartmentId
        const epoch = (await operation.view()).currentEpoch(compartment)?.number ?? 1
        await history.http(
          'dispute',
          by,
          ['POST', `${path}/disputes`, { compartment, epoch }],
          history.placed(['epoch.disputed', `${compartment}#${epoch}`]),
        )
      },
    ],
    [
      'grant',
      2,
      async (by) => {
        const compartment = history.pick(compartments)
        const { device } = history.pick([byRole['right-holder'], byRole.officer, by])
        const key = operation.keys.get(`${compartment}#1`) ?? new Uint8Array(32)
        const grant = await operation.seal(await operation.view(), device.id, compartment, 1, key)
        const grants = [{ device: device.id, epoch: 1, grant }]
        await history.http(
          'grant',
          by,
          ['POST', `${path}/grants`, { compartment, grants }],
          history.placed(['history.granted', compartment]),
        )
      },
    ],
    ['import', 1, (by) => importRows(history, by)],
    ['subscribe', 3, (by) => history.subscribe(by, Math.max(history.lastIndex(by) - 20, -1))],
    [
      'unsubscribe',
      1,
      async (by) => {
        if (!history.following.has(by)) return
        const live = history.liveOf(by)
        const from = live.frames.length
        live.send({ type: 'unsubscribe', operation: operation.id })
        await live.first(({ type }) => type === 'ended', 10_000, from)
        history.following.delete(by)
        history.ledger.act('unsubscribe', 'accepted')
      },
    ],
    ['acknowledge', 8, (by) => acknowledge(history, by)],
    ['sign in and out', 1, (by) => signInAndOut(history, by)],
    ['sign in wrongly', 1, (by) => signInWrongly(history, by)],
    ['create operation', 1, (by) => createOperation(history, history.pick([by, administrator]))],
    ['arrive and leave', 1, () => arriveAndLeave(history)],
    ['nobody', 1, async () => void history.settle('nobody', null, await ask(server.url + path, {}), () => [])],
    [
      'wrong ticket',
      1,
      async () => {
        const ticket = protocol.base64url(random(32))
        const status = await handshake(server, ticket)
        if (status !== 401) throw new Error(`a ticket that nobody was given got ${status}`)
        history.ledger.act('wrong ticket', 'refused')
        history.ledger.refusal(null, 'UNAUTHENTICATED')
      },
    ],
    ['mistake', 2, (by) => history.http('mistake', by, ['POST', `${path}/messages`, { statement: 1 }])],
  ]
  return acts
}

async function acknowledge(history: History, by: WireActor): Promise<void> {
  const { operation } = history.scene
  const live = history.liveOf(by)
  if (!history.following.has(by)) {
    const frame = { type: 'acknowledge', operation: operation.id, upTo: 1 }
    history.settle('acknowledge', by, await history.over(by, frame, () => true), () => [])
    return
  }
  const got = live.frames.filter((frame) => frame.type === 'entry' && frame.body !== undefined)
  if (got.length === 0 || history.below(2) === 0) {
    live.send({ type: 'acknowledge', operation: operation.id, upTo: Math.max(history.lastIndex(by), 0) })
    history.ledger.acknowledged(by.person)
  } else {
    const messages = [
      ...new Set([history.pick(got), history.pick(got)].map((frame) => protocol.parseLeaf(frame.leaf).subject)),
    ]
    live.send({ type: 'acknowledge', operation: operation.id, messages })
    for (const message of messages) history.ledger.read(by.person, message)
  }
  history.ledger.act('acknowledge', 'accepted')
}

/**
 * Somebody without a device is admitted, gets another role, comes into a compartment and out of it,
 * and leaves.
 */
async function changeMembers(history: History, by: WireActor): Promise<void> {
  const { operation, administrator, organizations, shared, byRole } = history.scene
  const { path } = operation
  const organization = history.pick([organizations.kenya, organizations.thailand])
  const inviter = organization === byRole.ncp.organization ? byRole.ncp : history.scene.ncpOfThailand
  const invited = await history.invite(history.below(4) === 0 ? administrator : inviter, organization)
  if (!invited) return
  const { person } = invited.actor
  const who = () => history.pick([by, byRole.coordinator])
  const act = async (name: string, url: string, kind: Kind, what: object, compartment?: string) => {
    const signer = who()
    const statement = await operation.sign(signer, what, compartment)
    const expected = history.placed([kind, person])
    return history.http(name, signer, ['POST', path + url, { statement, reason: 'As asked' }], expected)
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
