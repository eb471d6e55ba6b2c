import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
  type AuthenticationResponseJSON,
  type RegistrationResponseJSON,
} from '@simplewebauthn/server'
import { transaction, type Database } from '../../db/index.ts'
import type { PublicAddress } from '../../http/index.ts'
import { Problem } from '../../errors.ts'
import type { Random } from '../../protocol/index.ts'
import { hashSecret } from '../tokens.ts'
import type { FactorKey } from './factor-key.ts'
import * as store from './store.ts'

const challengeTimeoutMs = 5 * 60_000
// RFC 8152: EdDSA, ES256, RS256.
const algorithms = [-8, -7, -257]

export interface PasskeyDeps {
  readonly db: Database
  readonly clock: () => Date
  readonly random: Random
  /** The origin that answers must name; its host is the relying party. */
  readonly address: PublicAddress
  readonly factorKey: Pick<FactorKey, 'handle'>
}

/**
 * WebAuthn (W3C, level 3): discoverable credentials, user verification required, no attestation
 * asked for.
 */
export class Passkeys {
  readonly #deps: PasskeyDeps

  constructor(deps: PasskeyDeps) {
    this.#deps = deps
  }

  /**
   * Answers the options that `navigator.credentials.get` takes to sign in with any passkey for this
   * service.
   */
  async askToSignIn() {
    return generateAuthenticationOptions({
      rpID: this.#relyingParty,
      challenge: await this.#newChallenge(null),
      userVerification: 'required',
      timeout: challengeTimeoutMs,
    })
  }

  /**
   * Answers the options that `navigator.credentials.create` takes to make a passkey for this
   * person.
   */
  async askToAdd(person: { id: string; name: string }, known: readonly string[]) {
    return generateRegistrationOptions({
      rpName: 'Cordon',
      rpID: this.#relyingParty,
      userID: new Uint8Array(this.#deps.factorKey.handle(person.id)),
      userName: person.name,
      userDisplayName: person.name,
      challenge: await this.#newChallenge(person.id),
      timeout: challengeTimeoutMs,
      attestationType: 'none',
      excludeCredentials: known.map((id) => ({ id })),
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      supportedAlgorithmIDs: algorithms,
    })
  }

  /**
   * Answers the passkey that was made for this person; PASSKEY_INVALID where the response is not to
   * our question.
   */
  async verifyNew(
    person: string,
    response: unknown,
  ): Promise<{ id: string; publicKey: Uint8Array; signCount: number }> {
    try {
      const { verified, registrationInfo } = await verifyRegistrationResponse({
        response: response as RegistrationResponseJSON,
        expectedChallenge: (challenge) => this.#takeChallenge(challenge, person),
        expectedOrigin: new URL(this.#deps.address.origin).origin,
        expectedRPID: this.#relyingParty,
        requireUserVerification: true,
        supportedAlgorithmIDs: algorithms,
      })
      if (!verified) throw new Error('not verified')
      const { id, publicKey, counter } = registrationInfo.credential
      return { id, publicKey, signCount: counter }
    } catch (cause) {
      throw new Problem('PASSKEY_INVALID', { cause })
    }
  }

  /**
   * Answers which of the person's own passkeys made this response to a challenge; undefined where
   * none did.
   */
  async verify(person: string, passkeys: readonly store.Passkey[], response: unknown): Promise<string | undefined> {
    const { db, clock, address, factorKey } = this.#deps
    const answer = response as AuthenticationResponseJSON
    const passkey = passkeys.find(({ id }) => id === answer.id)
    const handle = Buffer.from(factorKey.handle(person)).toString('base64url')
    if (!passkey || answer.response.userHandle !== handle) return undefined
    try {
      const { verified, authenticationInfo } = await verifyAuthenticationResponse({
        response: answer,
        expectedChallenge: (challenge) => this.#takeChallenge(challenge, null),
        expectedOrigin: new URL(address.origin).origin,
        expectedRPID: this.#relyingParty,
        requireUserVerification: true,
        credential: { id: passkey.id, publicKey: new Uint8Array(passkey.public_key), counter: passkey.sign_count },
      })
      if (!verified) return undefined
      const { newCounter } = authenticationInfo
      const counts = await transaction(db, (tx) => store.notePasskeyUse(tx, passkey.id, newCounter, clock()))
      return counts ? passkey.id : undefined
    } catch {
      // The library says by errors what does not fit; the client is only told that the response
      // does not fit.
      return undefined
    }
  }

  get #relyingParty(): string {
    return new URL(this.#deps.address.origin).hostname
  }

  async #newChallenge(person: string | null): Promise<Uint8Array<ArrayBuffer>> {
    const { db, clock, random } = this.#deps
    const challenge = new Uint8Array(random(32))
    const expires = new Date(clock().getTime() + challengeTimeoutMs)
    const hash = hashSecret(Buffer.from(challenge).toString('base64url'))
    await transaction(db, (tx) => store.insertChallenge(tx, { hash, person_id: person, expires_at: expires }))
    return challenge
  }

  #takeChallenge(challenge: string, person: string | null): Promise<boolean> {
    const { db, clock } = this.#deps
    return transaction(db, (tx) => store.takeChallenge(tx, hashSecret(challenge), person, clock()))
  }
}
