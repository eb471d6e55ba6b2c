import type { Checkpoint } from './checkpoint.ts'
import { base64 } from './encoding.ts'
import { ProtocolError, demand } from './errors.ts'
import { openCheckpoint, openNote, parseNoteKey, type NoteKey } from './note.ts'

/**
 * The witnesses and the quorum that make a checkpoint final: a file of C2SP tlog-policy that was
 * read.
 */
export interface WitnessPolicy {
  readonly witnesses: readonly Witness[]
  readonly quorum: Rule
}

/**
 * A witness: all keys of one name. It has cosigned once every key has, so that a policy that lists
 * its Ed25519 and its ML-DSA-44 key demands both.
 */
export interface Witness {
  /** The name of the keys. */
  readonly name: string
  readonly keys: readonly NoteKey[]
  /**
   * The address to which checkpoints are submitted (tlog-witness, "submission prefix"), without a
   * slash at its end.
   */
  readonly url: string | undefined
}

/** A rule that is satisfied once `least` of its parts are; a part is another rule or a key. */
export interface Rule {
  readonly least: number
  readonly of: readonly (Rule | NoteKey)[]
}

const mostPolicyCharacters = 512 * 1024
const mostNamesInPolicy = 128
const cosigning = ['Ed25519 cosignature', 'ML-DSA-44 cosignature']

/**
 * Reads a policy. `witnesses` gives the number of witnesses that make the quorum, instead of the
 * quorum line, which may then be absent. Lines of logs are read and ignored: Cordon knows by other
 * means which keys sign a log. Throws `ProtocolError` POLICY with the number of the line.
 */
export async function parseWitnessPolicy(text: string, witnesses?: number): Promise<WitnessPolicy> {
  demand(text.length <= mostPolicyCharacters, 'POLICY', 'A policy is a short text.')
  const reading = new PolicyReader()
  for (const [i, line] of text.split('\n').entries()) {
    try {
      await reading.take(line)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      throw new ProtocolError('POLICY', `Line ${i + 1} of the policy: ${error.message}`, { cause: error })
    }
  }
  return reading.finish(witnesses)
}

class PolicyReader {
  readonly #names = new Map<string, Rule | NoteKey>()
  readonly #members = new Set<string>()
  readonly #publicKeys = new Set<string>()
  readonly #witnesses = new Map<string, { keys: NoteKey[]; url: string | undefined }>()
  #quorum: Rule | undefined

  async take(line: string): Promise<void> {
    demand(!/[\u0000-\u0008\u000a-\u001f\u007f]/.test(line), 'POLICY', 'it has a control character.')
    const words = line.split(/[ \t]+/).filter((word) => word !== '')
    const [first = '', ...rest] = words
    if (first === '' || first.startsWith('#')) return
    if (first === 'log') return this.#log(rest)
    if (first === 'witness') return this.#witness(rest)
    if (first === 'group') return this.#group(rest)
    if (first === 'quorum') return this.#setQuorum(rest)
    throw new ProtocolError('POLICY', 'it begins with none of log, witness, group and quorum.')
  }

  async #log([vkey = '', , ...more]: string[]): Promise<void> {
    demand(vkey !== '' && more.length === 0, 'POLICY', 'a log is: log VKEY [URL].')
    const { algorithm, publicKey } = await parseNoteKey(vkey)
    demand(algorithm !== 'Ed25519 cosignature', 'POLICY', 'this key is a key of a witness.')
    this.#once(publicKey)
  }

  async #witness([name = '', vkey = '', url, ...more]: string[]): Promise<void> {
    demand(vkey !== '' && more.length === 0, 'POLICY', 'a witness is: witness NAME VKEY [URL].')
    const key = await parseNoteKey(vkey)
    demand(cosigning.includes(key.algorithm), 'POLICY', 'this key is no key of a witness.')
    this.#once(key.publicKey)
    this.#define(name, key)
    const prefix = url === undefined ? undefined : prefixOf(url)
    const known = this.#witnesses.get(key.name)
    demand(
      known === undefined || known.url === prefix,
      'POLICY',
      `the keys named ${key.name} belong to one witness and have one URL.`,
    )
    if (known === undefined) this.#witnesses.set(key.name, { keys: [key], url: prefix })
    else known.keys.push(key)
  }

  #group([name = '', threshold = '', ...members]: string[]): void {
    demand(members.length > 0, 'POLICY', 'a group is: group NAME all|any|NUMBER NAME….')
    const number = /^[1-9][0-9]{0,3}$/.test(threshold) ? Number(threshold) : NaN
    const least = threshold === 'all' ? members.length : threshold === 'any' ? 1 : number
    demand(least >= 1 && least <= members.length, 'POLICY', 'a group needs all, any, or a number of its members.')
    const of = members.map((member) => {
      demand(!this.#members.has(member), 'POLICY', `${member} is a member already.`)
      this.#members.add(member)
      return this.#find(member)
    })
    this.#define(name, { least, of })
  }

  #setQuorum([name = '', ...more]: string[]): void {
    demand(name !== '' && more.length === 0, 'POLICY', 'the quorum is: quorum NAME.')
    demand(this.#quorum === undefined, 'POLICY', 'the quorum is given already.')
    this.#quorum = name === 'none' ? { least: 0, of: [] } : { least: 1, of: [this.#find(name)] }
  }

  finish(count: number | undefined): WitnessPolicy {
    const witnesses = [...this.#witnesses].map(([name, { keys, url }]) => ({ name, keys: keys.sort(byAlgorithm), url }))
    if (count === undefined) {
      demand(this.#quorum !== undefined, 'POLICY', 'The policy has no quorum.')
      return { witnesses, quorum: this.#quorum }
    }
    demand(count >= 1 && count <= witnesses.length, 'POLICY', `The policy has ${witnesses.length} witnesses.`)
    return { witnesses, quorum: { least: count, of: witnesses.map(({ keys }) => ({ least: keys.length, of: keys })) } }
  }

  #define(name: string, what: Rule | NoteKey): void {
    demand(name !== 'none' && !this.#names.has(name), 'POLICY', `the name ${name} is taken.`)
    demand(this.#names.size < mostNamesInPolicy, 'POLICY', `there are more than ${mostNamesInPolicy} names.`)
    this.#names.set(name, what)
  }

  #find(name: string): Rule | NoteKey {
    const found = this.#names.get(name)
    demand(found !== undefined, 'POLICY', `nothing above is named ${name}.`)
    return found
  }

  #once(publicKey: Uint8Array): void {
    const text = base64(publicKey)
    demand(!this.#publicKeys.has(text), 'POLICY', 'this key stands in the policy already.')
    this.#publicKeys.add(text)
  }
}

const byAlgorithm = (a: NoteKey, b: NoteKey) => cosigning.indexOf(a.algorithm) - cosigning.indexOf(b.algorithm)

function prefixOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const fits = parsed !== undefined && /^https?:$/.test(parsed.protocol) && parsed.search === '' && parsed.hash === ''
  demand(fits, 'POLICY', 'the URL of a witness begins with https:// (or http://) and has no query.')
  return parsed.href.replace(/\/+$/, '')
}

/** Whether a checkpoint that these keys have cosigned reaches the quorum. */
export function isQuorum(rule: Rule, cosigned: (key: NoteKey) => boolean): boolean {
  const right = rule.of.filter((part) => ('of' in part ? isQuorum(part, cosigned) : cosigned(part)))
  return right.length >= rule.least
}

/** The least number of keys that can reach the quorum. */
export function fewestKeys({ least, of }: Rule): number {
  const needed = of.map((part) => ('of' in part ? fewestKeys(part) : 1)).sort((a, b) => a - b)
  return needed.slice(0, least).reduce((sum, keys) => sum + keys, 0)
}

/** A checkpoint with the quorum of its witnesses. */
export interface WitnessedCheckpoint extends Checkpoint {
  /**
   * The latest time that a cosignature states, in seconds since the epoch; 0 where the policy
   * demands no cosignature.
   */
  readonly cosignedAt: number
}

/**
 * Opens a checkpoint that all these keys of its log signed and that the quorum of witnesses
 * cosigned. Throws `ProtocolError` WITNESSES where cosignatures are missing; NOTE_SIGNATURE where a
 * signature of a known key is wrong.
 */
export async function openWitnessed(
  note: string,
  logKeys: readonly NoteKey[],
  { witnesses, quorum }: WitnessPolicy,
): Promise<WitnessedCheckpoint> {
  const checkpoint = await openCheckpoint(note, ...logKeys)
  // The keys of the log are among these keys: a note without any cosignature is then no error here.
  const { signatures } = await openNote(note, [...logKeys, ...witnesses.flatMap(({ keys }) => keys)])
  const times = new Map(signatures.map(({ key, timestamp }) => [key, timestamp]))
  // A cosignature of a witness always states a time.
  const cosigned = (key: NoteKey) => (times.get(key) ?? 0) > 0
  demand(isQuorum(quorum, cosigned), 'WITNESSES', 'This checkpoint lacks cosignatures that the policy demands.')
  return { ...checkpoint, cosignedAt: Math.max(0, ...times.values()) }
}
