import type { Command } from 'commander'
import { passphrases } from '../demo/cast.ts'
import { runDemo, type Demonstration } from '../demo/demo.ts'
import { describe } from '../demo/describe.ts'
import { planOperation, published } from '../demo/generator.ts'
import { failAtEnd } from '../failures.ts'
import { openTerminal, type Terminal } from '../terminal.ts'

const seed = 2026

export function addDemo(command: Command): void {
  command
    .option('--json', 'print the result as one JSON object on the last line')
    .option('--keep', 'leave the service running and say how to sign in')
    .addHelpText('after', '\nExamples:\n  $ npm run demo\n  $ npm run demo -- --json\n  $ npm run demo -- --keep')
    .action(async (options: { json?: boolean; keep?: boolean }) => {
      const terminal = openTerminal({ json: options.json ?? false })
      let stop: (() => Promise<void>) | undefined
      const interrupted = () => {
        terminal.warn('Stopping…')
        void (stop?.() ?? Promise.resolve()).finally(() => process.exit(130))
      }
      process.once('SIGINT', interrupted)
      process.once('SIGTERM', interrupted)
      const plan = planOperation({ seed })
      const demonstration = await runDemo({
        plan,
        published,
        keep: options.keep ?? false,
        say: (line) => terminal.say(line),
        progress: (what, total) => terminal.progress(what, total),
        started: (end) => (stop = end),
      })
      for (const line of describe(demonstration)) terminal.say(line)
      const { result, played, cast, service } = demonstration
      const good =
        result.figures.agree && result.log.verified && played.alarms.length === 0 && played.removal.receivedAfter === 0
      if (!good) failAtEnd()
      await cast.close()
      if (options.keep === true) await keep(terminal, demonstration)
      else await service.stop()
      if (terminal.json) terminal.result(result, () => [])
    })
}

async function keep(terminal: Terminal, { service, cast }: Demonstration): Promise<void> {
  const lines = [
    '',
    `The service goes on at ${service.url} until Ctrl-C. As the coordinator of the operation:`,
    '',
    `  export CORDON_STORE='${cast.storePath ?? ''}'`,
    `  npm run cordon -- sign-in        # store passphrase: ${passphrases.store}`,
    `                                   # sign-in passphrase: ${passphrases.signIn}`,
    `  npm run cordon -- read --operation ${cast.operation}`,
    '',
  ]
  for (const line of lines) terminal.say(line)
  await new Promise(() => {
    setInterval(() => {}, 60_000)
  })
}
