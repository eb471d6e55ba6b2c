import { TOTP } from 'otpauth'
import { signSignIn } from '../../src/protocol/index.ts'
import { SoftwareAuthenticator } from './authenticator.ts'
import type { TestServer } from './server.ts'
import { now, passphrase, type Answer, type WireActor } from './wire.ts'

type Measure = (act: () => Promise<Answer>) => Promise<Answer>
type Exercise = (measured: Measure) => Promise<unknown>

/** How to make each route of factors do what it is for, each for somebody of their own. */
export function factorDuties(
  server: TestServer,
  somebody: () => Promise<WireActor>,
): Readonly<Record<string, Exercise>> {
  const does = (
    method: string,
    path: string,
    body?: object,
    before: (actor: WireActor) => Promise<unknown> = async () => {},
  ) =>
    [
      `${method} ${path}`,
      async (measured: Measure) => {
        const actor = await somebody()
        await before(actor)
        await measured(() => actor.call(method, path, body))
      },
    ] as const
  const begin = async (actor: WireActor) => {
    const { secret } = (await actor.must('POST', '/v1/factors/totp', {})) as { secret: string }
    return new TOTP({ secret }).generate({ timestamp: server.clock.now().getTime() })
  }
  /** Another session of theirs, on the same device. */
  const another = async (actor: WireActor, code?: string) => {
    const proof = await signSignIn(actor.device, actor.person, actor.thumbprint, now())
    const evidence = { proof, passphrase, ...(code === undefined ? {} : { code }) }
    await actor.must('POST', '/v1/sessions', evidence, { signedIn: false })
  }
  const addApp = async (actor: WireActor): Promise<{ recoveryCodes: string[] }> =>
    actor.must('PUT', '/v1/factors/totp', { code: await begin(actor) })
  const make = async (actor: WireActor) => {
    const options = (await actor.must('POST', '/v1/passkeys/invitations', {})) as object
    return { name: 'key', response: await new SoftwareAuthenticator(server.url).create(options) }
  }
  const addPasskey = async (actor: WireActor) => actor.must('POST', '/v1/passkeys', await make(actor))
  return {
    ...Object.fromEntries([
      does('GET', '/v1/factors'),
      does('POST', '/v1/step-ups', { passphrase }),
      does('PUT', '/v1/factors/passphrase', { passphrase }, another),
      does('DELETE', '/v1/factors/passphrase', undefined, async (actor) => {
        await addPasskey(actor)
        await another(actor)
      }),
      does('POST', '/v1/factors/totp', {}),
      does('DELETE', '/v1/factors/totp', undefined, async (actor) =>
        another(actor, (await addApp(actor)).recoveryCodes[0]),
      ),
      does('POST', '/v1/factors/recovery-codes', {}, addApp),
      does('POST', '/v1/passkeys/questions', {}),
      does('POST', '/v1/passkeys/invitations', {}),
      does('DELETE', '/v1/sessions', undefined, (actor) => actor.signIn()),
    ]),
    'PUT /v1/factors/totp': async (measured) => {
      const actor = await somebody()
      const code = await begin(actor)
      await another(actor)
      await measured(() => actor.call('PUT', '/v1/factors/totp', { code }))
    },
    'POST /v1/passkeys': async (measured) => {
      const actor = await somebody()
      const passkey = await make(actor)
      await measured(() => actor.call('POST', '/v1/passkeys', passkey))
    },
    'DELETE /v1/passkeys/:passkey': async (measured) => {
      const actor = await somebody()
      const { id } = (await addPasskey(actor)) as { id: string }
      await measured(() => actor.call('DELETE', `/v1/passkeys/${id}`))
    },
  }
}
