import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Problem, toProblemJson } from '../errors.ts'
import { headerLimitBytes } from './crowd-limits.ts'
import { faultsOf } from './validation.ts'

/**
 * Turns an error of a lower layer, such as a database that is away, into a Problem; answers other
 * errors unchanged.
 */
export type ToProblem = (error: unknown) => unknown

/**
 * Answers every error that is thrown as application/problem+json. An error that is no Problem is a
 * bug: 500, logged once, without details.
 */
export function answerFailures(app: FastifyInstance, toProblem: ToProblem): void {
  app.setErrorHandler((error, request, reply) =>
    sendProblem(request, reply, problemOf(error, toProblem, request.routeOptions.bodyLimit), error),
  )
  app.setNotFoundHandler((request, reply) => answerNowhere(app, request, reply))
}

/** Answers a request whose address has no route, without looking at its body. */
export function answerNowhere(app: FastifyInstance, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const allow = methodsAt(app.declared, request.url)
  const problem = allow.length === 0 ? new Problem('NOT_FOUND') : new Problem('METHOD_NOT_ALLOWED', { allow })
  return sendProblem(request, reply, problem)
}

/** Answers the methods that are offered at an address; none where no route has it. */
function methodsAt(declared: FastifyInstance['declared'], url: string): string[] {
  const segments = pathOf(url).split('/')
  const here = declared.filter((route) => isAt(route.url.split('/'), segments))
  return [...new Set(here.map(({ method }) => method))].toSorted()
}

function isAt(pattern: readonly string[], segments: readonly string[]): boolean {
  const open = pattern.at(-1) === '*'
  if (open ? segments.length < pattern.length : segments.length !== pattern.length) return false
  return pattern.every(
    (part, i) => part === '*' || part === segments[i] || (part.startsWith(':') && segments[i] !== ''),
  )
}

const pathOf = (url: string): string => url.split('?', 1)[0] ?? ''

/** Answers failures before any route is known, such as a path that is no UTF-8. */
export function answerFrameworkFailure(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  void sendProblem(
    request,
    reply,
    problemOf(error, (same) => same),
    error,
  )
}

/** Answers bytes that are no HTTP request at all. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const problem = problemOfParser(error.code)
  const { status } = problem
  const body = JSON.stringify(toProblemJson(problem))
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: application/problem+json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    )
  }
  socket.destroySoon()
}

function problemOfParser(code: string | undefined): Problem {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new Problem('REQUEST_TIMEOUT')
  if (code === 'HPE_HEADER_OVERFLOW') return new Problem('HEADERS_TOO_LARGE', { limitBytes: headerLimitBytes })
  return new Problem('BAD_REQUEST')
}

function problemOf(error: unknown, toProblem: ToProblem, bodyLimitBytes?: number): Problem {
  const known = toProblem(error)
  if (known instanceof Problem) return known
  const { validation, validationContext, code, statusCode } = error as Partial<FastifyError>
  if (validation !== undefined) {
    return new Problem('VALIDATION', { faults: faultsOf(validationContext ?? 'request', validation) })
  }
  switch (code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new Problem('UNSUPPORTED_MEDIA_TYPE')
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Problem('TOO_LARGE', bodyLimitBytes === undefined ? {} : { limitBytes: bodyLimitBytes })
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
      return new Problem('MALFORMED_JSON')
    default:
  }
  if (error instanceof SyntaxError && statusCode === 400) return new Problem('MALFORMED_JSON')
  if (code?.startsWith('FST_ERR_') === true && statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new Problem('BAD_REQUEST', { cause: error })
  }
  return new Problem('INTERNAL', { cause: error })
}

/**
 * The sentence in the service log about a refusal that /openapi.json does not tell: the declaration
 * of the route is wrong.
 */
export const undeclaredRefusal = 'a route refused with a code that it does not declare'

async function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Problem,
  error?: unknown,
): Promise<void> {
  if (problem.code === 'INTERNAL') request.log.error({ err: error }, 'a request failed unexpectedly')
  else if (problem.status >= 500)
    request.log.warn({ code: problem.code, err: problem.cause }, 'a request was not served')
  const { refuses } = request.routeOptions.config
  if (refuses?.has(problem.code) === false)
    request.log.error({ code: problem.code, path: request.routeOptions.url }, undeclaredRefusal)
  void reply.headers(headersOf(problem, request.headers.authorization !== undefined))
  // The answer is sent as bytes: a response schema that a route declares for this status must not
  // reshape it.
  const body = Buffer.from(JSON.stringify(toProblemJson(problem)))
  void reply.header('cache-control', 'no-store')
  await reply.code(problem.status).type('application/problem+json').send(body)
}

/** Answers the header fields by which HTTP itself says what a client does about a refusal. */
function headersOf({ status, extra }: Problem, hadToken: boolean): Record<string, string | number> {
  const { retryAfter, allow, acceptEncoding } = extra
  switch (status) {
    case 401:
      // RFC 9449, section 7.1: only a client that sent a token is told that it is not accepted.
      return { 'www-authenticate': `DPoP ${hadToken ? 'error="invalid_token", ' : ''}algs="Ed25519"` }
    case 405:
      return { allow: (allow as readonly string[]).join(', ') }
    case 415:
      // RFC 9110, section 12.5.3: this field says that the encoding was refused, and not the type.
      return typeof acceptEncoding === 'string' ? { 'accept-encoding': acceptEncoding } : {}
    case 426:
      return { upgrade: 'websocket', connection: 'upgrade', 'sec-websocket-version': 13 }
    case 429:
    case 503:
      return { 'retry-after': typeof retryAfter === 'number' ? Math.ceil(retryAfter) : 2 }
    default:
      return {}
  }
}
