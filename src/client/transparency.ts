import {
  ProtocolError,
  demand,
  fromBase64url,
  leafHash,
  parseLeaf,
  parseNoteKey,
  verifyInclusion,
  type Certificate,
  type DeviceId,
} from '../protocol/index.ts'
import { logKeysOf, type Pins } from './certificates.ts'
import { backOff, sleep, type Platform } from './platform.ts'
import { ClientProblem, refuse } from './problem.ts'
import { verifyCheckpoint, type Seen } from './receipt.ts'
import type { ClientStore } from './store.ts'
import type { Transport } from './transport.ts'

interface Proofs {
  readonly checkpoint: string
  readonly consistency?: readonly string[]
  readonly proofs: readonly { readonly certificate: string; readonly leaf: string; readonly proof: readonly string[] }[]
}

const atOnce = 500
const seenName = 'directory/seen'
const provenName = (hash: string) => `directory/proven/${hash}`

/**
 * Key transparency: a device counts only once the directory log, whose checkpoints this device follows, is proven to hold its
 * certification (RFC 9162, 2.1.3). So a certificate that nobody else was to see is found by whoever reads that log.
 */
export class Transparency {
  readonly #platform: Platform
  readonly #transport: Transport
  readonly #store: ClientStore
  readonly #pins: () => Pins
  readonly #proven = new Set<string>()
  #asking: Promise<unknown> = Promise.resolve()

  constructor(deps: {
    readonly platform: Platform
    readonly transport: Transport
    readonly store: ClientStore
    readonly pins: () => Pins
  }) {
    this.#platform = deps.platform
    this.#transport = deps.transport
    this.#store = deps.store
    this.#pins = deps.pins
  }

  /** DEVICE_HIDDEN, with the devices, unless the directory log holds all these certificates. */
  async require(certificates: readonly Certificate[]): Promise<void> {
    const devices = await this.unproven(certificates)
    if (devices.length === 0) return
    const detail = `The directory log does not hold the certificates of ${devices.length === 1 ? 'a device' : `${String(devices.length)} devices`} that this would be sealed for.`
    throw refuse('DEVICE_HIDDEN', detail, { devices })
  }

  /** The devices of those of these certificates that the directory log does not hold. What was proven once stays so. */
  async unproven(certificates: readonly Certificate[]): Promise<DeviceId[]> {
    const missing = await this.#unknown(certificates)
    if (missing.length === 0) return []
    // One after the other: each answer must have grown from the checkpoint before it.
    const asked = this.#asking.then(() => this.#ask(missing))
    this.#asking = asked.catch(() => {})
    return asked
  }

  /** The same; a service that cannot be reached is asked until it can, or nobody waits for the answer any more. */
  async unprovenOnceReached(certificates: readonly Certificate[], over: () => boolean): Promise<DeviceId[]> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.unproven(certificates)
      } catch (error) {
        const passing = error instanceof ClientProblem && (error.code === 'NETWORK' || error.status === 503)
        if (!passing || over()) throw error
        await sleep(this.#platform, backOff(this.#platform, attempt, 500, 10_000))
      }
    }
  }

  async #unknown(certificates: readonly Certificate[]): Promise<Certificate[]> {
    const unknown: Certificate[] = []
    for (const certificate of certificates) {
      const { hash } = certificate
      if (this.#proven.has(hash)) continue
      if ((await this.#store.get(provenName(hash))) === undefined) unknown.push(certificate)
      else this.#proven.add(hash)
    }
    return unknown
  }

  async #ask(certificates: readonly Certificate[]): Promise<DeviceId[]> {
    const wanted = new Map((await this.#unknown(certificates)).map((certificate) => [certificate.hash, certificate]))
    const hashes = [...wanted.keys()]
    for (let first = 0; first < hashes.length; first += atOnce)
      await this.#prove(hashes.slice(first, first + atOnce), wanted)
    return [...wanted.values()].filter(({ hash }) => !this.#proven.has(hash)).map(({ device }) => device)
  }

  async #prove(hashes: readonly string[], wanted: ReadonlyMap<string, Certificate>): Promise<void> {
    const older = (await this.#store.get(seenName)) as Seen | undefined
    const body = { certificates: hashes, ...(older === undefined ? {} : { seen: older.size }) }
    const answer = await this.#transport.request<Proofs>('POST', '/v1/certificates/proofs', body)
    try {
      const [line = ''] = this.#pins().logKeys
      const directory = (await parseNoteKey(line)).name.split('/').at(-1) ?? ''
      const keys = await logKeysOf(this.#pins(), directory)
      const seen = await verifyCheckpoint(answer.checkpoint, keys, older, answer.consistency)
      for (const { certificate: hash, leaf: text, proof } of answer.proofs) {
        const certificate = wanted.get(hash)
        const { log, index, kind, subject, digest } = parseLeaf(text)
        const meant =
          log === directory && kind === 'device.certified' && subject === certificate?.device && digest === hash
        demand(meant, 'DIRECTORY', 'The directory log was answered with another entry than was asked for.')
        const root = fromBase64url(seen.root)
        const holds = await verifyInclusion(await leafHash(text), index, seen.size, proof.map(fromBase64url), root)
        demand(holds, 'DIRECTORY', 'The directory log does not hold the entry that was shown of it.')
        this.#proven.add(hash)
      }
      const proven = hashes.filter((hash) => this.#proven.has(hash))
      await this.#store.write([
        { name: seenName, value: seen },
        ...proven.map((hash) => ({ name: provenName(hash), value: true })),
      ])
    } catch (cause) {
      if (!(cause instanceof ProtocolError)) throw cause
      throw refuse('DIRECTORY_ALTERED', cause.message, { reason: cause.code }, cause)
    }
  }
}
