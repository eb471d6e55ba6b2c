import type { FastifyInstance } from 'fastify'
import { Problem } from '../errors.ts'
import { NotUtf8, excessIn, readText } from '../protocol/index.ts'

/** How much the edge takes in at once, from all clients together. */
export interface Room {
  /** Requests that are being answered; live connections are no requests. */
  readonly requests: number
  /** Connections, live ones among them; further connections are cut off. */
  readonly connections: number
}

export const usualRoom: Room = { requests: 2_000, connections: 22_000 }

/**
 * The bound of the address and the header fields of a request: a token, its proof and a ticket are
 * below 4 KiB.
 */
export const headerLimitBytes = 16 * 1024

/**
 * The bounds of a body: an epoch for 2,000 devices is made of 6,000 parts, and no other body is
 * made of more.
 */
const bounds = { deepest: 16, parts: 10_000 } as const

/** Bounds the connections that are open and the requests that are under way. */
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
 * Accepts JSON bodies alone, and refuses before parsing a body that is nested deeper, or made of
 * more parts, than any request of this service.
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
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, bytes, done) => {
    let body: string
    try {
      body = readText(bytes as Buffer)
    } catch (error) {
      done(error instanceof NotUtf8 ? new Problem('MALFORMED_JSON', { detail: error.message }) : (error as Error))
      return
    }
    const excess = excessIn(body, bounds)
    if (excess === 'depth')
      done(new Problem('MALFORMED_JSON', { detail: 'It is nested too deep.', deepest: bounds.deepest }))
    else if (excess === 'parts')
      done(new Problem('MALFORMED_JSON', { detail: 'It is made of too many parts.', parts: bounds.parts }))
    else
      void parse(request, body, (error, value) => {
        const fault = error ?? (isWellFormed(value) ? null : new Problem('MALFORMED_JSON', { detail: halfOfAPair }))
        done(fault, value)
      })
  })
}

/** Answers whether a content type names UTF-8 or no character set. */
function isUtf8(type: string): boolean {
  const [, charset = 'utf-8'] = /;\s*charset\s*=\s*"?([^";\s]*)/i.exec(type) ?? []
  return charset.toLowerCase() === 'utf-8'
}

const halfOfAPair = 'A text holds half of a surrogate pair, which is no character and cannot be stored.'

/**
 * Answers whether every text in a value, the names of its members included, is made of characters
 * (Unicode, D92): Postgres does not store any other text as it was signed.
 */
function isWellFormed(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value !== 'object' || value === null) return true
  return Object.entries(value).every(([name, inner]) => name.isWellFormed() && isWellFormed(inner))
}
