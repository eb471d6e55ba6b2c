import { demand } from './errors.ts'
import { formatNoteKey, parseNoteKey, type NoteKey } from './note.ts'

/** The raw public keys with which a host signs the checkpoints of all its logs. */
export interface LogKeys {
  /** 32 bytes. It signs receipts and published checkpoints. */
  readonly ed25519: Uint8Array
  /** 1,312 bytes. It signs published checkpoints. */
  readonly mlDsa44: Uint8Array
}

/** The origin of a log, which is also the name of its keys. */
export function originOf(host: string, log: string): string {
  return `${host}/logs/${log}`
}

/** The host of an origin; undefined where it is not the origin of a log of Cordon. */
export function hostOf(origin: string): string | undefined {
  const at = origin.lastIndexOf('/logs/')
  return at < 0 ? undefined : origin.slice(0, at)
}

/** The keys with the name of one log: first Ed25519, then ML-DSA-44. */
export function noteKeysOf(keys: LogKeys, origin: string): readonly [NoteKey, NoteKey] {
  return [
    { name: origin, algorithm: 'Ed25519', publicKey: keys.ed25519 },
    { name: origin, algorithm: 'ML-DSA-44 cosignature', publicKey: keys.mlDsa44 },
  ]
}

/**
 * Formats the verifier keys of a log, one line each, with which other programs configure the keys
 * of its host.
 */
export async function formatLogKeys(keys: LogKeys, origin: string): Promise<string[]> {
  return Promise.all(noteKeysOf(keys, origin).map(formatNoteKey))
}

/**
 * Reads the verifier keys of a log, of any log of the host. Throws `ProtocolError` NOTE_KEY unless
 * there is one key of each kind and both are of one log.
 */
export async function parseLogKeys(lines: readonly string[]): Promise<{ host: string; origin: string; keys: LogKeys }> {
  const parsed = await Promise.all(lines.map(parseNoteKey))
  const of = (algorithm: NoteKey['algorithm']) => parsed.find((key) => key.algorithm === algorithm)
  const [ed25519, mlDsa44] = [of('Ed25519'), of('ML-DSA-44 cosignature')]
  demand(
    parsed.length === 2 && ed25519 !== undefined && mlDsa44 !== undefined && ed25519.name === mlDsa44.name,
    'NOTE_KEY',
    'The keys of a log are an Ed25519 and an ML-DSA-44 key of one name.',
  )
  const origin = ed25519.name
  const host = hostOf(origin)
  demand(host !== undefined, 'NOTE_KEY', 'The keys of a log are named <host>/logs/<id>.')
  return { host, origin, keys: { ed25519: ed25519.publicKey, mlDsa44: mlDsa44.publicKey } }
}
