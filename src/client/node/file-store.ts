import { timingSafeEqual } from 'node:crypto'
import { open, readFile, rename, rm, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isBlank } from '../../forms/index.ts'
import { refuse } from '../problem.ts'
import { entriesUnder, type Change, type ClientStore } from '../store.ts'
import { lockStore } from './lock.ts'
import { deriveKey, newHeader, readHeader, readRecords, sealRecord, type Header } from './sealed-file.ts'

const fewestPassphraseCharacters = 15
/**
 * The length in bytes from which a file is written anew, once less than a third of it is still
 * valid.
 */
const compactFromBytes = 4 * 1024 * 1024

/** Whether a passphrase is too short for a store, or blank. */
export function isWeakForStore(passphrase: string): boolean {
  return isBlank(passphrase) || [...passphrase.normalize('NFC')].length < fewestPassphraseCharacters
}

interface Waiting {
  readonly changes: readonly Change[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * A store in one encrypted file (mode 0600), for one process at a time. The file is read once and
 * its values are held in memory. Changes that are written together are one record: it is on the
 * disk before `write` resolves, and after a kill it is either complete or absent.
 */
export class FileStore implements ClientStore {
  readonly holdsKeys = false
  readonly #path: string
  readonly #header: Header
  readonly #key: Buffer
  readonly #unlock: () => Promise<void>
  #line: Buffer
  #file: FileHandle
  #values: Map<string, unknown>
  #records: number
  #size: number
  #trueSize: number
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #failed: Error | undefined
  #closed = false

  private constructor(opened: Opened, path: string, key: Buffer, unlock: () => Promise<void>) {
    this.#path = path
    this.#key = key
    this.#unlock = unlock
    this.#header = opened.header
    this.#line = opened.line
    this.#file = opened.file
    this.#values = opened.values
    this.#records = opened.records
    this.#size = opened.size
    this.#trueSize = sizeOf(opened.values)
  }

  /**
   * Opens the store at a path, or makes it. Throws STORE_PASSPHRASE (wrong passphrase),
   * STORE_PASSPHRASE_WEAK (a new passphrase of fewer than 15 characters), STORE_IN_USE,
   * STORE_DAMAGED.
   */
  static async open(path: string, passphrase: string): Promise<FileStore> {
    const unlock = await lockStore(path)
    try {
      const existing = await readIfThere(path)
      if (existing === undefined) {
        if (isWeakForStore(passphrase))
          throw refuse('STORE_PASSPHRASE_WEAK', 'The passphrase of the store is too short.')
        const header = newHeader()
        const key = await deriveKey(passphrase, header)
        return new FileStore(await writeWhole(path, key, header, new Map()), path, key, unlock)
      }
      const { header } = readHeader(existing, path)
      const key = await deriveKey(passphrase, header)
      return new FileStore(await openWhole(path, key, existing), path, key, unlock)
    } catch (error) {
      await unlock()
      throw error
    }
  }

  get(name: string): Promise<unknown> {
    return Promise.resolve(this.#values.get(name))
  }

  list(prefix: string): Promise<[string, unknown][]> {
    return Promise.resolve(entriesUnder(this.#values, prefix))
  }

  /**
   * Writes changes. Callers that write while a record is on its way to the disk share the next
   * record.
   */
  write(changes: readonly Change[]): Promise<void> {
    if (this.#closed) return Promise.reject(refuse('CLOSED', 'The store is closed.'))
    if (this.#failed) return Promise.reject(this.#failed)
    this.#trueSize += apply(this.#values, changes)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ changes, resolve, reject })
      this.#writing ??= this.#writeAll()
    })
  }

  async #writeAll(): Promise<void> {
    // One turn later, all changes that belong together are in the queue.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const together = this.#waiting
      this.#waiting = []
      try {
        if (this.#failed) throw this.#failed
        await this.#append(together.flatMap(({ changes }) => changes))
        if (this.#size > compactFromBytes && this.#trueSize * 3 < this.#size) await this.#compact()
        for (const { resolve } of together) resolve()
      } catch (error) {
        // From here on the memory and the disk may differ: the store promises nothing more.
        this.#failed = error instanceof Error ? error : new Error('the store could not be written', { cause: error })
        for (const { reject } of together) reject(error)
      }
    }
    // At once and not when the promise settles: a caller that got its answer may write again before
    // that.
    this.#writing = undefined
  }

  async #append(changes: readonly Change[]): Promise<void> {
    const record = sealRecord(this.#key, this.#line, this.#records, JSON.stringify(changes))
    await this.#file.write(record, 0, record.length, this.#size)
    await this.#file.datasync()
    this.#records++
    this.#size += record.length
  }

  async #compact(): Promise<void> {
    // The values already have the changes that wait; the record that follows only repeats them.
    const before = this.#file
    const opened = await writeWhole(this.#path, this.#key, this.#header, this.#values)
    this.#file = opened.file
    this.#line = opened.line
    this.#records = opened.records
    this.#size = opened.size
    this.#trueSize = sizeOf(this.#values)
    await before.close()
  }

  async isOwnPassphrase(passphrase: string): Promise<boolean> {
    return timingSafeEqual(await deriveKey(passphrase, this.#header), this.#key)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#writing
    await this.#file.close()
    this.#key.fill(0)
    this.#values = new Map()
    await this.#unlock()
  }
}

interface Opened {
  readonly header: Header
  readonly line: Buffer
  readonly file: FileHandle
  readonly values: Map<string, unknown>
  readonly records: number
  readonly size: number
}

/** Applies changes. Answers by about how many characters the values have grown. */
function apply(values: Map<string, unknown>, changes: readonly Change[]): number {
  let grown = 0
  for (const { name, value } of changes) {
    const old = values.get(name)
    if (old !== undefined) grown -= JSON.stringify(old).length
    if (value === undefined) values.delete(name)
    else {
      values.set(name, value)
      grown += JSON.stringify(value).length
    }
  }
  return grown
}

function sizeOf(values: ReadonlyMap<string, unknown>): number {
  let size = 0
  for (const value of values.values()) size += JSON.stringify(value).length
  return size
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function openWhole(path: string, key: Buffer, content: Buffer): Promise<Opened> {
  const { header, line } = readHeader(content, path)
  const { texts, end } = readRecords(key, content, line, path)
  const values = new Map<string, unknown>()
  for (const text of texts) apply(values, JSON.parse(text) as Change[])
  const file = await open(path, 'r+')
  try {
    await file.chmod(0o600)
    // The remains of a record that a kill cut short and that was never promised.
    if (end < content.length) await file.truncate(end)
  } catch (error) {
    await file.close()
    throw error
  }
  return { header, line: Buffer.from(line), file, values, records: texts.length, size: end }
}

/** Writes a new file beside the old one, and renames it when it is complete. */
async function writeWhole(
  path: string,
  key: Buffer,
  header: Header,
  values: ReadonlyMap<string, unknown>,
): Promise<Opened> {
  const line = Buffer.from(`${JSON.stringify(header)}\n`)
  const names = [...values.keys()]
  const parts: Buffer[] = [line]
  let records = 0
  // The first record tells a wrong passphrase from a damaged file, also in an empty store.
  for (let at = 0; at === 0 || at < names.length; at += 500) {
    const changes = names.slice(at, at + 500).map((name) => ({ name, value: values.get(name) }))
    parts.push(sealRecord(key, line, records++, JSON.stringify(changes)))
  }
  const content = Buffer.concat(parts)
  const beside = `${path}.new`
  await rm(beside, { force: true })
  const file = await open(beside, 'wx+', 0o600)
  try {
    await file.write(content, 0, content.length, 0)
    await file.sync()
    await rename(beside, path)
    const directory = await open(dirname(path), 'r')
    await directory.sync()
    await directory.close()
  } catch (error) {
    await file.close()
    throw error
  }
  return { header, line, file, values: new Map(values), records, size: content.length }
}
