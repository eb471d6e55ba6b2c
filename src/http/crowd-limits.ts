import type { FastifyInstance } from 'fastify'
import { Problem } from '../errors.ts'
import { excessIn } from '../protocol/index.ts'

/** What the edge takes in at once, whoever sends it. */
export interface Room {
  /** Requests that are being answered; live connections are no requests. */
  readonly requests: number
  /** Connections, live ones among them; further ones are cut off. */
  readonly connections: number
}

export const usualRoom: Room = { requests: 2_000, connections: 22_000 }

/**
 * Of the address and the header fields of a request: a token, its proof and a ticket are below 4
 * KiB.
 */
export const headerLimitBytes = 16 * 1024

/** Of a body: an epoch for 2,000 devices is made of 6,000 parts, and nothing of more. */
const bounds = { deepest: 16, parts: 10_000 } as const

/** Bounds what is open and under way at once. */
export function boundCrowd(app: FastifyInstance, room: Room): void {
  let underWay = 0
  app.server.maxConnections = room.connections
  app.server.prependListener('request', (_request, response) => {
    underWay++
    response.once('close', () => underWay--)
  })
  app.addHook('onRequest', async (request) => {
    // A busy process is alive: an orchestrator must not kill it for being busy.
    if (underWay > room.requests && request.routeOptions.url !== '/livez')
      throw new Problem('OVERLOADED', { retryAfter: 1 })
  })
}

/**
 * JSON alone, and none that lies deeper, or is made of more, than anything this service is sent:
 * that is told before it is parsed.
 */
export function parseShallowJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeContentTypeParser('text/plain')
  app.addHook('preParsing', async ({ method, headers }) => {
    if (method === 'GET' || method === 'HEAD') return
    const encoding = headers['content-encoding'] ?? 'identity'
    if (encoding.toLowerCase() !== 'identity')
      throw new Problem('UNSUPPORTED_MEDIA_TYPE', {
        detail: 'A content encoding is not accepted.',
        acceptEncoding: 'identity',
      })
    if (!isUtf8(headers['content-type'] ?? ''))
      throw new Problem('UNSUPPORTED_MEDIA_TYPE', { detail: 'JSON is in UTF-8 (RFC 8259, section 8.1).' })
  })
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const excess = excessIn(String(body), bounds)
    if (excess === 'depth')
      done(new Problem('MALFORMED_JSON', { detail: 'It lies too deep.', deepest: bounds.deepest }))
    else if (excess === 'parts')
      done(new Problem('MALFORMED_JSON', { detail: 'It is made of too many parts.', parts: bounds.parts }))
    else
      void parse(request, String(body), (error, value) => {
        const fault = error ?? (isWellFormed(value) ? null : new Problem('MALFORMED_JSON', { detail: halfOfAPair }))
        done(fault, value)
      })
  })
}

/** Whether a content type names no character set, or UTF-8. */
function isUtf8(type: string): boolean {
  const [, charset = 'utf-8'] = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(type) ?? []
  return charset.toLowerCase() === 'utf-8'
}

const halfOfAPair = 'A text holds half of a surrogate pair, which is no character and cannot be stored.'

/**
 * Whether every text in a value, also the names of its members, is made of characters (Unicode,
 * D92): no other is stored as it was signed.
 */
function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, inner]) => name.isWellFormed() && isWellFormed(inner))
}
