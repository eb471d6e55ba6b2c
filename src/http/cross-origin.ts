import type { FastifyInstance } from 'fastify'

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].join(', ')
const taken = ['authorization', 'content-type', 'dpop'].join(', ')
/** The fields of answers that a client needs and a page otherwise does not see (Fetch, 3.3.2). */
const exposed = [
  'Date',
  'RateLimit',
  'RateLimit-Policy',
  'Request-Id',
  'Retry-After',
  'WWW-Authenticate',
  'Accept-Encoding',
].join(', ')
/** How long a browser keeps the answer to a preflight. */
const preflightSeconds = 600

/**
 * Lets pages of the allowed origins call this service (WHATWG Fetch, "CORS protocol"): never `*`,
 * never with cookies, which this service does not have. A page of another origin gets no field, so
 * that its browser shows it nothing. Mounted before all that may refuse, so that a page reads the
 * refusals too.
 */
export function nameAllowedOrigin(app: FastifyInstance, allowed: ReadonlySet<string>): void {
  app.addHook('onRequest', async ({ headers: { origin } }, reply) => {
    if (origin === undefined || !allowed.has(origin)) return
    void reply.headers({ 'access-control-allow-origin': origin, 'access-control-expose-headers': exposed })
  })
  // The answer depends on the origin also where the request has none: a cache must know.
  app.addHook('onSend', async (_request, reply) => {
    const other = reply.getHeader('vary')
    void reply.header('vary', typeof other === 'string' ? `${other}, origin` : 'origin')
  })
}

/**
 * Answers the preflights of allowed origins, which carry neither token nor proof, at every address
 * alike. Mounted after the quotas of sources. A preflight of another origin is a request with a
 * method that no route has.
 */
export function answerPreflights(app: FastifyInstance, allowed: ReadonlySet<string>): void {
  app.addHook('onRequest', async ({ method, headers }, reply) => {
    const { origin, 'access-control-request-method': wanted } = headers
    if (method !== 'OPTIONS' || wanted === undefined || origin === undefined || !allowed.has(origin)) return
    void reply.headers({
      'access-control-allow-methods': methods,
      'access-control-allow-headers': taken,
      'access-control-max-age': preflightSeconds,
    })
    return reply.code(204).send()
  })
}
