import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import manifest from '../package.json' with { type: 'json' }
import { ConfigurationFault, readConfig, type Config } from './config.ts'
import { isKept, migrate, openDatabase, startEmbedded } from './db/index.ts'
import { TlsFault, readTls } from './http/index.ts'
import {
  stoppedWords,
  verifyLogs,
  type LogSource,
  type ReadOnlyLog,
  type Report,
  type VerifyOptions,
} from './log/index.ts'
import { ProtocolError, parseWitnessPolicy, type LogKeys, type WitnessPolicy } from './protocol/index.ts'
import { createServer, type CordonServer } from './server.ts'
import { verificationOwners } from './verification.ts'

export interface RunningService {
  readonly server: CordonServer
  readonly address: string
  /** The string with which `cordon init` makes the root; present on a service without a root. */
  readonly setUpString: string | undefined
  stop(): Promise<void>
}

export const version = manifest.version

/** Answers the commit that is checked out here; undefined where this is no working copy of git. */
function checkedOut(): string | undefined {
  const read = (path: string) => {
    const file = new URL(`../.git/${path}`, import.meta.url)
    return existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
  }
  const head = read('HEAD')
  const commit = head.startsWith('ref: ') ? read(head.slice('ref: '.length)) : head
  return /^[0-9a-f]{40}$/.test(commit) ? commit : undefined
}

export const notKept =
  'Whoever connects as cordon_owner can change the logs, though not unseen: docs/configuration.md, "A database of your own", says how they are given to a role that nobody connects as.'

/** Says at the start that a log is not continued, and what is possible meanwhile. */
function notContinued(gap: ReadOnlyLog): string {
  const meanwhile =
    gap.missing > 0 ? 'It is read, and every act that would be entered is refused.' : 'It is not shown to anybody.'
  return `Not continued: ${stoppedWords(gap)}. ${meanwhile} docs/runbook.md, "Restore", says what to do.`
}

/**
 * Starts the service: the embedded Postgres unless DATABASE_URL names another, its migrations, and
 * the server, which listens at the end. Throws ConfigurationFault, a Problem of the database or the
 * log, or the error of a port that cannot be had.
 */
export async function start(
  config: Config = readConfig(),
  say: (line: string) => void = () => {},
): Promise<RunningService> {
  const witnesses = await witnessPolicy(config)
  requireCertificate(config)
  mkdirSync(config.dataDirectory, { recursive: true, mode: 0o700 })
  const embedded =
    config.databaseUrl === undefined
      ? await startEmbedded({ directory: join(config.dataDirectory, 'postgres'), log: say })
      : undefined
  try {
    if (embedded) await migrate(embedded.superUrl)
    const { witnesses: _, ...settings } = config
    const server = await createServer({
      ...settings,
      databaseUrl: config.databaseUrl ?? embedded?.appUrl ?? '',
      publicUrl: config.port === 0 ? undefined : config.publicUrl,
      checkpointDirectory: join(config.dataDirectory, 'checkpoints'),
      version,
      commit: checkedOut(),
      clock: () => new Date(),
      ...(witnesses === undefined ? {} : { witnesses }),
    })
    try {
      const address = await server.listen({ host: config.host, port: config.port })
      if (config.databaseUrl !== undefined && !(await keptAt(config.databaseUrl))) say(notKept)
      for (const gap of server.readOnly) say(notContinued(gap))
      return {
        server,
        address,
        setUpString: await server.setUpString(),
        async stop() {
          await server.close()
          await embedded?.stop()
        },
      }
    } catch (error) {
      await server.close()
      throw error
    }
  } catch (error) {
    await embedded?.stop()
    throw error
  }
}

function requireCertificate({ tls }: Config): void {
  try {
    if (tls !== undefined) readTls(tls)
  } catch (error) {
    if (!(error instanceof TlsFault)) throw error
    throw new ConfigurationFault([`TLS_CERTIFICATE_FILE or TLS_KEY_FILE: ${error.message}`])
  }
}

/**
 * Reads the policy of the configured witnesses. ConfigurationFault where the policy cannot be read,
 * or a witness has no address.
 */
async function witnessPolicy({ witnesses: text, witnessQuorum }: Config): Promise<WitnessPolicy | undefined> {
  if (text === undefined) return undefined
  try {
    const policy = await parseWitnessPolicy(text, witnessQuorum)
    const unreachable = policy.witnesses.filter(({ url }) => url === undefined).map(({ name }) => name)
    if (unreachable.length === 0) return policy
    throw new ConfigurationFault([`WITNESSES has no URL for ${unreachable.join(', ')}`])
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error
    throw new ConfigurationFault([`WITNESSES or WITNESS_QUORUM: ${error.message}`])
  }
}

export interface VerifyInput extends VerifyOptions {
  readonly databaseUrl: string
  readonly keys: LogKeys
  readonly logHost: string
  readonly held?: NonNullable<LogSource['held']>
  /**
   * Thumbprint of the root that the verifier trusts; without it, the verifier takes the root that
   * the database itself names.
   */
  readonly root?: string
}

/**
 * Verifies everything in a database, also while servers write to it. DATABASE_UNAVAILABLE where it
 * cannot be reached.
 */
export async function verify({ databaseUrl, keys, logHost, held, root, ...options }: VerifyInput): Promise<Report> {
  const db = openDatabase({ connectionString: databaseUrl, connections: 1, onError: () => {} })
  try {
    const source = { db, keys, originHost: logHost, ...(held === undefined ? {} : { held }) }
    return await verifyLogs(source, verificationOwners(root === undefined ? {} : { root }), options)
  } finally {
    await db.close()
  }
}

async function keptAt(databaseUrl: string): Promise<boolean> {
  const db = openDatabase({ connectionString: databaseUrl, connections: 1, onError: () => {} })
  try {
    return await isKept(db.kysely)
  } finally {
    await db.close()
  }
}
