// What this holds: what somebody looks at is entered before the first byte of it leaves, and stays
// entered when the reader's connection dies on the way.
// What makes it fail: an answer before `logs.append`, a read that stops with its connection,
// deliveries noted after they were sent.
import { once } from 'node:events'
import { request, type ClientRequest } from 'node:http'
import { connect } from 'node:net'
import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import t from 'tap'
import { admin, privatePostgres } from './support/database.ts'
import { entriesSince, settle, sizes, type Entered } from './support/entries.ts'
import { crowd, words } from './support/crowd.ts'
import { keyDirectory, serverProcess } from './support/processes.ts'
import { everyRole } from './support/roles.ts'
import { went } from './support/wire-operation.ts'
import type { Frame, WireActor } from './support/wire.ts'

const scene = await everyRole(t)
const { server, operation, byRole, administrator, messages, organizations, shared } = scene
const { coordinator, ncp } = byRole
const directory = server.logs.directory

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (let n = 0; n < 400; n++) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`it never came to this: ${what}`)
}

/**
 * Holds the lock of a log while `work` runs, so that whatever wants to enter something there has to
 * wait.
 */
function whileLocked<T>(log: string, work: (waiting: () => Promise<boolean>) => Promise<T>): Promise<T> {
  return admin(server.database.superUrl, async (client: pg.Client) => {
    await client.query('BEGIN')
    await client.query('SELECT 1 FROM log WHERE id = $1 FOR UPDATE', [log])
    const waiting = async () => {
      const { rows } = await client.query<{ n: number }>(
        `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      )
      return (rows[0]?.n ?? 0) > 0
    }
    const result = await work(waiting)
    await client.query('COMMIT')
    return result
  })
}

async function send(actor: WireActor, path: string): Promise<{ sent: ClientRequest; bytes: () => number }> {
  let bytes = 0
  const sent = request(server.url + path, {
    headers: {
      dpop: await actor.proof('GET', path, actor.accessToken),
      authorization: `DPoP ${actor.accessToken}`,
    },
  })
  sent.on('error', () => {})
  sent.on('socket', (socket) => socket.on('data', (data: Buffer) => (bytes += data.length)))
  sent.end()
  return { sent, bytes: () => bytes }
}

const looks: readonly [kind: string, log: string, actor: WireActor, path: string][] = [
  ['body.fetched', operation.id, ncp, `${operation.path}/messages/${messages.text}`],
  ['report.viewed', operation.id, ncp, `${operation.path}/figures`],
  ['feed.opened', operation.id, ncp, `${operation.path}/threads`],
  ['directory.viewed', directory, administrator, '/v1/organizations'],
  ['directory.viewed', directory, administrator, `/v1/organizations/${organizations.kenya}/people`],
  ['directory.viewed', directory, coordinator, `${operation.path}/organizations-named?name=kenya`],
  ['directory.viewed', directory, coordinator, `${operation.path}/candidates?organization=${organizations.kenya}`],
]

t.test('INV-63: a request that is given up on its way is entered, and nothing left before its entry', async (t) => {
  for (const [kind, log, actor, path] of looks) {
    await settle(server)
    const before = await sizes(server)
    const bytes = await whileLocked(log, async (waiting) => {
      const { sent, bytes } = await send(actor, path)
      await until('the request waits for the log', waiting)
      sent.destroy()
      return bytes()
    })
    t.equal(bytes, 0, `${path}: not a byte before the entry`)
    await until(`${path} is entered`, async () => (await entriesSince(server, before)).length > 0)
    const entries = await entriesSince(server, before)
    t.same(
      entries.map((entry) => `${entry.kind} ${entry.person}`),
      [`${kind} ${actor.person}`],
      path,
    )
  }
})

/**
 * A WebSocket by hand: says one frame, and ends without a word when `enough` says so of what came
 * back.
 */
async function cutSocket(
  actor: WireActor,
  frame: object,
  enough: (got: string) => boolean,
): Promise<{ cut: () => void; closed: Promise<unknown>; got: () => string }> {
  const { ticket } = await actor.must('POST', '/v1/live-tickets', {})
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  const closed = new Promise((resolve) => socket.on('close', resolve))
  await once(socket, 'connect')
  let got = ''
  socket.on('data', (data: Buffer) => {
    got += data.toString('utf8')
    if (enough(got)) socket.resetAndDestroy()
  })
  socket.write(
    `GET /v1/live HTTP/1.1\r\nHost: ${hostname}:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n` +
      `Sec-WebSocket-Protocol: cordon.v1, ticket.${ticket}\r\n\r\n`,
  )
  await until('the channel is open', async () => got.includes('\r\n\r\n'))
  const payload = Buffer.from(JSON.stringify(frame))
  const mask = randomBytes(4)
  const masked = payload.map((byte, i) => byte ^ (mask[i % 4] ?? 0))
  socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, masked]))
  return { cut: () => socket.resetAndDestroy(), closed, got: () => got }
}

t.test(
  'INV-63: a feed that is cut off while it opens, or in the middle, is entered with all that was sent',
  async (t) => {
    for (let n = 0; n < 30; n++)
      went(await operation.post(coordinator, { compartment: shared, fields: { text: 'x'.repeat(2_000) } }))
    await settle(server)
    const subscribe = { type: 'subscribe', operation: operation.id, after: -1 }

    const before = await sizes(server)
    await whileLocked(operation.id, async (waiting) => {
      const { cut, closed, got } = await cutSocket(ncp, subscribe, () => false)
      await until('the feed waits for the log', waiting)
      t.notOk(got().includes('"type"'), 'not a frame before the entry')
      cut()
      await closed
    })
    const opened = (entries: readonly Entered[]) =>
      entries.filter(({ kind, person }) => kind === 'feed.opened' && person === ncp.person)
    await until('the feed is entered', async () => opened(await entriesSince(server, before)).length === 1)

    await settle(server)
    const again = await sizes(server)
    const { closed, got: read } = await cutSocket(ncp, subscribe, (text) => text.split('"body":"').length > 3)
    await closed
    const got = read()
    const bodies = [...got.matchAll(/"body":"/g)].length
    t.ok(bodies > 0, `${bodies} bodies had reached the reader when it was cut off`)
    await settle(server)
    const entries = await entriesSince(server, again)
    t.equal(opened(entries).length, 1)
    const delivered = entries.filter(({ kind }) => kind === 'messages.delivered')
    const own = delivered.flatMap(({ details }) => details.readers).find(({ device }) => device === ncp.device.id)
    t.ok(own.count >= bodies, `${own.count} are entered as delivered, of which ${bodies} had arrived`)
    const indexes = [...got.matchAll(/"index":(\d+)[^}]*message\.posted/g)].map(([, index]) => Number(index))
    t.ok(
      indexes.every((index) => index >= own.from && index <= own.to),
      'each of them in its range',
    )
  },
)

t.test(
  'at most one entry of deliveries for each log and 10 seconds, and what is gathered is entered at the end',
  async (t) => {
    const live = await Promise.all([coordinator, ncp, byRole.officer].map((actor) => actor.live()))
    for (const one of live) await one.follow(operation.id)
    await settle(server)
    const before = await sizes(server)
    const posted: string[] = []
    for (let n = 0; n < 5; n++) posted.push(went(await operation.post(coordinator, { compartment: shared })).id)
    for (const one of live)
      await one.first((frame: Frame) => frame.type === 'entry' && String(frame.leaf).includes(posted.at(-1) ?? ''))
    await Promise.all([server.consultation.flush(), server.consultation.flush()])
    const entries = (await entriesSince(server, before)).filter(({ kind }) => kind === 'messages.delivered')
    const counts = new Map<string, number>()
    for (const { readers } of entries.map(({ details }) => details))
      for (const { device, count } of readers) counts.set(device, (counts.get(device) ?? 0) + count)
    t.equal(entries.length <= 2, true, 'one for all readers, and one more where 10 seconds ended in between')
    for (const { device } of [coordinator, ncp, byRole.officer])
      t.equal(counts.get(device.id), 5, 'each reader with all five')
    for (const one of live) one.close()
  },
)

t.test(
  'a server that is killed leaves an open interval: the feed was opened, and nothing says how far it went',
  async (t) => {
    const postgres = await privatePostgres(t)
    const keys = keyDirectory(t)
    const process = await serverProcess(t, { databaseUrl: postgres.appUrl, keys })
    const { posters } = await crowd(t, [process], 2)
    const [poster, reader] = posters
    if (!poster || !reader) throw new Error('a crowd of two')
    const database = { database: { superUrl: postgres.superUrl } } as Parameters<typeof entriesSince>[0]
    const everything = () => entriesSince(database)
    const deliveriesOf = (entries: readonly Entered[]) =>
      entries
        .filter(({ kind }) => kind === 'messages.delivered')
        .flatMap(({ details }) => details.readers)
        .filter(({ person }) => person === reader.client.person)
    await poster.session.post(words('Read, and entered as delivered'))
    await until('10 seconds have ended', async () => deliveriesOf(await everything()).length > 0)
    const { message: id } = await poster.session.post(words('Read before the end'))
    await until('the reader has it', async () => reader.opened.includes(id))
    await process.killAndRestart()
    const entries = await everything()
    const feeds = entries.filter(({ kind, person }) => kind === 'feed.opened' && person === reader.client.person)
    t.ok(feeds.length > 0, 'that the reader follows is there')
    const at = entries.find(({ subject }) => subject === id)?.index ?? Infinity
    const covered = deliveriesOf(entries).some(({ to }) => to >= at)
    t.notOk(covered, 'and that it got this one was not entered before the kill')
    t.ok(feeds[0] !== undefined && feeds[0].details.from <= at, 'the open interval holds it')
  },
)
