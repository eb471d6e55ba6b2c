import type { ColumnType, Generated } from 'kysely'
import type { OrganizationKind, Role, State } from '../access.ts'

/**
 * The tables as Kysely sees them, with their SQL names. The folder that owns a table brings its
 * interface here, and only the store of that folder names the table. bytea is read as Buffer and
 * written as Uint8Array; bigint is a safe integer; timestamptz a Date; numeric and date a string.
 */
export interface DB {
  schema_migration: SchemaMigrationTable

  trust_root: TrustRootTable
  set_up_secret: SetUpSecretTable
  organization: OrganizationTable
  person: PersonTable
  device: DeviceTable
  certificate: CertificateTable
  revocation: RevocationTable
  credential: CredentialTable
  totp: TotpTable
  recovery_code: RecoveryCodeTable
  passkey: PasskeyTable
  passkey_challenge: PasskeyChallengeTable
  invitation: InvitationTable
  invitation_key: InvitationKeyTable
  enrolment: EnrolmentTable
  recovery: RecoveryTable
  deputy: DeputyTable
  service_account: ServiceAccountTable
  planned_sleep: PlannedSleepTable
  notice_address: NoticeAddressTable
  notice: NoticeTable
  notice_code: NoticeCodeTable
  session: SessionTable
  refresh_token: RefreshTokenTable
  live_ticket: LiveTicketTable
  dpop_proof: DpopProofTable
  sign_in_failure: SignInFailureTable

  operation: OperationTable
  operation_organization: OperationOrganizationTable
  member: MemberTable
  compartment: CompartmentTable
  compartment_member: CompartmentMemberTable
  member_statement: MemberStatementTable
  epoch: EpochTable
  epoch_grant: EpochGrantTable

  thread: ThreadTable
  message: MessageTable
  body: BodyTable
  extract: ExtractTable
  delivery: DeliveryTable
  message_read: MessageReadTable
  import_key: ImportKeyTable
  log: LogTable
  log_entry: LogEntryTable
  log_private: LogPrivateTable
  log_node: LogNodeTable
  log_checkpoint: LogCheckpointTable
  log_cosignature: LogCosignatureTable
  rate_limit: RateLimitTable
}

/** Only the migrator writes this table. */
export interface SchemaMigrationTable {
  name: string
  timestamp: string
}

export interface TrustRootTable {
  only_row: Generated<boolean>
  device_id: string
  successor_device_id: string
  statement: string
  set_up_at: Date
}

export interface SetUpSecretTable {
  only_row: Generated<boolean>
  hash: Uint8Array
}

export interface OrganizationTable {
  id: string
  kind: OrganizationKind
  name: string
  /** `comparingForm` of the name; null where an organization of before had this form already. */
  name_form: string | null
  country: string | null
  region: string | null
  registered_at: Date
  ended_at: Date | null
}

export interface PersonTable {
  id: string
  organization_id: string
  name: string
  registered_at: Date
  ended_at: Date | null
  asleep_at: Generated<Date | null>
  woken_at: Generated<Date | null>
}

export interface DeviceTable {
  id: string
  person_id: string
  sign_key: string
  seal_key: string
  state: 'waiting' | 'certified' | 'revoked' | 'expired'
  enrolled_at: Date
}

export interface CertificateTable {
  hash: string
  device_id: string
  issuer_device_id: string
  person_id: string
  organization_id: string
  tier: string
  jws: string
  expires_at: Date
  certified_at: Date
  directory_index: number
}

export interface RevocationTable {
  hash: string
  device_id: string
  signer_device_id: string
  jws: string
  compromised_at: Date | null
  directory_index: number
}

export interface CredentialTable {
  person_id: string
  passphrase_hash: string
  set_at: Date
  needs_second_factor: Generated<boolean>
}

export interface TotpTable {
  person_id: string
  sealed_secret: Uint8Array
  set_at: Date
  confirmed_at: Date | null
  last_step: Generated<number>
}

export interface RecoveryCodeTable {
  person_id: string
  digest: Uint8Array
}

export interface PasskeyTable {
  id: string
  person_id: string
  public_key: Uint8Array
  sign_count: number
  name: string
  added_at: Date
  last_used_at: Date | null
}

export interface PasskeyChallengeTable {
  hash: Uint8Array
  person_id: string | null
  expires_at: Date
}

export interface InvitationTable {
  id: string
  person_id: string
  organization_id: string
  tier: string
  recognition: Uint8Array
  inviter_person_id: string
  inviter_device_id: string
  expires_at: Date
  used_at: Date | null
  revoked_at: Date | null
}

export interface InvitationKeyTable {
  invitation_id: string
  device_id: string
  sealed: string
}

export interface RecoveryTable {
  invitation_id: string
  request: string
  requested_at: Date
  approver_person_id: Generated<string | null>
  approved_at: Generated<Date | null>
}

export interface DeputyTable {
  person_id: string
  deputy_person_id: string
  from_at: Date
  until_at: Date | null
}

export interface EnrolmentTable {
  invitation_id: string
  device_id: string
  statement: string
  mac: string
  certified_at: Date | null
}

export interface ServiceAccountTable {
  person_id: string
  /** JSON; `addresses` too. */
  permissions: string
  addresses: string
  expires_at: Date
  sign_in_key: ColumnType<string | null, never, string>
  key_thumbprint: ColumnType<string | null, never, string>
  ended_at: ColumnType<Date | null, never, Date>
  used_at: ColumnType<Date | null, never, Date>
  used_from: ColumnType<string | null, never, string>
}

export interface PlannedSleepTable {
  person_id: string
  idle_since: Date
  days: 30 | 10 | 3
  sleeps_at: Date
  noticed_at: Date
  kept_at: Date | null
}

export interface NoticeAddressTable {
  person_id: string
  sealed_address: Generated<Uint8Array | null>
  confirmed_at: Generated<Date | null>
  sealed_candidate: Generated<Uint8Array | null>
  asked_at: Generated<Date | null>
  tries: Generated<number>
}

export interface NoticeTable {
  id: Generated<number>
  person_id: string
  kind: 'sleep' | 'sleepers' | 'needed' | 'address'
  days: Generated<30 | 10 | 3 | null>
  accounts: Generated<number | null>
  made_at: Date
  attempts: Generated<number>
  next_at: Date
  given_at: Generated<Date | null>
}

export interface NoticeCodeTable {
  person_id: string
  recipient: Uint8Array
  at: Date
}

export interface SessionTable {
  id: string
  person_id: string
  device_id: string
  key_thumbprint: string
  started_at: Date
  refreshed_at: Date
  expires_at: Date
  ended_at: Date | null
  verified_at: Date
  proven_by: string | null
  proven_passkey: string | null
  known_since: Date
  address: Generated<string>
  agent: Generated<string>
  reading: Generated<boolean>
}

export interface RefreshTokenTable {
  hash: Uint8Array
  session_id: string
  issued_at: Date
  rotated_at: Date | null
  /** Hash of the name that the client gave the exchange. */
  attempt: Generated<Uint8Array | null>
}

export interface LiveTicketTable {
  hash: Uint8Array
  session_id: string
  origin: string
  expires_at: Date
}

export interface DpopProofTable {
  hash: Uint8Array
  expires_at: Date
}

export interface SignInFailureTable {
  person_id: string
  door: string
  at: Date
}

/** The tables of the log, from here on: log/ owns them. */
export interface LogTable {
  id: string
  operation_id: string | null
  size: number
  root: Uint8Array
  edge: Uint8Array
  /** The last seq of each compartment. */
  seqs: ColumnType<Record<string, number>, string, string>
  changed_index: number
  last_at: Date
}

export interface LogEntryTable {
  log_id: string
  index: number
  leaf: string
  leaf_hash: Uint8Array
  kind: string
  at: Date
  person_id: string | null
  organization_id: string | null
  device_id: string | null
  compartment_id: string | null
  seq: number | null
  subject: string
}

export interface LogPrivateTable {
  log_id: string
  index: number
  salt: Uint8Array
  details: string
}

export interface LogNodeTable {
  log_id: string
  level: number
  index: number
  hash: Uint8Array
}

export interface LogCheckpointTable {
  log_id: string
  size: number
  note: string
  /** The size of the checkpoint that was published before; null for the first. */
  previous_size: number | null
}

export interface OperationTable {
  id: string
  name: string
  reference: string
  time_zone: string
  state: State
  /** Null: name and reference of the operation say its purpose. */
  purpose: string | null
  created_at: Date
}

export interface OperationOrganizationTable {
  operation_id: string
  organization_id: string
  admitted_index: number
}

export interface MemberTable {
  operation_id: string
  person_id: string
  organization_id: string
  role: Role
  asleep: Generated<boolean>
  joined_index: number
}

export interface CompartmentTable {
  operation_id: string
  id: string
  name: string
  created_index: number
}

export interface CompartmentMemberTable {
  operation_id: string
  compartment_id: string
  person_id: string
  joined_index: number
}

export interface MemberStatementTable {
  operation_id: string
  hash: string
  jws: string
}

export interface EpochTable {
  operation_id: string
  compartment_id: string
  number: number
  hash: string
  jws: string
}

export interface EpochGrantTable {
  operation_id: string
  compartment_id: string
  epoch: number
  device_id: string
  given_index: number
  sealed: string
}

export interface ThreadTable {
  operation_id: string
  id: string
  compartment_id: string
}

export interface MessageTable {
  operation_id: string
  id: string
  log_index: number
  hash: string
  jws: string
  thread_id: string
  compartment_id: string
  device_id: string
  person_id: string
  organization_id: string
  form: string
  form_version: number
  precedence: string
  exercise: boolean
  refers_as: string | null
  refers_to: string | null
  stands_for: string
}

export interface BodyTable {
  operation_id: string
  message_id: string
  jwe: string
}

export interface ExtractTable {
  operation_id: string
  message_id: string
  salt: string
  content: string
}

export interface DeliveryTable {
  operation_id: string
  person_id: string
  up_to: number
  organization_id: string
  at: Date
}

export interface MessageReadTable {
  operation_id: string
  message_id: string
  person_id: string
  organization_id: string
  log_index: number
  at: Date
}

export interface ImportKeyTable {
  operation_id: string
  organization_id: string
  device_id: string
  sealed: string
  sealed_by: string | null
}

export interface LogCosignatureTable {
  log_id: string
  witness: string
  size: number
  number: number
  lines: string
}

/** The counts that all servers share; db/ owns the table. */
export interface RateLimitTable {
  key: Uint8Array
  ends_at: Date
  requests: number
}
