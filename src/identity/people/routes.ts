import { Type } from 'typebox'
import type { HttpServer } from '../../http/index.ts'
import type { Identity } from '../index.ts'
import { afterProof, inDirectory } from '../refusal-codes.ts'
import { DigestSchema, ReasonSchema, UuidSchema } from '../schemas.ts'

const exactly = { additionalProperties: false }
const Because = Type.Object({ reason: ReasonSchema }, exactly)
const OnePerson = Type.Object({ person: UuidSchema })
const PersonDevices = Type.Object({
  devices: Type.Array(
    Type.Object({
      device: DigestSchema,
      state: Type.String({ maxLength: 40 }),
      enrolledAt: Type.String({ maxLength: 30 }),
    }),
  ),
})
const AtStake = Type.Object({
  people: Type.Array(Type.Object({ person: UuidSchema, name: Type.String({ maxLength: 200 }) })),
  devices: Type.Integer(),
  operations: Type.Integer(),
})
const OneOrganization = Type.Object({ organization: UuidSchema })
const done = { 204: Type.Null() }

export function mountPeople(app: HttpServer, { people, access }: Identity): void {
  app.get(
    '/v1/people/:person/devices',
    {
      config: { access: access.signedIn, refusals: [...inDirectory, 'NOT_FOUND'], record: ['directory.viewed'] },
      schema: {
        operationId: 'listDevicesOfPerson',
        summary: 'The devices of a person, for administrators and the NCPs of their organization',
        params: OnePerson,
        response: { 200: PersonDevices },
      },
    },
    async (request) => ({ devices: await people.devices(access.signedIn.of(request), request.params.person) }),
  )

  app.get(
    '/v1/people/:person/retirement',
    {
      config: { access: access.signedIn, refusals: [...inDirectory, 'NOT_FOUND'], record: ['directory.viewed'] },
      schema: {
        operationId: 'previewRetirement',
        summary:
          'The devices and operations that a person would lose by leaving, for administrators and the NCPs of their organization',
        params: OnePerson,
        response: { 200: AtStake },
      },
    },
    async (request) => people.atStake(access.signedIn.of(request), request.params.person),
  )

  app.post(
    '/v1/people/:person/retirement',
    {
      config: {
        access: access.signedIn,
        refusals: [...afterProof, 'NOT_FOUND', 'LAST_ADMINISTRATOR', 'LAST_COORDINATOR'],
        record: ['person.ended', 'session.ended', 'member.ended', 'invitation.revoked'],
      },
      schema: {
        operationId: 'retirePerson',
        summary: 'A person leaves for good',
        params: OnePerson,
        body: Because,
        response: done,
      },
    },
    async (request, reply) => {
      await people.retire(access.signedIn.of(request), request.params.person, request.body.reason)
      return reply.code(204).send(null)
    },
  )

  app.put(
    '/v1/people/:person/suspension',
    {
      config: {
        access: access.signedIn,
        refusals: [...afterProof, 'NOT_FOUND', 'LAST_ADMINISTRATOR', 'LAST_COORDINATOR'],
        record: ['person.slept', 'session.ended', 'member.slept'],
      },
      schema: {
        operationId: 'suspendPerson',
        summary: 'A person acts nowhere until woken',
        params: OnePerson,
        body: Because,
        response: done,
      },
    },
    async (request, reply) => {
      await people.suspend(access.signedIn.of(request), request.params.person, request.body.reason)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/people/:person/waking',
    {
      config: { access: access.signedIn, refusals: [...afterProof, 'NOT_FOUND'], record: ['person.woken'] },
      schema: {
        operationId: 'wakePerson',
        summary: 'A suspended or sleeping person can sign in again',
        params: OnePerson,
        body: Because,
        response: done,
      },
    },
    async (request, reply) => {
      await people.wake(access.signedIn.of(request), request.params.person, request.body.reason)
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/v1/organizations/:organization/departure',
    {
      config: { access: access.administrator, refusals: ['FORBIDDEN', 'NOT_FOUND'], record: ['directory.viewed'] },
      schema: {
        operationId: 'previewDeparture',
        summary: 'The people, devices and operations that would go with an organization',
        params: OneOrganization,
        response: { 200: AtStake },
      },
    },
    async (request) => people.atStakeIn(access.administrator.of(request), request.params.organization),
  )

  app.post(
    '/v1/organizations/:organization/departure',
    {
      config: {
        access: access.administrator,
        refusals: ['FORBIDDEN', 'NOT_FOUND', 'STEP_UP_REQUIRED', 'LAST_ADMINISTRATOR', 'LAST_COORDINATOR'],
        record: ['organization.updated', 'person.ended', 'session.ended', 'member.ended', 'invitation.revoked'],
      },
      schema: {
        operationId: 'endOrganization',
        summary: 'An organization leaves, and its people with it',
        params: OneOrganization,
        body: Because,
        response: { 200: Type.Object({ people: Type.Integer() }) },
      },
    },
    async (request) =>
      people.endOrganization(access.administrator.of(request), request.params.organization, request.body.reason),
  )
}
