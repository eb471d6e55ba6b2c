import type { Command } from 'commander'
import { readConfig } from '../../config.ts'
import { start } from '../../main.ts'
import { stopOnSignal } from '../stop-signal.ts'
import { openTerminal } from '../terminal.ts'

export function addServe(command: Command): void {
  command
    .option('--json', 'print one line of JSON once it listens')
    .addHelpText(
      'after',
      '\nSettings come from the environment: docs/configuration.md lists them.\n\nExamples:\n  $ cordon serve\n  $ PORT=8000 DATA_DIRECTORY=/var/lib/cordon cordon serve',
    )
    .action(async (options: { json?: boolean }) => {
      const terminal = openTerminal({ json: options.json ?? false })
      const running = await start(readConfig(), (line) => terminal.warn(line))
      const stopping = stopOnSignal(() => running.stop())
      terminal.result({ address: running.address, setUpString: running.setUpString ?? null, pid: process.pid }, () => [
        `Cordon listens on ${running.address}`,
        ...(running.setUpString === undefined
          ? []
          : [
              '',
              'This service has no root yet. Make it, on the computer of the first administrator, with',
              '',
              '  cordon init',
              '',
              'which asks for this string. It is shown once; a restart makes a new one:',
              '',
              `  ${running.setUpString}`,
            ]),
      ])
      await stopping
    })
}
