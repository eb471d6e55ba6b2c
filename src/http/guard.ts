import type { FastifyContextConfig, FastifyInstance, FastifyRequest, RouteOptions } from 'fastify'
import { Problem, type ProblemCode } from '../errors.ts'
import { isAccess, type Access } from './access.ts'
import { unboundedIn } from './bounds.ts'
import { isDuty, type RecordDuty } from './duty.ts'
import { answerNowhere } from './failures.ts'
import { refusalsOf } from './refusals.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The access of the route. Every route declares one; without it the server does not boot. */
    access?: Access<unknown>
    /**
     * The entries that the route records (log.md, "Kinds"). Every route declares them; without them
     * the server does not boot.
     */
    record?: RecordDuty
  }
  interface FastifyInstance {
    /** Every route that is served, as it was declared. */
    declared: readonly DeclaredRoute[]
  }
}

export interface DeclaredRoute {
  readonly method: string
  readonly url: string
  /** The name of its access in pages. */
  readonly access: string
  readonly record: RecordDuty
  /** Every code that the route may refuse with. */
  readonly refuses: ReadonlySet<ProblemCode>
  readonly config: Readonly<FastifyContextConfig>
}

/**
 * A route that must not be served as it is. Thrown at boot; the message names method, address and
 * the missing declaration.
 */
export class RouteFault extends Error {
  constructor(route: RouteOptions, sentence: string) {
    super(`${String(route.method)} ${route.url} ${sentence}`)
    this.name = 'RouteFault'
  }
}

/**
 * Refuses routes without a declared access or record, routes that declare one which does not exist
 * (a typing error would otherwise guard nothing), and routes whose bodies would swallow unknown
 * fields. Then recognises the caller at each request, before it reads anything of a body.
 */
export function guardRoutes(app: FastifyInstance): void {
  const declared: DeclaredRoute[] = []
  app.decorate('declared', declared)
  app.addHook('onRoute', (route) => {
    const access: unknown = route.config?.access
    if (access === undefined) throw new RouteFault(route, 'declares no access')
    if (!isAccess(access))
      throw new RouteFault(route, `declares the access ${JSON.stringify(access)}, which does not exist`)
    const record: unknown = route.config?.record
    if (record === undefined) throw new RouteFault(route, 'declares no record')
    if (!isDuty(record))
      throw new RouteFault(route, `declares the record ${JSON.stringify(record)}, which does not exist`)
    const open = openObject(route.schema?.body, '')
    if (open !== undefined)
      throw new RouteFault(route, `has a body that accepts unknown fields at ${open === '' ? 'its top' : open}`)
    for (const part of ['body', 'querystring', 'params', 'headers'] as const) {
      const unbounded = unboundedIn(route.schema?.[part])
      if (unbounded !== undefined)
        throw new RouteFault(route, `takes in its ${part} a value without a bound at ${unbounded || 'its top'}`)
    }
    const refuses = refusalsOf(route)
    route.config = { ...route.config, refuses }
    for (const method of [route.method].flat())
      declared.push({ method, url: route.url, access: access.name, record, refuses, config: route.config })
  })
  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return accessOfRoute(request).recognise(request)
    await answerNowhere(app, request, reply)
    return reply
  })
}

/**
 * Asks at each request what the caller may do here. Mounted after the quotas of callers, which also
 * count requests that are then refused.
 */
export function entitleRequests(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    if (!request.is404) await accessOfRoute(request).entitle(request)
  })
}

function accessOfRoute(request: FastifyRequest): Access<unknown> {
  const { access } = request.routeOptions.config
  // This cannot happen while the hook on routes exists; if it were removed, no request would be
  // served.
  if (access === undefined) throw new Problem('NOT_FOUND')
  return access
}

/**
 * Answers the pointer of the first object schema that does not say `additionalProperties: false`.
 */
function openObject(schema: unknown, pointer: string): string | undefined {
  if (typeof schema !== 'object' || schema === null) return undefined
  const { type, properties, additionalProperties, items, anyOf, oneOf, allOf } = schema as Record<string, unknown>
  if (type === 'object' && additionalProperties === undefined) return pointer
  const children: [string, unknown][] = Object.entries((properties ?? {}) as Record<string, unknown>)
  children.push(['items', items], ['additionalProperties', additionalProperties])
  for (const [name, list] of Object.entries({ anyOf, oneOf, allOf })) {
    if (Array.isArray(list))
      children.push(...list.map((child, index): [string, unknown] => [`${name}/${index}`, child]))
  }
  for (const [name, child] of children) {
    const found = openObject(child, `${pointer}/${name}`)
    if (found !== undefined) return found
  }
  return undefined
}
