import { ProtocolError } from './errors.ts'

export type Bytes = Uint8Array<ArrayBuffer>

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const values = new Int8Array(128).fill(-1)
for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i

export function utf8(text: string): Bytes {
  return encoder.encode(text)
}

/** Decodes UTF-8. Throws `ProtocolError` where the bytes are malformed. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new ProtocolError('ENCODING', 'These bytes are not UTF-8.', { cause })
  }
}

// Node encodes twenty times as fast as this file does; a browser encodes here. A test holds the two
// against each other.
const NodeBuffer = globalThis.process?.getBuiltinModule?.('node:buffer')?.Buffer

/** Encodes bytes in base64url (RFC 4648, section 5), without padding. */
export function base64url(bytes: Uint8Array): string {
  return NodeBuffer === undefined ? encodeBase64url(bytes) : viewOf(NodeBuffer, bytes).toString('base64url')
}

/**
 * Decodes base64url strictly: no padding, no foreign characters, no stray bits at the end, so that
 * each byte string has one text. Throws `ProtocolError`.
 */
export function fromBase64url(text: string): Bytes {
  if (NodeBuffer !== undefined) {
    const decoded = NodeBuffer.from(text, 'base64url')
    // Node reads what is not base64url too, but writes each byte string in one way. A copy, since
    // Node's own bytes may share their memory with others.
    if (decoded.toString('base64url') === text) return new Uint8Array(decoded)
  }
  return decodeBase64url(text)
}

function viewOf(buffer: NonNullable<typeof NodeBuffer>, bytes: Uint8Array) {
  return buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** `base64url` on a platform without Node. */
export function encodeBase64url(bytes: Uint8Array): string {
  const parts: string[] = []
  for (let i = 0; i < bytes.length; i += 3) {
    const a = bytes[i] ?? 0
    const b = bytes[i + 1]
    const c = bytes[i + 2]
    let quad = alphabet.charAt(a >> 2) + alphabet.charAt(((a & 3) << 4) | ((b ?? 0) >> 4))
    if (b !== undefined) quad += alphabet.charAt(((b & 15) << 2) | ((c ?? 0) >> 6))
    if (c !== undefined) quad += alphabet.charAt(c & 63)
    parts.push(quad)
  }
  return parts.join('')
}

/**
 * `fromBase64url` on a platform without Node; it names the fault of a text that Node finds wrong.
 */
export function decodeBase64url(text: string): Bytes {
  const rest = text.length % 4
  if (rest === 1) throw new ProtocolError('ENCODING', 'This is not base64url: its length cannot be right.')
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4))
  let buffer = 0
  let bits = 0
  let at = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const value = code < 128 ? (values[code] ?? -1) : -1
    if (value < 0) throw new ProtocolError('ENCODING', 'This is not base64url: it has a foreign character.')
    buffer = ((buffer << 6) | value) & 0xffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      bytes[at++] = (buffer >> bits) & 0xff
    }
  }
  if (bits > 0 && (buffer & ((1 << bits) - 1)) !== 0) {
    throw new ProtocolError('ENCODING', 'This is not base64url: bits are left over at its end.')
  }
  return bytes
}

/** Encodes bytes in standard base64 with padding (RFC 4648, section 4), as notes have it. */
export function base64(bytes: Uint8Array): string {
  if (NodeBuffer !== undefined) return viewOf(NodeBuffer, bytes).toString('base64')
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
}

/**
 * Decodes standard base64 strictly: each byte string has one text. Throws `ProtocolError` with this
 * code.
 */
export function fromBase64(text: string, code = 'ENCODING'): Bytes {
  let bytes: Bytes
  try {
    bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch (cause) {
    throw new ProtocolError(code, 'This is not base64.', { cause })
  }
  // `atob` accepts spaces, missing padding and stray bits; a note must not have them.
  if (base64(bytes) !== text) throw new ProtocolError(code, 'This base64 has another way of being written.')
  return bytes
}

export function concat(...parts: Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

// Web Crypto computes each digest in another thread, which for a few kilobytes takes ten times as
// long as the digest. Node offers a synchronous digest, which is used there; a browser uses Web
// Crypto.
const digestAtHand = globalThis.process?.getBuiltinModule?.('node:crypto')?.hash

export async function sha256(bytes: Uint8Array): Promise<Bytes> {
  if (digestAtHand) return new Uint8Array(digestAtHand('sha256', bytes, 'buffer'))
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
}

/**
 * SHA-256 of the UTF-8 bytes of a text, base64url. Statements, bodies and certificates are named by
 * it.
 */
export async function digestOf(text: string): Promise<string> {
  return base64url(await sha256(utf8(text)))
}

/** Compares in a time that depends on the lengths alone. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0)
  return difference === 0
}
