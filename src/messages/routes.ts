import type { HttpServer } from '../http/index.ts'
import { actorOf } from '../identity/index.ts'
import { MessageToPost } from '../protocol/index.ts'
import * as schemas from './schemas.ts'
import type { Messages } from './service.ts'

export function mountMessages(app: HttpServer, messages: Messages): void {
  app.post(
    '/v1/operations/:operation/messages',
    {
      config: { access: 'message.post', record: ['message.posted', 'message.corrected', 'message.withdrawn'] },
      schema: {
        summary: 'Post a message',
        params: schemas.InOperation,
        body: MessageToPost,
        response: { 201: schemas.Accepted },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await messages.post(actorOf(request), request.params.operation, request.body, 'http')),
  )

  app.get(
    '/v1/operations/:operation/messages/:message',
    {
      config: { access: 'message.read', record: ['body.fetched'] },
      schema: {
        summary: 'Fetch a message',
        params: schemas.InMessage,
        querystring: schemas.Justified,
        response: { 200: schemas.Message },
      },
    },
    async (request) => {
      const { operation, message } = request.params
      return messages.fetch(actorOf(request), operation, message, request.query.justification)
    },
  )

  app.get(
    '/v1/operations/:operation/messages/:message/receipts',
    {
      config: { access: 'message.read', record: 'nothing: it shows a sender who has their message' },
      schema: {
        summary: 'Who has a message, for its sender and for coordinators',
        params: schemas.InMessage,
        response: { 200: schemas.Receipts },
      },
    },
    async (request) => ({
      receipts: await messages.receipts(actorOf(request), request.params.operation, request.params.message),
    }),
  )

  app.get(
    '/v1/operations/:operation/threads',
    {
      config: { access: 'message.read', record: ['feed.opened'] },
      schema: {
        summary: 'Threads, newest first',
        params: schemas.InOperation,
        querystring: schemas.Page,
        response: { 200: schemas.Threads },
      },
    },
    async (request) =>
      messages.threads(actorOf(request), request.params.operation, request.query.after, request.query.limit),
  )

  app.post(
    '/v1/operations/:operation/imports/known',
    {
      config: { access: 'records.import', record: 'nothing: it tells which of the asker’s own ids exist' },
      schema: {
        summary: 'Which ids of one’s own imports exist',
        params: schemas.InOperation,
        body: schemas.Ids,
        response: { 200: schemas.Known },
      },
    },
    async (request) => ({
      known: await messages.knownIds(actorOf(request), request.params.operation, request.body.ids),
    }),
  )

  app.post(
    '/v1/operations/:operation/imports',
    {
      config: { access: 'records.import', record: ['records.imported'] },
      schema: {
        summary: 'Record that an import ended',
        params: schemas.InOperation,
        body: schemas.Import,
        response: { 200: schemas.Placed },
      },
    },
    async (request) => messages.recordImport(actorOf(request), request.params.operation, request.body),
  )

  app.get(
    '/v1/operations/:operation/import-key',
    {
      config: { access: 'records.import', record: 'nothing: it shows keys that are sealed to the asker' },
      schema: {
        summary: 'The import key of one’s organization, for this device',
        params: schemas.InOperation,
        response: { 200: schemas.ImportKeys },
      },
    },
    async (request) => messages.importKeys(actorOf(request), request.params.operation),
  )

  app.put(
    '/v1/operations/:operation/import-key',
    {
      config: { access: 'records.import', record: ['records.key-stored'] },
      schema: {
        summary: 'Store the import key for devices of one’s organization',
        params: schemas.InOperation,
        body: schemas.StoreImportKeys,
        response: { 200: schemas.Nothing },
      },
    },
    async (request) => {
      await messages.storeImportKeys(actorOf(request), request.params.operation, request.body)
      return {}
    },
  )
}
