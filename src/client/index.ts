export type { ListedPermissions, OrganizationKind, Permission, Role, State } from '../access.ts'
export type { CategoryAmount, Fault, FaultReason, Figures, FormId, Relation } from '../forms/index.ts'
export { sameFigures } from '../forms/index.ts'
export { ProtocolError } from '../protocol/index.ts'
export type {
  Certificate,
  Device,
  DeviceSecrets,
  Handling,
  HistoryRule,
  Leaf,
  OperationView,
  Precedence,
  Random,
  ReaderReceipt,
  Receipt,
  RefersAs,
  Tier,
  VerifiedEvidence,
  WitnessPolicy,
} from '../protocol/index.ts'
export type { Account, Self } from './account.ts'
export {
  Audit,
  type Disclosure,
  type EntryFilters,
  type EntryPage,
  type LogEntry,
  type MessageReadings,
  type NamesShown,
  type PastMembers,
  type PersonActivity,
} from './audit.ts'
export type { Pins } from './certificates.ts'
export { Cordon, type CordonOptions, type Me, type Session } from './cordon.ts'
export { Directory } from './directory.ts'
export type {
  DepartureEffects,
  CertifyOutcome,
  DutyRoster,
  HandOverRequest,
  InvitationListed,
  NewInvitation,
  InvitationRequest,
  ServiceInvitationRequest,
  Organization,
  OwnDevice,
  PersonListed,
  RecoveryRequest,
} from './directory-types.ts'
export { Events } from './events.ts'
export { Factors, type Authenticator, type SignInEvidence, type FactorsView } from './factors.ts'
export { figuresOf, standingMessages, type OpenedMessage } from './figures.ts'
export type { Alarm, SessionEvents } from './session-context.ts'
export {
  csvLimits,
  importMessageId,
  isImportFault,
  mapRows,
  proposeMapping,
  readCsv,
  readMapping,
} from './import/index.ts'
export type {
  Csv,
  CsvRecord,
  FieldTarget,
  GoodsTarget,
  ImportFault,
  MappedRow,
  MappedRows,
  Mapping,
  MappingFault,
  MappingProposal,
  MappingQuestion,
  Remark,
  Target,
} from './import/index.ts'
export type { ImportOutcome, ImportInput, ImportProposal } from './import/runner.ts'
export type { EnrolmentRequest, EnrolmentResult, InitializationRequest, RootSecrets } from './enrolment.ts'
export {
  dropMessage,
  keepMessage,
  keptMessages,
  keptOperations,
  listPending,
  pendingMessages,
  sealedMessages,
  type PendingMessage,
} from './stored-messages.ts'
export type { Mark, Message } from './message.ts'
export type { OperationFacts } from './facts.ts'
export { OperationSession } from './operation-session.ts'
export {
  Operations,
  type CompartmentListed,
  type OperationInput,
  type MemberListed,
  type OperationListed,
} from './operations.ts'
export { webPlatform, type Platform, type Socket } from './platform.ts'
export type { Draft } from './draft.ts'
export type { PostedMessage } from './message-poster.ts'
export { Notices, type NoticeAddress } from './notices.ts'
export { ClientProblem, isProblem, type OwnCode } from './problem.ts'
export { verifyReceipt } from './receipt.ts'
export { isCosigned } from './portable-receipt.ts'
export type { SelfCheck } from './self-check.ts'
export { Renewals, type DueCertificate } from './renewals.ts'
export { ServiceAccounts, type ServiceAccountListed } from './service-accounts.ts'
export { MemoryStore, type Change, type ClientStore } from './store.ts'
export { Transport, type LentSession } from './transport.ts'
export type { WitnessPin } from './witness-watch.ts'
export type { SetAsideItem } from './set-aside.ts'
