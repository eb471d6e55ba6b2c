import { logHost } from './check-log.ts'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { command } from './command.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

/** A server process of its own, on a port that stays the same however often it is killed. */
export interface ServerProcess {
  readonly url: string
  setUpString: string | null
  /** Of the process that runs now. */
  readonly pid: number
  /** Lets it stand still for so long, as a machine that swaps or a hypervisor that moves it. */
  stall(milliseconds: number): Promise<void>
  /** Ends it at once and starts it again; resolves when it listens. */
  killAndRestart(): Promise<void>
}

/** The keys that all servers of one service share. */
export function keyDirectory(owner: Owner): string {
  const directory = mkdtempSync(join(tmpdir(), 'cordon-keys-'))
  owner.teardown(async () => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export async function serverProcess(
  owner: Owner,
  options: { databaseUrl: string; keys: string; settings?: Readonly<Record<string, string>> },
): Promise<ServerProcess> {
  const data = keyDirectory(owner)
  const port = await freePort()
  let child: ChildProcess
  const start = async (): Promise<string | null> => {
    child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', command, 'serve', '--json'], {
      env: {
        PATH: process.env['PATH'],
        DATA_DIRECTORY: data,
        DATABASE_URL: options.databaseUrl,
        LOG_KEY_FILE: join(options.keys, 'log.key'),
        TOKEN_KEY_FILE: join(options.keys, 'token.key'),
        FACTOR_KEY_FILE: join(options.keys, 'factor.key'),
        LOG_HOST: logHost,
        LOG_LEVEL: 'fatal',
        PORT: String(port),
        ...options.settings,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    if (!child.stdout) throw new Error('a server process has an output')
    const exited = once(child, 'exit')
    const line = await Promise.race([
      once(createInterface({ input: child.stdout }), 'line'),
      exited.then(() => undefined),
    ])
    if (!line) throw new Error(`the server ended with ${String(child.exitCode)}`)
    return (JSON.parse(String(line[0])) as { setUpString: string | null }).setUpString
  }
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  const server: ServerProcess = {
    url: `http://127.0.0.1:${String(port)}`,
    setUpString: await start(),
    get pid() {
      return child.pid ?? 0
    },
    async stall(milliseconds) {
      child.kill('SIGSTOP')
      try {
        await new Promise((resolve) => setTimeout(resolve, milliseconds))
      } finally {
        child.kill('SIGCONT')
      }
    },
    async killAndRestart() {
      await end('SIGKILL')
      await start()
    },
  }
  owner.teardown(() => end('SIGTERM'))
  return server
}

async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}
