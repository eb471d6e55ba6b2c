import type { Transport } from './transport.ts'

/**
 * The proof of a person's identity: a passphrase, with a code where the person has a second factor,
 * or the answer of a passkey.
 */
export interface SignInEvidence {
  readonly passphrase?: string
  /** Six digits of the authenticator app, or a recovery code. */
  readonly code?: string
  readonly passkey?: object
}

/**
 * The interface to passkeys. In a browser: `navigator.credentials` with
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
  /** The number of recovery codes that are left. */
  readonly recoveryCodes: number
  readonly passkeys: readonly {
    readonly id: string
    readonly name: string
    readonly addedAt: string
    readonly lastUsedAt: string | null
  }[]
}

/** Asks a passkey for the proof of a person who is not signed in yet. */
export async function askPasskey(transport: Transport, authenticator: Authenticator): Promise<SignInEvidence> {
  const options = await transport.open<object>('POST', '/v1/passkeys/questions', {})
  return { passkey: await authenticator.get(options) }
}

/**
 * The factors with which the signed-in person proves their identity. Every change needs a recent
 * proof (STEP_UP_REQUIRED: see `stepUp`). A change of the passphrase or of the app ends the other
 * sessions; after another change they go on until `Cordon.endOtherSessions` ends them.
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
   * Proves the identity of the person again, for ten minutes. Throws SIGN_IN_REFUSED,
   * SECOND_FACTOR_REQUIRED, FACTOR_NEWER for a factor that was added since this session began.
   */
  async stepUp(evidence: SignInEvidence): Promise<void> {
    await this.#transport.request('POST', '/v1/step-ups', evidence, false)
  }

  /**
   * Proves the identity of the person again by a passkey, for ten minutes. Throws SIGN_IN_REFUSED,
   * FACTOR_NEWER.
   */
  async stepUpWith(authenticator: Authenticator): Promise<void> {
    await this.stepUp(await askPasskey(this.#transport, authenticator))
  }

  /**
   * Sets the passphrase. Throws PASSPHRASE_WEAK: it needs 15 characters, or 8 beside a second
   * factor, and must not be a common one.
   */
  async setPassphrase(passphrase: string): Promise<void> {
    await this.#transport.request('PUT', '/v1/factors/passphrase', { passphrase })
  }

  /**
   * Removes the passphrase: from then on the person signs in by a passkey alone. Throws
   * FACTOR_NEEDED where there is no passkey.
   */
  async removePassphrase(): Promise<void> {
    await this.#transport.request('DELETE', '/v1/factors/passphrase')
  }

  /**
   * Makes the secret for an authenticator app: as text, and as the address of a QR code. The app
   * counts as a factor once `confirmTotp` got a code of it.
   */
  beginTotp(): Promise<{ readonly secret: string; readonly uri: string }> {
    return this.#transport.request('POST', '/v1/factors/totp', {})
  }

  /**
   * Confirms the app with a code of six digits. Answers ten recovery codes, which are not shown
   * again. Throws CODE_WRONG.
   */
  async confirmTotp(code: string): Promise<readonly string[]> {
    const path = '/v1/factors/totp'
    const answer = await this.#transport.request<{ recoveryCodes: string[] }>('PUT', path, { code }, false)
    return answer.recoveryCodes
  }

  async removeTotp(): Promise<void> {
    await this.#transport.request('DELETE', '/v1/factors/totp')
  }

  /** Makes new recovery codes, which replace all earlier ones. */
  async renewRecoveryCodes(): Promise<readonly string[]> {
    const path = '/v1/factors/recovery-codes'
    return (await this.#transport.request<{ recoveryCodes: string[] }>('POST', path, {}, false)).recoveryCodes
  }

  async addPasskey(name: string, authenticator: Authenticator): Promise<{ readonly id: string }> {
    const options = await this.#transport.request<object>('POST', '/v1/passkeys/invitations', {})
    const response = await authenticator.create(options)
    return this.#transport.request('POST', '/v1/passkeys', { name, response }, false)
  }

  /**
   * Removes a passkey. Throws FACTOR_NEEDED where the person would have no factor left to sign in
   * with.
   */
  async removePasskey(id: string): Promise<void> {
    await this.#transport.request('DELETE', `/v1/passkeys/${id}`)
  }
}
