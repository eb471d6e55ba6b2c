// What this holds: section A of the attacks that must fail (objects, groups and roles), through the
// public doors. Each test says which check, removed, makes it succeed.
import t, { type Test } from 'tap'
import type { Role } from '../src/access.ts'
import * as protocol from '../src/protocol/index.ts'
import { checkLog } from './support/check-log.ts'
import { admin } from './support/database.ts'
import { patchedServer } from './support/patched.ts'
import { sizes } from './support/entries.ts'
import { everyRole } from './support/roles.ts'
import { startServer } from './support/server.ts'
import { createOperation, sampleFields, went, type WireOperation } from './support/wire-operation.ts'
import {
  certify,
  codeOf,
  enrolInvited,
  freshId,
  inDays,
  invite,
  newcomer,
  now,
  type Answer,
  type Frame,
  type WireActor,
} from './support/wire.ts'

const scene = await everyRole(t)
const { operation, byRole, administrator, messages, shared, other, ncpOfThailand, organizations, server } = scene
const abroad = freshId()
await administrator.must('POST', '/v1/organizations', {
  id: abroad,
  kind: 'administration',
  name: 'Elsewhere',
  country: 'NO',
})
/** Coordinates an operation of its own and is no member of this one. */
const outsider = await newcomer(administrator, { name: 'Outsider', organization: abroad, tier: 'ncp' })
const elsewhere = await createOperation(t, administrator, outsider)
for (const state of ['rehearsal', 'active'] as const) went(await elsewhere.advance(state))
went(await elsewhere.openEpoch(outsider))

const anywhere = `/v1/operations/${freshId()}`
/** The same answer, to the byte, as for what does not exist. */
function sameAs(t: Test, answer: Answer, nothing: Answer, name: string): void {
  t.equal(codeOf(answer), '404 NOT_FOUND', name)
  t.equal(answer.text, nothing.text, `${name}: the same body`)
  const headers = (one: Answer) =>
    [...one.headers.keys()]
      .filter((header) => header !== 'date')
      .sort()
      .join()
  t.equal(headers(answer), headers(nothing), `${name}: the same headers`)
}

async function postTo(
  actor: WireActor,
  path: string,
  by: WireOperation,
  draft: Parameters<WireOperation['compose']>[1],
) {
  const { input, id } = await by.compose(actor, draft)
  return { ...(await actor.call('POST', `${path}/messages`, input)), id }
}

// Bites: `authorize` in Messages.fetch.
t.test('INV-26: A1, A22: a message is not read, and a group not seen, by somebody who is no member', async (t) => {
  for (const rest of [
    '',
    '/members',
    '/organizations',
    '/compartments',
    '/threads',
    '/figures',
    '/grants',
    '/grant-requests',
    '/import-key',
    `/candidates?organization=${organizations.kenya}`,
    '/organizations-named?name=kenya',
    `/messages/${messages.text}`,
    `/messages/${messages.text}/receipts`,
  ]) {
    const nothing = await outsider.call('GET', anywhere + rest)
    for (const actor of [outsider, administrator])
      sameAs(t, await actor.call('GET', operation.path + rest), nothing, `${actor.name}: GET ${rest}`)
  }
  for (const rest of ['checkpoint', 'inclusion?index=0&size=1', 'consistency?from=1&to=2']) {
    const nothing = await outsider.call('GET', `/v1/logs/${freshId()}/${rest}`)
    sameAs(t, await outsider.call('GET', `/v1/logs/${operation.id}/${rest}`), nothing, rest)
  }
  sameAs(
    t,
    await outsider.call('GET', `${elsewhere.path}/messages/${messages.text}`),
    await outsider.call('GET', `${elsewhere.path}/messages/${freshId()}`),
    'through an operation of one’s own',
  )
  const live = await outsider.live()
  const answers = []
  for (const id of [operation.id, freshId()]) {
    const [last] = (await live.follow(id)).slice(-1)
    answers.push({ ...last, operation: '' })
  }
  t.same(answers[0], answers[1], 'nor over the live channel')
  t.notOk(live.frames.some(({ type }) => type === 'entry'))
  live.close()
  const listed = await outsider.must('GET', '/v1/operations')
  t.same(
    listed.operations.map((one: { operation: string }) => one.operation),
    [elsewhere.id],
  )
})

// Bites: `requirePlace` (organization of the target).
t.test('A2: another organization’s message is neither corrected nor withdrawn', async (t) => {
  const thread = messages.textThread
  for (const as of ['correction', 'withdrawal'] as const) {
    const refersTo = { message: messages.text, as }
    for (const role of ['ncp', 'officer', 'partner', 'right-holder'] as const)
      t.equal(codeOf(await operation.post(byRole[role], { compartment: shared, thread, refersTo })), '403 FORBIDDEN')
    t.equal(codeOf(await operation.post(outsider, { compartment: shared, thread, refersTo })), '404 NOT_FOUND')
  }
  for (const method of ['PUT', 'PATCH', 'DELETE']) {
    const answer = await byRole.coordinator.call(method, `${operation.path}/messages/${messages.text}`, {})
    t.ok([404, 405].includes(answer.status), `${method}: nothing is edited`)
  }
})

// Bites: `payload.operation !== operation`, `requirePlace`, and `act.operation !== operation` in
// memberAct.
t.test('A3: what is authorised on one operation touches no other', async (t) => {
  const before = await byRole.coordinator.must('GET', `${operation.path}/threads`)
  const size = (await sizes(server)).get(operation.id)
  t.equal(
    codeOf(await postTo(outsider, elsewhere.path, operation, {})),
    '404 NOT_FOUND',
    'a statement for another operation',
  )
  for (const draft of [
    { compartment: shared },
    { compartment: operation.id },
    { thread: messages.textThread, refersTo: { message: messages.text, as: 'reply' as const } },
  ])
    t.match(codeOf(await elsewhere.post(outsider, draft)), /^404 NOT_FOUND/, JSON.stringify(Object.keys(draft)))
  const sameThread = went(await elsewhere.post(outsider, { thread: messages.textThread }))
  t.ok(sameThread.id, 'a thread of the same name is one of its own')
  const remove = await operation.sign(byRole.coordinator, { act: 'remove', person: byRole.officer.person })
  t.equal(
    codeOf(
      await outsider.call('POST', `${elsewhere.path}/members/${byRole.officer.person}/removal`, { statement: remove }),
    ),
    '404 NOT_FOUND',
    'a member statement of another operation',
  )
  const { statement, grants } = await operation.epoch(outsider, shared)
  t.equal(codeOf(await outsider.call('POST', `${elsewhere.path}/epochs`, { statement, grants })), '404 NOT_FOUND')
  const given = {
    compartment: shared,
    grants: [{ device: outsider.device.id, epoch: 1, grant: grants[0]?.grant ?? '' }],
  }
  t.ok((await outsider.call('POST', `${elsewhere.path}/grants`, given)).status >= 400)
  t.equal((await sizes(server)).get(operation.id), size, 'nothing was entered there')
  t.same(await byRole.coordinator.must('GET', `${operation.path}/threads`), before, 'and nothing changed there')
  // A member statement goes in by the door of its act alone: a removal does not come as an addition
  // to a compartment.
  const path = `${operation.path}/compartments/${shared}/members`
  t.equal(codeOf(await byRole.ncp.call('POST', path, { statement: remove })), '404 NOT_FOUND')
})

// Bites: `additionalProperties: false` in the schemas.
t.test('A4: nothing is moved by naming where it should be', async (t) => {
  for (const extra of [
    { operation: elsewhere.id },
    { id: elsewhere.id },
    { state: 'closed' },
    { operation_id: elsewhere.id },
  ])
    t.equal(codeOf(await byRole.coordinator.call('PATCH', operation.path, { name: 'X', ...extra })), '400 VALIDATION')
  const { input } = await operation.compose(byRole.ncp, {})
  const moved = { ...input, thread: messages.otherThread, operation: operation.id }
  t.equal(codeOf(await byRole.ncp.call('POST', `${operation.path}/messages`, moved)), '400 VALIDATION')
})

// Bites: `readable` in Messages.threads, `own` in knownIds, `isIn` in grantRequests.
t.test('A5, A7: lists, counts and look-ups show no more than single reads', async (t) => {
  for (const [role, actor] of Object.entries(byRole)) {
    if (role === 'auditor') continue
    for (const rest of ['threads', 'grants', 'grant-requests', 'compartments', 'figures']) {
      const answer = await actor.call('GET', `${operation.path}/${rest}`)
      if (answer.status >= 400 || (role === 'coordinator' && rest === 'compartments')) continue
      for (const hidden of [other, messages.inOther, messages.otherThread, messages.textInOther])
        t.notOk(answer.text.includes(hidden), `${rest} for ${role} does not show what lies in another compartment`)
    }
  }
  const known = await byRole.officer.must('POST', `${operation.path}/imports/known`, { ids: Object.values(messages) })
  t.same(known, { known: [] }, 'ids of other organizations are not known')
})

// Bites: `isRecipient` and the device in grantsFor; there is no route to keys or devices of others.
t.test('A8: keys and devices are not had by asking for them', async (t) => {
  for (const actor of [byRole.ncp, byRole.observer]) {
    const { grants } = await actor.must('GET', `${operation.path}/grants`)
    for (const { grant, compartment } of grants) {
      t.not(compartment, other)
      const header = JSON.parse(Buffer.from(grant.split('.')[0], 'base64url').toString()) as { kid: string }
      t.equal(header.kid, actor.device.id, 'a grant is for the device that asks')
    }
    t.same((await actor.must('GET', `${operation.path}/grants?compartment=${other}`)).grants, [])
  }
  for (const path of [
    `/v1/devices/${byRole.coordinator.device.id}`,
    `/v1/devices/${byRole.coordinator.device.id}/chain`,
  ])
    t.equal(codeOf(await outsider.call('GET', path)), '404 NOT_FOUND')
  t.equal(codeOf(await byRole.auditor.call('GET', `${operation.path}/grants`)), '403 FORBIDDEN')
})

// Bites: `may` in judgePermission (the column of the state), in each act.
t.test('A11: a closed operation takes no writing through any side door', async (t) => {
  const closed = await everyRole(t)
  const { coordinator, ncp } = closed.byRole
  const op = closed.operation
  const before = await op.compose(ncp, { compartment: closed.shared })
  const epoch = await op.epoch(coordinator, closed.shared)
  await closed.lay(1, 1)
  const spare = await closed.member(closed.organizations.kenya, 'officer')
  for (const state of ['reporting', 'closed'] as const) went(await op.advance(state))
  const refused: Record<string, Answer> = {
    'a message composed before': await ncp.call('POST', `${op.path}/messages`, before.input),
    'an epoch': await coordinator.call('POST', `${op.path}/epochs`, {
      statement: epoch.statement,
      grants: epoch.grants,
    }),
    'a compartment': await op.createCompartment(ncp, []),
    'a member of a compartment': await op.addTo(closed.shared, spare, coordinator),
    'a member less in a compartment': await op.removeFrom(closed.shared, ncp.person, coordinator),
    'an admission': await op.admit(await closed.candidate(closed.organizations.kenya), 'officer'),
    'a role': await op.changeRole(spare, 'ncp'),
    'an organization': await op.admitOrganization(await closed.organization(false)),
    'a name': await coordinator.call('PATCH', op.path, { name: 'Reopened' }),
    rules: await op.setRules({ history: 'full', allHolds: [] }),
    'an import': await ncp.call('POST', `${op.path}/imports/known`, { ids: [freshId()] }),
    'an import key': await ncp.call('PUT', `${op.path}/import-key`, { keys: [{ device: ncp.device.id, sealed: 'x' }] }),
  }
  for (const as of ['reply', 'correction', 'withdrawal'] as const) {
    const refersTo = { message: closed.messages.text, as }
    const draft = { compartment: closed.shared, thread: closed.messages.textThread, refersTo }
    refused[`a ${as}`] = await op.post(coordinator, draft)
  }
  for (const [what, answer] of Object.entries(refused)) t.match(codeOf(answer), /^(409 OPERATION_STATE|400 )/, what)
  t.equal(codeOf(refused['a message composed before'] as Answer), '409 OPERATION_STATE')
  const live = await ncp.live()
  live.send({ type: 'post', ...before.input })
  const frame = await live.first(({ type }) => type === 'refused')
  t.equal(frame.problem.code, 'OPERATION_STATE', 'nor over the live channel')
  live.close()
  for (const back of ['active', 'reporting', 'draft', 'rehearsal'] as const)
    t.equal(codeOf(await op.advance(back)), '409 OPERATION_STATE', `nor does it become ${back} again`)
  await checkLog(closed.server)
})

// Bites: `sharesCompartment` in Operations.members and organizations; `authorize` with its
// permission elsewhere.
t.test('A13: a partner or right holder enumerates nobody outside its view', async (t) => {
  const rightHolder = byRole['right-holder']
  const { members } = await rightHolder.must('GET', `${operation.path}/members`)
  const persons = members.map(({ person }: { person: string }) => person)
  for (const hidden of [ncpOfThailand, byRole.auditor]) t.notOk(persons.includes(hidden.person), hidden.name)
  const listed = await rightHolder.must('GET', `${operation.path}/organizations`)
  const ids = listed.organizations.map(({ organization }: { organization: string }) => organization)
  t.notOk(ids.includes(organizations.thailand), 'nor an organization that has nobody in its compartments')
  for (const actor of [rightHolder, byRole.partner, byRole.observer, byRole.officer]) {
    const path = `${operation.path}/candidates?organization=${organizations.kenya}`
    t.equal(codeOf(await actor.call('GET', path)), '403 FORBIDDEN', `candidates for ${actor.name}`)
    const named = await actor.call('GET', `${operation.path}/organizations-named?name=thailand`)
    t.equal(codeOf(named), '403 FORBIDDEN', `organizations by name for ${actor.name}`)
    t.equal(codeOf(await actor.call('GET', '/v1/organizations')), '403 ADMINISTRATOR_ONLY')
    if (actor.organization !== organizations.kenya)
      t.equal(codeOf(await actor.call('GET', `/v1/organizations/${organizations.kenya}/people`)), '404 NOT_FOUND')
  }
  t.equal(
    codeOf(await byRole.ncp.call('GET', `${operation.path}/candidates?organization=${organizations.thailand}`)),
    '404 NOT_FOUND',
    'an NCP looks for people of its own organization',
  )
})

// Bites: `authorize` in each service, `authorizeIn` in each act.
t.test('A14: whoever only reads writes nothing', async (t) => {
  for (const role of ['observer', 'auditor'] as const) {
    const actor = byRole[role]
    const { statement, grants } = await operation.epoch(actor, shared)
    const attempts: Record<string, Answer> = {
      post: await operation.post(actor, { compartment: shared }),
      reply: await operation.post(actor, {
        compartment: shared,
        thread: messages.textThread,
        refersTo: { message: messages.text, as: 'reply' },
      }),
      epoch: await actor.call('POST', `${operation.path}/epochs`, { statement, grants }),
      compartment: await operation.createCompartment(actor, []),
      admit: await operation.admit(await scene.candidate(organizations.kenya), 'officer', actor),
      role: await operation.changeRole(byRole.officer.person, 'ncp', actor),
      remove: await operation.remove(byRole.officer.person, actor),
      rename: await actor.call('PATCH', operation.path, { name: 'Mine' }),
      advance: await operation.advance('reporting', actor),
      rules: await operation.setRules({ history: 'full', allHolds: [] }, actor),
      organization: await operation.admitOrganization(abroad, actor),
      import: await actor.call('POST', `${operation.path}/imports/known`, { ids: [freshId()] }),
    }
    for (const [what, answer] of Object.entries(attempts)) t.equal(codeOf(answer), '403 FORBIDDEN', `${role}: ${what}`)
  }
})

// Bites: `judgeReach`, `rolesGrantableBy` and “nobody …themselves” in judge.ts; `mayHold`;
// `mayCertify`; `meant` in requireRight.
t.test('A15, A17: nobody rises above their role, or adds whom they may not', async (t) => {
  const { ncp, officer, coordinator, analyst } = byRole
  for (const [role, actor] of Object.entries(byRole))
    for (const wanted of ['coordinator', 'ncp', 'auditor'] as const)
      t.match(
        codeOf(await operation.changeRole(actor.person, wanted, actor)),
        /^(403|400|409) /,
        `${role} makes itself ${wanted}`,
      )
  for (const wanted of ['coordinator', 'analyst', 'partner', 'observer', 'auditor', 'right-holder'] as const) {
    t.equal(
      codeOf(await operation.changeRole(officer.person, wanted, ncp)),
      '403 FORBIDDEN',
      `an NCP makes nobody ${wanted}`,
    )
    const candidate = await scene.candidate(organizations.kenya)
    t.equal(codeOf(await operation.admit(candidate, wanted, ncp)), '403 FORBIDDEN', `nor admits anybody as ${wanted}`)
  }
  const bounded: [string, Role][] = [
    [byRole.partner.organization, 'officer'],
    [byRole['right-holder'].organization, 'observer'],
    [organizations.kenya, 'analyst'],
  ]
  for (const [organization, wanted] of bounded)
    t.equal(
      codeOf(await operation.admit(await scene.candidate(organization), wanted)),
      '409 MEMBER_RULE',
      `${wanted} there`,
    )
  for (const by of [officer, analyst, byRole.partner])
    t.equal(
      codeOf(await operation.admit(await scene.candidate(by.organization), 'officer', by)),
      '403 FORBIDDEN',
      by.name,
    )
  const strange = { ...(await scene.candidate(organizations.thailand)), organization: organizations.kenya }
  t.equal(
    codeOf(await operation.admit(strange, 'officer', ncp)),
    '404 NOT_FOUND',
    'somebody passed off as of one’s own',
  )
  t.equal(
    codeOf(await operation.addTo(other, officer.person, coordinator)),
    '404 NOT_FOUND',
    'a compartment one is not in',
  )
  t.equal(
    codeOf(await operation.addTo(shared, outsider.person, coordinator)),
    '409 MEMBER_RULE',
    'somebody who is no member',
  )
  t.equal(codeOf(await operation.addTo(shared, byRole.auditor.person, coordinator)), '409 MEMBER_RULE', 'an auditor')
  t.equal(codeOf(await operation.addTo(operation.id, byRole.auditor.person, coordinator)), '409 MEMBER_RULE', 'all')
  t.equal(codeOf(await operation.admit(outsider, 'officer', outsider)), '404 NOT_FOUND', 'an outsider admits itself')

  const inviting = (by: WireActor, tier: protocol.Tier, organization: string, person?: string) =>
    invite(by, { name: 'X', organization, tier, ...(person === undefined ? {} : { person }) }).then(
      () => 'invited',
      (error: Error) => / (4\d\d) /.exec(error.message)?.[1] ?? error.message,
    )
  t.equal(await inviting(ncp, 'administrator', organizations.kenya), '403')
  t.equal(await inviting(ncp, 'person', organizations.thailand), '403')
  t.equal(await inviting(administrator, 'person', organizations.kenya), '403', 'an administrator invites NCPs')
  t.equal(
    await inviting(ncp, 'person', organizations.kenya, outsider.person),
    '404',
    'somebody of another organization',
  )

  const invited = await invite(ncp, { name: 'A person', organization: organizations.kenya })
  await enrolInvited(invited)
  for (const change of [
    { tier: 'ncp' as const },
    { actor: Object.assign(Object.create(invited.actor), { organization: organizations.thailand }) as WireActor },
  ])
    t.match(
      await certify(ncp, { ...invited, ...change }).catch((error: Error) => error.message),
      /CERTIFICATE_INVALID|NOT_FOUND/,
    )
  t.match(
    await certify(outsider, invited).catch((error: Error) => error.message),
    /CERTIFICATE_INVALID/,
    'by another NCP',
  )
  const selfMade = await protocol.issueCertificate(invited.actor.device, {
    keys: invited.actor.device.keys,
    person: invited.actor.person,
    organization: organizations.kenya,
    tier: 'ncp',
    issuedAt: now(),
    expiresAt: inDays(1),
  })
  await invited.actor.signIn()
  t.equal(
    codeOf(await invited.actor.call('POST', '/v1/certificates', { certificate: selfMade })),
    '403 DEVICE_NOT_CERTIFIED',
  )
  t.equal(
    codeOf(await invited.actor.call('GET', operation.path)),
    '403 DEVICE_NOT_CERTIFIED',
    'until certified it sees nothing',
  )
})

// Bites: `guardRoutes` (no access), `named` in src/operations/access.ts.
t.test('A19: a route that names a permission that does not exist keeps the service from starting', async (t) => {
  const find = "access: may.to('report.view'), refusals"
  const faults = { [find.replace('view', 'veiw')]: 'RangeError', refusals: 'RouteFault' }
  for (const [replace, name] of Object.entries(faults)) {
    const create = await patchedServer(t, [{ file: 'reports/routes.ts', find, replace }])
    await t.rejects(startServer(t, { create }), { name }, replace)
  }
})

// Bites: the response schemas of the routes.
t.test('A20: answers carry no fields beside those that were asked for', async (t) => {
  const names =
    /hash|secret|passphrase|credential|recognition|mfa|totp|salt|^mac$|^jwe$|email|(registered|used|revoked|ended)_?at/i
  for (const path of [
    '/v1/server',
    '/v1/me',
    '/v1/sessions',
    '/v1/devices',
    '/v1/invitations',
    '/v1/operations',
    `/v1/organizations/${organizations.kenya}/people`,
    ...['', '/members', '/organizations', '/compartments', '/threads', '/figures', '/grants', '/grant-requests'].map(
      (rest) => operation.path + rest,
    ),
    `${operation.path}/candidates?organization=${organizations.kenya}`,
  ]) {
    const answer = await byRole.ncp.call('GET', path)
    t.ok(answer.status < 400, path, { answer: answer.text })
    t.same(
      namesIn(answer.body).filter((name) => names.test(name)),
      [],
      `${path} names nothing of this kind`,
    )
    if (path !== '/v1/sessions') t.notOk(answer.text.includes(byRole.ncp.session), `${path} tells no session`)
  }
})

// Bites: `#remove` of OperationView (devices of somebody who left).
t.test('a device revoked while its person was away is no recipient when they come back', async (t) => {
  const { ncp } = byRole
  const person = await newcomer(ncp, { name: 'Comes back', organization: organizations.kenya })
  const lost = await newcomer(person, { name: 'Comes back', organization: organizations.kenya, person: person.person })
  went(await operation.admit(person, 'officer', ncp))
  t.ok((await operation.view()).recipients(operation.id as never).includes(lost.device.id))
  went(await operation.remove(person.person, ncp))
  const revocation = await protocol.signRevocation(person.device, lost.device.id, now())
  went(await person.call('POST', '/v1/revocations', { revocation }))
  went(await operation.admit(person, 'officer', ncp))
  const recipients = (await operation.view()).recipients(operation.id as never)
  t.ok(recipients.includes(person.device.id))
  t.notOk(recipients.includes(lost.device.id))
})

// Bites: `noteRefusals` in server.ts, `hub.refused` in the live channel.
t.test('refusals are entered in the directory log, and what was refused stored nothing', async (t) => {
  await server.refusals.flush()
  const report = await checkLog(server)
  t.ok(report.entries > 0)
  const live = await outsider.live()
  live.send({ type: 'post', ...(await operation.compose(outsider, { fields: sampleFields.text })).input })
  const refused = await live.first((frame: Frame) => frame.type === 'refused')
  t.equal(refused.problem.code, 'NOT_FOUND')
  live.close()
  await server.refusals.flush()
  const kinds = await refusalsOf(outsider)
  t.ok(
    kinds.some((details) => details.includes('NOT_FOUND')),
    'with what was refused',
  )
  t.ok(
    kinds.some((details) => details.includes('live')),
    'and over which door',
  )
})

async function refusalsOf(actor: WireActor): Promise<string[]> {
  return admin(server.database.superUrl, async (client) => {
    const { rows } = await client.query<{ details: string }>(
      `SELECT p.details FROM log_entry e JOIN log_private p USING (log_id, index)
       WHERE e.kind = 'access.refused' AND e.person_id = $1`,
      [actor.person],
    )
    return rows.map(({ details }) => details)
  })
}

function namesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, inner]) => [...(Array.isArray(value) ? [] : [name]), ...namesIn(inner)])
}
