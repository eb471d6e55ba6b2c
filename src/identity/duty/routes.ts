import { Type } from 'typebox'
import type { HttpServer } from '../../http/index.ts'
import type { Identity } from '../index.ts'
import { inDirectory } from '../refusal-codes.ts'
import { ReasonSchema, TimeSchema, UuidSchema } from '../schemas.ts'

const OnePerson = Type.Object({ person: UuidSchema })
const Party = Type.Object({ person: UuidSchema, name: Type.String({ maxLength: 200 }) })
const HandOver = Type.Object(
  {
    deputy: UuidSchema,
    from: Type.Optional(TimeSchema),
    until: Type.Optional(TimeSchema),
    reason: ReasonSchema,
  },
  { additionalProperties: false },
)
const DutyOf = Type.Object({
  onDuty: Type.Array(
    Type.Object({ person: UuidSchema, name: Type.String({ maxLength: 200 }), standsInFor: Type.Array(Party) }),
  ),
  handOvers: Type.Array(
    Type.Object({
      person: UuidSchema,
      name: Type.String({ maxLength: 200 }),
      deputy: Party,
      from: Type.String({ maxLength: 30 }),
      until: Type.Union([Type.String({ maxLength: 30 }), Type.Null()]),
    }),
  ),
})
const done = { 204: Type.Null() }

export function mountDuty(app: HttpServer, { duty, access }: Identity): void {
  app.get(
    '/v1/organizations/:organization/duty',
    {
      config: { access: access.signedIn, refusals: [...inDirectory, 'NOT_FOUND'], record: ['directory.viewed'] },
      schema: {
        operationId: 'readDuty',
        summary: 'Which contact points are on duty, and who stands in for whom, for administrators and their own NCPs',
        params: Type.Object({ organization: UuidSchema }),
        response: { 200: DutyOf },
      },
    },
    async (request) => duty.show(access.signedIn.of(request), request.params.organization),
  )

  app.put(
    '/v1/people/:person/deputy',
    {
      config: {
        access: access.signedIn,
        refusals: [...inDirectory, 'NOT_FOUND', 'DUTY_RULE'],
        record: ['duty.handed-over'],
      },
      schema: {
        operationId: 'handOverDuty',
        summary: 'A deputy stands in for a contact point, from now or then, for a time or until it is taken back',
        params: OnePerson,
        body: HandOver,
        response: done,
      },
    },
    async (request, reply) => {
      await duty.handOver(access.signedIn.of(request), request.params.person, request.body)
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/v1/people/:person/deputy',
    {
      config: { access: access.signedIn, refusals: [...inDirectory, 'NOT_FOUND'], record: ['duty.taken-back'] },
      schema: {
        operationId: 'takeBackDuty',
        summary: 'The contact point is on duty again',
        params: OnePerson,
        response: done,
      },
    },
    async (request, reply) => {
      await duty.takeBack(access.signedIn.of(request), request.params.person)
      return reply.code(204).send(null)
    },
  )
}
