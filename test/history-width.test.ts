// What this holds: under the rule `from-joining` nobody gets anything of before they came into a
// compartment, whatever brought them there and by whichever door they ask; no delivery is recorded
// of what was not posted yet; and whoever looks at one other person in a log says why, by whichever
// filter they do.
import t, { type Test } from 'tap'
import {
  OperationView,
  type CompartmentId,
  type MemberAct,
  type OperationId,
  type PersonId,
  type ReadStatement,
  type ViewEntry,
} from '../src/protocol/index.ts'
import { opened, partyOf, takeIn } from './support/actors.ts'
import { checkLog } from './support/check-log.ts'
import { startServer } from './support/server.ts'
import { usualOperation } from './support/usual-operation.ts'
import { createOperation, went, type WireOperation } from './support/wire-operation.ts'
import { codeOf, freshId, heardWhoRead, newcomer, now, setUp, type LiveWire, type WireActor } from './support/wire.ts'

type Act = Readonly<Record<string, unknown>> & { readonly act: MemberAct['act'] }

/**
 * A log that is only folded: statements without signatures, which `verifyEntry` would look at and
 * the view does not.
 */
class PaperView {
  readonly view: OperationView
  readonly coordinator = freshId<PersonId>()
  readonly organization = freshId()
  #made = 0

  constructor(history: 'full' | 'from-joining') {
    this.view = new OperationView(freshId<OperationId>())
    const coordinators = [{ person: this.coordinator, organization: this.organization }]
    const act = { act: 'create-operation', history, allHolds: [], coordinators } as const
    const created = this.#entry('operation.created', this.view.operation, act)
    this.#apply(created)
    this.#apply({ ...created, kind: 'member.admitted', subject: this.coordinator })
  }

  get all(): CompartmentId {
    return this.view.all
  }

  get stale(): boolean {
    return this.view.compartments.get(this.all)?.stale ?? false
  }

  #entry(kind: string, subject: string, said: Act, v = 1): ViewEntry {
    const compartment = said['compartment'] as CompartmentId | undefined
    const previous = compartment === undefined ? this.view.head : this.view.compartments.get(compartment)?.head
    const hash = `statement ${String(++this.#made)}`
    const act = {
      v,
      operation: this.view.operation,
      previous: previous ?? null,
      at: now(),
      ...said,
    } as unknown as MemberAct
    const statement = {
      type: 'member',
      value: { jws: '', hash, signer: '' as never, crt: '', act },
    } as unknown as ReadStatement
    const where = compartment === undefined ? {} : { compartment }
    return { index: 0, kind, subject, digest: hash, statement, ...where }
  }

  #apply(entry: ViewEntry): number {
    const index = this.view.position + 1
    this.view.apply({ ...entry, index })
    return index
  }

  act(kind: string, subject: string, act: Act, v = 1): number {
    return this.#apply(this.#entry(kind, subject, act, v))
  }

  admit(role: string, person = freshId<PersonId>()): PersonId {
    this.act('member.admitted', person, { act: 'admit', person, organization: this.organization, role })
    return person
  }

  changeRole(person: PersonId, role: string, v = 2): number {
    return this.act('member.role-changed', person, { act: 'change-role', person, role }, v)
  }

  setRules(history: string, allHolds: string[], v = 2): number {
    return this.act('operation.rules-set', this.view.operation, { act: 'set-operation', history, allHolds }, v)
  }

  remove(person: PersonId): number {
    return this.act('member.removed', person, { act: 'remove', person })
  }

  openEpoch(compartment = this.all): number {
    const number = (this.view.currentEpoch(compartment)?.number ?? 0) + 1
    const hash = `epoch ${String(++this.#made)}`
    const payload = { operation: this.view.operation, compartment, epoch: number, commitment: '', recipients: [] }
    const statement = { type: 'epoch', value: { payload, signer: '', hash } } as unknown as ReadStatement
    return this.#apply({ index: 0, kind: 'epoch.opened', subject: '', compartment, digest: hash, statement })
  }

  since(person: PersonId, compartment = this.all): number | undefined {
    return this.view.joinedCompartmentAt(person, compartment)
  }
}

// Bites: `noteSince` (with the index of the admission instead) and `bringsNewcomers` (with
// admissions and compartments alone).
t.test('INV-165: who comes into a compartment is there since that entry, and its epoch is stale from then on', (t) => {
  const by: Record<string, (paper: PaperView) => { person: PersonId; came: number }> = {
    'a change of role': (paper) => {
      const person = paper.admit('partner')
      paper.openEpoch()
      return { person, came: paper.changeRole(person, 'officer') }
    },
    'rules that name the role': (paper) => {
      const person = paper.admit('observer')
      paper.openEpoch()
      return { person, came: paper.setRules('from-joining', ['observer']) }
    },
    'rules that name it again': (paper) => {
      const person = paper.admit('observer')
      paper.setRules('from-joining', ['observer'])
      paper.setRules('from-joining', [])
      paper.openEpoch()
      return { person, came: paper.setRules('from-joining', ['observer']) }
    },
    'a role that it had before': (paper) => {
      const person = paper.admit('officer')
      paper.changeRole(person, 'observer')
      paper.openEpoch()
      return { person, came: paper.changeRole(person, 'analyst') }
    },
    'a second admission': (paper) => {
      const person = paper.admit('officer')
      paper.remove(person)
      paper.openEpoch()
      paper.admit('officer', person)
      return { person, came: paper.view.position }
    },
    'rules that narrow the history, after an admission under the wide ones': (paper) => {
      paper.setRules('full', [])
      paper.openEpoch()
      const person = paper.admit('officer')
      const came = paper.view.position
      t.notOk(paper.stale, 'under the wide rule it may have the key')
      paper.setRules('from-joining', [])
      return { person, came }
    },
  }
  for (const [what, bring] of Object.entries(by)) {
    const paper = new PaperView('from-joining')
    const { person, came } = bring(paper)
    t.equal(paper.since(person), came, what)
    t.ok(paper.stale, `${what}: the key of before is not theirs`)
    const opened = paper.openEpoch()
    t.ok(!paper.stale && opened > came)
    paper.changeRole(person, 'ncp')
    t.equal(paper.since(person), came, `${what}: within the compartment nothing begins anew`)
    t.notOk(paper.stale)
    paper.changeRole(person, 'auditor')
    t.equal(paper.since(person), undefined, 'an auditor is in no compartment')
  }
  t.end()
})

t.test('INV-165: an auditor who reads again begins anew in the compartments that kept its name', (t) => {
  const paper = new PaperView('from-joining')
  const person = paper.admit('officer')
  const compartment = freshId<CompartmentId>()
  const act = { act: 'create-compartment', compartment, members: [person] } as const
  const created = paper.act('compartment.created', compartment, act)
  t.equal(paper.since(person, compartment), created)
  paper.changeRole(person, 'auditor')
  paper.openEpoch(compartment)
  const back = paper.changeRole(person, 'officer')
  t.equal(paper.since(person, compartment), back)
  t.ok(paper.view.compartments.get(compartment)?.stale)
  t.end()
})

t.test('INV-166: a statement of version 1 means what it meant: logs of before fold as they did', (t) => {
  for (const bring of ['role', 'rules', 'history'] as const) {
    const paper = new PaperView(bring === 'history' ? 'full' : 'from-joining')
    if (bring === 'history') paper.openEpoch()
    const person = paper.admit(bring === 'history' ? 'officer' : 'partner')
    const admitted = paper.view.position
    if (bring !== 'history') paper.openEpoch()
    if (bring === 'role') paper.changeRole(person, 'officer', 1)
    if (bring === 'rules') paper.setRules('from-joining', ['partner'], 1)
    if (bring === 'history') paper.setRules('from-joining', [], 1)
    t.equal(paper.since(person), admitted, `${bring}: since the admission`)
    t.notOk(paper.stale, `${bring}: the epoch stays`)
    paper.admit('observer')
    t.notOk(paper.stale, `${bring}: nor does an entry about somebody else make it stale`)
  }
  t.end()
})

const server = await startServer(t)
const { administrator } = await setUp(server)
const registered = async (kind: string, country?: string) => {
  const id = freshId()
  const input = { id, kind, name: `${kind} ${id.slice(-6)}`, ...(country === undefined ? {} : { country }) }
  await administrator.must('POST', '/v1/organizations', input)
  return id
}
const rilo = await registered('rilo')
const kenya = await registered('administration', 'KE')
const person = (name: string, organization: string) => newcomer(administrator, { name, organization, tier: 'ncp' })
const coordinator = await person('Coordinator', rilo)
const ncp = await person('NCP of Kenya', kenya)
const late = await person('Another of Kenya', kenya)
const auditor = await person('Auditor', rilo)

async function operationWith(history: 'full' | 'from-joining'): Promise<WireOperation> {
  const operation = await createOperation(t, administrator, coordinator, { history })
  went(await operation.admitOrganization(kenya))
  went(await operation.admit(ncp, 'ncp'))
  went(await operation.admit(auditor, 'auditor'))
  for (const state of ['rehearsal', 'active'] as const) went(await operation.advance(state))
  went(await operation.openEpoch(coordinator))
  return operation
}

const about = (live: LiveWire, id: string) =>
  live.frames.some(({ type, leaf }) => type === 'entry' && leaf.includes(id))
const grantsIn = (live: LiveWire) =>
  live.frames.flatMap(({ type, grant, grants = [] }) => (type === 'entry' && grant ? [grant] : grants))

async function nothingOfBefore(t: Test, operation: WireOperation, who: WireActor, old: string): Promise<void> {
  t.equal(codeOf(await who.call('GET', `${operation.path}/messages/${old}`)), '404 NOT_FOUND', 'not fetched')
  const key = operation.keys.get(`${operation.id}#1`)
  if (!key) throw new Error('no key')
  const grant = await operation.seal(await operation.view(), who.device.id, operation.id, 1, key)
  const given = { compartment: operation.id, grants: [{ device: who.device.id, epoch: 1, grant }] }
  t.equal(codeOf(await coordinator.call('POST', `${operation.path}/grants`, given)), '409 GRANT_REFUSED', 'not granted')
  const live = await who.live()
  await live.follow(operation.id)
  t.notOk(about(live, old), 'not sent')
  const { threads } = await who.must('GET', `${operation.path}/threads`)
  t.notMatch(JSON.stringify(threads), old, 'in no thread')
  const { grants } = await who.must('GET', `${operation.path}/grants`)
  t.notOk(
    (grants as { epoch: number }[]).some(({ epoch }) => epoch === 1),
    'its key is not shown',
  )
  live.close()
}

for (const [how, bring, from] of [
  ['a change of role', (operation) => operation.changeRole(late.person, 'officer'), 'observer'],
  ['rules', (operation) => operation.setRules({ history: 'from-joining', allHolds: ['observer'] }), 'observer'],
] as readonly [string, (operation: WireOperation) => ReturnType<WireOperation['changeRole']>, 'observer'][]) {
  // Bites: `noteSince` and `bringsNewcomers` in protocol/since.ts, each where it is used by the
  // service.
  t.test(`INV-165: the service gives nothing of before to whom ${how} brought into all`, async (t) => {
    const operation = await operationWith('from-joining')
    went(await operation.admit(late, from))
    t.notOk(await operation.isStale(), 'an observer is not in all, and joins nothing')
    const old = went(await operation.post(coordinator))
    went(await bring(operation))
    t.equal(codeOf(await operation.post(coordinator)), '409 EPOCH_STALE')
    await nothingOfBefore(t, operation, late, old.id)
    went(await operation.openEpoch(coordinator))
    const later = went(await operation.post(coordinator))
    const live = await late.live()
    await live.follow(operation.id)
    t.ok(about(live, later.id), 'what is said afterwards is sent')
    t.equal(grantsIn(live).length, 1, 'with its key')
    live.close()
  })
}

t.test('INV-165: who left and came back gets no key again that it was once given', async (t) => {
  const operation = await operationWith('full')
  went(await operation.admit(late, 'officer'))
  const key = operation.keys.get(`${operation.id}#1`)
  if (!key) throw new Error('no key')
  const grant = await operation.seal(await operation.view(), late.device.id, operation.id, 1, key)
  const given = { compartment: operation.id, grants: [{ device: late.device.id, epoch: 1, grant }] }
  went(await coordinator.call('POST', `${operation.path}/grants`, given))
  went(await operation.remove(ncp.person))
  went(await operation.openEpoch(coordinator))
  went(await operation.remove(late.person))
  went(await operation.setRules({ history: 'from-joining', allHolds: [] }))
  went(await operation.admit(late, 'officer'))
  const live = await late.live()
  await live.follow(operation.id)
  t.same(grantsIn(live), [], 'neither the one that was given to it nor the one of an epoch that it was there for')
  t.same((await late.must('GET', `${operation.path}/grants`)).grants, [])
  live.close()
})

t.test('INV-166: the service takes no new statement of version 1 where there is a version 2', async (t) => {
  const operation = await operationWith('from-joining')
  const { head } = await operation.view()
  const common = { v: 1, operation: operation.id, previous: head ?? null, at: now() } as const
  went(await operation.admit(late, 'observer'))
  const previous = (await operation.view()).head ?? null
  const role = await coordinator.signAct({
    ...common,
    previous,
    act: 'change-role',
    person: late.person,
    role: 'officer',
  })
  const rules = await coordinator.signAct({ ...common, previous, act: 'set-operation', history: 'full', allHolds: [] })
  const by = (path: string, statement: string) => coordinator.call('POST', `${operation.path}${path}`, { statement })
  t.equal(codeOf(await by(`/members/${late.person}/role`, role)), '400 STATEMENT_INVALID')
  t.equal(codeOf(await by('/rules', rules)), '400 STATEMENT_INVALID')
})

// Bites: `mayReadFrom` in #pushReads of Follower, and in `receipts` of Messages.
t.test(
  'INV-167: receipts keep the rule of history: over the socket, by request, and about whom they are',
  async (t) => {
    const operation = await operationWith('from-joining')
    const old = went(await operation.post(ncp))
    went(await operation.admit(late, 'ncp'))
    went(await operation.openEpoch(coordinator))
    const later = went(await operation.post(ncp))
    const [live, sender, reader] = await Promise.all([late.live(), ncp.live(), coordinator.live()])
    for (const one of [live, sender, reader]) await one.follow(operation.id)
    const { index } = (await live.first(({ type }) => type === 'caught-up')) as { index: number }
    live.send({ type: 'acknowledge', operation: operation.id, upTo: index })
    reader.send({ type: 'acknowledge', operation: operation.id, messages: [old.id, later.id] })
    live.send({ type: 'acknowledge', operation: operation.id, messages: [old.id, later.id] })
    for (const one of [live, reader]) {
      one.send({ type: 'ping' })
      await one.first(({ type }) => type === 'pong')
    }
    const messagesIn = ({ receipts }: { receipts: { message: string }[] }) =>
      new Set(receipts.map(({ message }) => message))
    t.same(
      messagesIn(await heardWhoRead(server, sender)),
      new Set([old.id, later.id]),
      'its sender’s organization hears of both',
    )
    t.same(messagesIn(await heardWhoRead(server, live)), new Set([later.id]), 'who came later hears of what came later')
    const receiptsOf = (who: WireActor, message: string) =>
      who.call('GET', `${operation.path}/messages/${message}/receipts`)
    t.equal(codeOf(await receiptsOf(late, old.id)), '404 NOT_FOUND')
    const whom = async (message: string) =>
      (await receiptsOf(ncp, message)).body.receipts.map(({ person: by }: { person: string }) => by) as string[]
    t.notOk((await whom(old.id)).includes(late.person), 'nor is it said to have what it was never sent')
    t.ok((await whom(later.id)).includes(late.person))
    for (const one of [live, sender, reader]) one.close()
  },
)

// Bites: `Math.min(after, index)` in #subscribe of Connection.
t.test(
  'INV-168: nothing is delivered before it was posted, however far somebody says that they have everything',
  async (t) => {
    const operation = await operationWith('full')
    went(await operation.admit(late, 'ncp'))
    const live = await late.live()
    const far = Number.MAX_SAFE_INTEGER
    for (const after of [far, far - 1, 100_000]) {
      await live.follow(operation.id, after)
      live.send({ type: 'acknowledge', operation: operation.id, upTo: far })
      live.send({ type: 'ping' })
      await live.first(({ type }) => type === 'pong', 5_000, live.frames.length - 1)
      await server.consultation.flush()
    }
    live.close()
    const posted = went(await operation.post(ncp))
    const answer = await ncp.must('GET', `${operation.path}/messages/${posted.id}/receipts`)
    t.same(answer.receipts, [], 'nobody has what was posted since')
    const { entries } = await auditor.must(
      'GET',
      `/v1/logs/${operation.id}/entries?kind=feed.opened,messages.delivered`,
    )
    for (const { leaf, details } of entries as { leaf: string; details: string }[]) {
      const { index } = JSON.parse(leaf) as { index: number }
      const { from = 0, acknowledged = [] } = JSON.parse(details) as {
        from?: number
        acknowledged?: { upTo: number }[]
      }
      t.ok(from <= index, `a feed was opened at ${String(from)} of ${String(index)}`)
      for (const { upTo } of acknowledged) t.ok(upTo < index, `up to ${String(upTo)}`)
    }
  },
)

// Bites: the last two conditions of `requireJustification`, and `aboutMessage`.
t.test('INV-169: whoever looks at one other person says why, by whichever filter', async (t) => {
  const operation = await operationWith('full')
  const posted = went(await operation.post(ncp))
  const from = '2026-01-01T00:00:00.000Z'
  const look = (filters: Record<string, string>, who = auditor) =>
    who.call('GET', `/v1/logs/${operation.id}/entries?${new URLSearchParams(filters).toString()}`)
  const doors: Record<string, string>[] = [
    { person: ncp.person },
    { device: ncp.device.id },
    { subject: ncp.person },
    { subject: ncp.device.id },
    { subject: ncp.session },
    { subject: ncp.person, kind: 'member.*' },
    { text: ncp.person, from },
    { text: 'Kenya', person: ncp.person },
  ]
  for (const filters of doors) {
    t.equal(codeOf(await look(filters)), '400 JUSTIFICATION_REQUIRED', JSON.stringify(filters))
    t.equal((await look({ ...filters, justification: 'complaint 17' })).status, 200)
  }
  for (const who of [coordinator, ncp]) {
    const other = who === ncp ? coordinator : ncp
    t.equal(codeOf(await look({ subject: other.person }, who)), '400 JUSTIFICATION_REQUIRED', who.name)
    for (const own of [who.person, who.device.id, who.session])
      t.equal((await look({ subject: own }, who)).status, 200, 'of oneself nobody says why')
  }
  t.match((await look({ message: ncp.person })).body, { entries: [] }, 'as the id of a message it finds nothing')
  t.ok((await look({ message: posted.id })).body.entries.length > 0, 'and of a message nobody says why')
  t.equal((await look({ subject: 'figures' })).status, 200, 'nor of what is nobody')
})

t.test('INV-165: a client brought in by its role reads from there on, is not alarmed, and posts', async (t) => {
  const scene = await usualOperation(t, {}, { history: 'from-joining' })
  const { administrator: office, coordinator: leading, operation } = scene
  const peru = await partyOf(t, office, { kind: 'administration', name: 'Customs of Peru', country: 'PE' })
  await takeIn(leading, operation, peru, 'observer')
  const writing = await leading.follow(operation)
  const text = (words: string) => ({ form: 'text', fields: { text: words } }) as const
  const before = await writing.post(text('Not for observers.'))
  const reading = await peru.client.follow(operation)
  await reading.ready()
  await leading.operations.changeRole(operation, peru.client.person, 'ncp')
  const after = await writing.post(text('For the new contact point.'))
  t.equal((await opened(peru.client, operation, after.message)).epoch, 2)
  t.notOk(reading.message(before.message))
  const answer = await reading.post(text('Thank you.'))
  t.equal((await opened(leading, operation, answer.message)).epoch, 2)
  t.same([...reading.alarms, ...writing.alarms], [])
  await checkLog(scene.server)
})
