import { Type } from 'typebox'
import { everybody, type HttpServer } from '../../http/index.ts'
import type { Identity } from '../index.ts'
import { NothingSchema } from '../schemas.ts'
import { afterProof, inDirectory } from '../refusal-codes.ts'
import * as schemas from './schemas.ts'

const shows = 'nothing: it shows the caller what is their own'
const prepares = 'nothing: it prepares what is recorded when it is used'

export function mountFactors(app: HttpServer, { factors, sessions, access }: Identity): void {
  app.get(
    '/v1/factors',
    {
      config: { access: access.signedIn, record: shows },
      schema: {
        operationId: 'listFactors',
        summary: 'The factors by which the caller proves who they are',
        response: { 200: schemas.FactorsSchema },
      },
    },
    async (request) => factors.list(access.signedIn.of(request)),
  )

  app.post(
    '/v1/step-ups',
    {
      config: {
        access: access.signedIn,
        refusals: [...inDirectory, 'SIGN_IN_REFUSED', 'SECOND_FACTOR_REQUIRED', 'FACTOR_NEWER'],
        record: ['session.stepped-up'],
      },
      schema: {
        operationId: 'stepUp',
        summary: 'Prove once more who the caller is, before an act that needs it',
        body: schemas.StepUpSchema,
        response: { 200: schemas.StepUpAnswerSchema },
      },
    },
    async (request) => sessions.stepUp(access.signedIn.of(request), request.body),
  )

  app.put(
    '/v1/factors/passphrase',
    {
      config: {
        access: access.signedIn,
        refusals: [...afterProof, 'PASSPHRASE_WEAK'],
        record: ['credential.set', 'session.ended'],
      },
      schema: {
        operationId: 'setPassphrase',
        summary: 'Set another passphrase',
        body: schemas.SetPassphraseSchema,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await factors.setPassphrase(access.signedIn.of(request), request.body.passphrase)
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/v1/factors/passphrase',
    {
      config: {
        access: access.signedIn,
        refusals: [...afterProof, 'NOT_FOUND', 'FACTOR_NEEDED'],
        record: ['credential.set', 'session.ended'],
      },
      schema: {
        operationId: 'removePassphrase',
        summary: 'Sign in by passkey alone from now on',
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await factors.removePassphrase(access.signedIn.of(request))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/factors/totp',
    {
      config: {
        access: access.signedIn,
        refusals: [...afterProof, 'FACTOR_NEEDED', 'ALREADY_EXISTS'],
        record: prepares,
      },
      schema: {
        operationId: 'beginTotp',
        summary: 'A secret for an authenticator app',
        body: NothingSchema,
        response: { 201: schemas.TotpSheetSchema },
      },
    },
    async (request, reply) => reply.code(201).send(await factors.beginTotp(access.signedIn.of(request))),
  )

  app.put(
    '/v1/factors/totp',
    {
      config: {
        access: access.signedIn,
        refusals: [...afterProof, 'NOT_FOUND', 'CODE_WRONG'],
        record: ['credential.set', 'session.ended'],
      },
      schema: {
        operationId: 'confirmTotp',
        summary: 'Confirm the app with a code; answers recovery codes, once',
        body: schemas.ConfirmTotpSchema,
        response: { 200: schemas.RecoveryCodesSchema },
      },
    },
    async (request) => ({
      recoveryCodes: [...(await factors.confirmTotp(access.signedIn.of(request), request.body.code))],
    }),
  )

  app.delete(
    '/v1/factors/totp',
    {
      config: {
        access: access.signedIn,
        refusals: [...afterProof, 'NOT_FOUND', 'FACTOR_NEEDED'],
        record: ['credential.set', 'session.ended'],
      },
      schema: {
        operationId: 'removeTotp',
        summary: 'Remove the authenticator app and its recovery codes',
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await factors.removeTotp(access.signedIn.of(request))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/factors/recovery-codes',
    {
      config: { access: access.signedIn, refusals: [...afterProof, 'FACTOR_NEEDED'], record: ['credential.set'] },
      schema: {
        operationId: 'renewRecoveryCodes',
        summary: 'New recovery codes in place of the old',
        body: NothingSchema,
        response: { 201: schemas.RecoveryCodesSchema },
      },
    },
    async (request, reply) =>
      reply.code(201).send({ recoveryCodes: [...(await factors.renewRecoveryCodes(access.signedIn.of(request)))] }),
  )

  app.post(
    '/v1/passkeys/questions',
    {
      config: { access: everybody, door: 'sign-in', record: prepares },
      schema: {
        operationId: 'askPasskeyToSignIn',
        summary: 'The question that a passkey answers to sign in',
        body: NothingSchema,
        response: { 201: schemas.PasskeyOptionsSchema },
      },
    },
    async (_request, reply) => reply.code(201).send({ ...(await factors.askToSignIn()) }),
  )

  app.post(
    '/v1/passkeys/invitations',
    {
      config: { access: access.signedIn, refusals: afterProof, record: prepares },
      schema: {
        operationId: 'askForNewPasskey',
        summary: 'The question that makes a new passkey',
        body: NothingSchema,
        response: { 201: schemas.PasskeyOptionsSchema },
      },
    },
    async (request, reply) => reply.code(201).send({ ...(await factors.askToAddPasskey(access.signedIn.of(request))) }),
  )

  app.post(
    '/v1/passkeys',
    {
      config: {
        access: access.signedIn,
        refusals: [...afterProof, 'PASSKEY_INVALID', 'ALREADY_EXISTS'],
        record: ['credential.set'],
      },
      schema: {
        operationId: 'addPasskey',
        summary: 'Add a passkey',
        body: schemas.AddPasskeySchema,
        response: { 201: schemas.NewPasskeyIdSchema },
      },
    },
    async (request, reply) => {
      const { name, response } = request.body
      return reply.code(201).send(await factors.addPasskey(access.signedIn.of(request), name, response))
    },
  )

  app.delete(
    '/v1/passkeys/:passkey',
    {
      config: {
        access: access.signedIn,
        refusals: [...afterProof, 'NOT_FOUND', 'FACTOR_NEEDED'],
        record: ['credential.set'],
      },
      schema: {
        operationId: 'removePasskey',
        summary: 'Remove a passkey',
        params: schemas.OnePasskeySchema,
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await factors.removePasskey(access.signedIn.of(request), request.params.passkey)
      return reply.code(204).send(null)
    },
  )
}
