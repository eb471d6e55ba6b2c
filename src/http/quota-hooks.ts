import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { quotaFor, refuseNone, sourceOf, type QuotaBalance, type RateLimits } from './rate-limits.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A door whose callers are not known yet. It has a quota of its own for each source. */
    door?: Door
    /**
     * Present on routes for programs that watch the process; their requests are counted nowhere.
     */
    uncounted?: true
  }
}

export type Door = 'sign-in' | 'enrolment' | 'token' | 'setup' | 'page'

/** Counts every request against its source, before anything is done for it. */
export function limitSources(app: FastifyInstance, rates: RateLimits): void {
  app.addHook('onRequest', async (request, reply) => {
    const { door, uncounted } = request.routeOptions.config
    if (uncounted === true) return
    const source = sourceOf(request.ip)
    const taken = [rates.take('source', source)]
    if (door !== undefined) taken.push(rates.take(`source-${door}`, source))
    answer(reply, taken)
  })
}

/**
 * Counts the requests of known callers against the quota of what they record. Mounted after the
 * guard, which finds out who the caller is.
 */
export function limitAccounts(
  app: FastifyInstance,
  rates: RateLimits,
  accountOf: (request: FastifyRequest) => string | undefined,
): void {
  app.addHook('onRequest', async (request, reply) => {
    const account = accountOf(request)
    if (account === undefined) return
    const { record } = request.routeOptions.config
    if (record !== undefined) answer(reply, [rates.take(quotaFor(record), account)])
  })
}

/**
 * Sets the header fields of draft-ietf-httpapi-ratelimit-headers, and refuses where a quota is used
 * up.
 */
function answer(reply: FastifyReply, taken: readonly QuotaBalance[]): void {
  add(
    reply,
    'ratelimit-policy',
    taken.map(({ policy, quota, window }) => `"${policy}";q=${quota};w=${window}`),
  )
  add(
    reply,
    'ratelimit',
    taken.map(({ policy, remaining, reset }) => `"${policy}";r=${remaining};t=${reset}`),
  )
  refuseNone(taken)
}

function add(reply: FastifyReply, name: string, items: readonly string[]): void {
  const before = reply.getHeader(name)
  void reply.header(name, [...(typeof before === 'string' ? [before] : []), ...items].join(', '))
}
