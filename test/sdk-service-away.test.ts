// What this holds: a service that is away, slow or stands still, and a clock that is off, cost a
// client time and nothing else.
// What makes it fail: a message that is promised to be sent and is not kept, a token that counts as
// stolen because its answer was lost, a proof dated by the device’s clock, a wait without an end.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import fc from 'fast-check'
import { SignJWT } from 'jose'
import t from 'tap'
import {
  Cordon,
  MemoryStore,
  isProblem,
  listPending,
  webPlatform,
  type ClientProblem,
  type OperationSession,
  type Platform,
} from '../src/client/index.ts'
import { ServiceTime } from '../src/client/service-time.ts'
import { mostClockDifferenceMs } from '../src/protocol/index.ts'
import { enrolWith, opened, passphrase } from './support/actors.ts'
import { code, text } from './support/altered-operation.ts'
import { usualOperation } from './support/usual-operation.ts'
import { WireActor, ask, codeOf } from './support/wire.ts'

const { server, administrator, coordinator, operation } = await usualOperation(t)
const leading = await coordinator.follow(operation)
const kenya = await administrator.directory.registerOrganization({
  kind: 'administration',
  name: 'Kenya',
  country: 'KE',
})
await coordinator.operations.admitOrganization(operation, kenya)

/** The network of one client, and the clock of its device. */
class Network {
  /** Milliseconds that its clock is off. */
  off = 0
  /** How much faster its timers run. */
  faster = 1
  away = false
  /** Whether the socket goes when the next message is posted over it: it then goes over HTTP. */
  cutsPost = false
  /** Answers instead of the service; undefined: the service does. */
  instead: (path: string) => Response | Promise<Response> | undefined = () => undefined
  /** Whether the answer is lost on its way. */
  loses: (path: string) => boolean = () => false
  readonly answers: { path: string; status: number }[] = []
  readonly #sockets = new Set<WebSocket>()

  get platform(): Partial<Platform> {
    return {
      clock: () => new Date(server.clock.now().getTime() + this.off),
      elapsed: () => performance.now() * this.faster,
      fetch: (url, init) => this.#fetch(url, init),
      after: (milliseconds, run) => {
        const timer = setTimeout(run, milliseconds / this.faster)
        return () => clearTimeout(timer)
      },
      WebSocket: this.#webSocket(),
    }
  }

  #webSocket(): Platform['WebSocket'] {
    const sockets = this.#sockets
    const cuts = () => {
      const { cutsPost } = this
      this.cutsPost = false
      return cutsPost
    }
    return class extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols)
        sockets.add(this)
      }

      override send(text: string): void {
        if (text.includes('"type":"post"') && cuts()) this.close()
        else super.send(text)
      }
    }
  }

  async #fetch(url: string, init: RequestInit): Promise<Response> {
    const path = new URL(url).pathname
    if (this.away) throw new TypeError('fetch failed')
    const response = (await this.instead(path)) ?? (await fetch(url, init))
    this.answers.push({ path, status: response.status })
    if (this.loses(path)) throw new TypeError('the answer was lost')
    return response
  }

  /** Resolves once whoever uses it has noticed. */
  async goAway(): Promise<void> {
    this.away = true
    const open = [...this.#sockets].filter(({ readyState }) => readyState === WebSocket.OPEN)
    this.#sockets.clear()
    await Promise.all(
      open.map((socket) => {
        const closed = once(socket, 'close')
        socket.close()
        return closed
      }),
    )
  }
}

/** Somebody who is in the operation, over a network of their own. */
async function member(): Promise<{ client: Cordon; network: Network; session: OperationSession; store: MemoryStore }> {
  const network = new Network()
  const store = new MemoryStore()
  const client = await enrolWith(t, administrator, {
    name: `Officer ${randomBytes(3).toString('hex')}`,
    organization: kenya,
    platform: network.platform,
    store,
  })
  await coordinator.operations.admit(operation, { person: client.person, organization: kenya, role: 'ncp' })
  const session = await client.follow(operation)
  await session.ready()
  await session.post(text('Here.'))
  return { client, network, session, store }
}

/** The same device in another process. */
async function restarted({ client, network, store }: Awaited<ReturnType<typeof member>>): Promise<Cordon> {
  await client.close()
  const again = new Cordon({ store, platform: webPlatform(() => server.clock.now(), network.platform) })
  t.teardown(() => again.close())
  await again.load()
  return again
}

// Bites: `now` of Transport, by which proofs and statements are dated.
t.test(
  'INV-154: a device whose clock is off by up to five minutes works, and dates what it signs rightly',
  async (t) => {
    for (const [off, words] of [
      [6_000, '6 seconds ahead of'],
      [-70_000, '70 seconds behind'],
      [280_000, '5 minutes ahead of'],
      [-290_000, '5 minutes behind'],
    ] as const) {
      const { client, network, session, store } = await member()
      await client.signOut()
      network.off = off
      network.answers.length = 0
      await client.signIn({ passphrase })
      const { message, at } = await (await client.follow(operation)).post(text(`Off by ${String(off)} ms.`))
      const shown = await opened(coordinator, operation, message)
      t.ok(Math.abs(Date.parse(shown.sentAt) - Date.parse(at)) < 5_000, `${words}: dated as the service has it`)
      t.equal(network.answers.filter(({ status }) => status === 401).length, 0, 'nothing was refused')
      t.equal(client.transport.clockOff(5_000), words)
      t.same(session.alarms, [])
      const again = await restarted({ client, network, session, store })
      network.answers.length = 0
      await again.me()
      t.equal(network.answers.filter(({ status }) => status === 401).length, 0, 'nor in the next process')
    }
  },
)

// Bites: the second proof in #send.
t.test('INV-154: a clock that is set while somebody is signed in ends nothing', async (t) => {
  const { client, network, session } = await member()
  for (const off of [-70_000, 70_000, 0, -250_000, 250_000]) {
    network.off = off
    await t.resolves(client.me(), `set to ${String(off)} ms`)
    await t.resolves(client.transport.refresh())
    await t.resolves(session.post(text('Still here.')))
  }
  t.same(session.alarms, [])
})

// Bites: `refusal` of ServiceTime.
t.test('INV-154: a device whose clock is further off is told so in plain words, and signs nothing', async (t) => {
  const { client, network } = await member()
  await client.signOut()
  for (const [off, words] of [
    [20 * 60_000, '20 minutes ahead of'],
    [-3 * 3_600_000, '3 hours behind'],
    [-5 * 86_400_000, '5 days behind'],
  ] as const) {
    network.off = off
    const refused = await client.signIn({ passphrase }).catch((error: unknown) => error)
    t.match(refused, { code: 'CLOCK_WRONG', detail: `The clock of this device is ${words} that of the service.` })
  }
  network.off = 0
  t.equal(await code(client.signIn({ passphrase })), 'accepted', 'once it is right it works')
})

// Bites: the bound in `now`.
t.test('INV-154: no service moves the dates of a device by more than clocks may differ', async (t) => {
  const answers = fc.array(
    fc.record({
      date: fc.oneof(
        fc.date({ noInvalidDate: true }).map((date) => date.toUTCString()),
        fc.integer({ min: -600_000, max: 600_000 }).map((by) => new Date(1_800_000_000_000 + by).toUTCString()),
        fc.string(),
        fc.constant(null),
      ),
      took: fc.double({ min: 0, max: 1e6, noNaN: true }),
      kept: fc.anything(),
    }),
  )
  fc.assert(
    fc.property(answers, (all) => {
      const time = new ServiceTime({ clock: () => new Date(1_800_000_000_000), elapsed: () => 0 })
      for (const { date, took, kept } of all) {
        time.resume(kept)
        time.learn(date, took)
        if (!(Math.abs(time.now().getTime() - 1_800_000_000_000) <= mostClockDifferenceMs)) return false
      }
      return true
    }),
    { numRuns: 500 },
  )
  const { client, network } = await member()
  for (const lie of [-86_400_000, 3_600_000, mostClockDifferenceMs + 3_000, -86_400_000 * 365 * 27]) {
    network.instead = (path) =>
      path === '/v1/server'
        ? fetch(server.url + path).then(async (answer) => {
            const headers = { date: new Date(server.clock.now().getTime() + lie).toUTCString() }
            return new Response(await answer.text(), { headers })
          })
        : undefined
    await client.transport.open('GET', '/v1/server')
    t.equal(client.transport.now().getTime() - client.transport.deviceTime().getTime() < 10, true, `a lie of ${lie} ms`)
  }
})

/** A session of the administrator by hand, with proofs of the time that the service has. */
class Session {
  readonly actor: WireActor
  token = ''

  constructor(actor: WireActor) {
    this.actor = actor
  }

  static async start(by?: { readonly actor: WireActor }): Promise<Session> {
    const actor = await new WireActor(server, 'administrator').prepare()
    const { self } = administrator
    Object.assign(actor, { person: self.account.person, device: by?.actor.device ?? self.device })
    await actor.signIn(passphrase)
    const session = new Session(actor)
    session.token = actor.refreshToken
    return session
  }

  async exchange(token: string, attempt?: string, key = this.actor) {
    const proof = await new SignJWT({
      htm: 'POST',
      htu: `${server.url}/v1/tokens`,
      jti: randomBytes(16).toString('hex'),
    })
      .setProtectedHeader({ alg: 'Ed25519', typ: 'dpop+jwt', jwk: key.jwk })
      .setIssuedAt(Math.floor(server.clock.now().getTime() / 1000))
      .sign(key.key)
    const body = JSON.stringify({ refreshToken: token, ...(attempt === undefined ? {} : { attempt }) })
    return ask(`${server.url}/v1/tokens`, {
      method: 'POST',
      headers: { dpop: proof, 'content-type': 'application/json' },
      body,
    })
  }
}

/** Time passes for the service and all that go by its clock, until what happens then is over. */
async function later<T>(milliseconds: number, work: () => Promise<T>): Promise<T> {
  server.clock.advance(milliseconds)
  try {
    return await work()
  } finally {
    server.clock.advance(-milliseconds)
  }
}

const named = () => randomBytes(16).toString('base64url')

// Bites: `isSameAttempt`.
t.test(
  'INV-156: an exchange whose answer was lost gets the same answer, however late, until the next one',
  async (t) => {
    const session = await Session.start()
    const attempt = named()
    const first = await session.exchange(session.token, attempt)
    t.equal(first.status, 200)
    for (const passed of [0, 31_000, 95_000, 3_600_000]) {
      const again = await later(passed, () => session.exchange(session.token, attempt))
      t.equal(again.body.refreshToken, first.body.refreshToken, `${String(passed)} ms later`)
    }
    const next = await session.exchange(first.body.refreshToken, named())
    t.equal(next.status, 200)
    const reused = await later(31_000, () => session.exchange(session.token, attempt))
    t.equal(codeOf(reused), '401 UNAUTHENTICATED', 'once the answer was used')
    t.equal(
      codeOf(await session.exchange(next.body.refreshToken, named())),
      '401 SESSION_ENDED',
      'its reuse is a theft',
    )
  },
)

t.test('INV-91: INV-156: any other reuse of a refresh token ends the session, also with its key', async (t) => {
  const reuses: Readonly<
    Record<string, (session: Session, attempt: string, next: string) => ReturnType<Session['exchange']>>
  > = {
    'another attempt': (session) => session.exchange(session.token, named()),
    'no attempt': (session) => session.exchange(session.token),
    'the attempt of another exchange': async (session, attempt, next) => {
      const theirs = named()
      await bystander.exchange(bystander.token, theirs)
      t.equal((await session.exchange(session.token, attempt)).body.refreshToken, next, 'its own is still good')
      return session.exchange(session.token, theirs)
    },
    'another key, with the attempt': async (session, attempt) =>
      session.exchange(session.token, attempt, await new WireActor(server, 'thief').prepare()),
  }
  const bystander = await Session.start()
  for (const [what, reuse] of Object.entries(reuses)) {
    const session = await Session.start()
    const attempt = named()
    const { body } = await session.exchange(session.token, attempt)
    const reused = await later(31_000, () => reuse(session, attempt, body.refreshToken))
    t.equal(codeOf(reused), '401 UNAUTHENTICATED', what)
    t.equal(codeOf(await session.exchange(body.refreshToken, named())), '401 SESSION_ENDED', what)
  }
  const unnamed = await Session.start()
  const { body } = await unnamed.exchange(unnamed.token)
  t.equal((await unnamed.exchange(unnamed.token, named())).body.refreshToken, body.refreshToken, 'within the moment')
  const late = await later(31_000, () => unnamed.exchange(unnamed.token, named()))
  t.equal(codeOf(late), '401 UNAUTHENTICATED', 'a name given late is none')
})

// Bites: `attempt` of the stored session.
t.test(
  'INV-156: a service that stands still while tokens are exchanged ends no session, nor does a process',
  async (t) => {
    const of = await member()
    const { client, network } = of
    let lost = 0
    network.loses = (path) => path === '/v1/tokens' && lost++ < 5
    network.faster = 50
    t.equal(await code(client.transport.refresh()), 'NETWORK')
    t.equal(lost, 5, 'each answer was lost')
    await later(90_000, () => client.transport.refresh())
    await t.resolves(client.me())
    lost = 0
    t.equal(await code(client.transport.refresh()), 'NETWORK')
    await later(600_000, async () => {
      const again = await restarted(of)
      await t.resolves(again.me(), 'the next process gets the answer that the last one did not')
      await t.resolves(again.transport.refresh())
    })
    t.equal(network.answers.filter(({ path, status }) => path === '/v1/tokens' && status !== 200).length, 0)
  },
)

// Bites: `requireStatable`.
t.test('INV-157: a draft that no statement could say is refused before anything is sealed, sent or kept', async (t) => {
  const { network, session, store } = await member()
  const organization = kenya
  const many = Array.from({ length: 201 }, (_, n) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`)
  const cases: readonly [pointer: string, beside: object][] = [
    ['/addressees', { addressees: [] }],
    ['/addressees/0', { addressees: [organization.toUpperCase()] }],
    ['/addressees', { addressees: [organization, organization] }],
    ['/addressees', { addressees: many }],
    ['/replyBy', { replyBy: new Date('+010000-01-01T00:00:00.000Z') }],
    ['/replyBy', { replyBy: new Date(-1e14) }],
    ['/replyBy', { replyBy: new Date(Number.NaN) }],
    ['/compartment', { compartment: operation.toUpperCase() }],
    ['/thread', { thread: 'none' }],
    ['/id', { id: `${organization} ` }],
    ['/precedence', { precedence: 'flash' }],
    ['/handling/tlp', { handling: { tlp: 'PINK' } }],
    ['/refersTo/message', { refersTo: { message: organization.toUpperCase(), as: 'reply' } }],
    ['', { colour: 'red' }],
  ]
  network.answers.length = 0
  for (const [pointer, beside] of cases) {
    const refused = await session
      .post({ ...text('Wrong.'), ...beside })
      .catch((error: unknown) => error as ClientProblem)
    t.ok(isProblem(refused, 'FIELDS_INVALID'), JSON.stringify(beside).slice(0, 60))
    const { faults } = (refused as ClientProblem).extra as { faults: { pointer: string; advice: string }[] }
    t.ok(
      faults.some((fault) => fault.pointer === pointer && fault.advice !== ''),
      `at ${pointer}: ${JSON.stringify(faults)}`,
    )
  }
  t.same(network.answers, [])
  t.same(await listPending(store, operation), [])
})

// Bites: the id in the refusal, and that it ends what is pending.
t.test('INV-157: what an earlier version left, and is refused for its shape, is not pending any more', async (t) => {
  const of = await member()
  const { client, session, network, store } = of
  await network.goAway()
  t.equal(await code(session.post(text('Left behind.'), 50)), 'TIMED_OUT')
  await client.close()
  const [[name, value] = ['', {}]] = await store.list(`operation/${operation}/pending/`)
  const left = value as { draft: object }
  // As a version without the check left it.
  await store.write([{ name, value: { ...left, draft: { ...left.draft, addressees: [] } } }])
  network.away = false
  const again = await restarted(of)
  const following = await again.follow(operation)
  const refused = await following.events.once('refused')
  t.equal(refused.problem.code, 'STATEMENT_INVALID')
  t.same(await listPending(store, operation), [])
  t.same(following.alarms, [])
})

// Bites: `#keepOnce`, and that a delivery goes on after whoever asked for it was told that it takes
// long.
t.test('INV-158: what is written while the service is away is sent once when it is back', async (t) => {
  const { session, network, store } = await member()
  await network.goAway()
  const draft = { ...text('Written while it was away.'), id: '01890000-0000-7000-8000-00000000abcd' }
  t.equal(await code(session.post(draft, 100)), 'TIMED_OUT')
  t.match(await listPending(store, operation), [{ message: draft.id, form: 'text' }])
  t.equal(await code(session.post(draft, 100)), 'TIMED_OUT', 'asked for again it is the same')
  const told = session.events.once('posted', ({ message }) => message === draft.id)
  network.away = false
  t.ok((await told).index > 0)
  t.ok(await opened(coordinator, operation, draft.id))
  t.equal(leading.messages.filter(({ id }) => id === draft.id).length, 1)
  t.same(await listPending(store, operation), [])
})

t.test('INV-158: what one process wrote while the service was away the next one sends', async (t) => {
  const of = await member()
  const { session, network, store } = of
  await network.goAway()
  const [one, two] = await Promise.all(
    ['One.', 'Two.'].map(async (words) => {
      const refused = await session.post(text(words), 50).catch((error: unknown) => error as ClientProblem)
      return String((refused as ClientProblem).extra['message'])
    }),
  )
  await session.drop(two ?? '')
  t.equal(await code(session.drop(two ?? '')), 'NOT_PENDING')
  const again = await restarted(of)
  network.away = false
  const following = await again.follow(operation)
  t.equal((await following.events.once('posted')).message, one)
  t.ok(await opened(coordinator, operation, one ?? ''))
  t.notOk(leading.message(two ?? ''), 'and what was dropped is not sent')
  t.same(await listPending(store, operation), [])
  t.same(following.alarms, [])
})

// Bites: `isDefinite`, and what stands for a service that is away.
t.test('INV-158: neither a fault of the service nor the words of a proxy end a message', async (t) => {
  const { client, session, network, store } = await member()
  network.faster = 20
  const isPost = (path: string) => path.endsWith('/messages')
  const answers: Readonly<Record<string, () => Response>> = {
    '502 in HTML': () => new Response('<h1>Bad gateway</h1>', { status: 502 }),
    '503 of the service': () => Response.json({ code: 'OVERLOADED', status: 503, title: '' }, { status: 503 }),
    '408': () => Response.json({ code: 'REQUEST_TIMEOUT', status: 408, title: '' }, { status: 408 }),
    '429': () => Response.json({ code: 'TOO_MANY_REQUESTS', status: 429, title: '' }, { status: 429 }),
  }
  for (const [what, answer] of Object.entries(answers)) {
    let refused = 0
    let tickets = 0
    network.cutsPost = true
    network.instead = (path) =>
      isPost(path) && refused++ < 2 ? answer() : path === '/v1/live-tickets' && tickets++ < 2 ? answer() : undefined
    const posted = await session.post(text(what))
    t.ok(refused >= 2, what)
    t.ok(await opened(coordinator, operation, posted.message))
    await session.ready()
  }
  network.cutsPost = true
  network.instead = (path) =>
    isPost(path) || path === '/v1/live-tickets'
      ? Response.json({ code: 'INTERNAL', status: 500, title: '' }, { status: 500 })
      : undefined
  t.equal(await code(session.post(text('A bug.'))), 'INTERNAL')
  t.equal((await listPending(store, operation)).length, 1, 'it is kept')
  network.instead = () => undefined
  await session.events.once('posted')
  t.same(await listPending(store, operation), [])
  t.equal(client.signedIn, true)
})

// Bites: the deadline of a request.
t.test('INV-155: a service that accepts and never answers is not waited for without end', async (t) => {
  const { client, network } = await member()
  network.faster = 100
  const hanging = (ends?: AbortSignal | null) =>
    new Promise<Response>((_, reject) => ends?.addEventListener('abort', () => reject(new Error('given up'))))
  const { fetch: plain } = network.platform
  t.ok(plain)
  let signal: AbortSignal | null | undefined
  const real = globalThis.fetch
  globalThis.fetch = (_, init) => {
    signal = init?.signal
    return hanging(signal)
  }
  t.teardown(() => void (globalThis.fetch = real))
  const begun = performance.now()
  const refused = await client.operations.list().catch((error: unknown) => error as ClientProblem)
  globalThis.fetch = real
  t.match(refused, { code: 'NETWORK', detail: / does not answer\.$/ })
  t.ok((performance.now() - begun) * 100 < 200_000, 'after two and a half minutes at most, by its own clock')
  await t.resolves(client.operations.list())
})
