import type { Figures } from '../../forms/index.ts'
import { addDecimals, canonicalDecimal, rollUp, sameFigures } from '../../forms/index.ts'
import { figuresOf, type Message } from '../../client/index.ts'
import type { Report } from '../../log/index.ts'
import { gather, type Cast } from './cast.ts'
import type { Plan } from './generator.ts'
import { play, type DemoRun } from './play.ts'
import { startDemoService, type DemoService } from './service.ts'

export interface PublishedFigures {
  readonly seizures: number
  readonly drugsKg: string
  readonly syntheticDrugsKg: string
}

export interface DemoResult {
  readonly accepted: number
  readonly deliveries: number
  readonly latencyMs: { readonly p50: number; readonly p99: number }
  readonly figures: {
    readonly reader: Figures
    readonly server: Figures
    readonly published: PublishedFigures
    readonly agree: boolean
  }
  readonly log: { readonly size: number; readonly root: string; readonly verified: boolean }
  readonly seconds: number
}

export interface DemoOptions {
  readonly plan: Plan
  readonly published: PublishedFigures
  /**
   * The messages from which the reader computes its figures; all that it opened unless a test takes
   * one away.
   */
  readonly readerHas?: (messages: readonly Message[]) => readonly Message[]
  readonly keep?: boolean
  readonly say: (line: string) => void
  readonly progress: (what: string, total: number) => { advance(done: number): void; stop(): void }
  /** Called once the service runs, with a function that stops it, for Ctrl-C. */
  readonly started?: (stop: () => Promise<void>) => void
}

export interface Demonstration {
  readonly result: DemoResult
  readonly played: DemoRun
  readonly report: Report
  readonly service: DemoService
  readonly cast: Cast
}

/**
 * Runs an operation from its first organization to its verified log. The service runs until the
 * caller calls `service.stop()`.
 */
export async function runDemo(options: DemoOptions): Promise<Demonstration> {
  const began = performance.now()
  const { plan, say } = options
  const service = await startDemoService(say)
  options.started?.(() => service.stop())
  try {
    say(`The service runs on ${service.url}, on a temporary database.`)
    const enrolling = options.progress('Enrolling', plan.organizations.length)
    const cast = await gather(service, plan.organizations, {
      keep: options.keep ?? false,
      progress: (done) => enrolling.advance(done),
    })
    enrolling.stop()
    say(
      `${count(plan.organizations.length, 'organization')} enrolled, each with a client of its own; the operation is active.`,
    )
    const playing = options.progress('Messages', plan.messages.length)
    const played = await play(cast, plan, (done) => playing.advance(done))
    playing.stop()
    const reader = cast.players[0]
    if (!reader) throw new Error('an operation has readers')
    const mine = options.readerHas?.(reader.session.messages) ?? reader.session.messages
    const figures = compare(figuresOf(mine), await serverFigures(cast), options.published)
    const report = await service.verify(cast.root)
    const log = report.logs.find(({ operation }) => operation === cast.operation)
    const result: DemoResult = {
      accepted: played.accepted,
      deliveries: played.deliveries,
      latencyMs: played.latencyMs,
      figures,
      log: {
        size: log?.size ?? 0,
        root: log?.root ?? '',
        verified: report.discrepancies.length === 0 && log !== undefined,
      },
      seconds: Math.round((performance.now() - began) / 100) / 10,
    }
    return { result, played, report, service, cast }
  } catch (error) {
    await service.stop()
    throw error
  }
}

async function serverFigures({ coordinator, operation }: Cast): Promise<Figures> {
  const { seizures, cases, quantities, totals } = await coordinator.client.transport.request<Figures>(
    'GET',
    `/v1/operations/${operation}/figures`,
  )
  return { seizures, cases, quantities, totals }
}

function compare(reader: Figures, server: Figures, published: PublishedFigures): DemoResult['figures'] {
  const agree = sameFigures(reader, server) && [reader, server].every((figures) => matches(figures, published))
  return { reader, server, published, agree }
}

function matches(figures: Figures, published: PublishedFigures): boolean {
  return (
    figures.seizures === published.seizures &&
    kilograms(figures, 'drugs') === canonicalDecimal(published.drugsKg) &&
    kilograms(figures, 'drugs/synthetic') === canonicalDecimal(published.syntheticDrugsKg)
  )
}

/** The seized kilograms of a commodity, counted and estimated together. */
export function kilograms(figures: Figures, category: string): string {
  const weight = rollUp(figures.quantities, category).find(({ unit }) => unit === 'KGM')
  return weight === undefined ? '0' : addDecimals(weight.quantity, weight.estimated)
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number.toLocaleString('en')} ${number === 1 ? one : many}`
}
