import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isProblem, type Cordon, type OperationSession } from '../src/client/index.ts'
import { FileStore } from '../src/client/node/index.ts'
import { openLogKey } from '../src/log/index.ts'
import type { WitnessPolicy } from '../src/protocol/index.ts'
import { Altered, kindOf, withLeaf } from './support/altered.ts'
import { administratorOf, partyOf, takeIn, type Party } from './support/actors.ts'
import { Desk, freePort, passphrases } from './support/command.ts'
import { copyOfDatabase, testDatabase, type TestDatabase } from './support/database.ts'
import { freshId } from './support/wire.ts'
import { logHost } from './support/check-log.ts'
import { startServer, temporaryDirectory, type TestServer } from './support/server.ts'
import { policyOf, policyText, startWitness, type TestWitness } from './support/witness.ts'

type Owner = Parameters<typeof startServer>[0]

const text = (words: string) => ({ form: 'text', fields: { text: words } })
const logLimits = { publishEveryMs: 50, sendEveryMs: 50, retryAfterMs: 50, retryAtMostMs: 200, answerWithinMs: 2_000 }
/** Minutes: four seconds, by the clock of the device that pins. */
const lag = 4 / 60

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

async function witnessesOf(owner: Owner, directory: string) {
  const key = openLogKey(join(directory, 'log.key'), false)
  const witnesses = await Promise.all(
    ['one', 'two', 'three'].map((name) => startWitness(owner, { host: logHost, key, name: `${name}.example` })),
  )
  return { witnesses, policy: await policyOf(witnesses, 2), text: policyText(witnesses, 2) }
}

async function peopleOn(owner: Owner, server: TestServer) {
  const administrator = await administratorOf(owner, server)
  const altered = new Altered()
  let ahead = 0
  const unit = await partyOf(owner, administrator, { kind: 'rilo', name: 'Coordination unit' })
  const kenya = await partyOf(owner, administrator, {
    kind: 'administration',
    name: 'Customs of Kenya',
    country: 'KE',
    platform: { ...altered.platform, clock: () => new Date(Date.now() + ahead) },
  })
  /**
   * Longer than the lag passes for the device that pins; then its clock is right again, since the
   * service believes no proof of the future.
   */
  const letPass = () => {
    ahead = lag * 60_000 + 100
    return { andSetRight: () => (ahead = 0) }
  }
  const operation = await administrator.operations.create({
    name: 'Operation Test',
    reference: 'T-1',
    timeZone: 'Europe/Brussels',
    coordinators: [{ person: unit.client.person, organization: unit.organization }],
  })
  const coordinator = unit.client
  await coordinator.follow(operation)
  await coordinator.operations.advance(operation, 'rehearsal')
  await coordinator.operations.advance(operation, 'active')
  await takeIn(coordinator, operation, kenya, 'ncp')
  return { administrator, coordinator, kenya: (kenya satisfies Party).client, altered, letPass, operation }
}

/** Waits until this device knows a final checkpoint of so many entries. */
async function cosigned(session: OperationSession, size: number): Promise<void> {
  for (const end = performance.now() + 20_000; (session.final?.size ?? 0) < size; await pause(50)) {
    if (performance.now() > end) throw new Error(`waited in vain for ${String(size)} cosigned entries`)
    // What it waits for may be overdue already.
    const said = await code(session.ready())
    if (!['accepted', 'WITNESSES_MISSING'].includes(said)) throw new Error(said)
  }
}

const askedFinal = ({ path }: { path: string }) => path.endsWith('/final-checkpoint')

async function postOf(client: Cordon, operation: string, words: string): Promise<string> {
  return code((await client.follow(operation)).post(text(words), 20_000))
}

t.test('INV-54: with a pinned policy nothing is sealed that its witnesses do not vouch for', async (t) => {
  const directory = temporaryDirectory(t)
  const { witnesses, policy, text: policyFile } = await witnessesOf(t, directory)
  const server = await startServer(t, { directory, witnesses: policy, logLimits })
  const { kenya, coordinator, altered, letPass, operation } = await peopleOn(t, server)
  t.equal(await postOf(kenya, operation, 'Nothing is pinned.'), 'accepted')
  await t.rejects(kenya.pinWitnesses({ policy: 'quorum nobody', lag }), { code: 'POLICY' })
  await kenya.pinWitnesses({ policy: policyFile, lag })
  t.match(await kenya.pinnedWitnesses(), { lag })
  const session = await kenya.follow(operation)
  await cosigned(session, session.position + 1)
  t.equal(await postOf(kenya, operation, 'Pinned.'), 'accepted')
  await cosigned(session, session.position + 1)
  const check = await kenya.checkOwnPlace(operation)
  t.same(check.discrepancies, [])
  t.ok((check.cosigned ?? 0) > 0)

  // The service hides that the witnesses went on: an old final checkpoint, none, one without enough
  // lines, one of another log.
  const leading = await coordinator.follow(operation)
  const old = await server.logs.finalCheckpoint(operation)
  const lines = old.split('\n')
  const few = [...lines.slice(0, 6), lines.find((line) => line.startsWith('\u2014 one.example')) ?? '', ''].join('\n')
  const other = await server.logs.finalCheckpoint(server.logs.directory)
  const none = { code: 'NOT_WITNESSED', status: 409, advice: '' }
  for (const [name, answer] of [
    ['an old one', { status: 200, json: {}, text: old }],
    ['none', { status: 409, json: none }],
    ['too few cosignatures', { status: 200, json: {}, text: few }],
    ['that of another log', { status: 200, json: {}, text: other }],
    ['something else', { status: 200, json: {}, text: 'x\n' }],
  ] as const) {
    altered.instead = (request) => (askedFinal(request) ? answer : undefined)
    const more = await leading.post(text(`More, ${name}.`))
    t.ok(await session.reached(more.index), 'who pinned nothing goes on')
    const { position } = session
    t.equal(await code(session.ready()), 'accepted', `${name}: within the lag`)
    const passed = letPass()
    t.equal(await code(session.post(text('Sealed?'))), 'WITNESSES_MISSING', name)
    t.equal(await code(session.openEpoch().then(() => session.ready())), 'WITNESSES_MISSING', name)
    t.ok(session.position >= position)
    altered.reset()
    passed.andSetRight()
    await cosigned(session, session.position + 1)
    t.equal(await code(session.ready()), 'accepted', 'shown again, it goes on')
  }
  t.same(session.alarms, [])

  // Two of three are away: no quorum.
  await Promise.all(witnesses.slice(1).map((witness) => witness.close()))
  const { index } = await session.post(text('They have just left.'))
  t.ok(await session.reached(index))
  letPass()
  t.equal(await postOf(kenya, operation, 'Nobody looks.'), 'WITNESSES_MISSING')
  t.equal(await postOf(coordinator, operation, 'The service goes on.'), 'accepted')
  const [, two] = witnesses as [TestWitness, TestWitness, TestWitness]
  const port = Number(new URL(two.url).port)
  const key = openLogKey(join(directory, 'log.key'), true)
  await startWitness(t, { host: logHost, key, name: 'two.example', directory: two.directory, port })
  for (let i = 0; i < 200 && (await code(session.ready())) !== 'accepted'; i++) await pause(50)
  t.equal(await postOf(kenya, operation, 'Two look again.'), 'accepted')
})

t.test('INV-54: a device that is shown a fork is told by the witnesses', async (t) => {
  const directory = temporaryDirectory(t)
  const { policy, text: policyFile } = await witnessesOf(t, directory)
  const database = await testDatabase(t)
  const port = await freePort()
  const serve = (on: TestDatabase, keys: string, witnesses?: WitnessPolicy) =>
    startServer(t, { database: on, directory: keys, port, logLimits, ...(witnesses ? { witnesses } : {}) })

  const first = await serve(database, directory, policy)
  const { kenya, coordinator, altered, letPass, operation } = await peopleOn(t, first)
  await kenya.pinWitnesses({ policy: policyFile, lag })
  const session = await kenya.follow(operation)
  const before = await session.post(text('Before the fork.'))
  await session.reached(before.index)
  await cosigned(session, session.position + 1)
  await kenya.close()
  await first.close()

  // The operator keeps a copy, and lets the log go on without Kenya.
  const copy = await copyOfDatabase(t, database)
  const forked = temporaryDirectory(t)
  for (const name of ['log.key', 'token.key']) cpSync(join(directory, name), join(forked, name))
  const truth = await serve(database, directory, policy)
  const { index } = await (await coordinator.follow(operation)).post(text('What Kenya must not see.'))
  let final = ''
  for (let i = 0; i < 200 && !(Number(final.split('\n')[1]) > index); i++) {
    final = await truth.logs.finalCheckpoint(operation)
    await pause(50)
  }
  await coordinator.close()
  await truth.close()

  // Kenya is served from the copy, signed with the same keys.
  const lie = await serve(copy, forked)
  const again = await kenya.follow(operation)
  await again.ready()
  t.same(again.alarms, [], 'so far it is the same log')
  // As long as the true log, or longer.
  let at = 0
  while (at < Number(final.split('\n')[1])) at = (await again.post(text('On the fork.'), 20_000)).index
  t.ok(await again.reached(at))
  letPass()
  t.equal(await postOf(kenya, operation, 'On the fork, later.'), 'WITNESSES_MISSING', 'the witnesses never saw this')

  // Nor can the true log's final checkpoint be shown instead.
  altered.instead = (request) => (askedFinal(request) ? { status: 200, json: {}, text: final } : undefined)
  t.equal(await postOf(kenya, operation, 'With a borrowed checkpoint.'), 'LOG_ALTERED')
  t.match(again.alarms, [{ code: 'LOG_ALTERED', reason: 'WITNESSES' }])
  await kenya.close()
  await lie.close()
})

t.test('INV-54: an entry that is shown to one device alone is found out by its place', async (t) => {
  const directory = temporaryDirectory(t)
  const { policy, text: policyFile } = await witnessesOf(t, directory)
  const server = await startServer(t, { directory, witnesses: policy, logLimits })
  const { kenya, coordinator, altered, operation } = await peopleOn(t, server)
  await kenya.pinWitnesses({ policy: policyFile, lag })
  const session = await kenya.follow(operation)
  await session.ready()
  altered.frame = (frame) => (kindOf(frame) === 'operation.updated' ? withLeaf(frame, { subject: freshId() }) : frame)
  await coordinator.operations.update(operation, { name: 'Renamed' })
  const { position } = session
  for (let i = 0; i < 200 && session.alarms.length === 0 && session.position === position; i++) await pause(20)
  for (let i = 0; i < 100 && session.alarms.length === 0; i++) await session.ready().catch(() => pause(50))
  t.match(session.alarms[0], { code: 'LOG_ALTERED' })
  t.equal(await postOf(kenya, operation, 'Sealed?'), 'LOG_ALTERED')
})

t.test('the command pins a policy, shows it, refuses what is none, and lets go of it', async (t) => {
  const directory = temporaryDirectory(t)
  const { witnesses, text: policyFile } = await witnessesOf(t, directory)
  const desk = new Desk(t, directory, 'somebody')
  const file = join(directory, 'witnesses.policy')
  writeFileSync(file, policyFile)
  await (await FileStore.open(desk.store, passphrases.store)).close()
  const set = await desk.must<{ pinned: { lag: number; witnesses: string[] } }>(
    'witness-policy',
    'set',
    file,
    '--lag',
    '5',
  )
  t.same(set.pinned, { lag: 5, witnesses: witnesses.map(({ name }) => name) })
  t.match(await desk.must('witness-policy', 'show'), { pinned: { lag: 5, policy: policyFile } })
  writeFileSync(file, 'quorum nobody\n')
  const wrong = await desk.run(['witness-policy', 'set', file])
  t.equal(wrong.code, 1)
  t.match(wrong.stderr, /Line 1 of the policy/)
  t.equal((await desk.run(['witness-policy', 'set', file, '--lag', '0'])).code, 2)
  t.match(await desk.must('witness-policy', 'show'), { pinned: { lag: 5 } }, 'what cannot be read replaces nothing')
  await desk.must('witness-policy', 'remove')
  t.match(await desk.must('witness-policy', 'show'), { pinned: null })
})
