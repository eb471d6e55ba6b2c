import { lstatSync } from 'node:fs'
import { join } from 'node:path'

/** Where the agent of a store is found: beside the store, in a folder of its user alone. */
export interface AgentPlace {
  readonly directory: string
  /** The Unix socket on which the agent listens. */
  readonly socket: string
  /**
   * A file with a secret, which only its user can read: who sends the secret is that user (or
   * root). Node cannot ask the system for the user at the other end of a socket.
   */
  readonly secret: string
}

// `sun_path` of unix(7) holds 108 bytes on Linux and 104 on macOS, with the zero byte at its end.
const longestSocketPathBytes = 103
const rightsOfOthers = 0o077

export function agentPlace(store: string): AgentPlace {
  const directory = `${store}.agent`
  return { directory, socket: join(directory, 'socket'), secret: join(directory, 'secret') }
}

/** Whether a store at this path can have an agent: the path of a socket is short. */
export function canHoldAgent(store: string): boolean {
  return process.platform !== 'win32' && Buffer.byteLength(agentPlace(store).socket) <= longestSocketPathBytes
}

/**
 * Whether the place of an agent belongs to the user of this process alone; undefined where there is
 * none. At a place of somebody else a command would send its secrets to them.
 */
export function isOwnPlace({ directory }: AgentPlace): boolean | undefined {
  const found = lstatSync(directory, { throwIfNoEntry: false })
  if (found === undefined) return undefined
  return found.isDirectory() && found.uid === process.getuid?.() && (found.mode & rightsOfOthers) === 0
}
