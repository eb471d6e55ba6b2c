import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { asMember, onStore, type DeviceOptions } from '../device.ts'
import { pathFromHere } from '../invocation.ts'

export function addLendSession(command: Command): void {
  onStore(command.argument('<file>', 'made with mode 0600; must not exist'))
    .addHelpText(
      'after',
      `
A reader of the file can do what you can do until the session ends: use the file at once, and delete it. The session cannot be renewed, and signing out ends it.

Example:
  $ cordon lend-session lent.json && verify-go -session lent.json … ; rm lent.json`,
    )
    .action((file: string, options: DeviceOptions) =>
      asMember(options, async ({ client, terminal }) => {
        const lent = await client.lendSession()
        await writeFile(pathFromHere(file), `${JSON.stringify(lent)}\n`, { mode: 0o600, flag: 'wx' })
        terminal.result({ file, expiresAt: lent.expiresAt }, () => [
          `Written: ${file}. It ends at ${lent.expiresAt.toISOString().slice(11, 19)} UTC.`,
        ])
      }),
    )
}
