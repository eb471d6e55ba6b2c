import websocket from '@fastify/websocket'
import { once } from 'node:events'
import { connect, type AddressInfo } from 'node:net'
import { Writable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { Type } from 'typebox'
import { Problem } from '../src/errors.ts'
import {
  buildHttp,
  closesWhole,
  createLogger,
  everybody,
  makeAccess,
  RouteFault,
  type HttpDeps,
} from '../src/http/index.ts'
import { alone } from './support/rates.ts'

type Test = typeof t

const record = 'nothing: it shows nothing about any person' as const

/** Whoever says anything of themselves. */
const known = makeAccess(
  'message.read',
  ['UNAUTHENTICATED'],
  async ({ headers: { authorization } }) => {
    if (authorization === undefined) throw new Problem('UNAUTHENTICATED')
    return authorization
  },
  async (who) => who,
)

interface Edge {
  readonly level?: string
  deps?: Partial<HttpDeps>
}

async function edge(t: Pick<Test, 'teardown'>, { deps = {}, level = 'info' }: Edge = {}) {
  const lines: string[] = []
  let number = 0
  const app = await buildHttp({
    publicUrl: 'https://cordon.example',
    version: '0.0.0',
    trustedProxies: [],
    log: createLogger({
      level,
      to: new Writable({
        write(chunk, _, done) {
          lines.push(String(chunk))
          done()
        },
      }),
    }),
    requestId: () => `request-${++number}`,
    toProblem: (error) => error,
    ...alone(),
    ready: async () => true,
    ...deps,
  })
  t.teardown(() => app.close())
  return { app, lines, log: () => lines.join('') }
}

const Note = Type.Object(
  {
    text: Type.String({ minLength: 1, maxLength: 1_000_000 }),
    count: Type.Optional(Type.Integer()),
    inner: Type.Optional(Type.Object({ a: Type.String({ maxLength: 9 }) }, { additionalProperties: false })),
  },
  { additionalProperties: false },
)

async function edgeWithRoutes(t: Pick<Test, 'teardown'>, options: Edge = {}) {
  const made = await edge(t, options)
  made.app.post(
    '/v1/notes',
    { config: { access: everybody, record }, schema: { body: Note } },
    async (request) => request.body,
  )
  made.app.get(
    '/v1/notes/:id',
    {
      config: { access: known, record },
      schema: { querystring: Type.Object({ limit: Type.Integer({ default: 5 }) }) },
    },
    async (request) => ({ limit: request.query.limit }),
  )
  made.app.get('/v1/broken', { config: { access: everybody, record } }, async () => {
    throw new Error('the secret plan')
  })
  made.app.get(
    '/v1/typed',
    {
      config: { access: everybody, record },
      schema: { response: { 200: Type.Object({ seen: Type.String() }) } },
    },
    async () => ({ seen: 'yes', passphrase: 'never' }) as { seen: string },
  )
  return made
}

t.test(
  'INV-09: a route that declares no access or no record, or one that does not exist, does not boot (A19)',
  async (t) => {
    const { app } = await edge(t)
    const body = async () => ({})
    t.throws(() => app.get('/v1/open', body), RouteFault)
    t.throws(() => app.get('/v1/typo', { config: { access: 'mesage.read' as never, record } }, body), /mesage\.read/)
    t.throws(() => app.get('/v1/odd', { config: { access: ['message.read'] as never, record } }, body), RouteFault)
    t.throws(() => app.get('/v1/proto', { config: { access: { ...known } as never, record } }, body), RouteFault)
    t.throws(() => app.get('/v1/unrecorded', { config: { access: known } }, body), /declares no record/)
    for (const odd of [[], ['message.psted'], 'nothing', 'nothing: because', 'message.posted', {}])
      t.throws(() => app.get('/v1/misrecorded', { config: { access: known, record: odd as never } }, body), RouteFault)
    app.get('/v1/fine', { config: { access: known, record } }, body)
    await app.ready()
  },
)

t.test('a body schema that would take unknown fields does not boot, at whatever depth', async (t) => {
  const { app } = await edge(t)
  const bodies = [
    Type.Object({ a: Type.String() }),
    Type.Object({ a: Type.Object({}) }, { additionalProperties: false }),
    Type.Object({ a: Type.Array(Type.Object({})) }, { additionalProperties: false }),
    Type.Union([Type.Object({})]),
  ]
  for (const [index, schema] of bodies.entries()) {
    t.throws(
      () =>
        app.post(
          `/v1/b${index}`,
          { config: { access: everybody, record }, schema: { body: schema } },
          async () => ({}),
        ),
      /unknown fields/,
    )
  }
})

t.test('a caller who is not signed in is refused before the body is read', async (t) => {
  const { app } = await edgeWithRoutes(t)
  const refused = await app.inject({ url: '/v1/notes/1' })
  t.equal(refused.statusCode, 401)
  t.equal(refused.json().code, 'UNAUTHENTICATED')
  const allowed = await app.inject({ url: '/v1/notes/1?limit=7', headers: { authorization: 'x' } })
  t.same(allowed.json(), { limit: 7 })
  t.same((await app.inject({ url: '/v1/notes/1', headers: { authorization: 'x' } })).json(), { limit: 5 })
})

t.test('INV-10: bodies are neither coerced nor trimmed: every fault is pointed at', async (t) => {
  const { app } = await edgeWithRoutes(t)
  const cases: [unknown, string, string][] = [
    [{ text: 1 }, '/text', 'type'],
    [{ text: null }, '/text', 'null'],
    [{ text: ['a'] }, '/text', 'array'],
    [{ text: { $gt: '' } }, '/text', 'object'],
    [{ text: '' }, '/text', 'empty'],
    [{}, '/text', 'missing'],
    [{ text: 'a', count: '1' }, '/count', 'number as text'],
    [{ text: 'a', admin: true }, '/admin', 'unknown field'],
    [{ text: 'a', inner: { a: 'b', c: 'd' } }, '/inner/c', 'unknown inner field'],
    [[], '', 'array for object'],
    ['text', '', 'string for object'],
  ]
  for (const [payload, pointer, name] of cases) {
    const answer = await app.inject({
      method: 'POST',
      url: '/v1/notes',
      headers: { 'content-type': 'application/json' },
      payload: JSON.stringify(payload),
    })
    t.equal(answer.statusCode, 400, name)
    t.equal(answer.headers['content-type'], 'application/problem+json', name)
    const problem = answer.json()
    t.equal(problem.code, 'VALIDATION', name)
    t.same(
      problem.faults.map((fault: { in: string; pointer: string }) => [fault.in, fault.pointer]),
      [['body', pointer]],
      name,
    )
  }
  const both = await app.inject({ method: 'POST', url: '/v1/notes', payload: { count: 'x', admin: 1 } })
  t.equal(both.json().faults.length, 3, 'all faults at once')
  const fine = await app.inject({ method: 'POST', url: '/v1/notes', payload: { text: 'a' } })
  t.same(fine.json(), { text: 'a' })
})

t.test('what is not JSON, of another type or too large is refused by name (D2, D3)', async (t) => {
  const { app } = await edgeWithRoutes(t)
  const post = (payload: string, type: string) =>
    app.inject({ method: 'POST', url: '/v1/notes', headers: { 'content-type': type }, payload })
  const json = 'application/json'
  const cases: [string, string, number, string][] = [
    ['{"text":', json, 400, 'MALFORMED_JSON'],
    ['', json, 400, 'MALFORMED_JSON'],
    ['{"text":"a","__proto__":{"x":1}}', json, 400, 'MALFORMED_JSON'],
    ['{"text":"a"}', 'text/plain', 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['{"text":"a"}', 'application/xml', 415, 'UNSUPPORTED_MEDIA_TYPE'],
    ['{"text":1}', 'application/json\t; x', 400, 'VALIDATION'],
    ['text=a', 'application/x-www-form-urlencoded', 415, 'UNSUPPORTED_MEDIA_TYPE'],
    [JSON.stringify({ text: 'a'.repeat(600_000) }), json, 413, 'TOO_LARGE'],
  ]
  for (const [payload, type, status, code] of cases) {
    const answer = await post(payload, type)
    t.equal(answer.json().code, code, `${code} for ${type}`)
    t.equal(answer.statusCode, status)
  }
  const latin = Buffer.from('{"text":"M\xfcller"}', 'latin1')
  const headers = { 'content-type': json }
  const answer = await app.inject({ method: 'POST', url: '/v1/notes', headers, payload: latin })
  t.match(answer.json(), { code: 'MALFORMED_JSON', detail: /Byte 10 \(line 1, column 11\) is not UTF-8/ })
})

t.test('an unknown address, method or path that cannot be read is a problem like any other', async (t) => {
  const { app } = await edgeWithRoutes(t)
  const refused = new Problem('NOT_FOUND', { detail: 'no such operation', operation: 1 })
  app.get('/v1/hidden', { config: { access: everybody, record } }, async () => {
    throw refused
  })
  const unknown = await app.inject({ url: '/v1/nothing' })
  t.equal(unknown.statusCode, 404)
  t.equal(
    (await app.inject({ url: '/v1/hidden' })).body,
    unknown.body,
    'not existing and not allowed are the same bytes',
  )
  const bad = await app.inject({ url: '/v1/notes/%ff' })
  t.equal(bad.statusCode, 400)
  t.equal(bad.json().code, 'BAD_REQUEST')
  t.ok((await app.inject({ url: `/v1/notes/${'x'.repeat(500)}` })).statusCode >= 400)
})

// Bites: `methodsAt` in src/http/failures.ts.
t.test('a known address says by which methods it is asked (RFC 9110, 15.5.6)', async (t) => {
  const { app } = await edgeWithRoutes(t)
  app.get('/v1/files/*', { config: { access: everybody, record } }, async () => ({}))
  const cases = [
    ['DELETE', '/v1/notes', 'POST'],
    ['GET', '/v1/notes?x=1', 'POST'],
    ['PUT', '/v1/notes/7', 'GET, HEAD'],
    ['POST', '/v1/files/a/b/c', 'GET, HEAD'],
    ['OPTIONS', '/livez', 'GET, HEAD'],
  ] as const
  for (const [method, url, allow] of cases) {
    const answer = await app.inject({ method, url })
    t.match(answer.json(), { status: 405, code: 'METHOD_NOT_ALLOWED', allow: allow.split(', ') }, url)
    t.equal(answer.headers.allow, allow, url)
  }
  for (const url of ['/v1/notes/7/8', '/v1', '/v1/notes/', '/v1/nothing', '/'])
    t.equal((await app.inject({ method: 'PATCH', url })).json().code, 'NOT_FOUND', url)
})

// Bites: `headersOf` in src/http/failures.ts.
t.test('whoever is not signed in is told how one signs in (RFC 9110, 15.5.2; RFC 9449, 7.1)', async (t) => {
  const { app } = await edgeWithRoutes(t)
  app.get('/v1/ended', { config: { access: everybody, record } }, async () => {
    throw new Problem('SESSION_ENDED')
  })
  const bare = await app.inject({ url: '/v1/notes/1' })
  t.equal(bare.headers['www-authenticate'], 'DPoP algs="Ed25519"')
  const ended = await app.inject({ url: '/v1/ended', headers: { authorization: 'DPoP x' } })
  t.equal(ended.headers['www-authenticate'], 'DPoP error="invalid_token", algs="Ed25519"')
})

// Bites: the hook `preParsing` in src/http/crowd-limits.ts; `problemOf` in src/http/failures.ts.
t.test('a body in another encoding or character set is refused as that, and one too large by its limit', async (t) => {
  const { app } = await edgeWithRoutes(t)
  const post = (headers: Record<string, string>, payload: string | Buffer = '{"text":"a"}') =>
    app.inject({
      method: 'POST',
      url: '/v1/notes',
      headers: { 'content-type': 'application/json', ...headers },
      payload,
    })
  for (const encoding of ['gzip', 'br', 'identity, gzip']) {
    const packed = await post({ 'content-encoding': encoding }, gzipSync('{"text":"a"}'))
    t.match(packed.json(), { status: 415, code: 'UNSUPPORTED_MEDIA_TYPE' }, encoding)
    t.equal(packed.headers['accept-encoding'], 'identity')
  }
  for (const charset of ['utf-16', 'UTF-16LE', '"utf-32"', 'iso-8859-1'])
    t.match((await post({ 'content-type': `application/json; charset=${charset}` })).json(), { status: 415 }, charset)
  for (const type of ['application/json; charset=utf-8', 'application/json;charset="UTF-8"; x=y'])
    t.equal((await post({ 'content-type': type, 'content-encoding': 'identity' })).statusCode, 200, type)
  t.match((await post({}, JSON.stringify({ text: 'a'.repeat(600_000) }))).json(), {
    status: 413,
    code: 'TOO_LARGE',
    limitBytes: 512 * 1024,
  })
})

t.test('a failure of ours is 500 without a word of what failed, and logged once', async (t) => {
  const { app, lines, log } = await edgeWithRoutes(t)
  const answer = await app.inject({ url: '/v1/broken' })
  t.equal(answer.statusCode, 500)
  t.equal(answer.json().code, 'INTERNAL')
  t.notMatch(answer.body, /secret plan/)
  t.equal(lines.filter((line) => line.includes('failed unexpectedly')).length, 1)
  t.match(log(), /edge\.test/, 'with where it failed')
})

t.test('an answer holds what its schema names and nothing else (A20)', async (t) => {
  const { app } = await edgeWithRoutes(t)
  t.same((await app.inject({ url: '/v1/typed' })).json(), { seen: 'yes' })
})

t.test('INV-11: the log holds no token, ticket, query or body', async (t) => {
  const { app, log } = await edgeWithRoutes(t)
  await app.inject({
    url: '/v1/notes/needle-path?limit=needle-query',
    headers: {
      authorization: 'DPoP needle-token',
      dpop: 'needle-proof',
      cookie: 'needle-cookie',
      'sec-websocket-protocol': 'ticket.needle',
    },
  })
  await app.inject({ method: 'POST', url: '/v1/notes', payload: { text: 'needle-body', needle: 1 } })
  app.log.warn({ headers: { authorization: 'needle' }, req: { headers: { dpop: 'needle' } } }, 'careless')
  app.log.error(
    { err: Object.assign(new Error('needle-value'), { severity: 'ERROR', code: '22P02', detail: 'needle-detail' }) },
    'a database error',
  )
  t.match(log(), /"status":400/)
  t.match(log(), /22P02/)
  t.notMatch(log(), /needle/)
})

// Bites: `req` among the serializers, `redact`, `pathOf` and `describeError` of
// src/http/logging.ts.
t.test(
  'INV-11: nor does it at its most talkative, for whatever goes wrong with a request that carries secrets',
  async (t) => {
    const { app, log } = await edgeWithRoutes(t, { level: 'trace' })
    app.get('/v1/leaks', { config: { access: everybody, record } }, async (request) => {
      request.log.debug({ headers: request.headers, req: request, raw: { headers: request.raw.headers } }, 'careless')
      request.log.error({ err: Object.assign(new Error('x'), { headers: request.headers, request }) }, 'careless too')
      const { authorization, 'sec-websocket-protocol': ticket } = request.headers
      const sentence = `odd: ${String(authorization)} and ${String(ticket)}, ${'needle'.repeat(8)}, not ${'0'.repeat(36)}`
      throw Object.assign(new Error(sentence), { headers: request.headers })
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port } = app.server.address() as AddressInfo
    const headers = {
      authorization: 'DPoP needle-token',
      dpop: 'needle-proof',
      cookie: 'session=needle-cookie',
      'proxy-authorization': 'Basic needle-proxy',
      'sec-websocket-protocol': 'cordon.v1, ticket.needle-ticket',
      'x-forwarded-for': '192.0.2.1',
    }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    const ask = async (start: string, body = '') => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      socket.resume()
      const type = body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n`
      socket.end(`${start} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines.join('')}${type}\r\n${body}`)
      await once(socket, 'close')
    }
    await ask('GET /v1/leaks?token=needle-query')
    await ask('GET /v1/needle-nowhere?token=needle-query')
    await ask('GET /v1/notes/%ff-needle')
    await ask('POST /v1/notes', '{"text":"needle-body"')
    await ask('POST /v1/notes', '{"needle":"needle-body"}')
    await ask('NEEDLE /v1/notes')
    await ask(`GET /v1/notes/${'needle'.repeat(4_000)}`)
    t.match(log(), /careless/)
    t.match(log(), /odd: \[not logged\] and cordon\.v1, \[not logged\], \[not logged\], not 0{36}/)
    t.match(log(), /failed unexpectedly/)
    t.match(log(), /"status":500/)
    t.notMatch(log(), /needle/i)
  },
)

t.test('/readyz follows the database, /livez does not', async (t) => {
  let there = true
  const { app } = await edge(t, { deps: { ready: async () => there } })
  t.equal((await app.inject({ url: '/readyz' })).statusCode, 200)
  there = false
  const away = await app.inject({ url: '/readyz' })
  t.equal(away.statusCode, 503)
  t.equal(away.json().code, 'DATABASE_UNAVAILABLE')
  t.ok(away.headers['retry-after'])
  t.equal((await app.inject({ url: '/livez' })).statusCode, 200)
})

t.test('OpenAPI 3.1 lists the routes with their schemas, problems and the way to sign in', async (t) => {
  const { app } = await edgeWithRoutes(t)
  const page = (await app.inject({ url: '/openapi.json' })).json()
  t.match(page.openapi, /^3\.1/)
  t.ok(page.paths['/v1/notes'].post.requestBody)
  t.same(page.paths['/v1/notes/{id}'].get.security, [{ dpop: [] }])
  t.same(page.paths['/livez'].get.security, [])
  t.same(page.paths['/v1/notes'].post.responses['415'], { $ref: '#/components/responses/UNSUPPORTED_MEDIA_TYPE' })
  t.equal((await app.inject({ url: '/docs/' })).statusCode, 200)
})

t.test('answers carry the headers that keep pages and caches out', async (t) => {
  const { app } = await edgeWithRoutes(t)
  const { headers } = await app.inject({ url: '/livez' })
  t.equal(headers['cache-control'], 'no-store')
  t.equal(headers['x-content-type-options'], 'nosniff')
  t.match(headers['content-security-policy'], /default-src 'none'/)
  t.equal(headers['request-id'], 'request-1')
  t.notOk(headers['x-powered-by'])
})

t.test('bytes that are no HTTP are answered and the connection ends', async (t) => {
  const { app } = await edgeWithRoutes(t)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  const socket = connect(port, '127.0.0.1')
  let answer = ''
  socket.on('data', (chunk) => (answer += String(chunk)))
  socket.end('NONSENSE\r\n\r\n')
  await new Promise((resolve) => socket.once('close', resolve))
  t.match(answer, /^HTTP\/1\.1 400/)
  t.match(answer, /BAD_REQUEST/)
})

/** A request to change to the live channel, and whether its connection ended with the answer. */
async function askForLive(port: number): Promise<'ended'> {
  const socket = connect(port, '127.0.0.1')
  const ended = new Promise<'ended'>((resolve) => socket.once('close', () => resolve('ended')))
  socket.on('error', () => {})
  socket.resume()
  socket.write('GET /live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
  return ended
}

// Bites: src/http/shutdown.ts. Fastify answers such a request with 503 while it closes, keeps its
// connection, and then waits for it without end.
t.test('INV-66: a server that closes is not held open by whoever asks for the live channel meanwhile', async (t) => {
  const { app } = await edge(t)
  await app.register(websocket)
  const close = closesWhole(app)
  const asked: Promise<'ended'>[] = []
  app.addHook('preClose', async () => {
    asked.push(askForLive(port))
    await Promise.race([asked[0], new Promise((resolve) => setTimeout(resolve, 500))])
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  await close()
  t.strictSame(await Promise.all(asked), ['ended'])
})

t.test('INV-66: a server that closes cuts off who does not finish its request', async (t) => {
  const { app } = await edgeWithRoutes(t)
  const close = closesWhole(app)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const socket = connect(port, '127.0.0.1')
  const ended = new Promise<string>((resolve) => socket.once('close', () => resolve('ended')))
  socket.on('error', () => {})
  socket.resume()
  const seen = once(app.server, 'request')
  socket.write(
    'POST /v1/notes HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
  )
  await seen
  await close()
  t.equal(await ended, 'ended')
})

t.test('a process that stood still for a moment serves the next request', async (t) => {
  const { app } = await edgeWithRoutes(t)
  const statuses: number[] = []
  for (let i = 0; i < 5; i++) {
    const began = performance.now()
    while (performance.now() - began < 1_300);
    statuses.push((await app.inject('/openapi.json')).statusCode)
    await new Promise((resolve) => setTimeout(resolve, 5))
    statuses.push((await app.inject('/openapi.json')).statusCode)
  }
  // Without the check of `value` in src/http/server.ts about half of these are 503.
  t.strictSame(new Set(statuses), new Set([200]))
})
