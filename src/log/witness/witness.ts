import {
  ProtocolError,
  equalBytes,
  openNote,
  parseExtendedCheckpoint,
  signatureLines,
  verifyConsistency,
  type Checkpoint,
  type NoteKey,
  type NoteSignature,
  type NoteSigner,
} from '../../protocol/index.ts'
import { hasher } from '../hashing.ts'
import { parseSubmission, type Submission } from './request.ts'
import { WitnessFault, hashOfOrigin, type WitnessState } from './state.ts'

/** An answer of tlog-witness. */
export interface Answer {
  readonly status: 200 | 400 | 403 | 404 | 409 | 422
  readonly type: 'text/plain; charset=utf-8' | 'text/x.tlog.size'
  readonly body: string
}

export interface WitnessDeps {
  readonly state: WitnessState
  /** Both keys of the witness: every checkpoint is cosigned with each. */
  readonly signers: readonly NoteSigner[]
  /**
   * Answers all the keys that must have signed a checkpoint of this origin; undefined for a log
   * that is not witnessed here.
   */
  keysOf(origin: string): readonly NoteKey[] | undefined
  readonly clock: () => Date
  /**
   * Hears that a log signed a checkpoint that was not shown to follow from the held one; both
   * notes, each signed by the log.
   */
  onInconsistent(origin: string, held: string, shown: string): void
}

interface HeldCheckpoint extends Checkpoint {
  readonly note: string
}

/**
 * The witness of C2SP tlog-witness: cosigns a checkpoint only if it follows from the last one that
 * it cosigned.
 */
export class Cosigner {
  readonly #deps: WitnessDeps
  readonly #working = new Map<string, Promise<unknown>>()

  constructor(deps: WitnessDeps) {
    this.#deps = deps
  }

  /**
   * Answers add-checkpoint. A checkpoint that it answers with 200 survives a crash from then on.
   */
  async add(body: Uint8Array): Promise<Answer> {
    let submission: Submission
    try {
      submission = parseSubmission(body)
    } catch (error) {
      if (error instanceof ProtocolError) return refused(400, error.message)
      throw error
    }
    const { checkpoint, old, note } = submission
    const keys = this.#deps.keysOf(checkpoint.origin)
    if (keys === undefined) return refused(404, 'This log is not witnessed here.')
    const signatures = await signaturesOf(note, keys)
    if ('status' in signatures) return signatures
    if (old > checkpoint.size) return refused(400, 'The old size is above that of the checkpoint.')
    const hash = await hashOfOrigin(checkpoint.origin)
    return this.#alone(hash, () => this.#cosign(hash, submission, signatures))
  }

  /**
   * Answers the newest checkpoint that was cosigned for the log whose origin has this SHA-256, with
   * its signatures and cosignatures.
   */
  async newest(hash: string): Promise<string | undefined> {
    return /^[0-9a-f]{64}$/.test(hash) ? this.#deps.state.read(hash) : undefined
  }

  /** Resolves once no request is under way. */
  async idle(): Promise<void> {
    while (this.#working.size > 0) await Promise.allSettled(this.#working.values())
  }

  async #cosign(hash: string, submission: Submission, signatures: readonly NoteSignature[]): Promise<Answer> {
    const { checkpoint, text, note } = submission
    const held = await this.#held(hash, checkpoint.origin)
    const last = held?.size ?? 0
    if (submission.old !== last) return { status: 409, type: 'text/x.tlog.size', body: `${last}\n` }
    const wrong = await inconsistency(submission, held)
    if (wrong !== undefined) {
      if (held !== undefined) this.#deps.onInconsistent(checkpoint.origin, held.note, note)
      return refused(422, wrong)
    }
    const lines = await signatureLines(text, this.#deps.signers, this.#seconds())
    await this.#deps.state.write(hash, `${text}\n${signatures.map(({ line }) => line).join('')}${lines}`)
    return { status: 200, type: plain, body: lines }
  }

  /**
   * Answers the checkpoint that the witness holds of a log. `WitnessFault` where the file is not
   * the text that this witness wrote: a witness that began again would cosign another tree.
   */
  async #held(hash: string, origin: string): Promise<HeldCheckpoint | undefined> {
    const note = await this.#deps.state.read(hash)
    if (note === undefined) return undefined
    const { signers } = this.#deps
    try {
      const { text, signatures } = await openNote(note, signers)
      const checkpoint = parseExtendedCheckpoint(text)
      if (signers.every((key) => signatures.some((one) => one.key === key)) && checkpoint.origin === origin)
        return { ...checkpoint, note }
    } catch (cause) {
      throw new WitnessFault(`checkpoints/${hash} is damaged: put it back from a backup`, { cause })
    }
    throw new WitnessFault(`checkpoints/${hash} was not written by this witness: put it back from a backup`)
  }

  #seconds(): number {
    const seconds = Math.floor(this.#deps.clock().getTime() / 1_000)
    // In a cosignature 0 means that no time is stated.
    if (seconds < 1) throw new WitnessFault('the clock of this machine stands before 1970: set it')
    return seconds
  }

  /**
   * Runs one work at a time for each log: between reading the last cosigned checkpoint and writing
   * the next, no other work does either.
   */
  #alone<T>(hash: string, work: () => Promise<T>): Promise<T> {
    const before = this.#working.get(hash) ?? Promise.resolve()
    const mine = before.then(work, work)
    const settled = mine
      .catch(() => {})
      .finally(() => {
        if (this.#working.get(hash) === settled) this.#working.delete(hash)
      })
    this.#working.set(hash, settled)
    return mine
  }
}

const plain = 'text/plain; charset=utf-8'

function refused(status: 400 | 403 | 404 | 422, why: string): Answer {
  return { status, type: plain, body: `${why}\n` }
}

/** Answers the signatures of the log's own keys, all of which must have signed. */
async function signaturesOf(note: string, keys: readonly NoteKey[]): Promise<readonly NoteSignature[] | Answer> {
  try {
    const { signatures } = await openNote(note, keys)
    const own = keys.map((key) => signatures.find((one) => one.key === key))
    const missing = own.findIndex((one) => one === undefined)
    if (missing >= 0) return refused(403, `This checkpoint lacks the ${keys[missing]?.algorithm} of its log.`)
    return own.filter((one) => one !== undefined)
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    return refused(error.code === 'NOTE_SIGNATURE' || error.code === 'NOTE_UNSIGNED' ? 403 : 400, error.message)
  }
}

/** Answers why a checkpoint does not follow from the last cosigned one; undefined where it does. */
async function inconsistency(
  { old, proof, checkpoint }: Submission,
  held: HeldCheckpoint | undefined,
): Promise<string | undefined> {
  const { size, root } = checkpoint
  if (size === 0 && !equalBytes(root, hasher.empty)) return 'An empty tree has the root of nothing.'
  if (old === 0) return proof.length === 0 ? undefined : 'From an empty tree there is no proof.'
  if (held !== undefined && (await verifyConsistency(old, size, held.root, root, proof))) return undefined
  return 'The proof does not lead from the tree that was cosigned to this one.'
}
