import type { HttpServer } from '../http/index.ts'
import { JustifiedSchema, NothingSchema } from '../identity/index.ts'
import { InOperationSchema, type OperationAccesses } from '../operations/index.ts'
import { MessageToPost } from '../protocol/index.ts'
import * as schemas from './schemas.ts'
import type { MessageService } from './service.ts'

export function mountMessages(app: HttpServer, messages: MessageService, may: OperationAccesses): void {
  const posting = may.memberTo('message.post')
  app.post(
    '/v1/operations/:operation/messages',
    {
      config: {
        access: posting,
        refusals: [
          'STATEMENT_INVALID',
          'BODY_INVALID',
          'EXTRACT_INVALID',
          'DEVICE_MISMATCH',
          'CERTIFICATE_OUTDATED',
          'SEEN_MISMATCH',
          'MESSAGE_ID_REUSED',
          'MEMBERS_BEHIND',
          'EPOCH_UNKNOWN',
          'EPOCH_STALE',
        ],
        record: ['message.posted', 'message.corrected', 'message.withdrawn'],
      },
      schema: {
        operationId: 'postMessage',
        summary: 'Post a message',
        params: InOperationSchema,
        body: MessageToPost,
        response: { 201: schemas.AcceptedSchema },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await messages.post(posting.of(request), request.params.operation, request.body, 'http')),
  )

  app.get(
    '/v1/operations/:operation/messages/:message',
    {
      config: { access: may.to('message.read'), refusals: ['JUSTIFICATION_REQUIRED'], record: ['body.fetched'] },
      schema: {
        operationId: 'readMessage',
        summary: 'Fetch a message',
        params: schemas.InMessageSchema,
        querystring: JustifiedSchema,
        response: { 200: schemas.MessageSchema },
      },
    },
    async (request) => {
      const { operation, message } = request.params
      return messages.fetch(may.to('message.read').of(request).actor, operation, message, request.query.justification)
    },
  )

  app.get(
    '/v1/operations/:operation/messages/:message/receipts',
    {
      config: { access: may.to('message.read'), record: 'nothing: it shows a sender who has their message' },
      schema: {
        operationId: 'listReceipts',
        summary: 'Who has a message, for its sender and for coordinators',
        params: schemas.InMessageSchema,
        response: { 200: schemas.ReceiptsSchema },
      },
    },
    async (request) => ({
      receipts: await messages.receipts(
        may.to('message.read').of(request).actor,
        request.params.operation,
        request.params.message,
      ),
    }),
  )

  app.get(
    '/v1/operations/:operation/threads',
    {
      config: { access: may.to('message.read'), record: ['feed.opened'] },
      schema: {
        operationId: 'listThreads',
        summary: 'Threads, newest first',
        params: InOperationSchema,
        querystring: schemas.PageSchema,
        response: { 200: schemas.ThreadsSchema },
      },
    },
    async (request) =>
      messages.threads(
        may.to('message.read').of(request).actor,
        request.params.operation,
        request.query.after,
        request.query.limit,
      ),
  )

  app.post(
    '/v1/operations/:operation/imports/known',
    {
      config: { access: may.to('records.import'), record: 'nothing: it tells which of the caller’s own ids exist' },
      schema: {
        operationId: 'findKnownIds',
        summary: 'Which ids of the caller’s own imports exist',
        params: InOperationSchema,
        body: schemas.IdsSchema,
        response: { 200: schemas.KnownIdsSchema },
      },
    },
    async (request) => ({
      known: await messages.knownIds(
        may.to('records.import').of(request).actor,
        request.params.operation,
        request.body.ids,
      ),
    }),
  )

  app.post(
    '/v1/operations/:operation/imports',
    {
      config: { access: may.to('records.import'), record: ['records.imported'] },
      schema: {
        operationId: 'recordImport',
        summary: 'Record that an import ended',
        params: InOperationSchema,
        body: schemas.ImportSchema,
        response: { 200: schemas.EntryIndexSchema },
      },
    },
    async (request) =>
      messages.recordImport(may.to('records.import').of(request).actor, request.params.operation, request.body),
  )

  app.get(
    '/v1/operations/:operation/import-key',
    {
      config: { access: may.to('records.import'), record: 'nothing: it shows keys that are sealed to the caller' },
      schema: {
        operationId: 'readImportKey',
        summary: 'The import key of one’s organization, for this device',
        params: InOperationSchema,
        response: { 200: schemas.ImportKeysSchema },
      },
    },
    async (request) => messages.importKeys(may.to('records.import').of(request).actor, request.params.operation),
  )

  app.put(
    '/v1/operations/:operation/import-key',
    {
      config: {
        access: may.to('records.import'),
        refusals: ['STATEMENT_INVALID', 'ALREADY_EXISTS', 'GRANT_REFUSED'],
        record: ['records.key-stored'],
      },
      schema: {
        operationId: 'storeImportKey',
        summary: 'Store the import key for devices of one’s organization',
        params: InOperationSchema,
        body: schemas.StoreImportKeysSchema,
        response: { 200: NothingSchema },
      },
    },
    async (request) => {
      await messages.storeImportKeys(may.to('records.import').of(request).actor, request.params.operation, request.body)
      return {}
    },
  )
}
