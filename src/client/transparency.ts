import {
  ProtocolError,
  demand,
  digestOf,
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
import { ClientProblem, isProblem, refuse } from './problem.ts'
import { verifyCheckpoint, type SeenCheckpoint } from './receipt.ts'
import type { Change, ClientStore } from './store.ts'
import type { Transport } from './transport.ts'
import { WitnessWatch, type WatchedLog } from './witness-watch.ts'

interface Proofs {
  readonly checkpoint: string
  readonly consistency?: readonly string[]
  readonly proofs: readonly { readonly certificate: string; readonly leaf: string; readonly proof: readonly string[] }[]
}

const mostProofsPerRequest = 500
const seenName = 'directory/seen'
const provenName = (hash: string) => `directory/proven/${hash}`
const sealName = (device: string) => `directory/seal/${device}`

/**
 * Key transparency: a device counts only once the directory log, whose checkpoints this device
 * follows, is proven to hold its certificate (RFC 9162, 2.1.3). A secret certificate is therefore
 * visible to every reader of that log.
 */
export class Transparency {
  readonly #platform: Platform
  readonly #transport: Transport
  readonly #store: ClientStore
  readonly #pins: () => Pins
  readonly #proven = new Set<string>()
  /** SHA-256 of the sealing key of each device, as it was first proven. */
  readonly #seals = new Map<DeviceId, string>()
  #asking: Promise<unknown> = Promise.resolve()
  #seen: SeenCheckpoint | undefined
  #watching: Promise<WitnessWatch> | undefined
  #forked: string | undefined

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

  /**
   * Throws DEVICE_HIDDEN, with the devices, unless the directory log holds all these certificates.
   * Where witnesses are pinned, they must also have cosigned the directory log: throws
   * DIRECTORY_ALTERED where they cosigned another log, WITNESSES_MISSING where they have not
   * cosigned it in time.
   */
  async require(certificates: readonly Certificate[]): Promise<void> {
    const devices = await this.unproven(certificates)
    if (devices.length === 0) return this.#requireWitnessed()
    const detail = `The directory log does not hold the certificates of ${devices.length === 1 ? 'a device' : `${String(devices.length)} devices`} that this would be sealed for.`
    throw refuse('DEVICE_HIDDEN', detail, { devices })
  }

  /**
   * The devices whose certificate the directory log does not hold, or whose sealing key is not the
   * one that was first proven: a device keeps its sealing key for ever, in every operation. A
   * certificate that was proven once stays proven. Where the service must be asked for one of them,
   * it is asked for those `beside` them in one request.
   */
  async unproven(certificates: readonly Certificate[], beside: Iterable<Certificate> = []): Promise<DeviceId[]> {
    const missing = await this.#unknown(certificates)
    if (missing.length === 0) return this.#changed(certificates)
    // One request after another: the log must have grown from the checkpoint of the answer before.
    const asked = this.#asking.then(() => this.#ask([...missing, ...beside]))
    this.#asking = asked.catch(() => {})
    return [...(await asked), ...(await this.#changed(certificates))]
  }

  async #requireWitnessed(): Promise<void> {
    const watch = await this.#watch()
    await watch.refresh()
    if (this.#forked !== undefined) throw refuse('DIRECTORY_ALTERED', this.#forked, { reason: 'WITNESSES' })
    watch.require()
  }

  #watch(): Promise<WitnessWatch> {
    this.#watching ??= this.#startWatching()
    return this.#watching
  }

  async #startWatching(): Promise<WitnessWatch> {
    this.#seen ??= (await this.#store.get(seenName)) as SeenCheckpoint | undefined
    const watched: WatchedLog = {
      log: await this.#directory(),
      prefix: 'directory/',
      platform: this.#platform,
      store: this.#store,
      transport: this.#transport,
      pins: this.#pins,
      position: () => (this.#seen?.size ?? 0) - 1,
      seen: () => this.#seen,
    }
    const watch = new WitnessWatch(watched, () => {
      this.#forked = 'The witnesses cosigned another directory log than the one that this device was shown.'
    })
    await watch.load()
    return watch
  }

  /** The id of the directory log, which its keys name. */
  async #directory(): Promise<string> {
    const [line = ''] = this.#pins().logKeys
    return (await parseNoteKey(line)).name.split('/').at(-1) ?? ''
  }

  async #changed(certificates: readonly Certificate[]): Promise<DeviceId[]> {
    const changed: DeviceId[] = []
    for (const { device, keys, hash } of certificates) {
      const kept = this.#seals.get(device) ?? ((await this.#store.get(sealName(device))) as string | undefined)
      if (kept !== undefined) this.#seals.set(device, kept)
      if (kept !== undefined && kept !== (await digestOf(keys.seal.pub)) && this.#proven.has(hash)) changed.push(device)
    }
    return changed
  }

  /**
   * Answers as `unproven` does. A service that cannot be reached is asked again until it answers,
   * or until `over` is true.
   */
  async unprovenOnceReached(
    certificates: readonly Certificate[],
    over: () => boolean,
    beside: Iterable<Certificate> = [],
  ): Promise<DeviceId[]> {
    for (let attempt = 0; ; attempt++) {
      try {
        return await this.unproven(certificates, beside)
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

  async #newSeals(certificates: readonly Certificate[]): Promise<Change[]> {
    const changes: Change[] = []
    for (const { device, keys } of certificates) {
      if (this.#seals.has(device) || (await this.#store.get(sealName(device))) !== undefined) continue
      const seal = await digestOf(keys.seal.pub)
      this.#seals.set(device, seal)
      changes.push({ name: sealName(device), value: seal })
    }
    return changes
  }

  async #ask(certificates: readonly Certificate[]): Promise<DeviceId[]> {
    const wanted = new Map((await this.#unknown(certificates)).map((certificate) => [certificate.hash, certificate]))
    const hashes = [...wanted.keys()]
    for (let first = 0; first < hashes.length; first += mostProofsPerRequest)
      await this.#prove(hashes.slice(first, first + mostProofsPerRequest), wanted)
    return [...wanted.values()].filter(({ hash }) => !this.#proven.has(hash)).map(({ device }) => device)
  }

  async #prove(hashes: readonly string[], wanted: ReadonlyMap<string, Certificate>): Promise<void> {
    const older = (await this.#store.get(seenName)) as SeenCheckpoint | undefined
    const body = { certificates: hashes, ...(older === undefined ? {} : { seen: older.size }) }
    const answer = await this.#transport
      .request<Proofs>('POST', '/v1/certificates/proofs', body)
      .catch((error: unknown) => {
        if (older === undefined || !isProblem(error, 'NOT_FOUND')) throw error
        throw refuse('LOG_SET_BACK', 'The service holds an older copy of the directory log than this device has seen.')
      })
    try {
      const directory = await this.#directory()
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
        ...(await this.#newSeals(proven.flatMap((hash) => wanted.get(hash) ?? []))),
      ])
      this.#seen = seen
      await (await this.#watch()).accepted()
    } catch (cause) {
      if (!(cause instanceof ProtocolError)) throw cause
      throw refuse('DIRECTORY_ALTERED', cause.message, { reason: cause.code }, cause)
    }
  }
}
