import { createHash, generateKeyPairSync, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isoCBOR } from '@simplewebauthn/server/helpers'
import type { Authenticator } from '../../src/client/index.ts'

interface Options {
  readonly challenge: string
  readonly rp?: { readonly id?: string }
  readonly rpId?: string
  readonly user?: { readonly id: string }
  readonly excludeCredentials?: readonly { readonly id: string }[]
}

interface Credential {
  readonly id: string
  readonly user: string
  readonly key: KeyObject
  count: number
}

const flags = { present: 0x01, verified: 0x04, attested: 0x40 }
const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest()

/**
 * An authenticator in software (WebAuthn, level 3) as a page of this origin would ask it; its
 * faults are for tests to set.
 */
export class SoftwareAuthenticator implements Authenticator {
  readonly #origin: string
  readonly #credentials: Credential[] = []
  /** Whether it has checked who touches it. */
  verifiesUser = true
  /** What it says of its origin, where it lies. */
  claimedOrigin: string | undefined
  /** How much its counter moves with each use. */
  step = 1

  constructor(origin: string) {
    this.#origin = origin
  }

  create(options: object): Promise<object> {
    const { challenge, rp, user, excludeCredentials } = options as Options
    if (excludeCredentials?.some(({ id }) => this.#credentials.some((one) => one.id === id)))
      return Promise.reject(new Error('InvalidStateError'))
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { x = '', y = '' } = publicKey.export({ format: 'jwk' })
    const id = randomBytes(32)
    const credential = { id: base64url(id), user: user?.id ?? '', key: privateKey, count: 0 }
    this.#credentials.push(credential)
    // COSE_Key (RFC 9053): EC2, ES256, P-256.
    const cose = isoCBOR.encode(
      new Map<number, number | Uint8Array>([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, new Uint8Array(Buffer.from(x, 'base64url'))],
        [-3, new Uint8Array(Buffer.from(y, 'base64url'))],
      ]),
    )
    const attested = Buffer.concat([Buffer.alloc(16), Buffer.from([0, id.length]), id, cose])
    const authData = Buffer.concat([this.#authData(rp?.id ?? '', flags.attested, 0), attested])
    const attestationObject = isoCBOR.encode(
      new Map<string, string | Map<string, string> | Uint8Array>([
        ['fmt', 'none'],
        ['attStmt', new Map<string, string>()],
        ['authData', new Uint8Array(authData)],
      ]),
    )
    const clientDataJSON = this.#clientData('webauthn.create', challenge)
    const response = { clientDataJSON: base64url(clientDataJSON), attestationObject: base64url(attestationObject) }
    return Promise.resolve(this.#answer(credential.id, response))
  }

  get(options: object): Promise<object> {
    const { challenge, rpId } = options as Options
    const credential = this.#credentials[0]
    if (!credential) return Promise.reject(new Error('NotAllowedError'))
    credential.count += this.step
    const authenticatorData = this.#authData(rpId ?? '', 0, credential.count)
    const clientDataJSON = this.#clientData('webauthn.get', challenge)
    const signature = sign('sha256', Buffer.concat([authenticatorData, sha256(clientDataJSON)]), credential.key)
    return Promise.resolve(
      this.#answer(credential.id, {
        clientDataJSON: base64url(clientDataJSON),
        authenticatorData: base64url(authenticatorData),
        signature: base64url(signature),
        userHandle: credential.user,
      }),
    )
  }

  #answer(id: string, response: object) {
    return { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response }
  }

  #authData(relyingParty: string, more: number, count: number): Buffer {
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(count)
    const said = flags.present | (this.verifiesUser ? flags.verified : 0) | more
    return Buffer.concat([sha256(relyingParty), Buffer.from([said]), counter])
  }

  #clientData(type: string, challenge: string): Buffer {
    return Buffer.from(
      JSON.stringify({ type, challenge, origin: this.claimedOrigin ?? this.#origin, crossOrigin: false }),
    )
  }
}
