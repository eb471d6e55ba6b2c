import { Problem } from '../errors.ts'
import { noteKeysOf, type LogKeys, type NoteSigner } from '../protocol/index.ts'
import { KeyFileFault, makeKeyFile, readKeyFile, type SigningKeys } from './key-file.ts'

/**
 * The keys that sign the checkpoints of all logs of a host, kept in a file outside the database.
 */
export interface LogKey {
  readonly publicKeys: LogKeys
  /**
   * Answers the keys as the signers of one log: Ed25519 alone signs its receipts, both sign
   * published checkpoints.
   */
  signers(origin: string): readonly [NoteSigner, NoteSigner]
}

/**
 * Opens the log's key. Makes it (mode 0600) where there is none and the database holds no log yet.
 * Problem LOG_KEY for a database with entries and no key: a new key could not prove what the old
 * one signed.
 */
export function openLogKey(file: string, hasEntries: boolean): LogKey {
  const existing = readLogKey(file)
  if (existing !== undefined) return logKey(existing)
  if (hasEntries) {
    throw new Problem('LOG_KEY', { detail: `the database holds logs, and there is no key at ${file}` })
  }
  makeKeyFile(file)
  const made = readLogKey(file)
  if (made === undefined) throw new Problem('LOG_KEY', { detail: `the key at ${file} was removed while it was made` })
  return logKey(made)
}

function readLogKey(file: string): SigningKeys | undefined {
  try {
    return readKeyFile(file)
  } catch (cause) {
    if (cause instanceof KeyFileFault) throw new Problem('LOG_KEY', { detail: cause.message, cause })
    throw cause
  }
}

function logKey({ ed25519, mlDsa44 }: SigningKeys): LogKey {
  const publicKeys = { ed25519: ed25519.publicKey, mlDsa44: mlDsa44.publicKey }
  return {
    publicKeys,
    signers(origin) {
      const [first, second] = noteKeysOf(publicKeys, origin)
      return [
        { ...first, sign: (bytes) => ed25519.sign(bytes) },
        { ...second, sign: (bytes) => mlDsa44.sign(bytes) },
      ]
    },
  }
}
