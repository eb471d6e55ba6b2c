import type { Transport } from './transport.ts'

export interface NoticeAddress {
  readonly address: { readonly address: string; readonly confirmedAt: string } | null
  /** An address that waits for the code that was sent to it. */
  readonly waiting: { readonly address: string; readonly until: string } | null
  /** Whether this service sends notices. */
  readonly sends: boolean
}

const path = '/v1/notices/address'

/**
 * The e-mail address to which the service sends notices. A notice says that something waits, and
 * never what.
 */
export class Notices {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  show(): Promise<NoticeAddress> {
    return this.#transport.request('GET', path)
  }

  /**
   * Sends a code to an address, for `confirm`. Throws NOTICES_OFF, NOTICE_CODE_LIMIT,
   * STEP_UP_REQUIRED.
   */
  async setAddress(address: string): Promise<void> {
    // Not repeated: each request sends another mail.
    await this.#transport.request('PUT', path, { address }, false)
  }

  /** Confirms the address with its code; it counts from then on. Throws NOTICE_CODE_WRONG. */
  async confirm(code: string): Promise<void> {
    await this.#transport.request('POST', `${path}/confirmation`, { code }, false)
  }

  /** Removes the address: nothing more is sent to it. Throws NOT_FOUND, STEP_UP_REQUIRED. */
  async removeAddress(): Promise<void> {
    await this.#transport.request('DELETE', path)
  }
}
