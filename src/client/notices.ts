import type { Transport } from './transport.ts'

export interface NoticeAddress {
  readonly address: { readonly address: string; readonly confirmedAt: string } | null
  /** One that waits for the code which was sent to it. */
  readonly waiting: { readonly address: string; readonly until: string } | null
  /** Whether this service sends notices at all. */
  readonly sends: boolean
}

const path = '/v1/notices/address'

/** Where the signed-in person is told that something waits: by e-mail, without saying what. */
export class Notices {
  readonly #transport: Transport

  constructor(transport: Transport) {
    this.#transport = transport
  }

  show(): Promise<NoticeAddress> {
    return this.#transport.request('GET', path)
  }

  /**
   * Has a code sent to an address, for `confirm`. NOTICES_OFF, NOTICE_CODE_LIMIT, STEP_UP_REQUIRED.
   */
  async setAddress(address: string): Promise<void> {
    // Not repeated by itself: each time is another mail.
    await this.#transport.request('PUT', path, { address }, false)
  }

  /** The address counts from now on. NOTICE_CODE_WRONG. */
  async confirm(code: string): Promise<void> {
    await this.#transport.request('POST', `${path}/confirmation`, { code }, false)
  }

  /** Nothing is sent there any more. NOT_FOUND, STEP_UP_REQUIRED. */
  async removeAddress(): Promise<void> {
    await this.#transport.request('DELETE', path)
  }
}
