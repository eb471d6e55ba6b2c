import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { Problem } from '../errors.ts'
import { everybody, type HttpServer } from '../http/index.ts'
import { isUuid } from '../protocol/index.ts'
import { header, proofOf } from './access.ts'
import type { SignedInCaller } from './deps.ts'
import { mountFactors } from './factors/routes.ts'
import type { Identity } from './index.ts'
import { mountPasskeyPage } from './passkey-page/routes.ts'
import { mountNotices } from './notices/routes.ts'
import { mountDuty } from './duty/routes.ts'
import { mountPeople } from './people/routes.ts'
import { mountRecoveries } from './recoveries/routes.ts'
import { mountRenewals } from './renewals/routes.ts'
import type { Refusals } from './refusals.ts'
import { afterProof, inDirectory } from './refusal-codes.ts'
import * as schemas from './schemas.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The caller; set once a session is recognised. */
    actor?: SignedInCaller
  }
}

export function mountIdentity(app: HttpServer, identity: Identity, about: { version: string; logHost: string }): void {
  const { sessions, enrolments, certificates, directory, access } = identity
  mountFactors(app, identity)
  mountPasskeyPage(app)
  mountPeople(app, identity)
  mountNotices(app, identity)
  mountRecoveries(app, identity)
  mountRenewals(app, identity)
  mountDuty(app, identity)

  app.get(
    '/v1/server',
    {
      config: { access: everybody, record: 'nothing: it shows nothing about any person' },
      schema: {
        operationId: 'readServer',
        summary: 'The service, its keys and its root',
        response: { 200: schemas.ServerSchema },
      },
    },
    async () => ({
      ...about,
      root: (await directory.root()) ?? null,
      directory: identity.logs.directory,
      logKeys: await identity.logs.verifierKeys(identity.logs.directory),
    }),
  )

  app.post(
    '/v1/setup',
    {
      config: {
        access: everybody,
        door: 'setup',
        refusals: ['SET_UP_DONE', 'SET_UP_SECRET', 'CERTIFICATE_INVALID', 'PASSPHRASE_WEAK'],
        record: ['organization.registered', 'person.registered', 'credential.set', 'device.certified'],
      },
      schema: {
        operationId: 'setUp',
        summary: 'Make the root and the first administrator, once',
        body: schemas.SetUpSchema,
        response: { 201: schemas.NothingSchema },
      },
    },
    async (request, reply) => {
      await directory.setUp(request.body)
      return reply.code(201).send({})
    },
  )

  app.post(
    '/v1/enrolments',
    {
      config: {
        access: everybody,
        door: 'enrolment',
        refusals: [
          'INVITATION_INVALID',
          'ENROLMENT_INVALID',
          'APPROVAL_MISSING',
          'PASSPHRASE_WEAK',
          'SIGN_IN_REFUSED',
          'SECOND_FACTOR_REQUIRED',
        ],
        record: ['device.enrolled', 'credential.set'],
      },
      schema: {
        operationId: 'enrolDevice',
        summary: 'Enrol a device with an invitation',
        body: schemas.EnrolSchema,
        response: { 201: schemas.EnrolledSchema },
      },
    },
    async (request, reply) => {
      return reply.code(201).send(await enrolments.enrol(request.body))
    },
  )

  app.post(
    '/v1/sessions',
    {
      config: {
        access: everybody,
        door: 'sign-in',
        proof: true,
        refusals: ['UNAUTHENTICATED', 'SIGN_IN_REFUSED', 'SECOND_FACTOR_REQUIRED', 'ACCOUNT_ASLEEP', 'DEVICE_EXPIRED'],
        record: ['session.started'],
      },
      schema: {
        operationId: 'signIn',
        summary: 'Sign in on an enrolled device',
        body: schemas.SignInSchema,
        response: { 201: schemas.SignedInSchema },
      },
    },
    async (request, reply) => {
      return reply.code(201).send(await sessions.signIn(proofOf(request), request.body))
    },
  )

  app.post(
    '/v1/tokens',
    {
      config: {
        access: everybody,
        door: 'token',
        proof: true,
        refusals: ['UNAUTHENTICATED', 'SESSION_ENDED', 'ADDRESS_REFUSED'],
        record: ['session.ended'],
      },
      schema: {
        operationId: 'exchangeToken',
        summary: 'Exchange a refresh token',
        body: schemas.RefreshSchema,
        response: { 200: schemas.TokensSchema },
      },
    },
    async (request) => sessions.refresh(proofOf(request), request.body.refreshToken, request.body.attempt),
  )

  app.get(
    '/v1/sessions',
    {
      config: { access: access.signedIn, record: 'nothing: it shows the caller what is their own' },
      schema: {
        operationId: 'listSessions',
        summary: 'The caller’s own live sessions',
        response: { 200: schemas.SessionListSchema },
      },
    },
    async (request) => ({
      sessions: await sessions.list(access.signedIn.of(request)),
    }),
  )

  app.delete(
    '/v1/sessions',
    {
      config: { access: access.signedIn, refusals: inDirectory, record: ['session.ended'] },
      schema: {
        operationId: 'endOtherSessions',
        summary: 'End all other sessions of the caller',
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await sessions.endOthers(access.signedIn.of(request))
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/v1/sessions/:session',
    {
      config: { access: access.signedIn, refusals: [...inDirectory, 'NOT_FOUND'], record: ['session.ended'] },
      schema: {
        operationId: 'endSession',
        summary: 'Sign out, or end another session of the caller',
        params: Type.Object({ session: schemas.UuidSchema }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      const actor = access.signedIn.of(request)
      const { session } = request.params
      if (actor.tier === null && session !== actor.session) throw new Problem('DEVICE_NOT_CERTIFIED')
      await sessions.end(actor, { session })
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/live-tickets',
    {
      config: { access: access.signedIn, record: 'nothing: it prepares what is recorded when it is used' },
      schema: {
        operationId: 'issueLiveTicket',
        summary: 'A ticket for one WebSocket, for 30 seconds',
        body: schemas.NothingSchema,
        response: { 201: schemas.TicketSchema },
      },
    },
    async (request, reply) => {
      return reply.code(201).send(await sessions.issueTicket(access.signedIn.of(request), header(request, 'origin')))
    },
  )

  app.get(
    '/v1/me',
    {
      config: { access: access.signedIn, record: 'nothing: it shows the caller what is their own' },
      schema: {
        operationId: 'readMe',
        summary: 'Who the caller is, and the certificate of this device',
        response: { 200: schemas.MeSchema },
      },
    },
    async (request) => directory.me(access.signedIn.of(request)),
  )

  app.get(
    '/v1/devices',
    {
      config: { access: access.signedIn, record: 'nothing: it shows the caller what is their own' },
      schema: {
        operationId: 'listDevices',
        summary: 'The caller’s own devices',
        response: { 200: schemas.DevicesSchema },
      },
    },
    async (request) => ({
      devices: await directory.devices(access.signedIn.of(request)),
    }),
  )

  app.post(
    '/v1/invitations',
    {
      config: {
        access: access.signedIn,
        refusals: [...afterProof, 'NOT_FOUND', 'ALREADY_EXISTS', 'DEVICES_LIVE', 'TOO_MANY'],
        record: ['person.invited'],
      },
      schema: {
        operationId: 'invite',
        summary: 'Invite a person, or a further device of the caller',
        body: schemas.InviteSchema,
        response: { 201: schemas.NothingSchema },
      },
    },
    async (request, reply) => {
      await enrolments.invite(access.signedIn.of(request), request.body)
      return reply.code(201).send({})
    },
  )

  app.get(
    '/v1/invitations',
    {
      config: { access: access.signedIn, record: 'nothing: it shows the caller what is their own' },
      schema: {
        operationId: 'listInvitations',
        summary: 'The invitations that the caller has made',
        response: { 200: schemas.InvitationsSchema },
      },
    },
    async (request) => ({
      invitations: await enrolments.invitations(access.signedIn.of(request)),
    }),
  )

  app.delete(
    '/v1/invitations/:invitation',
    {
      config: { access: access.signedIn, refusals: [...inDirectory, 'NOT_FOUND'], record: ['invitation.revoked'] },
      schema: {
        operationId: 'revokeInvitation',
        summary: 'Revoke an invitation',
        params: Type.Object({ invitation: schemas.UuidSchema }),
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await enrolments.revokeInvitation(access.signedIn.of(request), request.params.invitation)
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/v1/enrolments',
    {
      config: { access: access.signedIn, record: 'nothing: it shows the caller what is their own' },
      schema: {
        operationId: 'listWaitingEnrolments',
        summary: 'Devices that wait for a certificate from this device',
        response: { 200: schemas.WaitingEnrolmentsSchema },
      },
    },
    async (request) => ({
      enrolments: await enrolments.waiting(access.signedIn.of(request)),
    }),
  )

  app.post(
    '/v1/certificates',
    {
      config: {
        access: access.signedIn,
        refusals: [...inDirectory, 'NOT_FOUND', 'CERTIFICATE_INVALID', 'DEVICE_MISMATCH'],
        record: ['device.certified'],
      },
      schema: {
        operationId: 'certifyDevice',
        summary: 'Certify a device',
        body: schemas.CertifySchema,
        response: { 201: schemas.CertifiedSchema },
      },
    },
    async (request, reply) => {
      return reply.code(201).send(await certificates.certify(access.signedIn.of(request), request.body.certificate))
    },
  )

  app.post(
    '/v1/certificates/proofs',
    {
      config: {
        access: access.signedIn,
        refusals: ['DEVICE_NOT_CERTIFIED', 'NOT_FOUND'],
        record: 'nothing: it proves what the caller holds already',
      },
      schema: {
        operationId: 'proveCertificates',
        summary: 'Proofs that the directory log holds certificates',
        body: schemas.CertificateHashesSchema,
        response: { 200: schemas.CertificateProofsSchema },
      },
    },
    async (request) => {
      if (access.signedIn.of(request).tier === null) throw new Problem('DEVICE_NOT_CERTIFIED')
      return certificates.proofs(request.body.certificates, request.body.seen)
    },
  )

  app.post(
    '/v1/revocations',
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
        record: ['device.revoked', 'session.ended', 'device.expired'],
      },
      schema: {
        operationId: 'revokeDevice',
        summary: 'Revoke a device, and if it was compromised, the devices that it vouched for since',
        body: schemas.RevokeSchema,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await certificates.revoke(access.signedIn.of(request), request.body.revocation)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/organizations',
    {
      config: {
        access: access.administrator,
        refusals: ['FORBIDDEN', 'ALREADY_EXISTS', 'NAME_TAKEN'],
        record: ['organization.registered'],
      },
      schema: {
        operationId: 'registerOrganization',
        summary: 'Register an organization',
        body: schemas.RegisterOrganizationSchema,
        response: { 201: schemas.SimilarSchema },
      },
    },
    async (request, reply) => {
      const similar = await directory.registerOrganization(access.administrator.of(request), request.body)
      return reply.code(201).send({ similar })
    },
  )

  app.get(
    '/v1/organizations',
    {
      config: { access: access.administrator, refusals: ['FORBIDDEN'], record: ['directory.viewed'] },
      schema: {
        operationId: 'listOrganizations',
        summary: 'All organizations',
        querystring: schemas.JustifiedSchema,
        response: { 200: schemas.OrganizationsSchema },
      },
    },
    async (request) => ({
      organizations: await directory.organizations(access.administrator.of(request), request.query.justification),
    }),
  )

  app.get(
    '/v1/organizations/:organization/people',
    {
      config: { access: access.signedIn, refusals: [...inDirectory, 'NOT_FOUND'], record: ['directory.viewed'] },
      schema: {
        operationId: 'listPeople',
        summary: 'People of an organization, for administrators and its NCPs',
        params: Type.Object({ organization: schemas.UuidSchema }),
        querystring: schemas.JustifiedSchema,
        response: { 200: schemas.PeopleSchema },
      },
    },
    async (request) => ({
      people: await directory.people(
        access.signedIn.of(request),
        request.params.organization,
        request.query.justification,
      ),
    }),
  )
}

/** Has the directory log record what was refused. */
export function noteRefusals(app: HttpServer, refusals: Refusals): void {
  app.addHook('onError', async (request: FastifyRequest, _reply, error) => {
    if (!(error instanceof Problem)) return
    const { operation, id } = (request.params ?? {}) as { operation?: string; id?: string }
    refusals.note(
      error,
      { actor: request.actor, address: request.ip },
      // A text of the caller in the place of an id must not come into the log.
      { where: `${request.method} ${request.routeOptions.url ?? ''}`, operation: [operation, id].find(isUuid) },
    )
  })
}
