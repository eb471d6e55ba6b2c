/**
 * The origin under which clients reach the service: issuer of tokens, audience of proofs. Where
 * none is configured it is the address that the service listens on, known from then on.
 */
export class PublicAddress {
  #origin: string

  constructor(configured: string | undefined) {
    this.#origin = configured ?? ''
  }

  get origin(): string {
    return this.#origin
  }

  /** Takes the address that the service listens on, unless another one is configured. */
  learn(origin: string): void {
    if (this.#origin === '') this.#origin = origin
  }
}
