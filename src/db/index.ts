export {
  checkpointsIn,
  copyIn,
  copyOut,
  readManifest,
  requireWhole,
  withScratch,
  writeManifest,
  type BackupManifest,
} from './backup.ts'
export { inOrder } from './cursor.ts'
export {
  databaseOn,
  describeConnection,
  openDatabase,
  readCommitted,
  reading,
  readSnapshot,
  transaction,
  type Database,
  type DatabaseOptions,
  type Tx,
} from './database.ts'
export { answers, checkDurability, requireServable } from './durability.ts'
export { findEmbedded, startEmbedded, type EmbeddedPostgres, type EmbeddedOptions } from './embedded.ts'
export { errorCode, isConnectionError, isRetryable, toDatabaseProblem, violatedConstraint } from './failures.ts'
export { isKept } from './keeper.ts'
export { createNotifier, listen, notifiedLogs, type Listener, type Notifier } from './listen.ts'
export { createRateStore, type RateCount, type RateStore } from './rate-limits.ts'
export {
  migrate,
  migrationDirectory,
  refuseNewer,
  schemaVersion,
  type MigrationResult,
  type SchemaVersion,
} from './migrate.ts'
export type { DB } from './tables.ts'
