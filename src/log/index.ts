export type {
  Act,
  Caller,
  AppendResult,
  CommittedEntry,
  DecideContext,
  EntryDraft,
  Part,
  Snapshots,
  Standing,
  StoredEntry,
} from './act.ts'
export { compareLogs, type ComparedLog } from './compare-logs.ts'
export { isReading } from './kept-readings.ts'
export { stoppedWords } from './stopped-logs.ts'
export { GrowthBroadcast } from './growth.ts'
export { openLogKey, type LogKey } from './key.ts'
export { KeyFileFault, makeFileOnce, readFileIfThere } from './key-file.ts'
export type { LogDeps, LogLimits, Logs, ReadOnlyLog } from './logs.ts'
export {
  EntriesQuery,
  instantSchema,
  queryFault,
  readInstant,
  readQuery,
  type EntriesPage,
  type LogQuery,
  type PageNames,
} from './filters.ts'
export { sizeAt, type Scope } from './queries.ts'
export { microsecondText } from './rows.ts'
export { mountLogRoutes } from './routes.ts'
export { createLogs } from './service.ts'
export { allLogs, changesBetween, entriesAfter, entriesAt, hasLogs, seesLog, sizeOf, subjectsAmong } from './store.ts'
export type { Details, Findings, OwnedRow, Owner, OwnerView } from './owners.ts'
export { verifyLogs, type Discrepancy, type LogSource, type Report, type VerifyOptions } from './verify.ts'
export { openWitness, witnessKeys, type RunningWitness, type WitnessOptions } from './witness/open.ts'
export { WitnessFault } from './witness/state.ts'
