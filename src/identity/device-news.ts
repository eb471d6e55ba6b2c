import type { Tx } from '../db/index.ts'
import type { EntryDraft, Part } from '../log/index.ts'
import type { IdentityDeps } from './deps.ts'

/** An entry about a device, and the person whose device it is. */
export interface DeviceNews {
  readonly person: string
  readonly draft: EntryDraft
}

type Deps = Pick<IdentityDeps, 'logs' | 'operationsOf' | 'membersAmong'>

/**
 * Answers the entries of the directory and of each operation about devices. An operation records
 * the devices of its members alone, decided under the lock of its log: a person who was removed
 * while this waited leaves no device behind there. The caller holds the locks of the people's rows,
 * so that none is admitted meanwhile.
 */
export async function tellLogs(tx: Tx, deps: Deps, told: readonly DeviceNews[]): Promise<Part[]> {
  const { logs, operationsOf, membersAmong } = deps
  const persons = [...new Set(told.map(({ person }) => person))]
  const parts = (await operationsOf(tx, persons)).map((log): Part => ({
    log,
    drafts: async () => {
      const members = await membersAmong(tx, log, persons)
      return told.filter(({ person }) => members.has(person)).map(({ draft }) => draft)
    },
  }))
  return [...parts, { log: logs.directory, drafts: told.map(({ draft }) => draft) }]
}
