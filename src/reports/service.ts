import { may } from '../access.ts'
import { transaction, type Database } from '../db/index.ts'
import { sumCommodities, type Figures } from '../forms/index.ts'
import type { SignedInCaller } from '../identity/index.ts'
import type { Logs } from '../log/index.ts'
import { noteAct } from '../messages/index.ts'
import { authorize, type Membership } from '../operations/index.ts'
import type { OperationView } from '../protocol/index.ts'
import * as store from './store.ts'
import { discloseAtDayEnds } from './totals.ts'

export interface ReportsDeps {
  readonly db: Database
  readonly logs: Pick<Logs<OperationView>, 'append'>
  readonly clock: () => Date
}

/**
 * `whole` counts everything; `totals` is for partners and observers: figures to which three
 * countries contribute, at day ends.
 */
export type Edition = 'whole' | 'totals'

export type FiguresAsAt = Figures & {
  /** Index of the last entry that counts. */
  readonly asAt: number
  readonly edition: Edition
}

/** Figures of an operation, computed by the database from headers and extracts alone. */
export class ReportService {
  readonly #deps: ReportsDeps

  constructor(deps: ReportsDeps) {
    this.#deps = deps
  }

  /** Answers the figures as they are. The view is recorded before anything is answered. */
  async figures(actor: SignedInCaller, operation: string, justification?: string): Promise<FiguresAsAt> {
    const { db, logs, clock } = this.#deps
    const entered = await transaction(db, async (tx) =>
      editionFor(await authorize(tx, actor, operation, 'report.view')),
    )
    const details = { channel: 'http', edition: entered }
    const note = { kind: 'report.viewed', subject: 'figures', permission: 'report.view', details } as const
    await logs.append(operation, noteAct, { ...note, justification }, actor)
    return transaction(db, async (tx) => {
      const membership = await authorize(tx, actor, operation, 'report.view')
      await store.lookAsFigures(tx)
      // A role that was narrowed in between counts at once; a role that was widened is not the one
      // that the entry says.
      if (entered === 'whole' && editionFor(membership) === 'whole') {
        return { ...(await store.queryFigures(tx, operation)), edition: 'whole' }
      }
      const { asAt, spans } = await store.spansAtDayEnd(tx, operation, membership.row.time_zone, clock())
      return { asAt, edition: 'totals', ...discloseAtDayEnds(spans, new Set(sumCommodities)) }
    })
  }
}

function editionFor({ role, state }: Membership): Edition {
  return may(role, 'report.view', state).role === 'totals' ? 'totals' : 'whole'
}
