import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import { pino, stdTimeFunctions, type LoggerOptions } from 'pino'
import type { Writable } from 'node:stream'

const secretHeaders = ['authorization', 'dpop', 'cookie', 'set-cookie', 'sec-websocket-protocol', 'proxy-authorization']

interface ThrownByPostgres {
  severity?: unknown
  code?: unknown
  constraint?: unknown
  routine?: unknown
  message?: unknown
  stack?: unknown
  name?: unknown
}

/**
 * Describes an error for the service log. The sentence of a database error can hold a value of a
 * client, so only its code, constraint and origin are kept. Of other errors the stack is kept, and
 * the sentence without the parts that look like a secret.
 */
export function describeError(error: unknown): Record<string, unknown> | undefined {
  if (error === undefined || error === null) return undefined
  if (typeof error !== 'object') return { message: typeof error }
  const { severity, code, constraint, routine, message, stack, name } = error as ThrownByPostgres
  const frames =
    typeof stack === 'string'
      ? stack
          .split('\n')
          .filter((line) => /^\s+at /.test(line))
          .join('\n')
      : undefined
  if (severity !== undefined) return { type: 'database', code, constraint, routine, stack: frames }
  return { type: name, code, message: typeof message === 'string' ? withoutSecrets(message) : undefined, stack: frames }
}

/**
 * Removes credentials after their scheme, tickets, and every word as long as a key, a token or a
 * part of a statement. Ids are shorter.
 */
function withoutSecrets(sentence: string): string {
  return sentence.replaceAll(/\b(?:DPoP|Bearer|Basic)\s+\S+|\bticket\.[^\s,]+|[A-Za-z0-9_-]{40,}/gi, '[not logged]')
}

/**
 * Makes the service log. It holds no bodies, query strings, tokens or tickets. It goes to standard
 * output unless `to` is given.
 */
export function createLogger({
  level,
  to,
}: {
  readonly level: string
  readonly to?: Writable | undefined
}): FastifyBaseLogger {
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    redact: {
      paths: secretHeaders.flatMap((name) => [`headers["${name}"]`, `*.headers["${name}"]`]),
      censor: '[not logged]',
    },
    serializers: {
      err: describeError,
      error: describeError,
      req: (request: FastifyRequest) => ({ method: request.method, path: pathOf(request), from: request.ip }),
    },
  }
  return to === undefined ? pino(options) : pino(options, to)
}

/** Logs one line for each answer. */
export function logAnswers(app: FastifyInstance): void {
  app.addHook('onResponse', async (request, reply) => {
    request.log.info({
      method: request.method,
      path: pathOf(request),
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime * 10) / 10,
    })
  })
}

// Answers the pattern of the route where there is one: the text in place of a parameter can be an
// invitation or a ticket.
function pathOf(request: FastifyRequest): string {
  return request.routeOptions?.url ?? 'unknown'
}
