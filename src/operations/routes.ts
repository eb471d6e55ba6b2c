import type { TSchema } from 'typebox'
import type { Permission } from '../access.ts'
import type { Duty, HttpServer } from '../http/index.ts'
import type { Accesses } from '../identity/index.ts'
import type { OperationAccesses } from './access.ts'
import * as schemas from './schemas.ts'
import type { Operations } from './service.ts'

/** With what every statement about members may be refused. */
const ofMemberActs = [
  'STATEMENT_INVALID',
  'DEVICE_MISMATCH',
  'CERTIFICATE_OUTDATED',
  'MEMBERS_MOVED',
  'MEMBER_RULE',
  'APPROVAL_NOT_AVAILABLE',
] as const

const answer = (schema: TSchema) => ({ 200: schema })

export function mountOperations(
  app: HttpServer,
  operations: Operations,
  access: Accesses,
  may: OperationAccesses,
): void {
  app.post(
    '/v1/operations',
    {
      config: {
        access: access.administrator,
        refusals: [
          'FORBIDDEN',
          'NOT_FOUND',
          'STATEMENT_INVALID',
          'DEVICE_MISMATCH',
          'CERTIFICATE_OUTDATED',
          'MEMBER_RULE',
          'ALREADY_EXISTS',
        ],
        record: ['operation.created', 'member.admitted', 'device.certified'],
      },
      schema: {
        operationId: 'createOperation',
        summary: 'Create an operation',
        body: schemas.Create,
        response: { 201: schemas.Created },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await operations.create(access.administrator.of(request), request.body)),
  )

  app.get(
    '/v1/operations',
    {
      config: { access: access.signedIn, record: 'nothing: it shows the asker what is their own' },
      schema: { operationId: 'listOperations', summary: 'One’s own operations', response: answer(schemas.Operations) },
    },
    async (request) => ({
      operations: await operations.list(access.signedIn.of(request)),
    }),
  )

  app.get(
    '/v1/operations/:operation',
    {
      config: {
        access: may.to('operation.read'),
        record: 'nothing: it shows members who and what their operation consists of',
      },
      schema: {
        operationId: 'readOperation',
        summary: 'An operation and one’s place in it',
        params: schemas.InOperation,
        response: answer(schemas.Operation),
      },
    },
    async (request) => operations.show(may.to('operation.read').of(request).actor, request.params.operation),
  )

  app.patch(
    '/v1/operations/:operation',
    {
      config: { access: may.to('operation.update'), record: ['operation.updated'] },
      schema: {
        operationId: 'updateOperation',
        summary: 'Change name, time zone or purpose',
        params: schemas.InOperation,
        body: schemas.Update,
        response: answer(schemas.Placed),
      },
    },
    async (request) => operations.update(may.to('operation.update').of(request), request.body),
  )

  app.post(
    '/v1/operations/:operation/advance',
    {
      config: { access: may.to('operation.advance'), refusals: ofMemberActs, record: ['operation.advanced'] },
      schema: {
        operationId: 'advanceOperation',
        summary: 'Move to the next state',
        params: schemas.InOperation,
        body: schemas.Statement,
        response: answer(schemas.Placed),
      },
    },
    async (request) =>
      operations.actOnMembers(may.to('operation.advance').of(request), 'operation.advance', request.body),
  )

  app.get(
    '/v1/operations/:operation/organizations',
    {
      config: {
        access: may.to('member.list'),
        record: 'nothing: it shows members who and what their operation consists of',
      },
      schema: {
        operationId: 'listOrganizationsOfOperation',
        summary: 'Organizations of the operation',
        params: schemas.InOperation,
        response: answer(schemas.Organizations),
      },
    },
    async (request) => ({
      organizations: await operations.organizations(may.to('member.list').of(request).actor, request.params.operation),
    }),
  )

  app.post(
    '/v1/operations/:operation/organizations',
    {
      config: {
        access: may.to('organization.admit'),
        refusals: ['MEMBER_RULE'],
        record: ['operation.organization-admitted'],
      },
      schema: {
        operationId: 'admitOrganization',
        summary: 'Invite an organization',
        params: schemas.InOperation,
        body: schemas.AdmitOrganization,
        response: answer(schemas.Placed),
      },
    },
    async (request) => operations.admitOrganization(may.to('organization.admit').of(request), request.body),
  )

  app.get(
    '/v1/operations/:operation/candidates',
    {
      config: { access: may.to('member.admit'), refusals: ['JUSTIFICATION_REQUIRED'], record: ['directory.viewed'] },
      schema: {
        operationId: 'listCandidates',
        summary: 'People who could be admitted',
        params: schemas.InOperation,
        querystring: schemas.CandidatesQuery,
        response: answer(schemas.Candidates),
      },
    },
    async (request) => ({
      people: await operations.candidates(
        may.to('member.admit').of(request).actor,
        request.params.operation,
        request.query.organization,
        request.query.justification,
      ),
    }),
  )

  app.get(
    '/v1/operations/:operation/members',
    {
      config: {
        access: may.to('member.list'),
        record: 'nothing: it shows members who and what their operation consists of',
      },
      schema: {
        operationId: 'listMembers',
        summary: 'Members, as far as one sees them',
        params: schemas.InOperation,
        response: answer(schemas.Members),
      },
    },
    async (request) => ({
      members: await operations.members(may.to('member.list').of(request).actor, request.params.operation),
    }),
  )

  app.get(
    '/v1/operations/:operation/compartments',
    {
      config: {
        access: may.to('compartment.list'),
        record: 'nothing: it shows members who and what their operation consists of',
      },
      schema: {
        operationId: 'listCompartments',
        summary: 'Compartments, as far as one sees them',
        params: schemas.InOperation,
        response: answer(schemas.Compartments),
      },
    },
    async (request) => ({
      compartments: await operations.compartments(
        may.to('compartment.list').of(request).actor,
        request.params.operation,
      ),
    }),
  )

  app.post(
    '/v1/operations/:operation/compartments',
    {
      config: {
        access: may.to('compartment.create'),
        refusals: [...ofMemberActs, 'TOO_MANY'],
        record: ['compartment.created'],
      },
      schema: {
        operationId: 'createCompartment',
        summary: 'Create a compartment',
        params: schemas.InOperation,
        body: schemas.NamedStatement,
        response: answer(schemas.Placed),
      },
    },
    async (request) =>
      operations.actOnMembers(may.to('compartment.create').of(request), 'compartment.create', request.body),
  )

  const memberActs: readonly [string, string, Permission, Duty, string, typeof schemas.InOperation][] = [
    [
      'setRules',
      '/v1/operations/:operation/rules',
      'operation.update',
      ['operation.rules-set'],
      'Set the rules of history and of the compartment all',
      schemas.InOperation,
    ],
    [
      'admitMember',
      '/v1/operations/:operation/members',
      'member.admit',
      ['member.admitted', 'device.certified'],
      'Admit a member',
      schemas.InOperation,
    ],
    [
      'changeRole',
      '/v1/operations/:operation/members/:person/role',
      'member.change-role',
      ['member.role-changed'],
      'Change a role',
      schemas.InMember,
    ],
    [
      'removeMember',
      '/v1/operations/:operation/members/:person/removal',
      'member.remove',
      ['member.removed'],
      'Remove a member',
      schemas.InMember,
    ],
    [
      'wakeMember',
      '/v1/operations/:operation/members/:person/wake',
      'member.admit',
      ['member.woken'],
      'Wake a member',
      schemas.InMember,
    ],
    [
      'removeOrganization',
      '/v1/operations/:operation/organizations/:organization/removal',
      'organization.remove',
      ['member.removed', 'operation.organization-removed'],
      'Remove an organization with its members',
      schemas.InOrganization,
    ],
    [
      'addToCompartment',
      '/v1/operations/:operation/compartments/:compartment/members',
      'compartment.change-members',
      ['compartment.member-added'],
      'Add a member to a compartment',
      schemas.InCompartment,
    ],
    [
      'removeFromCompartment',
      '/v1/operations/:operation/compartments/:compartment/members/:person/removal',
      'compartment.change-members',
      ['compartment.member-removed'],
      'Remove a member from a compartment',
      schemas.InCompartmentMember,
    ],
  ]
  for (const [operationId, url, permission, record, summary, params] of memberActs) {
    app.post(
      url,
      {
        config: { access: may.to(permission), refusals: ofMemberActs, record },
        schema: { operationId, summary, params, body: schemas.Statement, response: answer(schemas.Placed) },
      },
      async (request) => operations.actOnMembers(may.to(permission).of(request), permission, request.body),
    )
  }

  app.post(
    '/v1/operations/:operation/epochs',
    {
      config: {
        access: may.to('epoch.open'),
        refusals: [
          'STATEMENT_INVALID',
          'DEVICE_MISMATCH',
          'CERTIFICATE_OUTDATED',
          'MEMBERS_MOVED',
          'EPOCH_NUMBER',
          'EPOCH_FRESH',
          'EPOCH_RECIPIENTS',
          'EPOCH_GRANTS',
        ],
        record: ['epoch.opened'],
      },
      bodyLimit: schemas.openEpochBytes,
      schema: {
        operationId: 'openEpoch',
        summary: 'Open the next epoch of a compartment',
        params: schemas.InOperation,
        body: schemas.OpenEpoch,
        response: answer(schemas.Placed),
      },
    },
    async (request) =>
      operations.openEpoch(may.to('epoch.open').of(request), request.body.statement, request.body.grants),
  )

  app.get(
    '/v1/operations/:operation/grants',
    {
      config: { access: may.to('message.read'), record: 'nothing: it shows keys that are sealed to the asker' },
      schema: {
        operationId: 'listGrants',
        summary: 'The grants for this device',
        params: schemas.InOperation,
        querystring: schemas.GrantsQuery,
        response: answer(schemas.Grants),
      },
    },
    async (request) => ({
      grants: await operations.grants(
        may.to('message.read').of(request).actor,
        request.params.operation,
        request.query.compartment,
      ),
    }),
  )

  app.post(
    '/v1/operations/:operation/grants',
    {
      config: {
        access: may.to('grant.give'),
        refusals: ['STATEMENT_INVALID', 'EPOCH_GRANTS', 'GRANT_REFUSED'],
        record: ['history.granted'],
      },
      schema: {
        operationId: 'giveGrants',
        summary: 'Grant past epochs to devices',
        params: schemas.InOperation,
        body: schemas.GiveGrants,
        response: answer(schemas.Placed),
      },
    },
    async (request) =>
      operations.giveGrants(may.to('grant.give').of(request), request.body.compartment, request.body.grants),
  )

  app.get(
    '/v1/operations/:operation/grant-requests',
    {
      config: {
        access: may.to('grant.give'),
        record: 'nothing: it shows members who and what their operation consists of',
      },
      schema: {
        operationId: 'listGrantRequests',
        summary: 'Devices that lack keys one could give',
        params: schemas.InOperation,
        response: answer(schemas.GrantRequests),
      },
    },
    async (request) => ({
      requests: await operations.grantRequests(may.to('grant.give').of(request).actor, request.params.operation),
    }),
  )

  app.post(
    '/v1/operations/:operation/disputes',
    {
      config: { access: may.to('message.read'), record: ['epoch.disputed'] },
      schema: {
        operationId: 'disputeEpoch',
        summary: 'Say that a grant does not open',
        params: schemas.InOperation,
        body: schemas.Dispute,
        response: answer(schemas.Placed),
      },
    },
    async (request) =>
      operations.dispute(may.to('message.read').of(request), request.body.compartment, request.body.epoch),
  )
}
