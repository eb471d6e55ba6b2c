import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Problem, toProblemJson } from '../errors.ts'
import { faultsOf } from './validation.ts'

/** Turns what a lower layer throws into a Problem where it is one, for example a database that is away. */
export type ToProblem = (error: unknown) => unknown

/** Answers everything that is thrown as application/problem+json. What is no Problem is a bug: 500, logged once, no details. */
export function answerFailures(app: FastifyInstance, toProblem: ToProblem): void {
  app.setErrorHandler((error, request, reply) => sendProblem(request, reply, problemOf(error, toProblem), error))
  app.setNotFoundHandler((request, reply) => sendProblem(request, reply, new Problem('NOT_FOUND')))
}

/** For failures before any route is known: a path that is no UTF-8, for example. */
export function answerFrameworkFailure(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  void sendProblem(
    request,
    reply,
    problemOf(error, (same) => same),
    error,
  )
}

/** For bytes that are no HTTP request at all. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : error.code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
  const body = JSON.stringify(toProblemJson(new Problem('BAD_REQUEST')))
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nContent-Type: application/problem+json\r\n` +
        `Content-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    )
  }
  socket.destroySoon()
}

function problemOf(error: unknown, toProblem: ToProblem): Problem {
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
      return new Problem('TOO_LARGE')
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

async function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  problem: Problem,
  error?: unknown,
): Promise<void> {
  if (problem.code === 'INTERNAL') request.log.error({ err: error }, 'a request failed unexpectedly')
  else if (problem.status >= 500)
    request.log.warn({ code: problem.code, err: problem.cause }, 'a request was not served')
  if (problem.status === 503 || problem.status === 429) {
    const seconds = problem.extra['retryAfter']
    void reply.header('retry-after', typeof seconds === 'number' ? Math.ceil(seconds) : 2)
  }
  // Sent as bytes: a response schema that a route declares for this status must not reshape it.
  const body = Buffer.from(JSON.stringify(toProblemJson(problem)))
  void reply.header('cache-control', 'no-store')
  await reply.code(problem.status).type('application/problem+json').send(body)
}
