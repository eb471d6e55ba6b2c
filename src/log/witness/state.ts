import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { hex, sha256, utf8 } from '../../protocol/index.ts'

/** Thrown for a directory that cannot be used. `message` names it and says what to do. */
export class WitnessFault extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'WitnessFault'
  }
}

/**
 * What a witness remembers: of each log the newest checkpoint that it cosigned, a file each,
 * written whole. One process at a time uses the directory.
 */
export class WitnessState {
  readonly #directory: string
  readonly #lock: DatabaseSync

  private constructor(directory: string, lock: DatabaseSync) {
    this.#directory = directory
    this.#lock = lock
  }

  /** Opens a directory. `WitnessFault` where another process uses it. */
  static async open(directory: string): Promise<WitnessState> {
    const checkpoints = join(directory, 'checkpoints')
    await mkdir(checkpoints, { recursive: true, mode: 0o700 })
    // SQLite locks files as the system does, without a moment in which two processes could have the
    // lock, and the system releases it when the process ends; Node itself offers no such lock.
    const lock = new DatabaseSync(join(directory, 'lock'))
    try {
      lock.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    } catch (cause) {
      lock.close()
      throw new WitnessFault(`another witness uses ${directory}: stop it, or name another directory`, { cause })
    }
    return new WitnessState(checkpoints, lock)
  }

  /**
   * Answers the note that was written last for the log whose origin has this hash; undefined where
   * there is none.
   */
  async read(hash: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.#directory, hash), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  /** Writes the note of a log. Once it resolves the note survives the process and the machine. */
  async write(hash: string, note: string): Promise<void> {
    const file = join(this.#directory, hash)
    const next = await open(`${file}.next`, 'w', 0o600)
    try {
      await next.writeFile(note)
      await next.sync()
    } finally {
      await next.close()
    }
    await rename(`${file}.next`, file)
    const directory = await open(this.#directory, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  }

  close(): void {
    this.#lock.close()
  }
}

/** Answers the name of a log at its witnesses: SHA-256 of its origin, in hexadecimal. */
export async function hashOfOrigin(origin: string): Promise<string> {
  return hex(await sha256(utf8(origin)))
}
