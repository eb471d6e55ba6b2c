import type { RouteOptions } from 'fastify'
import type { ProblemCode } from '../errors.ts'
import { isAccess } from './access.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /**
     * The codes that the route itself refuses with, besides those of its access and of the edge.
     */
    refusals?: readonly ProblemCode[]
    /** Present where the request proves by DPoP a key that has no token yet. */
    proof?: true
    /** All codes that the route may refuse with; `refusalsOf` makes them from the others. */
    refuses?: ReadonlySet<ProblemCode>
  }
}

type RouteDeclaration = Pick<RouteOptions, 'method' | 'schema' | 'config'>

/**
 * Answers every code that a route may be answered with: its own, those of its access, and those
 * that follow from its method and schema.
 */
export function refusalsOf({ method, schema, config }: RouteDeclaration): ReadonlySet<ProblemCode> {
  const { access, record, uncounted, refusals = [] } = config ?? {}
  const codes = new Set<ProblemCode>(['BAD_REQUEST', 'INTERNAL', 'OVERLOADED'])
  const add = (...more: readonly ProblemCode[]) => more.forEach((code) => codes.add(code))
  if (uncounted !== true) add('TOO_MANY_REQUESTS', 'DATABASE_UNAVAILABLE')
  if ([schema?.body, schema?.params, schema?.querystring].some((part) => part !== undefined)) add('VALIDATION')
  if (![method].flat().every((one) => one === 'GET' || one === 'HEAD'))
    add('MALFORMED_JSON', 'TOO_LARGE', 'UNSUPPORTED_MEDIA_TYPE')
  if (typeof record !== 'string') add('LOG_KEY', 'LOG_READ_ONLY', 'STORAGE_FULL')
  if (isAccess(access)) add(...access.refusals)
  add(...refusals)
  return codes
}
