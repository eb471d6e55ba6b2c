import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { migrate } from '../../db/index.ts'
import { notKept } from '../../main.ts'
import { CommandFailure } from '../failures.ts'
import { openTerminal } from '../terminal.ts'

export function addMigrate(command: Command): void {
  command
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      '\nThe embedded database is migrated by `cordon serve` itself.\n\nExample:\n  $ DATABASE_OWNER_URL_FILE=/run/secrets/owner cordon migrate',
    )
    .action(async (options: { json?: boolean }) => {
      const { databaseOwnerUrl } = readConfig()
      if (databaseOwnerUrl === undefined) {
        throw new CommandFailure(
          'Set DATABASE_OWNER_URL (or DATABASE_OWNER_URL_FILE) to the database as a superuser, or as a role that may become cordon_owner and cordon_keeper.',
        )
      }
      const { applied, kept } = await migrate(databaseOwnerUrl)
      openTerminal({ json: options.json ?? false }).result({ applied, kept }, () => [
        applied.length === 0 ? 'The database has the newest schema already.' : `Applied: ${applied.join(', ')}`,
        ...(kept ? [] : [notKept]),
      ])
    })
}
