import { Type } from 'typebox'
import { everybody, type HttpServer } from '../../http/index.ts'
import type { Identity } from '../index.ts'
import { proofOf } from '../access.ts'
import { NothingSchema, SignedInSchema, UuidSchema } from '../schemas.ts'
import { afterProof, inDirectory } from '../refusal-codes.ts'
import * as schemas from './schemas.ts'

export function mountServiceAccounts(app: HttpServer, { sessions, serviceAccounts, access }: Identity): void {
  app.post(
    '/v1/service-sessions',
    {
      config: {
        access: everybody,
        door: 'sign-in',
        proof: true,
        refusals: ['UNAUTHENTICATED', 'SIGN_IN_REFUSED', 'ADDRESS_REFUSED', 'ACCOUNT_ASLEEP', 'DEVICE_EXPIRED'],
        record: ['session.started'],
      },
      schema: {
        operationId: 'signInService',
        summary: 'Sign in as a service account, with private_key_jwt',
        body: schemas.ServiceSignInSchema,
        response: { 201: SignedInSchema },
      },
    },
    async (request, reply) => {
      return reply.code(201).send(await sessions.signInService(proofOf(request), request.body.client_assertion))
    },
  )

  app.get(
    '/v1/service-accounts',
    {
      config: { access: access.signedIn, refusals: [...inDirectory, 'NOT_FOUND'], record: ['directory.viewed'] },
      schema: {
        operationId: 'listServiceAccounts',
        summary: 'Service accounts: those of an organization for its NCPs, all for administrators',
        querystring: schemas.ServiceAccountsQuerySchema,
        response: { 200: schemas.ServiceAccountsSchema },
      },
    },
    async (request) => {
      const { organization, justification } = request.query
      return { serviceAccounts: await serviceAccounts.list(access.signedIn.of(request), organization, justification) }
    },
  )

  app.post(
    '/v1/service-accounts/:account/stop',
    {
      config: {
        access: access.signedIn,
        refusals: [
          ...afterProof,
          'NOT_FOUND',
          'STATEMENT_INVALID',
          'DEVICE_MISMATCH',
          'LAST_ADMINISTRATOR',
          'LAST_COORDINATOR',
        ],
        record: ['service.ended', 'device.revoked', 'session.ended', 'invitation.revoked'],
      },
      schema: {
        operationId: 'stopServiceAccount',
        summary: 'Stop a service account at once and for good',
        params: Type.Object({ account: UuidSchema }),
        body: schemas.StopSchema,
        response: { 200: NothingSchema },
      },
    },
    async (request) => {
      await serviceAccounts.stop(access.signedIn.of(request), request.params.account, request.body.revocation)
      return {}
    },
  )
}
