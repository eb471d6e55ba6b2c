import type { RecordDuty } from '../http/index.ts'
import type { ClientFrame } from '../protocol/index.ts'

/**
 * The entries that each frame of a client records, as routes declare them; the compiler reports a
 * frame that is missing here.
 */
export const frameDuties: Readonly<Record<ClientFrame['type'], RecordDuty>> = {
  subscribe: ['feed.opened', 'messages.delivered'],
  unsubscribe: 'nothing: it ends what was recorded when it began',
  post: ['message.posted', 'message.corrected', 'message.withdrawn'],
  acknowledge: ['messages.delivered', 'messages.read'],
  grant: ['history.granted'],
  'grant-bad': ['epoch.disputed'],
  ping: 'nothing: it shows nothing about any person',
}
