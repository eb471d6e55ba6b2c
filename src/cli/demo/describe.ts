import { rollUp, type Figures } from '../../forms/index.ts'
import { table } from '../table.ts'
import { count, kilograms, type Demonstration } from './demo.ts'

/** The result as lines for a person. */
export function describe({ result, played, report }: Demonstration): string[] {
  const { reader, server, agree } = result.figures
  const row = (name: string, category: string | undefined) => [
    name,
    ...[reader, server].map((figures) =>
      category === undefined ? String(figures.seizures) : `${kilograms(figures, category)} kg`,
    ),
  ]
  return [
    '',
    `Messages accepted   ${count(result.accepted, 'message')}, ${count(result.deliveries, 'delivery', 'deliveries')} opened by their readers`,
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
    `Log                 ${count(result.log.size, 'entry', 'entries')}, root ${result.log.root}`,
    `Verified            ${result.log.verified ? `yes: ${count(report.entries, 'entry', 'entries')} in ${count(report.logs.length, 'log')}, every row recomputed` : 'NO'}`,
    ...report.discrepancies.slice(0, 3).map(({ log, index, what }) => `  ${log} ${String(index ?? '')} ${what}`),
    ...[...new Set(played.alarms)].slice(0, 5).map((alarm) => `Alarm               ${alarm}`),
    `Took                ${String(result.seconds)} s`,
  ]
}

/** The quantities for each unit and category of the second level, as the reader has them. */
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
