import {
  ProtocolError,
  fewestKeys,
  isQuorum,
  parseNoteKey,
  parseWitnessPolicy,
  type LogKeys,
  type NoteKey,
  type WitnessPolicy,
} from '../protocol/index.ts'
import type { DeviceOptions } from './device.ts'
import { CommandFailure, exitCodes } from './failures.ts'
import type { Names } from './followed-operation.ts'
import { readTextFile } from './text-input.ts'
import { counted } from './words.ts'

export interface FileOptions extends DeviceOptions {
  readonly keys?: string
  readonly logKeys?: string
  readonly root?: string
  readonly witnessKeys?: string
  readonly quorum?: string
  readonly witnessPolicy?: string
  readonly statement?: string
  readonly body?: string
}

/** What a file is verified with. Nothing of it comes from the file. */
export interface FileTrust {
  readonly keys: LogKeys
  readonly host: string
  /** The thumbprint of the root; undefined where it was not given. */
  readonly root: string | undefined
  readonly witnesses: readonly NoteKey[]
  /** Whether those who cosigned are enough. */
  readonly isEnough: (cosigned: readonly NoteKey[]) => boolean
  /** How many witnesses must have cosigned, where a number is demanded; 0 otherwise. */
  readonly quorum: number
  /** What is demanded of the witnesses, in words; undefined where none is. */
  readonly demanded: string | undefined
  /** Names and the time zone of an operation, where the store of this device knows them. */
  readonly known: (operation: string) => Promise<{ readonly names: Names; readonly timeZone: string } | undefined>
}

/** Reads a file that a person named. Throws CommandFailure that says what it is. */
export async function readBeside(file: string, what: string): Promise<string> {
  try {
    return await readTextFile(file)
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    throw new CommandFailure(`${what} ${file} cannot be read (${(error as Error).message}).`)
  }
}

type Witnessed = Pick<FileTrust, 'witnesses' | 'isEnough' | 'quorum' | 'demanded'>

/** The witnesses that the options name; else those of the pinned policy, if any. */
export async function witnessesOf(options: FileOptions, pinned: WitnessPolicy | undefined): Promise<Witnessed> {
  if (options.witnessPolicy !== undefined && options.witnessKeys !== undefined)
    throw new CommandFailure('Choose one of --witness-policy and --witness-keys.', exitCodes.usage)
  if (options.witnessKeys !== undefined || options.quorum !== undefined) return byCount(options)
  const policy = options.witnessPolicy === undefined ? pinned : await readPolicy(options.witnessPolicy)
  if (policy === undefined) return { witnesses: [], quorum: 0, isEnough: () => true, demanded: undefined }
  const least = fewestKeys(policy.quorum)
  return {
    witnesses: policy.witnesses.flatMap(({ keys }) => keys),
    quorum: 0,
    isEnough: (cosigned) => isQuorum(policy.quorum, (key) => cosigned.includes(key)),
    demanded: least === 0 ? undefined : 'the quorum of the witness policy',
  }
}

async function readPolicy(file: string): Promise<WitnessPolicy> {
  try {
    return await parseWitnessPolicy(await readBeside(file, 'The witness policy'))
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw new CommandFailure(`${file} is no witness policy: ${error.message}`, exitCodes.usage)
  }
}

async function byCount({ witnessKeys, quorum }: FileOptions): Promise<Witnessed> {
  const witnesses = witnessKeys === undefined ? [] : await readWitnessKeys(witnessKeys)
  const least = readQuorum(quorum, witnesses)
  return {
    witnesses,
    quorum: least,
    isEnough: (cosigned) => new Set(cosigned.map(({ name }) => name)).size >= least,
    demanded: least === 0 ? undefined : counted(least, 'witness', 'witnesses'),
  }
}

async function readWitnessKeys(file: string): Promise<NoteKey[]> {
  const text = await readBeside(file, 'The file of witness keys')
  try {
    return await Promise.all(
      text
        .split('\n')
        .filter((line) => line.trim() !== '')
        .map(parseNoteKey),
    )
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw new CommandFailure(`${file} does not hold keys of witnesses, one a line: ${error.message}`, exitCodes.usage)
  }
}

function readQuorum(quorum: string | undefined, witnesses: readonly NoteKey[]): number {
  const names = new Set(witnesses.map(({ name }) => name)).size
  if (names === 0 && quorum !== undefined)
    throw new CommandFailure(
      '--quorum needs --witness-keys: a file with the verifier keys of the witnesses.',
      exitCodes.usage,
    )
  const wanted = quorum === undefined ? names : Number(quorum)
  if (Number.isInteger(wanted) && wanted >= 0 && wanted <= names) return wanted
  throw new CommandFailure(
    `--quorum is a whole number up to the ${counted(names, 'witness', 'witnesses')} named.`,
    exitCodes.usage,
  )
}
