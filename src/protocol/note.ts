import { concat, equalBytes, hex, sha256, utf8, type Bytes } from './encoding.ts'
import { ProtocolError, demand } from './errors.ts'

/**
 * Signed notes (C2SP signed-note) and the checkpoints written in them (C2SP tlog-checkpoint). A note is a text that ends
 * with a newline, an empty line, and signature lines `— <name> <base64 of key id ‖ signature>`.
 */

/** A key that signs notes: Ed25519, type 0x01. Other types are unknown here, and unknown signatures are ignored. */
export interface NoteKey {
  readonly name: string
  /** The raw public key, 32 bytes. */
  readonly publicKey: Uint8Array
}

export interface NoteSigner extends NoteKey {
  /** Ed25519 over these bytes. */
  sign(bytes: Uint8Array): Uint8Array | Promise<Uint8Array>
}

/** A checkpoint of the tree that `origin` names. */
export interface Checkpoint {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

const ed25519 = 0x01
const maximalNoteBytes = 64 * 1024
const maximalSignatures = 64
const namePattern = /^[^\s+\p{Cc}]+$/u

/** SHA-256(name ‖ newline ‖ type ‖ raw key)[:4] */
export async function noteKeyId(key: NoteKey): Promise<Bytes> {
  demand(namePattern.test(key.name), 'NOTE_KEY', 'The name of a key has no spaces and no plus.')
  demand(key.publicKey.length === 32, 'NOTE_KEY', 'An Ed25519 key has 32 bytes.')
  const named = concat(utf8(key.name), Uint8Array.of(0x0a, ed25519), key.publicKey)
  return (await sha256(named)).slice(0, 4)
}

/** `<name>+<key id in hex>+<base64 of type ‖ raw key>`: the line by which others configure the key. */
export async function formatNoteKey(key: NoteKey): Promise<string> {
  return `${key.name}+${hex(await noteKeyId(key))}+${base64(concat(Uint8Array.of(ed25519), key.publicKey))}`
}

export async function parseNoteKey(text: string): Promise<NoteKey> {
  const parts = text.split('+')
  const [name = '', id = ''] = parts
  // Base64 itself may contain a plus.
  const bytes = fromBase64(parts.slice(2).join('+'))
  demand(bytes.length === 33 && bytes[0] === ed25519, 'NOTE_KEY', 'This is no Ed25519 key for notes.')
  const key = { name, publicKey: bytes.slice(1) }
  demand(hex(await noteKeyId(key)) === id, 'NOTE_KEY', 'The id of this key is not its own.')
  return key
}

/** Signs a text. */
export async function signNote(text: string, signer: NoteSigner): Promise<string> {
  checkText(text)
  const signature = concat(await noteKeyId(signer), await signer.sign(utf8(text)))
  return `${text}\n\u2014 ${signer.name} ${base64(signature)}\n`
}

/**
 * Opens a note: returns its text if at least one of the keys signed it and none of them is used with a wrong signature.
 * `ProtocolError` NOTE (malformed), NOTE_SIGNATURE (wrong), NOTE_UNSIGNED (by none of the keys). `strangers` counts the
 * signatures that were ignored.
 */
export async function openNote(
  note: string,
  keys: readonly NoteKey[],
): Promise<{ text: string; signedBy: string[]; strangers: number }> {
  const { text, signatures } = splitNote(note)
  const known = await Promise.all(keys.map(async (key) => ({ key, id: await noteKeyId(key) })))
  const signedBy: string[] = []
  let strangers = 0
  for (const { name, id, signature } of signatures) {
    const match = known.find((candidate) => candidate.key.name === name && equalBytes(candidate.id, id))
    if (match === undefined) {
      strangers++
      continue
    }
    demand(await verifies(match.key, text, signature), 'NOTE_SIGNATURE', `The signature of ${name} is wrong.`)
    if (!signedBy.includes(name)) signedBy.push(name)
  }
  demand(signedBy.length > 0, 'NOTE_UNSIGNED', 'None of the known keys signed this note.')
  return { text, signedBy, strangers }
}

/** Origin, size in plain decimal, root in padded standard base64, a line each. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  demand(/^[^\n\r]+$/.test(origin), 'CHECKPOINT', 'An origin is one line.')
  demand(
    Number.isSafeInteger(size) && size >= 0 && root.length === 32,
    'CHECKPOINT',
    'A checkpoint has a size and a root.',
  )
  return `${origin}\n${size}\n${base64(root)}\n`
}

/** Reads a checkpoint strictly; extension lines, which our logs do not write, are refused. */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n')
  const [origin = '', size = '', root = ''] = lines
  demand(lines.length === 4 && lines[3] === '' && origin !== '', 'CHECKPOINT', 'A checkpoint is three lines.')
  demand(/^(0|[1-9][0-9]{0,15})$/.test(size), 'CHECKPOINT', 'The size of a checkpoint is a plain decimal.')
  const checkpoint = { origin, size: Number(size), root: fromBase64(root) }
  demand(formatCheckpoint(checkpoint) === text, 'CHECKPOINT', 'A checkpoint has one way of being written.')
  return checkpoint
}

export async function signCheckpoint(checkpoint: Checkpoint, signer: NoteSigner): Promise<string> {
  return signNote(formatCheckpoint(checkpoint), signer)
}

/** Opens a signed checkpoint of the log that this key signs: its origin must be the name of the key. */
export async function openCheckpoint(note: string, key: NoteKey): Promise<Checkpoint> {
  const checkpoint = parseCheckpoint((await openNote(note, [key])).text)
  demand(checkpoint.origin === key.name, 'CHECKPOINT', 'This is a checkpoint of another log.')
  return checkpoint
}

interface Signature {
  readonly name: string
  readonly id: Uint8Array
  readonly signature: Uint8Array
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
  const bytes = fromBase64(data)
  demand(bytes.length >= 5, 'NOTE', 'A signature has a key id and at least a byte.')
  return { name, id: bytes.slice(0, 4), signature: bytes.slice(4) }
}

function checkText(text: string): void {
  demand(text.endsWith('\n') && text.isWellFormed(), 'NOTE', 'The text of a note ends with a newline.')
  demand(!/[\u0000-\u0009\u000b-\u001f]/.test(text), 'NOTE', 'The text of a note has no control characters.')
}

async function verifies(key: NoteKey, text: string, signature: Uint8Array): Promise<boolean> {
  if (signature.length !== 64) return false
  const raw = key.publicKey as Bytes
  const imported = await crypto.subtle.importKey('raw', raw, { name: 'Ed25519' }, false, ['verify'])
  return crypto.subtle.verify('Ed25519', imported, signature, utf8(text))
}

/** Standard base64 with padding, as notes have it (RFC 4648, section 4). */
function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
}

function fromBase64(text: string): Bytes {
  let bytes: Bytes
  try {
    bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  } catch (cause) {
    throw new ProtocolError('NOTE', 'This is not base64.', { cause })
  }
  // atob forgives spaces, missing padding and stray bits; a note does not.
  demand(base64(bytes) === text, 'NOTE', 'This base64 has another way of being written.')
  return bytes
}
