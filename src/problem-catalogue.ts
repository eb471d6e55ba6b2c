/** What all refusals of one code say: the HTTP status, what happened, and what to do about it. */
interface ProblemKind {
  readonly status: number
  readonly title: string
  readonly advice: string
}

/**
 * The catalogue of refusals. A code keeps its meaning for ever once it is published: clients decide
 * by it, and people read the advice.
 */
export const problems = {
  // Refusals of the edge
  VALIDATION: {
    status: 400,
    title: 'The request does not have the required shape',
    advice: 'Correct the places that faults lists, and send the request again.',
  },
  MALFORMED_JSON: {
    status: 400,
    title: 'The body is not JSON',
    advice: 'Send one JSON document in UTF-8 with the content type application/json.',
  },
  BAD_REQUEST: {
    status: 400,
    title: 'The request cannot be understood',
    advice: 'Check method, address, headers and body against /openapi.json.',
  },
  UNAUTHENTICATED: {
    status: 401,
    title: 'Not signed in',
    advice: 'Sign in again and repeat the request with the new access token and a fresh DPoP proof.',
  },
  SESSION_ENDED: {
    status: 401,
    title: 'The session has ended',
    advice: 'Sign in again; if you did not end it yourself, tell your national contact point.',
  },
  FORBIDDEN: {
    status: 403,
    title: 'Your role does not permit this',
    advice: 'Ask a coordinator or your national contact point for a role with the permission named here.',
  },
  NOT_FOUND: {
    status: 404,
    title: 'Not found',
    advice:
      'Check the address. The service gives one answer for a thing that does not exist and for a thing that you may not see.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    title: 'This method is not offered here',
    advice: 'Use one of the methods that /openapi.json lists for this address.',
  },
  REQUEST_TIMEOUT: {
    status: 408,
    title: 'The request did not arrive in time',
    advice: 'Send the whole request within 30 seconds.',
  },
  TOO_LARGE: {
    status: 413,
    title: 'The request is larger than allowed here',
    advice: 'Send less at once; the limit is named in the problem.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    title: 'The content type is not accepted here',
    advice: 'Send application/json in UTF-8, without a content encoding.',
  },
  UPGRADE_REQUIRED: {
    status: 426,
    title: 'This address opens a WebSocket and nothing else',
    advice: 'Ask by HTTP/1.1 for an upgrade to websocket, with Sec-WebSocket-Version: 13 (RFC 6455).',
  },
  TOO_MANY_REQUESTS: {
    status: 429,
    title: 'Too many requests',
    advice: 'Wait for the number of seconds in Retry-After and try again.',
  },
  HEADERS_TOO_LARGE: {
    status: 431,
    title: 'The header fields of the request are larger than allowed',
    advice: 'Send less in the address and the header fields; the limit is named in the problem.',
  },
  INTERNAL: {
    status: 500,
    title: 'The service failed',
    advice: 'Try again. If it fails again, give the request id to the operator, who finds the cause in the log.',
  },
  OVERLOADED: {
    status: 503,
    title: 'The service is too busy',
    advice: 'Try again in some seconds; nothing was stored.',
  },

  // Refusals of the database
  DATABASE_UNAVAILABLE: {
    status: 503,
    title: 'The database cannot be reached',
    advice: 'Repeat the request with its id in some seconds. A request that was stored already gets its first answer.',
  },
  STORAGE_FULL: {
    status: 507,
    title: 'The database has no room left',
    advice: 'Tell the operator to free or add disk space, then repeat the request with its id.',
  },
  DATABASE_NEWER: {
    status: 503,
    title: 'The database is newer than this program',
    advice: 'Start the version of Cordon that migrated it, or a later one.',
  },
  DATABASE_OLDER: {
    status: 503,
    title: 'The database is older than this program',
    advice: 'Run cordon migrate with DATABASE_OWNER_URL set, then start again.',
  },
  DATABASE_UNSAFE: {
    status: 503,
    title: 'The settings of the database let it lose acknowledged data',
    advice: 'Switch the settings named here on in postgresql.conf and restart the database.',
  },
  POSTGRES_TOO_OLD: {
    status: 503,
    title: 'This Postgres is too old',
    advice: 'Move the database to Postgres 16 or later (pg_upgrade, or a dump), and name it again.',
  },
  DATABASE_ROLE: {
    status: 503,
    title: 'The service connects to the database with too many rights',
    advice: 'Let DATABASE_URL name the role cordon_app; docs/configuration.md shows how it gets its password.',
  },
  BACKUP_REFUSED: {
    status: 409,
    title: 'The backup was not made, or not taken',
    advice: 'Nothing was changed. docs/runbook.md, "Back up" and "Restore", says what is needed.',
  },
  DATA_DIRECTORY_IN_USE: {
    status: 503,
    title: 'Another Cordon uses this data directory',
    advice: 'Stop the other Cordon, or give this one a DATA_DIRECTORY of its own.',
  },
  EMBEDDED_DATABASE: {
    status: 503,
    title: 'The embedded database cannot be started here',
    advice: 'Set DATABASE_URL to a Postgres 16 or later, or remove the obstacle named here.',
  },

  // Refusals of the log
  LOG_KEY: {
    status: 503,
    title: 'The key of the logs is missing, or is another key',
    advice: 'Put back the log.key that this database was started with; the runbook says where backups are.',
  },
  LOG_NAME: {
    status: 503,
    title: 'The logs of this database have another name',
    advice: 'Set LOG_HOST to the name that is given here: logs keep their name, whatever the address of the service.',
  },
  LOG_READ_ONLY: {
    status: 503,
    title: 'The service is an older copy of this log, or the log was changed: nothing is entered',
    advice: 'Read what is there. The operator brings back the missing entries; the runbook, "Restore", says how.',
  },

  NOT_WITNESSED: {
    status: 409,
    title: 'No checkpoint of this log has the cosignatures of enough witnesses yet',
    advice: 'Try again in some seconds; the page of witnesses of this log says which of them are behind.',
  },

  // Refusals by the rules of an operation
  OPERATION_STATE: {
    status: 409,
    title: 'The operation is not in a state that allows this',
    advice: 'Look at the state of the operation; a coordinator can move it on.',
  },
  MEMBERS_MOVED: {
    status: 409,
    title: 'The members have changed since this was signed',
    advice: 'Read the newest member statements, look at the change, and sign again.',
  },
  EPOCH_STALE: {
    status: 409,
    title: 'This epoch is over: the next one must be opened first',
    advice: 'Open the next epoch and post again under it.',
  },
  EPOCH_RECIPIENTS: {
    status: 409,
    title: 'The recipients are not exactly those who may read',
    advice: 'Compute the recipients again from the log; the difference is listed here.',
  },
  MESSAGE_ID_REUSED: {
    status: 409,
    title: 'This id already names something else',
    advice: 'Make a new id for new content. Use an id again only to repeat its own content.',
  },
  APPROVAL_NOT_AVAILABLE: {
    status: 409,
    title: 'This needs two people, and approvals do not exist in this version',
    advice: 'Wait for a version with approvals. Until then the service refuses the act to all members.',
  },

  // Refusals of identity
  SET_UP_DONE: {
    status: 409,
    title: 'This service has its root already',
    advice: 'Ask its administrator for an invitation.',
  },
  SET_UP_SECRET: {
    status: 403,
    title: 'This is not the set-up string of this service',
    advice: 'Copy the string that the service printed when it started on the empty database.',
  },
  SIGN_IN_REFUSED: {
    status: 401,
    title: 'Sign-in refused',
    advice: 'Check the passphrase and that this device is enrolled; after several failures wait some minutes.',
  },
  SECOND_FACTOR_REQUIRED: {
    status: 401,
    title: 'A code is needed beside the passphrase',
    advice: 'Send the code that your authenticator app shows, or one of your recovery codes.',
  },
  STEP_UP_REQUIRED: {
    status: 403,
    title: 'This needs a recent proof of who you are',
    advice: 'Give your passphrase (and code) or your passkey once more, then repeat the request.',
  },
  FACTOR_NEWER: {
    status: 403,
    title: 'This session is older than the factor that you prove yourself by',
    advice: 'Sign in with that factor, then repeat the request.',
  },
  ACCOUNT_ASLEEP: {
    status: 403,
    title: 'This account sleeps',
    advice: 'Ask your national contact point (or an administrator) to wake it; nothing is lost.',
  },
  CODE_WRONG: {
    status: 400,
    title: 'This code is not from the app that you add',
    advice: 'Give the six digits that the app shows now. Check that the clock of its device is right.',
  },
  FACTOR_NEEDED: {
    status: 409,
    title: 'You would have no factor left to sign in with',
    advice: 'First add the factor that is named here: a passkey, an app, or a longer passphrase.',
  },
  NOTICES_OFF: {
    status: 409,
    title: 'This service sends no notices',
    advice: 'Ask its operator to set SMTP_URL and SMTP_FROM; contact points see notices in the list of people.',
  },
  NOTICE_CODE_WRONG: {
    status: 400,
    title: 'This is not the code that was sent to the address',
    advice: 'Give the newest code. After an hour or five wrong codes, set the address again to get a new code.',
  },
  NOTICE_CODE_LIMIT: {
    status: 409,
    title: 'No further code is sent today',
    advice: 'Look for the last code in the folder of unwanted mail, or try again tomorrow.',
  },
  PASSKEY_INVALID: {
    status: 400,
    title: 'The service cannot accept this passkey',
    advice: 'Ask for a new question and answer it within five minutes, in a page of this service.',
  },
  ORIGIN_REFUSED: {
    status: 403,
    title: 'Pages of this origin may not open the live channel',
    advice: 'If the origin is yours, ask the operator to add it to ALLOWED_ORIGINS.',
  },
  PASSPHRASE_WEAK: {
    status: 400,
    title: 'The passphrase can be guessed, or is too short or too long',
    advice: 'Choose 15 to 128 characters (8 beside a second factor): several words that nobody expects are good.',
  },
  INVITATION_INVALID: {
    status: 404,
    title: 'This invitation cannot be used',
    advice: 'It may be used, expired or revoked. Ask the person who invited you for a new invitation.',
  },
  ENROLMENT_INVALID: {
    status: 400,
    title: 'The enrolment does not match its invitation',
    advice: 'Enrol again with the invitation as you got it; the reason is named here.',
  },
  CERTIFICATE_INVALID: {
    status: 400,
    title: 'The certificate is not acceptable',
    advice: 'Issue it from a certified device that may vouch for this person; the reason is named here.',
  },
  DEVICE_NOT_CERTIFIED: {
    status: 403,
    title: 'This device is not certified',
    advice: 'Wait until the person who invited you is online once, then try again.',
  },
  DEVICE_EXPIRED: {
    status: 403,
    title: 'The certificate of this device has ended',
    advice: 'Ask a contact point of your organization, or an administrator, to renew it (cordon renew), then sign in.',
  },
  LAST_ADMINISTRATOR: {
    status: 409,
    title: 'The service would be left without an administrator',
    advice: 'Let a second administrator enrol first, vouched for by a device that stays.',
  },
  CERTIFICATE_OUTDATED: {
    status: 409,
    title: 'The statement names another certificate of its device',
    advice: 'Fetch the certificate of your device again (GET /v1/me), and sign under the new certificate.',
  },
  ADDRESS_REFUSED: {
    status: 403,
    title: 'This service account may not be used from here',
    advice: 'Use it from the addresses that it was made for; the person who made it sees them in cordon service list.',
  },
  DEVICES_LIVE: {
    status: 409,
    title: 'This person still has a device',
    advice:
      'The person invites further devices from this device. Where all devices are lost, revoke them first and invite the person again.',
  },
  LAST_COORDINATOR: {
    status: 409,
    title: 'An operation would be left without a coordinator',
    advice: 'Let a second person coordinate the operation that is named here, then try again.',
  },
  APPROVAL_MISSING: {
    status: 409,
    title: 'This needs the approval of a second person of another organization',
    advice:
      'Let a contact point or an administrator of another organization approve the request within 72 hours, then try again.',
  },
  DUTY_RULE: {
    status: 409,
    title: 'The duty cannot be handed over like this',
    advice: 'Name another contact point of the same organization who is awake and not away at that time.',
  },
  TOO_MANY: {
    status: 409,
    title: 'The limit for this kind of thing is reached',
    advice: 'End or remove one that nobody needs; the limit is named in the problem.',
  },
  ALREADY_EXISTS: {
    status: 409,
    title: 'This id is used already',
    advice: 'Make a new id.',
  },
  NAME_TAKEN: {
    status: 409,
    title: 'Another organization has this name',
    advice: 'Choose a name that differs in more than case, spaces and characters that are not shown.',
  },
  ADMINISTRATOR_ONLY: {
    status: 403,
    title: 'Only an administrator may do this',
    advice: 'Ask an administrator of the secretariat.',
  },
  AUDITOR_ONLY: {
    status: 403,
    title: 'Only an auditor of the platform may read this log',
    advice: 'Ask an auditor of the platform. You may query the logs of your own operations as your role allows.',
  },

  // Refusals of a query of a log
  QUERY_TOO_WIDE: {
    status: 400,
    title: 'A search for words needs a time range or a person',
    advice: 'Add from (and to), or person, and repeat the query.',
  },
  EVIDENCE_EMPTY: {
    status: 404,
    title: 'No entry matches the query',
    advice: 'Widen the query; cordon audit shows the entries of the log.',
  },
  EVIDENCE_TOO_LARGE: {
    status: 422,
    title: 'The query matches too many entries for one bundle of evidence',
    advice: 'Make several bundles of fewer entries; a whole log is read by its tiles.',
  },
  JUSTIFICATION_REQUIRED: {
    status: 400,
    title: 'This needs a justification',
    advice: 'Say in justification why you look; the log records it.',
  },

  // Refusals by the protocol
  STATEMENT_INVALID: {
    status: 400,
    title: 'The statement does not follow the protocol',
    advice: 'Correct the fault that reason names; docs/protocol.md describes every object.',
  },
  BODY_INVALID: {
    status: 400,
    title: 'The body is not the one that its statement describes',
    advice: 'Seal the body again and sign a statement over it; reason names the difference.',
  },
  EXTRACT_INVALID: {
    status: 400,
    title: 'The extract does not follow its form',
    advice: 'Correct the places that faults lists.',
  },
  DEVICE_MISMATCH: {
    status: 403,
    title: 'The statement was signed by another device than the one that is signed in',
    advice: 'Sign with the device of this session.',
  },
  MEMBER_RULE: {
    status: 409,
    title: 'The rules of the operation do not allow this',
    advice: 'Read the reason. If the members changed meanwhile, read them again first.',
  },
  MEMBERS_BEHIND: {
    status: 409,
    title: 'The statement names a member statement that this log does not have',
    advice: 'Follow the operation up to its newest entry, then sign again.',
  },
  EPOCH_NUMBER: {
    status: 409,
    title: 'Another epoch was opened first',
    advice: 'Read the current epoch and use it, or open the one after it.',
  },
  EPOCH_FRESH: {
    status: 409,
    title: 'The key of this compartment need not be renewed',
    advice:
      'Use the current epoch. The next epoch is opened once a member has left, or two people say that this one does not open.',
  },
  EPOCH_UNKNOWN: {
    status: 409,
    title: 'This is not the current epoch of the compartment',
    advice: 'Seal under the current epoch; open the first one if there is none.',
  },
  EPOCH_GRANTS: {
    status: 400,
    title: 'The grants do not match the recipients',
    advice: 'Send exactly one grant, sealed for it, to each recipient.',
  },
  GRANT_REFUSED: {
    status: 409,
    title: 'This device may not hold this key',
    advice: 'Grant to live devices of current members, as far back as the history rule allows.',
  },
  SEEN_MISMATCH: {
    status: 409,
    title: 'The statement names a root that this log never had',
    advice: 'Stop, and compare checkpoints with other members: different members are shown different logs.',
  },
} as const satisfies Record<string, ProblemKind>
