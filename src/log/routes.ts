import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { HttpServer } from '../http/index.ts'
import type { Logs } from './logs.ts'

export interface LogRouteDeps {
  readonly logs: Pick<Logs<unknown>, 'checkpoint' | 'inclusion' | 'consistency'>
  /** Throws Problem NOT_FOUND unless the caller may read this log: a member with `log.verify`, or for the directory who may. */
  requireLogReader(request: FastifyRequest, log: string): Promise<void>
}

// Lower case alone: one log has one name, also as the name of its checkpoint's file.
const uuid = '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
const Id = Type.Object({ id: Type.String({ pattern: uuid }) }, { additionalProperties: false })
const position = (description: string) => Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description })
const Proof = Type.Object({ proof: Type.Array(Type.String()) }, { additionalProperties: false })

/** Checkpoints and proofs under /v1/logs/<id>, for members of the operation. */
export function mountLogRoutes(app: HttpServer, deps: LogRouteDeps): void {
  app.get(
    '/v1/logs/:id/checkpoint',
    {
      config: { access: 'log-reader' },
      schema: {
        summary: 'The newest published checkpoint, a signed note (C2SP tlog-checkpoint)',
        tags: ['log'],
        params: Id,
      },
    },
    async (request, reply) => {
      await deps.requireLogReader(request, request.params.id)
      const note = await deps.logs.checkpoint(request.params.id)
      // A note is bytes that were signed: one type, and nobody keeps an old one for the newest.
      return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-cache').send(note)
    },
  )

  app.get(
    '/v1/logs/:id/inclusion',
    {
      config: { access: 'log-reader' },
      schema: {
        summary:
          'Proof that an entry is in the tree of a size (RFC 9162, 2.1.3), hashes in base64url from the leaf upwards',
        tags: ['log'],
        params: Id,
        querystring: Type.Object(
          { index: position('Index of the entry, below size'), size: position('Size of the tree') },
          { additionalProperties: false },
        ),
        response: { 200: Proof },
      },
    },
    async (request) => {
      await deps.requireLogReader(request, request.params.id)
      const { index, size } = request.query
      return { proof: await deps.logs.inclusion(request.params.id, index, size) }
    },
  )

  app.get(
    '/v1/logs/:id/consistency',
    {
      config: { access: 'log-reader' },
      schema: {
        summary: 'Proof that the tree of size `from` is the beginning of the one of size `to` (RFC 9162, 2.1.4)',
        tags: ['log'],
        params: Id,
        querystring: Type.Object(
          { from: position('Size of the older tree'), to: position('Size of the newer tree') },
          { additionalProperties: false },
        ),
        response: { 200: Proof },
      },
    },
    async (request) => {
      await deps.requireLogReader(request, request.params.id)
      const { from, to } = request.query
      return { proof: await deps.logs.consistency(request.params.id, from, to) }
    },
  )
}
