import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openDatabase } from '../../src/db/index.ts'
import { openLogKey, verifyLogs, type Report } from '../../src/log/index.ts'
import { verify, type VerifyInput } from '../../src/main.ts'
import { verificationOwners } from '../../src/verification.ts'
import type { TestServer } from './server.ts'

/** The name under which every test server keeps its logs. */
export const logHost = 'cordon.test'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

/** What can be verified: a server with its database, or another connection to the same database. */
export type Verifiable = Pick<TestServer, 'database' | 'directory'>

/**
 * The keys of the logs, and the checkpoints that the server filed beside its key, which must be in
 * the logs too.
 */
async function heldBeside({ directory }: Verifiable): Promise<Pick<VerifyInput, 'keys' | 'held' | 'logHost'>> {
  const { publicKeys } = openLogKey(join(directory, 'log.key'), true)
  const files = await readdir(join(directory, 'checkpoints'))
  const held = await Promise.all(
    files
      .filter((log) => !log.endsWith('.next'))
      .map(async (log) => ({ log, note: await readFile(join(directory, 'checkpoints', log), 'utf8') })),
  )
  return { keys: publicKeys, held, logHost }
}

/**
 * Verifies every log of a server's database from its raw rows, with the verifier of `cordon
 * verify`, as the role that serves: no superuser's eyes are needed.
 */
export async function verifyAll(server: Verifiable, options: { url?: string; root?: string } = {}): Promise<Report> {
  return verify({
    databaseUrl: options.url ?? server.database.url,
    ...(await heldBeside(server)),
    ...(options.root === undefined ? {} : { root: options.root }),
  })
}

/** The same verifier for whoever asks it again and again: it stays connected. */
export async function openVerifier(owner: Owner, server: Verifiable, url: string): Promise<() => Promise<Report>> {
  const db = openDatabase({ connectionString: url, connections: 1, onError: () => {} })
  owner.teardown(() => db.close())
  const { keys, held, logHost: originHost } = await heldBeside(server)
  return () => verifyLogs({ db, keys, originHost, held: held ?? [] }, verificationOwners())
}

/**
 * Every test that writes ends with this, at the latest when its server closes (support/server.ts):
 * throws with the first discrepancies unless each row of each log is right.
 */
export async function checkLog(server: Verifiable): Promise<Report> {
  const report = await verifyAll(server)
  if (report.discrepancies.length > 0) {
    const first = report.discrepancies.slice(0, 10).map(({ log, index, what }) => `${log} ${index ?? ''}: ${what}`)
    throw new Error(`the logs do not verify:\n${first.join('\n')}`)
  }
  return report
}
