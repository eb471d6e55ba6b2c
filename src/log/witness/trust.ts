import { hostOf, isUuid, noteKeysOf, originOf, type LogKeys, type NoteKey } from '../../protocol/index.ts'

const mostKeptOrigins = 10_000

/**
 * The logs that a witness knows: every `<host>/logs/<id>` of these hosts, signed with both keys of
 * its host.
 */
export class TrustedHosts {
  readonly #hosts: ReadonlyMap<string, LogKeys>
  // A key is always answered as one object, since the import of a key is kept with its object.
  readonly #kept = new Map<string, readonly [NoteKey, NoteKey]>()

  constructor(hosts: ReadonlyMap<string, LogKeys>) {
    this.#hosts = hosts
  }

  /**
   * Answers the keys that must have signed a checkpoint of this origin; undefined where it is no
   * log of a trusted host.
   */
  keysOf(origin: string): readonly [NoteKey, NoteKey] | undefined {
    const kept = this.#kept.get(origin)
    if (kept !== undefined) return kept
    const host = hostOf(origin)
    const keys = host === undefined ? undefined : this.#hosts.get(host)
    if (host === undefined || keys === undefined) return undefined
    const log = origin.slice(originOf(host, '').length)
    if (!isUuid(log)) return undefined
    if (this.#kept.size >= mostKeptOrigins) this.#kept.clear()
    const made = noteKeysOf(keys, origin)
    this.#kept.set(origin, made)
    return made
  }
}
