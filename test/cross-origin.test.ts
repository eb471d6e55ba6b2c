// What this holds: pages of the origins in ALLOWED_ORIGINS work with the SDK under the rules by
// which a browser keeps pages apart, and read refusals too; pages of all other origins get no field
// that lets them read an answer; nobody gets `*`, and nobody cookies.
// What makes it fail: an origin that is compared loosely, a method, a field of the request or a
// field of the answer that the SDK needs and that is not named, a route that answers a preflight by
// itself.
// Bites: `nameAllowedOrigin` and `answerPreflights` in src/http/cross-origin.ts.
import t from 'tap'
import WebSocket from 'ws'
import type { Platform } from '../src/client/index.ts'
import { partyOf, takeIn } from './support/actors.ts'
import { patience } from './support/counts.ts'
import { startServer } from './support/server.ts'
import { usualOperation } from './support/usual-operation.ts'

const page = 'https://console.example'
const strangers = [
  'https://elsewhere.example',
  'null',
  '',
  '*',
  'http://console.example',
  'https://console.example:8443',
  'https://console.example/',
  'https://console.example.elsewhere.example',
  'https://a.console.example',
  'https://CONSOLE.example',
  'https://console.example, https://elsewhere.example',
]
const simpleFields = ['accept', 'accept-language', 'content-language']
const readableFields = [
  'cache-control',
  'content-language',
  'content-length',
  'content-type',
  'expires',
  'last-modified',
]

const named = (headers: Headers, name: string) =>
  (headers.get(name) ?? '').split(',').map((item) => item.trim().toLowerCase())

/**
 * What a page of an origin gets of an answer: a preflight goes before a request that is not simple,
 * and fields that are not exposed are not there (WHATWG Fetch, 3.3 and 4.8). Counts the preflights.
 */
function fetchOfPage(
  origin: string,
  counted: { preflights: number },
): (url: string, init: RequestInit) => Promise<Response> {
  return async (url, init) => {
    const { method = 'GET' } = init
    const fields = [...new Headers(init.headers).keys()].filter((name) => !simpleFields.includes(name))
    const admits = (answer: Response) => {
      if (answer.headers.get('access-control-allow-origin') !== origin) throw new TypeError(`not for ${origin}`)
    }
    if (fields.length > 0 || !['GET', 'HEAD', 'POST'].includes(method)) {
      counted.preflights++
      const asked = {
        origin,
        'access-control-request-method': method,
        'access-control-request-headers': fields.join(','),
      }
      const answer = await fetch(url, { method: 'OPTIONS', headers: asked })
      admits(answer)
      if (!answer.ok) throw new TypeError(`the preflight answers ${String(answer.status)}`)
      const simple = ['GET', 'HEAD', 'POST'].includes(method)
      if (!simple && !named(answer.headers, 'access-control-allow-methods').includes(method.toLowerCase()))
        throw new TypeError(`${method} is not allowed`)
      for (const field of fields)
        if (!named(answer.headers, 'access-control-allow-headers').includes(field))
          throw new TypeError(`${field} is not allowed`)
    }
    const answer = await fetch(url, { ...init, headers: { ...(init.headers as Record<string, string>), origin } })
    admits(answer)
    const readable = [...readableFields, ...named(answer.headers, 'access-control-expose-headers')]
    const headers = [...answer.headers].filter(([name]) => readable.includes(name))
    const empty = [204, 304].includes(answer.status)
    return new Response(empty ? null : await answer.arrayBuffer(), { status: answer.status, headers })
  }
}

/** The network of a page; a browser names the origin at the live channel as well. */
function networkOf(origin: string, counted = { preflights: 0 }) {
  class PageSocket extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols, { origin })
    }
  }
  return { fetch: fetchOfPage(origin, counted), WebSocket: PageSocket as unknown as Platform['WebSocket'] }
}

t.test('a page of an allowed origin enrols, signs in, posts and reads', patience, async (t) => {
  const { administrator, coordinator, operation } = await usualOperation(t, { allowedOrigins: [page] })
  const counted = { preflights: 0 }
  const platform = networkOf(page, counted)
  const kenya = await partyOf(t, administrator, {
    kind: 'administration',
    name: 'Customs of Kenya',
    country: 'KE',
    platform,
  })
  await takeIn(coordinator, operation, kenya, 'ncp')
  const session = await kenya.client.follow(operation)
  await session.post({ form: 'text', subject: 'Hello', fields: { text: 'A container left Mombasa.' } })
  t.equal((await kenya.client.sessions()).length, 1)
  await kenya.client.endOtherSessions()
  t.ok(counted.preflights > 5, `${String(counted.preflights)} preflights`)
  t.equal(kenya.client.clockOff, undefined, 'the time of the service can be read')
  t.same(session.alarms, [])
})

t.test('a page of another origin reaches nothing', patience, async (t) => {
  const { administrator } = await usualOperation(t, { allowedOrigins: [page] })
  const platform = networkOf('https://elsewhere.example')
  const trying = partyOf(t, administrator, {
    kind: 'administration',
    name: 'Customs of Kenya',
    country: 'KE',
    platform,
  })
  await t.rejects(trying, { code: 'NETWORK' })
})

const fieldsOf = (answer: { headers: Record<string, unknown> }) =>
  Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))

t.test('every route answers the preflight of an allowed origin alike, and of no other', patience, async (t) => {
  const { app } = await startServer(t, { allowedOrigins: [page, 'https://other.example'] })
  const addresses = [...new Set(app.declared.map(({ url }) => url)), '/v1/nowhere']
  t.ok(addresses.length > 60)
  for (const url of addresses) {
    const ask = (origin: string) =>
      app.inject({ method: 'OPTIONS', url, headers: { origin, 'access-control-request-method': 'DELETE' } })
    for (const origin of [page, 'https://other.example']) {
      const answer = await ask(origin)
      t.match(answer, { statusCode: 204, body: '' }, url)
      t.match(answer.headers, {
        'access-control-allow-origin': origin,
        'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
        'access-control-allow-headers': 'authorization, content-type, dpop',
        vary: 'origin',
      })
      t.equal(answer.headers['access-control-allow-credentials'], undefined)
    }
  }
  for (const origin of strangers) {
    const answer = await app.inject({
      method: 'OPTIONS',
      url: '/v1/server',
      headers: { origin, 'access-control-request-method': 'GET' },
    })
    t.equal(answer.statusCode, 405, origin)
    t.same(fieldsOf(answer), [], origin)
  }
  const plain = await app.inject({ method: 'OPTIONS', url: '/v1/server', headers: { origin: page } })
  t.equal(plain.statusCode, 405, 'without a method that is asked for it is no preflight')
})

t.test('refusals can be read by a page that is allowed, and no answer by any other', patience, async (t) => {
  const { app } = await startServer(t, { allowedOrigins: [page] })
  const asks = [
    { method: 'GET', url: '/v1/server', status: 200 },
    { method: 'GET', url: '/livez', status: 200 },
    { method: 'GET', url: '/v1/me', status: 401 },
    { method: 'GET', url: '/v1/nowhere', status: 404 },
    { method: 'DELETE', url: '/v1/server', status: 405 },
    { method: 'POST', url: '/v1/enrolments', status: 400 },
  ] as const
  for (const { method, url, status } of asks) {
    const ask = (headers: Record<string, string>) => app.inject({ method, url, headers })
    const allowed = await ask({ origin: page })
    t.equal(allowed.statusCode, status, url)
    t.match(allowed.headers, { 'access-control-allow-origin': page, vary: /\borigin$/ }, url)
    t.match(String(allowed.headers['access-control-expose-headers']), /Date.*RateLimit.*Retry-After/, url)
    for (const origin of strangers) t.same(fieldsOf(await ask({ origin })), [], `${url} ${origin}`)
    const none = await ask({})
    t.same(fieldsOf(none), [], url)
    t.match(none.headers, { vary: /\borigin$/ }, 'a cache must not show it to a page')
  }
})

t.test('without ALLOWED_ORIGINS no page of another origin is answered', patience, async (t) => {
  const { app } = await startServer(t)
  for (const origin of [page, ...strangers])
    t.same(fieldsOf(await app.inject({ method: 'GET', url: '/v1/server', headers: { origin } })), [], origin)
})
