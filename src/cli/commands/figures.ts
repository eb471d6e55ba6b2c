import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { isProblem, type OperationSession } from '../../client/index.ts'
import { sameFigures, type Figures } from '../../forms/index.ts'
import { asMember, type CommandDevice } from '../device.ts'
import { inOperation, leaveReading, openOperation, type OperationOptions } from '../followed-operation.ts'
import { table } from '../table.ts'
import { isolated } from '../terminal.ts'
import { codeName, counted, number } from '../words.ts'

type ServerFigures = Figures & { readonly asAt: number; readonly edition: 'whole' | 'totals' }

interface Options extends OperationOptions {
  readonly justification?: string
}

const agreementWait = { times: 30, milliseconds: 100 }

export function addFigures(command: Command): void {
  inOperation(command)
    .addHelpText(
      'after',
      `
This device computes the figures from the messages that it opened, the service from their extracts; neither asks the other.
Quantities of different kinds of units are never added, and estimates are separate.

Examples:
  $ cordon figures --operation HORIZON
  $ cordon figures --json`,
    )
    .option('--justification <text>', 'why you look, for an operation that is closed')
    .action((options: Options) =>
      asMember(options, async (device) => {
        const followed = await openOperation(device, options.operation)
        const { session, facts } = followed
        const server = await serverFigures(device, session.operation, options.justification)
        const reader = await readersFigures(session, server)
        const whole = server?.edition === 'whole'
        const agree = whole ? sameFigures(reader, server) : null
        device.terminal.result({ operation: session.operation, reader, server: server ?? null, agree }, () => [
          `${isolated(facts.name)} (${isolated(facts.reference)}): ${counted(reader.seizures, 'seizure')} in ${counted(reader.cases, 'case')}, as this device has opened them.`,
          '',
          ...quantityLines(reader),
          '',
          ...comparison(reader, server, agree),
        ])
        await leaveReading(followed, device)
      }),
    )
}

/** The figures of the service; undefined for a role that has none. */
async function serverFigures(
  { client }: CommandDevice,
  operation: string,
  justification: string | undefined,
): Promise<ServerFigures | undefined> {
  const why = justification === undefined ? '' : `?justification=${encodeURIComponent(justification)}`
  try {
    return await client.transport.request<ServerFigures>('GET', `/v1/operations/${operation}/figures${why}`)
  } catch (error) {
    if (isProblem(error, 'FORBIDDEN')) return undefined
    throw error
  }
}

/**
 * The figures of this device. Messages that were posted while the service counted may come a moment
 * later, so that it tries again.
 */
async function readersFigures(session: OperationSession, server: ServerFigures | undefined): Promise<Figures> {
  for (let n = 0; ; n++) {
    const figures = session.figures()
    const settled = server === undefined || server.edition !== 'whole' || sameFigures(figures, server)
    if (settled || n === agreementWait.times) return figures
    await sleep(agreementWait.milliseconds)
  }
}

function quantityLines({ quantities, totals }: Figures): string[] {
  const row = (name: string, { unit, quantity, estimated }: Figures['totals'][number], seizures: string) => [
    name,
    number(quantity),
    estimated === '0' ? '' : number(estimated),
    codeName('units', unit),
    seizures,
  ]
  return table(
    ['commodity', 'quantity', 'estimated', 'unit', 'seizures'],
    [
      ...quantities.map((one) => row(codeName('commodities', one.category), one, number(one.seizures))),
      ...totals.map((one) => row('all, without sums', one, '')),
    ],
  )
}

function comparison(reader: Figures, server: ServerFigures | undefined, agree: boolean | null): string[] {
  if (server === undefined) return ['Your role has no figures of the service to compare them with.']
  const asAt = server.asAt < 0 ? ', from no entry yet' : ` up to entry ${number(server.asAt)}`
  const counts = `the service counts ${counted(server.seizures, 'seizure')}${asAt}`
  if (agree === null)
    return [`To your role ${counts}: totals that come from at least three countries, at the end of a day.`]
  if (agree) return [`agree: true (${counts}, and every quantity is the same)`]
  return [
    `agree: false (${counts}; this device ${counted(reader.seizures, 'seizure')})`,
    'The service also counts compartments that you are not in. Where you can open all messages, this is wrong: tell a coordinator and the auditors.',
  ]
}
