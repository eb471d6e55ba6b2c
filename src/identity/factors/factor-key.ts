import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { KeyFileFault, makeFileOnce, readFileIfThere } from '../../log/index.ts'

const algorithm = 'aes-256-gcm'
const nonceBytes = 12
const tagBytes = 16

/**
 * Keeps the secrets that prove a person from a reader of the database: the key lies in a file
 * beside the service.
 */
export interface FactorKey {
  /** Seals a secret with AES-256-GCM, bound to its person: nonce, ciphertext and tag. */
  seal(person: string, secret: Uint8Array): Uint8Array
  /** Opens a sealed secret. Throws where it was not sealed for this person under this key. */
  open(person: string, sealed: Uint8Array): Uint8Array
  /** HMAC-SHA-256 of a recovery code, by which the code is recognised. */
  digest(person: string, code: string): Uint8Array
  /**
   * The user handle by which a passkey knows its person (WebAuthn). An attacker who could guess the
   * handle could have a passkey made in the place of this person's.
   */
  handle(person: string): Uint8Array
}

/**
 * Reads the key; makes it where there is no key and nothing was sealed under one. `KeyFileFault`
 * otherwise.
 */
export function openFactorKey(file: string, needed: boolean): FactorKey {
  if (readFileIfThere(file) === undefined) {
    if (needed) throw new KeyFileFault(`the key of the second factors is missing at ${file}: put it back`)
    makeFileOnce(file, `${randomBytes(32).toString('base64url')}\n`)
  }
  const secret = Buffer.from((readFileIfThere(file) ?? '').trim(), 'base64url')
  if (secret.length !== 32) throw new KeyFileFault(`${file} does not hold 32 bytes in base64url`)
  const derive = (use: string) => Buffer.from(hkdfSync('sha256', secret, '', `cordon factors: ${use}`, 32))
  const [sealing, recognising, naming] = [derive('seal'), derive('recognise'), derive('name to passkeys')]
  return {
    seal(person, plain) {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv(algorithm, sealing, nonce).setAAD(Buffer.from(person))
      return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    },
    open(person, sealed) {
      const end = sealed.length - tagBytes
      const decipher = createDecipheriv(algorithm, sealing, sealed.subarray(0, nonceBytes))
        .setAAD(Buffer.from(person))
        .setAuthTag(sealed.subarray(end))
      return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, end)), decipher.final()])
    },
    digest: (person, code) => createHmac('sha256', recognising).update(`${person} ${code}`).digest(),
    handle: (person) => createHmac('sha256', naming).update(person).digest(),
  }
}
