import { transaction, type Database } from '../db/index.ts'
import type { Problem } from '../errors.ts'
import type { EntryDraft, Logs } from '../log/index.ts'
import { asActor, type Actor } from './deps.ts'

interface RefusalsDeps {
  readonly db: Database
  readonly logs: Pick<Logs<unknown>, 'directory' | 'appendWithin'>
  /** The name under which this server enters refusals of people it does not know. */
  readonly server: string
  readonly onError: (what: string, error: unknown) => void
}

interface Noted {
  readonly actor: Actor | undefined
  readonly subject: string
  readonly counts: Map<string, number>
}

/** Different people and networks that are remembered until the next entry; whoever comes later is counted together. */
const most = 1_000
const every = 5_000
const refusals = new Set([401, 403, 404])

/**
 * Refusals go to the directory log after they were answered: gathered per person, else per network, and bounded, so that no
 * outsider can fill a log or feel its lock.
 */
export class Refusals {
  readonly #deps: RefusalsDeps
  readonly #noted = new Map<string, Noted>()
  readonly #timer: NodeJS.Timeout

  constructor(deps: RefusalsDeps) {
    this.#deps = deps
    this.#timer = setInterval(() => void this.flush(), every)
    this.#timer.unref()
  }

  note(problem: Problem, by: { actor?: Actor | undefined; address?: string | undefined }, where: string): void {
    if (!refusals.has(problem.status) && problem.code !== 'OPERATION_STATE') return
    const network = networkOf(by.address ?? '')
    const key = by.actor ? `${by.actor.person} ${by.actor.device}` : network
    let noted = this.#noted.get(key)
    if (!noted) {
      const full = this.#noted.size >= most
      const subject = full ? 'others' : (by.actor?.person ?? network)
      noted = (full ? this.#noted.get('others') : undefined) ?? {
        actor: full ? undefined : by.actor,
        subject,
        counts: new Map(),
      }
      this.#noted.set(full ? 'others' : key, noted)
    }
    const permission = problem.extra['permission']
    const what = `${problem.code} ${where}${typeof permission === 'string' ? ` ${permission}` : ''}`
    if (noted.counts.size < 100 || noted.counts.has(what)) noted.counts.set(what, (noted.counts.get(what) ?? 0) + 1)
    else noted.counts.set('more', (noted.counts.get('more') ?? 0) + 1)
  }

  async flush(): Promise<void> {
    const noted = [...this.#noted.values()]
    if (noted.length === 0) return
    this.#noted.clear()
    const { db, logs, server } = this.#deps
    const drafts = noted.map(({ actor, subject, counts }): EntryDraft => ({
      kind: 'access.refused',
      actor: actor ? asActor(actor) : { server },
      subject,
      details: {
        outcome: 'refused',
        refused: Object.fromEntries(counts),
        ...(actor ? { session: actor.session } : {}),
      },
    }))
    try {
      const appended = await transaction(db, (tx) => logs.appendWithin(tx, [{ log: logs.directory, drafts }]))
      appended.afterCommit()
    } catch (error) {
      this.#deps.onError('entering refusals', error)
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.flush()
  }
}

/** The /24 of an IPv4 address, the first three groups of an IPv6 one. */
function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:/, '')
  if (plain.includes('.')) return `${plain.split('.').slice(0, 3).join('.')}.0/24`
  return `${plain.split(':').slice(0, 3).join(':')}::/48`
}
