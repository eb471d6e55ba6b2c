import { transaction, type Database } from '../db/index.ts'
import { Problem } from '../errors.ts'
import { actInDirectory, asActor, isPlatformAuditor, type SignedInCaller } from '../identity/index.ts'
import type { Logs } from '../log/index.ts'
import { noteAct } from '../messages/index.ts'
import { authorize } from '../operations/index.ts'
import type { OperationView } from '../protocol/index.ts'

interface LogExportDeps {
  readonly db: Database
  readonly logs: Logs<OperationView>
  readonly clock: () => Date
}

/**
 * Records an export of entries, before they are given. Only the auditors of a log may have them.
 */
export async function enterLogExport(
  deps: LogExportDeps,
  actor: SignedInCaller,
  log: string,
  entries: { from: number; count: number },
): Promise<void> {
  const { db, logs } = deps
  const details = { entries }
  if (log === logs.directory) {
    if (!isPlatformAuditor(actor)) throw new Problem('AUDITOR_ONLY')
    await actInDirectory(deps, actor, [], ({ by, enter }) =>
      enter({ kind: 'export.made', actor: asActor(by), subject: by.person, details }),
    )
    return
  }
  // This check comes before the log's lock, which no outsider may feel.
  await transaction(db, (tx) => authorize(tx, actor, log, 'log.export'))
  const note = { kind: 'export.made', subject: actor.person, permission: 'log.export', details } as const
  await logs.append(log, noteAct, note, actor)
}
