import type { TSchema } from 'typebox'
import type { Permission } from '../access.ts'
import type { RecordDuty, HttpServer } from '../http/index.ts'
import type { Accesses } from '../identity/index.ts'
import type { OperationAccesses } from './access.ts'
import type { LogReaders } from './log-readers.ts'
import * as schemas from './schemas.ts'
import type { OperationService } from './service.ts'

/** The codes that every statement about members may be refused with. */
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
  { operations, logReaders }: { readonly operations: OperationService; readonly logReaders: LogReaders },
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
        body: schemas.CreateSchema,
        response: { 201: schemas.CreatedSchema },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await operations.create(access.administrator.of(request), request.body)),
  )

  app.get(
    '/v1/operations',
    {
      config: { access: access.signedIn, record: 'nothing: it shows the caller what is their own' },
      schema: {
        operationId: 'listOperations',
        summary: 'The caller’s own operations',
        response: answer(schemas.OperationsSchema),
      },
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
        summary: 'An operation and the caller’s place in it',
        params: schemas.InOperationSchema,
        response: answer(schemas.OperationSchema),
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
        params: schemas.InOperationSchema,
        body: schemas.UpdateSchema,
        response: answer(schemas.EntryPlaceSchema),
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
        params: schemas.InOperationSchema,
        body: schemas.StatementSchema,
        response: answer(schemas.EntryPlaceSchema),
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
        params: schemas.InOperationSchema,
        response: answer(schemas.InvitedOrganizationsSchema),
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
        params: schemas.InOperationSchema,
        body: schemas.AdmitOrganizationSchema,
        response: answer(schemas.EntryPlaceSchema),
      },
    },
    async (request) => operations.admitOrganization(may.to('organization.admit').of(request), request.body),
  )

  app.get(
    '/v1/operations/:operation/organizations-named',
    {
      config: {
        access: may.to('organization.admit'),
        refusals: ['JUSTIFICATION_REQUIRED'],
        record: ['directory.viewed'],
      },
      schema: {
        operationId: 'listOrganizationsNamed',
        summary: 'Organizations of the service that a name could mean',
        params: schemas.InOperationSchema,
        querystring: schemas.NamedOrganizationsQuerySchema,
        response: answer(schemas.InvitedOrganizationsSchema),
      },
    },
    async (request) => ({
      organizations: await operations.organizationsNamed(
        may.to('organization.admit').of(request).actor,
        request.params.operation,
        request.query.name,
        request.query.justification,
      ),
    }),
  )

  app.get(
    '/v1/operations/:operation/candidates',
    {
      config: { access: may.to('member.admit'), refusals: ['JUSTIFICATION_REQUIRED'], record: ['directory.viewed'] },
      schema: {
        operationId: 'listCandidates',
        summary: 'People who could be admitted',
        params: schemas.InOperationSchema,
        querystring: schemas.CandidatesQuerySchema,
        response: answer(schemas.CandidatesSchema),
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
        summary: 'The members that the caller sees',
        params: schemas.InOperationSchema,
        response: answer(schemas.MembersSchema),
      },
    },
    async (request) => ({
      members: await operations.members(may.to('member.list').of(request).actor, request.params.operation),
    }),
  )

  app.get(
    '/v1/operations/:operation/past-members',
    {
      config: { access: may.to('log.query'), record: ['log.queried'] },
      schema: {
        operationId: 'listPastMembers',
        summary: 'Who was a member at a moment, folded from the log, as far as the caller may query it',
        params: schemas.InOperationSchema,
        querystring: schemas.PastMembersQuerySchema,
        response: answer(schemas.PastMembersSchema),
      },
    },
    async (request) =>
      logReaders.membersAt(may.to('log.query').of(request).actor, request.params.operation, request.query),
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
        summary: 'The compartments that the caller sees',
        params: schemas.InOperationSchema,
        response: answer(schemas.CompartmentsSchema),
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
        params: schemas.InOperationSchema,
        body: schemas.NamedStatementSchema,
        response: answer(schemas.EntryPlaceSchema),
      },
    },
    async (request) =>
      operations.actOnMembers(may.to('compartment.create').of(request), 'compartment.create', request.body),
  )

  const memberActs: readonly [string, string, Permission, RecordDuty, string, typeof schemas.InOperationSchema][] = [
    [
      'setRules',
      '/v1/operations/:operation/rules',
      'operation.update',
      ['operation.rules-set'],
      'Set the rules of history and of the compartment all',
      schemas.InOperationSchema,
    ],
    [
      'admitMember',
      '/v1/operations/:operation/members',
      'member.admit',
      ['member.admitted', 'device.certified'],
      'Admit a member',
      schemas.InOperationSchema,
    ],
    [
      'changeRole',
      '/v1/operations/:operation/members/:person/role',
      'member.change-role',
      ['member.role-changed'],
      'Change a role',
      schemas.InMemberSchema,
    ],
    [
      'removeMember',
      '/v1/operations/:operation/members/:person/removal',
      'member.remove',
      ['member.removed'],
      'Remove a member',
      schemas.InMemberSchema,
    ],
    [
      'wakeMember',
      '/v1/operations/:operation/members/:person/wake',
      'member.admit',
      ['member.woken'],
      'Wake a member',
      schemas.InMemberSchema,
    ],
    [
      'removeOrganization',
      '/v1/operations/:operation/organizations/:organization/removal',
      'organization.remove',
      ['member.removed', 'operation.organization-removed'],
      'Remove an organization with its members',
      schemas.InOrganizationSchema,
    ],
    [
      'addToCompartment',
      '/v1/operations/:operation/compartments/:compartment/members',
      'compartment.change-members',
      ['compartment.member-added'],
      'Add a member to a compartment',
      schemas.InCompartmentSchema,
    ],
    [
      'removeFromCompartment',
      '/v1/operations/:operation/compartments/:compartment/members/:person/removal',
      'compartment.change-members',
      ['compartment.member-removed'],
      'Remove a member from a compartment',
      schemas.InCompartmentMemberSchema,
    ],
  ]
  for (const [operationId, url, permission, record, summary, params] of memberActs) {
    app.post(
      url,
      {
        config: { access: may.to(permission), refusals: ofMemberActs, record },
        schema: {
          operationId,
          summary,
          params,
          body: schemas.StatementSchema,
          response: answer(schemas.EntryPlaceSchema),
        },
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
        params: schemas.InOperationSchema,
        body: schemas.OpenEpochSchema,
        response: answer(schemas.EntryPlaceSchema),
      },
    },
    async (request) =>
      operations.openEpoch(may.to('epoch.open').of(request), request.body.statement, request.body.grants),
  )

  app.get(
    '/v1/operations/:operation/grants',
    {
      config: { access: may.to('message.read'), record: 'nothing: it shows keys that are sealed to the caller' },
      schema: {
        operationId: 'listGrants',
        summary: 'The grants for this device',
        params: schemas.InOperationSchema,
        querystring: schemas.GrantsQuerySchema,
        response: answer(schemas.GrantsSchema),
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
        params: schemas.InOperationSchema,
        body: schemas.GiveGrantsSchema,
        response: answer(schemas.EntryPlaceSchema),
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
        summary: 'Devices that lack keys which the caller could give',
        params: schemas.InOperationSchema,
        response: answer(schemas.GrantRequestsSchema),
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
        params: schemas.InOperationSchema,
        body: schemas.DisputeSchema,
        response: answer(schemas.EntryPlaceSchema),
      },
    },
    async (request) =>
      operations.dispute(may.to('message.read').of(request), request.body.compartment, request.body.epoch),
  )
}
