import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import {
  migrate,
  openDatabase,
  startEmbedded,
  transaction,
  type Database,
  type EmbeddedPostgres,
} from '../src/db/index.ts'
import { createLogs, openLogKey, type Logs, sizeOf } from '../src/log/index.ts'
import { LogReaders, Views, operationSnapshots } from '../src/operations/index.ts'
import type { OperationView } from '../src/protocol/index.ts'
import { id } from './light-client.ts'
import { generateLog, type Cause } from './log-generator.ts'
import { makeOperation } from './operation.ts'

export const command = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
export const logHost = 'bench.example'
const memberCount = 100

interface LogOwners {
  readonly operation: string
  readonly people: readonly Cause[]
  readonly auditor: Cause
}

/**
 * A log in a database that is kept on disk, with the service's parts that read it and append to it.
 */
export interface KeptLog extends LogOwners {
  readonly directory: string
  readonly size: number
  readonly database: EmbeddedPostgres
  readonly db: Database
  readonly logs: Logs<OperationView>
  readonly readers: LogReaders
  close(): Promise<void>
}

/** Opens the log of this size. Makes it, or completes it, where that is needed. */
export async function openKeptLog(directory: string, size: number, note: (line: string) => void): Promise<KeptLog> {
  const facts = join(directory, 'facts.json')
  if (!existsSync(facts)) {
    rmSync(directory, { recursive: true, force: true })
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  }
  const settings = {
    autovacuum: 'off',
    max_wal_size: '8GB',
    checkpoint_timeout: '30min',
    max_parallel_maintenance_workers: '1',
  }
  let database = await startEmbedded({ directory: join(directory, 'postgres'), log: note, settings })
  try {
    await migrate(database.superUrl)
    const kept = existsSync(facts)
      ? (JSON.parse(readFileSync(facts, 'utf8')) as LogOwners)
      : await found(directory, database)
    if (!existsSync(facts)) writeFileSync(facts, JSON.stringify(kept))
    const began = performance.now()
    let first: number | undefined
    await generateLog(database.superUrl, {
      log: kept.operation,
      people: kept.people,
      server: logHost,
      size,
      progress(done) {
        first ??= done
        const rate = (done - first) / ((performance.now() - began) / 1_000)
        note(
          `generated ${done.toLocaleString('en')} of ${size.toLocaleString('en')}, ${Math.round(rate).toLocaleString('en')}/s`,
        )
      },
    })
    if (first !== undefined) note(`the log of ${size.toLocaleString('en')} took ${seconds(began)} s with its indexes`)
    await database.stop()
    // Measured with the settings of the service itself.
    database = await startEmbedded({ directory: join(directory, 'postgres'), log: note })
    return await open(kept, directory, size, database)
  } catch (error) {
    await database.stop()
    throw error
  }
}

export function seconds(since: number): string {
  return ((performance.now() - since) / 1_000).toFixed(1)
}

/** Makes the operation, its members and an auditor through a real service. Their ids are kept. */
async function found(directory: string, database: EmbeddedPostgres): Promise<LogOwners> {
  const server = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', command, 'serve', '--json'], {
    env: {
      ...process.env,
      DATA_DIRECTORY: directory,
      DATABASE_URL: database.appUrl,
      PORT: '0',
      LOG_LEVEL: 'error',
      LOG_HOST: logHost,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    const [line] = (await once(createInterface({ input: server.stdout }), 'line')) as [string]
    const { setUpString } = JSON.parse(line) as { setUpString: string }
    const { operation, members, auditor } = await makeOperation(setUpString, memberCount, { auditor: true })
    const causeOf = ({ person, organization, device }: (typeof members)[number]) => ({
      person,
      organization,
      device: device.id,
    })
    if (auditor === undefined) throw new Error('the operation has no auditor')
    return { operation, people: members.map(causeOf), auditor: causeOf(auditor) }
  } finally {
    server.kill('SIGTERM')
    await once(server, 'exit')
  }
}

async function open(kept: LogOwners, directory: string, size: number, database: EmbeddedPostgres): Promise<KeptLog> {
  const onError = (...what: unknown[]) => console.error(what.map(String).join(' '))
  const db = openDatabase({ connectionString: database.appUrl, onError })
  const logs: Logs<OperationView> = createLogs<OperationView>({
    db,
    clock: () => new Date(),
    random: (length) => new Uint8Array(randomBytes(length)),
    key: openLogKey(join(directory, 'log.key'), true),
    originHost: logHost,
    checkpointDirectory: join(directory, 'checkpoints'),
    // The sessions are not measured.
    lockActors: (_tx, actors) =>
      Promise.resolve(new Map(actors.map((actor) => [actor.session, { ...actor, tier: 'person', listed: null }]))),
    snapshots: operationSnapshots,
    publish: () => {},
    onError,
  })
  await logs.start()
  const views = new Views()
  const readers = new LogReaders({ db, logs, clock: () => new Date(), views })
  await transaction(db, (tx) => sizeOf(tx, kept.operation))
  return {
    ...kept,
    directory,
    size,
    database,
    db,
    logs,
    readers,
    async close() {
      await logs.close()
      await db.close()
      await database.stop()
    },
  }
}

/** The actor of an act: a person with a session of this moment. */
export const acting = (cause: Cause) => ({
  session: id(),
  deviceState: 'certified',
  tier: 'person',
  verifiedAt: new Date(),
  listed: null,
  ...cause,
})
