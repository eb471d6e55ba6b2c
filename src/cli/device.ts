import { AsyncLocalStorage } from 'node:async_hooks'
import { existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Option, type Command } from 'commander'
import {
  Cordon,
  isProblem,
  keptOperations,
  pendingMessages,
  webPlatform,
  type CertifyOutcome,
  type Authenticator,
  type SignInEvidence,
} from '../client/index.ts'
import { FileStore, isWeakForStore } from '../client/node/index.ts'
import { agentPlace, canHoldAgent, isOwnPlace } from './agent/place.ts'
import { runByAgent } from './agent/run-by-agent.ts'
import { startAgent } from './agent/start.ts'
import { CommandFailure, exitCodes } from './failures.ts'
import { Interrupted } from './asking.ts'
import { invocation, type HeldDevice } from './invocation.ts'
import { inBrowser } from './passkey/browser.ts'
import { storePath } from './store-path.ts'
import { isolated, openTerminal, type Terminal } from './terminal.ts'
import { readTextFileNow } from './text-input.ts'
import { Patience } from './patience.ts'

export interface DeviceOptions {
  readonly json?: boolean
  readonly store?: string
}

/** How the person proves who they are, where an act needs a recent proof. */
export interface ProofOptions {
  readonly code?: string
  readonly passkey?: true
}

interface RunOptions extends DeviceOptions, ProofOptions {
  /** Whether the store is made where there is none. */
  readonly make?: boolean
  /** Whether the command handles Ctrl-C itself. */
  readonly endsItself?: boolean
}

/** The device on which a command acts: its store, opened, and the client of that store. */
export interface CommandDevice {
  readonly client: Cordon
  readonly store: FileStore
  readonly terminal: Terminal
  /** Tells the person that the command still waits for the service. */
  readonly patience: Patience
  /** Rejects with Interrupted once the person presses Ctrl-C. */
  readonly interrupted: Promise<never>
  /** Calls a function once the command has ended, so that the agent listens no longer for it. */
  readonly atEnd: (end: () => void) => void
}

const mostPassphraseCharacters = 4096

/** Adds the options of every command that acts on a device. */
export function onStore(command: Command): Command {
  return command
    .option('--store <path>', 'the encrypted store of this device (CORDON_STORE; ~/.cordon/store)')
    .option('--json', 'print the result as one JSON document')
}

/**
 * Opens the store, runs a command on it, and closes it, also after an interruption. Where the agent
 * holds the store, the agent runs the command; on a terminal the agent is started first.
 */
export async function onDevice(options: RunOptions, work: (device: CommandDevice) => Promise<void>): Promise<void> {
  const { held } = invocation()
  const path = storePath(options)
  if (held !== undefined) {
    if (held.path !== path) throw new CommandFailure(`The agent holds the store ${held.path}, and not ${path}.`)
    return act(held, options, work)
  }
  if (await agentRuns(path, options)) return
  const terminal = openTerminal({ json: options.json ?? false })
  const store = await openStore(terminal, options)
  const client = clientOf(store)
  try {
    await client.load()
    await act({ path, store, client }, options, work)
  } finally {
    await client.close()
    await store.close()
  }
}

/** Lets the agent of a store run the command of this process. Answers false where none does. */
async function agentRuns(path: string, options: RunOptions): Promise<boolean> {
  if (options.make === true) return false
  const code = (await runByAgent(path)) ?? (await startedFor(path, options))
  if (code === undefined) return false
  invocation().exitCode = code
  return true
}

/** Starts the agent where a person is at the terminal, and lets it run the command. */
async function startedFor(path: string, { json }: RunOptions): Promise<number | undefined> {
  const terminal = openTerminal({ json: json ?? false })
  if (!terminal.interactive || !existsSync(path) || !canHoldAgent(path)) return undefined
  const passphrase = await askStorePassphrase(terminal)
  // Another terminal may have started the agent meanwhile.
  const code = await runByAgent(path)
  if (code !== undefined) return code
  try {
    terminal.note(await startAgent(path, passphrase))
  } catch (error) {
    if (!(error instanceof CommandFailure) || error.extra['reason'] !== 'STORE_IN_USE') throw error
    const begun = await runByAgentWithin(path, agentBeginsWithinMs)
    if (begun === undefined) throw error
    return begun
  }
  return runByAgent(path)
}

/** Milliseconds within which an agent listens that another terminal has begun to start. */
const agentBeginsWithinMs = 5_000

async function runByAgentWithin(path: string, milliseconds: number): Promise<number | undefined> {
  for (let waitedMs = 0; waitedMs < milliseconds; waitedMs += 100) {
    const code = await runByAgent(path)
    if (code !== undefined) return code
    await sleep(100)
  }
  return undefined
}

/** The client of a store. What it sends for a command counts as sent by that command. */
export function clientOf(store: FileStore): Cordon {
  return new Cordon({
    store,
    platform: webPlatform(() => new Date(), {
      fetch: (url, init) => (acting.getStore()?.device.patience.fetch ?? fetch)(url, init),
    }),
    prove: async () => {
      const now = acting.getStore()
      // Work in the background has nobody who could prove it.
      if (now === undefined || now.ended) throw new CommandFailure('Nobody is here who could prove who acts.')
      await prove(now.device, now.options)
    },
  })
}

interface Acting {
  readonly device: CommandDevice
  readonly options: RunOptions
  ended: boolean
}

/** The command for which the running code works. The agent works for several at once. */
const acting = new AsyncLocalStorage<Acting>()

/** Runs a command on an open device. */
async function act(
  { client, store }: HeldDevice,
  options: RunOptions,
  work: (device: CommandDevice) => Promise<void>,
): Promise<void> {
  const terminal = openTerminal({ json: options.json ?? false })
  const patience = new Patience(terminal)
  const interrupted = new Promise<never>((_, reject) => {
    invocation().onStop(() => {
      // The next output begins on a line of its own, below a bar or a prompt.
      if (terminal.interactive) invocation().notes.write('\n')
      reject(new Interrupted())
    })
  })
  // The rejection may come while nothing awaits it.
  interrupted.catch(() => {})
  const endings: (() => void)[] = []
  const atEnd = (end: () => void) => void endings.push(end)
  const device: CommandDevice = { client, store, terminal, patience, interrupted, atEnd }
  const now: Acting = { device, options, ended: false }
  try {
    const working = acting.run(now, () => work(device))
    await (options.endsItself === true ? working : Promise.race([working, interrupted]))
  } finally {
    now.ended = true
    for (const end of endings) end()
    patience.stop()
    tellClock(client, terminal)
    await tellPending(store, terminal)
  }
}

/**
 * Runs a command as `onDevice` does, for a signed-in person: first certifies the newcomers that
 * wait for this device.
 */
export function asMember(options: RunOptions, work: (device: CommandDevice) => Promise<void>): Promise<void> {
  return onDevice(options, async (device) => {
    await beMember(device)
    await work(device)
  })
}

/** Certifies the newcomers that wait for this device, if it is certified itself. */
export async function beMember({ client, terminal }: CommandDevice): Promise<void> {
  // Only the service knows whether this device has been certified meanwhile.
  if (!client.self.certificate) await client.me()
  if (client.self.certificate) await certifyWaiting(client, terminal)
}

/** Certifies the newcomers that wait for this device, and says whom. Answers their ids. */
export async function certifyWaiting(client: Cordon, terminal: Terminal): Promise<string[]> {
  return tellCertified(await client.directory.certifyWaiting(), terminal)
}

export function tellCertified(outcomes: readonly CertifyOutcome[], terminal: Terminal): string[] {
  const certified: string[] = []
  for (const { person, organization, refused } of outcomes) {
    const who = `${isolated(person.name)} (${isolated(organization.name)})`
    if (!refused) certified.push(person.id)
    terminal.note(
      refused
        ? `Not certified: ${who}, because ${refused.message} Make a new invitation if that was not meant.`
        : `Certified: ${who} can now be admitted and read.`,
    )
  }
  return certified
}

function tellClock({ clockOff }: Cordon, terminal: Terminal): void {
  if (clockOff !== undefined)
    terminal.note(`The clock of this device is ${clockOff} that of the service, whose time is used: set it.`)
}

async function tellPending(store: FileStore, terminal: Terminal): Promise<void> {
  let pending = 0
  for (const operation of await keptOperations(store)) pending += (await pendingMessages(store, operation)).length
  if (pending > 0)
    terminal.note(
      `${pending === 1 ? 'One message has' : `${String(pending)} messages have`} no receipt yet: kept in the store, and sent by the next command on the operation. See them: cordon pending`,
    )
}

/** Throws CommandFailure where there is no store at this path. */
export function requireStore(path: string): void {
  if (!existsSync(path))
    throw new CommandFailure(
      `There is no store at ${path}: enrol this device first (cordon enrol INVITATION), or name its store with --store or CORDON_STORE.`,
    )
}

async function openStore(terminal: Terminal, options: RunOptions): Promise<FileStore> {
  const path = storePath(options)
  const exists = existsSync(path)
  if (options.make !== true) requireStore(path)
  const passphrase = await (exists ? askStorePassphrase(terminal) : askNewStorePassphrase(terminal))
  if (!exists) mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  try {
    return await FileStore.open(path, passphrase)
  } catch (error) {
    if (isProblem(error, 'STORE_IN_USE') && isOwnPlace(agentPlace(path)) === true)
      throw new CommandFailure(`The agent holds the store ${path}: lock it first (cordon lock).`)
    if (isProblem(error, 'STORE_PASSPHRASE') && !terminal.interactive)
      throw new CommandFailure(
        `The passphrase in CORDON_STORE_PASSPHRASE_FILE does not open the store ${path}: give the passphrase of that store.`,
        exitCodes.failed,
        { reason: error.code },
      )
    throw error
  }
}

const storePassphraseFile = 'CORDON_STORE_PASSPHRASE_FILE'

/** Asks for the passphrase of a store that exists. */
export function askStorePassphrase(terminal: Terminal): Promise<string> {
  return askPassphrase(terminal, { what: 'Passphrase of the store', file: storePassphraseFile, twice: false })
}

function askNewStorePassphrase(terminal: Terminal): Promise<string> {
  if (terminal.interactive)
    terminal.note(
      'The store is an encrypted file with the keys of this device. Its passphrase unlocks it;\nwith another passphrase you sign in to the service.',
    )
  const what = 'New passphrase for the store of this device (15 characters or more)'
  const refuse = (passphrase: string) =>
    Promise.resolve(
      isWeakForStore(passphrase) ? 'This is too short: 15 characters or more, such as five words.' : undefined,
    )
  return askPassphrase(terminal, { what, file: storePassphraseFile, twice: true, refuse })
}

/**
 * Runs work that needs evidence. Asks for the code of a second factor where the service demands it.
 */
export async function withCode<T>(
  terminal: Terminal,
  given: string | undefined,
  evidence: { readonly passphrase: string },
  work: (evidence: SignInEvidence) => Promise<T>,
): Promise<T> {
  try {
    return await work(given === undefined ? evidence : { ...evidence, code: given })
  } catch (error) {
    if (given !== undefined || !terminal.interactive || !isProblem(error, 'SECOND_FACTOR_REQUIRED')) throw error
    const code = await terminal.ask('Code of your authenticator app, or a recovery code: ')
    return work({ ...evidence, code: code.trim() })
  }
}

/** Adds the options of every command whose act needs a recent proof of identity. */
export function withProof(command: Command): Command {
  return orPasskey(
    command.option(
      '--code <code>',
      'code of your authenticator app, or a recovery code, where the service asks for it',
    ),
  )
}

/** Adds the option of every command that may ask for a proof of identity. */
export function orPasskey(command: Command): Command {
  const option = new Option('--passkey', 'prove who you are by a passkey, in a browser on this machine')
  return command.addOption(option.conflicts('code'))
}

/** The passkeys of the person to whom this device belongs, through a browser. */
export function passkeysOf(device: CommandDevice): Authenticator {
  return inBrowser(device, () => device.client.transport.server)
}

/** Proves to the service who acts, as the options say: by a passkey, or by the passphrase. */
async function prove(device: CommandDevice, { code, passkey }: RunOptions): Promise<void> {
  const { client, terminal } = device
  if (terminal.interactive) terminal.note('This act needs a proof that it is you: your last proof is too old for it.')
  if (passkey === true || (await client.factors.list()).passphrase === null)
    return client.factors.stepUpWith(passkeysOf(device))
  await withCode(terminal, code, { passphrase: await askSignIn(terminal) }, (evidence) =>
    client.factors.stepUp(evidence),
  )
}

const signInPassphraseFile = 'CORDON_PASSPHRASE_FILE'

/** Asks for the passphrase to sign in with. */
export function askSignIn(terminal: Terminal): Promise<string> {
  return askPassphrase(terminal, { what: 'Passphrase to sign in with', file: signInPassphraseFile, twice: false })
}

/** Asks for the passphrase with which the person of a new device will sign in. */
export function askNewSignIn({ terminal, store }: Pick<CommandDevice, 'terminal' | 'store'>): Promise<string> {
  if (terminal.interactive)
    terminal.note('Now choose the passphrase to sign in with; for a further device give your present one.')
  const refuse = async (passphrase: string) =>
    (await store.isOwnPassphrase(passphrase)) ? 'That is the passphrase of the store: give another one.' : undefined
  return askPassphrase(terminal, {
    what: 'Passphrase to sign in with',
    file: signInPassphraseFile,
    twice: true,
    refuse,
  })
}

interface PassphraseQuestion {
  readonly what: string
  /** The variable that may name a file with the passphrase. */
  readonly file: string
  /** Whether it is typed twice, because it is new. */
  readonly twice: boolean
  /** Says why a typed passphrase will not do; undefined where it does. */
  readonly refuse?: (passphrase: string) => Promise<string | undefined>
}

export async function askPassphrase(
  terminal: Terminal,
  { what, file, twice, refuse }: PassphraseQuestion,
): Promise<string> {
  const path = invocation().environment[file]
  if (path !== undefined && path !== '') return readSecretFile(path, file)
  if (!terminal.interactive) {
    throw new CommandFailure(
      `${what}: run this on a terminal, or let ${file} name a file that holds it.`,
      exitCodes.usage,
    )
  }
  for (;;) {
    const passphrase = await terminal.askSecret(`${what}: `)
    const refusal = await refuse?.(passphrase)
    if (refusal !== undefined) terminal.note(refusal)
    else if (!twice || (await terminal.askSecret('Once more: ')) === passphrase) return passphrase
    else terminal.note('The two passphrases differ: type both again.')
  }
}

/** Reads a secret from a file, without the line end that editors add. */
function readSecretFile(path: string, name: string): string {
  let text: string
  try {
    text = readTextFileNow(path).replace(/\r?\n$/, '')
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    const { code = '' } = error as NodeJS.ErrnoException
    throw new CommandFailure(`${name} names ${path}, which cannot be read (${code}): correct it.`, exitCodes.usage)
  }
  if (text === '' || text.length > mostPassphraseCharacters)
    throw new CommandFailure(`${name} names ${path}, which holds no passphrase: correct it.`, exitCodes.usage)
  return text
}
