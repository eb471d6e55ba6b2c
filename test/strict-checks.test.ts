// What this holds: the checks that people rely on say no where the answer is no: times that go back
// in a log, witnesses that are late or further back than they were, a reading that left something
// out, receipts for outsiders without the cosignatures that exist, a service that is ready although
// it continues no log.
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { isCosigned, MemoryStore, type Cordon, type OperationSession } from '../src/client/index.ts'
import { hashLeaf, hasher } from '../src/log/hashing.ts'
import { openLogKey } from '../src/log/index.ts'
import {
  VerifyKeys,
  base64url,
  emptyEdge,
  grow,
  noteKeysOf,
  openWitnessed,
  originOf,
  parseEvidence,
  parseLeaf,
  parseLogKeys,
  parseTlogProof,
  serializeLeaf,
  signCheckpoint,
  strangeTime,
  verifyEvidence,
  type Evidence,
} from '../src/protocol/index.ts'
import { enrolWith, operationOn, partyOf, passphrase, takeIn, type Scene } from './support/actors.ts'
import { Altered, kindOf, withLeaf, type Frame } from './support/altered.ts'
import { standBetween } from './support/between.ts'
import { checkLog, logHost } from './support/check-log.ts'
import { joinWithDesk } from './support/command.ts'
import { admin, copyOfDatabase, testDatabase } from './support/database.ts'
import { readLog } from './support/rewriting.ts'
import { startServer, temporaryDirectory } from './support/server.ts'
import { WireOperation, went } from './support/wire-operation.ts'
import { byHand } from './support/wire.ts'
import { policyOf, policyText, startWitness } from './support/witness.ts'

const text = (words: string) => ({ form: 'text', fields: { text: words } }) as const
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
const years27 = 27 * 365 * 24 * 3600_000
const minutes = 60_000
const earlier = (at: string, milliseconds: number) => new Date(Date.parse(at) - milliseconds).toISOString()
const atOf = (frame: Frame) => (JSON.parse(String(frame['leaf'])) as { at: string }).at
const isMessage = (frame: Frame) => frame.type === 'entry' && kindOf(frame) === 'message.posted'

const altered = new Altered()
const store = new MemoryStore()
const between = await standBetween(t, /node/)
const directory = temporaryDirectory(t)
const key = openLogKey(join(directory, 'log.key'), false)
const witnesses = await Promise.all(
  ['one', 'two'].map((name) => startWitness(t, { host: logHost, key, name: `${name}.example` })),
)
const policy = await policyOf(witnesses, 2)
const server = await startServer(t, {
  directory,
  witnesses: policy,
  publicUrl: between.url,
  logLimits: { publishEveryMs: 50, sendEveryMs: 50, retryAfterMs: 50, retryAtMostMs: 200, answerWithinMs: 2_000 },
})
between.target = `http://127.0.0.1:${String((server.app.server.address() as AddressInfo).port)}`
const scene: Scene = await operationOn(t, server)
const { administrator, coordinator, operation } = scene
const kenya = await partyOf(t, administrator, {
  kind: 'administration',
  name: 'Customs of Kenya',
  country: 'KE',
  platform: altered.platform,
  store,
})
await takeIn(coordinator, operation, kenya, 'ncp')
const desk = await joinWithDesk(t, directory, scene, { name: 'Customs of Peru', country: 'PE' })
const leading = await coordinator.follow(operation)
await leading.post(text('The first.'))

const whetherReady = (session: OperationSession) =>
  session.ready().then(
    () => 'ready',
    (error: unknown) => String(error),
  )

// Bites: `requireNoEarlier` in #parse of Intake.
t.test('INV-170: a client believes no entry that is dated before another that precedes it', async (t) => {
  for (const [what, concerns] of [
    ['a message', isMessage],
    ['an entry without statement', (frame: Frame) => frame.type === 'entry' && kindOf(frame) === 'operation.updated'],
  ] as const) {
    const session = await kenya.client.follow(operation)
    await session.ready()
    const before = session.alarms.length
    altered.frame = (frame) => (concerns(frame) ? withLeaf(frame, { at: earlier(atOf(frame), years27) }) : frame)
    await coordinator.operations.update(operation, { name: `Renamed for ${what}` })
    const { index } = await leading.post(text('Dated back.'))
    for (let n = 0; n < 100 && session.alarms.length === before; n++) await pause(20)
    t.match(session.alarms[before], { code: 'LOG_ALTERED', reason: 'LEAF_TIME' }, what)
    altered.reset()
    altered.cut()
    for (let n = 0; n < 100 && (await whetherReady(session)) !== 'ready'; n++) await pause(50)
    t.ok(await session.reached(index), 'shown as it is, the log is read again to its end')
  }
})

// Bites: `strangeTime` in marksOf.
t.test('INV-170: a message that was entered before it was sent, or long after, is marked', async (t) => {
  const at = '2026-09-01T12:00:00.000Z'
  for (const [before, mark] of [
    [0, undefined],
    [5 * minutes, undefined],
    [-5 * minutes, undefined],
    [-5 * minutes - 1, 'early'],
    [-years27, 'early'],
    [60 * minutes, undefined],
    [60 * minutes + 1, 'late'],
    [years27, 'late'],
  ] as const)
    t.equal(strangeTime(at, earlier(at, before)), mark, `sent ${String(before)} ms before`)
  const { wire, actor } = await wireOf(kenya.client)
  const { id: compartment } = went(await wire.createCompartment(actor, [coordinator.person]))
  went(await wire.openEpoch(actor, compartment))
  for (const [by, kind] of [
    [-11 * minutes, 'early'],
    [90 * minutes, 'late'],
  ] as const) {
    const { id, status } = await wire.post(actor, {
      compartment,
      payload: { sentAt: earlier(new Date().toISOString(), by) },
    })
    t.equal(status, 201)
    for (let n = 0; n < 100 && !leading.message(id); n++) await pause(20)
    t.same(leading.message(id)?.marks, [{ kind }])
  }
})

/** The device of a client, to say what the SDK would not. */
async function wireOf(client: Cordon) {
  const actor = await byHand({ ...server, url: between.url }, client, passphrase)
  return { actor, wire: new WireOperation(t, server, actor, operation) }
}

/**
 * The bundle of a service that dates an entry back, rebuilds its tree, and signs it with its own
 * key.
 */
async function datedBack(evidence: Evidence, index: number, by: number): Promise<Evidence> {
  const raw = await admin(server.database.superUrl, (client) => readLog(client, operation))
  const texts = raw.map(({ leaf }) =>
    serializeLeaf(leaf.index === index ? { ...leaf, at: earlier(leaf.at, by) } : leaf),
  )
  const growth = grow(hasher, emptyEdge, texts.map(hashLeaf))
  const origin = originOf(logHost, operation)
  const checkpoint = await signCheckpoint({ origin, size: texts.length, root: growth.root }, ...key.signers(origin))
  const entries = evidence.entries.map((entry) => {
    const { index: at } = parseLeaf(entry.leaf)
    return { ...entry, leaf: texts[at] ?? '', proof: growth.inclusion(at).map(base64url) }
  })
  return { ...evidence, checkpoint, entries }
}

// Bites: `requireNoEarlier` in verifyEvidence; `notesOn`.
t.test('INV-170: a bundle whose times go back does not verify, and one with a strange time says so', async (t) => {
  const office = await partyOf(t, administrator, { kind: 'rilo', name: 'Audit office' })
  const auditor = await enrolWith(t, office.client, { name: 'Auditor', organization: office.organization })
  await takeIn(coordinator, operation, { client: auditor, organization: office.organization }, 'auditor')
  const { message } = await leading.post(text('Evidence.'))
  const disclosure = {
    justification: 'case 2026/118',
    recipient: { name: 'A. Judge', organization: 'Court of Appeal', country: 'KE' },
    legalBasis: 'order 2026/118',
  }
  const asked = { kinds: ['message.*', 'member.*', 'device.*', 'epoch.*'] }
  const { text: file } = await auditor.audit.evidence(operation, asked, disclosure)
  const evidence = parseEvidence(file)
  const { logKeys, root } = auditor.self.account.pins
  const trust = { keys: (await parseLogKeys(logKeys)).keys, root, witnesses: [], quorum: 0 }
  const check = (bundle: Evidence) => verifyEvidence(bundle, trust, new VerifyKeys())
  const clean = await check(evidence)
  t.same(clean.discrepancies, [])
  t.same(
    clean.notes.map(({ what }) => /BEFORE/.test(what)),
    [true, false],
    'the two that were sent at another time than they were entered',
  )
  const place = evidence.entries.findIndex(({ leaf }) => parseLeaf(leaf).subject === message)
  const { index } = parseLeaf(evidence.entries[place]?.leaf ?? '')
  const back = await check(await datedBack(evidence, index, years27))
  t.same(
    back.discrepancies.map(({ index: at, what }) => [at, what]),
    [[index, 'It is dated before an entry that precedes it.']],
  )
  const member = parseLeaf(evidence.entries[2]?.leaf ?? '')
  t.match((await check(await datedBack(evidence, member.index, years27))).discrepancies, [{ index: member.index }])
  const forward = await check(await datedBack(evidence, index, -years27))
  t.ok(
    forward.notes.some((note) => note.index === index),
    'dated forward, it is noted',
  )
})

// Bites: `covering` of Logs in `proof` and in `proofs` of certificates.
t.test('INV-171: what outsiders check stands under a checkpoint with cosignatures, where one covers it', async (t) => {
  const { message } = await leading.post(text('For the court.'))
  const receipt = await coordinator.portableReceipt(operation, message)
  t.ok(isCosigned(receipt))
  const { checkpoint } = parseTlogProof(receipt)
  const { keys } = await parseLogKeys(coordinator.self.account.pins.logKeys)
  const open = (note: string, log: string) => openWitnessed(note, noteKeysOf(keys, originOf(logHost, log)), policy)
  t.ok((await open(checkpoint, operation)).size > 0, 'by the quorum of the witnesses')
  const { directory: log } = server.logs
  for (let n = 0; n < 100 && ((await server.logs.findFinal(log))?.size ?? 0) < 10; n++) await pause(50)
  const certificate = coordinator.self.certificate?.hash ?? ''
  const answer = await coordinator.transport.request<{ checkpoint: string }>('POST', '/v1/certificates/proofs', {
    certificates: [certificate],
  })
  t.ok((await open(answer.checkpoint, log)).size > 0, 'so does the proof of a certificate')
  // A newer entry than the witnesses have seen: proven all the same, under what was published.
  const held = await server.logs.findFinal(operation)
  const covered = await server.logs.covering(operation, (held?.size ?? 1) - 1)
  t.equal(covered.note, held?.note)
})

// Bites: the second half of `checkWitnesses` in client/self-check.ts, each `faults` of it.
t.test(
  'INV-172: a device says what is wrong where its witnesses are late, or further back than they were',
  async (t) => {
    const { client } = kenya
    const session = await client.follow(operation)
    await client.pinWitnesses({ policy: policyText(witnesses, 2), lag: 1 })
    for (let n = 0; n < 200 && (session.final?.size ?? 0) <= session.position; n++) {
      await session.ready().catch(() => {})
      await pause(20)
    }
    const old = await server.logs.finalCheckpoint(operation)
    t.same((await client.checkOwnPlace(operation)).discrepancies, [])
    const { index } = await session.post(text('Then they were away.'))
    t.ok(await session.reached(index))
    altered.instead = ({ path }) =>
      path.endsWith('/final-checkpoint') ? { status: 200, json: {}, text: old } : undefined
    t.same((await client.checkOwnPlace(operation)).discrepancies, [], 'within the lag there is nothing to say')
    const name = `operation/${operation}/witnessed`
    const kept = (await store.get(name)) as { accepted: { at: number }[] }
    const passed = kept.accepted.map((mark) => ({ ...mark, at: mark.at - 2 * minutes }))
    for (const accepted of [passed, []]) {
      await store.write([{ name, value: { ...kept, accepted } }])
      t.match((await client.checkOwnPlace(operation)).discrepancies, [
        { what: /accepted more than 1 minutes ago have too few cosignatures/ },
      ])
    }
    await store.write([{ name, value: kept }])
    altered.reset()
    t.same((await client.checkOwnPlace(operation)).discrepancies, [])
    altered.instead = ({ path }) =>
      path.endsWith('/final-checkpoint') ? { status: 200, json: {}, text: old } : undefined
    const back = await client.checkOwnPlace(operation)
    t.match(back.discrepancies, [{ what: /had cosigned \d+ entries, and the service shows \d+ of them/ }])
    altered.reset()
    await client.pinWitnesses(undefined)
  },
)

// Bites: `leaveReading` in cli/followed-operation.ts.
t.test('INV-173: a command that shows what the log says fails where it could not believe all of it', async (t) => {
  const good = await desk.run(['read', '--json'])
  t.equal(good.code, 0)
  t.same(good.json['alarms'], [])
  const withhold = (frame: Frame, message: string) =>
    isMessage(frame) && String(frame['leaf']).includes(message) ? undefined : frame
  const spoil = (frame: Frame, message: string) =>
    withhold(frame, message) ?? { ...frame, body: `${String(frame['body'])}x` }
  for (const [frame, code] of [
    [spoil, 'MESSAGE_REFUSED'],
    [withhold, 'ENTRY_WITHHELD'],
  ] as const) {
    const { message } = await leading.post(text('One.'))
    await leading.post(text('Two.'))
    between.frame = (pushed) => frame(pushed, message)
    const done = await desk.run(['read'])
    between.reset()
    t.equal(done.code, 1, code)
    t.match(done.stderr, new RegExp(`ALARM ${code} at entry \\d+`))
    t.match(done.stderr, /NOT everything could be believed: [12] things?, above/)
  }
})

t.test('INV-173: what was set aside is shown as long as it is in the log, and makes each reading fail', async (t) => {
  const again = await desk.run(['read'])
  t.equal(again.code, 1)
  t.match(again.stderr, /SET ASIDE before, MESSAGE_REFUSED at entry \d+: /)
  const { code, json } = await desk.run(['read', '--json'])
  t.equal(code, 1)
  t.match(json['aside'], [{ code: 'MESSAGE_REFUSED', index: Number, detail: String }])
})

// Bites: `whyNothingContinues`.
t.test('INV-174: a service that continues no log is not ready', async (t) => {
  const keys = temporaryDirectory(t)
  const database = await testDatabase(t)
  const first = await startServer(t, { database, directory: keys, altered: true })
  t.equal((await fetch(`${first.url}/readyz`)).status, 200, 'with a directory alone')
  const { operation: own, coordinator: unit } = await operationOn(t, first)
  t.equal((await fetch(`${first.url}/readyz`)).status, 200)
  await first.logs.checkpoint(own)
  await unit.close()
  await first.close()
  const setBack = async (log: string) => {
    const copy = await copyOfDatabase(t, database)
    await admin(copy.superUrl, (client) =>
      client.query(`UPDATE log_entry SET leaf_hash = sha256('x') WHERE log_id = $1 AND index = 1`, [log]),
    )
    return startServer(t, { database: copy, directory: keys, altered: true })
  }
  for (const log of [own, first.logs.directory]) {
    const after = await setBack(log)
    t.match(after.readOnly, [{ log }])
    const answer = await fetch(`${after.url}/readyz`)
    t.equal(answer.status, 503)
    t.match(await answer.json(), { code: 'LOG_READ_ONLY' })
    t.equal((await fetch(`${after.url}/livez`)).status, 200)
    await after.close()
  }
})

t.test('the logs are as they should be after all of this', async () => {
  await checkLog(server)
})
