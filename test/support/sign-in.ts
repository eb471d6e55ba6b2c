import { SignJWT } from 'jose'
import * as protocol from '../../src/protocol/index.ts'
import { ask, freshId, passphrase, type Answer, type WireActor } from './wire.ts'

export interface SignInAttempt {
  /** Said to be signing in, the actor unless given. */
  readonly person?: string
  /** By whose key it is signed and which device it names, the actor's unless given. */
  readonly device?: Pick<protocol.Device, 'id' | 'signKey'>
  readonly passphrase?: string
}

/** One attempt to sign in, made by the session key of the actor, at the time of the server. */
export async function attempt(actor: WireActor, input: SignInAttempt = {}): Promise<Answer> {
  const path = '/v1/sessions'
  const at = actor.server.clock.now()
  const device = (input.device ?? actor.device) as protocol.Device
  const proof = await protocol.signSignIn(device, input.person ?? actor.person, actor.thumbprint, at.toISOString())
  const dpop = await new SignJWT({ htm: 'POST', htu: actor.server.url + path, jti: freshId() })
    .setProtectedHeader({ alg: 'Ed25519', typ: 'dpop+jwt', jwk: actor.jwk })
    .setIssuedAt(at)
    .sign(actor.key)
  return ask(actor.server.url + path, {
    method: 'POST',
    headers: { dpop, 'content-type': 'application/json' },
    body: JSON.stringify({ proof, passphrase: input.passphrase ?? passphrase }),
  })
}
