import { rename, rm, writeFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { addressIn, complaintIn, startOf, startShared } from './postgres.ts'

// Keeps the Postgres that the files of one run share until the process that runs them has ended, in
// whatever way: see `sharedPostgres`.
const [directory = '', runner = '', started = ''] = process.argv.slice(2)
const lookEveryMs = 100

try {
  const server = await startShared(directory)
  const { superUrl, ownerUrl, appUrl } = server
  const address = addressIn(directory)
  await writeFile(`${address}.new`, JSON.stringify({ superUrl, ownerUrl, appUrl, directory }), { mode: 0o600 })
  await rename(`${address}.new`, address)
  while ((await startOf(Number(runner))) === started) await pause(lookEveryMs)
  await server.stop()
  await rm(directory, { recursive: true, force: true })
} catch (error) {
  await writeFile(complaintIn(directory), String(error))
  throw error
}
