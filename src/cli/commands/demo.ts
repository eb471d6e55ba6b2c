import type { Command } from 'commander'
import { rollUp, type Figures } from '../../forms/index.ts'
import { count, kilograms, passphrases, runDemo, type Demonstration } from '../demo/demo.ts'
import { planOperation, published } from '../demo/generator.ts'
import { exitCodes } from '../failures.ts'
import { openTerminal, table, type Terminal } from '../terminal.ts'

const seed = 2026

export function addDemo(program: Command): void {
  program
    .command('demo')
    .description('Play a whole operation on a temporary service: 98 organizations, 937 seizures, one verified log')
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
      process.exitCode = good ? exitCodes.done : exitCodes.failed
      await cast.close()
      if (options.keep === true) await keep(terminal, demonstration)
      else await service.stop()
      if (terminal.json) terminal.result(result, () => [])
    })
}

function describe({ result, played, report }: Demonstration): string[] {
  const { reader, server, agree } = result.figures
  const row = (name: string, category: string | undefined) => [
    name,
    ...[reader, server].map((figures) =>
      category === undefined ? String(figures.seizures) : `${kilograms(figures, category)} kg`,
    ),
  ]
  return [
    '',
    `Messages accepted   ${count(result.accepted, 'message')}, ${count(result.deliveries, 'delivery').replace('deliverys', 'deliveries')} opened by their readers`,
    `Post to last reader p50 ${String(result.latencyMs.p50)} ms, p99 ${String(result.latencyMs.p99)} ms at ${String(played.paced.perSecond)} messages/s (${String(played.paced.messages)} messages)`,
    `As fast as it goes  ${String(played.unpaced.perSecond)} messages/s (${String(played.unpaced.messages)} messages)`,
    `Removed midway      ${played.removal.name}, at entry ${String(played.removal.index)}; messages it got after that: ${String(played.removal.receivedAfter)}`,
    '',
    ...table(
      ['', 'by a reader', 'by the server', 'published'],
      [
        [...row('Seizures', undefined), String(result.figures.published.seizures)],
        [...row('Drugs', 'drugs'), `${result.figures.published.drugsKg} kg`],
        [...row('of them synthetic', 'drugs/synthetic'), `${result.figures.published.syntheticDrugsKg} kg`],
      ],
    ),
    ...categories(reader),
    `Figures             agree: ${String(agree)}`,
    '',
    `Log                 ${count(result.log.size, 'entry').replace('entrys', 'entries')}, root ${result.log.root}`,
    `Verified            ${result.log.verified ? `yes: ${count(report.entries, 'entry').replace('entrys', 'entries')} in ${count(report.logs.length, 'log')}, every row recomputed` : 'NO'}`,
    ...report.discrepancies.slice(0, 3).map(({ log, index, what }) => `  ${log} ${String(index ?? '')} ${what}`),
    ...[...new Set(played.alarms)].slice(0, 5).map((alarm) => `Alarm               ${alarm}`),
    `Took                ${String(result.seconds)} s`,
  ]
}

/** Quantities per unit and second level of the tree, as the reader has them. */
function categories({ quantities }: Figures): string[] {
  const seconds = [...new Set(quantities.map(({ category }) => category.split('/').slice(0, 2).join('/')))].sort()
  const rows = seconds.flatMap((category) =>
    rollUp(quantities, category).map(({ unit, quantity, estimated }) => [
      category,
      unit,
      quantity,
      estimated === '0' ? '' : `+ ${estimated} estimated`,
    ]),
  )
  return ['', ...table(['category', 'unit', 'quantity', ''], rows), '']
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
