import type { Tx } from '../../db/index.ts'
import { microsecondText, type Details, type Findings } from '../../log/index.ts'
import type { Leaf } from '../../protocol/index.ts'
import { countSessions, sessionRow, type RawSession } from './store.ts'

const textIn = (details: Details, name: string): string | undefined => {
  const value = details?.[name]
  return typeof value === 'string' ? value : undefined
}

interface PendingSession {
  readonly row: RawSession
  /**
   * Whether an entry has said by now by which factor the person was recognised, and since when the
   * session knows the factors.
   */
  proven: boolean
  known: boolean
}

/**
 * Sessions, as their entries make them: finds a session that was put into the table, was handed to
 * another key, or was made to live on. Rows are looked up as entries come by, since the number of
 * sessions has no bound; only sessions whose row says something later are kept.
 */
export class SessionFold {
  readonly #tx: Tx
  #started = 0
  #ended = 0
  readonly #awaited = new Map<string, PendingSession>()

  constructor(tx: Tx) {
    this.#tx = tx
  }

  async follow(leaf: Leaf, details: Details): Promise<Findings> {
    const { kind, subject } = leaf
    if (kind === 'session.started') return this.#start(leaf, details)
    if (kind === 'session.ended') return this.#end(subject)
    if (kind === 'session.stepped-up') this.#hear(subject, leaf, textIn(details, 'reason'))
    if (kind === 'credential.set') {
      // A person who gives a code of a new app has proven the app by that; a session that changes a
      // factor knows the factors from then on.
      const proof = textIn(details, 'factor') === 'totp' ? 'passphrase+totp' : undefined
      this.#hear(textIn(details, 'session'), leaf, proof)
    }
    return []
  }

  async #start(leaf: Leaf, details: Details): Promise<Findings> {
    this.#started++
    const row = await sessionRow(this.#tx, leaf.subject)
    if (row === undefined) return ['the row of its session is missing']
    const { actor } = leaf
    const faults: string[] = []
    if (!('device' in actor) || row.person_id !== actor.person || row.device_id !== actor.device)
      faults.push('its session is of another person or device')
    // Entries of before 2026-11-30 do not hold these values.
    const [key, expiresAt] = [textIn(details, 'key'), textIn(details, 'expiresAt')]
    if (key !== undefined && row.key_thumbprint !== key) faults.push('its session belongs to another key')
    if (expiresAt !== undefined && row.expires_at !== microsecondText(expiresAt))
      faults.push('its session ends at another time')
    const proven = key === undefined && row.proven_by === null
    this.#awaited.set(row.id, { row, proven, known: false })
    this.#hear(row.id, leaf, textIn(details, 'reason'))
    return faults
  }

  async #end(session: string): Promise<Findings> {
    this.#ended++
    const row = await sessionRow(this.#tx, session)
    if (row === undefined) return ['the row of its session is missing']
    return row.ended_at === null ? ['its session goes on as if it had not ended'] : []
  }

  #hear(session: string | undefined, leaf: Leaf, proof: string | undefined): void {
    const awaited = session === undefined ? undefined : this.#awaited.get(session)
    if (session === undefined || awaited === undefined) return
    const { row } = awaited
    const at = microsecondText(leaf.at)
    if (row.proven_by === proof && row.verified_at <= at) awaited.proven = true
    if (row.known_since <= at) awaited.known = true
    if (awaited.proven && awaited.known) this.#awaited.delete(session)
  }

  async finish(): Promise<string[]> {
    const { sessions, ended } = await countSessions(this.#tx)
    const faults = [...this.#awaited.keys()].map(
      (session) => `session ${session}: its row knows its person better than any entry says`,
    )
    if (sessions !== this.#started)
      faults.push(`there are ${String(sessions)} sessions where entries started ${String(this.#started)}`)
    if (ended !== this.#ended)
      faults.push(`${String(ended)} sessions have ended where entries ended ${String(this.#ended)}`)
    return faults
  }
}
