import type { Tx } from '../db/index.ts'
import type { EntryDraft, Part } from '../log/index.ts'
import type { IdentityDeps } from './deps.ts'

/** What became of a device, and whose it is. */
export interface DeviceNews {
  readonly person: string
  readonly draft: EntryDraft
}

type Deps = Pick<IdentityDeps, 'logs' | 'operationsOf' | 'membersAmong'>

/**
 * What the directory and each operation enter of devices. An operation hears of those of its
 * members, decided under the lock of its log: whoever was removed while this waited for it leaves
 * no device behind there. The rows of the people are locked by the caller, so that nobody is
 * admitted meanwhile.
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
