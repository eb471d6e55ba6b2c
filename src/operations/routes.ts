import type { TSchema } from 'typebox'
import type { Permission } from '../access.ts'
import type { HttpServer } from '../http/index.ts'
import { actorOf } from '../identity/index.ts'
import * as schemas from './schemas.ts'
import type { Operations } from './service.ts'

const answer = (schema: TSchema) => ({ 200: schema })

export function mountOperations(app: HttpServer, operations: Operations): void {
  app.post(
    '/v1/operations',
    {
      config: { access: 'administrator' },
      schema: { summary: 'Create an operation', body: schemas.Create, response: { 201: schemas.Created } },
    },
    async (request, reply) => reply.code(201).send(await operations.create(actorOf(request), request.body)),
  )

  app.get(
    '/v1/operations',
    {
      config: { access: 'signed-in' },
      schema: { summary: 'One’s own operations', response: answer(schemas.Operations) },
    },
    async (request) => ({
      operations: await operations.list(actorOf(request)),
    }),
  )

  app.get(
    '/v1/operations/:operation',
    {
      config: { access: 'operation.read' },
      schema: {
        summary: 'An operation and one’s place in it',
        params: schemas.InOperation,
        response: answer(schemas.Operation),
      },
    },
    async (request) => operations.show(actorOf(request), request.params.operation),
  )

  app.patch(
    '/v1/operations/:operation',
    {
      config: { access: 'operation.update' },
      schema: {
        summary: 'Change name or time zone',
        params: schemas.InOperation,
        body: schemas.Update,
        response: answer(schemas.Placed),
      },
    },
    async (request) => operations.update(actorOf(request), request.params.operation, request.body),
  )

  app.post(
    '/v1/operations/:operation/advance',
    {
      config: { access: 'operation.advance' },
      schema: {
        summary: 'Move to the next state',
        params: schemas.InOperation,
        body: schemas.Advance,
        response: answer(schemas.Placed),
      },
    },
    async (request) =>
      operations.advance(actorOf(request), request.params.operation, request.body.to, request.body.reason),
  )

  app.get(
    '/v1/operations/:operation/organizations',
    {
      config: { access: 'member.list' },
      schema: {
        summary: 'Organizations of the operation',
        params: schemas.InOperation,
        response: answer(schemas.Organizations),
      },
    },
    async (request) => ({
      organizations: await operations.organizations(actorOf(request), request.params.operation),
    }),
  )

  app.post(
    '/v1/operations/:operation/organizations',
    {
      config: { access: 'organization.admit' },
      schema: {
        summary: 'Invite an organization',
        params: schemas.InOperation,
        body: schemas.AdmitOrganization,
        response: answer(schemas.Placed),
      },
    },
    async (request) =>
      operations.admitOrganization(actorOf(request), request.params.operation, request.body.organization),
  )

  app.get(
    '/v1/operations/:operation/candidates',
    {
      config: { access: 'member.admit' },
      schema: {
        summary: 'People who could be admitted',
        params: schemas.InOperation,
        querystring: schemas.CandidatesQuery,
        response: answer(schemas.Candidates),
      },
    },
    async (request) => ({
      people: await operations.candidates(actorOf(request), request.params.operation, request.query.organization),
    }),
  )

  app.get(
    '/v1/operations/:operation/members',
    {
      config: { access: 'member.list' },
      schema: {
        summary: 'Members, as far as one sees them',
        params: schemas.InOperation,
        response: answer(schemas.Members),
      },
    },
    async (request) => ({
      members: await operations.members(actorOf(request), request.params.operation),
    }),
  )

  app.get(
    '/v1/operations/:operation/compartments',
    {
      config: { access: 'compartment.list' },
      schema: {
        summary: 'Compartments, as far as one sees them',
        params: schemas.InOperation,
        response: answer(schemas.Compartments),
      },
    },
    async (request) => ({
      compartments: await operations.compartments(actorOf(request), request.params.operation),
    }),
  )

  app.post(
    '/v1/operations/:operation/compartments',
    {
      config: { access: 'compartment.create' },
      schema: {
        summary: 'Create a compartment',
        params: schemas.InOperation,
        body: schemas.NamedStatement,
        response: answer(schemas.Placed),
      },
    },
    async (request) =>
      operations.actOnMembers(
        actorOf(request),
        request.params.operation,
        'compartment.create',
        request.body.statement,
        request.body.name,
      ),
  )

  const memberActs: readonly [string, Permission, string, typeof schemas.InOperation][] = [
    [
      '/v1/operations/:operation/rules',
      'operation.update',
      'Set the rules of history and of the compartment all',
      schemas.InOperation,
    ],
    ['/v1/operations/:operation/members', 'member.admit', 'Admit a member', schemas.InOperation],
    ['/v1/operations/:operation/members/:person/role', 'member.change-role', 'Change a role', schemas.InMember],
    ['/v1/operations/:operation/members/:person/removal', 'member.remove', 'Remove a member', schemas.InMember],
    ['/v1/operations/:operation/members/:person/wake', 'member.admit', 'Wake a member', schemas.InMember],
    [
      '/v1/operations/:operation/organizations/:organization/removal',
      'organization.remove',
      'Remove an organization with its members',
      schemas.InOrganization,
    ],
    [
      '/v1/operations/:operation/compartments/:compartment/members',
      'compartment.change-members',
      'Add a member to a compartment',
      schemas.InCompartment,
    ],
    [
      '/v1/operations/:operation/compartments/:compartment/members/:person/removal',
      'compartment.change-members',
      'Remove a member from a compartment',
      schemas.InCompartmentMember,
    ],
  ]
  for (const [url, permission, summary, params] of memberActs) {
    app.post(
      url,
      {
        config: { access: permission },
        schema: { summary, params, body: schemas.Statement, response: answer(schemas.Placed) },
      },
      async (request) =>
        operations.actOnMembers(actorOf(request), request.params.operation, permission, request.body.statement),
    )
  }

  app.post(
    '/v1/operations/:operation/epochs',
    {
      config: { access: 'epoch.open' },
      bodyLimit: schemas.openEpochBytes,
      schema: {
        summary: 'Open the next epoch of a compartment',
        params: schemas.InOperation,
        body: schemas.OpenEpoch,
        response: answer(schemas.Placed),
      },
    },
    async (request) =>
      operations.openEpoch(actorOf(request), request.params.operation, request.body.statement, request.body.grants),
  )

  app.get(
    '/v1/operations/:operation/grants',
    {
      config: { access: 'message.read' },
      schema: {
        summary: 'The grants for this device',
        params: schemas.InOperation,
        querystring: schemas.GrantsQuery,
        response: answer(schemas.Grants),
      },
    },
    async (request) => ({
      grants: await operations.grants(actorOf(request), request.params.operation, request.query.compartment),
    }),
  )

  app.post(
    '/v1/operations/:operation/grants',
    {
      config: { access: 'grant.give' },
      schema: {
        summary: 'Grant past epochs to devices',
        params: schemas.InOperation,
        body: schemas.GiveGrants,
        response: answer(schemas.Placed),
      },
    },
    async (request) =>
      operations.giveGrants(actorOf(request), request.params.operation, request.body.compartment, request.body.grants),
  )

  app.get(
    '/v1/operations/:operation/grant-requests',
    {
      config: { access: 'grant.give' },
      schema: {
        summary: 'Devices that lack keys one could give',
        params: schemas.InOperation,
        response: answer(schemas.GrantRequests),
      },
    },
    async (request) => ({
      requests: await operations.grantRequests(actorOf(request), request.params.operation),
    }),
  )

  app.post(
    '/v1/operations/:operation/disputes',
    {
      config: { access: 'message.read' },
      schema: {
        summary: 'Say that a grant does not open',
        params: schemas.InOperation,
        body: schemas.Dispute,
        response: answer(schemas.Placed),
      },
    },
    async (request) =>
      operations.dispute(actorOf(request), request.params.operation, request.body.compartment, request.body.epoch),
  )
}
