// What this holds: a client’s connection opens, is given up and opens again by a clock that nobody
// sets, whatever the network swallows.
// What makes it fail: a wait without an end, the time of day where elapsed time is meant, a failure
// that nobody takes.
import t from 'tap'
import { LiveConnection, type Subscriber } from '../src/client/connection.ts'
import { isProblem, refuse } from '../src/client/problem.ts'
import { webPlatform, type Platform, type Socket } from '../src/client/platform.ts'
import type { Transport } from '../src/client/transport.ts'

type Listener = (event: never) => void

/** A socket whose other end is a test. */
class FakeSocket implements Socket {
  readyState = 0
  readonly sent: { type: string }[] = []
  readonly #listeners = new Map<string, Listener>()

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, listener)
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as { type: string })
  }

  /** Of a socket whose other end is gone nothing more is heard, not even that it closed. */
  close(): void {
    this.readyState = 2
  }

  say(type: 'open' | 'error'): void {
    if (type === 'open') this.readyState = 1
    this.#listeners.get(type)?.({} as never)
  }

  frame(frame: object): void {
    this.text(JSON.stringify(frame))
  }

  text(data: unknown): void {
    this.#listeners.get('message')?.({ data } as never)
  }

  end(code: number): void {
    this.readyState = 3
    this.#listeners.get('close')?.({ code, reason: '' } as never)
  }
}

/** Time that passes when a test says so, and a time of day that is set beside it. */
function harness() {
  let now = 0
  let timeOfDay = Date.parse('2026-11-20T12:00:00Z')
  let timers: { at: number; run: () => void }[] = []
  const sockets: FakeSocket[] = []
  const tickets: (() => Promise<{ ticket: string }>)[] = []
  const platform: Platform = webPlatform(() => new Date(timeOfDay), {
    elapsed: () => now,
    random: (length) => new Uint8Array(length).fill(128),
    after: (milliseconds, run) => {
      const timer = { at: now + milliseconds, run }
      timers.push(timer)
      return () => void (timers = timers.filter((one) => one !== timer))
    },
    WebSocket: function () {
      const socket = new FakeSocket()
      sockets.push(socket)
      return socket
    } as unknown as Platform['WebSocket'],
  })
  const transport = {
    server: 'http://service.example',
    request: () => (tickets.shift() ?? (() => Promise.resolve({ ticket: 'ticket' })))(),
  } as unknown as Transport
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const events: string[] = []
  const finals: unknown[] = []
  const subscriber: Subscriber = {
    connected: () => events.push('connected'),
    frame: ({ type }) => events.push(type),
    disconnected: (final) => {
      events.push('disconnected')
      if (final) finals.push(final.code)
    },
  }
  return {
    connection: new LiveConnection({ platform, transport }),
    platform,
    sockets,
    tickets,
    events,
    finals,
    subscriber,
    turn,
    setClock: (milliseconds: number) => void (timeOfDay += milliseconds),
    /** Lets time pass, and what is due happen. */
    async pass(milliseconds: number) {
      const end = now + milliseconds
      for (;;) {
        await turn()
        const [next] = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
        if (!next) break
        timers = timers.filter((one) => one !== next)
        now = Math.max(now, next.at)
        next.run()
      }
      now = end
      await turn()
    },
    timers: () => timers.length,
    /** The next socket that is opened. */
    async next(): Promise<FakeSocket> {
      const before = sockets.length
      for (let n = 0; n < 200 && sockets.length === before; n++) await this.pass(250)
      const [socket] = sockets.slice(before)
      if (!socket) throw new Error('no further socket was opened')
      return socket
    },
  }
}

async function opened() {
  const it = harness()
  it.connection.attach('operation', it.subscriber)
  await it.turn()
  it.sockets[0]?.say('open')
  if (!it.connection.open) throw new Error('the socket opens')
  return it
}

// Bites: `openWithinMs`.
t.test('INV-155: a socket that does not open within 10 seconds is given up, and another one opened', async (t) => {
  const it = harness()
  it.connection.attach('operation', it.subscriber)
  await it.pass(9_900)
  t.equal(it.sockets.length, 1)
  await it.pass(1_000)
  t.equal(it.sockets.length, 2)
  t.equal(it.sockets[0]?.readyState, 2, 'the first was let go of')
  it.sockets[0]?.say('open')
  t.equal(it.connection.open, false, 'and what comes of it later means nothing')
  it.sockets[1]?.say('open')
  t.equal(it.connection.open, true)
  await it.pass(15_000)
  t.equal(it.sockets.length, 2, 'one that is open is not given up for that')
})

// Bites: `elapsed` in #pingLater.
t.test('INV-155: a socket that is half open is given up in half a minute, whatever the clock is set to', async (t) => {
  for (const set of [0, -3_600_000, 3_600_000, -5 * 365 * 86_400_000]) {
    const it = await opened()
    it.setClock(set)
    await it.pass(20_000)
    t.same(it.sockets[0]?.sent, [{ type: 'ping' }])
    it.setClock(set)
    await it.pass(10_500)
    t.equal(it.sockets.length, 2, `the clock set by ${String(set)} ms`)
    t.same(it.events, ['connected', 'disconnected'])
    it.sockets[1]?.say('open')
    t.same(it.events.slice(2), ['connected'])
  }
})

t.test('INV-155: whatever comes in time keeps a socket, whatever the clock is set to', async (t) => {
  const it = await opened()
  for (let n = 0; n < 10; n++) {
    await it.pass(20_500)
    it.setClock(n % 2 === 0 ? -86_400_000 : 86_400_000)
    it.sockets[0]?.frame(n % 3 === 0 ? { type: 'pong' } : { type: 'entry', operation: 'operation' })
    await it.pass(9_600)
  }
  t.equal(it.sockets.length, 1)
  t.equal(it.sockets[0]?.sent.length, 10)
})

// Bites: the deadline of `post`.
t.test('INV-155: a post that is not answered is told so by elapsed time, and a late answer is no harm', async (t) => {
  const it = await opened()
  const frame = { type: 'post', statement: 'x', body: 'y' } as const
  const post = it.connection.post('message', frame, 20_000)
  const outcome = post.catch((error: unknown) => (isProblem(error) ? error.code : 'unknown'))
  it.setClock(-86_400_000)
  it.sockets[0]?.frame({ type: 'pong' })
  await it.pass(19_000)
  it.sockets[0]?.frame({ type: 'pong' })
  await it.pass(1_500)
  t.equal(await outcome, 'NETWORK')
  it.sockets[0]?.frame({ type: 'accepted', id: 'message', receipt: {} })
  it.sockets[0]?.frame({ type: 'refused', problem: { code: 'VALIDATION', status: 400 } })
  t.equal(it.connection.open, true)
})

// Bites: `#begin`, which takes whatever fails.
t.test(
  'INV-160: what fails on the way to a connection is tried again, and nothing of it is left to nobody',
  async (t) => {
    const unhandled: unknown[] = []
    const note = (reason: unknown) => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    t.teardown(() => process.off('unhandledRejection', note))
    const it = harness()
    it.tickets.push(
      () => Promise.reject(refuse('NETWORK', 'away')),
      () => Promise.reject(new TypeError('a bug')),
      () => Promise.resolve(undefined as never),
    )
    let broken = true
    const subscriber: Subscriber = {
      ...it.subscriber,
      connected: () => {
        it.subscriber.connected()
        if (broken) throw new Error('a listener that fails')
      },
    }
    it.connection.attach('operation', subscriber)
    const first = await it.next()
    t.throws(() => first.say('open'))
    broken = false
    const second = it.next()
    first.end(1006)
    ;(await second).say('open')
    t.equal(it.connection.open, true)
    t.same(unhandled, [])
  },
)

// Bites: `frameIn` and `statusIn`: a listener that throws ends a process.
t.test('INV-160: what is no frame, or half of one, costs a socket at most', async (t) => {
  for (const data of ['null', '[]', '"x"', '7', '', '{', '{"type":5}', new ArrayBuffer(3), undefined]) {
    const it = await opened()
    t.doesNotThrow(() => it.sockets[0]?.text(data))
    await it.next()
    t.pass('and another one is opened')
  }
  const it = await opened()
  const frame = { type: 'post', statement: 'x', body: 'y' } as const
  for (const half of [
    {},
    { problem: null },
    { problem: 'x' },
    { problem: { status: 'x' } },
    { problem: { code: 7 } },
  ]) {
    const outcome = it.connection.post('message', frame, 20_000).catch((error: unknown) => error)
    t.doesNotThrow(() => it.sockets[0]?.frame({ type: 'refused', id: 'message', ...half }))
    t.ok(isProblem(await outcome, 'ANSWER_INVALID'), JSON.stringify(half))
  }
  for (const half of [{ type: 'entry' }, { type: 'accepted' }, { type: 'unheard-of' }, { type: 'refused', id: 7 }])
    t.doesNotThrow(() => it.sockets[0]?.frame(half))
  t.equal(it.connection.open, true)
})

t.test('a session that has ended is not asked for again, and is when somebody has signed in', async (t) => {
  const it = harness()
  it.tickets.push(() => Promise.reject(refuse('NOT_SIGNED_IN', 'nobody')))
  it.connection.attach('operation', it.subscriber)
  await it.pass(600_000)
  t.equal(it.sockets.length, 0)
  t.same(it.finals, ['NOT_SIGNED_IN'])
  it.connection.resume()
  await it.turn()
  t.equal(it.sockets.length, 1)
  it.connection.close()
  t.equal(it.timers(), 0, 'what is closed waits for nothing')
})
