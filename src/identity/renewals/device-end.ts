import type { Tx } from '../../db/index.ts'
import type { EntryDraft, Part } from '../../log/index.ts'
import type { IdentityDeps } from '../deps.ts'
import { endedDrafts } from '../sessions.ts'
import { endSessions, setDeviceState } from '../store.ts'
import { tellLogs, type DeviceNews } from '../device-news.ts'
import type { EndingDevice } from './store.ts'

type Deps = Pick<IdentityDeps, 'logs' | 'clock' | 'server' | 'operationsOf' | 'membersAmong'>

/**
 * Ends devices and their sessions; answers the entries that the logs are to record. The caller
 * holds the locks of the people's rows.
 */
export async function endDevices(tx: Tx, deps: Deps, ending: readonly EndingDevice[]): Promise<Part[]> {
  const { logs, clock, server } = deps
  const told: DeviceNews[] = []
  const sessions: EntryDraft[] = []
  for (const { device, person, reason } of ending) {
    await setDeviceState(tx, device, 'expired')
    const details = { outcome: 'ended', reason }
    told.push({ person, draft: { kind: 'device.expired', actor: { server }, subject: device, details } })
    const ended = await endSessions(tx, { person, device }, clock())
    sessions.push(...endedDrafts(ended, 'device-expired', { server }))
  }
  return [...(await tellLogs(tx, deps, told)), { log: logs.directory, drafts: sessions }]
}
