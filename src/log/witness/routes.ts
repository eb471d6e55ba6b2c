import type { Writable } from 'node:stream'
import Fastify, { LogController, type FastifyInstance, type FastifyReply } from 'fastify'
import { createLogger } from '../../http/index.ts'
import type { Throttle } from './throttle.ts'
import type { Answer, Cosigner } from './witness.ts'

export interface WitnessAppOptions {
  readonly logLevel: string
  readonly logTo?: Writable
  readonly throttle: Throttle
  /** Milliseconds in which a request must have come whole. */
  readonly requestTimeoutMs: number
}

// 63 lines of a proof, and a note with 16 signatures of almost 5 kB in base64 (C2SP signed-note).
const bodyLimitBytes = 128 * 1024
const plain = 'text/plain; charset=utf-8'

/**
 * Makes the app with the two addresses of a witness (C2SP tlog-witness); submission and monitoring
 * prefix are one. It listens nowhere yet.
 */
export function witnessApp(witness: Cosigner, options: WitnessAppOptions): FastifyInstance {
  const { logLevel, logTo, throttle, requestTimeoutMs } = options
  const app = Fastify({
    loggerInstance: createLogger({ level: logLevel, to: logTo }),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyLimitBytes,
    requestTimeout: requestTimeoutMs,
    http: { connectionsCheckingInterval: requestTimeoutMs },
    connectionTimeout: 2 * requestTimeoutMs,
    keepAliveTimeout: 65_000,
    routerOptions: { maxParamLength: 128 },
  })
  // The body has a form of its own, whatever type a client gives it.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  app.addHook('onRequest', async (request, reply) => {
    const wait = throttle.wait(request.ip)
    if (wait > 0) await answer(reply.header('retry-after', wait), { status: 429, type: plain, body: 'Too many.\n' })
  })
  app.setErrorHandler(async (error: { statusCode?: number; message: string }, request, reply) => {
    const status = error.statusCode ?? 500
    const known = status >= 400 && status < 500
    if (!known) request.log.error({ err: error, reason: error.message }, 'the witness failed')
    return answer(reply, { status: known ? status : 500, type: plain, body: `${known ? error.message : 'Failed.'}\n` })
  })
  app.setNotFoundHandler(async (_request, reply) => answer(reply, { status: 404, type: plain, body: 'Not found.\n' }))
  app.addHook('onResponse', async (request, reply) => {
    const { method, ip, routeOptions } = request
    const path = routeOptions.url ?? 'unknown'
    request.log.info({ method, path, from: ip, status: reply.statusCode, milliseconds: Math.round(reply.elapsedTime) })
  })

  app.post('/add-checkpoint', async (request, reply) => {
    const { body } = request
    return answer(reply, await witness.add(body instanceof Uint8Array ? body : new Uint8Array(0)))
  })

  app.get<{ Params: { hash: string } }>('/:hash/checkpoint', async (request, reply) => {
    const note = await witness.newest(request.params.hash)
    if (note === undefined)
      return answer(reply, { status: 404, type: plain, body: 'Nothing of it was cosigned here.\n' })
    return answer(reply, { status: 200, type: plain, body: note })
  })
  return app
}

async function answer(
  reply: FastifyReply,
  { status, type, body }: Omit<Answer, 'status'> & { status: number },
): Promise<FastifyReply> {
  // The answer is sent as bytes: to text the framework would add a character set, and
  // text/x.tlog.size has none.
  return reply.code(status).header('cache-control', 'no-cache').header('content-type', type).send(Buffer.from(body))
}
