export type { Account, Self } from './account.ts'
export { Audit, type EntryFilters, type EntryPage, type LogEntry } from './audit.ts'
export type { Pins } from './certificates.ts'
export { Cordon, type CordonOptions, type Me, type Session } from './cordon.ts'
export {
  Directory,
  type AtStake,
  type CertifyOutcome,
  type Duty,
  type HandOver,
  type InvitationListed,
  type InvitationMade,
  type Invite,
  type InviteService,
  type Organization,
  type OwnDevice,
  type PersonListed,
  type RecoveryAsked,
} from './directory.ts'
export { Events } from './events.ts'
export { Factors, type Authenticator, type Evidence, type FactorsView } from './factors.ts'
export { figuresOf, standingMessages, type OpenedMessage } from './figures.ts'
export type { Alarm, SessionEvents } from './footing.ts'
export { csvLimits, importMessageId, isImportFault, mapRows, readCsv, readMapping } from './import/index.ts'
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
  Target,
} from './import/index.ts'
export type { ImportOutcome, ImportRows } from './import/runner.ts'
export type { Enrol, Enrolled, Initialize, RootSecrets } from './joining.ts'
export {
  dropMessage,
  keepMessage,
  keptMessages,
  keptOperations,
  listPending,
  pendingMessages,
  sealedMessages,
  type PendingMessage,
} from './kept.ts'
export type { Mark, Message } from './message.ts'
export type { OperationFacts } from './facts.ts'
export { OperationSession } from './operation-session.ts'
export {
  Operations,
  type CompartmentListed,
  type CreateOperation,
  type MemberListed,
  type OperationListed,
} from './operations.ts'
export { webPlatform, type Platform, type Socket } from './platform.ts'
export type { Draft } from './draft.ts'
export type { Posted } from './posting.ts'
export { Notices, type NoticeAddress } from './notices.ts'
export { ClientProblem, isProblem, type OwnCode } from './problem.ts'
export { verifyReceipt } from './receipt.ts'
export { isCosigned } from './portable-receipt.ts'
export type { SelfCheck } from './self-check.ts'
export { Renewals, type DueCertificate } from './renewals.ts'
export { ServiceAccounts, type ServiceAccountListed } from './service-accounts.ts'
export { MemoryStore, type Change, type ClientStore } from './store.ts'
export { Transport, type LentSession } from './transport.ts'
export type { WitnessPin } from './witnessing.ts'
