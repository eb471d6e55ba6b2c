// What this holds: with archived WAL nothing that was acknowledged is lost. The machine is killed
// after 100 more posts; its base backup and the archive give the newest state, with which everybody
// goes on, without an alarm; without the archive the base backup is an older copy.
// Bites: `StoppedLogs.gapOf`, `Checkpoints.filed`.
import { cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startEmbedded } from '../src/db/index.ts'
import { operationOn } from './support/actors.ts'
import { freePort } from './support/command.ts'
import { admin, privatePostgres, type TestDatabase } from './support/database.ts'
import { newDirectory, settings } from './support/postgres.ts'
import { startServer, temporaryDirectory } from './support/server.ts'

const text = (words: string) => ({ form: 'text', fields: { text: words } })

/** A backup of the files of a running Postgres, as pg_basebackup makes it (its low-level API). */
async function baseBackup(superUrl: string, from: string, to: string): Promise<void> {
  await admin(superUrl, async (client) => {
    await client.query(`SELECT pg_backup_start('drill', true)`)
    const left = new Set(['postmaster.pid', 'postmaster.opts'].map((file) => join(from, 'cluster', file)))
    const wal = join(from, 'cluster', 'pg_wal')
    await cp(from, to, {
      recursive: true,
      filter: (file) => !left.has(file) && !file.startsWith(`${wal}/`) && !file.startsWith(join(from, 'socket')),
    })
    for (const folder of ['archive_status', 'summaries'])
      await mkdir(join(to, 'cluster', 'pg_wal', folder), { recursive: true, mode: 0o700 })
    const { rows } = await client.query<{ labelfile: string }>('SELECT labelfile FROM pg_backup_stop(false)')
    await writeFile(join(to, 'cluster', 'backup_label'), rows[0]?.labelfile ?? '')
  })
  await rm(join(to, 'launcher.pid'), { force: true })
}

/** Has the WAL written so far archived, and waits until it is. */
async function archiveAll(superUrl: string): Promise<void> {
  await admin(superUrl, async (client) => {
    const { rows } = await client.query<{ file: string }>('SELECT pg_walfile_name(pg_switch_wal()) AS file')
    for (;;) {
      const { rows: done } = await client.query<{ is: boolean }>(
        'SELECT last_archived_wal >= $1 AS is FROM pg_stat_archiver',
        [rows[0]?.file],
      )
      if (done[0]?.is === true) return
      await pause(100)
    }
  })
}

const databaseOf = ({ appUrl, ownerUrl, superUrl }: { appUrl: string; ownerUrl: string; superUrl: string }) =>
  ({ name: 'cordon', url: appUrl, ownerUrl, superUrl }) satisfies TestDatabase

/** Starts Postgres from a base backup and what the archive holds. */
async function recover(t: Test, base: string, archive: string) {
  const directory = await newDirectory()
  await cp(base, directory, { recursive: true })
  await writeFile(join(directory, 'cluster', 'recovery.signal'), '')
  const postgres = await startEmbedded({
    directory,
    log: () => {},
    // Nobody is let in before the end of the archive is reached.
    settings: { ...settings, hot_standby: 'off', restore_command: `cp '${archive}/%f' '%p'` },
  })
  t.teardown(async () => {
    await postgres.stop()
    await rm(directory, { recursive: true, force: true })
  })
  return databaseOf(postgres)
}

t.test('INV-198: with a base backup and archived WAL, nothing that was acknowledged is lost', async (t) => {
  const archive = await newDirectory()
  t.teardown(() => rm(archive, { recursive: true, force: true }))
  const archiving = { wal_level: 'replica', archive_mode: 'on', archive_command: `cp '%p' '${archive}/%f'` }
  const postgres = await privatePostgres(t, undefined, (options) =>
    startEmbedded({ ...options, settings: { ...options.settings, ...archiving } }),
  )
  const [directory, port] = [temporaryDirectory(t), await freePort()]
  const server = await startServer(t, { database: databaseOf(postgres), directory, port, altered: true })
  const { administrator, coordinator, operation } = await operationOn(t, server)
  const session = await coordinator.follow(operation)
  const before = await session.post(text('In the base backup.'))
  const base = join(await newDirectory(), 'base')
  t.teardown(() => rm(base, { recursive: true, force: true }))
  await baseBackup(postgres.superUrl, postgres.directory, base)

  const posted = await Promise.all(Array.from({ length: 100 }, (_, n) => session.post(text(`After it: ${String(n)}.`))))
  await server.logs.covering(operation, session.position)
  await coordinator.close()
  await administrator.close()
  await server.close()
  await archiveAll(postgres.superUrl)
  t.not((await readdir(archive)).length, 0, 'WAL was archived')
  await postgres.stop()
  await rm(join(postgres.directory, 'cluster'), { recursive: true })

  const recovered = await recover(t, base, archive)
  const back = await startServer(t, { database: recovered, directory, port })
  t.same(back.readOnly, [], 'it is the newest state')
  const again = await coordinator.follow(operation)
  await again.ready(20_000)
  t.same(
    [before, ...posted].filter(({ message }) => again.message(message) === undefined),
    [],
  )
  await again.post(text('As before.'), 20_000)
  t.same(again.alarms, [])
  await coordinator.close()
  await back.close()

  const nothing = await newDirectory()
  t.teardown(() => rm(nothing, { recursive: true, force: true }))
  for (const file of await readdir(archive))
    if (file.endsWith('.backup') || file <= (await firstOf(archive))) await cp(join(archive, file), join(nothing, file))
  const alone = await recover(t, base, nothing)
  const copy = await startServer(t, { database: alone, directory, port, altered: true })
  const gap = copy.readOnly.find(({ log }) => log === operation)
  t.ok((gap?.missing ?? 0) >= 100, 'without the archive it is an older copy')
})

/** The WAL file with which the base backup ends: its name stands in the name of its `.backup`. */
async function firstOf(archive: string): Promise<string> {
  return (await readdir(archive)).find((file) => file.endsWith('.backup'))?.split('.')[0] ?? ''
}
