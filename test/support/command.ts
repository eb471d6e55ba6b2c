import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { dist, makeDist } from '../../src/build.ts'
import { Cordon, webPlatform } from '../../src/client/index.ts'
import { FileStore } from '../../src/client/node/index.ts'
import { enrolWith, systemClock, takeIn, type Newcomer, type Scene } from './actors.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

// Of these very sources, whichever test needs it first.
await makeDist()
/** The command as it is installed. One file, bundle.test.ts, runs the sources as they are. */
export const command = join(dist, 'cli/main.js')
const base = {
  PATH: process.env['PATH'],
  HOME: '/nonexistent',
  LANG: 'C.UTF-8',
  TZ: 'UTC',
}

export const passphrases = { store: 'the store of somebody in a test', signIn: 'seven warm otters by the pier' }

/** What a command did. */
export interface Done {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
  /** The one JSON document of a command with --json. */
  readonly json: Record<string, unknown>
}

export function temporary(owner: Owner): string {
  const directory = mkdtempSync(join(tmpdir(), 'cordon-command-'))
  owner.teardown(async () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Starts the real command as a process of its own; it is killed when the test ends. */
export function start(
  owner: Owner,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
  before: readonly string[] = [],
  main = command,
): ChildProcess {
  const [program = '', ...rest] = [...before, process.execPath, '--disable-warning=ExperimentalWarning', main, ...args]
  const child = spawn(program, rest, { env: { ...base, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
  child.stdin?.on('error', () => {})
  owner.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  })
  return child
}

/** Waits until a command has ended, and says what it did. */
export async function ended(child: ChildProcess): Promise<Done> {
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (chunk) => (stdout += String(chunk)))
  child.stderr?.on('data', (chunk) => (stderr += String(chunk)))
  const [code] = (await once(child, 'close')) as [number | null]
  return {
    code,
    stdout,
    stderr,
    get json() {
      return JSON.parse(stdout) as Record<string, unknown>
    },
  }
}

/** Somebody at a terminal without one: a store of their own, passphrases in files. */
export class Desk {
  readonly store: string
  readonly directory: string
  readonly #owner: Owner
  readonly #env: Readonly<Record<string, string>>

  constructor(owner: Owner, directory: string, name: string) {
    this.#owner = owner
    this.directory = directory
    this.store = join(directory, `${name}.store`)
    const file = (what: keyof typeof passphrases) => {
      const path = join(directory, `passphrase-${what}`)
      writeFileSync(path, `${passphrases[what]}\n`, { mode: 0o600 })
      return path
    }
    this.#env = {
      CORDON_STORE: this.store,
      CORDON_STORE_PASSPHRASE_FILE: file('store'),
      CORDON_PASSPHRASE_FILE: file('signIn'),
    }
  }

  start(args: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    return start(this.#owner, args, { ...this.#env, ...env })
  }

  /** The environment of its commands, for a command that is started otherwise. */
  get env(): Readonly<Record<string, string>> {
    return this.#env
  }

  async run(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    input: string | Uint8Array = '',
  ): Promise<Done> {
    const child = this.start(args, env)
    const done = ended(child)
    child.stdin?.end(input)
    return done
  }

  /** Runs it with --json, and throws unless it succeeds. */
  async must<T = Record<string, unknown>>(...args: string[]): Promise<T> {
    const done = await this.run([...args, '--json'])
    if (done.code !== 0) throw new Error(`cordon ${args.join(' ')}: ${String(done.code)} ${done.stdout} ${done.stderr}`)
    return done.json as T
  }

  /** The SDK on this very store, for what no command does; close it before the next command. */
  async open(): Promise<{ client: Cordon; store: FileStore; close: () => Promise<void> }> {
    const store = await FileStore.open(this.store, passphrases.store)
    const client = new Cordon({ store, platform: webPlatform(systemClock) })
    await client.load()
    return {
      client,
      store,
      async close() {
        await client.close()
        await store.close()
      },
    }
  }
}

/** Somebody at a desk: enrolled with the SDK on a store that then the command alone works with. */
export interface Seated {
  readonly desk: Desk
  readonly name: string
  readonly person: string
  readonly device: string
  readonly organization: string
}

/**
 * Enrolled by somebody's client, certified and signed in; `leave` hands the store over to the
 * command.
 */
export async function seat(
  owner: Owner,
  directory: string,
  inviter: Cordon,
  { name, organization, tier }: Pick<Newcomer, 'name' | 'organization' | 'tier'>,
): Promise<Seated & { readonly client: Cordon; readonly leave: () => Promise<void> }> {
  const desk = new Desk(owner, directory, name)
  const store = await FileStore.open(desk.store, passphrases.store)
  const client = await enrolWith(owner, inviter, { name, organization, ...(tier === undefined ? {} : { tier }), store })
  const { person, device } = client
  return {
    desk,
    name,
    person,
    device,
    organization,
    client,
    leave: async () => {
      await client.close()
      await store.close()
    },
  }
}

/**
 * The contact point of an administration who joins an operation and then works with the command
 * alone.
 */
export async function joinWithDesk(
  owner: Owner,
  directory: string,
  { administrator, coordinator, operation }: Pick<Scene, 'administrator' | 'coordinator' | 'operation'>,
  { name, country }: { name: string; country: string },
): Promise<Desk> {
  const organization = await administrator.directory.registerOrganization({ kind: 'administration', name, country })
  const seated = await seat(owner, directory, administrator, { name: `${name} officer`, organization })
  await takeIn(coordinator, operation, seated, 'ncp')
  await seated.leave()
  return seated.desk
}

export interface Service {
  readonly child: ChildProcess
  readonly address: string
  readonly setUpString: string | null
  /** What it wrote on standard error so far. */
  readonly notes: () => string
  stop(signal?: NodeJS.Signals): Promise<number | null>
}

/**
 * `cordon serve` on its embedded database, or whatever the environment says; resolves once it
 * listens.
 */
export async function serve(
  owner: Owner,
  env: Readonly<Record<string, string>>,
  before: readonly string[] = [],
  main = command,
): Promise<Service> {
  const settings = { PORT: '0', LOG_LEVEL: 'error', LOG_HOST: 'cordon.test', ...env }
  const child = start(owner, ['serve', '--json'], settings, before, main)
  let notes = ''
  child.stderr?.on('data', (chunk) => (notes += String(chunk)))
  const exit = once(child, 'exit') as Promise<[number | null]>
  const lines = createInterface({ input: child.stdout as NonNullable<ChildProcess['stdout']> })
  const first = await Promise.race([
    once(lines, 'line').then(([line]) => String(line)),
    exit.then(([code]) => {
      throw new Error(`the service ended with ${String(code)}: ${notes}`)
    }),
  ])
  const { address, setUpString } = JSON.parse(first) as { address: string; setUpString: string | null }
  return {
    child,
    address,
    setUpString,
    notes: () => notes,
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      return (await exit)[0]
    },
  }
}

/** A port of the loopback that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}

/** Resolves once the condition holds; throws after a time. */
export async function until(what: string, holds: () => boolean, milliseconds = 30_000): Promise<void> {
  for (const end = Date.now() + milliseconds; !holds();) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`)
    await sleep(20)
  }
}
