import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { closeSync, fsyncSync, linkSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** One private key of a file that signs notes. */
export interface SigningKey {
  /** The raw key: 32 bytes of Ed25519, 1,312 of ML-DSA-44. */
  readonly publicKey: Uint8Array
  sign(bytes: Uint8Array): Uint8Array
}

/**
 * The two keys of one signer of notes: a file with two private keys in PEM (PKCS #8) that have no
 * other use.
 */
export interface SigningKeys {
  readonly ed25519: SigningKey
  readonly mlDsa44: SigningKey
}

/**
 * Thrown for a key file that cannot be used. `message` names the file and what is wrong with it.
 */
export class KeyFileFault extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'KeyFileFault'
  }
}

/**
 * Reads the keys of a file; undefined where the file does not exist. `KeyFileFault` where it does
 * not hold one key of each kind.
 */
export function readKeyFile(file: string): SigningKeys | undefined {
  const text = readFileIfThere(file)
  if (text === undefined) return undefined
  const blocks = text.match(/-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/g) ?? []
  const keys = blocks.map((block) => {
    try {
      return createPrivateKey(block)
    } catch (cause) {
      throw new KeyFileFault(`${file} holds no private key`, { cause })
    }
  })
  const of = (kind: string, rawBytes: number) => {
    const [key, ...more] = keys.filter((one) => one.asymmetricKeyType === kind)
    if (key === undefined || more.length > 0) throw new KeyFileFault(`${file} does not hold one ${kind} key`)
    return signingKey(key, rawBytes)
  }
  return { ed25519: of('ed25519', 32), mlDsa44: of('ml-dsa-44', 1_312) }
}

/**
 * Answers the text of a key file; undefined where the file does not exist. `KeyFileFault` where it
 * cannot be read.
 */
export function readFileIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new KeyFileFault(`the key at ${file} cannot be read`, { cause })
  }
}

export function makeKeyFile(file: string): void {
  const pems = [generateKeyPairSync('ed25519'), generateKeyPairSync('ml-dsa-44')].map(({ privateKey }) =>
    privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  )
  makeFileOnce(file, pems.join(''))
}

/**
 * Makes a key file (mode 0600). It is written aside and linked into place whole: a crash leaves no
 * half key, and of two processes that make it at once one wins, and the other reads the winner's
 * key.
 */
export function makeFileOnce(file: string, text: string): void {
  const aside = `${file}.${process.pid}.new`
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  rmSync(aside, { force: true })
  const handle = openSync(aside, 'wx', 0o600)
  try {
    writeSync(handle, text)
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

/** Writes a directory to disk: only then a new file in it survives a crash. */
function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

function signingKey(key: KeyObject, rawBytes: number): SigningKey {
  const raw = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-rawBytes)
  return { publicKey: new Uint8Array(raw), sign: (bytes) => new Uint8Array(sign(null, bytes, key)) }
}
