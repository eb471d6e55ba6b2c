import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import argon2 from 'argon2'
import { undeclaredRefusal, type Quotas, type TlsFiles } from '../../src/http/index.ts'
import { Passphrases } from '../../src/identity/index.ts'
import type { LogLimits } from '../../src/log/index.ts'
import type { WitnessPolicy } from '../../src/protocol/index.ts'
import { createServer, type CordonServer, type ServerOptions } from '../../src/server.ts'
import { checkLog, logHost } from './check-log.ts'
import { testDatabase, type TestDatabase } from './database.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

export interface TestServer extends CordonServer {
  readonly url: string
  readonly database: TestDatabase
  /** Directory of its keys and checkpoints. */
  readonly directory: string
  /** The clock that the server goes by: real time plus what was advanced. */
  readonly clock: { advance(milliseconds: number): void; now(): Date }
}

export interface TestServerOptions {
  /**
   * Share the database and the keys of another one: a second server process of the same service.
   */
  readonly beside?: TestServer
  readonly database?: TestDatabase
  /** Of keys that exist already. */
  readonly directory?: string
  readonly port?: number
  /** Under which clients reach it, where something stands between. */
  readonly publicUrl?: string
  readonly witnesses?: WitnessPolicy
  readonly logLimits?: Partial<LogLimits>
  /** Requests a minute. */
  readonly quotas?: Partial<Quotas>
  readonly logLevel?: string
  readonly logTo?: Writable
  readonly liveConnections?: number
  readonly allowedOrigins?: readonly string[]
  /** Proxies whose X-Forwarded-For is believed. */
  readonly trustedProxies?: readonly string[]
  readonly passphrases?: Passphrases
  readonly tls?: TlsFiles
  readonly notices?: ServerOptions['notices']
  readonly sleepAfterDays?: number
  /** Another composition root: that of a copy of the source from which a guard was taken. */
  readonly create?: typeof createServer
  /**
   * The test leaves rows behind that the logs do not know. Otherwise every log is verified when the
   * server has closed.
   */
  readonly altered?: boolean
}

/**
 * argon2id as everywhere, in a tenth of the time: what it costs matters to the tests alone that
 * bring `passphrases` of their own, or a process.
 */
const lightArgon2 = {
  hash: (text: string, options: argon2.Options) => argon2.hash(text, { ...options, memoryCost: 1024 }),
  verify: argon2.verify,
} as typeof argon2

/**
 * The real server on a private database, listening on a free loopback port; closed when the test
 * ends.
 */
export async function startServer(owner: Owner, options: TestServerOptions = {}): Promise<TestServer> {
  const database = options.beside?.database ?? options.database ?? (await testDatabase(owner))
  const directory = options.beside?.directory ?? options.directory ?? temporaryDirectory(owner)
  let ahead = 0
  const clock = {
    advance: (milliseconds: number) => void (ahead += milliseconds),
    now: () => new Date(Date.now() + ahead),
  }
  const undeclared: string[] = []
  const watched = new Writable({
    write(line, _, done) {
      process.stdout.write(line as Uint8Array)
      if (String(line).includes(undeclaredRefusal)) undeclared.push(String(line))
      done()
    },
  })
  const server = await (options.create ?? createServer)({
    databaseUrl: database.url,
    databaseConnections: 10,
    liveConnections: options.liveConnections ?? 1_000,
    passphraseChecks: 2,
    passphrases: options.passphrases ?? new Passphrases(2, lightArgon2),
    publicUrl: options.publicUrl,
    logHost,
    allowedOrigins: options.allowedOrigins ?? [],
    trustedProxies: options.trustedProxies ?? [],
    tls: options.tls,
    logLevel: options.logLevel ?? 'error',
    logKeyFile: join(directory, 'log.key'),
    tokenKeyFile: join(directory, 'token.key'),
    factorKeyFile: join(directory, 'factor.key'),
    checkpointDirectory: join(directory, 'checkpoints'),
    version: '0.0.0-test',
    clock: clock.now,
    logTo: options.logTo ?? watched,
    ...(options.witnesses === undefined ? {} : { witnesses: options.witnesses }),
    ...(options.logLimits === undefined ? {} : { logLimits: options.logLimits }),
    ...(options.quotas === undefined ? {} : { quotas: options.quotas }),
    notices: options.notices,
    ...(options.sleepAfterDays === undefined ? {} : { sleepAfterDays: options.sleepAfterDays }),
  })
  owner.teardown(async () => {
    if (undeclared.length > 0) throw new Error(`refusals that their routes do not declare: ${undeclared.join('')}`)
  })
  let closed: Promise<void> | undefined
  const close = () => (closed ??= server.close())
  owner.teardown(async () => {
    await close()
    if (options.beside === undefined && options.altered !== true) await checkLog({ database, directory })
  })
  const url = await server.listen({ host: '127.0.0.1', port: options.port ?? 0 })
  return { ...server, close, url, database, directory, clock }
}

export function temporaryDirectory(owner: Owner): string {
  const directory = mkdtempSync(join(tmpdir(), 'cordon-test-'))
  owner.teardown(async () => rmSync(directory, { recursive: true, force: true }))
  return directory
}
