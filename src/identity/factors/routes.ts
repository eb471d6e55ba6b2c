import { Type } from 'typebox'
import type { HttpServer } from '../../http/index.ts'
import type { Identity } from '../index.ts'
import { actorOf } from '../routes.ts'
import { Nothing } from '../schemas.ts'
import * as schemas from './schemas.ts'

const shows = 'nothing: it shows the asker what is their own'
const prepares = 'nothing: it prepares what is entered when it is used'

export function mountFactors(app: HttpServer, { factors, sessions }: Identity): void {
  app.get(
    '/v1/factors',
    {
      config: { access: 'signed-in', record: shows },
      schema: { summary: 'By what one proves who one is', response: { 200: schemas.Factors } },
    },
    async (request) => factors.list(actorOf(request)),
  )

  app.post(
    '/v1/step-ups',
    {
      config: { access: 'signed-in', record: ['session.stepped-up'] },
      schema: {
        summary: 'Prove again who one is, before an act that asks for it',
        body: schemas.StepUp,
        response: { 200: schemas.SteppedUp },
      },
    },
    async (request) => sessions.stepUp(actorOf(request), request.body),
  )

  app.put(
    '/v1/factors/passphrase',
    {
      config: { access: 'signed-in', record: ['credential.set', 'session.ended'] },
      schema: { summary: 'Set another passphrase', body: schemas.SetPassphrase, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await factors.setPassphrase(actorOf(request), request.body.passphrase)
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/v1/factors/passphrase',
    {
      config: { access: 'signed-in', record: ['credential.set', 'session.ended'] },
      schema: { summary: 'Sign in by passkey alone from now on', response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await factors.removePassphrase(actorOf(request))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/factors/totp',
    {
      config: { access: 'signed-in', record: prepares },
      schema: { summary: 'A secret for an authenticator app', body: Nothing, response: { 201: schemas.TotpSheet } },
    },
    async (request, reply) => reply.code(201).send(await factors.beginTotp(actorOf(request))),
  )

  app.put(
    '/v1/factors/totp',
    {
      config: { access: 'signed-in', record: ['credential.set', 'session.ended'] },
      schema: {
        summary: 'Confirm the app with a code; answers recovery codes, once',
        body: schemas.ConfirmTotp,
        response: { 200: schemas.RecoveryCodes },
      },
    },
    async (request) => ({ recoveryCodes: [...(await factors.confirmTotp(actorOf(request), request.body.code))] }),
  )

  app.delete(
    '/v1/factors/totp',
    {
      config: { access: 'signed-in', record: ['credential.set', 'session.ended'] },
      schema: { summary: 'Remove the authenticator app and its recovery codes', response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await factors.removeTotp(actorOf(request))
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/v1/factors/recovery-codes',
    {
      config: { access: 'signed-in', record: ['credential.set'] },
      schema: {
        summary: 'New recovery codes in place of the old',
        body: Nothing,
        response: { 201: schemas.RecoveryCodes },
      },
    },
    async (request, reply) =>
      reply.code(201).send({ recoveryCodes: [...(await factors.renewRecoveryCodes(actorOf(request)))] }),
  )

  app.post(
    '/v1/passkeys/questions',
    {
      config: { access: 'public', door: 'sign-in', record: prepares },
      schema: {
        summary: 'What a passkey answers to sign in',
        body: Nothing,
        response: { 201: schemas.PasskeyOptions },
      },
    },
    async (_request, reply) => reply.code(201).send({ ...(await factors.askToSignIn()) }),
  )

  app.post(
    '/v1/passkeys/invitations',
    {
      config: { access: 'signed-in', record: prepares },
      schema: { summary: 'What makes a new passkey', body: Nothing, response: { 201: schemas.PasskeyOptions } },
    },
    async (request, reply) => reply.code(201).send({ ...(await factors.askToAddPasskey(actorOf(request))) }),
  )

  app.post(
    '/v1/passkeys',
    {
      config: { access: 'signed-in', record: ['credential.set'] },
      schema: { summary: 'Add a passkey', body: schemas.AddPasskey, response: { 201: schemas.PasskeyAdded } },
    },
    async (request, reply) => {
      const { name, response } = request.body
      return reply.code(201).send(await factors.addPasskey(actorOf(request), name, response))
    },
  )

  app.delete(
    '/v1/passkeys/:passkey',
    {
      config: { access: 'signed-in', record: ['credential.set'] },
      schema: { summary: 'Remove a passkey', params: schemas.OnePasskey, response: { 204: Type.Null() } },
    },
    async (request, reply) => {
      await factors.removePasskey(actorOf(request), request.params.passkey)
      return reply.code(204).send(null)
    },
  )
}
