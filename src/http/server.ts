import helmet from '@fastify/helmet'
import underPressure from '@fastify/under-pressure'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import Fastify, {
  LogController,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyRequest,
  type RawServerDefault,
} from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServerOptions } from 'node:https'
import { Problem } from '../errors.ts'
import { answerPreflights, nameAllowedOrigin } from './cross-origin.ts'
import { boundCrowd, headerLimitBytes, parseShallowJson, usualRoom, type Room } from './crowd-limits.ts'
import { answerClientError, answerFailures, answerFrameworkFailure, type ToProblem } from './failures.ts'
import { entitleRequests, guardRoutes } from './guard.ts'
import { mountHealth } from './health.ts'
import { limitAccounts, limitSources } from './quota-hooks.ts'
import { logAnswers } from './logging.ts'
import { describeRoutes, mountOpenApi } from './openapi.ts'
import type { RateLimits } from './rate-limits.ts'
import { validateStrictly } from './validation.ts'
import { requireWholeAddresses } from './whole-address.ts'

/** A Fastify whose handlers get the types of their TypeBox schemas. */
export type HttpServer = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>

export interface HttpDeps {
  readonly publicUrl: string
  readonly version: string
  /** The commit of this program, where it is known. */
  readonly commit?: string | undefined
  readonly trustedProxies: readonly string[]
  /** The origins whose pages may call the service; none unless given. */
  readonly allowedOrigins?: readonly string[]
  readonly log: FastifyBaseLogger
  /** The certificate to serve under; without it a proxy in front has the certificate. */
  readonly tls?: ServerOptions
  /**
   * Makes a fresh id for each request, for the service log and the header request-id of the answer.
   */
  readonly requestId: () => string
  readonly toProblem: ToProblem
  readonly rates: RateLimits
  /**
   * The time that answers say (Date, RFC 9110, 6.6.1): that by which the service judges what
   * clients sign.
   */
  readonly clock: () => Date
  /** The bounds of open connections and running requests; `usualRoom` unless given. */
  readonly room?: Room
  /**
   * Answers the account whose quota a request counts against besides that of its source, once its
   * access has recognised the caller.
   */
  readonly accountOf: (request: FastifyRequest) => string | undefined
  /** Answers whether the service can serve; see `mountHealth`. */
  readonly ready: () => Promise<boolean | Problem>
}

/** How much the event loop may lag on average before requests get 503. */
const mostLagMs = 5_000

// A body holds a message with its statement, body and extract; routes that take more say so
// themselves.
const bodyLimitBytes = 512 * 1024

const headers = { maxHeaderSize: headerLimitBytes, headersTimeout: 15_000 } as const

/** Builds the edge without listening. The caller registers routes on the answered server. */
export async function buildHttp(deps: HttpDeps): Promise<HttpServer> {
  const app = Fastify({
    loggerInstance: deps.log,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: deps.requestId,
    trustProxy: deps.trustedProxies.length === 0 ? false : [...deps.trustedProxies],
    bodyLimit: bodyLimitBytes,
    routerOptions: { maxParamLength: 128 },
    requestTimeout: 30_000,
    keepAliveTimeout: 65_000,
    frameworkErrors: answerFrameworkFailure,
    clientErrorHandler: answerClientError,
    allowErrorHandlerOverride: false,
    // Fastify has a type of its own for each kind of server; the parts that are used here are equal
    // in all.
    ...((deps.tls === undefined ? { http: headers } : { https: { ...deps.tls, ...headers } }) as object),
  }).withTypeProvider<TypeBoxTypeProvider>()
  const plain = app as unknown as FastifyInstance

  // Only JSON is accepted, unless a route adds a parser for itself.
  parseShallowJson(plain)
  validateStrictly(plain)
  answerFailures(plain, deps.toProblem)
  logAnswers(plain)
  const origins = new Set(deps.allowedOrigins)
  nameAllowedOrigin(plain, origins)
  boundCrowd(plain, deps.room ?? usualRoom)
  limitSources(plain, deps.rates)
  answerPreflights(plain, origins)
  requireWholeAddresses(plain)
  app.addHook('onSend', async (request, reply) => {
    void reply.header('request-id', request.id)
    void reply.header('date', deps.clock().toUTCString())
    if (!reply.hasHeader('cache-control')) void reply.header('cache-control', 'no-store')
  })

  await app.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
    referrerPolicy: { policy: 'no-referrer' },
  })
  await app.register(underPressure, {
    maxEventLoopDelay: mostLagMs,
    exposeStatusRoute: false,
    pressureHandler: (request, _reply, _type, value) => {
      // Where a second has no sample, as after a moment in which the process stood still, the
      // plug-in takes the delay for endless.
      if (value === Number.POSITIVE_INFINITY) return
      // A busy process is alive: an orchestrator must not kill it for being busy.
      if (request.routeOptions.url === '/livez') return
      throw new Problem('OVERLOADED', { retryAfter: 2 })
    },
  })
  await describeRoutes(plain, deps)
  guardRoutes(plain)
  limitAccounts(plain, deps.rates, deps.accountOf)
  entitleRequests(plain)
  mountHealth(app, deps)
  mountOpenApi(plain)
  return app
}
