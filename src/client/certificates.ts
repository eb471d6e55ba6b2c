import {
  VerifyKeys,
  noteKeysOf,
  originOf,
  parseLogKeys,
  proveAll,
  readCertificate,
  verifyChain,
  type Certificate,
  type DeviceId,
  type FindCertificate,
  type NoteKey,
} from '../protocol/index.ts'
import { refuse } from './problem.ts'

/** What a device pinned when it enrolled, and never changes by itself. */
export interface Pins {
  /** The thumbprint of the root's signing key. */
  readonly root: DeviceId
  /**
   * Verifier keys of the directory log (C2SP signed note): Ed25519, ML-DSA-44. The raw keys sign
   * the checkpoints of every log.
   */
  readonly logKeys: readonly string[]
  /** Logs have the origin `<host>/logs/<id>`. */
  readonly logHost: string
}

// Public facts of this process: what a certificate says, its imported key, and that it leads up to
// a root.
const readCertificates = new Map<string, Promise<Certificate>>()
const provenChains = new Set<string>()
const mostCached = 50_000

/**
 * Imported public keys by device; a device is named by the thumbprint of its key, so they cannot
 * differ.
 */
export const verifyKeys = new VerifyKeys()

/** Reads a certificate, the same one only once. `ProtocolError` where it is none. */
export function readCertificateOnce(jws: string): Promise<Certificate> {
  const known = readCertificates.get(jws)
  if (known) return known
  if (readCertificates.size >= mostCached) readCertificates.clear()
  const certificate = readCertificate(jws)
  readCertificates.set(jws, certificate)
  certificate.catch(() => readCertificates.delete(jws))
  return certificate
}

/**
 * Verifies a certificate up to the pinned root; that one did so before stays true. `ProtocolError`
 * otherwise.
 */
export async function proveChain(certificate: Certificate, root: DeviceId, find: FindCertificate): Promise<void> {
  const fact = `${root} ${certificate.hash}`
  if (provenChains.has(fact)) return
  await verifyChain(certificate, { root }, find)
  if (provenChains.size >= mostCached) provenChains.clear()
  provenChains.add(fact)
}

/**
 * Verifies certificates that came together, each up to the pinned root with the help of the others.
 */
export async function proveTogether(
  chain: readonly string[],
  root: DeviceId,
  find: FindCertificate = () => undefined,
): Promise<Certificate[]> {
  const certificates = await Promise.all(chain.map(readCertificateOnce))
  const { refused } = await proveAll(certificates, (certificate, beside) =>
    proveChain(certificate, root, (device) => beside(device) ?? find(device)),
  )
  const [fault] = refused.values()
  if (fault) throw fault
  return certificates
}

/**
 * The keys that sign the checkpoints of a log: receipts carry the first alone, what is published
 * both.
 */
export async function logKeysOf(pins: Pins, log: string): Promise<readonly [NoteKey, NoteKey]> {
  const { keys } = await parseLogKeys(pins.logKeys)
  return noteKeysOf(keys, originOf(pins.logHost, log))
}

/** PIN_CHANGED where a service is not the one that was pinned. */
export function requirePinned(
  pins: Pins,
  server: { root: string | null; logKeys: readonly string[]; logHost: string },
): void {
  const changed = (['root', 'logKeys', 'logHost'] as const).filter(
    (name) => String(server[name]) !== String(pins[name]),
  )
  if (changed.length === 0) return
  throw refuse('PIN_CHANGED', `The service shows another ${changed.join(' and ')} than this device pinned.`, {
    changed,
  })
}
