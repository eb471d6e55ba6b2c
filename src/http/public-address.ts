/**
 * The origin under which clients reach the service: issuer of tokens, audience of proofs. Where
 * none is configured it is the address that the service listens on, known once it does.
 */
export class PublicAddress {
  #origin: string

  constructor(configured: string | undefined) {
    this.#origin = configured ?? ''
  }

  get origin(): string {
    return this.#origin
  }

  /** The service listens, and no other address is configured. */
  learn(origin: string): void {
    if (this.#origin === '') this.#origin = origin
  }
}
