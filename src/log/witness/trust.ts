import { hostOf, isUuid, noteKeysOf, originOf, type LogKeys, type NoteKey } from '../../protocol/index.ts'

const mostKeptOrigins = 10_000

/**
 * Which logs a witness knows: every `<host>/logs/<id>` of these hosts, signed with both keys of its
 * host.
 */
export class TrustedHosts {
  readonly #hosts: ReadonlyMap<string, LogKeys>
  // The same keys as the same objects: what is imported of a key is kept with it.
  readonly #kept = new Map<string, readonly [NoteKey, NoteKey]>()

  constructor(hosts: ReadonlyMap<string, LogKeys>) {
    this.#hosts = hosts
  }

  /**
   * The keys that must have signed a checkpoint of this origin; undefined where it is none of a
   * trusted host.
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
