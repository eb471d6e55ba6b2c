import { hkdfSync } from 'node:crypto'
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose'
import type { TokenKey } from './tokens.ts'

/** Reads the key of the access tokens; makes it (mode 0600) where there is none yet. */
export async function openTokenKey(file: string): Promise<TokenKey> {
  const text = readIfThere(file) ?? (await makeKey(file))
  const { kty, crv, x, d } = JSON.parse(text) as Record<string, string | undefined>
  if (kty !== 'OKP' || crv !== 'Ed25519' || x === undefined || d === undefined) {
    throw new Error(`${file} holds no Ed25519 key: put back the one that was there, or remove the file for a new one.`)
  }
  return {
    sign: await importJWK({ kty, crv, x, d }, 'Ed25519'),
    thumbprint: await calculateJwkThumbprint({ kty, crv, x }),
    verify: await importJWK({ kty, crv, x }, 'Ed25519'),
    refresh: new Uint8Array(hkdfSync('sha256', Buffer.from(d, 'base64url'), '', 'cordon refresh tokens', 32)),
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function makeKey(file: string): Promise<string> {
  const { privateKey } = await generateKeyPair('Ed25519', { extractable: true })
  const text = `${JSON.stringify(await exportJWK(privateKey))}\n`
  let handle: number
  try {
    handle = openSync(file, 'wx', 0o600)
  } catch (error) {
    // Another server on the same directory was quicker: its key is the key.
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return readFileSync(file, 'utf8')
    throw error
  }
  try {
    writeSync(handle, text)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  return text
}
