import { formatCheckpoint, parseCheckpoint, parseExtendedCheckpoint, type Checkpoint } from './checkpoint.ts'
import { base64, concat, equalBytes, fromBase64, hex, sha256, utf8, type Bytes } from './encoding.ts'
import { ProtocolError, demand } from './errors.ts'

/**
 * Signed notes (C2SP signed-note) and the cosignatures of checkpoints (C2SP tlog-cosignature). A
 * note is a text that ends with a newline, an empty line, and signature lines `— <name> <base64 of
 * key id ‖ signature>`.
 */

/**
 * The algorithm of a key: the signature types 0x01, 0x04 and 0x06. The latter two sign checkpoints
 * alone, together with a time in seconds since the epoch. A log signs with `Ed25519` and, as a
 * cosigner of itself without a time, with `ML-DSA-44 cosignature`.
 */
export type NoteAlgorithm = 'Ed25519' | 'Ed25519 cosignature' | 'ML-DSA-44 cosignature'

interface Algorithm {
  /** The byte with which signed-note distinguishes signatures. */
  readonly type: number
  readonly keyBytes: number
  readonly signatureBytes: number
  readonly timestamped: boolean
  readonly webCrypto: 'Ed25519' | 'ML-DSA-44'
  readonly keyFormat: 'raw' | 'raw-public'
  readonly signed: (key: NoteKey, text: string, timestamp: bigint) => Uint8Array
}

const ed25519 = { keyBytes: 32, signatureBytes: 64, webCrypto: 'Ed25519', keyFormat: 'raw' } as const
const mlDsa44 = { keyBytes: 1_312, signatureBytes: 2_420, webCrypto: 'ML-DSA-44', keyFormat: 'raw-public' } as const

const algorithms: Readonly<Record<NoteAlgorithm, Algorithm>> = {
  Ed25519: { ...ed25519, type: 0x01, timestamped: false, signed: (_key, text) => utf8(text) },
  'Ed25519 cosignature': {
    ...ed25519,
    type: 0x04,
    timestamped: true,
    signed: (_key, text, timestamp) => utf8(`cosignature/v1\ntime ${timestamp}\n${text}`),
  },
  'ML-DSA-44 cosignature': { ...mlDsa44, type: 0x06, timestamped: true, signed: cosignedMessage },
}

/** A key that signs notes. Its bytes are the raw public key: 32 of Ed25519, 1,312 of ML-DSA-44. */
export interface NoteKey {
  readonly name: string
  readonly algorithm: NoteAlgorithm
  readonly publicKey: Uint8Array
}

export interface NoteSigner extends NoteKey {
  /** Signs these bytes. Answers the bare signature. */
  sign(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
}

/**
 * A verified signature. `timestamp`: seconds since the epoch, 0 where the signature states none.
 */
export interface NoteSignature {
  readonly key: NoteKey
  readonly timestamp: number
  /** The line in the note, with its newline. */
  readonly line: string
}

const maximalNoteBytes = 512 * 1024
const maximalSignatures = 64
const namePattern = /^[^\s+\p{Cc}]+$/u

/** The id of a key: the first 4 bytes of SHA-256(name ‖ newline ‖ type ‖ raw key). */
export async function noteKeyId(key: NoteKey): Promise<Bytes> {
  const { type, keyBytes } = algorithms[key.algorithm]
  demand(namePattern.test(key.name), 'NOTE_KEY', 'The name of a key has no spaces and no plus.')
  demand(key.publicKey.length === keyBytes, 'NOTE_KEY', `A key for ${key.algorithm} has ${keyBytes} bytes.`)
  const named = concat(utf8(key.name), Uint8Array.of(0x0a, type), key.publicKey)
  return (await sha256(named)).slice(0, 4)
}

/**
 * Formats a verifier key as one line, `<name>+<key id in hex>+<base64 of type ‖ raw key>`, with
 * which other programs configure the key.
 */
export async function formatNoteKey(key: NoteKey): Promise<string> {
  const typed = concat(Uint8Array.of(algorithms[key.algorithm].type), key.publicKey)
  return `${key.name}+${hex(await noteKeyId(key))}+${base64(typed)}`
}

export async function parseNoteKey(text: string): Promise<NoteKey> {
  const parts = text.split('+')
  const [name = '', id = ''] = parts
  // Base64 itself may contain a plus sign.
  const bytes = fromBase64(parts.slice(2).join('+'), 'NOTE_KEY')
  const algorithm = (Object.keys(algorithms) as NoteAlgorithm[]).find((one) => algorithms[one].type === bytes[0])
  if (algorithm === undefined) throw new ProtocolError('NOTE_KEY', 'This is no key for notes that is known here.')
  const key = { name, algorithm, publicKey: bytes.slice(1) }
  demand(hex(await noteKeyId(key)) === id, 'NOTE_KEY', 'The id of this key is not its own.')
  return key
}

/** Signs a text. A signer whose signatures carry a time states the time 0. */
export async function signNote(text: string, ...signers: readonly NoteSigner[]): Promise<string> {
  checkText(text)
  return `${text}\n${await signatureLines(text, signers, 0)}`
}

/**
 * The signature lines of these signers over a text, each with its newline. `timestamp`: seconds
 * since the epoch.
 */
export async function signatureLines(text: string, signers: readonly NoteSigner[], timestamp: number): Promise<string> {
  const time = BigInt(timestamp)
  const lines = await Promise.all(
    signers.map(async (signer) => {
      const { timestamped, signed } = algorithms[signer.algorithm]
      const signature = await signer.sign(signed(signer, text, time))
      const stamped = timestamped ? concat(uint64(time), signature) : signature
      return `\u2014 ${signer.name} ${base64(concat(await noteKeyId(signer), stamped))}\n`
    }),
  )
  return lines.join('')
}

/**
 * Opens a note: answers its text if at least one of the keys signed it and no signature of these
 * keys is wrong. `strangers` counts the signatures of other keys. Throws `ProtocolError` NOTE
 * (malformed), NOTE_SIGNATURE (wrong), NOTE_UNSIGNED (none of the keys signed it).
 */
export async function openNote(
  note: string,
  keys: readonly NoteKey[],
): Promise<{ text: string; signatures: readonly NoteSignature[]; strangers: number }> {
  const { text, signatures: lines } = splitNote(note)
  const known = await Promise.all(keys.map(async (key) => ({ key, id: await noteKeyId(key) })))
  const signatures: NoteSignature[] = []
  let strangers = 0
  for (const { name, id, signature, line } of lines) {
    const match = known.find((candidate) => candidate.key.name === name && equalBytes(candidate.id, id))
    if (match === undefined) {
      strangers++
      continue
    }
    const timestamp = await verifiedTime(match.key, text, signature)
    if (timestamp === undefined) throw new ProtocolError('NOTE_SIGNATURE', `The signature of ${name} is wrong.`)
    signatures.push({ key: match.key, timestamp, line })
  }
  demand(signatures.length > 0, 'NOTE_UNSIGNED', 'None of the known keys signed this note.')
  return { text, signatures, strangers }
}

export async function signCheckpoint(checkpoint: Checkpoint, ...signers: readonly NoteSigner[]): Promise<string> {
  return signNote(formatCheckpoint(checkpoint), ...signers)
}

/**
 * Opens a signed checkpoint of the log of these keys: every key must have signed it, and its origin
 * must be their name. Throws `ProtocolError` NOTE_UNSIGNED where a signature is missing,
 * NOTE_SIGNATURE where one is wrong.
 */
export async function openCheckpoint(note: string, ...keys: readonly NoteKey[]): Promise<Checkpoint> {
  const { text, signatures } = await openNote(note, keys)
  for (const key of keys) {
    const signed = signatures.some((signature) => signature.key === key)
    demand(signed, 'NOTE_UNSIGNED', `This checkpoint lacks the ${key.algorithm} of ${key.name}.`)
  }
  const checkpoint = parseCheckpoint(text)
  demand(
    keys.every((key) => key.name === checkpoint.origin),
    'CHECKPOINT',
    'This is a checkpoint of another log.',
  )
  return checkpoint
}

interface Signature {
  readonly name: string
  readonly id: Uint8Array
  readonly signature: Uint8Array
  readonly line: string
}

function splitNote(note: string): { text: string; signatures: Signature[] } {
  demand(note.length <= maximalNoteBytes && note.isWellFormed(), 'NOTE', 'A note is a short text.')
  const split = note.lastIndexOf('\n\n')
  demand(split >= 0 && note.endsWith('\n'), 'NOTE', 'A note is a text, an empty line, and signatures.')
  const text = note.slice(0, split + 1)
  checkText(text)
  const lines = note.slice(split + 2).split('\n')
  lines.pop()
  demand(lines.length > 0 && lines.length <= maximalSignatures, 'NOTE', 'A note has between one and 64 signatures.')
  return { text, signatures: lines.map(parseSignature) }
}

function parseSignature(line: string): Signature {
  const [dash, name = '', data = '', ...rest] = line.split(' ')
  demand(dash === '\u2014' && rest.length === 0 && namePattern.test(name), 'NOTE', 'This is no signature line.')
  const bytes = fromBase64(data, 'NOTE')
  demand(bytes.length >= 5, 'NOTE', 'A signature has a key id and at least a byte.')
  return { name, id: bytes.slice(0, 4), signature: bytes.slice(4), line: `${line}\n` }
}

function checkText(text: string): void {
  demand(text.endsWith('\n') && text.isWellFormed(), 'NOTE', 'The text of a note ends with a newline.')
  demand(!/[\u0000-\u0009\u000b-\u001f]/.test(text), 'NOTE', 'The text of a note has no control characters.')
}

/** The time that a signature states, in seconds; undefined where the signature is wrong. */
async function verifiedTime(key: NoteKey, text: string, stamped: Uint8Array): Promise<number | undefined> {
  const { timestamped, signatureBytes, webCrypto, signed } = algorithms[key.algorithm]
  const timeBytes = timestamped ? 8 : 0
  if (stamped.length !== timeBytes + signatureBytes) return undefined
  const time = timestamped ? new DataView(stamped.buffer, stamped.byteOffset).getBigUint64(0) : 0n
  // Such a time lies beyond the year 285 million, and no clock shows it.
  if (time > BigInt(Number.MAX_SAFE_INTEGER)) return undefined
  const signature = stamped.slice(timeBytes)
  const verified = await crypto.subtle.verify(webCrypto, await imported(key), signature, signed(key, text, time))
  return verified ? Number(time) : undefined
}

type ImportedKey = ReturnType<typeof crypto.subtle.importKey>

// Importing an ML-DSA key expands it, which takes longer than one verification. The keys of a few
// hosts and of their witnesses serve for all their logs.
const importedKeys = new Map<string, ImportedKey>()
const mostImportedKeys = 100

function imported(key: NoteKey): ImportedKey {
  const { webCrypto, keyFormat } = algorithms[key.algorithm]
  const name = `${webCrypto} ${base64(key.publicKey)}`
  const known = importedKeys.get(name)
  if (known !== undefined) return known
  if (importedKeys.size >= mostImportedKeys) importedKeys.clear()
  // The types of Web Crypto do not have raw-public yet (draft "Modern Algorithms in the Web
  // Cryptography API").
  const importing = crypto.subtle.importKey(keyFormat as 'raw', key.publicKey as Bytes, { name: webCrypto }, false, [
    'verify',
  ])
  importedKeys.set(name, importing)
  importing.catch(() => importedKeys.delete(name))
  return importing
}

/** The bytes that ML-DSA-44 signs: `cosigned_message` of tlog-cosignature over a whole tree. */
function cosignedMessage({ name }: NoteKey, text: string, timestamp: bigint): Uint8Array {
  const { origin, size, root } = parseExtendedCheckpoint(text)
  return concat(
    utf8('subtree/v1\n\0'),
    opaque(name),
    uint64(timestamp),
    opaque(origin),
    uint64(0n),
    uint64(BigInt(size)),
    root,
  )
}

/** Encodes a text as opaque<1..2^8-1> (RFC 8446, section 3.4). */
function opaque(text: string): Bytes {
  const bytes = utf8(text)
  demand(bytes.length > 0 && bytes.length < 256, 'NOTE_KEY', 'A name that ML-DSA-44 signs has 1 to 255 bytes.')
  return concat(Uint8Array.of(bytes.length), bytes)
}

function uint64(value: bigint): Bytes {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, value)
  return bytes
}
