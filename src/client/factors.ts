import type { Transport } from './transport.ts'

/**
 * What proves who somebody is: a passphrase, with a code where there is a second factor, or the
 * answer of a passkey.
 */
export interface SignInEvidence {
  readonly passphrase?: string
  /** Six digits of the authenticator app, or a recovery code. */
  readonly code?: string
  readonly passkey?: object
}

/**
 * What answers for passkeys: in a browser `navigator.credentials` with
 * `PublicKeyCredential.parseCreationOptionsFromJSON`, `parseRequestOptionsFromJSON` and `toJSON`
 * (WebAuthn, level 3).
 */
export interface Authenticator {
  create(options: object): Promise<object>
  get(options: object): Promise<object>
}

export interface FactorsView {
  readonly passphrase: { readonly setAt: string } | null
  readonly totp: { readonly confirmedAt: string } | null
  /** How many are left. */
  readonly recoveryCodes: number
  readonly passkeys: readonly {
    readonly id: string
    readonly name: string
    readonly addedAt: string
    readonly lastUsedAt: string | null
  }[]
}

/** Asks a passkey to prove who signs in, at a service that nobody is signed in to yet. */
export async function askPasskey(transport: Transport, authenticator: Authenticator): Promise<SignInEvidence> {
  const options = await transport.open<object>('POST', '/v1/passkeys/questions', {})
  return { passkey: await authenticator.get(options) }
}

/**
 * By what the signed-in person proves who they are. Every change asks for a recent proof
 * (STEP_UP_REQUIRED: see `stepUp`). Changing passphrase or app ends the other sessions; after
 * another change they go on until `Cordon.endOtherSessions` ends them.
 */
export class Factors {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  list(): Promise<FactorsView> {
    return this.#transport.request('GET', '/v1/factors')
  }

  /**
   * Proves again who this is, for ten minutes. SIGN_IN_REFUSED, SECOND_FACTOR_REQUIRED,
   * FACTOR_NEWER for what was added since this session began.
   */
  async stepUp(evidence: SignInEvidence): Promise<void> {
    await this.#transport.request('POST', '/v1/step-ups', evidence, false)
  }

  /** The same by a passkey. */
  async stepUpWith(authenticator: Authenticator): Promise<void> {
    await this.stepUp(await askPasskey(this.#transport, authenticator))
  }

  /** PASSPHRASE_WEAK: 15 characters, or 8 beside a second factor, and not a common one. */
  async setPassphrase(passphrase: string): Promise<void> {
    await this.#transport.request('PUT', '/v1/factors/passphrase', { passphrase })
  }

  /** From then on a passkey alone. FACTOR_NEEDED where there is none. */
  async removePassphrase(): Promise<void> {
    await this.#transport.request('DELETE', '/v1/factors/passphrase')
  }

  /**
   * The secret for an authenticator app, as text and as the address of a QR code; it counts once
   * `confirmTotp` has a code of it.
   */
  beginTotp(): Promise<{ readonly secret: string; readonly uri: string }> {
    return this.#transport.request('POST', '/v1/factors/totp', {})
  }

  /** Answers ten recovery codes, which nobody shows again. CODE_WRONG. */
  async confirmTotp(code: string): Promise<readonly string[]> {
    const path = '/v1/factors/totp'
    const answer = await this.#transport.request<{ recoveryCodes: string[] }>('PUT', path, { code }, false)
    return answer.recoveryCodes
  }

  async removeTotp(): Promise<void> {
    await this.#transport.request('DELETE', '/v1/factors/totp')
  }

  /** New recovery codes in place of all there were. */
  async renewRecoveryCodes(): Promise<readonly string[]> {
    const path = '/v1/factors/recovery-codes'
    return (await this.#transport.request<{ recoveryCodes: string[] }>('POST', path, {}, false)).recoveryCodes
  }

  async addPasskey(name: string, authenticator: Authenticator): Promise<{ readonly id: string }> {
    const options = await this.#transport.request<object>('POST', '/v1/passkeys/invitations', {})
    const response = await authenticator.create(options)
    return this.#transport.request('POST', '/v1/passkeys', { name, response }, false)
  }

  /** FACTOR_NEEDED where nothing would be left to sign in with. */
  async removePasskey(id: string): Promise<void> {
    await this.#transport.request('DELETE', `/v1/passkeys/${id}`)
  }
}
