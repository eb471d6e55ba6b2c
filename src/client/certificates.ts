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

/** The facts that a device pinned when it enrolled. The SDK never changes them by itself. */
export interface Pins {
  /** The thumbprint of the root's signing key. */
  readonly root: DeviceId
  /**
   * Verifier keys of the directory log (C2SP signed note): one Ed25519, one ML-DSA-44. The raw keys
   * sign the checkpoints of every log.
   */
  readonly logKeys: readonly string[]
  /** The host in the origin of every log: `<host>/logs/<id>`. */
  readonly logHost: string
}

// Caches of public facts, shared by all clients of this process: certificates that were read, and
// chains that were proven up to a root.
const readCertificates = new Map<string, Promise<Certificate>>()
const provenChains = new Set<string>()
const mostCached = 50_000

/**
 * Imported public keys by device id. The id is the thumbprint of the key, so that two clients of
 * this process cannot need different keys for one id.
 */
export const verifyKeys = new VerifyKeys()

/**
 * Reads a certificate; a text that was read before is taken from the cache. Throws `ProtocolError`
 * where the text is no certificate.
 */
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
 * Verifies a certificate up to the pinned root, once per process. Throws `ProtocolError` where the
 * chain does not hold.
 */
export async function proveChain(certificate: Certificate, root: DeviceId, find: FindCertificate): Promise<void> {
  const fact = `${root} ${certificate.hash}`
  if (provenChains.has(fact)) return
  await verifyChain(certificate, { root }, find)
  if (provenChains.size >= mostCached) provenChains.clear()
  provenChains.add(fact)
}

/**
 * Verifies a list of certificates up to the pinned root, each with the help of the others. Answers
 * them in their order; throws the first `ProtocolError`.
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
 * The keys that sign the checkpoints of a log. Receipts carry a signature of the first key alone,
 * published checkpoints of both.
 */
export async function logKeysOf(pins: Pins, log: string): Promise<readonly [NoteKey, NoteKey]> {
  const { keys } = await parseLogKeys(pins.logKeys)
  return noteKeysOf(keys, originOf(pins.logHost, log))
}

/** Throws PIN_CHANGED where the facts of a service are not the pinned ones. */
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
