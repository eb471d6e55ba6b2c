import type { Tx } from '../../db/index.ts'
import type { EntryDraft } from '../../log/index.ts'
import type { IdentityDeps } from '../deps.ts'
import { endedDrafts } from '../sessions.ts'
import { endSessions, setDeviceState } from '../store.ts'
import type { EndingDevice } from './store.ts'

/** What a log is to enter. */
export interface Drafts {
  readonly log: string
  readonly drafts: readonly EntryDraft[]
}

type Deps = Pick<IdentityDeps, 'logs' | 'clock' | 'server' | 'operationsOf'>

/** Ends devices and their sessions, and answers what each log is to enter of it. Their people are locked by the caller. */
export async function endDevices(tx: Tx, deps: Deps, ending: readonly EndingDevice[]): Promise<Drafts[]> {
  const { logs, clock, server, operationsOf } = deps
  const drafts = new Map<string, EntryDraft[]>()
  const enter = (log: string, draft: EntryDraft) => drafts.set(log, [...(drafts.get(log) ?? []), draft])
  for (const { device, person, reason } of ending) {
    await setDeviceState(tx, device, 'expired')
    const sessions = await endSessions(tx, { person, device }, clock())
    const details = { outcome: 'ended', reason }
    const draft = { kind: 'device.expired' as const, actor: { server }, subject: device, details }
    for (const log of [...(await operationsOf(tx, [person])), logs.directory]) enter(log, draft)
    for (const ended of endedDrafts(sessions, 'device-expired', undefined, server)) enter(logs.directory, ended)
  }
  return [...drafts].map(([log, entries]) => ({ log, drafts: entries }))
}

/** Parts of one append, those of the same log together. */
export function together(...parts: readonly Drafts[]): Drafts[] {
  const byLog = Map.groupBy(parts, ({ log }) => log)
  return [...byLog].map(([log, those]) => ({ log, drafts: those.flatMap(({ drafts }) => drafts) }))
}
