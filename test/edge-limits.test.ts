// What this holds: whatever comes in is bounded: headers, bodies, their depth, every list and text
// of every schema, what is open and what is under way; and X-Forwarded-For is believed of the
// proxies that are named, of nobody else (D3).
import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import t from 'tap'
import { Type, type TSchema } from 'typebox'
import { createLogger, everybody, RouteFault, buildHttp, unboundedIn, type HttpDeps } from '../src/http/index.ts'
import { ClientFrame, Receipt } from '../src/protocol/index.ts'
import { alone, startAMinute } from './support/rates.ts'
import { startServer } from './support/server.ts'
import { WireActor, codeOf, setUp } from './support/wire.ts'

const open = { access: everybody, record: 'nothing: it shows nothing about any person' } as const

async function edge(owner: Pick<typeof t, 'teardown'>, deps: Partial<HttpDeps> = {}) {
  const app = await buildHttp({
    publicUrl: 'https://cordon.example',
    version: '1.2.3',
    trustedProxies: [],
    log: createLogger({ level: 'silent' }),
    requestId: () => 'request',
    toProblem: (error) => error,
    ready: async () => true,
    ...alone(),
    ...deps,
  })
  owner.teardown(() => app.close())
  return app
}

// Bites: `unboundedIn` in src/http/guard.ts.
t.test('INV-86: a route that takes in a value without a bound does not boot', async (t) => {
  const app = await edge(t)
  const exactly = { additionalProperties: false }
  const unbounded: TSchema[] = [
    Type.Object({ a: Type.String() }, exactly),
    Type.Object({ a: Type.String({ pattern: '^[a-z]+$' }) }, exactly),
    Type.Object({ a: Type.String({ pattern: '[a-z]{3}' }) }, exactly),
    Type.Object({ a: Type.String({ pattern: '^[a-z]{3,}$' }) }, exactly),
    Type.Object({ a: Type.String({ pattern: '^a$|b' }) }, exactly),
    Type.Object({ a: Type.Array(Type.Integer()) }, exactly),
    Type.Object({ a: Type.Array(Type.String(), { maxItems: 3 }) }, exactly),
    Type.Object({ a: Type.Union([Type.Null(), Type.Object({ b: Type.String() }, exactly)]) }, exactly),
    Type.Record(Type.String(), Type.Integer()),
  ]
  for (const [i, schema] of unbounded.entries())
    for (const part of ['body', 'querystring'] as const)
      t.throws(
        () => app.post(`/v1/${part}/${i}`, { config: open, schema: { [part]: schema } }, async () => ({})),
        RouteFault,
        `${part} ${i}`,
      )
  const bounded = Type.Object(
    {
      a: Type.String({ maxLength: 3 }),
      b: Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' }),
      c: Type.Array(Type.Union([Type.Literal('x'), Type.Literal('y')]), { maxItems: 3 }),
    },
    exactly,
  )
  app.post('/v1/fine', { config: open, schema: { body: bounded } }, async () => ({}))
})

t.test('INV-86: nothing that the service takes in, by a request or a frame, is without a bound', async (t) => {
  const server = await startServer(t)
  interface Operation {
    parameters?: { name: string; schema: unknown }[]
    requestBody?: { content: Record<string, { schema: unknown }> }
  }
  const page = (await server.app.inject('/openapi.json')).json<{ paths: Record<string, Record<string, Operation>> }>()
  const found: string[] = []
  let looked = 0
  for (const [path, methods] of Object.entries(page.paths))
    for (const [method, { parameters = [], requestBody }] of Object.entries(methods)) {
      const schemas = [
        ...parameters.map(({ name, schema }) => [name, schema] as const),
        ...Object.values(requestBody?.content ?? {}).map(({ schema }) => ['body', schema] as const),
      ]
      for (const [name, schema] of schemas) {
        looked++
        const at = unboundedIn(schema)
        if (at !== undefined) found.push(`${method} ${path} ${name} ${at}`)
      }
    }
  t.ok(looked > 100)
  t.strictSame(found, [])
  t.equal(unboundedIn(ClientFrame), undefined, 'frames of clients')
  t.not(unboundedIn(Receipt), undefined, 'and what has none is found')
})

t.test('headers, bodies and what lies in them are bounded', async (t) => {
  const app = await edge(t)
  app.post('/v1/any', { config: open }, async () => ({}))
  const send = (payload: string) =>
    app.inject({ method: 'POST', url: '/v1/any', headers: { 'content-type': 'application/json' }, payload })
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  t.equal((await send(nested(16))).statusCode, 200)
  for (const deep of [nested(17), '{"a":'.repeat(17) + '1' + '}'.repeat(17), '['.repeat(500_000)]) {
    const answer = await send(deep)
    t.equal(answer.statusCode, 400)
    t.match(answer.json(), { code: 'MALFORMED_JSON', deepest: 16 })
  }
  t.equal((await send(JSON.stringify({ a: `${'['.repeat(100)}"\\${'{'.repeat(100)}` }))).statusCode, 200, 'in a text')
  t.equal((await send(JSON.stringify(Array.from({ length: 1_000 }, () => [])))).statusCode, 200, 'side by side')
  t.equal((await send(`"${'a'.repeat(600_000)}"`)).json().code, 'TOO_LARGE')

  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const long = await raw(port, `GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: ${'a'.repeat(17_000)}\r\n\r\n`)
  t.match(long, /^HTTP\/1\.1 431/)
  const problem: unknown = JSON.parse(long.slice(long.indexOf('{')))
  t.match(problem, { status: 431, code: 'HEADERS_TOO_LARGE', limitBytes: 16_384 }, 'which the body says, too')
  t.match(await raw(port, `GET /${'a'.repeat(17_000)} HTTP/1.1\r\nHost: x\r\n\r\n`), /^HTTP\/1\.1 431/)
  t.match(await raw(port, 'GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'), /^HTTP\/1\.1 200/)
})

/** What a connection that sends this is answered until it ends. */
async function raw(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => (answer += String(chunk)))
  socket.on('error', () => {})
  socket.write(text)
  await once(socket, 'close')
  return answer
}

// Bites: `boundCrowd` in src/http/server.ts.
t.test('requests under way and connections are bounded', async (t) => {
  const app = await edge(t, { room: { requests: 3, connections: 6 } })
  const holding = Promise.withResolvers<void>()
  app.get('/v1/slow', { config: open }, async () => {
    await holding.promise
    return {}
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  let begun = 0
  const allBegun = new Promise<void>((resolve) => app.server.on('request', () => ++begun === 3 && resolve()))
  const slow = Array.from({ length: 3 }, () => fetch(`${url}/v1/slow`).then(({ status }) => status))
  await allBegun
  const refused = await fetch(`${url}/v1/slow`)
  t.equal(refused.status, 503)
  t.match(await refused.json(), { code: 'OVERLOADED' })
  t.ok(refused.headers.get('retry-after'))
  t.equal((await fetch(`${url}/livez`)).status, 200, 'a busy process is alive')
  const idle = Array.from({ length: 6 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  await Promise.race(idle.map((socket) => once(socket, 'close')))
  t.pass('a connection too many is cut off')
  for (const socket of idle) socket.destroy()
  holding.resolve()
  t.strictSame(await Promise.all(slow), [200, 200, 200])
})

// Bites: `trustProxy` in src/http/server.ts.
t.test('INV-87: X-Forwarded-For is believed of the proxies that are named, and of nobody else', async (t) => {
  const said = { 'x-forwarded-for': '203.0.113.9, 198.51.100.4' }
  const seen = async (trustedProxies: string[], remoteAddress: string) => {
    const app = await edge(t, { trustedProxies })
    app.get('/v1/from', { config: open }, async (request) => ({ from: request.ip }))
    return (await app.inject({ url: '/v1/from', remoteAddress, headers: said })).json<{ from: string }>().from
  }
  t.equal(await seen([], '10.0.0.7'), '10.0.0.7', 'no proxy is named')
  t.equal(await seen(['10.0.0.0/24'], '10.0.1.7'), '10.0.1.7', 'another one is')
  t.equal(
    await seen(['10.0.0.0/24'], '10.0.0.7'),
    '198.51.100.4',
    'what the proxy itself saw, not what its client said',
  )
  t.equal(await seen(['10.0.0.0/24', '198.51.100.4'], '10.0.0.7'), '203.0.113.9', 'a chain of proxies')
})

t.test('/version says which program this is', async (t) => {
  t.same((await (await edge(t)).inject('/version')).json(), { version: '1.2.3', commit: null })
  const commit = 'a'.repeat(40)
  t.same((await (await edge(t, { commit })).inject('/version')).json(), { version: '1.2.3', commit })
})

// Bites: `hasRoomFor` in src/live/routes.ts; `demandRoom` in Connection.
t.test('a person has so many live connections, and one quota for requests and frames', async (t) => {
  const server = await startServer(t, { quotas: { 'account-writing': 60 } })
  const { administrator } = await setUp(server)
  startAMinute(server)
  const sessions: WireActor[] = []
  for (let i = 0; i < 11; i++) {
    const one = await new WireActor(server, 'administrator').prepare()
    one.person = administrator.person
    one.device = administrator.device
    await one.signIn()
    sessions.push(one)
  }
  const [last = administrator, ...others] = sessions
  const channels = await Promise.all(others.map((one) => one.live()))
  await t.rejects(last.live(), /refused/)
  channels[0]?.close()
  await channels[0]?.closed
  const again = await last.live()
  const replacing = await last.live()
  t.equal((await again.closed).code, 4409, 'one of the same session takes its place')
  const grant = { device: 'x'.repeat(43), epoch: 1, grant: 'x' }
  const operation = administrator.organization
  for (let i = 0; i < 61; i++) replacing.send({ type: 'grant', operation, compartment: operation, grants: [grant] })
  const { problem } = await replacing.first(({ type, problem }) => type === 'refused' && problem.status === 429)
  t.equal(problem.code, 'TOO_MANY_REQUESTS')
  const partner = { id: operation, kind: 'partner', name: 'Partner' }
  t.equal(codeOf(await administrator.call('POST', '/v1/organizations', partner)), '429 TOO_MANY_REQUESTS')
})
