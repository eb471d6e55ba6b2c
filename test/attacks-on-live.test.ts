// What this holds: section B of the attacks that must fail (the live channel), over real sockets.
// Each test says which check, removed, makes it succeed.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { WebSocket as Client, type ClientOptions } from 'ws'
import * as protocol from '../src/protocol/index.ts'
import { checkLog } from './support/check-log.ts'
import { everyRole, type EveryRole } from './support/roles.ts'
import { createOperation, went } from './support/wire-operation.ts'
import {
  ask,
  codeOf,
  heardWhoRead,
  newcomer,
  now,
  passphrase,
  type Frame,
  type LiveWire,
  type WireActor,
} from './support/wire.ts'

const scene = await everyRole(t)
const { operation, byRole, administrator, messages, shared, other, ncpOfThailand, server } = scene

const kindOf = (frame: Frame) => (frame.type === 'entry' ? protocol.parseLeaf(frame.leaf).kind : frame.type)
const subjects = (live: LiveWire) =>
  live.frames.filter(({ type }) => type === 'entry').map((frame) => protocol.parseLeaf(frame.leaf).subject)

/**
 * Resolves when whoever watches has an entry about this: what others would have got by then is
 * there as well.
 */
async function arrived(live: LiveWire, subject: string): Promise<void> {
  await live.first((frame) => frame.type === 'entry' && protocol.parseLeaf(frame.leaf).subject === subject)
}

async function newOfficer(of: EveryRole = scene): Promise<WireActor> {
  const officer = await newcomer(of.byRole.ncp, { name: 'Another officer', organization: of.organizations.kenya })
  went(await of.operation.admit(officer, 'officer', of.byRole.ncp))
  return officer
}

/** The next epoch wherever a member left. */
async function renew(): Promise<void> {
  for (const compartment of [operation.id, shared])
    if (await operation.isStale(compartment)) went(await operation.openEpoch(byRole.coordinator, compartment))
}

// Bites: `over` in #caughtUp of Live: what came after `ended` was taken for the end of the next
// reading, and the members before it were never read.
t.test('INV-114: nothing of a subscription comes after its end', async (t) => {
  const live = await (await newOfficer()).live()
  const types = () => live.frames.filter((frame) => frame.operation === operation.id).map(({ type }) => type as string)
  let early = 0
  for (let round = 0; round < 40; round++) {
    const before = types().length
    live.send({ type: 'subscribe', operation: operation.id, after: -1 })
    await sleep(2 * round)
    live.send({ type: 'unsubscribe', operation: operation.id })
    while (types().at(-1) !== 'ended') await sleep(2)
    if (!types().slice(before).includes('caught-up')) early++
    await sleep(20)
    t.equal(types().at(-1), 'ended', `unsubscribed after ${String(2 * round)} ms`)
  }
  t.ok(early > 5, `${String(early)} ended before they had caught up`)
  live.close()
})

// Bites: `#send` of Follower (membership at each entry), `authorizeIn` in postAct, `over` in
// #acknowledge.
t.test(
  'INV-27: B1: whoever was removed gets nothing more over the socket that stayed open, and says nothing',
  async (t) => {
    const officer = await newOfficer()
    const live = await officer.live()
    await live.follow(operation.id)
    const watching = await byRole.coordinator.live()
    await watching.follow(operation.id)
    const composed = await operation.compose(officer)
    const { body } = went(await operation.remove(officer.person))
    await renew()
    const later = went(await operation.post(byRole.coordinator))
    await arrived(watching, later.id)
    const ended = await live.first(({ type }) => type === 'ended')
    t.match(ended, { operation: operation.id, reason: 'removed' })
    const indexes = live.frames.filter(({ type }) => type === 'entry').map(({ index }) => index)
    t.ok(
      indexes.every((index: number) => index < body.index),
      `nothing from entry ${body.index} on`,
    )
    live.send({ type: 'post', ...composed.input })
    live.send({ type: 'acknowledge', operation: operation.id, messages: [later.id] })
    live.send({ type: 'grant-bad', operation: operation.id, compartment: operation.id, epoch: 1 })
    await live.first(() => live.frames.filter(({ type }) => type === 'refused').length === 3)
    for (const { problem } of live.frames.filter(({ type }) => type === 'refused')) t.equal(problem.code, 'NOT_FOUND')
    const [last] = (await live.follow(operation.id)).slice(-1)
    t.match(last, { type: 'ended', reason: 'not-found' })
    watching.close()
    live.close()
  },
)

// Bites: `endsAmong` in readEntries, `lockActors`, `sessionsStanding` in recognise and
// redeemTicket.
t.test('B2: a session that ended ends its sockets and opens none', async (t) => {
  const officer = await newOfficer()
  const live = await officer.live()
  await live.follow(operation.id)
  const { ticket } = await officer.must('POST', '/v1/live-tickets', {})
  const composed = await operation.compose(officer)
  went(await officer.call('DELETE', `/v1/sessions/${officer.session}`))
  await renew()
  const later = went(await operation.post(byRole.coordinator))
  t.equal((await live.closed).code, 4401, 'the socket is closed')
  t.notOk(subjects(live).includes(later.id), 'and got nothing that came after')
  await t.rejects(openRaw({ ticket }), /401/, 'a ticket of before opens nothing')
  t.equal(codeOf(await officer.call('POST', '/v1/live-tickets', {})), '401 SESSION_ENDED')
  t.equal(codeOf(await officer.call('POST', `${operation.path}/messages`, composed.input)), '401 SESSION_ENDED')
})

// Bites: the same as B2, for the device; `sharePersons` before the log.
t.test('B3: a device revoked while connected has no frame of its executed', async (t) => {
  const officer = await newOfficer()
  const live = await officer.live()
  await live.follow(operation.id)
  const composed = await operation.compose(officer)
  const revocation = await protocol.signRevocation(byRole.ncp.device, officer.device.id, now())
  went(await byRole.ncp.call('POST', '/v1/revocations', { revocation }))
  live.send({ type: 'post', ...composed.input })
  t.equal((await live.closed).code, 4401)
  t.notOk(live.frames.some(({ type }) => type === 'accepted'))
  t.equal(codeOf(await byRole.coordinator.call('GET', `${operation.path}/messages/${composed.id}`)), '404 NOT_FOUND')
  await renew()
})

// Bites: the device in frameFor and #sendTo; `visible` in #pushReads.
t.test('B5: what is meant for one reader is sent to that reader alone', async (t) => {
  const lives = new Map<string, LiveWire>()
  for (const [role, actor] of Object.entries(byRole)) {
    const live = await actor.live()
    await live.follow(operation.id)
    lives.set(role, live)
  }
  await operation.outdate(shared, ncpOfThailand)
  went(await operation.openEpoch(byRole.coordinator, shared))
  const asked = went(await operation.post(byRole.ncp, { compartment: shared }))
  const analyst = lives.get('analyst') as LiveWire
  await arrived(analyst, asked.id)
  analyst.send({ type: 'acknowledge', operation: operation.id, messages: [asked.id] })
  for (const role of ['ncp', 'officer', 'coordinator'])
    t.match(await heardWhoRead(server, lives.get(role) as LiveWire), { receipts: [{ message: asked.id }] }, role)
  for (const [role, live] of lives) {
    const device = byRole[role as keyof typeof byRole].device.id
    for (const frame of live.frames) {
      const grants = [frame.grant, ...(frame.grants ?? []).map(({ grant }: { grant: string }) => grant)]
      for (const grant of grants.filter((one) => typeof one === 'string'))
        t.equal(
          JSON.parse(Buffer.from(String(grant).split('.')[0] ?? '', 'base64url').toString()).kid,
          device,
          `${role}: its own key`,
        )
    }
    if (['partner', 'right-holder', 'auditor', 'analyst'].includes(role))
      t.notOk(
        live.frames.some(({ type }) => type === 'receipts'),
        `${role} does not hear who read`,
      )
    live.close()
  }
})

// Bites: `mayReadFrom` in seesEntry, in #requireReadable, in threads and in requirePlace.
t.test('B7: under the rule from-joining, nothing old comes back with a correction', async (t) => {
  const { coordinator, ncp } = byRole
  const op = await createOperation(t, administrator, coordinator, { history: 'from-joining' })
  went(await op.admitOrganization(ncp.organization))
  for (const state of ['rehearsal', 'active'] as const) went(await op.advance(state))
  went(await op.openEpoch(coordinator))
  const old = went(await op.post(coordinator))
  went(await op.admit(ncp, 'ncp'))
  went(await op.openEpoch(coordinator))
  const refersTo = { message: old.id, as: 'correction' } as const
  const correction = went(await op.post(coordinator, { thread: old.thread, refersTo }))
  const live = await ncp.live()
  await live.follow(op.id)
  t.ok(subjects(live).includes(correction.id), 'what was said after joining is there')
  t.notOk(subjects(live).includes(old.id), 'what was said before is not')
  t.notOk(
    live.frames.some((frame) => frame.grants !== undefined),
    'nor any key of before',
  )
  t.equal(codeOf(await ncp.call('GET', `${op.path}/messages/${old.id}`)), '404 NOT_FOUND')
  const { threads } = await ncp.must('GET', `${op.path}/threads`)
  t.match(threads, [{ firstMessage: correction.id, messages: 1 }])
  const reply = await op.post(ncp, { thread: old.thread, refersTo: { message: old.id, as: 'reply' } })
  t.equal(codeOf(reply), '404 NOT_FOUND', 'nor can it be referred to')
  const view = await op.view()
  const key = op.keys.get(`${op.id}#1`) as protocol.EpochKey
  const grant = await op.seal(view, ncp.device.id, op.id, 1, key)
  const given = { compartment: op.id, grants: [{ device: ncp.device.id, epoch: 1, grant }] }
  t.equal(codeOf(await coordinator.call('POST', `${op.path}/grants`, given)), '409 GRANT_REFUSED', 'nor is a key given')
  live.close()
})

// Bites: `seesEntry`.
t.test('B10: a right holder hears nothing of compartments it has not joined', async (t) => {
  const live = await byRole['right-holder'].live()
  await live.follow(operation.id)
  await renew()
  const inAll = went(await operation.post(byRole.coordinator))
  const inOther = went(await operation.post(ncpOfThailand, { compartment: other }))
  const inShared = went(await operation.post(byRole.coordinator, { compartment: shared }))
  await arrived(live, inShared.id)
  for (const hidden of [inAll.id, inOther.id, messages.inOther]) t.notOk(subjects(live).includes(hidden))
  for (const frame of live.frames) {
    t.notOk(JSON.stringify(frame).includes(other), `${kindOf(frame)} does not name the compartment of others`)
    t.notMatch(kindOf(frame), /^(operation\.|epoch-stale|messages\.|feed\.|report\.)/)
  }
  live.close()
})

interface Raw {
  readonly ticket?: string
  readonly protocols?: string[]
  readonly options?: ClientOptions
  readonly path?: string
}

/** The handshake as anybody could do it; rejects with what was answered. */
function openRaw({ ticket, protocols, options, path = '/v1/live' }: Raw): Promise<Client> {
  const offered = protocols ?? ['cordon.v1', ...(ticket === undefined ? [] : [`ticket.${ticket}`])]
  return new Promise((resolve, reject) => {
    const client = new Client(server.url.replace('http', 'ws') + path, offered, options)
    client.on('open', () => resolve(client))
    client.on('error', reject)
  })
}

/** What a request for the live channel is answered by a client of another version. */
async function askRaw(ticket: string, version: number, http: string): Promise<string> {
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  let answer = ''
  socket.on('data', (chunk) => (answer += String(chunk)))
  socket.on('error', () => {})
  socket.write(
    `GET /v1/live HTTP/${http}\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: ${String(version)}\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
      `Sec-WebSocket-Protocol: cordon.v1, ticket.${ticket}\r\n\r\n`,
  )
  await once(socket, 'close')
  return answer
}

const ticketOf = async (actor: WireActor): Promise<string> => (await actor.must('POST', '/v1/live-tickets', {})).ticket

// Bites: the preValidation of the live route, and `redeemTicket`.
t.test('B13: the channel opens for a fresh ticket of this origin alone', async (t) => {
  const { ncp } = byRole
  const origin = (name: string): Raw => ({ options: { headers: { origin: name } } })
  const from = async (raw: Raw) => openRaw({ ticket: await ticketOf(ncp), ...raw })
  const foreign = ['https://evil.example', 'null', `${server.url}.evil.example`, server.url.replace('http', 'https')]
  for (const name of foreign) {
    await t.rejects(from(origin(name)), /40[13]/, `from ${name}`)
    const path = '/v1/live-tickets'
    const headers = {
      origin: name,
      authorization: `DPoP ${ncp.accessToken}`,
      dpop: await ncp.proof('POST', path, ncp.accessToken),
      'content-type': 'application/json',
    }
    const asked = await ask(server.url + path, { method: 'POST', headers, body: '{}' })
    t.equal(asked.status, 201, 'even where the ticket was asked for from there')
    await t.rejects(openRaw({ ticket: asked.body.ticket, ...origin(name) }), /403/, `from ${name}, with its own ticket`)
  }
  await t.rejects(from(origin(server.url)), /401/, 'a ticket of another origin than it was asked for from')
  await t.rejects(openRaw({}), /401/, 'without a ticket')
  await t.rejects(openRaw({ ticket: randomBytes(32).toString('base64url') }), /401/, 'with one that was never given')
  const ticket = await ticketOf(ncp)
  await t.rejects(openRaw({ path: `/v1/live?ticket=${ticket}` }), /401|400/, 'in the address')
  await t.rejects(
    openRaw({ options: { headers: { authorization: `DPoP ${ncp.accessToken}` } } }),
    /401/,
    'with a token',
  )
  await t.rejects(openRaw({ protocols: [`ticket.${ticket}`] }), /401/, 'without the protocol')
  await t.rejects(openRaw({ protocols: ['cordon.v1', `ticket.${ticket}`, 'ticket.x'] }), /401/, 'with two tickets')
  for (const [version, http] of [
    [8, '1.1'],
    [7, '1.1'],
    [13, '1.0'],
  ] as const) {
    const answer = await askRaw(ticket, version, http)
    t.match(answer, /^HTTP\/1\.1 426/, `version ${String(version)} by HTTP/${http}`)
    t.match(answer, /^upgrade: websocket\r$/im)
    t.match(answer, /^sec-websocket-version: 13\r$/im)
  }
  t.equal(codeOf(await ask(`${server.url}/v1/live`, {})), '426 UPGRADE_REQUIRED')
  const client = await openRaw({ ticket })
  t.equal(client.protocol, 'cordon.v1', 'the ticket is not sent back')
  client.terminate()
  await t.rejects(openRaw({ ticket }), /401/, 'twice')
  const stale = await ticketOf(ncp)
  server.clock.advance(31_000)
  await t.rejects(openRaw({ ticket: stale }), /401/, 'after 30 seconds')
})

/** A socket after its handshake, to write bytes that no library would. */
async function rawSocket(): Promise<{ socket: Socket; closed: Promise<number> }> {
  const { port } = new URL(server.url)
  const socket = connect(Number(port), '127.0.0.1')
  const ticket = await ticketOf(byRole.ncp)
  const key = randomBytes(16).toString('base64')
  socket.write(
    `GET /v1/live HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: cordon.v1, ticket.${ticket}\r\n` +
      `Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n`,
  )
  const head = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(data.toString())))
  if (!head.startsWith('HTTP/1.1 101')) throw new Error(head)
  if (/permessage-deflate/i.test(head)) throw new Error('compression was agreed on')
  const closed = new Promise<number>((resolve) => {
    socket.on('data', (data: Buffer) => {
      if ((data[0] ?? 0) === 0x88) resolve(data.readUInt16BE(2))
    })
    socket.on('close', () => resolve(0))
    socket.on('error', () => resolve(0))
  })
  return { socket, closed }
}

function frameBytes(first: number, payload: Buffer, length = payload.length): Buffer {
  const mask = randomBytes(4)
  const masked = Buffer.from(payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0)))
  const size =
    length < 126
      ? Buffer.from([0x80 | length])
      : length < 65_536
        ? Buffer.from([0x80 | 126, length >> 8, length & 255])
        : Buffer.concat([Buffer.from([0x80 | 127]), bigEndian(length)])
  return Buffer.concat([Buffer.from([first]), size, mask, masked])
}

function bigEndian(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

// Bites: maxPayload and perMessageDeflate of registerLive, and `parseFrame`.
t.test('B14: bytes that are no frames of ours end the connection, and nothing else', async (t) => {
  const cases: Record<string, [Buffer, number[]]> = {
    'invalid UTF-8': [frameBytes(0x81, Buffer.from([0xc3, 0x28, 0xff])), [1007]],
    'an opcode that does not exist': [frameBytes(0x83, Buffer.from('x')), [1002]],
    'a reserved bit, as if compressed': [frameBytes(0xc1, Buffer.from('x')), [1002]],
    'a frame without a mask': [Buffer.from([0x81, 1, 0x78]), [1002]],
    'a control frame that is too long': [frameBytes(0x89, Buffer.alloc(126)), [1002]],
    'a continuation of nothing': [frameBytes(0x80, Buffer.from('x')), [1002]],
    'a length of 2 MiB': [frameBytes(0x81, Buffer.alloc(10), 2 * 1024 * 1024), [1009]],
    'a length of 2^62': [frameBytes(0x81, Buffer.alloc(10), 2 ** 62), [1009]],
    'fragments without an end': [
      Buffer.concat([
        frameBytes(0x01, Buffer.alloc(300_000, 0x20)),
        ...Array.from({ length: 4 }, () => frameBytes(0x00, Buffer.alloc(300_000, 0x20))),
      ]),
      [1009],
    ],
    'text that is no JSON': [frameBytes(0x81, Buffer.from('hello')), [4400]],
    bytes: [frameBytes(0x82, Buffer.from('{"type":"ping"}')), [4400]],
    'JSON of another shape': [frameBytes(0x81, Buffer.from('{"type":"ping","more":1}')), [4400]],
    'a kind of frame that does not exist': [frameBytes(0x81, Buffer.from('{"type":"__proto__"}')), [4400]],
    'JSON a hundred thousand deep': [frameBytes(0x81, Buffer.from('['.repeat(100_000))), [4400]],
  }
  for (const [name, [bytes, codes]] of Object.entries(cases)) {
    const { socket, closed } = await rawSocket()
    socket.write(bytes)
    const code = await closed
    t.ok(codes.includes(code), `${name}: closed with ${code}`)
    socket.destroy()
  }
  const live = await byRole.ncp.live()
  await live.follow(operation.id)
  t.ok(live.frames.length > 10, 'and the service goes on')
  live.close()
})

// Bites: `mostWaitingCharacters` in FrameOutbox, and what it does not hand over.
t.test('B16: a reader that stops reading is cut off at a bound, and resumes', async (t) => {
  await renew()
  const client = await openRaw({ ticket: await ticketOf(byRole.officer) })
  client.send(JSON.stringify({ type: 'subscribe', operation: operation.id, after: -1 }))
  await new Promise<void>((resolve) => {
    client.on('message', (data: Buffer) => {
      if (data.toString().includes('"caught-up"')) resolve()
    })
  })
  const raw = (client as unknown as { _socket: Socket })._socket
  raw.pause()
  // About 200 KB each, nearly all of it sealed.
  const description = 'x'.repeat(2_000)
  const items = Array.from({ length: 70 }, () => ({ category: 'wildlife/pangolin/scales', description }))
  const fields = { country: 'KE', date: '2026-11-20', items }
  const code = new Promise<number>((resolve) => client.on('close', resolve))
  for (let posted = 0; posted < 26 * 1024 * 1024;) {
    const composed = await Promise.all(
      Array.from({ length: 10 }, () => operation.compose(byRole.ncp, { form: 'seizure', fields })),
    )
    for (const { input } of composed) {
      went(await byRole.ncp.call('POST', `${operation.path}/messages`, input))
      posted += input.body.length
    }
  }
  raw.resume()
  t.equal(await code, 4408, 'too slow')
  const again = await byRole.officer.live()
  await again.follow(operation.id)
  t.ok(again.frames.length > 100, 'whoever comes back gets what it missed')
  again.close()
})

// Bites: passphrase check in signIn (the tickets come from an authenticated session alone).
t.test('nothing of the channel is had without having signed in', async (t) => {
  const stranger = await newcomer(byRole.ncp, { name: 'Stranger', organization: scene.organizations.kenya })
  stranger.accessToken = ''
  t.equal(codeOf(await stranger.call('POST', '/v1/live-tickets', {})), '401 UNAUTHENTICATED')
  const proof = await protocol.signSignIn(stranger.device, stranger.person, stranger.thumbprint, now())
  const refused = await stranger.call('POST', '/v1/sessions', { proof, passphrase: `${passphrase}!` })
  t.equal(codeOf(refused), '401 SIGN_IN_REFUSED')
  await renew()
  await checkLog(server)
})
