// What this holds: the service tells every client what became of its message, lets go of clients
// that are not there any more, and tells one that does not read why it is cut off.
// What makes it fail: a refusal without the id that the statement has, sockets that nobody asks
// whether they are there, a close that waits behind data that nobody reads.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { WebSocket as Client, WebSocketServer } from 'ws'
import { FrameOutbox, longestLinger } from '../src/live/outbox.ts'
import * as protocol from '../src/protocol/index.ts'
import { everyRole } from './support/roles.ts'
import { WireActor, type Frame } from './support/wire.ts'

// The pings of the hub are called by hand here.
const realInterval = globalThis.setInterval
const beats: (() => void)[] = []
globalThis.setInterval = ((run: () => void, milliseconds: number, ...rest: []) => {
  if (milliseconds === 20_000) beats.push(run)
  return realInterval(run, milliseconds, ...rest)
}) as typeof setInterval
const { operation, byRole, server } = await everyRole(t)
globalThis.setInterval = realInterval
// The last one: where this process made the scene, another service beat before.
const beatOfService = beats.at(-1) ?? (() => {})
const { ncp, coordinator } = byRole

/** A statement with a payload that no client of ours would sign. */
const signed = (payload: object) =>
  protocol.signMessageStatement(ncp.device, ncp.crt, payload as unknown as protocol.MessagePayload)

const payloadOf = (statement: string) =>
  JSON.parse(Buffer.from(statement.split('.')[1] ?? '', 'base64url').toString()) as Record<string, unknown> & {
    id: string
  }

// Bites: `messageIn`, which reads no more than the id.
t.test('INV-151: every refusal of a post over the socket names its message', async (t) => {
  const live = await ncp.live()
  await live.follow(operation.id)
  const { input, id } = await operation.compose(ncp)
  const payload = payloadOf(input.statement)
  const upper = id.toUpperCase()
  const noThread = Object.fromEntries(Object.entries(payload).filter(([name]) => name !== 'thread'))
  const cases: readonly [what: string, frame: object, named: string][] = [
    ['no addressee', { ...input, statement: await signed({ ...payload, addressees: [] }) }, id],
    ['an id in capitals', { ...input, statement: await signed({ ...payload, id: upper }) }, upper],
    [
      'the year 10000',
      { ...input, statement: await signed({ ...payload, replyBy: '+010000-01-01T00:00:00.000Z' }) },
      id,
    ],
    [
      'a day that is none',
      { ...input, statement: await signed({ ...payload, sentAt: '2026-02-30T00:00:00.000Z' }) },
      id,
    ],
    ['a member too much', { ...input, statement: await signed({ ...payload, colour: 'red' }) }, id],
    ['no thread', { ...input, statement: await signed(noThread) }, id],
    ['another kind of statement', { ...input, statement: await ncp.signAct({ ...payload, act: 'wake' } as never) }, id],
    ['a signature that is cut', { ...input, statement: input.statement.slice(0, -10) }, id],
    ['a body that is too large', { ...input, body: 'x'.repeat(protocol.limits.body + 1) }, id],
    ['a statement that is too large', { ...input, statement: input.statement + 'x'.repeat(20_000) }, id],
    ['a salt that is none', { ...input, salt: 'short' }, id],
    ['a member of the frame too much', { ...input, more: 1 }, id],
    ['another body', { ...input, body: (await operation.compose(ncp)).input.body }, id],
  ]
  for (const [what, frame, named] of cases) {
    const from = live.frames.length
    live.send({ type: 'post', ...frame })
    const refused = await live.first(({ type }: Frame) => type === 'refused' || type === 'accepted', 5_000, from)
    t.match(refused, { type: 'refused', id: named }, `${what}: ${String(refused.problem?.code)}`)
    t.ok(refused.problem.status >= 400 && refused.problem.status < 500, `${what}: for good`)
  }
  const from = live.frames.length
  live.send({ type: 'post', ...input, statement: 'x.y.z' })
  t.notHas(await live.first(({ type }: Frame) => type === 'refused', 5_000, from), { id: /./ }, 'what holds no id')
  live.send({ type: 'post', ...input })
  t.match(await live.first(({ type }: Frame) => type === 'accepted'), { id }, 'and the channel goes on')
  live.close()
})

/**
 * A client that opens the channel and is never heard of again: it answers no ping, and no FIN comes
 * of it.
 */
async function vanished(actor: WireActor): Promise<Socket> {
  const { ticket } = await actor.must('POST', '/v1/live-tickets', {})
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  socket.write(
    `GET /v1/live HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
      `Sec-WebSocket-Protocol: cordon.v1, ticket.${ticket}\r\n\r\n`,
  )
  await once(socket, 'data')
  return socket
}

const closedOf = (socket: Socket) => (socket.resume(), once(socket, 'close'))

async function sessionsOf(actor: WireActor, count: number): Promise<WireActor[]> {
  const sessions: WireActor[] = []
  for (let i = 0; i < count; i++) {
    const one = await new WireActor(server, actor.name).prepare()
    Object.assign(one, { person: actor.person, device: actor.device, crt: actor.crt })
    await one.signIn()
    sessions.push(one)
  }
  return sessions
}

// Bites: `hasRoomFor` of Hub, which asks those who are there before it refuses one more.
t.test('INV-152: sockets that vanished without a word keep nobody out, and those that are there stay', async (t) => {
  const sessions = await sessionsOf(coordinator, 12)
  const [last = coordinator, further = coordinator, ...others] = sessions
  const dead = await Promise.all(others.slice(0, 9).map(vanished))
  const alive = await (others[9] ?? coordinator).live()
  const ends = dead.map(closedOf)
  const [one, two] = await Promise.all([last.live(), further.live()])
  await Promise.all(ends)
  t.pass('all nine were let go of')
  await one.follow(operation.id)
  await two.follow(operation.id)
  await alive.follow(operation.id)
  t.pass('and whoever was there is served')
  for (const live of [one, two, alive]) live.close()
})

// Bites: `#beat` of Hub.
t.test('INV-152: a socket that answers two pings in a row with nothing is let go of', async (t) => {
  const [gone = coordinator, there = coordinator] = await sessionsOf(coordinator, 2)
  const dead = await vanished(gone)
  const ended = closedOf(dead)
  const live = await there.live()
  const beat = async () => {
    beatOfService()
    await sleep(100)
  }
  for (let n = 0; n < 2; n++) await beat()
  t.equal(dead.destroyed, false, 'one ping that is late ends nothing')
  await beat()
  await ended
  await live.follow(operation.id)
  t.pass('whoever answers stays')
  live.close()
})

// Bites: that the pings of a process that stood still are judged before what came meanwhile is
// read.
t.test('INV-152: after a moment in which the service stood still nobody is let go of who had answered', async (t) => {
  const live = await coordinator.live()
  beatOfService()
  await sleep(100)
  beatOfService()
  // The answer comes while nothing is read.
  const until = process.hrtime.bigint() + 300_000_000n
  while (process.hrtime.bigint() < until);
  beatOfService()
  await sleep(100)
  await live.follow(operation.id)
  t.equal(live.socket.readyState, WebSocket.OPEN)
  live.close()
})

/** Two ends of a socket, and an outbox at one of them, as the channel has them. */
async function pair(owner: { teardown(clean: () => void): void }) {
  const http = createServer()
  const options = { server: http, perMessageDeflate: false, closeTimeout: longestLinger }
  const sockets = new WebSocketServer(options)
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const connected = once(sockets, 'connection') as Promise<[Client, { socket: Socket }]>
  const reader = new Client(`ws://127.0.0.1:${String((http.address() as AddressInfo).port)}`)
  const [[wire, { socket }]] = await Promise.all([connected, once(reader, 'open')])
  owner.teardown(() => {
    reader.terminate()
    sockets.close()
    http.closeAllConnections()
    http.close()
  })
  let received = 0
  reader.on('message', (data: Buffer) => (received += data.length))
  const code = once(reader, 'close').then(([number]) => number as number)
  const raw = (reader as unknown as { _socket: Socket })._socket
  return { outbox: new FrameOutbox(wire, socket), reader, raw, received: () => received, code }
}

const stalled = pair(t).then(async ({ outbox, raw, received, code }) => {
  raw.pause()
  for (let sent = 0; !outbox.closed; sent++) {
    outbox.sendText('x'.repeat(200_000))
    if (sent % 4 === 0) await sleep(1)
  }
  // Longer than one waits for a reader that reads and does not answer.
  await sleep(6_000)
  raw.resume()
  return { code: await code, received: received() }
})

// Bites: what waits in the outbox and is not handed to the socket; how long a close may wait.
t.test('INV-153: a reader that stood still and reads on is told that it was too slow', async (t) => {
  const { code, received } = await stalled
  t.equal(code, 4408)
  t.ok(received < 12 * 1024 * 1024, `after ${String(received)} bytes, and not after all that waited`)
})

t.test('INV-153: whoever reads gets everything, in order, before a close for another reason', async (t) => {
  const { outbox, reader, code } = await pair(t)
  const got: string[] = []
  reader.on('message', (data: Buffer) => got.push(data.toString().slice(0, 8)))
  const sent = Array.from({ length: 300 }, (_, n) => String(n).padStart(8, '0'))
  for (const [n, number] of sent.entries()) {
    outbox.sendText(number + 'x'.repeat(n % 7 === 0 ? 100_000 : 10))
    if (n % 50 === 0) await outbox.comfortable()
  }
  outbox.close(4409, 'taken over elsewhere')
  outbox.sendText('nothing comes after it')
  t.equal(await code, 4409)
  t.strictSame(got, sent)
})

t.test('INV-153: a catch-up waits for a reader that is slow, and goes on with it', async (t) => {
  const { outbox, raw } = await pair(t)
  raw.pause()
  let waited = 0
  const catchingUp = (async () => {
    for (let n = 0; n < 200 && !outbox.closed; n++) {
      if (outbox.crowded) waited++
      await outbox.comfortable()
      outbox.sendText('x'.repeat(100_000))
    }
  })()
  await sleep(200)
  t.equal(outbox.closed, false, 'it is not cut off by what it asked for itself')
  raw.resume()
  await catchingUp
  t.equal(waited, 0)
  t.equal(outbox.closed, false)
})
