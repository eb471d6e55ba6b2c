/**
 * The tables as Kysely sees them, SQL names as they are. Each owner's migration brings its interface here; nobody but
 * the owner's store names a table.
 *
 * bytea is read as Buffer and written as Uint8Array; bigint is a safe integer; timestamptz a Date; numeric and date a string.
 */
export interface DB {
  schema_migration: SchemaMigrationTable
}

/** Written by the migrator alone. */
export interface SchemaMigrationTable {
  name: string
  timestamp: string
}
