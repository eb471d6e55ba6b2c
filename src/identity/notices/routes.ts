import { Type } from 'typebox'
import type { HttpServer } from '../../http/index.ts'
import type { Identity } from '../index.ts'
import { afterProof, inDirectory } from '../refusal-codes.ts'
import * as schemas from './schemas.ts'

const path = '/v1/notices/address'

export function mountNotices(app: HttpServer, { addresses, outbox, access }: Identity): void {
  app.get(
    path,
    {
      config: { access: access.signedIn, record: 'nothing: it shows the caller what is their own' },
      schema: {
        operationId: 'readNoticeAddress',
        summary: 'The address at which the caller is told that something waits',
        response: { 200: schemas.AddressSchema },
      },
    },
    async (request) => addresses.show(access.signedIn.of(request)),
  )

  app.put(
    path,
    {
      config: {
        access: access.signedIn,
        refusals: [...afterProof, 'NOTICES_OFF', 'NOTICE_CODE_LIMIT'],
        record: 'nothing: it prepares what is recorded when it is used',
      },
      schema: {
        operationId: 'setNoticeAddress',
        summary: 'Send a code to an e-mail address, which counts once the caller gives the code',
        body: schemas.SetAddressSchema,
        response: {
          202: { description: 'A code is on its way.', content: { 'application/json': { schema: Type.Null() } } },
        },
      },
    },
    async (request, reply) => {
      await addresses.ask(access.signedIn.of(request), request.body.address)
      outbox.hurry()
      return reply.code(202).send(null)
    },
  )

  app.post(
    `${path}/confirmation`,
    {
      config: {
        access: access.signedIn,
        refusals: [...inDirectory, 'NOTICE_CODE_WRONG'],
        record: ['notice.address-set'],
      },
      schema: {
        operationId: 'confirmNoticeAddress',
        summary: 'Confirm the address',
        body: schemas.ConfirmAddressSchema,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await addresses.confirm(access.signedIn.of(request), request.body.code)
      return reply.code(204).send(null)
    },
  )

  app.delete(
    path,
    {
      config: { access: access.signedIn, refusals: [...afterProof, 'NOT_FOUND'], record: ['notice.address-set'] },
      schema: { operationId: 'removeNoticeAddress', summary: 'Be told nowhere', response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await addresses.remove(access.signedIn.of(request))
      return reply.code(204).send(null)
    },
  )
}
