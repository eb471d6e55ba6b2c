import argon2 from 'argon2'
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { refuse } from '../problem.ts'

/**
 * The first line of a store file. The file has this line of JSON with the parameters, then records,
 * each encrypted by itself (AES-256-GCM, random nonce) under a key from the passphrase of the store
 * (argon2id, RFC 9106): length (4 bytes, big-endian), nonce (12), ciphertext, tag (16). The number
 * of a record is authenticated with it, so that records cannot be moved, repeated or left out.
 */
export interface Header {
  readonly v: 1
  readonly kdf: {
    readonly name: 'argon2id'
    /** Memory in KiB, passes, lanes. */
    readonly m: number
    readonly t: number
    readonly p: number
    readonly salt: string
  }
}

// The second recommended option of RFC 9106, section 4: for all environments.
const argon2Cost = { m: 64 * 1024, t: 3, p: 4 } as const
const nonceBytes = 12
const tagBytes = 16
const mostRecordBytes = 256 * 1024 * 1024

export function newHeader(): Header {
  return { v: 1, kdf: { name: 'argon2id', ...argon2Cost, salt: randomBytes(16).toString('base64url') } }
}

export function deriveKey(passphrase: string, { kdf }: Header): Promise<Buffer> {
  return argon2.hash(passphrase.normalize('NFC'), {
    type: argon2.argon2id,
    raw: true,
    hashLength: 32,
    salt: Buffer.from(kdf.salt, 'base64url'),
    memoryCost: kdf.m,
    timeCost: kdf.t,
    parallelism: kdf.p,
  })
}

function place(header: Uint8Array, number: number): Buffer {
  const at = Buffer.alloc(8)
  at.writeBigUInt64BE(BigInt(number))
  return Buffer.concat([header, at])
}

/** Encrypts a record, the `number`-th of its file. */
export function sealRecord(key: Buffer, header: Uint8Array, number: number, text: string): Buffer {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(place(header, number))
  const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
  const length = Buffer.alloc(4)
  length.writeUInt32BE(nonceBytes + sealed.length + tagBytes)
  return Buffer.concat([length, nonce, sealed, cipher.getAuthTag()])
}

function openRecord(key: Buffer, header: Uint8Array, number: number, record: Buffer): string | undefined {
  const decipher = createDecipheriv('aes-256-gcm', key, record.subarray(0, nonceBytes))
  decipher.setAAD(place(header, number))
  decipher.setAuthTag(record.subarray(record.length - tagBytes))
  try {
    const text = decipher.update(record.subarray(nonceBytes, record.length - tagBytes))
    return Buffer.concat([text, decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}

export function readHeader(file: Buffer, path: string): { header: Header; line: Buffer } {
  const end = file.indexOf(0x0a)
  let header: Partial<Header> | undefined
  try {
    header = JSON.parse(file.subarray(0, end).toString('utf8')) as Partial<Header>
  } catch {
    header = undefined
  }
  const kdf = header?.kdf
  const known =
    header?.v === 1 &&
    kdf?.name === 'argon2id' &&
    kdf.m === argon2Cost.m &&
    kdf.t === argon2Cost.t &&
    kdf.p === argon2Cost.p
  if (end < 0 || !known || typeof kdf?.salt !== 'string')
    throw refuse('STORE_DAMAGED', `${path} does not begin like a store of Cordon.`)
  return { header: header as Header, line: file.subarray(0, end + 1) }
}

/**
 * Decrypts all records. Answers their texts and the offset at which the last complete one ends. The
 * remains of a record that a kill cut short are ignored. Throws STORE_PASSPHRASE where the first
 * record does not open, STORE_DAMAGED where a later one does not.
 */
export function readRecords(key: Buffer, file: Buffer, line: Buffer, path: string): { texts: string[]; end: number } {
  const texts: string[] = []
  let at = line.length
  while (at + 4 <= file.length) {
    const length = file.readUInt32BE(at)
    const next = at + 4 + length
    if (length < nonceBytes + tagBytes || length > mostRecordBytes || next > file.length) break
    const text = openRecord(key, line, texts.length, file.subarray(at + 4, next))
    if (text === undefined) {
      if (texts.length === 0) throw refuse('STORE_PASSPHRASE', `The passphrase does not open ${path}.`)
      if (next < file.length) throw refuse('STORE_DAMAGED', `A record in the middle of ${path} was changed.`)
      break
    }
    texts.push(text)
    at = next
  }
  if (texts.length === 0) throw refuse('STORE_DAMAGED', `${path} has no record.`)
  return { texts, end: at }
}
