import { mkdir, open, readFile, readdir, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { transaction, type Database } from '../db/index.ts'
import { Problem } from '../errors.ts'
import {
  isUuid,
  openCheckpoint,
  originOf,
  parseCheckpoint,
  signCheckpoint,
  type Checkpoint,
  type NoteSigner,
} from '../protocol/index.ts'
import type { LogKey } from './key.ts'
import { headOf, insertCheckpoint, lockPublishing, newestCheckpoint } from './store.ts'

export interface CheckpointDeps {
  readonly db: Database
  readonly key: LogKey
  readonly originHost: string
  /**
   * Directory of the newest published checkpoint of each log: what this server has said, on a disk
   * of its own.
   */
  readonly directory: string
  /** Milliseconds between two published checkpoints of one log. */
  readonly publishEveryMs: number
  /** Whether a log is not continued: nothing is published of it. */
  isStopped(log: string): boolean
  /**
   * Hears of each checkpoint that this server published, once it may be handed out. It must not
   * wait.
   */
  published(log: string, checkpoint: { size: number; note: string }): void
  onError(what: string, error: unknown): void
}

interface Head {
  readonly log: string
  readonly size: number
  readonly root: Uint8Array
}

interface PublishedState {
  size: number
  note: string
  /** When this server looked last, in milliseconds of the clock that only goes forward. */
  at: number
}

/**
 * Publishes checkpoints of committed state only: at most one a second per log, each larger than the
 * last. A checkpoint is on this server's own disk before it is handed out, so that a database that
 * is set back is found out.
 */
export class Checkpoints {
  readonly #deps: CheckpointDeps
  readonly #published = new Map<string, PublishedState>()
  readonly #filed = new Map<string, number>()
  readonly #working = new Map<string, Promise<string>>()
  readonly #due = new Map<string, NodeJS.Timeout>()
  #closed = false

  constructor(deps: CheckpointDeps) {
    this.#deps = deps
  }

  /** Publishes the next checkpoint of a log that has grown, now or when its second is over. */
  grown(log: string): void {
    if (this.#closed || this.#due.has(log)) return
    const last = this.#published.get(log)?.at ?? Number.NEGATIVE_INFINITY
    const wait = Math.max(0, last + this.#deps.publishEveryMs - performance.now())
    const timer = setTimeout(() => {
      this.#due.delete(log)
      this.#publishAnew(log).catch((error: unknown) =>
        this.#deps.onError(`log ${log}: no checkpoint was published`, error),
      )
    }, wait)
    this.#due.set(log, timer)
  }

  /**
   * Answers the newest published checkpoint, as a signed note; publishes a first one if there is
   * none.
   */
  async newest(log: string): Promise<string> {
    const known = this.#published.get(log)
    if (known !== undefined && performance.now() < known.at + this.#deps.publishEveryMs) return known.note
    return this.#publishOnce(log)
  }

  /**
   * Answers a published checkpoint whose log holds this entry: the newest, or the next. Problem
   * NOT_FOUND beyond the end of the log.
   */
  async covering(log: string, index: number): Promise<{ size: number; note: string }> {
    const head = await transaction(this.#deps.db, (tx) => headOf(tx, log))
    if (head === undefined || index >= head.size) throw new Problem('NOT_FOUND')
    for (;;) {
      const note = await this.newest(log)
      const { size } = parseCheckpoint(note.slice(0, note.indexOf('\n\n') + 1))
      if (size > index) return { size, note }
      await pause(this.#deps.publishEveryMs)
    }
  }

  /** Publishes the checkpoints that are due, and ends. */
  async close(): Promise<void> {
    this.#closed = true
    const due = [...this.#due.keys()]
    for (const timer of this.#due.values()) clearTimeout(timer)
    this.#due.clear()
    await Promise.allSettled(this.#working.values())
    await Promise.allSettled(due.map((log) => this.#publishOnce(log)))
  }

  /**
   * Answers the checkpoints that this server published before it was stopped, by log, each with the
   * time at which its file was written. Problem LOG_KEY where a file is not ours.
   */
  async filed(): Promise<Map<string, Checkpoint & { readonly filedAt: Date }>> {
    const checkpoints = new Map<string, Checkpoint & { readonly filedAt: Date }>()
    await mkdir(this.#deps.directory, { recursive: true, mode: 0o700 })
    for (const log of (await readdir(this.#deps.directory)).filter(isUuid)) {
      const file = join(this.#deps.directory, log)
      try {
        const checkpoint = await openCheckpoint(await readFile(file, 'utf8'), ...this.#signers(log))
        checkpoints.set(log, { ...checkpoint, filedAt: (await stat(file)).mtime })
        this.#filed.set(log, checkpoint.size)
      } catch (cause) {
        throw new Problem('LOG_KEY', {
          detail: `${file} is not a checkpoint that this key signed for this host`,
          cause,
        })
      }
    }
    return checkpoints
  }

  /**
   * Signs a checkpoint for receipts: with Ed25519 alone, which is quick enough for every commit.
   */
  signForReceipts({ log, size, root }: Head): Promise<string> {
    const [ed25519] = this.#signers(log)
    return signCheckpoint({ origin: ed25519.name, size, root }, ed25519)
  }

  #signToPublish({ log, size, root }: Head): Promise<string> {
    const signers = this.#signers(log)
    return signCheckpoint({ origin: signers[0].name, size, root }, ...signers)
  }

  #signers(log: string): readonly [NoteSigner, NoteSigner] {
    return this.#deps.key.signers(originOf(this.#deps.originHost, log))
  }

  /** A run that is under way may have looked before the log had grown. */
  async #publishAnew(log: string): Promise<string> {
    await Promise.allSettled([this.#working.get(log)])
    return this.#publishOnce(log)
  }

  #publishOnce(log: string): Promise<string> {
    const working = this.#working.get(log)
    if (working !== undefined) return working
    const work = this.#publish(log).finally(() => this.#working.delete(log))
    this.#working.set(log, work)
    return work
  }

  async #publish(log: string): Promise<string> {
    let mine = false
    const { size, note } = await transaction(this.#deps.db, async (tx) => {
      await lockPublishing(tx, log)
      const head = await headOf(tx, log)
      if (head === undefined) throw new Problem('NOT_FOUND')
      const newest = await newestCheckpoint(tx, log)
      if (newest !== undefined && newest.size >= head.size) return newest
      const signed = { size: head.size, note: await this.#signToPublish({ log, ...head }) }
      // This size was published before, as a part of what is missing now.
      if (this.#deps.isStopped(log)) return signed
      // First the disk, then the table: from the table any server hands it out.
      await this.#file(log, signed.size, signed.note)
      await insertCheckpoint(tx, log, signed, newest?.size ?? null)
      mine = true
      return signed
    })
    if (this.#deps.isStopped(log)) return note
    // Another server may have published it.
    await this.#file(log, size, note)
    this.#published.set(log, { size, note, at: performance.now() })
    if (mine) this.#deps.published(log, { size, note })
    return note
  }

  async #file(log: string, size: number, note: string): Promise<void> {
    if ((this.#filed.get(log) ?? -1) >= size) return
    await mkdir(this.#deps.directory, { recursive: true, mode: 0o700 })
    const name = join(this.#deps.directory, log)
    const next = await open(`${name}.next`, 'w', 0o600)
    try {
      await next.writeFile(note)
      await next.sync()
    } finally {
      await next.close()
    }
    await rename(`${name}.next`, name)
    const directory = await open(this.#deps.directory, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
    this.#filed.set(log, size)
  }
}
