import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import {
  base64url,
  formatCheckpoint,
  formatNoteKey,
  formatTlogProof,
  signatureLines,
  utf8,
  type NoteAlgorithm,
  type NoteSigner,
} from '../../src/protocol/index.ts'

/** ML-DSA-44 signs with fresh randomness: these lines are kept as they were made. */
export interface KeptCosignatures {
  readonly log: string
  readonly witness: string
}

// PKCS #8 around a seed of 32 bytes (RFC 8410; FIPS 204 keys as in
// draft-ietf-lamps-dilithium-certificates).
const shells = {
  ed25519: { prefix: '302e020100300506032b657004220420', rawBytes: 32 },
  mlDsa44: { prefix: '3034020100300b060960864801650304031104228020', rawBytes: 1_312 },
}

function signerOf(name: string, algorithm: NoteAlgorithm, kind: keyof typeof shells, seed: Uint8Array): NoteSigner {
  const { prefix, rawBytes } = shells[kind]
  const der = Buffer.concat([Buffer.from(prefix, 'hex'), seed])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-rawBytes)
  return {
    name,
    algorithm,
    publicKey: new Uint8Array(publicKey),
    sign: (bytes) => new Uint8Array(sign(null, bytes, key)),
  }
}

/**
 * A checkpoint as it is published, cosigned by a witness, and the same as a proof of its last
 * entry.
 */
export async function makeCosignatures(
  tree: { origin: string; size: number; root: Uint8Array; last: { leaf: string; proof: readonly Uint8Array[] } },
  secret: (word: string) => Uint8Array,
  kept: KeptCosignatures | undefined,
) {
  const { origin, size, root, last } = tree
  const name = 'witness.example/customs'
  const seeds = {
    log: secret('log key'),
    logMlDsa44: secret('log key ML-DSA-44'),
    witness: secret('witness key'),
    witnessMlDsa44: secret('witness key ML-DSA-44'),
  }
  const log = [
    signerOf(origin, 'Ed25519', 'ed25519', seeds.log),
    signerOf(origin, 'ML-DSA-44 cosignature', 'mlDsa44', seeds.logMlDsa44),
  ] as const
  const witness = [
    signerOf(name, 'Ed25519 cosignature', 'ed25519', seeds.witness),
    signerOf(name, 'ML-DSA-44 cosignature', 'mlDsa44', seeds.witnessMlDsa44),
  ] as const
  const text = formatCheckpoint({ origin, size, root })
  const timestamp = 1_788_249_600
  const lines = {
    log: {
      ed25519: await signatureLines(text, [log[0]], 0),
      mlDsa44: kept?.log ?? (await signatureLines(text, [log[1]], 0)),
    },
    witness: {
      ed25519: await signatureLines(text, [witness[0]], timestamp),
      mlDsa44: kept?.witness ?? (await signatureLines(text, [witness[1]], timestamp)),
    },
  }
  const published = `${text}\n${lines.log.ed25519}${lines.log.mlDsa44}`
  const final = `${published}${lines.witness.ed25519}${lines.witness.mlDsa44}`
  return {
    seeds: Object.fromEntries(Object.entries(seeds).map(([of, seed]) => [of, base64url(seed)])),
    verifierKeys: {
      log: await Promise.all(log.map(formatNoteKey)),
      witness: await Promise.all(witness.map(formatNoteKey)),
    },
    text,
    timestamp,
    lines,
    published,
    final,
    tlogProof: formatTlogProof({ index: size - 1, proof: last.proof, checkpoint: final, extra: utf8(last.leaf) }),
  }
}
