import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { openLogKey, type Report } from '../../src/log/index.ts'
import { verify } from '../../src/main.ts'
import { logHost, type TestServer } from './server.ts'

/** What can be verified: a server with its database, or another connection to the same database. */
export type Verifiable = Pick<TestServer, 'database' | 'directory'>

/**
 * Verifies every log of a server's database from its raw rows, with the verifier of `cordon verify`, as the role that serves: no
 * superuser's eyes are needed. The checkpoints that the server filed beside its key must be in the logs too.
 */
export async function verifyAll(server: Verifiable, options: { url?: string; root?: string } = {}): Promise<Report> {
  const { publicKeys } = openLogKey(join(server.directory, 'log.key'), true)
  const files = await readdir(join(server.directory, 'checkpoints'))
  const held = await Promise.all(
    files
      .filter((log) => !log.endsWith('.next'))
      .map(async (log) => ({ log, note: await readFile(join(server.directory, 'checkpoints', log), 'utf8') })),
  )
  return verify({
    databaseUrl: options.url ?? server.database.url,
    keys: publicKeys,
    logHost,
    held,
    ...(options.root === undefined ? {} : { root: options.root }),
  })
}

/** Every test that writes ends with this, at the latest when its server closes (support/server.ts): throws with the first discrepancies unless each row of each log is right. */
export async function checkLog(server: Verifiable): Promise<Report> {
  const report = await verifyAll(server)
  if (report.discrepancies.length > 0) {
    const first = report.discrepancies.slice(0, 10).map(({ log, index, what }) => `${log} ${index ?? ''}: ${what}`)
    throw new Error(`the logs do not verify:\n${first.join('\n')}`)
  }
  return report
}
