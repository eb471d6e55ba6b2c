import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { migrate, startEmbedded } from '../../db/index.ts'
import { openLogKey, type Report } from '../../log/index.ts'
import { verify } from '../../main.ts'
import { CommandFailure } from '../failures.ts'

// The command that runs the service: the source, or the built program.
const command = fileURLToPath(new URL(`../main${extname(import.meta.url)}`, import.meta.url))

/** The service, in a process of its own, on a temporary embedded database. */
export interface DemoService {
  readonly url: string
  readonly setUpString: string
  readonly directory: string
  /**
   * Verifies every log from its raw rows, with the public key and the published checkpoints alone.
   */
  verify(root: string): Promise<Report>
  stop(): Promise<void>
}

export async function startDemoService(note: (line: string) => void): Promise<DemoService> {
  const directory = await mkdtemp(join(tmpdir(), 'cordon-demo-'))
  const database = await startEmbedded({ directory: join(directory, 'postgres'), log: note })
  const stopDatabase = async () => {
    await database.stop()
    await rm(directory, { recursive: true, force: true })
  }
  let server: ChildProcess | undefined
  try {
    await migrate(database.superUrl)
    server = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', command, 'serve', '--json'], {
      env: {
        PATH: process.env['PATH'],
        DATA_DIRECTORY: directory,
        DATABASE_URL: database.appUrl,
        PORT: '0',
        LOG_HOST: 'cordon.demo',
        LOG_LEVEL: 'error',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
      // Ctrl-C reaches the demonstration alone, which then stops the service cleanly.
      detached: true,
    })
    const { address, setUpString } = await firstLine(server)
    const running = server
    return {
      url: address,
      setUpString,
      directory,
      async verify(root) {
        const { publicKeys: keys } = openLogKey(join(directory, 'log.key'), true)
        const checkpoints = join(directory, 'checkpoints')
        const logs = (await readdir(checkpoints)).filter((name) => !name.endsWith('.next'))
        const held = await Promise.all(
          logs.map(async (log) => ({ log, note: await readFile(join(checkpoints, log), 'utf8') })),
        )
        return verify({ databaseUrl: database.appUrl, keys, logHost: 'cordon.demo', held, root })
      },
      async stop() {
        await end(running)
        await stopDatabase()
      },
    }
  } catch (error) {
    if (server) await end(server)
    await stopDatabase()
    throw error
  }
}

async function firstLine(server: ChildProcess): Promise<{ address: string; setUpString: string }> {
  if (!server.stdout) throw new CommandFailure('The service has no output.')
  const lines = createInterface({ input: server.stdout })
  const line = await Promise.race([
    once(lines, 'line').then(([text]) => String(text)),
    once(server, 'exit').then(([code]) => {
      throw new CommandFailure(`The service ended with exit code ${String(code)} before it listened.`)
    }),
  ])
  return JSON.parse(line) as { address: string; setUpString: string }
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const gone = once(server, 'exit')
  server.kill('SIGTERM')
  await gone
}
