import websocket from '@fastify/websocket'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Problem } from '../errors.ts'
import { everybody, type HttpServer } from '../http/index.ts'
import type { SessionService } from '../identity/index.ts'
import { limits, subProtocol, ticketProtocolPrefix } from '../protocol/index.ts'
import { describeLive, refusedHandshakes } from './asyncapi.ts'
import { Connection, type LiveConnectionDeps } from './connection.ts'
import { FrameOutbox, longestLinger } from './outbox.ts'

export interface LiveRouteDeps extends LiveConnectionDeps {
  readonly sessions: SessionService
  /** Answers the origins whose pages may open the channel. Programs send none. */
  readonly allowedOrigins: () => readonly string[]
}

const socketOptions = {
  maxPayload: limits.frame,
  perMessageDeflate: false,
  closeTimeout: longestLinger,
  handleProtocols: (protocols: Set<string>) => (protocols.has(subProtocol) ? subProtocol : (false as const)),
}

/** Registers the WebSocket plug-in; called before any route. */
export async function registerLive(app: HttpServer): Promise<void> {
  await (app as unknown as FastifyInstance).register(websocket, {
    options: socketOptions,
    // The hub tells connections before this that the server goes away.
    preClose: (done) => done(),
  })
}

/**
 * Whether a request asks as RFC 6455, section 4.2.1 demands: an upgrade by HTTP/1.1 or later, and
 * version 13 alone. `ws` accepts an older version and HTTP/1.0 as well.
 */
function asksForWebSocket({ ws, raw, headers }: FastifyRequest): boolean {
  const { httpVersionMajor, httpVersionMinor } = raw
  const isNewEnough = httpVersionMajor > 1 || (httpVersionMajor === 1 && httpVersionMinor >= 1)
  return ws && isNewEnough && headers['sec-websocket-version'] === '13'
}

/**
 * Mounts `GET /v1/live`: upgrades to the frames of protocol/frames.ts for a client that brings a
 * fresh ticket as a sub-protocol.
 */
export function mountLive(app: HttpServer, deps: LiveRouteDeps): void {
  mountDescription(app)
  app.get(
    '/v1/live',
    {
      websocket: true,
      config: {
        access: everybody,
        refusals: refusedHandshakes,
        record: 'nothing: it opens a channel whose frames are recorded one by one',
      },
      schema: { summary: 'The live channel (WebSocket)' },
      preValidation: async (request) => {
        if (!asksForWebSocket(request)) throw new Problem('UPGRADE_REQUIRED')
        const { origin } = request.headers
        if (origin !== undefined && !deps.allowedOrigins().includes(origin)) throw new Problem('ORIGIN_REFUSED')
        const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
        const tickets = offered.filter((name) => name.startsWith(ticketProtocolPrefix))
        const [ticket] = tickets
        if (!offered.includes(subProtocol) || ticket === undefined || tickets.length !== 1)
          throw new Problem('UNAUTHENTICATED')
        if (deps.hub.full) throw new Problem('OVERLOADED')
        const actor = await deps.sessions.redeemTicket(ticket.slice(ticketProtocolPrefix.length), origin, request.ip)
        if (!(await deps.hub.hasRoomFor(actor)))
          throw new Problem('TOO_MANY_REQUESTS', { detail: 'too many live connections' })
        request.actor = actor
      },
    },
    (socket, request) => {
      const { actor } = request
      if (!actor) throw new Problem('UNAUTHENTICATED')
      const outbox = new FrameOutbox(socket, request.raw.socket)
      const connection = new Connection(deps, actor, outbox, (paused) => {
        if (paused) socket.pause()
        else socket.resume()
      })
      deps.hub.add(connection)
      socket.on('message', (data: Buffer, isBinary: boolean) =>
        connection.receive(isBinary ? undefined : data.toString('utf8')),
      )
      socket.on('pong', () => connection.heard())
      socket.on('close', () => deps.hub.remove(connection))
      // This is a broken frame: `ws` closes the socket with the code that RFC 6455 names; there is
      // nothing else to do.
      socket.on('error', () => deps.hub.remove(connection))
    },
  )
}

function mountDescription(app: HttpServer): void {
  let described: Buffer | undefined
  app.get(
    '/asyncapi.json',
    { config: { access: everybody, record: 'nothing: it shows nothing about any person' }, schema: { hide: true } },
    async (_request, reply) => {
      described ??= Buffer.from(JSON.stringify(describeLive(app.about)))
      return reply.type('application/json; charset=utf-8').send(described)
    },
  )
}
