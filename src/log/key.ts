import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { Problem } from '../errors.ts'

/** The key that signs checkpoints: Ed25519, kept in a file outside the database, used for nothing else. */
export interface LogKey {
  /** Raw, 32 bytes. */
  readonly publicKey: Uint8Array
  sign(bytes: Uint8Array): Uint8Array
}

/**
 * Opens the log's key. Makes it (mode 0600) where there is none and the database holds no log yet; a database with
 * entries and no key is refused with Problem LOG_KEY, for a new key could not prove what the old one signed.
 */
export function openLogKey(file: string, hasEntries: boolean): LogKey {
  const existing = readKey(file)
  if (existing !== undefined) return logKey(existing)
  if (hasEntries) {
    throw new Problem('LOG_KEY', { detail: `the database holds logs, and there is no key at ${file}` })
  }
  makeKey(file)
  const made = readKey(file)
  if (made === undefined) throw new Problem('LOG_KEY', { detail: `the key at ${file} was removed while it was made` })
  return logKey(made)
}

/** Made aside and linked into place whole: a crash leaves no half key, and of two servers that start at once one wins. */
function makeKey(file: string): void {
  const { privateKey } = generateKeyPairSync('ed25519')
  const aside = `${file}.${process.pid}.new`
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  rmSync(aside, { force: true })
  const handle = openSync(aside, 'wx', 0o600)
  try {
    writeSync(handle, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString())
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  try {
    linkSync(aside, file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(aside, { force: true })
  }
  syncDirectory(dirname(file))
}

/** A file is there after a crash only once its directory is on disk as well. */
function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function readKey(file: string): KeyObject | undefined {
  let pem: Buffer
  try {
    pem = readFileSync(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Problem('LOG_KEY', { detail: `the key at ${file} cannot be read`, cause: error })
  }
  try {
    const key = createPrivateKey(pem)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch (error) {
    throw new Problem('LOG_KEY', { detail: `${file} holds no private key`, cause: error })
  }
  throw new Problem('LOG_KEY', { detail: `${file} holds no Ed25519 key` })
}

function logKey(key: KeyObject): LogKey {
  const raw = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32)
  return { publicKey: new Uint8Array(raw), sign: (bytes) => new Uint8Array(sign(null, bytes, key)) }
}
