import { hkdfSync } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK } from 'jose'
import { makeFileOnce, readFileIfThere } from '../log/index.ts'
import type { TokenKey } from './tokens.ts'

/** Reads the key of the access tokens; makes it (mode 0600) where there is none yet. */
export async function openTokenKey(file: string): Promise<TokenKey> {
  const text = readFileIfThere(file) ?? (await makeKey(file))
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

async function makeKey(file: string): Promise<string> {
  const { privateKey } = await generateKeyPair('Ed25519', { extractable: true })
  makeFileOnce(file, `${JSON.stringify(await exportJWK(privateKey))}\n`)
  return readFileIfThere(file) ?? ''
}
