import { base64, openNote, utf8, sha256, hex, type Witness } from '../protocol/index.ts'

/** What a witness answers to a checkpoint. */
export type WitnessReply =
  | { readonly is: 'cosigned'; readonly lines: string; readonly at: number }
  /** The witness holds another size than the proof began with. */
  | { readonly is: 'elsewhere'; readonly size: number }
  /** The witness says that the checkpoint does not follow from the one that it holds. */
  | { readonly is: 'refused' }

/** Thrown where a witness could not be asked, or did not answer as tlog-witness says. */
export class WitnessFailure extends Error {
  /** Whether the failure concerns the witness as a whole, and not the one log. */
  readonly away: boolean

  constructor(message: string, options: ErrorOptions & { away: boolean }) {
    super(message, options)
    this.name = 'WitnessFailure'
    this.away = options.away
  }
}

const longestAnswerBytes = 128 * 1024

/** Speaks C2SP tlog-witness with one witness. It verifies every cosignature that it gives back. */
export class WitnessClient {
  readonly witness: Witness
  readonly #url: string
  readonly #timeout: number

  /** `timeout`: milliseconds that an answer may take. */
  constructor(witness: Witness, url: string, timeout: number) {
    this.witness = witness
    this.#url = url
    this.#timeout = timeout
  }

  async add(
    input: { old: number; proof: readonly Uint8Array[]; note: string },
    signal: AbortSignal,
  ): Promise<WitnessReply> {
    const { old, proof, note } = input
    const body = [`old ${old}`, ...proof.map(base64), '', note].join('\n')
    const { status, type, text } = await this.#ask('/add-checkpoint', { method: 'POST', body }, signal)
    if (status === 200) return this.#cosigned(note, text)
    if (status === 422) return { is: 'refused' }
    const size = Number(/^(0|[1-9][0-9]{0,15})\n$/.exec(text)?.[1] ?? NaN)
    if (status === 409 && type === 'text/x.tlog.size' && Number.isSafeInteger(size)) return { is: 'elsewhere', size }
    throw this.#unexpected(status)
  }

  /**
   * Answers the checkpoint that the witness holds of a log, a note whose signatures the caller
   * verifies; undefined where it holds none.
   */
  async held(origin: string, signal: AbortSignal): Promise<string | undefined> {
    const { status, text } = await this.#ask(`/${hex(await sha256(utf8(origin)))}/checkpoint`, {}, signal)
    if (status === 404) return undefined
    if (status !== 200) throw this.#unexpected(status)
    return text
  }

  /** Answers the lines of the keys that are known, each once; leaves out all others. */
  async #cosigned(note: string, answer: string): Promise<WitnessReply> {
    const { keys } = this.witness
    const text = note.slice(0, note.indexOf('\n\n') + 2)
    try {
      const { signatures } = await openNote(`${text}${answer}`, keys)
      const own = keys.map((key) => signatures.find((one) => one.key === key && one.timestamp > 0))
      const given = own.filter((one) => one !== undefined)
      if (given.length < keys.length) throw new Error('a cosignature of one of its keys is missing')
      const at = Math.min(...given.map(({ timestamp }) => timestamp))
      return { is: 'cosigned', lines: given.map(({ line }) => line).join(''), at }
    } catch (cause) {
      throw new WitnessFailure(`it answered without right cosignatures: ${(cause as Error).message}`, {
        away: false,
        cause,
      })
    }
  }

  #unexpected(status: number): WitnessFailure {
    const known: Readonly<Record<number, string>> = {
      403: 'it does not accept the signatures of this log (403): give it the keys that `cordon log-keys` prints',
      404: 'it does not know this log (404): give it the keys that `cordon log-keys` prints',
    }
    return new WitnessFailure(known[status] ?? `it answered ${status}`, { away: status >= 500 || status === 429 })
  }

  async #ask(
    path: string,
    init: RequestInit,
    signal: AbortSignal,
  ): Promise<{ status: number; type: string | null; text: string }> {
    try {
      const signals = AbortSignal.any([signal, AbortSignal.timeout(this.#timeout)])
      const response = await fetch(`${this.#url}${path}`, { ...init, redirect: 'error', signal: signals })
      const type = response.headers.get('content-type')
      return { status: response.status, type, text: await readBounded(response) }
    } catch (cause) {
      const { name, message, cause: under } = cause as Error
      const why =
        name === 'TimeoutError' ? 'it did not answer in time' : `it cannot be reached: ${reason(under, message)}`
      throw new WitnessFailure(why, { away: true, cause })
    }
  }
}

function reason(under: unknown, otherwise: string): string {
  const { code } = (under ?? {}) as { code?: unknown }
  return typeof code === 'string' ? code : otherwise
}

async function readBounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response.body ?? []) {
    length += part.length
    if (length > longestAnswerBytes) throw new Error('its answer is too long')
    parts.push(part)
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
}
