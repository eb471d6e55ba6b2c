// What this holds: every cell of the three access tables that concerns what exists, as a running
// server answers it, over HTTP and, where it applies, over the live channel. Expected values come
// from the tables as they were copied, never from the code.
// What makes it fail: removing `authorize` in a service, `authorizeIn` in an act, `judgeMemberAct`,
// `isIn`, or `seesEntry`.
import t from 'tap'
import { parseLeaf, type Leaf } from '../src/protocol/index.ts'
import { checkLog } from './support/check-log.ts'
import { cellsOf, everyRole, type EveryRole } from './support/roles.ts'
import { went, type Draft } from './support/wire-operation.ts'
import { codeOf, freshId, type Answer, type Frame, type LiveWire, type WireActor } from './support/wire.ts'

/** Permissions of which nothing exists yet, and what they wait for. */
const notBuilt: Readonly<Record<string, string>> = {
  'attachment.upload': 'attachments come with a later version',
  'attachment.open': 'attachments come with a later version',
  'warning.assign': 'clocks and assignment come with a later version',
  'nil.report': 'the form nil comes with a later issue',
  'bulletin.publish': 'the form bulletin comes with a later issue',
  'form.define': 'forms of an operation come with a later version',
  'library.publish': 'the library comes with a later issue',
  'contact.list': 'contacts come with a later version',
  'report.export': 'exports come with a later version',
  'sitrep.publish': 'sitreps come with a later version',
  'log.export': 'evidence bundles come with a later version',
  'disclosure.request': 'two-person acts come with a later version',
  'disclosure.approve': 'two-person acts come with a later version',
  'erasure.request': 'two-person acts come with a later version',
  'erasure.approve': 'two-person acts come with a later version',
  'approval.give': 'two-person acts come with a later version',
  'operation.destroy': 'two-person acts come with a later version',
}

/** How something was asked for: each way that exists must give the same answer. */
interface Attempt {
  readonly how: string
  readonly answer: Answer
}

/** What is looked at singly once an operation is closed has to be justified. */
const why = '?justification=A%20question%20of%20the%20court'

type Probe = (scene: EveryRole, actor: WireActor, live: LiveWire) => Promise<Attempt[]>

const http = (answer: Answer): Attempt[] => [{ how: 'http', answer }]

async function overLive(live: LiveWire, id: string, input: object): Promise<Answer> {
  live.send({ type: 'post', ...input })
  const frame = await live.first((one) => ['accepted', 'refused'].includes(one.type) && one.id === id)
  const status = frame.type === 'accepted' ? 201 : frame.problem.status
  return { status, text: JSON.stringify(frame), body: frame.problem ?? frame, headers: new Headers() }
}

/** The same kind of message twice, once each way. */
const posting =
  (draft: (scene: EveryRole, actor: WireActor) => Draft | Promise<Draft>): Probe =>
  async (scene, actor, live) => {
    const { operation } = scene
    const first = await operation.compose(actor, await draft(scene, actor))
    const second = await operation.compose(actor, await draft(scene, actor))
    return [
      { how: 'http', answer: await actor.call('POST', `${operation.path}/messages`, first.input) },
      { how: 'live', answer: await overLive(live, second.id, second.input) },
    ]
  }

/** A message that the actor's organization has in the shared compartment. */
async function ownMessage({ operation, shared, byRole, messages }: EveryRole, actor: WireActor) {
  const organization = actor.organization
  if (organization === byRole.coordinator.organization) return { id: messages.text, thread: messages.textThread }
  const poster = actor === byRole.observer ? byRole.officer : actor
  return went(
    await operation.post(poster, {
      compartment: shared,
      thread: messages.textThread,
      refersTo: { message: messages.text, as: 'reply' },
    }),
  )
}

const reply = ({ shared, messages }: EveryRole): Draft => ({
  compartment: shared,
  thread: messages.textThread,
  refersTo: { message: messages.text, as: 'reply' },
})

const replyElsewhere = ({ other, messages }: EveryRole): Draft => ({
  compartment: other,
  thread: messages.otherThread,
  refersTo: { message: messages.inOther, as: 'reply' },
})

const give = async (
  { operation }: EveryRole,
  actor: WireActor,
  live: LiveWire,
  compartment: string,
  to: WireActor,
  patience = 5_000,
) => {
  const view = await operation.view()
  const key = operation.keys.get(`${compartment}#1`) ?? new Uint8Array(32)
  const grant = await operation.seal(view, to.device.id, compartment, 1, key)
  const grants = [{ device: to.device.id, epoch: 1, grant }]
  const answer = await actor.call('POST', `${operation.path}/grants`, { compartment, grants })
  const before = live.frames.length
  live.send({ type: 'grant', operation: operation.id, compartment, grants })
  // What was given is told by silence.
  const refused = await live.first((frame: Frame) => frame.type === 'refused', patience, before).catch(() => undefined)
  const status = refused === undefined ? 200 : refused.problem.status
  return [
    ...http(answer),
    { how: 'live', answer: { status, text: '', body: refused?.problem, headers: new Headers() } },
  ]
}

/** What a permission lets one do, done where one may. */
const probes: Readonly<Record<string, Probe>> = {
  'operation.read': async ({ operation }, actor, live) => {
    const [answered] = (await live.follow(operation.id)).slice(-1)
    const status = answered.type === 'caught-up' ? 200 : 404
    return [
      ...http(await actor.call('GET', operation.path)),
      { how: 'live', answer: { status, text: '', body: answered, headers: new Headers() } },
    ]
  },
  'operation.update': async ({ operation }, actor) => {
    const rules = { history: 'full', allHolds: ['partner', 'observer'] }
    return [
      ...http(await actor.call('PATCH', operation.path, { name: `Renamed ${freshId()}` })),
      ...http(await operation.setRules(rules, actor)),
    ]
  },
  'operation.advance': async ({ operation }, actor) =>
    http(await operation.advance((await operation.view()).state, actor)),
  'organization.admit': async (scene, actor) => [
    ...http(await scene.operation.admitOrganization(await scene.organization(false), actor)),
    ...http(await actor.call('GET', `${scene.operation.path}/organizations-named?name=kenya`)),
  ],
  'organization.remove': async (scene, actor) => {
    const { operation } = scene
    const organization = await scene.organization(true)
    const statement = await operation.sign(actor, { act: 'remove', organization })
    return http(await actor.call('POST', `${operation.path}/organizations/${organization}/removal`, { statement }))
  },
  'member.list': async ({ operation }, actor) => [
    ...http(await actor.call('GET', `${operation.path}/members`)),
    ...http(await actor.call('GET', `${operation.path}/organizations`)),
  ],
  'member.admit': async (scene, actor) => [
    ...http(await scene.operation.admit(await scene.candidate(scene.organizations.kenya), 'officer', actor)),
    ...http(await actor.call('GET', `${scene.operation.path}/candidates?organization=${scene.organizations.kenya}`)),
  ],
  'member.change-role': async (scene, actor) =>
    http(await scene.operation.changeRole(await scene.member(scene.organizations.kenya, 'officer'), 'ncp', actor)),
  'member.remove': async (scene, actor) =>
    http(await scene.operation.remove(await scene.member(scene.organizations.kenya, 'officer'), actor)),
  'compartment.list': async ({ operation }, actor) => http(await actor.call('GET', `${operation.path}/compartments`)),
  'compartment.create': async ({ operation }, actor) => http(await operation.createCompartment(actor, [])),
  'compartment.change-members': async (scene, actor) => {
    const person = await scene.member(scene.organizations.kenya, 'officer')
    const added = await scene.operation.addTo(scene.shared, person, actor)
    if (added.status >= 400) return http(added)
    return [...http(added), ...http(await scene.operation.removeFrom(scene.shared, person, actor))]
  },
  'epoch.open': async ({ operation, shared, ncpOfThailand }, actor) => {
    if ((await operation.view()).state !== 'closed') await operation.outdate(shared, ncpOfThailand)
    return http(await operation.openEpoch(actor, shared))
  },
  'grant.give': (scene, actor, live) => {
    const may = cellOf(scene.roleOf(actor), 'grant.give') === 'own'
    return give(scene, actor, live, scene.shared, scene.byRole.coordinator, may ? 500 : 5_000)
  },
  'thread.open': posting(({ shared }) => ({ compartment: shared })),
  'message.read': async ({ operation, shared, messages }, actor, live) => {
    await live.follow(operation.id)
    const read = live.frames.some(
      (frame: Frame) => frame.type === 'entry' && frame.body !== undefined && leafOf(frame).subject === messages.text,
    )
    return [
      ...http(await actor.call('GET', `${operation.path}/messages/${messages.text}${why}`)),
      ...http(await actor.call('GET', `${operation.path}/threads`)),
      ...http(await actor.call('GET', `${operation.path}/grants?compartment=${shared}`)),
      { how: 'live', answer: { status: read ? 200 : 403, text: '', body: undefined, headers: new Headers() } },
    ]
  },
  'message.post': posting(reply),
  'message.correct': posting(async (scene, actor) => {
    const { id, thread } = await ownMessage(scene, actor)
    return { compartment: scene.shared, thread, refersTo: { message: id, as: 'correction' } }
  }),
  'message.withdraw': posting(async (scene, actor) => {
    const { id, thread } = await ownMessage(scene, actor)
    return { compartment: scene.shared, thread, refersTo: { message: id, as: 'withdrawal' } }
  }),
  'warning.issue': posting(({ shared }) => ({ compartment: shared, form: 'warning' })),
  'warning.answer': posting(({ shared, messages }) => ({
    compartment: shared,
    form: 'feedback',
    thread: messages.warningThread,
    refersTo: { message: messages.warning, as: 'feedback' },
  })),
  'seizure.report': posting(({ shared }) => ({ compartment: shared, form: 'seizure' })),
  'records.import': async ({ operation, messages }, actor) => [
    ...http(await actor.call('POST', `${operation.path}/imports/known`, { ids: [messages.text] })),
    ...http(await actor.call('GET', `${operation.path}/import-key`)),
  ],
  'log.query': async ({ operation }, actor) => http(await actor.call('GET', `/v1/logs/${operation.id}/entries`)),
  'report.view': async ({ operation }, actor) => http(await actor.call('GET', `${operation.path}/figures${why}`)),
  'log.verify': async ({ operation }, actor) => [
    ...http(await actor.call('GET', `/v1/logs/${operation.id}/checkpoint`)),
    ...http(await actor.call('GET', `/v1/logs/${operation.id}/consistency?from=1&to=3`)),
    ...http(await actor.call('GET', `/v1/logs/${operation.id}/inclusion?index=1&size=3`)),
  ],
}

/**
 * The same where `own` fails, and the answer: 404 for what one cannot see, 403 for what one can.
 */
const elsewhere: Readonly<Record<string, { expected: string; probe: Probe }>> = {
  'member.admit': {
    expected: '403 FORBIDDEN',
    probe: async (scene, actor) =>
      http(await scene.operation.admit(await scene.candidate(scene.organizations.thailand), 'officer', actor)),
  },
  'member.change-role': {
    expected: '403 FORBIDDEN',
    probe: async (scene, actor) =>
      http(await scene.operation.changeRole(await scene.member(scene.organizations.thailand, 'officer'), 'ncp', actor)),
  },
  'member.remove': {
    expected: '403 FORBIDDEN',
    probe: async ({ operation, ncpOfThailand }, actor) => http(await operation.remove(ncpOfThailand.person, actor)),
  },
  'compartment.change-members': {
    expected: '404 NOT_FOUND',
    probe: async ({ operation, other, byRole }, actor) =>
      http(await operation.addTo(other, byRole.observer.person, actor)),
  },
  'epoch.open': {
    expected: '404 NOT_FOUND',
    probe: async ({ operation, other }, actor) => http(await operation.openEpoch(actor, other)),
  },
  'grant.give': {
    expected: '404 NOT_FOUND',
    probe: (scene, actor, live) => give(scene, actor, live, scene.other, scene.ncpOfThailand),
  },
  'thread.open': { expected: '404 NOT_FOUND', probe: posting(({ other }) => ({ compartment: other })) },
  'message.read': {
    expected: '404 NOT_FOUND',
    probe: async ({ operation, messages }, actor) => [
      ...http(await actor.call('GET', `${operation.path}/messages/${messages.inOther}`)),
      ...http(await actor.call('GET', `${operation.path}/messages/${messages.inOther}/receipts`)),
    ],
  },
  'message.post': { expected: '404 NOT_FOUND', probe: posting(replyElsewhere) },
  'message.correct': {
    expected: '404 NOT_FOUND',
    probe: posting(({ other, messages }) => ({
      compartment: other,
      thread: messages.otherThread,
      refersTo: { message: messages.textInOther, as: 'correction' },
    })),
  },
  'message.withdraw': {
    expected: '404 NOT_FOUND',
    probe: posting(({ other, messages }) => ({
      compartment: other,
      thread: messages.otherThread,
      refersTo: { message: messages.inOther, as: 'withdrawal' },
    })),
  },
  'warning.issue': {
    expected: '404 NOT_FOUND',
    probe: posting(({ other }) => ({ compartment: other, form: 'warning' })),
  },
  'warning.answer': {
    expected: '404 NOT_FOUND',
    probe: posting(({ other, messages }) => ({
      compartment: other,
      form: 'feedback',
      thread: messages.otherThread,
      refersTo: { message: messages.inOther, as: 'feedback' },
    })),
  },
  'log.query': {
    expected: '403 FORBIDDEN',
    probe: async ({ operation, organizations }, actor) =>
      http(await actor.call('GET', `/v1/logs/${operation.id}/entries?organization=${organizations.thailand}`)),
  },
  'seizure.report': {
    expected: '404 NOT_FOUND',
    probe: posting(({ other }) => ({ compartment: other, form: 'seizure' })),
  },
}

/**
 * Rows whose `own` says what an answer holds, and not whether there is one: `shows` looks at it.
 */
const shows: Readonly<
  Record<string, (scene: EveryRole, answers: readonly Answer[], value: string, actor: WireActor) => string[]>
> = {
  'member.list': ({ byRole, ncpOfThailand }, [members], value) => {
    const persons: string[] = members?.body.members.map((member: { person: string }) => member.person)
    const faults = value === 'own' && persons.includes(ncpOfThailand.person) ? ['shows the NCP of Thailand'] : []
    const auditor = persons.includes(byRole.auditor.person)
    if (auditor !== (value === 'yes')) faults.push(auditor ? 'shows the auditor' : 'does not show the auditor')
    return persons.includes(byRole.ncp.person) ? faults : [...faults, 'does not show the NCP of Kenya']
  },
  'compartment.list': ({ shared, other }, [list], value) => {
    const ids: string[] = list?.body.compartments.map(({ compartment }: { compartment: string }) => compartment)
    const faults = ids.includes(shared) ? [] : ['does not show the shared compartment']
    if (ids.includes(other) !== (value === 'yes')) faults.push('is wrong about the compartment of others')
    return faults
  },
  'report.view': (_scene, [figures], value) =>
    figures?.body.edition === (value === 'totals' ? 'totals' : 'whole') ? [] : ['is the wrong edition'],
  'log.query': ({ organizations }, [page], value, actor) => {
    const leaves: Leaf[] = page?.body.entries.map(({ leaf }: { leaf: string }) => parseLeaf(leaf))
    const ofKenya = actor.organization === organizations.kenya
    const isOwn = ({ actor: by }: Leaf) =>
      'person' in by && (by.person === actor.person || (ofKenya && by.organization === actor.organization))
    const faults = leaves.length > 0 || value === 'own' ? [] : ['shows nothing']
    return leaves.every(isOwn) === (value === 'own') ? faults : [...faults, 'is wrong about whose entries it shows']
  },
  'records.import': ({ byRole, messages }, [known], _value, actor) => {
    const own = actor.organization === byRole.coordinator.organization
    const shown = known?.body.known.some(({ id }: { id: string }) => id === messages.text)
    return shown === own ? [] : ['is wrong about whose ids it shows']
  },
}

const roleCells = cellsOf('access-roles')
const cellOf = (role: string, permission: string) =>
  roleCells.find(({ row, column }) => row === permission && column === role)?.value
/** What posts need first of all. */
const posts = new Set([
  'thread.open',
  'message.correct',
  'message.withdraw',
  'warning.issue',
  'warning.answer',
  'seizure.report',
])

function leafOf(frame: Frame): Leaf {
  return parseLeaf(frame.leaf)
}

t.test('each row of the tables is tried or named as not built', async (t) => {
  const rows = [...new Set(roleCells.map(({ row }) => row))]
  t.same(rows.toSorted(), [...Object.keys(probes), ...Object.keys(notBuilt)].toSorted())
  t.same([...new Set(cellsOf('access-states').map(({ row }) => row))].toSorted(), rows.toSorted())
})

t.test('INV-13: every cell of the table of roles', async (t) => {
  const scene = await everyRole(t)
  const { operation, byRole } = scene
  const lives = new Map<string, LiveWire>()
  for (const [role, actor] of Object.entries(byRole)) lives.set(role, await actor.live())
  for (const [permission, probe] of Object.entries(probes)) {
    for (const [role, actor] of Object.entries(byRole)) {
      const value = cellOf(role, permission)
      const live = lives.get(role) as LiveWire
      const renew = async () => {
        for (const compartment of [scene.shared, operation.id])
          if (await operation.isStale(compartment)) went(await operation.openEpoch(byRole.coordinator, compartment))
      }
      await renew()
      const attempts = await probe(scene, actor, live)
      for (const { how, answer } of attempts) {
        const label = `${permission} for ${role} over ${how}`
        if (value === 'no' || (value === 'self' && permission === 'grant.give')) {
          t.equal(answer.status, 403, label, { answer: answer.text })
          const lacked = posts.has(permission) && cellOf(role, 'message.post') === 'no' ? 'message.post' : permission
          if (answer.body?.code !== undefined) t.match(answer.body, { code: 'FORBIDDEN', permission: lacked }, label)
        } else t.ok(answer.status < 400, label, { answer: answer.text })
      }
      const look = shows[permission]
      if (value !== 'no' && look !== undefined)
        t.same(
          look(
            scene,
            attempts.map(({ answer }) => answer),
            value ?? '',
            actor,
          ),
          [],
          `${permission} for ${role}`,
        )
      const outside = elsewhere[permission]
      if (value === 'own' && outside !== undefined) {
        await renew()
        for (const { how, answer } of await outside.probe(scene, actor, live))
          t.equal(codeOf(answer), outside.expected, `${permission} for ${role} over ${how}, where it is not its own`)
      }
      if (value === 'self') {
        for (const { how, answer } of await give(scene, actor, live, scene.shared, actor, 500))
          t.ok(answer.status < 400, `${permission} for ${role} over ${how}, to itself`, { answer: answer.text })
      }
    }
  }
  await checkLog(scene.server)
})

t.test('INV-13: every cell of the table of states', async (t) => {
  const scene = await everyRole(t, { advance: false })
  const { operation, byRole } = scene
  const { coordinator } = byRole
  const live = await coordinator.live()
  await scene.lay(15, 5)
  const expected = new Map(cellsOf('access-states').map(({ row, column, value }) => [`${row} ${column}`, value]))
  for (const state of ['draft', 'rehearsal', 'active', 'reporting', 'closed'] as const) {
    if (state !== 'draft') went(await operation.advance(state))
    if (state === 'rehearsal') await scene.fill()
    for (const [permission, probe] of Object.entries(probes)) {
      const value = expected.get(`${permission} ${state}`)
      if (value === 'yes' && state !== 'closed') {
        for (const compartment of [scene.shared, operation.id])
          if (await operation.isStale(compartment)) went(await operation.openEpoch(coordinator, compartment))
      }
      for (const { how, answer } of await probe(scene, coordinator, live)) {
        const label = `${permission} in ${state} over ${how}`
        if (value === 'yes') t.ok(answer.status < 400, label, { answer: answer.text })
        else if (answer.body?.code === undefined) t.ok(answer.status >= 400, label)
        else t.equal(codeOf(answer), '409 OPERATION_STATE', label)
      }
    }
  }
  t.equal(
    codeOf(await operation.advance('archived')),
    '409 APPROVAL_NOT_AVAILABLE',
    'the column archived waits for approvals: no operation can be archived yet',
  )
  await checkLog(scene.server)
})

/** Kinds that this scene does not have, and why. */
const kindsNotBuilt: Readonly<Record<string, string>> = {
  'attachment.stored': 'attachments come with a later version',
  'attachment.opened': 'attachments come with a later version',
  'form.*': 'forms of an operation come with a later version',
  'warning.*': 'clocks come with a later version',
  'export.*': 'exports come with a later version',
  'access.refused': 'in the directory log alone',
  'account.alarm': 'quotas come with a later version',
}

t.test('INV-13: every cell of the table of entries, in the feed', async (t) => {
  const scene = await everyRole(t)
  const { operation, byRole, server, shared, messages } = scene
  // One of each kind that an operation's log can have by now.
  const { ncp, coordinator, officer } = byRole
  went(await coordinator.call('PATCH', operation.path, { name: 'Renamed' }))
  went(await ncp.call('GET', `${operation.path}/messages/${messages.text}`))
  went(await ncp.call('GET', `${operation.path}/figures`))
  went(await byRole.auditor.call('GET', `/v1/logs/${operation.id}/entries`))
  const digest = (await operation.head()).slice(0, 43)
  const run = { mapping: digest, file: digest, rows: 1, imported: 1, already: 0, corrected: 0 }
  went(await ncp.call('POST', `${operation.path}/imports`, run))
  went(await operation.removeFrom(shared, officer.person))
  went(await operation.post(coordinator))
  const reading = await ncp.live()
  await reading.follow(operation.id)
  reading.send({ type: 'acknowledge', operation: operation.id, messages: [messages.text] })
  reading.send({ type: 'ping' })
  await reading.first(({ type }) => type === 'pong')
  await server.consultation.flush()
  reading.close()

  const auditing = await byRole.auditor.live()
  const everything: Leaf[] = (await auditing.follow(operation.id)).filter(isEntry).map(leafOf)
  const view = await operation.view()
  t.same(
    everything.map(({ index }) => index),
    everything.map((_, n) => n),
    'an auditor sees every entry',
  )
  const matches = (row: string, kind: string) =>
    row === kind || (row.endsWith('.*') && kind.startsWith(row.slice(0, -1)))
  const cells = cellsOf('access-entries')
  const rowOf = (kind: string) =>
    cells.find(({ row }) => row === kind)?.row ?? cells.find(({ row }) => matches(row, kind))?.row
  const rows = new Set(cells.map(({ row }) => row))
  const occurring = new Set(everything.map(({ kind }) => rowOf(kind)))
  t.same([...rows].filter((row) => !occurring.has(row)).toSorted(), Object.keys(kindsNotBuilt).toSorted())

  for (const [role, actor] of Object.entries(byRole)) {
    const live = await actor.live()
    const frames = (await live.follow(operation.id)).filter(isEntry)
    const seen = new Set(frames.map((frame) => leafOf(frame).index))
    const inSame = (person: string | undefined) =>
      person === actor.person ||
      [operation.id, shared, scene.other].some(
        (compartment) =>
          view.isIn(actor.person as never, compartment as never) && view.isIn(person as never, compartment as never),
      )
    /** What `compartment` means of an entry, said without the code that decides it. */
    const concerns = (leaf: Leaf): boolean => {
      if (leaf.compartment !== undefined) {
        const joined = view.isIn(actor.person as never, leaf.compartment as never)
        return joined
      }
      if (leaf.kind.startsWith('member.')) return inSame(leaf.subject)
      if (leaf.kind.startsWith('device.')) return inSame(view.devices.get(leaf.subject as never)?.person)
      return view.compartmentsOf(actor.person as never).length > 0
    }
    for (const leaf of everything) {
      // Whoever follows makes an entry by it; what came after the auditor looked is not compared.
      const value = cells.find(({ row, column }) => row === rowOf(leaf.kind) && column === role)?.value
      const expected = value === 'yes' || (value === 'compartment' && concerns(leaf))
      if (seen.has(leaf.index) !== expected)
        t.fail(`${leaf.kind} (${leaf.index}) for ${role}: ${expected ? 'is not' : 'is'} in the feed`)
    }
    t.pass(`every kind of entry for ${role}`)
    const contents = frames.filter((frame) => frame.body !== undefined || frame.extract !== undefined)
    if (role === 'auditor') {
      t.same(contents, [], 'an auditor gets no body and no extract')
      t.ok(frames.some((frame) => leafOf(frame).kind === 'message.posted' && frame.statement !== undefined))
    } else t.ok(contents.length > 0, `${role} gets bodies`)
    t.notOk(
      frames.some((frame) => frame.grant !== undefined && role === 'auditor'),
      'an auditor gets no key',
    )
    live.close()
  }
  await checkLog(server)
})

function isEntry(frame: Frame): boolean {
  return frame.type === 'entry'
}

t.test('who has a message is told to its sender’s organization and to coordinators alone', async (t) => {
  const { operation, byRole, messages, shared } = await everyRole(t)
  const receipts = (message: string) => `${operation.path}/messages/${message}/receipts`
  const { coordinator, analyst, ncp, officer } = byRole
  for (const actor of [coordinator, analyst]) t.equal((await actor.call('GET', receipts(messages.text))).status, 200)
  for (const role of ['ncp', 'officer', 'partner', 'right-holder', 'observer'] as const)
    t.equal(codeOf(await byRole[role].call('GET', receipts(messages.text))), '404 NOT_FOUND', role)
  t.equal(codeOf(await byRole.auditor.call('GET', receipts(messages.text))), '403 FORBIDDEN', 'auditor')
  const own = went(await operation.post(ncp, { compartment: shared }))
  for (const actor of [ncp, officer, coordinator]) t.equal((await actor.call('GET', receipts(own.id))).status, 200)
  t.equal(codeOf(await analyst.call('GET', receipts(own.id))), '404 NOT_FOUND')
})
