import { existsSync } from 'node:fs'
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { admin, cloneOf, withDatabase } from './database.ts'
import { sharedPostgres } from './postgres.ts'
import { startServer, temporaryDirectory, type TestServer, type TestServerOptions } from './server.ts'

export interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

/**
 * Acts on a new service through its public interfaces, lets go of what it opened, and answers what
 * takes the actors up again: plain JSON.
 */
export type MakeScene<Data> = (owner: Owner, server: TestServer) => Promise<Data>

interface Kept<Data> {
  readonly template: string
  readonly data: Data
}

/**
 * A service on which a scene stands already. The scene is made once per run, with `make`, by the
 * first file that wants it; its database and its keys are copied for each further one, and the copy
 * is a service like any other, at an address of its own.
 */
export async function startScene<Data>(
  owner: Owner,
  name: string,
  make: MakeScene<Data>,
  options: TestServerOptions = {},
): Promise<{ server: TestServer; data: Data }> {
  const { directory: shared, superUrl } = await sharedPostgres()
  const keys = join(shared, `scene-${name}`)
  const file = `${keys}.json`
  // The lock ends with its connection, so a process that was killed while it made a scene keeps
  // none.
  if (!existsSync(file))
    await admin(withDatabase(superUrl, 'postgres'), async (client) => {
      await client.query('SELECT pg_advisory_lock(hashtext($1))', [name])
      if (!existsSync(file)) await makeScene(make, keys, file)
    })
  const { template, data } = JSON.parse(await readFile(file, 'utf8')) as Kept<Data>
  const database = await cloneOf(owner, template)
  const directory = temporaryDirectory(owner)
  await cp(keys, directory, { recursive: true })
  return { server: await startServer(owner, { ...options, database, directory }), data }
}

async function makeScene<Data>(make: MakeScene<Data>, keys: string, file: string): Promise<void> {
  await rm(keys, { recursive: true, force: true })
  await mkdir(keys, { mode: 0o700 })
  const cleaning: (() => Promise<unknown>)[] = []
  const owner: Owner = { teardown: (clean) => void cleaning.unshift(clean) }
  try {
    // Dropped with the Postgres that all share: nothing else lets go of it.
    const database = await cloneOf({ teardown: () => {} }, 'cordon')
    const server = await startServer(owner, { database, directory: keys })
    const data = await make(owner, server)
    for (let clean = cleaning.shift(); clean !== undefined; clean = cleaning.shift()) await clean()
    const kept: Kept<Data> = { template: database.name, data }
    await writeFile(`${file}.new`, JSON.stringify(kept), { mode: 0o600 })
    await rename(`${file}.new`, file)
  } finally {
    for (const clean of cleaning) await clean()
  }
}
