import { spawn, type ChildProcess } from 'node:child_process'
import { mkdir, open, readFile, stat, truncate } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Problem } from '../errors.ts'
import { chooseAccount, openWay, plainEnvironment, type PostgresAccount } from './account.ts'
import { findBinaries, type Binaries } from './binaries.ts'
import { SUPERUSER, layoutOf, passwordOf, prepareCluster, prepareRoles, type Layout } from './cluster.ts'
import { holdDirectory, processesIn, signal, waitUntilEmpty } from './processes.ts'

// sun_path holds 108 bytes with its final NUL.
const longestSocketPathBytes = 107
const longestLogBytes = 16 * 1024 * 1024

/**
 * An embedded Postgres that runs. Its URLs do not change until it is stopped, also not when it is
 * restarted.
 */
export interface EmbeddedPostgres {
  readonly superUrl: string
  readonly ownerUrl: string
  readonly appUrl: string
  /** Answers the process id of the postmaster; undefined while it is being started again. */
  pid(): number | undefined
  /** Stops the database (fast shutdown) and releases the directory. */
  stop(): Promise<void>
}

export interface EmbeddedOptions {
  /** The directory of the database; it is made if it is missing. */
  readonly directory: string
  readonly log: (sentence: string) => void
  /**
   * Further settings of postgresql.conf. The settings that make a commit durable cannot be changed
   * here.
   */
  readonly settings?: Readonly<Record<string, string>>
}

/**
 * Starts the Postgres that npm installed, restarts it whenever it dies, and stops one that an
 * earlier process left behind. Problem DATA_DIRECTORY_IN_USE where another living process runs a
 * database in the directory, EMBEDDED_DATABASE where Postgres cannot run here.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const layout = layoutOf(resolve(options.directory))
  const account = chooseAccount()
  const release = await prepareDirectory(layout).catch(refuseUnlessProblem)
  try {
    await openWay(account, layout.directory)
    const binaries = await findBinaries(join(layout.directory, 'programs'), account.uid !== undefined)
    await prepareCluster(layout, binaries, account)
    await stopOrphans(layout, options.log)
    const address = await addressOf(layout)
    const server = new Server(layout, binaries, account, address, options)
    await server.start()
    const url = await urlsOf(layout, address)
    try {
      await prepareRoles(url(SUPERUSER, await passwordOf(layout, SUPERUSER), 'postgres'), {
        owner: await passwordOf(layout, 'cordon_owner'),
        app: await passwordOf(layout, 'cordon_app'),
      })
    } catch (error) {
      await server.stop()
      throw error
    }
    return {
      superUrl: url(SUPERUSER, await passwordOf(layout, SUPERUSER), 'cordon'),
      ownerUrl: url('cordon_owner', await passwordOf(layout, 'cordon_owner'), 'cordon'),
      appUrl: url('cordon_app', await passwordOf(layout, 'cordon_app'), 'cordon'),
      pid: () => server.pid(),
      stop: async () => {
        await server.stop()
        await release()
      },
    }
  } catch (error) {
    await release()
    return refuseUnlessProblem(error)
  }
}

/**
 * Answers the URL, as this role, of an embedded Postgres that another process runs in this
 * directory; undefined where none runs there. postmaster.pid names the port in its fourth line and
 * the directory of the socket in its fifth.
 */
export async function findEmbedded(
  directory: string,
  role: 'cordon_app' | typeof SUPERUSER = 'cordon_app',
): Promise<string | undefined> {
  const layout = layoutOf(resolve(directory))
  const text = await readFile(join(layout.cluster, 'postmaster.pid'), 'utf8').catch(() => '')
  const [pid = '', , , port = '', socket = ''] = text.split('\n')
  if (!(await processesIn(layout.cluster)).includes(Number(pid))) return undefined
  const url = await urlsOf(layout, { port: Number(port), socket: socket !== '' })
  return url(role, await passwordOf(layout, role), 'cordon')
}

async function prepareDirectory(layout: Layout): Promise<() => Promise<void>> {
  const parent = dirname(layout.directory)
  await mkdir(dirname(parent), { recursive: true })
  for (const directory of [parent, layout.directory]) await mkdir(directory, { recursive: true, mode: 0o700 })
  return holdDirectory(layout.lock, layout.directory)
}

function refuseUnlessProblem(error: unknown): never {
  if (error instanceof Problem) throw error
  throw new Problem('EMBEDDED_DATABASE', { detail: (error as Error).message, cause: error })
}

interface Address {
  readonly port: number
  readonly socket: boolean
}

async function addressOf(layout: Layout): Promise<Address> {
  if (Buffer.byteLength(join(layout.socket, '.s.PGSQL.5432')) <= longestSocketPathBytes)
    return { port: 5432, socket: true }
  const probe = createServer()
  await new Promise<void>((done, failed) => probe.once('error', failed).listen(0, '127.0.0.1', done))
  const { port } = probe.address() as AddressInfo
  await new Promise((done) => probe.close(done))
  return { port, socket: false }
}

async function urlsOf(layout: Layout, address: Address) {
  const host = address.socket
    ? `localhost/%s?host=${encodeURIComponent(layout.socket)}`
    : `127.0.0.1:${address.port}/%s`
  return (role: string, password: string, database: string) =>
    `postgres://${role}:${password}@${host.replace('%s', database)}`
}

/**
 * Stops a postmaster whose launcher was killed, and waits for backends whose postmaster was killed.
 */
async function stopOrphans(layout: Layout, log: (sentence: string) => void): Promise<void> {
  const running = await processesIn(layout.cluster)
  if (running.length === 0) return
  const [line = ''] = (await readFile(join(layout.cluster, 'postmaster.pid'), 'utf8').catch(() => '')).split('\n')
  const postmaster = Number(line)
  log(`a database left behind by an earlier process is being stopped (${running.length} processes)`)
  if (running.includes(postmaster)) signal(postmaster, 'SIGINT')
  if (await waitUntilEmpty(layout.cluster, 15_000)) return
  for (const pid of await processesIn(layout.cluster)) signal(pid, 'SIGQUIT')
  if (await waitUntilEmpty(layout.cluster, 5_000)) return
  throw new Problem('EMBEDDED_DATABASE', {
    detail: `the processes ${(await processesIn(layout.cluster)).join(', ')} still use ${layout.cluster}; stop them`,
  })
}

class Server {
  readonly #layout: Layout
  readonly #binaries: Binaries
  readonly #account: PostgresAccount
  readonly #address: Address
  readonly #options: EmbeddedOptions
  #child: ChildProcess | undefined
  #stopping = false
  #restarting: Promise<void> | undefined

  constructor(
    layout: Layout,
    binaries: Binaries,
    account: PostgresAccount,
    address: Address,
    options: EmbeddedOptions,
  ) {
    this.#layout = layout
    this.#binaries = binaries
    this.#account = account
    this.#address = address
    this.#options = options
  }

  pid(): number | undefined {
    return this.#child?.pid
  }

  async start(): Promise<void> {
    const child = await this.#spawn()
    await this.#untilReady(child)
    this.#child = child
    const died = (code: number | null, name: string | null) => {
      this.#child = undefined
      if (this.#stopping) return
      this.#options.log(`the database ended unexpectedly (${name ?? `exit code ${code}`}) and is started again`)
      this.#restarting = this.#restart()
    }
    // The process may have ended between being ready and being watched.
    if (child.exitCode !== null || child.signalCode !== null) died(child.exitCode, child.signalCode)
    else child.once('exit', died)
  }

  async #restart(): Promise<void> {
    for (let pauseMs = 100; !this.#stopping; pauseMs = Math.min(pauseMs * 2, 5_000)) {
      try {
        await stopOrphans(this.#layout, this.#options.log)
        if (this.#stopping) return
        await this.start()
        this.#options.log('the database runs again')
        return
      } catch (error) {
        this.#options.log(`the database does not start: ${(error as Error).message}`)
        await sleep(pauseMs)
      }
    }
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#restarting
    const child = this.#child
    if (child?.pid === undefined) return
    const ended = new Promise<void>((done) => child.once('exit', () => done()))
    if (child.exitCode !== null || child.signalCode !== null) return
    child.ref()
    signal(child.pid, 'SIGINT')
    const fastShutdown = new AbortController()
    const hurry = sleep(20_000, undefined, { signal: fastShutdown.signal, ref: false }).then(
      () => signal(child.pid as number, 'SIGQUIT'),
      () => {},
    )
    await ended
    fastShutdown.abort()
    await hurry
  }

  async #spawn(): Promise<ChildProcess> {
    const size = await stat(this.#layout.log).then(
      (found) => found.size,
      () => 0,
    )
    if (size > longestLogBytes) await truncate(this.#layout.log)
    const log = await open(this.#layout.log, 'a', 0o600)
    try {
      const settings = Object.entries(this.#settings()).flatMap(([name, value]) => ['-c', `${name}=${value}`])
      const command = [...this.#account.prefix, this.#binaries.postgres, '-D', this.#layout.cluster, ...settings]
      const uid = this.#account.uid
      const child = spawn(command[0] as string, command.slice(1), {
        env: plainEnvironment,
        cwd: '/',
        stdio: ['ignore', log.fd, log.fd],
        // The database runs in a process group of its own: Ctrl-C on the terminal is for the
        // service, which stops the database at its own end.
        detached: true,
        ...(uid === undefined ? {} : { uid, gid: uid }),
      })
      await new Promise<void>((done, failed) => child.once('spawn', done).once('error', failed))
      // A running database does not keep this process alive; the work of stopping it does.
      child.unref()
      return child
    } finally {
      await log.close()
    }
  }

  #settings(): Record<string, string> {
    return {
      max_connections: '100',
      shared_buffers: `${sharedBuffers()}MB`,
      max_wal_size: '2GB',
      timezone: 'UTC',
      log_timezone: 'UTC',
      jit: 'off',
      // Texts of people must not reach the log of the database: neither statements nor the values
      // in a DETAIL line.
      log_min_error_statement: 'panic',
      log_error_verbosity: 'terse',
      log_checkpoints: 'off',
      ...this.#options.settings,
      listen_addresses: this.#address.socket ? '' : '127.0.0.1',
      port: String(this.#address.port),
      unix_socket_directories: this.#address.socket ? this.#layout.socket : '',
      unix_socket_permissions: '0700',
      fsync: 'on',
      full_page_writes: 'on',
      synchronous_commit: 'on',
    }
  }

  // The eighth line of postmaster.pid says "ready"; the first says that the file is of this
  // postmaster.
  async #untilReady(child: ChildProcess): Promise<void> {
    const file = join(this.#layout.cluster, 'postmaster.pid')
    for (;;) {
      if (child.exitCode !== null || child.signalCode !== null) {
        throw new Problem('EMBEDDED_DATABASE', {
          detail: `Postgres ended at once (as ${this.#account.description}): ${await this.#lastWords()}`,
        })
      }
      const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n')
      if (Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready') return
      if (this.#stopping) signal(child.pid as number, 'SIGINT')
      await sleep(5)
    }
  }

  async #lastWords(): Promise<string> {
    const text = await readFile(this.#layout.log, 'utf8').catch(() => '')
    return text.trim().split('\n').slice(-3).join(' ')
  }
}

/**
 * Answers the megabytes of pages that Postgres keeps in memory: an eighth of the memory that this
 * process may use, since the service lives beside it. Appending writes the indexes of a large log
 * at many places, which are then all in memory.
 */
function sharedBuffers(): number {
  const limit = process.constrainedMemory()
  const bytes = limit > 0 ? Math.min(limit, totalmem()) : totalmem()
  return Math.min(1_024, Math.max(128, Math.floor(bytes / 8 / 2 ** 20)))
}
