import { Type, type Static } from 'typebox'
import { proveAll, readCertificate, verifyChain, type Certificate, type VerifyKeys } from './certificate.ts'
import { digestOf, fromBase64url } from './encoding.ts'
import { ProtocolError, demand } from './errors.ts'
import { leafHash, parseLeaf, privateDigest, type Leaf } from './entry.ts'
import type { DeviceId } from './ids.ts'
import { readStatement, verifySignature, type StatementType } from './jws.ts'
import { formatLogKeys, noteKeysOf, originOf, type LogKeys } from './log-keys.ts'
import { readMessageStatement } from './message.ts'
import { openCheckpoint, openNote, type NoteKey } from './note.ts'
import { exactly, shape } from './shape.ts'
import { requireNoEarlier, strangeTime } from './times.ts'
import { verifyInclusion } from './tree.ts'

const Text = Type.String()

/** Entries of one log with their proofs, in one file that is checked without the service. */
export const Evidence = Type.Object(
  {
    format: Type.Literal('cordon-evidence/v1'),
    manual: Type.Array(Text, { description: 'How to check this file with sha256sum, openssl and jq, line by line.' }),
    log: Text,
    host: Type.String({ description: 'The log’s origin is <host>/logs/<log>.' }),
    /** The query, the person who made it, and the reason, as the entry export.made has them. */
    made: Type.Object(
      {
        at: Text,
        person: Text,
        organization: Text,
        query: Type.Record(Text, Type.Union([Text, Type.Number()])),
        justification: Text,
      },
      exactly,
    ),
    keys: Type.Object({ log: Type.Array(Text), witnesses: Type.Array(Text) }, exactly),
    root: Type.String({ description: 'The thumbprint of the root to which all certificates lead up.' }),
    checkpoint: Type.String({ description: 'The signed note, with all its cosignatures.' }),
    certificates: Type.Array(Text, { description: 'The certificates of all signers, and those above them.' }),
    entries: Type.Array(
      Type.Object(
        {
          leaf: Type.String({ description: 'The leaf, as it is hashed: SHA-256(0x00 ‖ leaf).' }),
          proof: Type.Array(Text, { description: 'Inclusion under the checkpoint, base64url, from the leaf upwards.' }),
          details: Type.Optional(
            Type.String({ description: 'The details; `private` of the leaf is SHA-256(salt ‖ details).' }),
          ),
          salt: Type.Optional(Text),
          statement: Type.Optional(Type.String({ description: 'The statement; `digest` of the leaf is its SHA-256.' })),
        },
        exactly,
      ),
    ),
  },
  exactly,
)
export type Evidence = Static<typeof Evidence>

/** The keys that a checker of evidence trusts. They must come by another way than the file. */
export interface EvidenceTrust {
  readonly keys: LogKeys
  readonly root: string
  /**
   * Both keys, or one, of each witness. `quorum` of the witnesses must have cosigned the
   * checkpoint.
   */
  readonly witnesses: readonly NoteKey[]
  readonly quorum: number
}

export interface VerifiedEvidence {
  readonly size: number
  /** Names of the witnesses whose cosignature was verified. */
  readonly cosigned: readonly string[]
  readonly entries: number
  /**
   * The number of entries whose statement, and whose details, are in the file and were verified.
   */
  readonly statements: number
  readonly details: number
  /** Remarks for the reader about entries that the log really holds. */
  readonly notes: readonly { readonly index: number; readonly what: string }[]
  /** The faults, each with the index of its entry. Empty: everything was checked and is right. */
  readonly discrepancies: readonly { readonly index?: number; readonly what: string }[]
}

const parse = shape('evidence', Evidence)

/** Reads a file of evidence without verifying it. Throws `ProtocolError` where it is none. */
export function parseEvidence(text: string): Evidence {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ProtocolError('EVIDENCE', 'Evidence is one JSON document.', { cause })
  }
  return parse(value)
}

/**
 * Verifies evidence with the keys that the checker trusts: the checkpoint, its cosignatures, each
 * entry, its details, its statement and its signer.
 */
export async function verifyEvidence(
  evidence: Evidence,
  trust: EvidenceTrust,
  verifyKeys: VerifyKeys,
  progress: (done: number) => void = () => {},
): Promise<VerifiedEvidence> {
  const discrepancies: { index?: number; what: string }[] = []
  const { log, host, checkpoint: note } = evidence
  let size = 0
  let root: Uint8Array | undefined
  let cosigned: string[] = []
  try {
    const opened = await openCheckpoint(note, ...noteKeysOf(trust.keys, originOf(host, log)))
    size = opened.size
    root = opened.root
    cosigned = await cosignersOf(note, trust.witnesses)
    if (cosigned.length < trust.quorum)
      discrepancies.push({ what: `${cosigned.length} witnesses cosigned the checkpoint, ${trust.quorum} are demanded` })
  } catch (error) {
    discrepancies.push({ what: `the checkpoint: ${reason(error)}` })
  }
  const certificates = await readCertificates(evidence, trust.root, discrepancies)
  if (evidence.entries.length === 0) discrepancies.push({ what: 'the bundle holds no entry' })
  if (evidence.root !== trust.root) discrepancies.push({ what: 'the bundle names another root than was given' })
  const keys = await formatLogKeys(trust.keys, originOf(host, log))
  if (String(evidence.keys.log) !== String(keys))
    discrepancies.push({ what: 'the bundle names other keys of the log than were given' })
  const notes: { index: number; what: string }[] = []
  let statements = 0
  let details = 0
  let last = -1
  let lastAt: string | undefined
  for (const [i, entry] of evidence.entries.entries()) {
    let index: number | undefined
    try {
      const leaf = parseLeaf(entry.leaf)
      index = leaf.index
      demand(leaf.log === log, 'EVIDENCE', 'It is an entry of another log.')
      demand(leaf.index > last, 'EVIDENCE', 'The entries are not in the order of the log.')
      last = leaf.index
      requireNoEarlier(lastAt, leaf)
      lastAt = leaf.at
      if (root !== undefined) await checkProof(entry, leaf, size, root)
      if (await checkDetails(entry, leaf)) details++
      if (await checkStatement(entry, leaf, certificates, verifyKeys)) statements++
      notes.push(...(await notesOn(entry, leaf)))
    } catch (error) {
      discrepancies.push(
        index === undefined ? { what: `entry ${i} of the file: ${reason(error)}` } : { index, what: reason(error) },
      )
    }
    progress(i + 1)
  }
  return { size, cosigned, entries: evidence.entries.length, statements, details, notes, discrepancies }
}

async function cosignersOf(note: string, witnesses: readonly NoteKey[]): Promise<string[]> {
  if (witnesses.length === 0) return []
  try {
    const { signatures } = await openNote(note, witnesses)
    return [...new Set(signatures.map(({ key }) => key.name))]
  } catch (error) {
    if (error instanceof ProtocolError && error.code === 'NOTE_UNSIGNED') return []
    throw error
  }
}

interface Certificates {
  readonly byHash: Map<string, Certificate>
  readonly byDevice: Map<string, Certificate>
}

async function readCertificates(
  { certificates: jwss }: Evidence,
  root: string,
  discrepancies: { what: string }[],
): Promise<Certificates> {
  const read: Certificate[] = []
  for (const jws of jwss) {
    try {
      read.push(await readCertificate(jws))
    } catch (error) {
      discrepancies.push({ what: `a certificate: ${reason(error)}` })
    }
  }
  const pin = { root: root as DeviceId }
  const { proven, refused } = await proveAll(read, (certificate, find) => verifyChain(certificate, pin, find))
  for (const [{ device }, error] of refused)
    discrepancies.push({ what: `the certificate of ${device}: ${reason(error)}` })
  return {
    byHash: new Map(proven.map((certificate) => [certificate.hash, certificate])),
    byDevice: new Map(proven.map((certificate) => [certificate.device, certificate])),
  }
}

type Entry = Evidence['entries'][number]

async function checkProof({ leaf: text, proof }: Entry, leaf: Leaf, size: number, root: Uint8Array): Promise<void> {
  const hashes = proof.map(fromBase64url)
  const holds = await verifyInclusion(await leafHash(text), leaf.index, size, hashes, root)
  demand(holds, 'EVIDENCE', 'The log of the checkpoint does not hold this entry.')
}

async function checkDetails({ details, salt }: Entry, leaf: Leaf): Promise<boolean> {
  if (details === undefined && salt === undefined) {
    demand(leaf.private === undefined, 'EVIDENCE', 'Its details did not come along.')
    return false
  }
  demand(details !== undefined && salt !== undefined, 'EVIDENCE', 'Details come with their salt.')
  const bytes = fromBase64url(salt)
  demand(bytes.length === 32, 'EVIDENCE', 'A salt has 32 bytes.')
  demand((await privateDigest(bytes, details)) === leaf.private, 'EVIDENCE', 'Its details are not those it commits to.')
  return true
}

const types: readonly [RegExp, StatementType][] = [
  [/^message\./, 'cordon-message+jws'],
  [/^epoch\.opened$/, 'cordon-epoch+jws'],
  [/^device\.certified$/, 'cordon-device+jws'],
  [/^device\.revoked$/, 'cordon-revocation+jws'],
  [/^(member|compartment|operation)\./, 'cordon-member+jws'],
]

async function checkStatement(
  { statement }: Entry,
  leaf: Leaf,
  certificates: Certificates,
  keys: VerifyKeys,
): Promise<boolean> {
  const type = types.find(([kind]) => kind.test(leaf.kind))?.[1]
  if (statement === undefined) {
    demand(type === undefined || leaf.digest === undefined, 'EVIDENCE', 'Its statement did not come along.')
    return false
  }
  demand((await digestOf(statement)) === leaf.digest, 'EVIDENCE', 'The entry commits to another statement.')
  demand(type !== undefined, 'EVIDENCE', `An entry ${leaf.kind} carries no statement.`)
  if (type === 'cordon-device+jws') {
    demand(certificates.byHash.has(leaf.digest ?? ''), 'EVIDENCE', 'Its certificate does not lead up to the root.')
    return true
  }
  const device = 'device' in leaf.actor ? leaf.actor.device : undefined
  const signer = certificates.byDevice.get(device ?? '')
  demand(signer !== undefined, 'EVIDENCE', 'The certificate of its signer did not come along.')
  const read = readStatement(type, statement)
  await verifySignature(read, await keys.of(signer))
  demand(read.kid === device, 'EVIDENCE', 'Its statement was signed by another device than the entry names.')
  return true
}

/** The remarks about an entry that the log really holds. */
async function notesOn({ statement }: Entry, { kind, at, index }: Leaf): Promise<{ index: number; what: string }[]> {
  if (statement === undefined || !kind.startsWith('message.')) return []
  const { sentAt } = (await readMessageStatement(statement)).payload
  const strange = strangeTime(at, sentAt)
  if (strange === undefined) return []
  return [
    {
      index,
      what: `it was recorded at ${at}, ${strange === 'early' ? 'BEFORE' : 'more than an hour after'} its sender says that it was sent (${sentAt})`,
    },
  ]
}

function reason(error: unknown): string {
  if (error instanceof ProtocolError) return error.message
  throw error
}
