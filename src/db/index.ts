export {
  describeConnection,
  openDatabase,
  transaction,
  type Database,
  type DatabaseOptions,
  type Tx,
} from './database.ts'
export { errorCode, isConnectionError, isRetryable, toDatabaseProblem, violatedConstraint } from './failures.ts'
export { migrate, migrationDirectory, refuseNewer, schemaVersion, type SchemaVersion } from './migrate.ts'
export type { DB } from './tables.ts'
