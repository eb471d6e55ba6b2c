import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { hex, sha256, utf8 } from '../../protocol/index.ts'

/** A directory that cannot be used. `message` names it and says what to do. */
export class WitnessFault extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'WitnessFault'
  }
}

/**
 * What a witness remembers: of each log the newest checkpoint that it cosigned, a file each,
 * written whole. One process at a time has the directory.
 */
export class WitnessState {
  readonly #directory: string
  readonly #lock: DatabaseSync

  private constructor(directory: string, lock: DatabaseSync) {
    this.#directory = directory
    this.#lock = lock
  }

  /** `WitnessFault` where another process has this directory. */
  static async open(directory: string): Promise<WitnessState> {
    const checkpoints = join(directory, 'checkpoints')
    await mkdir(checkpoints, { recursive: true, mode: 0o700 })
    // SQLite locks files as the system does, without a moment in which two could have it, and the
    // system lets go when the process ends; Node itself offers no such lock.
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
   * The note that was written last for the log whose origin has this hash; undefined where there is
   * none.
   */
  async read(hash: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.#directory, hash), 'utf8')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  /** Once it resolves the note survives the process and the machine. */
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

/** How a log is named by its witnesses: SHA-256 of its origin, in hexadecimal. */
export async function hashOfOrigin(origin: string): Promise<string> {
  return hex(await sha256(utf8(origin)))
}
