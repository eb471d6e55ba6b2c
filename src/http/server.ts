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
import { boundCrowd, headerLimitBytes, parseShallowJson, usualRoom, type Room } from './crowd-limits.ts'
import { answerClientError, answerFailures, answerFrameworkFailure, type ToProblem } from './failures.ts'
import { entitleRequests, guardRoutes } from './guard.ts'
import { mountHealth } from './health.ts'
import { limitAccounts, limitSources } from './quota-hooks.ts'
import { logAnswers } from './logging.ts'
import { describeRoutes, mountOpenApi } from './openapi.ts'
import type { RateLimits } from './rate-limits.ts'
import { validateStrictly } from './validation.ts'

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
  /** The commit that this is, where it is known. */
  readonly commit?: string | undefined
  readonly trustedProxies: readonly string[]
  readonly log: FastifyBaseLogger
  /** The certificate to serve under; without it a proxy has one. */
  readonly tls?: ServerOptions
  /** A fresh id for each request, for the log and the answer's request-id header. */
  readonly requestId: () => string
  readonly toProblem: ToProblem
  readonly rates: RateLimits
  /**
   * The time that answers say (Date, RFC 9110, 6.6.1): that by which what clients sign is judged.
   */
  readonly clock: () => Date
  /** What is open and under way at once; `usualRoom` unless given. */
  readonly room?: Room
  /**
   * Whose quota a request counts against besides that of its source, once its access has recognised
   * them.
   */
  readonly accountOf: (request: FastifyRequest) => string | undefined
  /** Whether the database answers. */
  readonly ready: () => Promise<boolean | Problem>
}

/** Milliseconds that the event loop may lag on average before requests get 503. */
const mostLagMs = 5_000

// A message with its statement, body and extract; routes that take more say so themselves.
const bodyLimitBytes = 512 * 1024

const headers = { maxHeaderSize: headerLimitBytes, headersTimeout: 15_000 } as const

/**
 * Builds the edge without listening. Whoever composes the server registers routes on what it
 * returns.
 */
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
    // Fastify has a type of its own for each kind of server; what is used of them is the same.
    ...((deps.tls === undefined ? { http: headers } : { https: { ...deps.tls, ...headers } }) as object),
  }).withTypeProvider<TypeBoxTypeProvider>()
  const plain = app as unknown as FastifyInstance

  // Only JSON comes in, unless a route adds a parser for itself.
  parseShallowJson(plain)
  validateStrictly(plain)
  answerFailures(plain, deps.toProblem)
  logAnswers(plain)
  boundCrowd(plain, deps.room ?? usualRoom)
  limitSources(plain, deps.rates)
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
      // The plugin takes a second without a sample, as after a moment in which the process stood
      // still, for a delay without end.
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
