import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Type, type TSchema } from 'typebox'
import { Problem } from '../errors.ts'
import type { Tx } from '../db/index.ts'
import type { Access, HttpServer } from '../http/index.ts'
import { ProtocolError, parseTilePath, tileWidth, type Tile } from '../protocol/index.ts'
import {
  EntriesQuery,
  NamedEntriesPage,
  readQuery,
  lowerCaseUuid,
  type EntriesPage,
  type LogQuery,
  type PageNames,
} from './filters.ts'
import type { Logs } from './logs.ts'
import type { Scope } from './queries.ts'

/** `A` is the caller who reads, as the rungs above know them. */
export interface LogRouteDeps<A> {
  readonly logs: Pick<
    Logs<unknown>,
    'checkpoint' | 'finalCheckpoint' | 'witnesses' | 'inclusion' | 'consistency' | 'proof' | 'query' | 'tile'
  >
  /**
   * The access of callers who may read the log that the address names as `:id`: members with
   * `log.verify`, or for the directory those who may.
   */
  readonly reader: Access<A>
  /**
   * Records that these entries are given out, in the log that they are of. Problem NOT_FOUND or
   * FORBIDDEN unless the caller is an auditor of the log.
   */
  enterExport(who: A, log: string, entries: { from: number; count: number }): Promise<void>
  /**
   * Records that the caller queries this log, if it may, and answers how the transaction that reads
   * finds out what is shown. Problems NOT_FOUND, FORBIDDEN, JUSTIFICATION_REQUIRED.
   */
  enterQuery(who: A, log: string, query: LogQuery): Promise<(tx: Tx) => Promise<Scope>>
  /** Answers the names of the ids on a page of this log, as far as the caller may see them. */
  namesIn(who: A, log: string, page: EntriesPage): Promise<PageNames>
}

// Lower case alone: one log has one name, also as the name of its checkpoint's file.
const Id = Type.Object({ id: Type.String({ pattern: lowerCaseUuid }) }, { additionalProperties: false })
const position = (description: string) => Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description })
// The form of a decimal in the proof itself (C2SP tlog-proof): one entry, one address.
const decimal = '^(0|[1-9][0-9]{0,14})$'
const immutable = 'private, max-age=31536000, immutable'
const packed = promisify(gzip)
const Proof = Type.Object(
  { proof: Type.Array(Type.String({ maxLength: 100 }), { maxItems: 64 }) },
  { additionalProperties: false },
)

/** Describes an answer that is no JSON: its type, and what it is. */
const answerOf = (type: string, description: string, schema: TSchema) => ({
  description,
  content: { [type]: { schema } },
})
const Note = answerOf('text/plain', 'The note.', Type.String({ maxLength: 1_000_000 }))
const EntryProof = answerOf('text/plain', 'The proof.', Type.String({ maxLength: 1_000_000 }))
const TileBytes = answerOf('application/octet-stream', 'The bytes of the tile.', Type.Unsafe<unknown>({}))

const Witnesses = Type.Object(
  {
    size: Type.Integer({ description: 'Of the newest published checkpoint' }),
    final: Type.Union([Type.Integer(), Type.Null()], {
      description: 'Size of the newest checkpoint with a quorum of witnesses',
    }),
    quorum: Type.Boolean({ description: 'Whether the newest published checkpoint has its quorum' }),
    witnesses: Type.Array(
      Type.Object(
        {
          name: Type.String({ maxLength: 200 }),
          keys: Type.Array(Type.String({ maxLength: 4096 }), {
            maxItems: 16,
            description: 'Verifier keys (C2SP signed-note)',
          }),
          url: Type.Union([Type.String(), Type.Null()]),
          size: Type.Union([Type.Integer(), Type.Null()], { description: 'The size that it cosigned last' }),
          cosignedAt: Type.Union([Type.String({ maxLength: 30 }), Type.Null()], {
            description: 'The time that it states for its cosignature',
          }),
          lag: Type.Object(
            { entries: Type.Integer(), seconds: Type.Union([Type.Integer(), Type.Null()]) },
            { additionalProperties: false },
          ),
          lastFailure: Type.Union([
            Type.Object({ at: Type.String({ maxLength: 30 }), reason: Type.String() }, { additionalProperties: false }),
            Type.Null(),
          ]),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
)

/** Mounts checkpoints and proofs under /v1/logs/<id>, for members of the operation. */
export function mountLogRoutes<A>(app: HttpServer, deps: LogRouteDeps<A>): void {
  app.get(
    '/v1/logs/:id/checkpoint',
    {
      config: { access: deps.reader, refusals: ['LOG_KEY'], record: 'nothing: it shows hashes alone' },
      schema: {
        operationId: 'readCheckpoint',
        summary: 'The newest published checkpoint, a signed note (C2SP tlog-checkpoint)',
        params: Id,
        response: { 200: Note },
      },
    },
    async (request, reply) => {
      const note = await deps.logs.checkpoint(request.params.id)
      // A note is bytes that were signed: it has one type, and no cache keeps an old note in place
      // of the newest.
      return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-cache').send(note)
    },
  )

  app.get(
    '/v1/logs/:id/final-checkpoint',
    {
      config: { access: deps.reader, refusals: ['NOT_WITNESSED', 'LOG_KEY'], record: 'nothing: it shows hashes alone' },
      schema: {
        operationId: 'readFinalCheckpoint',
        summary:
          'The newest checkpoint with a quorum of witnesses, a signed note with their cosignatures (C2SP tlog-cosignature)',
        params: Id,
        response: { 200: Note },
      },
    },
    async (request, reply) => {
      const note = await deps.logs.finalCheckpoint(request.params.id)
      return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-cache').send(note)
    },
  )

  app.get(
    '/v1/logs/:id/witnesses',
    {
      config: { access: deps.reader, record: 'nothing: it shows nothing about any person' },
      schema: {
        operationId: 'listWitnesses',
        summary: 'The witnesses of this log, and how far each has come',
        params: Id,
        response: { 200: Witnesses },
      },
    },
    async (request) => {
      return deps.logs.witnesses(request.params.id)
    },
  )

  app.get(
    '/v1/logs/:id/inclusion',
    {
      config: { access: deps.reader, record: 'nothing: it shows hashes alone' },
      schema: {
        operationId: 'proveInclusion',
        summary:
          'Proof that an entry is in the tree of a size (RFC 9162, 2.1.3), hashes in base64url from the leaf upwards',
        params: Id,
        querystring: Type.Object(
          { index: position('Index of the entry, below size'), size: position('Size of the tree') },
          { additionalProperties: false },
        ),
        response: { 200: Proof },
      },
    },
    async (request) => {
      const { index, size } = request.query
      return { proof: await deps.logs.inclusion(request.params.id, index, size) }
    },
  )

  app.get(
    '/v1/logs/:id/consistency',
    {
      config: { access: deps.reader, record: 'nothing: it shows hashes alone' },
      schema: {
        operationId: 'proveConsistency',
        summary: 'Proof that the tree of size `from` is the beginning of the one of size `to` (RFC 9162, 2.1.4)',
        params: Id,
        querystring: Type.Object(
          { from: position('Size of the older tree'), to: position('Size of the newer tree') },
          { additionalProperties: false },
        ),
        response: { 200: Proof },
      },
    },
    async (request) => {
      const { from, to } = request.query
      return { proof: await deps.logs.consistency(request.params.id, from, to) }
    },
  )

  app.get(
    '/v1/logs/:id/proof/:index',
    {
      config: { access: deps.reader, refusals: ['LOG_KEY'], record: 'nothing: it shows hashes alone' },
      schema: {
        operationId: 'proveEntry',
        summary: 'Proof of an entry under a published checkpoint, to be checked offline (C2SP tlog-proof)',
        params: Type.Object(
          {
            id: Type.String({ pattern: lowerCaseUuid }),
            index: Type.String({ pattern: decimal, description: 'Index of the entry' }),
          },
          { additionalProperties: false },
        ),
        response: { 200: EntryProof },
      },
    },
    async (request, reply) => {
      const { id, index } = request.params
      const proof = await deps.logs.proof(id, Number(index))
      return reply.type('text/plain; charset=utf-8').header('cache-control', 'no-cache').send(proof)
    },
  )

  app.get(
    '/v1/logs/:id/tile/*',
    {
      config: { access: deps.reader, refusals: ['AUDITOR_ONLY'], record: ['export.made'] },
      schema: {
        operationId: 'readTile',
        summary:
          'Hash tiles (tile/0/x001/234.p/56) for members, entry bundles (tile/entries/…) for auditors (C2SP tlog-tiles)',
        params: Type.Object(
          { id: Type.String({ pattern: lowerCaseUuid }), '*': Type.String({ maxLength: 64 }) },
          { additionalProperties: false },
        ),
        response: { 200: TileBytes },
      },
    },
    async (request, reply) => {
      const { id, '*': path } = request.params
      const tile = requireTile(path)
      if (tile.level === 'entries') {
        const { index, width } = tile
        await deps.enterExport(deps.reader.of(request), id, { from: index * tileWidth, count: width })
      } else {
      }
      return sendTile(request, reply, await deps.logs.tile(id, tile))
    },
  )

  app.get(
    '/v1/logs/:id/entries',
    {
      config: {
        access: deps.reader,
        refusals: ['AUDITOR_ONLY', 'QUERY_TOO_WIDE', 'JUSTIFICATION_REQUIRED'],
        record: ['log.queried'],
      },
      schema: {
        operationId: 'queryLog',
        summary:
          'Entries that match the query, newest first; the log records each page as log.queried before it is read',
        params: Id,
        querystring: EntriesQuery,
        response: { 200: NamedEntriesPage },
      },
    },
    async (request) => {
      const { id } = request.params
      const query = readQuery(request.query)
      const who = deps.reader.of(request)
      const scopeIn = await deps.enterQuery(who, id, query)
      const page = await deps.logs.query(id, query, scopeIn)
      return { ...page, names: await deps.namesIn(who, id, page) }
    },
  )
}

/** Answers the tile of a path; NOT_FOUND where the path is not that of a tile. */
function requireTile(path: string): Tile {
  try {
    return parseTilePath(path)
  } catch (error) {
    if (error instanceof ProtocolError) throw new Problem('NOT_FOUND')
    throw error
  }
}

async function sendTile(request: FastifyRequest, reply: FastifyReply, bytes: Buffer): Promise<FastifyReply> {
  reply.type('application/octet-stream').header('cache-control', immutable).header('vary', 'accept-encoding')
  const mayPack = /(^|[\s,])gzip\s*(,|;\s*q=(1|0\.0*[1-9])|$)/.test(request.headers['accept-encoding'] ?? '')
  if (!mayPack) return reply.send(bytes)
  return reply.header('content-encoding', 'gzip').send(await packed(bytes))
}
