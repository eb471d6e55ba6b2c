import { Type } from 'typebox'
import type { HttpServer } from '../../http/index.ts'
import type { Identity } from '../index.ts'
import { afterProof, inDirectory } from '../refusal-codes.ts'
import { DigestSchema, UuidSchema } from '../schemas.ts'

const Named = Type.Object({ id: UuidSchema, name: Type.String({ maxLength: 200 }) })
const OneRecovery = Type.Object({ invitation: UuidSchema })
const Recovery = Type.Object({
  invitation: UuidSchema,
  request: DigestSchema,
  requestedAt: Type.String({ maxLength: 30 }),
  approvableUntil: Type.String({ maxLength: 30 }),
  state: Type.String({ maxLength: 40, description: 'open, approved, expired' }),
  tier: Type.String({ maxLength: 40 }),
  person: Named,
  organization: Named,
  requester: Named,
})
const Approve = Type.Object({ request: DigestSchema }, { additionalProperties: false })

export function mountRecoveries(app: HttpServer, { recoveries, access }: Identity): void {
  app.get(
    '/v1/recoveries/:invitation',
    {
      config: { access: access.signedIn, refusals: [...inDirectory, 'NOT_FOUND'], record: ['directory.viewed'] },
      schema: {
        operationId: 'readRecovery',
        summary: 'The request that a person who lost every device comes back, for the approver',
        params: OneRecovery,
        response: { 200: Recovery },
      },
    },
    async (request) => recoveries.show(access.signedIn.of(request), request.params.invitation),
  )

  app.put(
    '/v1/recoveries/:invitation/approval',
    {
      config: {
        access: access.signedIn,
        refusals: [...afterProof, 'NOT_FOUND', 'APPROVAL_MISSING'],
        record: ['approval.given'],
      },
      schema: {
        operationId: 'approveRecovery',
        summary: 'Approve it, as a second person of another organization',
        params: OneRecovery,
        body: Approve,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await recoveries.approve(access.signedIn.of(request), request.params.invitation, request.body.request)
      return reply.code(204).send(null)
    },
  )
}
