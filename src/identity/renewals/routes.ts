import { Type } from 'typebox'
import type { HttpServer } from '../../http/index.ts'
import type { Identity } from '../index.ts'
import { inDirectory } from '../refusal-codes.ts'
import { CertifySchema, DigestSchema, JustifiedSchema, UuidSchema } from '../schemas.ts'

const Named = Type.Object({ id: UuidSchema, name: Type.String({ maxLength: 200 }) })
const Due = Type.Object({
  due: Type.Array(
    Type.Object({
      device: DigestSchema,
      person: Named,
      organization: Named,
      tier: Type.String({ maxLength: 40 }),
      expiresAt: Type.String({ maxLength: 30 }),
      expired: Type.Boolean(),
      certificate: Type.String({ maxLength: 16_384 }),
      chain: Type.Array(Type.String({ maxLength: 16_384 }), { maxItems: 17 }),
    }),
  ),
})
const Renewed = Type.Object({ device: DigestSchema, expiresAt: Type.String({ maxLength: 30 }) })

export function mountRenewals(app: HttpServer, { renewals, access }: Identity): void {
  app.get(
    '/v1/renewals',
    {
      config: { access: access.signedIn, refusals: [...inDirectory, 'NOT_FOUND'], record: ['directory.viewed'] },
      schema: {
        operationId: 'listRenewals',
        summary:
          'Certificates of your organization’s people that end within 60 days or have ended; of all, for administrators',
        querystring: JustifiedSchema,
        response: { 200: Due },
      },
    },
    async (request) => ({ due: await renewals.due(access.signedIn.of(request), request.query.justification) }),
  )

  app.post(
    '/v1/renewals',
    {
      config: {
        access: access.signedIn,
        refusals: [...inDirectory, 'NOT_FOUND', 'CERTIFICATE_INVALID', 'DEVICE_MISMATCH'],
        record: ['device.certified'],
      },
      schema: {
        operationId: 'renewCertificate',
        summary: 'Renew the certificate of a device, with the same keys for the same person',
        body: CertifySchema,
        response: { 201: Renewed },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await renewals.renew(access.signedIn.of(request), request.body.certificate)),
  )
}
