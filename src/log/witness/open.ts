import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { formatNoteKey, type LogKeys, type NoteSigner } from '../../protocol/index.ts'
import { makeKeyFile, readKeyFile } from '../key-file.ts'
import { witnessApp } from './routes.ts'
import { WitnessFault, WitnessState } from './state.ts'
import { Throttle } from './throttle.ts'
import { TrustedHosts } from './trust.ts'
import { Cosigner } from './witness.ts'

export interface WitnessOptions {
  /**
   * Directory of the witness's key, its name and what it has cosigned; made where it is missing.
   */
  readonly directory: string
  /** The name of its keys, given once; later starts may leave it out. */
  readonly name: string | undefined
  /** The keys of the logs that the witness cosigns, by host. */
  readonly hosts: ReadonlyMap<string, LogKeys>
  readonly clock: () => Date
  readonly logLevel: string
  readonly logTo?: Writable
  /** Requests of one address: 50 a second, 200 at once, unless given. */
  readonly rate?: { readonly perSecond: number; readonly burst: number }
  /** Milliseconds in which a request must have come whole; 10,000 unless given. */
  readonly requestTimeoutMs?: number
}

export interface RunningWitness {
  readonly name: string
  /** Ed25519 cosignature, ML-DSA-44 cosignature. */
  readonly verifierKeys: readonly string[]
  /** Listens, and answers the address. */
  listen(where: { host: string; port: number }): Promise<string>
  /** Answers the requests that are under way, and ends. */
  close(): Promise<void>
}

// The characters that a name of a key may hold (C2SP signed-note), and the longest name that an
// ML-DSA-44 cosignature can hold.
const namePattern = /^[^\s+\p{Cc}\p{Default_Ignorable_Code_Point}\p{Bidi_Control}]+$/u
const longestNameBytes = 255

/**
 * Makes a witness ready to listen. `WitnessFault` or `KeyFileFault` where the directory cannot be
 * used.
 */
export async function openWitness(options: WitnessOptions): Promise<RunningWitness> {
  const { directory, hosts, clock, logLevel, logTo } = options
  const state = await WitnessState.open(directory)
  try {
    const signers = await openSigners(directory, options.name)
    const trusted = new TrustedHosts(hosts)
    const witness = new Cosigner({
      state,
      signers,
      clock,
      keysOf: (origin) => trusted.keysOf(origin),
      onInconsistent: (origin, held, shown) =>
        app.log.error({ origin, held, shown }, 'a log showed a checkpoint that does not follow from what was cosigned'),
    })
    const throttle = new Throttle({ perSecond: 50, burst: 200, ...options.rate, now: () => performance.now() })
    const requestTimeoutMs = options.requestTimeoutMs ?? 10_000
    const app = witnessApp(witness, {
      logLevel,
      throttle,
      requestTimeoutMs,
      ...(logTo === undefined ? {} : { logTo }),
    })
    return {
      name: signers[0].name,
      verifierKeys: await Promise.all(signers.map(formatNoteKey)),
      listen: (where) => app.listen(where),
      async close() {
        await app.close()
        await witness.idle()
        state.close()
      },
    }
  } catch (error) {
    state.close()
    throw error
  }
}

/**
 * Answers the verifier keys of the witness in a directory, also while it runs; undefined where
 * there is none. WitnessFault where it has another name than `given`.
 */
export async function witnessKeys(directory: string, given?: string): Promise<readonly string[] | undefined> {
  const name = await readName(directory)
  if (name !== undefined) requireSameName(name, given)
  const signers = name === undefined ? undefined : readSigners(directory, name)
  return signers && Promise.all(signers.map(formatNoteKey))
}

function requireSameName(name: string, given: string | undefined): void {
  if (given !== undefined && given !== name)
    throw new WitnessFault(
      `this witness is named ${name}, for good: another name is another witness, in another directory`,
    )
}

async function openSigners(directory: string, given: string | undefined): Promise<readonly [NoteSigner, NoteSigner]> {
  const kept = await readName(directory)
  const name = kept ?? given
  if (name === undefined) throw new WitnessFault('a new witness needs a name: give --name')
  requireSameName(name, given)
  if (!namePattern.test(name) || Buffer.byteLength(name) > longestNameBytes)
    throw new WitnessFault(
      'the name of a witness has 1 to 255 bytes, no space, no plus and nothing that is not shown, such as witness.customs.example',
    )
  // First the name: a key without one would not know whose it is.
  if (kept === undefined) await writeFile(join(directory, 'name'), `${name}\n`, { mode: 0o600, flush: true })
  if (readSigners(directory, name) === undefined) makeKeyFile(keyFile(directory))
  const signers = readSigners(directory, name)
  if (signers === undefined) throw new WitnessFault(`the key in ${directory} was removed while it was made`)
  return signers
}

const keyFile = (directory: string) => join(directory, 'witness.key')

async function readName(directory: string): Promise<string | undefined> {
  try {
    return (await readFile(join(directory, 'name'), 'utf8')).trim() || undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function readSigners(directory: string, name: string): readonly [NoteSigner, NoteSigner] | undefined {
  const keys = readKeyFile(keyFile(directory))
  if (keys === undefined) return undefined
  const { ed25519, mlDsa44 } = keys
  return [
    { name, algorithm: 'Ed25519 cosignature', publicKey: ed25519.publicKey, sign: (bytes) => ed25519.sign(bytes) },
    { name, algorithm: 'ML-DSA-44 cosignature', publicKey: mlDsa44.publicKey, sign: (bytes) => mlDsa44.sign(bytes) },
  ]
}
