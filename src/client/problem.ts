/**
 * The advice for each refusal of the SDK itself. A refusal of the service brings its own advice.
 */
const own = {
  NETWORK: 'Check the connection and the address of the service, then try again.',
  ANSWER_INVALID: 'The answer is not one of Cordon: check the address of the service, then tell its operator.',
  TIMED_OUT: 'Try again; a message that was to be sent is kept, and sent by itself.',
  CLOCK_WRONG: 'Set the clock of this device, then try again. If it is right, tell the operator of the service.',
  NOT_PENDING: 'See which messages wait to be sent: cordon pending.',
  NOT_ENROLLED: 'Enrol this device with an invitation first.',
  ALREADY_ENROLLED: 'This store holds a device already: use an empty store for another device.',
  NOT_SIGNED_IN: 'Sign in first.',
  NOT_A_SERVICE: 'Sign in as the person whose device this is.',
  SESSION_KEY_HELD: 'Sign in with the command line instead, whose store holds the key itself.',
  NOT_CERTIFIED: 'Wait until the person who invited you is online once, then try again.',
  INVITATION_DAMAGED: 'Copy the whole invitation again, from its first to its last character.',
  PIN_CHANGED: 'Stop: this is not the service that this device enrolled with. Ask your administrator before you go on.',
  CERTIFICATE_REFUSED: 'Do not use this service until an administrator has explained it: the certificate is not right.',
  FIELDS_INVALID: 'Correct the places listed under faults; nothing was sealed and nothing was sent.',
  RECEIPT_INVALID: 'The message does not count as sent: tell the operator and the auditors that a receipt was wrong.',
  NO_RECEIPT: 'Ask the sender of the message for its receipt, or an auditor for a bundle of evidence.',
  EVIDENCE_INVALID:
    'Do not hand it on: tell the operator and the other auditors that the service made evidence that does not hold.',
  DEVICE_HIDDEN:
    'Nothing is sealed for it and nothing of it is shown: ask the person whose device it is, and tell the auditors of the platform.',
  DIRECTORY_ALTERED: 'Nothing is sealed here: tell the auditors of the platform that the directory log was altered.',
  MEMBERS_HIDDEN:
    'Nothing is sealed here until this device has seen every member statement: ask a coordinator who was removed, and tell the auditors.',
  LOG_ALTERED: 'Nothing is sealed here: tell the auditors that the service showed this entry.',
  WITNESSES_MISSING:
    'Nothing is sealed here until enough of the pinned witnesses have cosigned the log: ask the operator which of them are away, and tell the auditors if none is.',
  NOT_IN_COMPARTMENT: 'Post in a compartment that you belong to.',
  EPOCH_WAITING: 'Wait until another member is online: your role may not open a new epoch.',
  KEY_MISSING: 'Wait until another member is online once and grants it.',
  LOG_SET_BACK:
    'This device has more than the service: it keeps all that it has, and goes on by itself once the newest state is back. Tell the operator that entries are missing, and run cordon verify --server.',
  OPERATION_ENDED: 'You are no member of this operation any more, or it does not exist.',
  CLOSED: 'This was closed: open it again.',
  IMPORT_KEY_REFUSED:
    'The import key that the service shows is not a key of your organization: tell the auditors of the platform. A contact point can replace it (cordon import --new-key).',
  IMPORT_KEY_MISSING:
    'Import once from the device that imported first: that device then grants the key to this device.',
  STORE_PASSPHRASE: 'Give the passphrase that this store was made with.',
  STORE_PASSPHRASE_WEAK: 'Choose a passphrase of at least 15 characters for the store.',
  STORE_PASSPHRASE_REUSED: 'Choose a passphrase for the store that is not your passphrase to sign in.',
  STORE_IN_USE: 'Wait for the other command to end: one process uses a store at a time.',
  STORE_FAILED:
    'Make the store writable: missing entries are fetched again, and messages without a receipt are sent again.',
  UNEXPECTED:
    'Start again; missing entries are fetched again. Tell the makers of this program what you did and what it said.',
  STORE_DAMAGED: 'Restore the file from a backup, or enrol a new device.',
} as const

export type OwnCode = keyof typeof own

/**
 * A refusal: by the service, with code, HTTP status and advice of its problem document (RFC 9457),
 * or by the SDK (`status` 0). `code` is stable, `detail` says what happened, `advice` what to do;
 * `extra` holds further members.
 */
export class ClientProblem extends Error {
  readonly code: string
  readonly status: number
  readonly detail: string
  readonly advice: string
  readonly extra: Readonly<Record<string, unknown>>
  /**
   * Seconds after which the client should ask again (Retry-After, RFC 9110, 10.2.3), where the
   * service gave them.
   */
  readonly retryAfter: number | undefined

  constructor(
    code: string,
    input: {
      status?: number
      detail: string
      advice: string
      extra?: Record<string, unknown>
      retryAfter?: number | undefined
      cause?: unknown
    },
  ) {
    super(input.detail, input.cause === undefined ? undefined : { cause: input.cause })
    this.name = 'ClientProblem'
    this.code = code
    this.status = input.status ?? 0
    this.detail = input.detail
    this.advice = input.advice
    this.extra = input.extra ?? {}
    this.retryAfter = input.retryAfter
  }
}

/** Makes a refusal of the SDK itself. */
export function refuse(code: OwnCode, detail: string, extra?: Record<string, unknown>, cause?: unknown): ClientProblem {
  return new ClientProblem(code, { detail, advice: own[code], ...(extra ? { extra } : {}), cause })
}

/** Makes the refusal that a problem document (RFC 9457) of the service describes. */
export function fromProblemJson(value: unknown, status: number, retryAfter?: number): ClientProblem {
  if (typeof value !== 'object' || value === null || typeof (value as { code?: unknown }).code !== 'string') {
    return refuse('ANSWER_INVALID', `The service answered ${String(status)} without saying why.`)
  }
  const { type: _type, title, status: _status, code, detail, advice, ...extra } = value as Record<string, unknown>
  return new ClientProblem(code as string, {
    status,
    detail: [detail, title, code].find((text) => typeof text === 'string') ?? '',
    advice: typeof advice === 'string' ? advice : '',
    extra,
    retryAfter,
  })
}

/** Whether an error is a refusal; with codes, whether it has one of them. */
export function isProblem(error: unknown, ...codes: readonly string[]): error is ClientProblem {
  return error instanceof ClientProblem && (codes.length === 0 || codes.includes(error.code))
}

/**
 * The refusal for an operation that is no longer followed, by the reason with which the service
 * ended it.
 */
export function refuseEnded(reason: string | undefined): ClientProblem {
  if (reason === 'read-only')
    return refuse('LOG_SET_BACK', 'The service holds an older copy of this log than this device has seen.')
  return refuse('OPERATION_ENDED', 'This device does not follow the operation any more.')
}
