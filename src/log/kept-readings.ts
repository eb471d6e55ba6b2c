import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Actor, Kind } from '../protocol/index.ts'
import type { EntryDraft } from './act.ts'

/** What somebody read while the log that should record it was not continued. */
export interface KeptReading {
  readonly log: string
  /** RFC 3339. */
  readonly at: string
  readonly kind: Kind
  readonly actor: Actor
  readonly subject: string
  readonly digest?: string
  readonly details?: Readonly<Record<string, unknown>>
}

/**
 * The kinds of entries that say that somebody looked, came or went: an older copy takes them aside.
 * No other act is possible there.
 */
const readingKinds: ReadonlySet<Kind> = new Set<Kind>([
  'feed.opened',
  'messages.delivered',
  'messages.read',
  'body.fetched',
  'report.viewed',
  'log.queried',
  'directory.viewed',
  'export.made',
  'session.started',
  'session.ended',
  'access.refused',
])

export function isReading({ kind }: Pick<EntryDraft, 'kind'>): boolean {
  return readingKinds.has(kind)
}

/** The most readings that one entry names. */
const mostInOneEntry = 200

/**
 * Keeps the readings of logs that are not continued in a file of this server, one JSON text in a
 * line, until they can be entered. The file lies outside the database, which is replaced later.
 */
export class KeptReadings {
  readonly #file: string
  #writing: Promise<void> = Promise.resolve()

  constructor(file: string) {
    this.#file = file
  }

  /** Resolves once these readings are on the disk: nothing is shown before. */
  keep(readings: readonly KeptReading[]): Promise<void> {
    const text = readings.map((reading) => `${JSON.stringify(reading)}\n`).join('')
    const written = this.#writing.then(() => this.#append(text))
    this.#writing = written.catch(() => {})
    return written
  }

  async #append(text: string): Promise<void> {
    await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 })
    const file = await open(this.#file, 'a', 0o600)
    try {
      await file.appendFile(text)
      await file.datasync()
    } finally {
      await file.close()
    }
  }

  /** Answers what is kept, in its order. A last line that a crash cut off was never acted on. */
  async list(): Promise<KeptReading[]> {
    const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return ''
      throw error
    })
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as KeptReading)
  }

  /** Keeps these readings alone, once the others have been entered. */
  async replace(readings: readonly KeptReading[]): Promise<void> {
    if (readings.length === 0) return rm(this.#file, { force: true })
    const next = new KeptReadings(`${this.#file}.next`)
    await rm(`${this.#file}.next`, { force: true })
    await next.keep(readings)
    await rename(`${this.#file}.next`, this.#file)
  }
}

/**
 * Makes the entries for readings of one log. The subject of each is the hash of the readings that
 * it names, so that a start that was interrupted enters them once.
 */
export function keptDrafts(readings: readonly KeptReading[], server: string): (EntryDraft & { subject: string })[] {
  const drafts: (EntryDraft & { subject: string })[] = []
  for (let first = 0; first < readings.length; first += mostInOneEntry) {
    const part = readings.slice(first, first + mostInOneEntry)
    const subject = createHash('sha256').update(JSON.stringify(part)).digest('base64url')
    drafts.push({ kind: 'readings.kept', actor: { server }, subject, details: { readings: part } })
  }
  return drafts
}
